//! Actions that a worker can run by itself: `echo`, `sleep`, `run`, `http`, `agent`, and any program by
//! [`exec_handler`].
//! A library of task handlers over the worker runtime; knows nothing of the cluster.

mod agent;
mod exec;
mod http;
mod process;
mod run;
mod simple;
mod workdir;

use std::sync::Arc;

use orc_client::{TaskError, TaskHandler, Worker};

pub use agent::{Agents, agent_handler};
pub use exec::exec_handler;
pub use workdir::Workdir;

/// The names of the built-in actions.
pub const BUILTIN: [&str; 5] = ["agent", "echo", "http", "run", "sleep"];

/// A result may be so large, by the cluster's limits.
const RESULT_BYTES_MAX: usize = 256 * 1024;

/// There is no built-in action of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no built-in action {name}, only {}", BUILTIN.join(", "))]
pub struct UnknownExecutor {
    /// The name that was asked for.
    pub name: String,
}

/// Lets a worker offer the built-in actions that `allow` names; `agent` with the provider `claude-code` only.
///
/// ```no_run
/// # async fn example(orc: orc_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let worker = orc_client::Worker::new(orc).slots(4);
/// orc_executors::builtin(worker, &["echo", "sleep"])?.run_until_signal().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`UnknownExecutor`] for a name that is not in [`BUILTIN`].
pub fn builtin(worker: Worker, allow: &[&str]) -> Result<Worker, UnknownExecutor> {
    builtin_in(worker, allow, &Workdir::default())
}

/// The same, with scripts and agents in a folder of the worker's.
///
/// # Errors
/// [`UnknownExecutor`] for a name that is not in [`BUILTIN`].
pub fn builtin_in(worker: Worker, allow: &[&str], workdir: &Workdir) -> Result<Worker, UnknownExecutor> {
    allow.iter().try_fold(worker, |worker, &name| {
        let handler: Arc<dyn TaskHandler> = match name {
            "agent" => agent_handler(Agents::default().working_in(workdir.clone())),
            "echo" => Arc::new(simple::Echo),
            "sleep" => return Ok(worker.task_fn("sleep", simple::sleep)),
            "run" => {
                let workdir = workdir.clone();
                return Ok(worker.task_fn("run", move |ctx, task| run::run(ctx, task, workdir.clone())));
            }
            "http" => return Ok(worker.task_fn("http", http::http)),
            other => return Err(UnknownExecutor { name: other.to_owned() }),
        };
        Ok(worker.handler(name, handler))
    })
}

/// What an attempt with more than [`RESULT_BYTES_MAX`] of a result fails with.
fn too_large() -> TaskError {
    TaskError::permanent("RESULT_TOO_LARGE", format!("the output is larger than {RESULT_BYTES_MAX} bytes"))
}

#[cfg(test)]
mod tests {
    use orc_client::wire::session::TaskOrder;
    use orc_client::worker::StopHandle;
    use orc_client::{Client, TaskCtx};

    use super::*;

    /// The context of an attempt without a session.
    pub(crate) fn context() -> (TaskCtx, StopHandle) {
        let order =
            r#"{"taskId":"task_1","token":17,"attempt":2,"attemptsMax":3,"action":"a","runId":"run_1"}"#;
        let order: TaskOrder = serde_json::from_str(order).expect("an order");
        TaskCtx::detached(order)
    }

    #[test]
    fn only_what_is_built_in_can_be_allowed() {
        let worker = || Worker::new(Client::builder().nodes(["127.0.0.1:1"]).build().expect("an address"));
        assert!(builtin(worker(), &BUILTIN).is_ok());
        let unknown = builtin(worker(), &["echo", "rm"]).err().expect("refused");
        assert_eq!(unknown.to_string(), "there is no built-in action rm, only agent, echo, http, run, sleep");
    }
}
