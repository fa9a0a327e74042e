//! Promises as properties of random histories: each file watches for one and says what broke it; each is shown to fail
//! when a rule goes wrong. `SEED=n` replays one history, `RUNS=n` sets how many runs are made in all.
//! Here: the histories, and how a wrong rule is planted.

extern crate std;

use alloc::{format, string::String, vec::Vec};
use std::{env, println};

use super::{
    dice::{Dice, random_command, random_hand},
    dice_runs::{awaited_from_outside, random_definition_of},
    *,
};

mod p07_one_end;
mod p08_nothing_stuck;
mod p09_needs_first;
mod p10_limits_hold;
mod p11_results_count_once;
mod p12_attempts_are_exact;
mod p13_the_urgent_first;
mod p14_never_early;
mod p15_nothing_starts_after_a_stop;
mod p16_decided_once;

/// Runs made for one property.
const RUNS: usize = 10_000;
/// Runs of one history.
const RUNS_OF_ONE: usize = 40;

/// One applied command and what it led to.
pub(super) struct Happened<'a> {
    pub(super) command: &'a Command,
    pub(super) outcome: &'a Result<Answer, Rejection>,
    pub(super) events: &'a [Arc<Recorded>],
    /// After it.
    pub(super) state: &'a State,
}

/// A promise, watched over one history.
pub(super) trait Property: Default {
    /// What broke it, if anything did.
    fn watch(&mut self, happened: &Happened<'_>) -> Result<(), String>;

    /// What is missing at the end, when all work should have ended.
    fn end(&mut self, _: &State) -> Result<(), String> {
        Ok(())
    }
}

/// Facts that a wrong rule would make of a state.
pub(super) type Plant = fn(&State, &mut Dice) -> Vec<Event>;

struct History<P> {
    state: State,
    clock: Timestamp,
    rev: u64,
    property: P,
    plant: Option<Plant>,
    dice: Dice,
}

impl<P: Property> History<P> {
    fn new(seed: u64, plant: Option<Plant>) -> Self {
        History {
            state: State::default(),
            clock: Timestamp(1_000_000),
            rev: 0,
            property: P::default(),
            plant,
            dice: Dice(seed),
        }
    }

    fn apply(&mut self, command: Command) -> Result<(), String> {
        self.rev += 1;
        let entry = Entry { rev: self.rev, proposed_at: self.clock, proposal: command.clone().into() };
        self.state.journal.events.clear();
        let applied = apply(&mut self.state, &entry);
        if let Some(plant) = self.plant.filter(|_| self.dice.chance(5)) {
            let wrong = plant(&self.state, &mut self.dice);
            crate::apply::record_wrong(&mut self.state, wrong);
        }
        let events = core::mem::take(&mut self.state.journal.events);
        let outcome = &applied.outcome.result;
        self.property.watch(&Happened { command: &command, outcome, events: &events, state: &self.state })
    }

    fn whole(&mut self) -> Result<(), String> {
        let limits = ClusterConfig { runs_active_max: 6, tasks_running_max: 8, ..ClusterConfig::default() };
        self.apply(Command::Configure(Box::new(limits)))?;
        let mut next = 1_000_u128;
        let mut runs = 0;
        while runs < RUNS_OF_ONE {
            next += 10;
            self.clock = Timestamp(self.clock.0 + self.dice.roll(200));
            let command = match self.dice.roll(100) {
                0..8 => {
                    runs += 1;
                    let steps = 1 + if self.dice.chance(30) { self.dice.roll(50) } else { self.dice.roll(8) };
                    let number = u128::from(self.dice.roll(20)) << 64 | next;
                    let steps = StepIx::try_from(steps).expect("at most 50");
                    create_run(next, &random_definition_of(&mut self.dice, number, steps))
                }
                8..60 => {
                    let hand = random_hand(&mut self.dice, &self.state);
                    hand.unwrap_or(Command::AdvanceTime)
                }
                _ => random_command(&mut self.dice, &self.state, next),
            };
            self.apply(command)?;
        }
        self.finish()?;
        self.property.end(&self.state)
    }

    /// Faults end, hands work: everything that can end does.
    fn finish(&mut self) -> Result<(), String> {
        for command in finishing(&self.state) {
            self.apply(command)?;
        }
        for round in 0..200_000 {
            let runs: Vec<RunId> = self.state.runs.iter().map(|(id, _)| *id).collect();
            if runs.is_empty() && self.state.tasks.is_empty() {
                return Ok(());
            }
            let run = self.dice.pick(&runs).unwrap_or(run_id(0));
            let command = match (round % 8, random_hand(&mut self.dice, &self.state)) {
                (0..6, Some(hand)) => hand,
                (6, _) => Command::ResumeRun { run },
                _ => match (awaited_from_outside(&self.state), self.state.next_due()) {
                    (Some(command), _) if self.dice.chance(50) => command,
                    (_, Some(due)) => {
                        self.clock = due.max(self.clock);
                        Command::AdvanceTime
                    }
                    (command, None) => command.unwrap_or(Command::AdvanceTime),
                },
            };
            self.apply(command)?;
        }
        Err(format!("{} runs and {} tasks do not end", self.state.runs.len(), self.state.tasks.len()))
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Holds over [`RUNS`] random runs.
pub(super) fn holds<P: Property>() {
    let histories = number("RUNS").unwrap_or(RUNS as u64).div_ceil(RUNS_OF_ONE as u64);
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..histories,
    };
    for seed in seeds {
        if let Err(broken) = History::<P>::new(seed, None).whole() {
            println!("failed at SEED={seed}");
            panic!("{broken}");
        }
    }
}

/// Is seen to break within a few histories when a rule goes wrong.
pub(super) fn breaks<P: Property>(plant: Plant) -> String {
    for seed in 0..20 {
        // A wrong rule may also hit a guard of the rules themselves; only what the property says counts.
        let history = || History::<P>::new(seed, Some(plant)).whole();
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let found = std::panic::catch_unwind(history);
        std::panic::set_hook(hook);
        if let Ok(Err(broken)) = found {
            return broken;
        }
    }
    panic!("nothing was noticed");
}
