//! `domain::apply` by kind of command with 100, 10,000 and 100,000 live runs: a command must not cost more than half as
//! much again when there are a thousand times more of them. What a bench starts it also ends, outside the measured time.
//! `at_rest`: the live runs are bystanders. `backlog`: all queue for the same few slots, each command meets the row that was
//! touched longest ago. `grows`: what is known to depend on how much there is of something.

#[path = "apply/cluster.rs"]
mod cluster;
#[path = "apply/population.rs"]
mod population;
#[path = "shared/quick.rs"]
mod quick;
#[path = "apply/readers.rs"]
mod readers;
#[path = "shared/task.rs"]
mod task;
#[path = "shared/worker.rs"]
mod worker;
#[path = "shared/workflow.rs"]
mod workflow;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use orc_domain::{Command, HeldAttempt, NodeId, SessionEnd, SessionId, StepKind, TaskId};

use crate::{
    cluster::{Cluster, WORKER},
    population::{VISITOR, arrive, echoes, new_task},
    worker::{connect, named, register},
    workflow::{create_run, in_a_row},
};

const LIVE: [usize; 3] = [100, 10_000, 100_000];
/// Commands in one log record.
const RECORD: u64 = 64;
/// Only a part of what happens is measured, so the measured part is kept short.
const MEASURED: Duration = Duration::from_millis(400);

/// Applies so many commands of one kind, undoes what they did, and says how long the commands took.
type Kind = fn(&mut Cluster, usize) -> Duration;

const AT_REST: [(&str, Kind); 11] = [
    ("create_run", create_runs),
    ("complete_step", complete_steps),
    ("complete_last_step", complete_last_steps),
    ("create_task", create_tasks),
    ("complete_task", complete_tasks),
    ("set_state", set_state),
    ("register_again", register_again),
    ("connect", connect_again),
    ("end_session", end_sessions),
    ("advance_nothing_due", advance),
    ("advance_timer_due", advance_to_timers),
];
const BACKLOG: [(&str, Kind); 2] =
    [("create_run", create_runs_behind), ("complete_and_assign", complete_and_assign)];

fn main() {
    let mut criterion = quick::criterion();
    kinds(&mut criterion, "at_rest", population::at_rest, &AT_REST);
    kinds(&mut criterion, "backlog", population::backlog, &BACKLOG);
    grows(&mut criterion);
    criterion.final_summary();
}

fn kinds(criterion: &mut Criterion, name: &str, populate: fn(usize) -> Cluster, kinds: &[(&str, Kind)]) {
    let mut group = criterion.benchmark_group(name);
    group.warm_up_time(MEASURED / 4).measurement_time(MEASURED);
    // Made by the first bench that is wanted: the command line may name others. One kind's sizes follow each other, since a
    // shared machine changes its speed within minutes.
    let mut clusters = LIVE.map(|live| (live, None));
    for (kind, run) in kinds {
        for (live, cluster) in &mut clusters {
            group.bench_function(BenchmarkId::new(*kind, *live), |bencher| {
                let cluster = cluster.get_or_insert_with(|| populate(*live));
                bencher.iter_custom(|count| in_records(count, |count| run(cluster, count)));
                assert_eq!(cluster.state.runs.len(), *live, "{kind} leaves as many runs as it found");
            });
        }
    }
}

fn in_records(count: u64, mut record: impl FnMut(usize) -> Duration) -> Duration {
    let sizes = (0..count).step_by(RECORD as usize).map(|done| RECORD.min(count - done));
    sizes.map(|size| record(usize::try_from(size).expect("at most a record"))).sum()
}

fn runs(cluster: &mut Cluster, count: usize) -> Vec<Command> {
    let definition = echoes();
    (0..count).map(|_| create_run(cluster.id(), &definition)).collect()
}

fn create_runs(cluster: &mut Cluster, count: usize) -> Duration {
    let commands = runs(cluster, count);
    let took = cluster.record(commands);
    cluster.finish();
    took
}

fn complete_steps(cluster: &mut Cluster, count: usize) -> Duration {
    let commands = runs(cluster, count);
    cluster.record(commands);
    let results = cluster.results(count);
    let took = cluster.record(results);
    cluster.finish();
    took
}

fn complete_last_steps(cluster: &mut Cluster, count: usize) -> Duration {
    let commands = runs(cluster, count);
    cluster.record(commands);
    for _ in 0..2 {
        let results = cluster.results(count);
        cluster.record(results);
    }
    let results = cluster.results(count);
    cluster.record(results)
}

fn tasks(cluster: &mut Cluster, count: usize) -> Vec<Command> {
    (0..count).map(|_| Command::CreateTasks { tasks: vec![new_task(cluster)] }).collect()
}

fn create_tasks(cluster: &mut Cluster, count: usize) -> Duration {
    let commands = tasks(cluster, count);
    let took = cluster.record(commands);
    cluster.finish();
    took
}

fn complete_tasks(cluster: &mut Cluster, count: usize) -> Duration {
    let commands = tasks(cluster, count);
    cluster.record(commands);
    let results = cluster.results(count);
    cluster.record(results)
}

fn set_state(cluster: &mut Cluster, count: usize) -> Duration {
    let next = cluster.state.meta.seq;
    let commands = (next..).take(count).map(|number| population::set(number, number)).collect();
    cluster.record(commands)
}

/// What a worker sends that has lost its connection: all is known already.
fn register_again(cluster: &mut Cluster, count: usize) -> Duration {
    cluster.record(vec![register(VISITOR, "visit", 4); count])
}

fn connect_again(cluster: &mut Cluster, count: usize) -> Duration {
    let commands = (0..count).map(|_| connect(VISITOR, cluster.id())).collect();
    cluster.record(commands)
}

fn end_sessions(cluster: &mut Cluster, count: usize) -> Duration {
    let one = |cluster: &mut Cluster| {
        let id = cluster.id();
        cluster.record(vec![connect(VISITOR, id)]);
        let (component, session) = (named(VISITOR), SessionId(id));
        cluster.record(vec![Command::EndSession { component, session, end: SessionEnd::Lost }])
    };
    (0..count).map(|_| one(cluster)).sum()
}

fn advance(cluster: &mut Cluster, count: usize) -> Duration {
    cluster.record(vec![Command::AdvanceTime; count])
}

/// Runs of one timer, created a millisecond apart: each command ends one of them.
fn advance_to_timers(cluster: &mut Cluster, count: usize) -> Duration {
    let delay = Duration::from_millis(RECORD);
    let definition = in_a_row(9, vec![StepKind::Delay { duration: delay }]);
    let before = cluster.state.runs.len();
    for _ in 0..count {
        let create = create_run(cluster.id(), &definition);
        cluster.record(vec![create]);
    }
    cluster.pass(delay - Duration::from_millis(u64::try_from(count).expect("at most a record")));
    let one = |live| {
        let took = cluster.record(vec![Command::AdvanceTime]);
        assert_eq!(cluster.state.runs.len(), live, "one timer each");
        took
    };
    (before..before + count).rev().map(one).sum()
}

fn create_runs_behind(cluster: &mut Cluster, count: usize) -> Duration {
    let live = cluster.state.runs.len();
    let commands = runs(cluster, count);
    let took = cluster.record(commands);
    while cluster.state.runs.len() > live {
        let results = cluster.results(cluster.attempts.len());
        cluster.record(results);
    }
    refill(cluster, live);
    took
}

fn complete_and_assign(cluster: &mut Cluster, count: usize) -> Duration {
    let live = cluster.state.runs.len();
    let results = cluster.results(count);
    let took = cluster.record(results);
    refill(cluster, live);
    took
}

fn refill(cluster: &mut Cluster, live: usize) {
    let ended = live - cluster.state.runs.len();
    let commands = runs(cluster, ended);
    cluster.record(commands);
}

fn grows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("grows");
    group.sample_size(10).warm_up_time(MEASURED / 4).measurement_time(MEASURED);
    for live in LIVE {
        let id = BenchmarkId::new("configure_by_live_runs", live);
        group.bench_function(id, |bencher| {
            let mut cluster = population::at_rest(live);
            bencher.iter_custom(|count| one_by_one(&mut cluster, count, |_| population::configure()));
        });
    }
    for count in [1, 100, 10_000] {
        let id = BenchmarkId::new("set_state_by_queues_of_distinct_labels", count);
        group.bench_function(id, |bencher| {
            let mut cluster = population::queues(count);
            let set = |cluster: &mut Cluster| population::set(cluster.state.meta.seq, 1);
            bencher.iter_custom(|count| one_by_one(&mut cluster, count, set));
        });
    }
    for held in [16, 256, 1_024] {
        let id = BenchmarkId::new("connect_by_held_attempts", held);
        group.bench_function(id, |bencher| {
            let mut cluster = Cluster::new();
            arrive(&mut cluster, WORKER, "echo", 1_024);
            let commands = tasks(&mut cluster, held);
            cluster.record(commands);
            bencher.iter_custom(|count| one_by_one(&mut cluster, count, connect_holding));
        });
    }
}

fn one_by_one(cluster: &mut Cluster, count: u64, command: impl Fn(&mut Cluster) -> Command) -> Duration {
    let one = |_| {
        let command = command(cluster);
        cluster.record(vec![command])
    };
    (0..count).map(one).sum()
}

fn connect_holding(cluster: &mut Cluster) -> Command {
    let session = SessionId(cluster.id());
    let hold = |(task, token): &(TaskId, _)| HeldAttempt { task: *task, token: *token };
    let held = cluster.attempts.iter().map(hold).collect();
    Command::ConnectComponent { component: named(WORKER), session, node: NodeId(1), held }
}
