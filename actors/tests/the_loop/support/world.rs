//! A replicated state that is one `State` behind a mutex: commands are applied as they come, every node sees it at once.
//! Switches make it slow, silent, forgetful or faulty.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::future::BoxFuture;
use orc_actors::{Effects, Events, Leadership, ReplicatedState};
use orc_domain::{
    ChildStart, ClusterConfig, Command, Component, ComponentId, Definition, DefinitionId, Effect, Entry,
    Event, Failure, Json, NodeId, Outcome, Proposal, QueuedMessage, Recorded, Run, RunId, Schedule,
    ScheduleId, State, StateKey, Task, TaskId, Text, Timestamp, Unavailable, apply, outstanding,
};
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use super::PATIENCE;

pub(crate) struct World {
    state: Mutex<State>,
    effects: broadcast::Sender<Effects>,
    events: broadcast::Sender<Events>,
    leadership: Mutex<Leadership>,
    views: Mutex<Vec<(NodeId, watch::Sender<Leadership>)>>,
    due: watch::Sender<Option<Timestamp>>,
    applied: watch::Sender<u64>,
    history: Mutex<Vec<Arc<Recorded>>>,
    commands: Mutex<Vec<Command>>,
    /// Answers of `submit` wait while this is set.
    pub(crate) held: watch::Sender<bool>,
    /// Effects are lost: receivers lag instead.
    pub(crate) forgets: watch::Sender<bool>,
    /// So many of the next reads of a component panic.
    pub(crate) faults: AtomicUsize,
    /// Looks for work that nothing can wake.
    pub(crate) sweeps: AtomicUsize,
    /// What those find, instead of the truth.
    pub(crate) stuck: Mutex<Option<BTreeSet<Text>>>,
    /// Nodes that do not answer the leader.
    pub(crate) silent: Mutex<Vec<NodeId>>,
    /// How long the nodes have run without a standstill.
    pub(crate) awake_for: Mutex<Duration>,
}

impl World {
    pub(crate) fn new(effects_waiting_max: usize) -> Arc<World> {
        Arc::new(World {
            state: Mutex::default(),
            effects: broadcast::Sender::new(effects_waiting_max),
            events: broadcast::Sender::new(4096),
            leadership: Mutex::default(),
            views: Mutex::default(),
            due: watch::Sender::default(),
            applied: watch::Sender::default(),
            history: Mutex::default(),
            commands: Mutex::default(),
            held: watch::Sender::new(false),
            forgets: watch::Sender::new(false),
            faults: AtomicUsize::new(0),
            sweeps: AtomicUsize::new(0),
            stuck: Mutex::default(),
            silent: Mutex::default(),
            awake_for: Mutex::new(Duration::MAX),
        })
    }

    pub(crate) fn lead(&self, leader: Option<NodeId>) {
        let mut leadership = self.leadership.lock();
        *leadership = Leadership { leader, term: leadership.term + 1, is_leader: false };
        for (node, view) in self.views.lock().iter() {
            view.send_replace(Leadership { is_leader: leader == Some(*node), ..*leadership });
        }
    }

    /// The world as one more node sees it.
    pub(crate) fn view(self: &Arc<Self>, node: NodeId) -> View {
        let leadership = watch::Sender::new(*self.leadership.lock());
        self.views.lock().push((node, leadership.clone()));
        View { world: self.clone(), node, leadership }
    }

    /// Applies one command as the log would.
    pub(crate) fn apply(&self, proposal: Proposal) -> Outcome {
        let mut state = self.state.lock();
        self.commands.lock().push(proposal.command.clone());
        let entry = Entry { rev: state.meta.rev + 1, proposed_at: now(), proposal };
        let applied = apply(&mut state, &entry);
        let events = std::mem::take(&mut state.journal.events);
        self.history.lock().extend(events.iter().cloned());
        self.due.send_replace(state.next_due());
        // Nobody listens before the first node is started, or after the last has ended.
        if *self.forgets.borrow() {
            for _ in 0..20_000 {
                let _ = self.effects.send(Arc::from([]));
            }
        } else {
            let _ = self.effects.send(applied.effects.into());
        }
        // None at all says that some were missed.
        if !events.is_empty() {
            let _ = self.events.send(events.into());
        }
        self.applied.send_replace(entry.rev);
        applied.outcome
    }

    /// Gives an effect again.
    pub(crate) fn repeat(&self, effect: Effect) {
        let _ = self.effects.send(Arc::from([effect]));
    }

    /// Waits until something holds of the state.
    pub(crate) async fn until(&self, holds: impl Fn(&State) -> bool) {
        let mut applied = self.applied.subscribe();
        let wait = async {
            while !self.read(&holds) {
                applied.changed().await.expect("the world lives");
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "it never held; events: {:#?}", self.history.lock());
    }

    /// Waits for an event, also one of the past.
    pub(crate) async fn event<T>(&self, of: impl Fn(&Event) -> Option<T>) -> T {
        let found = || self.history.lock().iter().find_map(|recorded| of(&recorded.event));
        self.until(|_| found().is_some()).await;
        found().expect("it was found")
    }

    pub(crate) fn read<T>(&self, of: impl FnOnce(&State) -> T) -> T {
        of(&self.state.lock())
    }

    pub(crate) fn history(&self) -> Vec<Arc<Recorded>> {
        self.history.lock().clone()
    }

    /// How many commands like this there were.
    pub(crate) fn count(&self, is_one: impl Fn(&Command) -> bool) -> usize {
        self.commands.lock().iter().filter(|command| is_one(command)).count()
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    Timestamp(u64::try_from(since.as_millis()).expect("it is before the year 500,000,000"))
}

/// The world as one node sees it.
pub(crate) struct View {
    world: Arc<World>,
    node: NodeId,
    leadership: watch::Sender<Leadership>,
}

impl ReplicatedState for View {
    fn node(&self) -> NodeId {
        self.node
    }

    fn submit(&self, proposals: Vec<Proposal>) -> BoxFuture<'static, Vec<Result<Outcome, Unavailable>>> {
        let world = self.world.clone();
        Box::pin(async move {
            if world.leadership.lock().leader.is_none() {
                return proposals.iter().map(|_| Err(Unavailable::NoLeader)).collect();
            }
            let outcomes = proposals.into_iter().map(|proposal| Ok(world.apply(proposal))).collect();
            let mut held = world.held.subscribe();
            held.wait_for(|held| !held).await.expect("the world lives");
            outcomes
        })
    }

    fn effects(&self) -> broadcast::Receiver<Effects> {
        self.world.effects.subscribe()
    }

    fn events(&self) -> broadcast::Receiver<Events> {
        self.world.events.subscribe()
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    fn next_due(&self) -> watch::Receiver<Option<Timestamp>> {
        self.world.due.subscribe()
    }

    fn outstanding(&self) -> BoxFuture<'static, Vec<Effect>> {
        let world = self.world.clone();
        Box::pin(async move { outstanding(&world.state.lock()).collect() })
    }

    fn stuck_news(&self) -> BoxFuture<'static, Option<BTreeSet<Text>>> {
        let world = self.world.clone();
        Box::pin(async move {
            world.sweeps.fetch_add(1, Ordering::AcqRel);
            let invented = world.stuck.lock().clone();
            match invented {
                Some(found) => (found != *world.state.lock().meta.stuck).then_some(found),
                None => world.state.lock().stuck_news(),
            }
        })
    }

    fn run(&self, id: &RunId) -> Option<Arc<Run>> {
        self.world.state.lock().runs.share(id)
    }

    fn task(&self, id: &TaskId) -> Option<Arc<Task>> {
        self.world.state.lock().tasks.share(id)
    }

    fn component(&self, id: &ComponentId) -> Option<Arc<Component>> {
        let fault = |left: usize| left.checked_sub(1);
        let faults = self.world.faults.fetch_update(Ordering::AcqRel, Ordering::Acquire, fault);
        assert!(faults.is_err(), "a fault that the test asked for");
        self.world.state.lock().components.share(id)
    }

    fn messages(&self, component: &ComponentId, limit: usize) -> Vec<Arc<QueuedMessage>> {
        let state = self.world.state.lock();
        let of_it = (component.clone(), 0)..=(component.clone(), u64::MAX);
        state.messages.range(of_it).take(limit).filter_map(|(place, _)| state.messages.share(place)).collect()
    }

    fn components(&self) -> Vec<Arc<Component>> {
        let state = self.world.state.lock();
        state.components.iter().filter_map(|(id, _)| state.components.share(id)).collect()
    }

    fn definition(&self, id: &DefinitionId) -> Option<Arc<Definition>> {
        self.world.state.lock().definitions.share(id)
    }

    fn key(&self, key: &StateKey) -> Option<Json> {
        self.world.read(|state| state.keys.get(key).and_then(|record| record.value.clone()))
    }

    fn child(&self, name: Text, _: Option<u32>, _: Json) -> BoxFuture<'static, Result<ChildStart, Failure>> {
        let failure = Failure::new("WORKFLOW_UNKNOWN", format!("there is no workflow `{name}`"));
        Box::pin(async move { Err(failure) })
    }

    fn schedule(&self, id: &ScheduleId) -> Option<Arc<Schedule>> {
        self.world.state.lock().schedules.share(id)
    }

    fn config(&self) -> Arc<ClusterConfig> {
        self.world.state.lock().config().clone()
    }

    fn members(&self) -> Vec<NodeId> {
        (1..=9).map(NodeId).collect()
    }

    fn awake_for(&self) -> Duration {
        *self.world.awake_for.lock()
    }

    fn silent_nodes(&self, _: Duration) -> Vec<NodeId> {
        self.world.silent.lock().clone()
    }

    fn now(&self) -> Timestamp {
        now()
    }
}
