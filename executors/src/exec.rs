//! Any program as an action: the payload goes to its input, its output is JSON, its errors are its log.
//! Knows nothing of how processes are ended; [`crate::process`] does that.

use std::ffi::OsString;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use orc_client::wire::{Raw, codes};
use orc_client::{TaskCtx, TaskError, TaskHandler};

use crate::RESULT_BYTES_MAX;
use crate::process::{self, OutputLog, Program};

/// A handler that runs `command` (a program and its arguments) for every attempt: it gets the payload as JSON on its
/// standard input and `ORC_TASK_ID`, `ORC_RUN_ID`, `ORC_ATTEMPT`, `ORC_ATTEMPT_TOKEN` on top of the worker's environment; its
/// standard output, or else the last line of it, is the result as JSON; none is `null`. Its standard error is the attempt's
/// log. An exit status other than 0 fails the attempt with `EXIT_<n>`.
///
/// ```no_run
/// # fn example(orc: orc_client::Client) {
/// let train = orc_executors::exec_handler(vec!["python3".into(), "train.py".into()]);
/// let worker = orc_client::Worker::new(orc).handler("train_model", train);
/// # }
/// ```
#[must_use]
pub fn exec_handler(command: Vec<String>) -> Arc<dyn TaskHandler> {
    Arc::new(Exec { argv: command.into_iter().map(OsString::from).collect() })
}

struct Exec {
    argv: Vec<OsString>,
}

impl TaskHandler for Exec {
    fn run(&self, ctx: TaskCtx, payload: Raw) -> BoxFuture<'static, Result<Raw, TaskError>> {
        exec(self.argv.clone(), ctx, payload).boxed()
    }
}

async fn exec(argv: Vec<OsString>, ctx: TaskCtx, payload: Raw) -> Result<Raw, TaskError> {
    if argv.is_empty() {
        return Err(TaskError::permanent("SPAWN_FAILED", "the command is empty"));
    }
    let folder = process::fresh_folder()?;
    let program = Program {
        argv,
        dir: None,
        scrubbed: false,
        env: Vec::new(),
        input: payload.get().as_bytes().to_vec(),
        timeout: None,
        output_bytes: RESULT_BYTES_MAX,
        output_log: OutputLog::Nothing,
    };
    let finished = process::run(program, &ctx, &folder).await?;
    match finished.failure() {
        Some(failure) => Err(failure),
        None => read_output(&finished.stdout.text()),
    }
}

fn read_output(text: &str) -> Result<Raw, TaskError> {
    let text = text.trim();
    let last_line = text.lines().next_back().unwrap_or("null");
    let whole = serde_json::from_str(if text.is_empty() { "null" } else { text });
    whole.or_else(|_| serde_json::from_str(last_line)).map_err(|error| {
        TaskError::permanent(
            codes::INVALID_OUTPUT,
            format!("the last line of the output is no JSON: {error}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::context;

    async fn outcome(command: &[&str]) -> Result<String, String> {
        let payload = serde_json::from_str("{\"n\": 1}").expect("JSON");
        let handler = exec_handler(command.iter().map(ToString::to_string).collect());
        let result = handler.run(context().0, payload).await;
        result.map(|output| output.get().to_owned()).map_err(|error| error.code)
    }

    #[tokio::test]
    async fn only_the_errors_of_a_program_are_its_log() {
        let (ctx, _stop) = context();
        let handler = exec_handler(["sh", "-c", "echo working >&2; echo 1"].map(str::to_owned).to_vec());
        handler.run(ctx.clone(), orc_client::wire::raw_null()).await.expect("a result");
        let texts: Vec<String> = ctx.logged().into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["working"]);
    }

    #[tokio::test]
    async fn a_program_reads_its_payload_and_writes_its_result() {
        assert_eq!(outcome(&["cat"]).await.as_deref(), Ok("{\"n\": 1}"));
        assert_eq!(outcome(&["sh", "-c", "echo log; echo; echo '[2]'"]).await.as_deref(), Ok("[2]"));
        assert_eq!(outcome(&["true"]).await.as_deref(), Ok("null"));
        assert_eq!(outcome(&["echo", "no", "JSON"]).await, Err("INVALID_OUTPUT".to_owned()));
        assert_eq!(outcome(&["false"]).await, Err("EXIT_1".to_owned()));
        assert_eq!(outcome(&["/no/such/program"]).await, Err("SPAWN_FAILED".to_owned()));
        assert_eq!(outcome(&[]).await, Err("SPAWN_FAILED".to_owned()));
    }
}
