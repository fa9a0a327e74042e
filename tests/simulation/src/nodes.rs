//! Simulated nodes: the real server on a simulated host, with a simulated disk that survives it.
//! Knows nothing of load or faults.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use anyhow::{Result, anyhow};
use fastrand::Rng;
use orc_node::{
    config::{Layer, Layers, Secrets, ServerConfig},
    server,
};
use orc_runtime::simulation;
use serde_json::{Value, json};
use tokio::runtime::{Handle, Id};
use turmoil::Sim;

use crate::{power, system};

/// What is known of the nodes from outside.
#[derive(Default)]
pub struct Nodes {
    /// The runtime that each node runs on now, by which it has a wall clock of its own.
    runtimes: RefCell<BTreeMap<u64, Id>>,
    /// How far each wall clock is off, in milliseconds.
    skews: RefCell<BTreeMap<u64, i64>>,
    /// How long a write to each disk takes at most, in milliseconds.
    delays: RefCell<BTreeMap<u64, u64>>,
}

impl Nodes {
    /// Sets the wall clock of a node, in milliseconds off the truth.
    pub fn skew(&self, node: u64, millis: i64) {
        self.skews.borrow_mut().insert(node, millis);
        if let Some(runtime) = self.runtimes.borrow().get(&node) {
            system::skew(*runtime, millis);
        }
    }

    /// Lets the monotonic clock of a node leap, if it runs.
    pub fn leap(&self, node: u64, by: Duration) {
        if let Some(runtime) = self.runtimes.borrow().get(&node) {
            system::leap(*runtime, by);
        }
    }

    /// How many nodes have a wall clock that is wrong.
    pub fn wrong_clocks(&self) -> usize {
        self.skews.borrow().values().filter(|millis| **millis != 0).count()
    }

    /// From now on writes to a node's disk take up to so many milliseconds.
    pub fn slow_disk(&self, node: u64, millis: u64) {
        self.delays.borrow_mut().insert(node, millis);
    }

    /// Tells the nodes how long their disks take.
    pub fn begin(self: &Rc<Self>, rng: Rng) {
        let (nodes, rng) = (self.clone(), RefCell::new(rng));
        simulation::slow_disks(move |runtime| {
            let runtimes = nodes.runtimes.borrow();
            let node = runtimes.iter().find(|(_, known)| **known == runtime).map(|(node, _)| *node);
            let most = node.and_then(|node| nodes.delays.borrow().get(&node).copied()).unwrap_or(0);
            Duration::from_millis(rng.borrow_mut().u64(0..=most))
        });
    }

    fn booted(&self, node: u64) {
        self.runtimes.borrow_mut().insert(node, Handle::current().id());
        system::skew(Handle::current().id(), self.skews.borrow().get(&node).copied().unwrap_or(0));
    }
}

/// The name of a node's host and disk.
pub fn host(node: u64) -> String {
    format!("n{node}")
}

/// Adds a node to the simulation, which joins some of these, or founds the cluster if there are none.
pub fn add(sim: &mut Sim<'_>, nodes: &Rc<Nodes>, node: u64, joins: &[u64]) {
    let nodes = nodes.clone();
    let joins: Vec<String> = joins.iter().map(|other| format!("{}:7520", host(*other))).collect();
    sim.host(host(node), move || {
        let (nodes, joins) = (nodes.clone(), joins.clone());
        async move {
            nodes.booted(node);
            let config = config(node, &joins)?;
            let ended = server::run(config, Secrets::default(), std::future::pending()).await;
            // The simulation shows only the outermost cause.
            Ok(ended.map_err(|error| anyhow!("node-{node}: {:#}", anyhow!(error)))?)
        }
    });
}

fn config(node: u64, joins: &[String]) -> Result<ServerConfig> {
    let disk = power::disk(&host(node))?;
    let beginning = if joins.is_empty() { ("bootstrap", json!(true)) } else { ("join", json!(joins)) };
    let settings: [(&str, Value); 15] = [
        ("node-id", json!(node)),
        ("data-dir", json!(disk)),
        ("listen", json!("0.0.0.0:7420")),
        ("peer-listen", json!("0.0.0.0:7520")),
        ("advertise", json!(host(node))),
        beginning,
        // Snapshots and forgetting as often as the load makes possible.
        ("snapshot.every-entries", json!(200)),
        ("snapshot.keep-entries", json!(50)),
        ("cluster.maxConcurrentWorkflows", json!(2000)),
        ("cluster.maxConcurrentTasks", json!(4000)),
        ("log.format", json!("text")),
        ("events.count", json!(1_000_000)),
        // The room on the disk is that of this machine.
        ("disk.low-percent", json!(0)),
        ("disk.low-bytes", json!("0")),
        ("disk.full-percent", json!(0)),
    ];
    let mut layer = Layer::default();
    settings.into_iter().for_each(|(key, value)| layer.set(key, value, "the simulation"));
    ServerConfig::of_layers(&Layers(vec![layer])).map_err(|errors| anyhow!("{errors}"))
}
