//! The log on the disk: one record at a time appended and synced, as a leader with one record in flight does, and 256
//! records read as replication and a start read them. What a sync costs is the disk's affair: compare on one machine only.

#[path = "shared/proposals.rs"]
mod proposals;
#[path = "shared/quick.rs"]
mod quick;
#[path = "shared/records.rs"]
mod records;
#[path = "shared/store.rs"]
mod store;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use orc_raft::{
    log::LogStore,
    types::{Batch, RaftLogReader, RaftLogStorageExt},
};
use tokio::runtime::Runtime;

use crate::{
    proposals::proposals as make,
    records::{entry, pack},
};

/// What a real node keeps in memory.
const CACHE: usize = 64 << 20;
const READ: u64 = 256;

fn main() {
    let mut criterion = quick::criterion();
    let runtime = store::runtime();
    append(&mut criterion, &runtime);
    read(&mut criterion, &runtime);
    criterion.final_summary();
}

fn append_one(runtime: &Runtime, log: &mut LogStore, index: u64, batch: &Batch) {
    runtime.block_on(log.blocking_append([entry(index, batch)])).expect("the disk takes it");
}

fn append(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("append_synced");
    group.sample_size(50);
    for count in [1, 16, 64] {
        let folder = store::folder();
        let mut log = store::open(folder.path(), CACHE).log;
        let batch = pack(&make(count));
        let mut next = 0;
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("{count}_proposals"), |bencher| {
            bencher.iter(|| {
                append_one(runtime, &mut log, next, &batch);
                next += 1;
            });
        });
    }
}

/// Each record has 16 proposals. `disk` has no tail in memory and has been opened anew, so that the records are in a table
/// of the database; the pages of its file are in the system's memory.
fn read(criterion: &mut Criterion, runtime: &Runtime) {
    let folder = store::folder();
    let mut log = store::open(folder.path(), CACHE).log;
    let batch = pack(&make(16));
    (0..2 * READ).for_each(|index| append_one(runtime, &mut log, index, &batch));
    let mut group = criterion.benchmark_group("read_256_records");
    group.throughput(Throughput::Elements(READ));
    group.bench_function("memory", |bencher| bencher.iter(|| read_all(runtime, &mut log)));
    drop(log);
    let mut log = store::open(folder.path(), 0).log;
    group.bench_function("disk", |bencher| bencher.iter(|| read_all(runtime, &mut log)));
}

fn read_all(runtime: &Runtime, log: &mut LogStore) {
    let records =
        runtime.block_on(log.try_get_log_entries(READ / 2..READ / 2 + READ)).expect("they are there");
    assert_eq!(black_box(records).len(), READ as usize);
}
