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
use fastrand::Rng;
use orc_check::{
    guards::Injection,
    history::{Answer, Call, Outcome, Recorder},
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

/// A change of the members that somebody has to bring about.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// Who joins; another one is removed once it votes.
    pub new: u64,
    /// That is the leader.
    pub removes_leader: bool,
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
    /// Those that run, or may again; who joins or leaves is among them.
    members: RefCell<Vec<u64>>,
    /// The highest number that a node ever had.
    newest: Cell<u64>,
    /// What nobody has begun to do.
    pub order: Cell<Option<Order>>,
    /// Who was removed just now.
    pub removed: Cell<Option<u64>>,
    /// The node that was last said to lead.
    pub leader: Cell<Option<u64>>,
    /// Runs that were started.
    pub started: RefCell<Vec<String>>,
    /// When a write was last acknowledged, and the longest time without one, since the last fault began.
    pub written: Cell<(Duration, Duration)>,
    /// When each node last refused a write for want of a leader.
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
            members: RefCell::new((1..=nodes as u64).collect()),
            newest: Cell::new(nodes as u64),
            order: Cell::default(),
            removed: Cell::default(),
            leader: Cell::new(None),
            started: RefCell::default(),
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

    /// The nodes.
    pub fn members(&self) -> Vec<u64> {
        self.members.borrow().clone()
    }

    /// One of them.
    pub fn any(&self, rng: &mut Rng) -> u64 {
        let members = self.members.borrow();
        members[rng.usize(..members.len())]
    }

    /// A node more; its number.
    pub fn comes(&self) -> u64 {
        self.newest.set(self.newest.get() + 1);
        self.members.borrow_mut().push(self.newest.get());
        self.newest.get()
    }

    /// A node joins or leaves.
    pub fn is_changing(&self) -> bool {
        self.members.borrow().len() > self.nodes
    }

    /// A node is gone for good.
    pub fn goes(&self, node: u64) {
        self.members.borrow_mut().retain(|member| *member != node);
    }

    /// Where a node takes HTTP.
    pub fn http(node: u64) -> String {
        format!("n{node}:7420")
    }

    /// What the record calls a node.
    pub fn node(node: u64) -> String {
        format!("node-{node}")
    }

    /// The node of this name.
    pub fn number(name: &str) -> Option<u64> {
        name.strip_prefix("node-")?.parse().ok()
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
        if writes && outcome == (Outcome::Rejected { conflict: false }) {
            let now = turmoil::sim_elapsed().unwrap_or_default();
            self.refused.borrow_mut().insert(node.to_owned(), now);
        }
        if writes && matches!(outcome, Outcome::Ok(_)) {
            let (now, (last, longest)) = (turmoil::sim_elapsed().unwrap_or_default(), self.written.get());
            self.written.set((now, longest.max(now.saturating_sub(last))));
        }
        if let Outcome::Ok(Answer { id: Some(run), .. }) = &outcome {
            self.started.borrow_mut().push(run.clone());
        }
        self.history.returned(process, op, self.now(), &outcome)?;
        Ok(outcome)
    }
}
