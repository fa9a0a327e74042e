//! What waits for people and for other runs: approvals, signals, concurrency groups.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    hands::{ended, id_of, start_run, start_with},
    node::{Asked, shared, until},
};

/// The run once it waits.
pub async fn waiting(node: &Asked, run: &str) -> Value {
    until(|| async {
        let view = node.read(&format!("/runs/{run}")).await.ok(200);
        (view["status"] == "waiting").then_some(view)
    })
    .await
}

/// A workflow that waits for a version from ann or bob.
pub fn gate(name: &str) -> Value {
    let form =
        json!({"type": "object", "required": ["version"], "properties": {"version": {"type": "string"}}});
    json!({"name": name, "steps": [{"id": "gate", "name": "The Gate",
        "approval": {"prompt": "Deploy?", "approvers": ["ann", "bob"], "form": form, "timeout": "1h"}}]})
}

#[tokio::test]
async fn an_approval_is_listed_and_decided_by_those_who_may() {
    let node = shared().await;
    let run = start_run(&node, &gate("gated-deploy")).await;
    let view = waiting(&node, &run).await;
    let id = view["steps"][0]["approvalId"].as_str().expect("it waits").to_owned();
    assert_eq!(
        (&view["waitingFor"]["reason"], &view["waitingFor"]["on"]),
        (&json!("approval"), &json!(["ann", "bob"]))
    );
    let list = node.read("/approvals").await.ok(200);
    let listed = list["items"].as_array().expect("a list").iter().find(|one| one["id"] == json!(id));
    let listed = listed.unwrap_or_else(|| panic!("{list}"));
    assert_eq!(
        (&listed["runId"], &listed["step"], &listed["stepName"]),
        (&json!(run), &json!("gate"), &json!("The Gate"))
    );
    assert_eq!(
        (&listed["request"]["prompt"], &listed["approvers"]),
        (&json!("Deploy?"), &json!(["ann", "bob"]))
    );
    assert!(listed["since"].is_string() && listed["until"].is_string(), "{listed}");

    let approve = format!("/approvals/{id}/approve");
    let good = r#"{"comment":"go","data":{"version":"1.2"}}"#;
    node.post(&approve, good).await.problem(403, "FORBIDDEN");
    let wrong =
        node.post(&approve, r#"{"by":"ann","data":{"version":7}}"#).await.problem(422, "VALIDATION_FAILED");
    assert_eq!(wrong["errors"][0]["pointer"], "/data/version");
    let ann = [("orc-user", "ann")];
    let decided = node.call_with(Method::POST, &approve, good, &ann).await.ok(200);
    assert_eq!(
        (&decided["approved"], &decided["by"], &decided["runId"]),
        (&json!(true), &json!("ann"), &json!(run))
    );
    let output = ended(&node, &run).await["steps"][0]["output"].clone();
    assert_eq!(
        (&output["approved"], &output["by"], &output["comment"]),
        (&json!(true), &json!("ann"), &json!("go"))
    );
    assert_eq!(output["data"], json!({"version": "1.2"}));
    node.post(&approve, r#"{"by":"bob"}"#).await.problem(409, "INVALID_TRANSITION");

    let run = start_run(&node, &gate("gated-again")).await;
    let id = waiting(&node, &run).await["steps"][0]["approvalId"].as_str().expect("it waits").to_owned();
    let no = r#"{"by":"bob","comment":"not on a Friday"}"#;
    node.post(&format!("/approvals/{id}/reject"), no).await.ok(200);
    let view = ended(&node, &run).await;
    assert_eq!((&view["status"], &view["error"]["code"]), (&json!("failed"), &json!("APPROVAL_REJECTED")));
    assert!(view["error"]["message"].as_str().is_some_and(|text| text.contains("Friday")), "{view}");
}

#[tokio::test]
async fn a_step_takes_the_signal_it_awaits_whenever_that_came() {
    let node = shared().await;
    let definition = json!({"name": "awaiting", "steps": [
        {"id": "one", "wait": {"signal": "go"}}, {"id": "two", "wait": {"signal": "done"}}]});
    let run = start_run(&node, &definition).await;
    let view = waiting(&node, &run).await;
    assert_eq!(
        (&view["steps"][0]["signal"], &view["waitingFor"]["reason"]),
        (&json!("go"), &json!("signal"))
    );
    node.post(&format!("/runs/{run}/signals/done"), r#"{"n":2}"#).await.ok(200);
    assert_eq!(node.read(&format!("/runs/{run}")).await.ok(200)["signals"], 1);
    node.post(&format!("/runs/{run}/signals/go"), "").await.ok(200);
    let view = ended(&node, &run).await;
    assert_eq!((&view["outputs"], &view["signals"]), (&json!({"n": 2}), &json!(0)), "{view}");
}

fn grouped(policy: &str) -> Value {
    json!({"name": format!("grouped-{policy}"), "inputs": {"env": "string"},
        "concurrency": {"group": "${{ inputs.env }}", "limit": 1, "onConflict": policy},
        "steps": [{"id": "wait", "wait": {"signal": "go"}}]})
}

#[tokio::test]
async fn runs_of_a_full_group_wait_are_refused_or_end_the_one_before() {
    let node = shared().await;
    let body = |policy: &str, env: &str| json!({"definition": grouped(policy), "inputs": {"env": env}});
    let first = start_with(&node, &body("queue", "prod")).await;
    let second = start_with(&node, &body("queue", "prod")).await;
    let other = start_with(&node, &body("queue", "test")).await;
    let view = node.read(&format!("/runs/{second}")).await.ok(200);
    assert_eq!((&view["status"], &view["group"]), (&json!("queued"), &json!("prod")));
    assert_eq!(
        (&view["waitingFor"]["reason"], &view["waitingFor"]["on"]),
        (&json!("concurrency"), &json!([first]))
    );
    assert_eq!(waiting(&node, &other).await["group"], "test");
    let mut named = body("queue", "prod");
    named["concurrencyKey"] = json!("mine");
    let named = start_with(&node, &named).await;
    assert_eq!(waiting(&node, &named).await["group"], "mine");
    for run in [&first, &other, &named] {
        node.post(&format!("/runs/{run}/terminate"), "").await.ok(200);
    }
    waiting(&node, &second).await;
    node.post(&format!("/runs/{second}/terminate"), "").await.ok(200);

    let only = start_with(&node, &body("reject", "prod")).await;
    let refused = node.post("/runs", &body("reject", "prod").to_string()).await;
    let problem = refused.problem(409, "CONCURRENCY_CONFLICT");
    assert!(problem["hint"].as_str().is_some_and(|hint| hint.contains(&only)), "{problem}");
    node.post(&format!("/runs/{only}/terminate"), "").await.ok(200);
    let again = id_of(&node.post(&format!("/runs/{only}/rerun"), "").await.ok(201));
    assert_eq!(node.read(&format!("/runs/{again}")).await.ok(200)["group"], "prod");
    node.post(&format!("/runs/{again}/terminate"), "").await.ok(200);

    let older = start_with(&node, &body("cancelRunning", "prod")).await;
    waiting(&node, &older).await;
    let newer = id_of(&node.post("/runs", &body("cancelRunning", "prod").to_string()).await.ok(201));
    assert_eq!(ended(&node, &older).await["status"], "cancelled");
    waiting(&node, &newer).await;
    node.post(&format!("/runs/{newer}/terminate"), "").await.ok(200);

    let unknown = json!({"definition": grouped("queue")}).to_string();
    let problem = node.post("/runs", &unknown).await.problem(422, "VALIDATION_FAILED");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("concurrency group")), "{problem}");
}
