//! Short ways to start runs and to work on their tasks over long polls.

use serde_json::{Value, json};

use crate::node::{Asked, until};

/// Starts a run and gives its id.
pub async fn start_run(node: &Asked, definition: &Value) -> String {
    start_with(node, &json!({ "definition": definition })).await
}

/// Starts a run with a whole body and gives its id.
pub async fn start_with(node: &Asked, body: &Value) -> String {
    id_of(&node.post("/runs", &body.to_string()).await.ok(201))
}

/// The run's id in an answer.
pub fn id_of(started: &Value) -> String {
    started["runId"].as_str().expect("an id").to_owned()
}

/// The run at its end.
pub async fn ended(node: &Asked, run: &str) -> Value {
    let view = node.read(&format!("/runs/{run}/wait?timeout=20000")).await.ok(200);
    assert!(view["endedAt"].is_string(), "it has not ended: {view}");
    view
}

/// A component that takes tasks one at a time.
pub struct Hand {
    node: Asked,
    name: String,
}

impl Hand {
    /// Registers a component of this name that offers actions.
    pub async fn new(node: &Asked, name: &str, actions: &[&str]) -> Hand {
        let body = json!({ "capabilities": actions, "slots": 8 }).to_string();
        node.put(&format!("/components/{name}"), &body).await.ok(200);
        Hand { node: node.clone(), name: name.to_owned() }
    }

    /// The next task that is assigned to it.
    pub async fn take(&self) -> Value {
        let path = format!("/components/{}/poll", self.name);
        // A poll also ends where there is something else for it.
        until(|| async {
            let polled = self.node.post(&path, r#"{"max":1,"wait":20000}"#).await.ok(200);
            Some(polled["tasks"][0].clone()).filter(Value::is_object)
        })
        .await
    }

    /// Takes the next task and completes it; gives the task.
    pub async fn complete(&self, output: Value) -> Value {
        let task = self.take().await;
        self.finish(&task, output).await;
        task
    }

    /// Completes a task that it has taken.
    pub async fn finish(&self, task: &Value, output: Value) {
        self.answer(task, "complete", json!({ "token": task["token"], "output": output })).await;
    }

    /// Takes the next task and fails it for good; gives the task.
    pub async fn fail(&self) -> Value {
        let task = self.take().await;
        let error = json!({ "code": "BROKEN", "message": "it broke", "retryable": false });
        self.answer(&task, "fail", json!({ "token": task["token"], "error": error })).await;
        task
    }

    async fn answer(&self, task: &Value, how: &str, body: Value) {
        let id = task["taskId"].as_str().expect("an id");
        self.node.post(&format!("/tasks/{id}/{how}"), &body.to_string()).await.ok(200);
    }
}
