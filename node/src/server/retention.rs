//! Retention: the leader has what was kept long enough deleted, the first to end first, some at a time.
//! Knows nothing of how rows are deleted; every node does that when it applies the command.

use std::time::Duration;

use orc_actors::ProposerHandle;
use orc_domain::{Command, DeleteEnded, RunId, TaskId, Timestamp};
use orc_raft::{error::ReadError, store::Place};
use tokio::time::sleep;
use tracing::{debug, warn};

use super::Cluster;

/// Between looks, unless there is more to delete.
const INTERVAL: Duration = Duration::from_secs(1);

/// Where the last look ended: the disk is slow to pass over what was deleted just now.
#[derive(Default)]
struct Reached {
    runs: Option<Place<RunId>>,
    tasks: Option<Place<TaskId>>,
}

/// Looks again and again, for as long as the node runs.
pub async fn enforce(cluster: Cluster, proposer: ProposerHandle) {
    let mut reached = Reached::default();
    loop {
        if !cluster.leadership().is_leader {
            reached = Reached::default();
            sleep(INTERVAL).await;
            continue;
        }
        let found = match overdue(&cluster, &mut reached).await {
            Ok(found) => found,
            Err(ReadError::Stopped) => return,
            Err(error) => {
                warn!(%error, "cannot look for what was kept long enough");
                sleep(INTERVAL).await;
                continue;
            }
        };
        if found.is_empty() {
            reached = Reached::default();
            sleep(INTERVAL).await;
        }
        for delete in found {
            if let Err(error) = proposer.propose(Command::DeleteEnded(delete)).await {
                debug!(%error, "what was kept long enough stays a little longer");
                reached = Reached::default();
                sleep(INTERVAL).await;
                break;
            }
        }
    }
}

/// The commands that delete what is overdue; none if nothing is.
async fn overdue(cluster: &Cluster, reached: &mut Reached) -> Result<Vec<DeleteEnded>, ReadError> {
    let reader = cluster.replica().reader();
    // What was deleted before is gone from the counts then.
    reader.drain().await?;
    let (config, now) = (cluster.config(), reader.now());
    let before = |kept_for: Duration| {
        Timestamp(now.0.saturating_sub(u64::try_from(kept_for.as_millis()).unwrap_or(u64::MAX)))
    };
    let runs_end = (before(config.runs_kept_for), u64::from(config.runs_kept_max));
    let mut runs = reader.overdue_runs(runs_end, reached.runs.take(), DeleteEnded::MAX / 2).await?;
    let tasks_end = (before(config.tasks_kept_for), u64::from(config.tasks_kept_max));
    let mut tasks = reader.overdue_tasks(tasks_end, reached.tasks.take(), DeleteEnded::MAX / 2).await?;
    (reached.runs, reached.tasks) = (runs.last().cloned(), tasks.last().cloned());
    // One that lives again would have all of them refused.
    runs.retain(|place| reader.run(&place.key).is_none());
    tasks.retain(|place| reader.task(&place.key).is_none());
    let runs: Vec<RunId> = runs.into_iter().map(|place| place.key).collect();
    let mut commands = cluster.deletion(&runs).await?;
    if !tasks.is_empty() {
        let tasks = tasks.into_iter().map(|place| place.key).collect();
        commands.push(DeleteEnded { tasks, ..DeleteEnded::default() });
    }
    Ok(commands)
}
