//! Seeded random histories over all rules: replicas agree, a rejected command changes nothing but time, every item
//! that has not ended has exactly one wake-up, effects heard are what is outstanding, and all work ends.
//! A failure prints its seed; `SEED=n` replays that one, `HISTORIES=n` sets how many are run.

extern crate std;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
};
use std::{env, println};

use super::{
    dice::{Dice, random_command, random_hand},
    dice_runs::random_outside,
    models::Models,
    store::Store,
    *,
};
use crate::indexes::Indexes;

const HISTORIES: u64 = 1_000;
const COMMANDS: usize = 250;

/// Two replicas of one log: `kept` never restarts, `other` now and then comes back from its disk.
struct Replicas {
    kept: State,
    other: State,
    disk: Store,
    rev: u64,
    clock: Timestamp,
    heard: BTreeSet<Effect>,
    /// The last version of each state key.
    versions: BTreeMap<StateKey, u64>,
    models: Models,
}

fn rows(state: &State) -> String {
    let tables = (state.runs.iter().collect::<Vec<_>>(), state.tasks.iter().collect::<Vec<_>>());
    let more = (state.components.iter().collect::<Vec<_>>(), state.keys.iter().collect::<Vec<_>>());
    let fans = state.fans.iter().collect::<Vec<_>>();
    let dead = state.dead.iter().collect::<Vec<_>>();
    let definitions = state.definitions.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    let kept = (state.workflows.iter().collect::<Vec<_>>(), state.schedules.iter().collect::<Vec<_>>());
    let outputs = state.outputs.iter().collect::<Vec<_>>();
    let snapshots = (state.snapshots.iter().collect::<Vec<_>>(), state.saved.iter().collect::<Vec<_>>());
    let messages =
        (state.messages.iter().collect::<Vec<_>>(), state.dead_messages.iter().collect::<Vec<_>>());
    let Meta { seq, token, paused_actions, stuck, .. } = &state.meta;
    format!(
        "{tables:?} {more:?} {kept:?} {fans:?} {definitions:?} {dead:?} {outputs:?} {snapshots:?} {messages:?} {seq} {token:?} {paused_actions:?} {stuck:?}"
    )
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
            versions: BTreeMap::new(),
            models: Models::default(),
        }
    }

    fn apply(&mut self, proposal: Proposal) -> Outcome {
        self.rev += 1;
        let entry = Entry { rev: self.rev, proposed_at: self.clock, proposal };
        let (before, seq) = (rows(&self.kept), self.kept.meta.seq);
        let one = apply(&mut self.kept, &entry);
        let other = apply(&mut self.other, &entry);
        assert_eq!(one.outcome, other.outcome, "replicas answer alike");
        assert_eq!(one.effects, other.effects, "replicas order alike");
        assert_eq!(self.kept.meta, self.other.meta);
        if one.outcome.result.is_err() || one.outcome.replayed {
            assert_eq!(before, rows(&self.kept), "a rejected command changes nothing but time");
        }
        self.check_effects(one.effects, entry.proposal.command == Command::AdvanceTime);
        check_wake_ups(&self.kept);
        self.check_versions(seq);
        one.outcome
    }

    /// Versions of a state key come one after another, also within one entry.
    fn check_versions(&mut self, seq: u64) {
        let facts = &self.kept.journal.events;
        let new = facts.iter().rev().take_while(|recorded| recorded.seq > seq).count();
        for recorded in &facts[facts.len() - new..] {
            if let Event::StateChanged(KeyChange { key, version, .. }) = &recorded.event {
                let before = self.versions.insert(key.clone(), *version).unwrap_or(0);
                assert_eq!(*version, before + 1, "of {key}");
            }
        }
        self.models.watch(&facts[facts.len() - new..], &self.kept);
    }

    fn check_effects(&mut self, effects: Vec<Effect>, advances: bool) {
        let owed: BTreeSet<Effect> = outstanding(&self.kept).collect();
        // Many deadlines in one entry may overtake what an earlier one ordered.
        for effect in effects.iter().filter(|_| !advances) {
            let lasting = matches!(
                effect,
                Effect::DeliverTask { .. } | Effect::Evaluate { .. } | Effect::SendMessage { .. }
            );
            // A run may begin and be ended by another of its family in one entry.
            let over = match effect {
                Effect::Evaluate { run, .. } | Effect::SendMessage { run, .. } => {
                    !self.kept.runs.contains(run)
                }
                _ => false,
            };
            assert!(!lasting || over || owed.contains(effect), "{effect:?} was ordered and is not owed");
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
    assert!(state.dead.len() <= state.config().tasks_dead_max as usize);
    check_backlog(state);
    for (_, component) in state.components.iter() {
        let running = state.indexes.running_on(&component.id).len();
        assert!(running <= component.slots as usize, "{running} attempts on {} slots", component.slots);
    }
}

/// The counts of each action are those of its tasks.
fn check_backlog(state: &State) {
    let (mut queued, mut running) = (0, 0);
    for (action, backlog) in state.backlog() {
        let ready = state.tasks.iter().map(|(_, task)| task);
        let waits = |task: &&Task| task.status == TaskStatus::Queued && !task.held;
        let ready = ready.filter(|task| task.action == action).filter(waits);
        assert_eq!(backlog.oldest, ready.map(|task| task.ready_at).min(), "of {action}");
        queued += backlog.queued - backlog.held;
        running += backlog.running;
    }
    let counts = state.counts();
    assert_eq!((queued as usize, running as usize), (counts.tasks_queued, counts.tasks_running));
}

/// Faults end, hands work: everything that can end does.
fn finish(dice: &mut Dice, replicas: &mut Replicas) {
    for run in replicas.kept.runs.iter().map(|(id, _)| *id).collect::<Vec<_>>() {
        replicas.apply(Command::ResumeRun { run }.into());
    }
    for command in finishing(&replicas.kept) {
        replicas.apply(command.into());
    }
    for round in 0..100_000 {
        if replicas.kept.runs.is_empty() && replicas.kept.tasks.is_empty() {
            return;
        }
        let hand = random_hand(dice, &replicas.kept).filter(|_| round % 8 < 6);
        let command = hand.unwrap_or_else(|| {
            let runs: Vec<RunId> = replicas.kept.runs.iter().map(|(id, _)| *id).collect();
            match replicas.kept.next_due() {
                Some(due) if dice.chance(50) => {
                    replicas.clock = due.max(replicas.clock);
                    Command::AdvanceTime
                }
                _ => {
                    let run = dice.pick(&runs).unwrap_or(run_id(0));
                    random_outside(dice, &replicas.kept, run)
                }
            }
        });
        replicas.apply(command.into());
    }
    panic!("work does not end: {}", rows(&replicas.kept));
}

fn history(seed: u64) -> (usize, usize) {
    let mut dice = Dice(seed);
    let mut replicas = Replicas::new();
    let limits = ClusterConfig {
        runs_active_max: 4,
        tasks_running_max: 5,
        tasks_dead_max: 3,
        messages_dead_max: 3,
        messages_waiting_max: 100,
        snapshots_max: 5,
        snapshots_kept: 2,
        message_timeout: Duration::from_secs(2),
        ..ClusterConfig::default()
    };
    replicas.apply(Command::Configure(Box::new(limits)).into());
    let mut refused = 0;
    for place in 0..COMMANDS {
        replicas.clock = Timestamp(replicas.clock.0 + dice.roll(200));
        if dice.chance(5) {
            replicas.clock = Timestamp(replicas.clock.0.saturating_sub(dice.roll(5_000)));
        }
        let next = 1_000 + 10 * place as u128;
        let hand = if dice.chance(45) { random_hand(&mut dice, &replicas.kept) } else { None };
        let command = hand.unwrap_or_else(|| random_command(&mut dice, &replicas.kept, next));
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
        Command::CompleteTask { task, token, .. }
        | Command::FailTask { task, token, .. }
        | Command::ExpireHeartbeat { task, token } => {
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
