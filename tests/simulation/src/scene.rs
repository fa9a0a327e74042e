//! What all parts of a simulated cluster share: its nodes' addresses, the record of what happened, and how far it is.
//! Knows nothing of what the parts do.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use anyhow::Result;
use orc_check::{
    guards::Injection,
    history::{Call, Outcome, Recorder},
    receipts::{self, Got},
};

/// How far a simulation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The cluster is being founded.
    Founding,
    /// Load and faults.
    Faults,
    /// No faults for a majority; load goes on.
    Calm,
    /// No load: everything has to end.
    Ending,
    /// All nodes are there: they have to be alike.
    Whole,
    /// Nothing is left to do.
    Over,
}

/// Shared by everything within a simulation.
pub struct Scene {
    folder: PathBuf,
    history: Recorder<File>,
    receipts: receipts::Recorder<File>,
    injections: RefCell<File>,
    phase: Cell<Phase>,
    /// Of how many nodes there are.
    pub nodes: usize,
    /// The node that was last said to lead.
    pub leader: Cell<Option<u64>>,
    /// When a write was last acknowledged, if one was since the last fault began.
    pub written: Cell<Option<Duration>>,
    /// When each node last refused a call for want of a leader.
    pub refused: RefCell<BTreeMap<String, Duration>>,
    /// When a step of a run was first reported done, by which the pause after it begins at the latest.
    pub paused: RefCell<BTreeMap<String, Duration>>,
    /// Most nodes had a wrong wall clock when all of them started again: none could tell how long they were down.
    pub time_lost: Cell<bool>,
    /// What was seen that may not be, in words.
    pub seen: RefCell<Vec<String>>,
    /// Which nodes need not be asked: they stay down for the time being.
    pub down: RefCell<Vec<u64>>,
}

impl Scene {
    /// One of so many nodes, recorded in this folder.
    pub fn new(folder: &Path, nodes: usize) -> Result<Rc<Scene>> {
        Ok(Rc::new(Scene {
            folder: folder.to_owned(),
            history: Recorder::new(File::create(folder.join("history.jsonl"))?),
            receipts: receipts::Recorder::new(File::create(folder.join("receipts.jsonl"))?),
            injections: RefCell::new(File::create(folder.join("injections.jsonl"))?),
            phase: Cell::new(Phase::Founding),
            nodes,
            leader: Cell::new(None),
            written: Cell::default(),
            refused: RefCell::default(),
            paused: RefCell::default(),
            time_lost: Cell::default(),
            seen: RefCell::default(),
            down: RefCell::default(),
        }))
    }

    /// Nanoseconds since the simulation began.
    pub fn now(&self) -> u64 {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default();
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// It is further.
    pub fn enter(&self, phase: Phase) {
        tracing::info!(?phase, "entered");
        self.phase.set(phase);
    }

    /// Waits for a phase.
    pub async fn reached(&self, phase: Phase) {
        while self.phase() < phase {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where a node takes HTTP.
    pub fn http(place: usize) -> String {
        format!("n{}:7420", place + 1)
    }

    /// What the record calls a node.
    pub fn node(place: usize) -> String {
        format!("node-{}", place + 1)
    }

    /// A new file of the record.
    pub fn file(&self, name: &str) -> Result<File> {
        Ok(File::create(self.folder.join(name))?)
    }

    /// A fault is written down.
    pub fn injected(&self, injection: &Injection) -> Result<()> {
        let mut line = serde_json::to_vec(injection)?;
        line.push(b'\n');
        Ok(self.injections.borrow_mut().write_all(&line)?)
    }

    /// A component was given an attempt.
    pub fn given(&self, component: &str, (task, token): (String, u64)) -> Result<()> {
        Ok(self.receipts.got(component, self.now(), Got::Attempt { task, token })?)
    }

    /// Makes a call with its lines in the history.
    pub async fn recorded(
        &self,
        (process, op): (&str, u64),
        (node, call): (&str, Call),
        asked: impl Future<Output = Outcome>,
    ) -> Result<Outcome> {
        self.history.called(process, op, self.now(), (node, &call))?;
        let writes = !call.is_read();
        let outcome = asked.await;
        if outcome == (Outcome::Rejected { conflict: false }) {
            let now = turmoil::sim_elapsed().unwrap_or_default();
            self.refused.borrow_mut().insert(node.to_owned(), now);
        }
        if writes && matches!(outcome, Outcome::Ok(_)) {
            self.written.set(turmoil::sim_elapsed());
        }
        self.history.returned(process, op, self.now(), &outcome)?;
        Ok(outcome)
    }
}
