//! Retention: the leader has what was kept long enough deleted, the first to end first, some at a time.
//! Knows nothing of how rows are deleted; every node does that when it applies the command.

use std::{
    mem::take,
    time::{Duration, Instant},
};

use orc_actors::ProposerHandle;
use orc_domain::{Command, DeleteEnded, RunId, TaskId, Timestamp};
use orc_raft::{
    error::ReadError,
    store::{Kept, Reached},
};
use tokio::time::sleep;
use tracing::{debug, warn};

use super::Cluster;

/// Between looks, unless there is more to delete.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between looks from the beginning: what has come to the disk since, and ended before what was looked at.
const AFRESH: Duration = Duration::from_secs(60);

/// Where the last look ended.
struct Looked {
    runs: Reached<RunId>,
    tasks: Reached<TaskId>,
    since: Instant,
}

impl Looked {
    fn nowhere() -> Looked {
        Looked { runs: Reached::default(), tasks: Reached::default(), since: Instant::now() }
    }
}

/// Looks again and again, for as long as the node runs.
pub async fn enforce(cluster: Cluster, proposer: ProposerHandle) {
    let mut looked = Looked::nowhere();
    loop {
        if !cluster.leadership().is_leader {
            looked = Looked::nowhere();
            sleep(INTERVAL).await;
            continue;
        }
        let found = match overdue(&cluster, &mut looked).await {
            Ok(found) => found,
            Err(ReadError::Stopped) => return,
            Err(error) => {
                warn!(%error, "cannot look for what was kept long enough");
                sleep(INTERVAL).await;
                continue;
            }
        };
        if found.is_empty() {
            sleep(INTERVAL).await;
        }
        for delete in found {
            if let Err(error) = proposer.propose(Command::DeleteEnded(delete)).await {
                debug!(%error, "what was kept long enough stays a little longer");
                looked = Looked::nowhere();
                sleep(INTERVAL).await;
                break;
            }
        }
    }
}

/// The commands that delete what is overdue; none if nothing is.
async fn overdue(cluster: &Cluster, looked: &mut Looked) -> Result<Vec<DeleteEnded>, ReadError> {
    let reader = cluster.replica().reader();
    // What was deleted before is gone from the counts then.
    reader.drain().await?;
    if looked.since.elapsed() > AFRESH {
        *looked = Looked::nowhere();
    }
    let (config, now) = (cluster.config(), cluster.now());
    let since = |kept_for: Duration| {
        Timestamp(now.0.saturating_sub(u64::try_from(kept_for.as_millis()).unwrap_or(u64::MAX)))
    };
    let kept = |time, max| Kept { ended_since: since(time), max: u64::from(max), now };
    let (kept_runs, kept_tasks) = (
        kept(config.runs_kept_for, config.runs_kept_max),
        kept(config.tasks_kept_for, config.tasks_kept_max),
    );
    let (mut runs, mut tasks);
    let limit = DeleteEnded::MAX / 2;
    (runs, looked.runs) = reader.overdue_runs(kept_runs, take(&mut looked.runs), limit).await?;
    (tasks, looked.tasks) = reader.overdue_tasks(kept_tasks, take(&mut looked.tasks), limit).await?;
    // One that lives again would have all of them refused.
    runs.retain(|run| reader.run(run).is_none());
    tasks.retain(|task| reader.task(task).is_none());
    let mut commands = cluster.deletion(&runs).await?;
    if !tasks.is_empty() {
        commands.push(DeleteEnded { tasks, ..DeleteEnded::default() });
    }
    Ok(commands)
}
