//! The row store through its own doors: a record changes 1,000 rows (not measured), a drain takes them from the apply
//! thread, encodes them with their events, writes one unsynced batch and lets ended rows leave memory (measured);
//! then reads of one row and of a page of 50, from memory and from the disk.

#[path = "shared/quick.rs"]
mod quick;
#[path = "shared/records.rs"]
mod records;
#[path = "shared/store.rs"]
mod store;
#[path = "shared/task.rs"]
mod task;
#[path = "shared/workflow.rs"]
mod workflow;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput};
use orc_domain::{Command, Expect, Json, RunId, StepKind, TaskId};
use orc_raft::{
    codec::encode_proposal,
    store::{Opened, Query, StateReader},
    types::RaftStateMachine,
};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::{
    records::{entry, pack},
    task::new_task,
    workflow::{LONG, create_run, in_a_row, no_limits},
};

const ROWS: u64 = 1_000;
const PAGE: usize = 50;

/// A store whose log is not written: records go straight to the state machine.
struct Node {
    opened: Opened,
    runtime: Runtime,
    next: u64,
}

fn main() {
    let mut criterion = quick::criterion();
    let folder = store::folder();
    let mut node = Node { opened: store::open(folder.path(), 0), runtime: store::runtime(), next: 0 };
    node.apply(&[no_limits()]);
    let runs = live_runs();
    node.apply(&runs);
    node.drain();
    drain(&mut criterion, &mut node);
    read(&mut criterion, &mut node);
    criterion.final_summary();
}

impl Node {
    fn apply(&mut self, commands: &[Command]) {
        let encoded: Vec<_> =
            commands.iter().map(|command| encode_proposal(&command.clone().into())).collect();
        let record = entry(self.next, &pack(&encoded));
        self.next += 1;
        let outcomes = self.runtime.block_on(self.opened.machine.apply([record])).expect("it goes on");
        assert!(outcomes[0].0.iter().all(|outcome| outcome.result.is_ok()), "nothing is refused");
    }

    fn drain(&mut self) -> Duration {
        let began = Instant::now();
        self.runtime.block_on(self.opened.reader.drain()).expect("it goes on");
        began.elapsed()
    }
}

fn id(number: u64) -> Uuid {
    Uuid::from_u64_pair(number, number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Runs before a timer that stays: three steps, no task.
fn live_runs() -> Vec<Command> {
    let definition = in_a_row(1, vec![StepKind::Delay { duration: LONG }; 3]);
    (0..ROWS).map(|number| create_run(id(number), &definition)).collect()
}

fn drain(criterion: &mut Criterion, node: &mut Node) {
    let mut group = criterion.benchmark_group("drain_1000_changed");
    group.sample_size(30).throughput(Throughput::Elements(ROWS));
    let all = |command: fn(RunId) -> Command| (0..ROWS).map(|number| command(RunId(id(number)))).collect();
    let pause: Vec<Command> = all(|run| Command::PauseRun { run });
    let resume: Vec<Command> = all(|run| Command::ResumeRun { run });
    group.bench_function("runs", |bencher| {
        bencher.iter_custom(|count| {
            let one = |_| {
                node.apply(&pause);
                let took = node.drain();
                node.apply(&resume);
                took + node.drain()
            };
            // Each round drains twice.
            (0..count).map(one).sum::<Duration>() / 2
        });
    });
    group.bench_function("keys_with_versions", |bencher| {
        let mut value = 0;
        bencher.iter_custom(|count| {
            let one = |_| {
                value += 1;
                node.apply(&(0..ROWS).map(|number| set(number, value)).collect::<Vec<_>>());
                node.drain()
            };
            (0..count).map(one).sum()
        });
    });
}

/// 256 bytes.
fn set(key: u64, value: u64) -> Command {
    let key = format!("bench.{key:04}").parse().expect("a legal key");
    Command::SetState { key, value: Some(Json::from(format!("\"{value:0>254}\""))), expect: Expect::Any }
}

fn read(criterion: &mut Criterion, node: &mut Node) {
    end_tasks(node);
    let (runtime, reader) = (&node.runtime, &node.opened.reader);
    let mut numbers = (0..ROWS).cycle();
    let mut next = || id(numbers.next().expect("it never ends"));
    let mut group = criterion.benchmark_group("read");
    group.bench_function("row_in_memory", |bencher| {
        bencher.iter(|| assert!(black_box(reader.run(&RunId(next()))).is_some()));
    });
    group.bench_function("row_on_disk", |bencher| {
        bencher.iter(|| assert!(black_box(find(runtime, reader, TaskId::Single(next())))));
    });
    group.bench_function("page_in_memory", |bencher| {
        bencher.iter(|| {
            let query = Query { before: Some(RunId(next())), ..Query::new(PAGE) };
            black_box(runtime.block_on(reader.list_runs(query)).expect("it goes on").0.rows).len()
        });
    });
    group.bench_function("page_on_disk", |bencher| {
        bencher.iter(|| {
            let query = Query { before: Some(TaskId::Single(next())), ..Query::new(PAGE) };
            black_box(runtime.block_on(reader.list_tasks(query)).expect("it goes on").0.rows).len()
        });
    });
    group.bench_function("page_of_keys", |bencher| {
        bencher.iter(|| assert_eq!(black_box(reader.keys("bench.", None, PAGE, |_| true)).len(), PAGE));
    });
}

fn find(runtime: &Runtime, reader: &StateReader, task: TaskId) -> bool {
    runtime.block_on(reader.find_task(task)).expect("it goes on").is_some()
}

/// Tasks that have ended are on the disk only, once they are drained.
fn end_tasks(node: &mut Node) {
    let tasks: Vec<TaskId> = (0..ROWS).map(|number| TaskId::Single(id(number))).collect();
    let create = |id: &TaskId| Command::CreateTasks { tasks: vec![new_task(*id)] };
    node.apply(&tasks.iter().map(create).collect::<Vec<_>>());
    let cancel = |task: &TaskId| Command::CancelTask { task: *task, reason: "enough".into() };
    node.apply(&tasks.iter().map(cancel).collect::<Vec<_>>());
    node.drain();
    assert!(node.opened.reader.task(&tasks[0]).is_none(), "it left memory");
}
