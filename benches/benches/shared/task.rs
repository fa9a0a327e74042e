//! A task without a run, as benches create it.
//! Knows nothing of what is measured with it.

use orc_domain::{Json, NewTask, TaskId};

/// A task that a worker with the action `echo` takes.
pub fn new_task(id: TaskId) -> NewTask {
    NewTask {
        id,
        name: "Echo".into(),
        action: "echo".into(),
        payload: Json::from(r#"{"text":"hello","tries":3}"#),
        priority: Default::default(),
        labels: Default::default(),
        dependencies: Vec::new(),
        timeout: None,
        queue_timeout: None,
        retry: None,
        run_at: None,
        total_timeout: None,
        heartbeat_timeout: None,
        requeued_from: None,
    }
}
