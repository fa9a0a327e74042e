//! Starts the actors of a node on a thread of their own, keeps them running, tells them who leads, asks how they are when
//! somebody wants to know, and stops them. Knows nothing of what any of them does.

mod health;

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use actix::prelude::*;
use orc_runtime::Worker;
use tokio::sync::{oneshot, watch};

pub use health::{ActorHealth, HealthHandle, HealthReport, NodeStatus};

use crate::{
    Options,
    component_coordinator::{ComponentCoordinator, CoordinatorHandle, Desk},
    gauges::Gauges,
    proposer::{Proposer, ProposerHandle, proposer},
    seam::{Leadership, Peers, ReplicatedState},
    state_manager::{StateManager, StateManagerHandle},
    supervision::{Door, Member, behind, every, leader_only},
    task_scheduler::TaskScheduler,
    workflow_manager::WorkflowManager,
};

/// The actors' thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the thread of the actors could not be started")]
pub struct StartError(#[from] std::io::Error);

/// What the rest of a node uses of its actors.
pub struct Handles {
    /// Proposes commands.
    pub proposer: ProposerHandle,
    /// Connects components and sends them messages.
    pub coordinator: CoordinatorHandle,
    /// Subscribes to events.
    pub state_manager: StateManagerHandle,
    /// Says how the actors are.
    pub health: HealthHandle,
    desk: Arc<Desk>,
    stop: oneshot::Sender<()>,
    thread: Worker,
    deadline: Duration,
}

impl Handles {
    /// Stops gracefully: components hear goodbye and keep their attempts for the grace time, proposals under way are
    /// answered and new ones refused, then the actors end.
    pub async fn shutdown(self) {
        let goodbye = self.desk.close();
        if tokio::time::timeout(self.deadline / 2, goodbye).await.is_err() {
            tracing::warn!("the sessions of this node could not be ended in time");
        }
        self.proposer.close(self.deadline / 2).await;
        // Either the thread hears it, or it has ended.
        let _ = self.stop.send(());
        if self.thread.ended().await.is_err() {
            tracing::error!("the thread of the actors panicked");
        }
    }
}

/// Starts the actors of a node.
pub struct Orchestrator;

impl Orchestrator {
    /// Starts every actor on a thread of its own; other work runs on the runtime of the options.
    pub fn start(
        state: Arc<dyn ReplicatedState>,
        peers: Arc<dyn Peers>,
        options: Options,
    ) -> Result<Handles, StartError> {
        let gauges = Arc::new(Gauges::default());
        let (propose, submits) = proposer(state.clone(), &options);
        let desk = Arc::new(Desk::new(state.clone(), peers, propose.clone(), &options, gauges.clone()));
        let coordinator = CoordinatorHandle::new(desk.clone());
        let (subscriptions, checks) = (Door::new(), Door::new());
        let health = HealthHandle::new(
            checks.clone(),
            health::Sources {
                state: state.clone(),
                proposer: propose.clone(),
                coordinator: coordinator.clone(),
                gauges: gauges.clone(),
            },
        );
        let (stop, stopped) = oneshot::channel();
        let (handles, deadline) =
            ((propose.clone(), desk.clone(), subscriptions.clone()), options.shutdown_deadline);
        let thread = Worker::start_local("orc-actors", move || {
            let (propose, desk, subscriptions) = handles;
            let coordinator = CoordinatorHandle::new(desk.clone());
            let members = vec![
                leader_only_members((&state, &propose, &coordinator), &gauges),
                vec![
                    leader_only("ComponentCoordinator", move || ComponentCoordinator::new(desk.clone())),
                    behind("Proposer", Door::new(), move || Proposer::new(submits.clone())),
                    state_manager(subscriptions, state.clone(), &options, gauges.clone()),
                ],
            ];
            let roster = Rc::new(RefCell::new(members.into_iter().flatten().collect()));
            let keeper = Keeper { roster, leadership: state.leadership(), checks, options };
            keeper.keep(stopped)
        })?;
        let state_manager = StateManagerHandle::new(subscriptions);
        Ok(Handles { proposer: propose, coordinator, state_manager, health, desk, stop, thread, deadline })
    }
}

fn leader_only_members(
    (state, propose, coordinator): (&Arc<dyn ReplicatedState>, &ProposerHandle, &CoordinatorHandle),
    gauges: &Arc<Gauges>,
) -> Vec<Member> {
    let coordinator = coordinator.clone();
    let parts = || (state.clone(), propose.clone(), gauges.clone());
    let (manager, scheduler) = (parts(), parts());
    vec![
        leader_only("WorkflowManager", move || {
            let (state, propose, gauges) = manager.clone();
            WorkflowManager::new(state, propose, coordinator.clone(), gauges)
        }),
        leader_only("TaskScheduler", move || {
            let (state, propose, gauges) = scheduler.clone();
            TaskScheduler::new(state, propose, gauges)
        }),
    ]
}

fn state_manager(
    door: Door<StateManager>,
    state: Arc<dyn ReplicatedState>,
    options: &Options,
    gauges: Arc<Gauges>,
) -> Member {
    let options = options.clone();
    behind("StateManager", door, move || StateManager::new(state.clone(), &options, gauges.clone()))
}

/// What outlives the orchestrator itself, which may die like any other actor.
struct Keeper {
    roster: Rc<RefCell<Vec<Member>>>,
    leadership: watch::Receiver<Leadership>,
    checks: Door<SystemOrchestrator>,
    options: Options,
}

impl Keeper {
    /// Keeps a [`SystemOrchestrator`] running until the node stops, then ends the actors.
    async fn keep(self, mut stopped: oneshot::Receiver<()>) {
        let mut orchestrator = self.start();
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                () = tokio::time::sleep(self.options.watchdog_interval) => {}
            }
            if !orchestrator.connected() {
                tracing::error!("the orchestrator died: starting it again");
                orchestrator = self.start();
            }
        }
        // Dropped before the wait: the roster must not be borrowed across it.
        let ending: Vec<_> = self.roster.borrow_mut().iter_mut().filter_map(Member::stop).collect();
        let ended = futures::future::join_all(ending);
        if tokio::time::timeout(self.options.shutdown_deadline, ended).await.is_err() {
            tracing::warn!("an actor did not end in time");
        }
    }

    fn start(&self) -> Addr<SystemOrchestrator> {
        let orchestrator = SystemOrchestrator {
            roster: self.roster.clone(),
            leadership: self.leadership.clone(),
            options: self.options.clone(),
        };
        let address = orchestrator.start();
        self.checks.lead_to(address.clone());
        address
    }
}

/// Keeps the actors of a node running and tells them who leads.
pub struct SystemOrchestrator {
    roster: Rc<RefCell<Vec<Member>>>,
    leadership: watch::Receiver<Leadership>,
    options: Options,
}

impl SystemOrchestrator {
    fn keep_members(&mut self) {
        let leadership = *self.leadership.borrow_and_update();
        self.roster.borrow_mut().iter_mut().for_each(|member| member.keep(leadership));
    }

    fn follow_leadership(&mut self, ctx: &mut Context<Self>) {
        let mut leadership = self.leadership.clone();
        let changed = async move { leadership.changed().await };
        ctx.spawn(changed.into_actor(self).map(|changed, orchestrator, ctx| {
            orchestrator.keep_members();
            if changed.is_ok() {
                orchestrator.follow_leadership(ctx);
            }
        }));
    }
}

impl Actor for SystemOrchestrator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.keep_members();
        self.follow_leadership(ctx);
        every(ctx, self.options.watchdog_interval, |orchestrator, _| orchestrator.keep_members());
    }
}
