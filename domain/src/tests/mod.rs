//! Tests over the whole of the rules: tables of single rules, and seeded random histories.
//! Shared here: a cluster of one state with shorthand for commands.

mod attempts;
mod backlog;
mod cache;
mod children;
mod components;
mod dead;
mod deletions;
mod dice;
mod dice_kept;
mod dice_runs;
mod following;
mod groups;
mod handlers;
mod histories;
mod keys;
mod messages;
mod models;
mod properties;
mod retries;
mod runs;
mod schedules;
mod store;
mod tasks;
mod timeouts;
mod waits;
mod workflows;

use alloc::{format, string::ToString, sync::Arc, vec, vec::Vec};
use core::time::Duration;
use uuid::Uuid;

use crate::*;

pub(super) const ANN: &str = "ann";
pub(super) const BOB: &str = "bob";

/// A state with a clock and a log.
pub(super) struct Cluster {
    pub(super) state: State,
    pub(super) rev: u64,
    pub(super) clock: Timestamp,
    pub(super) effects: Vec<Effect>,
    sessions: u128,
}

impl Cluster {
    pub(super) fn new() -> Self {
        let clock = Timestamp(1_000_000);
        Cluster { state: State::default(), rev: 0, clock, effects: Vec::new(), sessions: 0 }
    }

    pub(super) fn propose(&mut self, proposal: impl Into<Proposal>) -> Outcome {
        self.rev += 1;
        let entry = Entry { rev: self.rev, proposed_at: self.clock, proposal: proposal.into() };
        let applied = apply(&mut self.state, &entry);
        assert_eq!(self.state.stuck(), Vec::<alloc::string::String>::new());
        self.effects = applied.effects;
        applied.outcome
    }

    pub(super) fn ok(&mut self, command: Command) -> Answer {
        self.propose(command.clone()).result.unwrap_or_else(|rejection| panic!("{command:?}: {rejection}"))
    }

    pub(super) fn refused(&mut self, command: Command) -> Rejection {
        self.propose(command.clone()).result.expect_err("it should be refused")
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.clock = self.clock + time;
        self.ok(Command::AdvanceTime);
    }

    pub(super) fn configure(&mut self, change: impl FnOnce(&mut ClusterConfig)) {
        let mut config = (**self.state.config()).clone();
        change(&mut config);
        self.ok(Command::Configure(config.into()));
    }

    /// Registers and connects a component with capabilities `a` and `b`.
    pub(super) fn connect(&mut self, name: &str, slots: u32, held: Vec<HeldAttempt>) -> SessionId {
        let id: ComponentId = name.parse().expect("a legal name");
        self.ok(registration(name, slots));
        self.sessions += 1;
        let session = SessionId(Uuid::from_u128(self.sessions));
        self.ok(Command::ConnectComponent { component: id, session, node: NodeId(1), held });
        session
    }

    pub(super) fn task(&self, id: u128) -> &Task {
        let id = TaskId::Single(Uuid::from_u128(id));
        self.state.tasks.latest(&id).expect("the task is live or has just ended")
    }

    pub(super) fn run(&self, id: u128) -> &Run {
        self.state.runs.latest(&run_id(id)).expect("the run is live or has just ended")
    }

    pub(super) fn token(&self, id: TaskId) -> Token {
        self.state.tasks.get(&id).and_then(|task| task.assignment.as_ref()).expect("an attempt runs").token
    }

    pub(super) fn complete(&mut self, task: TaskId, output: &str) {
        let token = self.token(task);
        self.ok(Command::CompleteTask { task, token, output: output.into() });
    }

    pub(super) fn fail(&mut self, task: TaskId, code: &str) {
        let token = self.token(task);
        let failure = Failure::new(code, "it broke");
        self.ok(Command::FailTask { task, token, failure, retryable: true, retry_after: None });
    }

    pub(super) fn start_run(&mut self, id: u128, steps: Vec<StepDef>) {
        let definition = definition(id, steps);
        self.ok(create_run(id, &definition));
    }

    pub(super) fn steps(&self, run: u128) -> Vec<&'static str> {
        self.run(run).steps.iter().map(|step| step.status.name()).collect()
    }

    pub(super) fn event_names(&self) -> Vec<alloc::string::String> {
        let name = |event: &Event| {
            alloc::format!("{event:?}").split([' ', '(', '{']).next().unwrap_or_default().to_string()
        };
        self.state.journal.events.iter().map(|recorded| name(&recorded.event)).collect()
    }
}

use alloc::boxed::Box;

/// A component with capabilities `a` and `b`.
pub(super) fn registration(name: &str, slots: u32) -> Command {
    Command::RegisterComponent(Box::new(RegisterComponent {
        id: name.parse().expect("a legal name"),
        name: name.into(),
        kind: "worker".into(),
        version: "1".into(),
        capabilities: vec!["a".into(), "b".into()],
        labels: Labels::new(),
        slots,
        ttl: None,
    }))
}

/// What lets all work of a random history end: schedules start nothing more, no action is paused, and somebody has
/// room for everything.
pub(super) fn finishing(state: &State) -> Vec<Command> {
    let pause = |schedule: &ScheduleId| Command::PauseSchedule { schedule: schedule.clone() };
    let mut commands: Vec<Command> = state.schedules.iter().map(|(id, _)| pause(id)).collect();
    let resume = |action: &str| Command::ResumeAction { action: action.into() };
    let component = "finisher".parse().expect("a legal name");
    let session = SessionId(Uuid::max());
    let connect = Command::ConnectComponent { component, session, node: NodeId(9), held: vec![] };
    commands.extend([resume("a"), resume("b"), registration("finisher", 100), connect]);
    commands
}

pub(super) fn run_id(id: u128) -> RunId {
    RunId(Uuid::from_u128(id))
}

pub(super) fn step_task(run: u128, step: StepIx) -> TaskId {
    TaskId::Step(run_id(run), step)
}

pub(super) fn create_run(id: u128, definition: &Arc<Definition>) -> Command {
    let body = Some(definition.clone());
    Command::CreateRun(Box::new(CreateRun { body, ..CreateRun::new(run_id(id), definition.id) }))
}

/// Steps with the followers that their needs make.
pub(super) fn linked(mut steps: Vec<StepDef>) -> Vec<StepDef> {
    let edges: Vec<(usize, StepIx)> = (0..)
        .zip(&steps)
        .flat_map(|(place, step)| step.needs.iter().map(move |need| (*need as usize, place)))
        .collect();
    for (need, follower) in edges {
        steps[need].followers.push(follower);
    }
    steps
}

pub(super) fn definition(id: u128, steps: Vec<StepDef>) -> Arc<Definition> {
    Arc::new(Definition::new(DefinitionId(id.to_be_bytes()), "test", linked(steps)))
}

pub(super) fn step(id: &str, needs: &[StepIx], kind: StepKind) -> StepDef {
    let retry = Retry { limit: 1, ..retry() };
    StepDef { needs: needs.to_vec(), ..StepDef::new(id, kind, retry) }
}

/// A `foreach` of block 1.
pub(super) fn each(items: &str, parallel_max: u32, fail_fast: bool) -> StepKind {
    let (items, item, index) = (items.into(), "item".into(), "index".into());
    StepKind::ForEach { items, block: 1, item, index, key: None, parallel_max, fail_fast }
}

pub(super) fn does(action: &str) -> StepKind {
    StepKind::Task { action: action.into(), config: "{}".into(), templated: false }
}

pub(super) fn retry() -> Retry {
    ClusterConfig::default().task_retry
}

pub(super) fn new_task(id: u128, action: &str, dependencies: &[u128]) -> NewTask {
    let dependency = |id: &u128| Dependency { task: TaskId::Single(Uuid::from_u128(*id)), ended: None };
    NewTask {
        id: TaskId::Single(Uuid::from_u128(id)),
        name: "task".into(),
        action: action.into(),
        payload: "{}".into(),
        priority: Priority::Normal,
        labels: Labels::new(),
        dependencies: dependencies.iter().map(dependency).collect(),
        timeout: None,
        queue_timeout: None,
        retry: None,
        run_at: None,
        total_timeout: None,
        heartbeat_timeout: None,
        requeued_from: None,
    }
}
