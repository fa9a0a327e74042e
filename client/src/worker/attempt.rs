//! One attempt from start to result: the handler, its panic, its deadline, its cancellation and the grace after both.
//! Knows nothing of sessions or of other attempts.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::{sleep, timeout};

use super::handler::{StopHandle, StopReason, TaskCtx, TaskError, TaskHandler, time_until};
use crate::wire::session::{Complete, ComponentMessage, Fail};
use crate::wire::{Raw, codes};

/// Runs an attempt to its end and says what to tell the node.
pub(super) async fn run(
    handler: Option<Arc<dyn TaskHandler>>,
    (ctx, stop): (TaskCtx, StopHandle),
    payload: Raw,
    (deadline, grace): (Option<u64>, Duration),
) -> ComponentMessage {
    let (task_id, token) = (ctx.task_id().to_owned(), ctx.token());
    let result = match handler {
        Some(handler) => {
            let work = async move { handler.run(ctx, payload).await };
            supervise(work, &stop, deadline, grace).await
        }
        None => {
            let message = format!("this worker has no handler for {}", ctx.action());
            Err(TaskError::permanent(codes::ACTION_UNKNOWN, message))
        }
    };
    match result {
        Ok(output) => Complete { task_id, token, output }.into(),
        Err(error) => failure(task_id, token, error).into(),
    }
}

/// The message that says that an attempt failed.
pub(super) fn failure(task_id: String, token: u64, error: TaskError) -> Fail {
    let retry_after = error.retry_after.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
    Fail { task_id, token, error: error.into_body(), retry_after }
}

async fn supervise(
    work: impl Future<Output = Result<Raw, TaskError>>,
    stop: &StopHandle,
    deadline: Option<u64>,
    grace: Duration,
) -> Result<Raw, TaskError> {
    let mut work = pin!(AssertUnwindSafe(work).catch_unwind());
    let at_deadline = async {
        match deadline {
            Some(deadline) => sleep(time_until(deadline)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        _ = stop.stopped() => {}
        result = &mut work => return result.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))),
        () = at_deadline => stop.stop(StopReason::Deadline),
    }
    let late = timeout(grace, work).await;
    match (stop.stopped().await, late) {
        (StopReason::Cancelled(reason), _) => Err(TaskError::cancelled(reason)),
        (StopReason::Deadline, Ok(Ok(Ok(output)))) => Ok(output),
        (StopReason::Deadline, _) => {
            Err(TaskError::new(codes::TASK_TIMEOUT, "the attempt did not end before its deadline"))
        }
    }
}

/// The failure that a handler's panic is.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> TaskError {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    TaskError::new(codes::HANDLER_PANIC, format!("the handler panicked: {}", text.unwrap_or("no text")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::handler::{FnHandler, TaskCtx};
    use super::*;
    use crate::wire::session::TaskOrder;
    use crate::worker::logs::Logs;

    const GRACE: Duration = Duration::from_secs(5);

    fn order(payload: &str, deadline: Option<u64>) -> TaskOrder {
        let mut order: TaskOrder =
            serde_json::from_str(&format!(r#"{{"taskId":"t","token":1,"action":"a","payload":{payload}}}"#))
                .expect("reads");
        order.deadline = deadline;
        order
    }

    /// Runs `handler` on a number, with `stop` called at its start, and shows the outcome.
    async fn outcome<F, Work>(payload: &str, deadline: Option<u64>, handler: F) -> String
    where
        F: Fn(TaskCtx, u64) -> Work + Send + Sync + 'static,
        Work: Future<Output = Result<u64, TaskError>> + Send + 'static,
    {
        let order = order(payload, deadline);
        let payload = order.payload.clone();
        let (ctx, stop) = TaskCtx::detached(order);
        if payload.get() == "99" {
            stop.cancel("enough");
        }
        match run(Some(Arc::new(FnHandler::new(handler))), (ctx, stop), payload, (deadline, GRACE)).await {
            ComponentMessage::Complete(complete) => complete.output.get().to_owned(),
            ComponentMessage::Fail(fail) => format!("{} {:?}", fail.error.code, fail.error.retryable),
            other => panic!("no outcome: {other:?}"),
        }
    }

    async fn never(_: TaskCtx, _: u64) -> Result<u64, TaskError> {
        std::future::pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn every_end_has_its_code() {
        assert_eq!(outcome("2", None, async |_, n| Ok(n * 2)).await, "4");
        assert_eq!(outcome("\"2\"", None, async |_, n| Ok(n)).await, "INVALID_PAYLOAD Some(false)");
        assert_eq!(outcome("2", None, async |_, n| Ok(1 / (n - 2))).await, "HANDLER_PANIC Some(true)");
        assert_eq!(
            outcome("2", None, |_, _| -> std::future::Ready<_> { panic!("early") }).await,
            "HANDLER_PANIC Some(true)"
        );
        assert_eq!(outcome("2", Some(1), never).await, "TASK_TIMEOUT Some(true)");
        assert_eq!(outcome("99", None, never).await, "CANCELLED Some(false)");
        let late = async |ctx: TaskCtx, n| {
            ctx.cancelled().await;
            Ok(n)
        };
        assert_eq!(outcome("2", Some(1), late).await, "2");
        assert_eq!(outcome("99", None, late).await, "CANCELLED Some(false)");
    }

    #[tokio::test(start_paused = true)]
    async fn signs_of_life_are_given_in_time_while_work_goes_on() {
        let (beats, mut heard) = tokio::sync::mpsc::channel(64);
        let mut order = order("1", None);
        order.heartbeat_timeout = Some(300);
        let (ctx, _stop) = TaskCtx::attached(order, Logs::default(), Some(beats));
        ctx.alive_while(sleep(Duration::from_millis(950))).await;
        drop(ctx);
        let mut signs = Vec::new();
        while let Some(attempt) = heard.recv().await {
            signs.push((attempt.task_id, attempt.token));
        }
        assert_eq!(signs, vec![("t".to_owned(), 1); 10], "one each 100 ms");
    }

    #[tokio::test]
    async fn an_unknown_action_is_final() {
        let (ctx, stop) = TaskCtx::detached(order("1", None));
        let payload = crate::wire::raw(&json!(1)).expect("writes");
        let ComponentMessage::Fail(fail) = run(None, (ctx, stop), payload, (None, GRACE)).await else {
            panic!("no handler")
        };
        assert_eq!((fail.error.code.as_str(), fail.error.retryable), (codes::ACTION_UNKNOWN, Some(false)));
    }
}
