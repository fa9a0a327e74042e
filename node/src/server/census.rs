//! How much there is of what: counted where the state is changed, so not more often than it is worth.
//! Knows nothing of who wants to know.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use orc_domain::{
    ActionName, ComponentId, Counts, Priority, RunId, RunStatus, State, Task, TaskId, TaskStatus, Text,
};
use orc_raft::error::ReadError;
use parking_lot::Mutex;

use super::Cluster;

/// How old a count may be.
const CENSUS_AGE_MAX: Duration = Duration::from_millis(100);
/// Holders of a limit that a census names.
const HOLDERS_MAX: usize = 5;
/// Runs, the oldest first, among which they are looked for: while they are, nothing else happens.
const LOOKS_MAX: usize = 1_000;

/// A count that all who wait for it drive; none once the node is stopping.
type Counting = Shared<BoxFuture<'static, Option<Arc<Census>>>>;

/// The last count and when it was begun.
#[derive(Default)]
pub(super) struct Counted(Mutex<Option<(Instant, Counting)>>);

impl Counted {
    /// The last count, or a new one if that is too old: made once for all who ask meanwhile, whoever of them goes on.
    async fn get(
        &self,
        count: impl Future<Output = Result<Census, ReadError>> + Send + 'static,
    ) -> Result<Arc<Census>, ReadError> {
        let counting = {
            let mut counted = self.0.lock();
            let usable = |(at, counting): &&(Instant, Counting)| {
                counting.peek().is_none_or(|census| census.is_some() && at.elapsed() < CENSUS_AGE_MAX)
            };
            match counted.as_ref().filter(usable) {
                Some((_, counting)) => counting.clone(),
                None => {
                    let counting = async { count.await.ok().map(Arc::new) }.boxed().shared();
                    counted.insert((Instant::now(), counting)).1.clone()
                }
            }
        };
        counting.await.ok_or(ReadError::Stopped)
    }
}

/// Tasks that wait for a component, by what they ask for and how urgent they are; those of paused runs are left out.
pub type Queued = BTreeMap<(ActionName, Priority), u64>;

/// How much there is of what, at one moment.
#[derive(Debug, Default)]
pub struct Census {
    /// Of the whole cluster.
    pub counts: Counts,
    /// Some of the tasks that run.
    pub tasks_running: Vec<TaskId>,
    /// Some of the runs that have started.
    pub runs_active: Vec<RunId>,
    /// Actions of which no tasks are assigned.
    pub paused_actions: Arc<BTreeSet<ActionName>>,
    /// Work that nothing can wake, as it was reported.
    pub stuck: Arc<BTreeSet<Text>>,
    /// Tasks that left the dead-letter list because it was full.
    pub dead_overflowed: u64,
    /// Slots of connected components that an attempt holds.
    pub slots_used: u64,
    /// Slots of connected components that a task could take; those of draining ones are left out.
    pub slots_free: u64,
    running_on: BTreeMap<ComponentId, u32>,
}

impl Census {
    fn of(state: &State) -> Census {
        let running = state.running();
        let running_on = running.iter().map(|(id, tasks)| (id.clone(), count(tasks.len()))).collect();
        let (slots_used, slots_free) = slots(state, &running_on);
        let active = state.runs.iter().take(LOOKS_MAX).filter(|(_, run)| run.status != RunStatus::Queued);
        Census {
            counts: state.counts(),
            tasks_running: running.values().flatten().take(HOLDERS_MAX).copied().collect(),
            runs_active: active.take(HOLDERS_MAX).map(|(id, _)| *id).collect(),
            paused_actions: state.meta.paused_actions.clone(),
            stuck: state.meta.stuck.clone(),
            dead_overflowed: state.meta.dead_overflowed,
            slots_used,
            slots_free,
            running_on,
        }
    }

    /// Tasks that a component works on.
    pub fn running_on(&self, component: &ComponentId) -> u32 {
        self.running_on.get(component).copied().unwrap_or(0)
    }
}

/// Slots of connected components: used, and free.
fn slots(state: &State, running_on: &BTreeMap<ComponentId, u32>) -> (u64, u64) {
    let connected = state.components.iter().filter(|(_, row)| row.live_session().is_some());
    connected.fold((0, 0), |(used, free), (id, row)| {
        let running = running_on.get(id).copied().unwrap_or(0);
        let open = if row.draining { 0 } else { row.slots.saturating_sub(running) };
        (used + u64::from(running), free + u64::from(open))
    })
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn queued(state: &State) -> Queued {
    let mut queued = Queued::new();
    let waits = |task: &Task| task.status == TaskStatus::Queued && !task.held;
    for (_, task) in state.tasks.iter().filter(|(_, task)| waits(task)) {
        *queued.entry((task.action.clone(), task.priority)).or_default() += 1;
    }
    queued
}

impl Cluster {
    /// How much there is of what; counted at most ten times a second, by one for all who ask meanwhile.
    pub async fn census(&self) -> Result<Arc<Census>, ReadError> {
        let reader = self.reader().clone();
        self.counted.get(async move { reader.inspect(Census::of).await }).await
    }

    /// What waits for components.
    pub async fn queued(&self) -> Result<Queued, ReadError> {
        self.reader().inspect(queued).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn those_who_ask_at_once_are_told_one_count() {
        let (counted, counts) = (Counted::default(), Arc::new(AtomicU32::new(0)));
        let count = || {
            let counts = counts.clone();
            async move {
                counts.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(Census::default())
            }
        };
        // It asks first, and does not go on.
        let mut idle = Box::pin(counted.get(count()));
        assert!((&mut idle).now_or_never().is_none());
        let told = timeout(Duration::from_secs(10), join_all((0..1_000).map(|_| counted.get(count())))).await;
        let told = told.expect("the others do");
        let first = told[0].as_ref().expect("a count");
        let same = told.iter().flatten().filter(|census| Arc::ptr_eq(census, first)).count();
        // Whoever came to it after a tenth of a second had a new one.
        assert!(same > 1 && counts.load(Ordering::Relaxed) < 100, "{same} were told the first of {counts:?}");
    }
}
