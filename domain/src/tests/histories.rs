//! Seeded random histories over all rules: replicas agree, a rejected command changes nothing but time, every item
//! that has not ended has exactly one wake-up, effects heard are what is outstanding, and all work ends.
//! A failure prints its seed; `SEED=n` replays that one, `HISTORIES=n` sets how many are run.

extern crate std;

use alloc::{collections::BTreeSet, format, string::String};
use std::{env, println};

use super::{store::Store, *};
use crate::indexes::Indexes;

const HISTORIES: u64 = 1_000;
const COMMANDS: usize = 250;

/// splitmix64
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) % sides
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        let place = self.roll(items.len().max(1) as u64) as usize;
        items.get(place).cloned()
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

/// Two replicas of one log: `kept` never restarts, `other` now and then comes back from its disk.
struct Replicas {
    kept: State,
    other: State,
    disk: Store,
    rev: u64,
    clock: Timestamp,
    heard: BTreeSet<Effect>,
}

fn rows(state: &State) -> String {
    let tables = (state.runs.iter().collect::<Vec<_>>(), state.tasks.iter().collect::<Vec<_>>());
    let more = (state.components.iter().collect::<Vec<_>>(), state.keys.iter().collect::<Vec<_>>());
    let definitions = state.definitions.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    format!("{tables:?} {more:?} {definitions:?} {} {:?}", state.meta.seq, state.meta.token)
}

impl Replicas {
    fn new() -> Self {
        Replicas {
            kept: State::default(),
            other: State::default(),
            disk: Store::default(),
            rev: 0,
            clock: Timestamp(1_000_000),
            heard: BTreeSet::new(),
        }
    }

    fn apply(&mut self, proposal: Proposal) -> Outcome {
        self.rev += 1;
        let entry = Entry { rev: self.rev, proposed_at: self.clock, proposal };
        let before = rows(&self.kept);
        let one = apply(&mut self.kept, &entry);
        let other = apply(&mut self.other, &entry);
        assert_eq!(one.outcome, other.outcome, "replicas answer alike");
        assert_eq!(one.effects, other.effects, "replicas order alike");
        assert_eq!(self.kept.meta, self.other.meta);
        if one.outcome.result.is_err() || one.outcome.replayed {
            assert_eq!(before, rows(&self.kept), "a rejected command changes nothing but time");
        }
        self.check_effects(one.effects);
        check_wake_ups(&self.kept);
        one.outcome
    }

    fn check_effects(&mut self, effects: Vec<Effect>) {
        let owed: BTreeSet<Effect> = outstanding(&self.kept).collect();
        for effect in &effects {
            let lasting = matches!(effect, Effect::DeliverTask { .. } | Effect::Evaluate { .. });
            assert!(!lasting || owed.contains(effect), "{effect:?} was ordered and is not owed");
        }
        self.heard.extend(effects);
        self.heard.retain(|effect| owed.contains(effect));
        assert_eq!(self.heard, owed, "what is owed was ordered");
    }

    fn restart_other(&mut self) {
        self.disk.drain(&mut self.other);
        let loaded = self.disk.load();
        assert_eq!(rows(&loaded), rows(&self.other));
        self.other = loaded;
    }

    fn agree(&self) {
        assert_eq!(rows(&self.kept), rows(&self.other), "replicas hold the same rows");
        assert_eq!(self.kept.indexes, self.other.indexes);
        assert_eq!(self.kept.indexes, Indexes::of(&self.kept), "indexes are functions of rows");
    }
}

fn check_wake_ups(state: &State) {
    assert_eq!(state.stuck(), Vec::<String>::new());
    for (id, task) in state.tasks.iter() {
        assert!(state.indexes.has_wake_up(task), "task {id} has exactly one wake-up: {task:?}");
    }
    let counts = state.counts();
    assert!(counts.tasks_running <= state.config().tasks_running_max as usize);
    assert!(counts.runs_active <= state.config().runs_active_max as usize);
    for (_, component) in state.components.iter() {
        let running = state.indexes.running_on(&component.id).len();
        assert!(running <= component.slots as usize, "{running} attempts on {} slots", component.slots);
    }
}

fn random_steps(dice: &mut Dice) -> Vec<StepDef> {
    let count = 1 + dice.roll(6) as StepIx;
    let mut steps = Vec::new();
    for place in 0..count {
        let needs: Vec<StepIx> = (0..place).filter(|_| dice.chance(40)).collect();
        let kind = match dice.roll(8) {
            0 => StepKind::Delay { duration: Duration::from_millis(dice.roll(3_000)) },
            1 => StepKind::Condition {
                expression: "x".into(),
                on_false: if dice.chance(50) { OnFalse::Skip } else { OnFalse::Fail },
            },
            2 if !needs.is_empty() => StepKind::Parallel { children: needs.clone() },
            3 => StepKind::Task { action: "a".into(), config: "{}".into(), templated: true },
            _ => does(if dice.chance(70) { "a" } else { "b" }),
        };
        let mut step = step("s", &needs, kind);
        step.continue_on_error = dice.chance(15);
        step.timeout = Duration::from_millis(500 + dice.roll(4_000));
        step.queue_timeout = dice.chance(20).then(|| Duration::from_millis(500 + dice.roll(5_000)));
        step.retry = random_retry(dice);
        step.only_if = match dice.roll(6) {
            0 => Some("inputs.x".into()),
            1 => Some("always()".into()),
            _ => None,
        };
        steps.push(step);
    }
    steps
}

fn random_retry(dice: &mut Dice) -> Retry {
    Retry {
        limit: 1 + dice.roll(3) as u32,
        delay: Duration::from_millis(dice.roll(1_500)),
        backoff_percent: 100 + dice.roll(200) as u32,
        jitter: dice.chance(50),
        lost_max: dice.roll(3) as u32,
        ..retry()
    }
}

fn random_command(dice: &mut Dice, replicas: &Replicas, next: u128) -> Command {
    let state = &replicas.kept;
    let runs: Vec<RunId> = state.runs.iter().map(|(id, _)| *id).collect();
    let tasks: Vec<TaskId> = state.tasks.iter().map(|(id, _)| *id).collect();
    let run = dice.pick(&runs).unwrap_or(run_id(u128::from(dice.roll(40))));
    let any_task = dice.pick(&tasks).unwrap_or(TaskId::Single(Uuid::from_u128(u128::from(dice.roll(40)))));
    let name = dice.pick(&[ANN, BOB, "cid", "nobody"]).expect("it is not empty");
    let component: ComponentId = name.parse().expect("a legal name");
    let session = state.components.get(&component).and_then(|c| c.session.as_ref()).map(|session| session.id);
    match dice.roll(24) {
        0..=3 => create_run(next, &definition(u128::from(dice.roll(20)) << 64 | next, random_steps(dice))),
        4 => Command::CancelRun { run, reason: "enough".into() },
        5 => Command::PauseRun { run },
        6..=7 => Command::ResumeRun { run },
        8..=9 => Command::CreateTasks { tasks: random_tasks(dice, next, &tasks) },
        10 => Command::CancelTask { task: any_task, reason: "no".into() },
        11 if !name.starts_with('n') => Command::RegisterComponent(Box::new(RegisterComponent {
            id: component,
            name: name.into(),
            kind: "worker".into(),
            version: "1".into(),
            capabilities: if dice.chance(60) { vec!["a".into(), "b".into()] } else { vec!["a".into()] },
            labels: Labels::new(),
            // Never fewer slots than before: a promise already given is not taken back.
            slots: state
                .components
                .get(&name.parse().expect("a legal name"))
                .map_or(2, |known| known.slots + 1),
        })),
        11..=14 => Command::ConnectComponent {
            held: random_held(dice, state, &component),
            component,
            session: SessionId(Uuid::from_u128(next)),
            node: NodeId(1 + dice.roll(3)),
        },
        15 => Command::EndSession {
            component,
            session: session.unwrap_or(SessionId(Uuid::nil())),
            end: if dice.chance(70) { SessionEnd::Lost } else { SessionEnd::Closed },
        },
        16 => {
            Command::EndNodeSessions { node: NodeId(1 + dice.roll(3)), except: session.into_iter().collect() }
        }
        17 if dice.chance(30) => Command::DeregisterComponent { component },
        17 => Command::DrainComponent { component },
        18..=19 => random_state_write(dice),
        20 if dice.chance(20) => Command::Configure(Box::new(ClusterConfig {
            // Limits only rise: one that falls holds for what starts after it.
            runs_active_max: state.config().runs_active_max + dice.roll(2) as u32,
            tasks_running_max: state.config().tasks_running_max + dice.roll(2) as u32,
            head_start: Duration::from_millis(dice.roll(10_000)),
            versions_max: 1 + dice.roll(4) as u32,
            ..ClusterConfig::default()
        })),
        _ => Command::AdvanceTime,
    }
}

fn random_tasks(dice: &mut Dice, next: u128, live: &[TaskId]) -> Vec<NewTask> {
    let count = 1 + u128::from(dice.roll(3));
    (0..count)
        .map(|place| {
            let mut task = new_task(next + place, if dice.chance(70) { "a" } else { "b" }, &[]);
            let known: Vec<TaskId> = live
                .iter()
                .copied()
                .chain((0..place).map(|p| TaskId::Single(Uuid::from_u128(next + p))))
                .collect();
            for _ in 0..dice.roll(3) {
                let unknown = TaskId::Single(Uuid::from_u128(u128::MAX));
                let task_id = if dice.chance(5) { unknown } else { dice.pick(&known).unwrap_or(unknown) };
                let ended = dice.chance(50).then_some(TaskStatus::Completed);
                task.dependencies.push(Dependency { task: task_id, ended });
            }
            task.priority = Priority::from_level(1 + dice.roll(5)).expect("1 to 5");
            task.timeout = Some(Duration::from_millis(500 + dice.roll(4_000)));
            task.queue_timeout = dice.chance(30).then(|| Duration::from_millis(500 + dice.roll(5_000)));
            task.retry = Some(random_retry(dice));
            task
        })
        .collect()
}

fn random_held(dice: &mut Dice, state: &State, component: &ComponentId) -> Vec<HeldAttempt> {
    let running = state.indexes.running_on(component).into_iter();
    let held = running.filter_map(|id| {
        let token = state.tasks.get(&id)?.assignment.as_ref()?.token;
        Some(HeldAttempt { task: id, token: if dice.chance(90) { token } else { Token(1) } })
    });
    let all: Vec<HeldAttempt> = held.collect();
    all.into_iter().filter(|_| dice.chance(70)).collect()
}

fn random_state_write(dice: &mut Dice) -> Command {
    Command::SetState {
        key: dice.pick(&["app.a", "app.b", "c"]).expect("it is not empty").parse().expect("a legal key"),
        value: dice.chance(80).then(|| Json::from(format!("{}", dice.roll(100)))),
        expect: match dice.roll(4) {
            0 => Expect::Absent,
            1 => Expect::Present,
            2 => Expect::Version(dice.roll(5)),
            _ => Expect::Any,
        },
    }
}

/// The hands: one of the orders owed is carried out, well or badly.
fn random_hand(dice: &mut Dice, replicas: &Replicas) -> Option<Command> {
    let owed: Vec<Effect> = outstanding(&replicas.kept).collect();
    Some(match dice.pick(&owed)? {
        Effect::DeliverTask { task, token, .. } | Effect::CancelAttempt { task, token, .. } => {
            let token = if dice.chance(95) { token } else { Token(token.0.saturating_sub(1)) };
            if dice.chance(70) {
                Command::CompleteTask { task, token, output: "1".into() }
            } else {
                let failure = Failure::new("BROKEN", "it broke");
                Command::FailTask { task, token, failure, retryable: dice.chance(80), retry_after: None }
            }
        }
        Effect::Evaluate { run, point } => Command::RecordEvaluation {
            run,
            point,
            evaluation: random_evaluation(dice, replicas, run, point),
        },
        Effect::CloseSession { .. } => return None,
    })
}

fn random_evaluation(dice: &mut Dice, replicas: &Replicas, run: RunId, point: EvalPoint) -> Evaluation {
    if dice.chance(10) {
        return Evaluation::Failed(Failure::new("EXPRESSION_FAILED", "unknown name"));
    }
    let EvalPoint::Step(place) = point else { return Evaluation::Outputs("{}".into()) };
    let decision = Decision { value: dice.chance(60), inputs: "{}".into() };
    let definition =
        replicas.kept.runs.get(&run).and_then(|run| replicas.kept.definitions.get(&run.definition));
    let step = &definition.expect("a live run's definition is in memory").steps[place as usize];
    match &step.kind {
        _ if step.only_if.is_some() && dice.chance(40) => {
            Evaluation::Skip(Decision { value: false, ..decision })
        }
        StepKind::Condition { .. } => Evaluation::Condition(decision),
        StepKind::Task { .. } | StepKind::Parallel { .. } | StepKind::Delay { .. } => {
            Evaluation::Proceed { config: None }
        }
    }
}

/// Faults end, hands work: everything that can end does.
fn finish(dice: &mut Dice, replicas: &mut Replicas) {
    for run in replicas.kept.runs.iter().map(|(id, _)| *id).collect::<Vec<_>>() {
        replicas.apply(Command::ResumeRun { run }.into());
    }
    let component: ComponentId = "finisher".parse().expect("a legal name");
    replicas.apply(
        Command::RegisterComponent(Box::new(RegisterComponent {
            id: component.clone(),
            name: "finisher".into(),
            kind: "worker".into(),
            version: "1".into(),
            capabilities: vec!["a".into(), "b".into()],
            labels: Labels::new(),
            slots: 100,
        }))
        .into(),
    );
    let connect = Command::ConnectComponent {
        component,
        session: SessionId(Uuid::max()),
        node: NodeId(9),
        held: vec![],
    };
    replicas.apply(connect.into());
    for _ in 0..20_000 {
        if replicas.kept.runs.is_empty() && replicas.kept.tasks.is_empty() {
            return;
        }
        let command = random_hand(dice, replicas).unwrap_or_else(|| {
            replicas.clock =
                replicas.kept.next_due().expect("what has not ended is due some time").max(replicas.clock);
            Command::AdvanceTime
        });
        replicas.apply(command.into());
    }
    panic!("work does not end: {}", rows(&replicas.kept));
}

fn history(seed: u64) -> (usize, usize) {
    let mut dice = Dice(seed);
    let mut replicas = Replicas::new();
    let limits = ClusterConfig { runs_active_max: 4, tasks_running_max: 5, ..ClusterConfig::default() };
    replicas.apply(Command::Configure(Box::new(limits)).into());
    let mut refused = 0;
    for place in 0..COMMANDS {
        replicas.clock = Timestamp(replicas.clock.0 + dice.roll(200));
        if dice.chance(5) {
            replicas.clock = Timestamp(replicas.clock.0.saturating_sub(dice.roll(5_000)));
        }
        let next = 1_000 + 10 * place as u128;
        let hand = if dice.chance(45) { random_hand(&mut dice, &replicas) } else { None };
        let command = hand.unwrap_or_else(|| random_command(&mut dice, &replicas, next));
        let key = IdempotencyKey([dice.roll(40) as u8; 16]);
        let idempotency = dice.chance(10).then(|| Idempotency { key, request: dice.roll(3) });
        let stale = is_stale(&replicas.kept, &command);
        let outcome = replicas.apply(Proposal { command, idempotency });
        assert!(!stale || outcome.replayed || outcome.result.is_err(), "an older token changes nothing");
        refused += usize::from(outcome.result.is_err());
        if dice.chance(10) {
            replicas.restart_other();
        }
        if dice.chance(10) {
            replicas.agree();
        }
    }
    finish(&mut dice, &mut replicas);
    replicas.agree();
    (replicas.rev as usize, refused)
}

fn is_stale(state: &State, command: &Command) -> bool {
    match command {
        Command::CompleteTask { task, token, .. } | Command::FailTask { task, token, .. } => {
            !state.tasks.get(task).is_some_and(|task| task.is_current(*token))
        }
        _ => false,
    }
}

struct Announce(u64);

impl Drop for Announce {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed at SEED={}", self.0);
        }
    }
}

#[test]
fn random_histories_keep_every_promise() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("HISTORIES").unwrap_or(HISTORIES),
    };
    let (mut commands, mut refused) = (0, 0);
    for seed in seeds.clone() {
        let announce = Announce(seed);
        let (applied, rejected) = history(seed);
        commands += applied;
        refused += rejected;
        drop(announce);
    }
    println!("{} histories, {commands} commands, {refused} refused", seeds.end - seeds.start);
    assert!(refused > 0 && refused < commands / 2, "refusals are exercised, and are not all there is");
}
