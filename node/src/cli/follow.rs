//! Follows a run to its end: events say when to look, a look says what is. Survives the loss of any node.
//! Knows nothing of how a run is shown.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::BoxStream};
use orc_client::{
    Client, Error,
    wire::{Event, RunView},
};

use super::{Failure, output::note};

/// At most so often the run is read.
const LOOKS_APART: Duration = Duration::from_millis(100);
/// So often at least, should an event be missed.
const LOOKS_AT_LEAST: Duration = Duration::from_secs(3);
/// How often the picture is drawn anew, for its clocks.
const DRAWS_APART: Duration = Duration::from_millis(500);
/// Without any answer for so long, following ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// Calls `draw` with each state of the run and with the time since it was read, until the run ended.
pub(super) async fn follow(
    client: &Client,
    id: &str,
    mut draw: impl FnMut(&RunView, Duration),
) -> Result<RunView, Failure> {
    // Before the first look, so that nothing falls between the two.
    let mut events = subscribe(client).await;
    let mut view = client.runs().get(id).await?;
    let (mut read_at, mut answered_at, mut due) = (Instant::now(), Instant::now(), false);
    loop {
        draw(&view, read_at.elapsed());
        if view.status.is_terminal() {
            return Ok(view);
        }
        let pause = if due { LOOKS_APART.saturating_sub(read_at.elapsed()) } else { DRAWS_APART };
        tokio::select! {
            event = next(&mut events) => match event {
                Some(Ok(event)) => due |= concerns(&event, id),
                Some(Err(Error::EventsReset { .. })) => due = true,
                Some(Err(_)) | None => events = None,
            },
            () = tokio::time::sleep(pause) => {}
        }
        let look = (due && read_at.elapsed() >= LOOKS_APART) || read_at.elapsed() >= LOOKS_AT_LEAST;
        if !look {
            continue;
        }
        due = false;
        match look_again(client, id).await {
            Ok(newer) => {
                if answered_at.elapsed() > LOOKS_AT_LEAST * 3 {
                    note("the cluster answers again");
                }
                (view, answered_at) = (newer, Instant::now());
            }
            Err(error) if error.is_retryable() && answered_at.elapsed() < PATIENCE => {
                note(&format!("waiting for the cluster, the run goes on without it: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
        read_at = Instant::now();
        if events.is_none() {
            events = subscribe(client).await;
        }
    }
}

fn look_again(client: &Client, id: &str) -> impl Future<Output = Result<RunView, Error>> {
    let (runs, id) = (client.runs(), id.to_owned());
    async move { runs.get(&id).await }
}

type Stream = BoxStream<'static, Result<Event, Error>>;

/// Events of runs and steps; none if there is no stream to be had, then looks at intervals do.
async fn subscribe(client: &Client) -> Option<Stream> {
    client
        .events()
        .types(["workflow.*", "step.*", "task.*"])
        .since_now()
        .stream()
        .await
        .ok()
        .map(StreamExt::boxed)
}

async fn next(events: &mut Option<Stream>) -> Option<Result<Event, Error>> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

fn concerns(event: &Event, run: &str) -> bool {
    event.subject == run
        || event.subject.contains(run.trim_start_matches("run_"))
        || event.data.get().contains(run)
}
