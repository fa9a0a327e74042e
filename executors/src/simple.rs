//! The actions without an outside: `echo` gives its payload back, `sleep` takes its time.
//! Knows nothing of processes or networks.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use orc_client::wire::{Millis, Raw};
use orc_client::{TaskCtx, TaskError, TaskHandler};
use serde::{Deserialize, Serialize};

/// Gives its payload back, byte by byte.
pub(crate) struct Echo;

impl TaskHandler for Echo {
    fn run(&self, _: TaskCtx, payload: Raw) -> BoxFuture<'static, Result<Raw, TaskError>> {
        std::future::ready(Ok(payload)).boxed()
    }
}

/// `{"ms": 1500}` or `{"ms": "2s"}`
#[derive(Debug, Deserialize)]
pub(crate) struct Sleep {
    ms: Millis,
}

/// `{"sleptMs": 1500}`
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Slept {
    slept_ms: u64,
}

/// Sleeps, unless it is cancelled.
pub(crate) async fn sleep(ctx: TaskCtx, sleep: Sleep) -> Result<Slept, TaskError> {
    tokio::select! {
        () = ctx.alive_while(tokio::time::sleep(Duration::from(sleep.ms))) => Ok(Slept { slept_ms: sleep.ms.0 }),
        () = ctx.cancelled() => Err(TaskError::cancelled("cancelled while asleep")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::context;

    #[tokio::test(start_paused = true)]
    async fn sleep_ends_in_time_or_at_once_when_cancelled() {
        let hour: Sleep = serde_json::from_str(r#"{"ms":"1h"}"#).expect("a payload");
        assert_eq!(sleep(context().0, hour).await, Ok(Slept { slept_ms: 3_600_000 }));

        let (ctx, stop) = context();
        let asleep = tokio::spawn(sleep(ctx, Sleep { ms: Millis(u64::MAX) }));
        stop.cancel("enough");
        let error = asleep.await.expect("no panic").expect_err("cancelled");
        assert_eq!(error.code, "CANCELLED");
    }

    #[tokio::test]
    async fn echo_gives_back_the_bytes() {
        let payload: Raw = serde_json::from_str("{ \"a\":1.0}").expect("JSON");
        assert_eq!(Echo.run(context().0, payload).await.expect("an echo").get(), "{ \"a\":1.0}");
    }
}
