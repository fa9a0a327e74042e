//! Clusters with many live runs: at rest beside an idle worker, or queued before a busy one.
//! Knows nothing of what is measured on them.

use std::sync::Arc;

use orc_domain::{Command, Definition, Expect, Json, NewTask, SessionEnd, SessionId, StepKind, TaskId};

use crate::{
    cluster::{Cluster, WORKER},
    task,
    worker::{connect, named, register, three_tasks},
    workflow::{LONG, create_run, in_a_row, no_limits},
};

/// Commands in one record while a cluster is filled.
const CHUNK: usize = 256;
/// Workers that keep a third of the runs, and their slots.
const BUSY: (usize, u32) = (40, 1_000);
/// State keys, each with all of its versions.
pub const KEYS: u64 = 1_000;
/// Attempts that the worker of a backlog runs at once.
pub const BACKLOG_SLOTS: u32 = 64;
/// A component that never gets a task.
pub const VISITOR: &str = "visitor";

/// Three tasks for [`WORKER`].
pub fn echoes() -> Arc<Definition> {
    three_tasks(1, "echo")
}

/// Runs that nothing in a bench wakes: a third with running attempts, a third queued, a third before a timer;
/// beside them [`WORKER`] has free slots and [`VISITOR`] is connected.
pub fn at_rest(live: usize) -> Cluster {
    let mut cluster = Cluster::new();
    for number in 0..BUSY.0 {
        arrive(&mut cluster, &format!("busy-{number}"), "busy", BUSY.1);
    }
    arrive(&mut cluster, WORKER, "echo", 1_024);
    arrive(&mut cluster, VISITOR, "visit", 4);
    let task = StepKind::Task { action: "busy".into(), config: Json::from("{}"), templated: false };
    let timer = StepKind::Delay { duration: LONG };
    let kinds =
        [three_tasks(2, "busy"), three_tasks(3, "nobody"), in_a_row(4, vec![timer, task.clone(), task])];
    let mut definitions = kinds.iter().cycle();
    while cluster.state.runs.len() < live {
        let count = CHUNK.min(live - cluster.state.runs.len());
        let some = definitions.by_ref().take(count);
        let commands = some.map(|definition| create_run(cluster.id(), definition)).collect();
        cluster.record(commands);
    }
    for _ in 0..=cluster.state.config().versions_max {
        let commands = (0..KEYS).map(|number| set(number, 1)).collect();
        cluster.record(commands);
    }
    assert_eq!(cluster.state.counts().tasks_running, live.div_ceil(3));
    cluster
}

/// Runs that all wait for the few slots of [`WORKER`], those before their first, second and third step in turn.
pub fn backlog(live: usize) -> Cluster {
    let mut cluster = Cluster::new();
    let slots = u32::try_from(live).expect("a sensible number");
    let session = arrive(&mut cluster, WORKER, "echo", slots);
    let definition = echoes();
    for number in 0..live {
        let create = create_run(cluster.id(), &definition);
        cluster.record(vec![create]);
        for _ in 0..number % 3 {
            let newest = cluster.attempts.pop_back().expect("there is a slot for each run");
            cluster.attempts.push_front(newest);
            let result = cluster.results(1);
            cluster.record(result);
        }
    }
    // The worker goes: every attempt is lost and queued again. It comes back with a few slots.
    cluster.attempts.clear();
    let end = SessionEnd::Closed;
    cluster.record(vec![Command::EndSession { component: named(WORKER), session, end }]);
    arrive(&mut cluster, WORKER, "echo", BACKLOG_SLOTS);
    assert_eq!(cluster.attempts.len(), BACKLOG_SLOTS as usize);
    cluster
}

/// As many tasks as asked for, each with a label of its own that no worker has: as many queues, all with a free worker.
pub fn queues(count: u64) -> Cluster {
    let mut cluster = Cluster::new();
    arrive(&mut cluster, WORKER, "echo", 64);
    for number in 0..count {
        let mut task = new_task(&mut cluster);
        task.labels = [("host".into(), number.to_string().into())].into();
        cluster.record(vec![Command::CreateTasks { tasks: vec![task] }]);
    }
    cluster
}

/// Registers and connects a component.
pub fn arrive(cluster: &mut Cluster, name: &str, action: &str, slots: u32) -> SessionId {
    let session = cluster.id();
    cluster.record(vec![register(name, action, slots), connect(name, session)]);
    SessionId(session)
}

/// A task for [`WORKER`].
pub fn new_task(cluster: &mut Cluster) -> NewTask {
    task::new_task(TaskId::Single(cluster.id()))
}

/// Writes 256 bytes to one of the keys.
pub fn set(key: u64, value: u64) -> Command {
    Command::SetState {
        key: format!("bench.key.{}", key % KEYS).parse().expect("a legal key"),
        value: Some(Json::from(format!("\"{value:0>254}\""))),
        expect: Expect::Any,
    }
}

/// The settings as they are, set again.
pub fn configure() -> Command {
    no_limits()
}
