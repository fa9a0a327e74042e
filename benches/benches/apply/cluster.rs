//! A state with a clock and a log: it applies records of commands and says how long that took.
//! What the apply thread does besides (showing rows, handing over changes) happens outside the measured time.

use std::{
    collections::VecDeque,
    hint::black_box,
    time::{Duration, Instant},
};

use orc_domain::{Applied, Command, Effect, Entry, Json, State, TaskId, Timestamp, Token, apply};
use uuid::Uuid;

use crate::{readers::Readers, workflow};

/// The worker whose attempts the benches complete.
pub const WORKER: &str = "bench";

/// A state with a clock and a log.
pub struct Cluster {
    /// The state.
    pub state: State,
    /// Attempts that [`WORKER`] runs, the oldest first.
    pub attempts: VecDeque<(TaskId, Token)>,
    readers: Readers,
    rev: u64,
    clock: Timestamp,
    ids: u64,
}

impl Cluster {
    /// Without rows and limits.
    pub fn new() -> Cluster {
        let mut cluster = Cluster {
            state: State::default(),
            attempts: VecDeque::new(),
            readers: Readers::default(),
            rev: 0,
            clock: Timestamp(1_700_000_000_000),
            ids: 0,
        };
        cluster.record(vec![workflow::no_limits()]);
        cluster
    }

    /// A fresh id; ids rise, as those of the gateway do.
    pub fn id(&mut self) -> Uuid {
        self.ids += 1;
        let scattered = self.ids.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
        Uuid::from_u64_pair(self.ids, scattered)
    }

    /// Lets time pass; a record takes a millisecond by itself.
    pub fn pass(&mut self, time: Duration) {
        self.clock = self.clock + time;
    }

    /// Applies one record, whole, and says how long that took. A refused command ends the bench.
    pub fn record(&mut self, commands: Vec<Command>) -> Duration {
        self.rev += 1;
        self.pass(Duration::from_millis(1));
        let (rev, proposed_at) = (self.rev, self.clock);
        let entry = |command: Command| Entry { rev, proposed_at, proposal: command.into() };
        let entries: Vec<Entry> = commands.into_iter().map(entry).collect();
        let mut applied: Vec<Applied> = Vec::with_capacity(entries.len());
        let began = Instant::now();
        for entry in &entries {
            applied.push(black_box(apply(&mut self.state, entry)));
        }
        let took = began.elapsed();
        applied.into_iter().for_each(|applied| self.hear(applied));
        self.readers.show(&mut self.state);
        took
    }

    fn hear(&mut self, applied: Applied) {
        if let Err(rejection) = applied.outcome.result {
            panic!("a command was refused: {rejection}");
        }
        for effect in applied.effects {
            match effect {
                Effect::DeliverTask { component, task, token } if component.as_str() == WORKER => {
                    self.attempts.push_back((task, token));
                }
                _ => {}
            }
        }
    }

    /// Results of the worker's oldest attempts.
    pub fn results(&mut self, count: usize) -> Vec<Command> {
        let output = || Json::from(r#"{"text":"hello","length":5}"#);
        let attempts = self.attempts.drain(..count);
        attempts.map(|(task, token)| Command::CompleteTask { task, token, output: output() }).collect()
    }

    /// Completes attempts of the worker until it has none.
    pub fn finish(&mut self) {
        while !self.attempts.is_empty() {
            let results = self.results(self.attempts.len());
            self.record(results);
        }
    }
}
