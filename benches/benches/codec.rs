//! What every record passes on its way: proposals packed and unpacked, an append request of 64 of them framed and read
//! again, and the stored form of a run and a task with its envelope and checksum.
//! Knows nothing of sockets and disks: everything stays in memory.

#[path = "shared/proposals.rs"]
mod proposals;
#[path = "shared/quick.rs"]
mod quick;
#[path = "shared/records.rs"]
mod records;
#[path = "shared/worker.rs"]
mod worker;
#[path = "shared/workflow.rs"]
mod workflow;

use std::{
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput};
use orc_domain::{Command, Entry, Run, State, Task, Timestamp, apply};
use orc_raft::{
    codec::{self, Stored},
    transport::{
        frame::{Frame, Kind},
        message::{self, Request},
    },
    types::{AppendRequest, Vote},
};
use uuid::Uuid;

use crate::{
    proposals::proposals as make,
    records::{entry, pack, place},
    worker::{connect, register, three_tasks},
    workflow::{create_run, no_limits},
};

const PROPOSALS: usize = 64;

fn main() {
    let mut criterion = quick::criterion();
    batch(&mut criterion);
    append_request(&mut criterion);
    let (run, task) = rows();
    stored(&mut criterion, "run", &run);
    stored(&mut criterion, "task", &task);
    criterion.final_summary();
}

fn batch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch_of_64");
    let proposals = make(PROPOSALS);
    let packed = pack(&proposals);
    group.throughput(Throughput::Bytes(packed.as_bytes().len() as u64));
    group.bench_function("pack", |bencher| bencher.iter(|| pack(black_box(&proposals))));
    group.bench_function("unpack", |bencher| {
        bencher.iter(|| black_box(&packed).unpack().expect("it was packed here"));
    });
}

fn append_request(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append_request_of_64");
    let request = Request::Append(AppendRequest {
        vote: Vote::new_committed(1, 1),
        prev_log_id: Some(place(6)),
        entries: vec![entry(7, &pack(&make(PROPOSALS)))],
        leader_commit: Some(place(6)),
    });
    let mut framed = BytesMut::new();
    frame(&request, &mut framed);
    group.throughput(Throughput::Bytes(framed.len() as u64));
    let mut buffer = BytesMut::new();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            frame(black_box(&request), &mut buffer);
        });
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            let mut reader = black_box(&framed[..]);
            let body = at_once(Frame::read(&mut reader)).expect("it is a whole frame").body;
            message::decode::<Request>(&body).expect("it was encoded here")
        });
    });
}

/// As a link sends it.
fn frame(request: &Request, buffer: &mut BytesMut) {
    let body: Bytes = message::encode(request);
    Frame { kind: Kind::Request, id: 7, body }.put(buffer);
}

/// The outcome of something that has nothing to wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("bytes in memory are there at once"),
    }
}

fn stored<T: Stored>(criterion: &mut Criterion, name: &str, row: &T) {
    let mut group = criterion.benchmark_group("row");
    let bytes = codec::encode(row);
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    let mut buffer = Vec::new();
    group.bench_function(format!("{name}_encode"), |bencher| {
        bencher.iter(|| codec::encode_into(black_box(row), &mut buffer));
    });
    group.bench_function(format!("{name}_decode"), |bencher| {
        bencher.iter(|| codec::decode::<T>(black_box(&bytes)).expect("it was encoded here"));
    });
}

/// A run of three steps whose first is at work, and that step's task.
fn rows() -> (Run, Task) {
    let mut state = State::default();
    let definition = three_tasks(1, "echo");
    let commands = [
        no_limits(),
        register("worker", "echo", 1),
        connect("worker", Uuid::from_u128(1)),
        create_run(Uuid::from_u128(2), &definition),
    ];
    for command in commands {
        apply_one(&mut state, command);
    }
    let run = state.runs.iter().next().expect("it has just been created").1.clone();
    let task = state.tasks.iter().next().expect("it has just been assigned").1.clone();
    (run, task)
}

fn apply_one(state: &mut State, command: Command) {
    let entry = Entry { rev: 1, proposed_at: Timestamp(1_700_000_000_000), proposal: command.into() };
    apply(state, &entry).outcome.result.expect("nothing is refused");
}
