//! Snapshots: built on one node, installed on another, refused where they do not belong.
//! Knows nothing of how they travel.

use std::{
    fs,
    path::Path,
    sync::{Arc, mpsc},
    time::Duration,
};

use openraft::{
    RaftSnapshotBuilder,
    storage::{RaftLogStorage, RaftStateMachine},
};
use orc_domain::State;
use orc_raft::{
    error::{Chain, SnapshotError},
    store::{EventsError, MANIFEST, verify_snapshot},
    types::{LogId, Snapshot, SnapshotFolder},
};
use parking_lot::Mutex;

use crate::node::{Node, options, place, set, task_id};

async fn build(node: &mut Node) -> Snapshot {
    node.machine.get_snapshot_builder().await.build_snapshot().await.unwrap()
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

async fn receive(node: &mut Node, snapshot: &Snapshot) -> Box<SnapshotFolder> {
    let folder = node.machine.begin_receiving_snapshot().await.unwrap();
    copy(&snapshot.snapshot.path, &folder.path);
    folder
}

fn rows(state: &State) -> String {
    let keys = state.keys.iter().collect::<Vec<_>>();
    format!(
        "{:?} {:?} {:?} {keys:?}",
        state.meta,
        state.tasks.iter().collect::<Vec<_>>(),
        state.components.iter().collect::<Vec<_>>()
    )
}

#[tokio::test]
async fn an_installed_snapshot_is_the_same_state() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut leader = Node::open(folders[0].path()).await;
    leader.live_a_little(0, 6).await;
    let snapshot = build(&mut leader).await;
    let expected = leader.reader.state_hash().await.unwrap();

    let mut follower = Node::open(folders[1].path()).await;
    follower.commit(&[set("a.other", 1)]).await;
    let mut effects = follower.reader.effects();
    let mut events = follower.reader.events();
    let folder = receive(&mut follower, &snapshot).await;
    let received = folder.path.clone();
    assert_eq!(verify_snapshot(&received).unwrap().meta(), snapshot.meta);
    follower.machine.install_snapshot(&snapshot.meta, folder).await.unwrap();

    assert_eq!(follower.reader.state_hash().await.unwrap(), expected);
    assert_eq!(follower.reader.inspect(rows).await.unwrap(), leader.reader.inspect(rows).await.unwrap());
    assert_eq!(
        follower.machine.applied_state().await.unwrap(),
        leader.machine.applied_state().await.unwrap()
    );
    assert_eq!(follower.machine.get_current_snapshot().await.unwrap().unwrap().meta, snapshot.meta);
    assert_eq!(follower.reader.durable_applied(), snapshot.meta.last_log_id);
    assert!(effects.recv().await.unwrap().is_empty(), "what led to the snapshot was missed");
    assert!(events.recv().await.unwrap().is_empty());
    assert!(!received.exists() && !folders[1].path().join("group-0/state-0").exists());
    let mut history = Vec::new();
    for node in [&leader, &follower] {
        history.push(node.reader.events_since(0, 10_000, |_| true).await.unwrap().events);
    }
    assert_eq!(history[0], history[1]);
    let key = "a.key".parse().unwrap();
    assert_eq!(follower.reader.key(&key), leader.reader.key(&key));
    assert_eq!(follower.reader.key(&"a.other".parse().unwrap()), None);

    // Raft purges, goes on, and a restart finds the same.
    let last = snapshot.meta.last_log_id.unwrap();
    follower.log.purge(last).await.unwrap();
    drop(follower);
    let mut follower = Node::open(folders[1].path()).await;
    assert_eq!(follower.reader.state_hash().await.unwrap(), expected);
    for node in [&mut leader, &mut follower] {
        node.live_a_little(6, 3).await;
    }
    assert_eq!(follower.reader.state_hash().await.unwrap(), leader.reader.state_hash().await.unwrap());
}

#[tokio::test]
async fn what_is_read_while_a_snapshot_is_installed_is_never_newer_than_the_node_says() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut few_events = options(1);
    few_events.events_kept.count = 100;
    let mut leader = Node::open_with(folders[0].path(), few_events).await.unwrap();
    let mut follower = Node::open(folders[1].path()).await;
    follower.live_a_little(0, 1).await;
    follower.reader.sync().await.unwrap();
    drop(follower);
    for round in 0..40 {
        leader.live_a_little(round, 1).await;
        leader.reader.drain().await.unwrap();
    }
    let snapshot = build(&mut leader).await;
    let index = snapshot.meta.last_log_id.unwrap().index;

    let mut follower = Node::open(folders[1].path()).await;
    let folder = receive(&mut follower, &snapshot).await;
    let reader = follower.reader.clone();
    let (go_on, held) = mpsc::sync_channel(1);
    // The apply thread is busy: the database of the snapshot is there, its rows in memory are not.
    let busy = tokio::spawn({
        let reader = reader.clone();
        async move { reader.inspect(move |_| held.recv().is_ok()).await }
    });
    let installed = tokio::spawn(async move {
        follower.machine.install_snapshot(&snapshot.meta, folder).await.unwrap();
        follower
    });
    let ended = async {
        while reader.find_task(task_id(40)).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended).await.expect("the database is there");
    assert!(reader.applied().borrow().unwrap().index < index, "the snapshot is not applied yet");
    assert_eq!(reader.newest(), index);
    let gone = reader.events_since(0, 10, |_| true).await;
    assert!(matches!(gone, Err(EventsError::Compacted { .. })), "not the end: {gone:?}");
    go_on.send(()).unwrap();
    assert!(busy.await.unwrap().unwrap());
    assert_eq!(installed.await.unwrap().reader.newest(), index);
}

#[tokio::test]
async fn a_crash_between_installing_and_purging_is_survived() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut leader = Node::open(folders[0].path()).await;
    leader.live_a_little(0, 3).await;
    let snapshot = build(&mut leader).await;
    let last = snapshot.meta.last_log_id.unwrap();
    let mut follower = Node::open(folders[1].path()).await;
    // Raft hides the records it replaces before the snapshot is installed.
    follower.log.purge(last).await.unwrap();
    let folder = receive(&mut follower, &snapshot).await;
    follower.machine.install_snapshot(&snapshot.meta, folder).await.unwrap();
    drop(follower);
    let mut follower = Node::open(folders[1].path()).await;
    assert_eq!(follower.log.get_log_state().await.unwrap().last_purged_log_id, Some(last));
    assert_eq!(follower.reader.state_hash().await.unwrap(), leader.reader.state_hash().await.unwrap());
}

#[tokio::test]
async fn a_snapshot_that_was_not_installed_before_a_crash_is_none() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut leader = Node::open(folders[0].path()).await;
    leader.live_a_little(0, 3).await;
    let snapshot = build(&mut leader).await;
    let follower = Node::open(folders[1].path()).await;
    drop(follower);
    // A received snapshot gets its name before the state that is made of it counts.
    let kept = folders[1].path().join("group-0/snapshots").join(&snapshot.meta.snapshot_id);
    fs::create_dir(&kept).unwrap();
    copy(&snapshot.snapshot.path, &kept);
    let mut follower = Node::open(folders[1].path()).await;
    assert_eq!(follower.machine.get_current_snapshot().await.unwrap().map(|found| found.meta), None);
    assert!(!kept.exists());
}

#[tokio::test]
async fn records_that_follow_a_snapshot_replace_those_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let follower = Node::open(folder.path()).await;
    goes_on_after_a_snapshot(follower, folder.path()).await;
}

#[tokio::test]
async fn a_node_that_joined_by_a_snapshot_starts_again_though_it_has_no_records_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let joined = Node::open_as_is(folder.path(), options(1)).await.unwrap();
    goes_on_after_a_snapshot(joined, folder.path()).await;
}

/// A snapshot is installed while the first record after it is appended; then the node is opened again.
async fn goes_on_after_a_snapshot(mut follower: Node, data: &std::path::Path) {
    let folder = tempfile::tempdir().unwrap();
    let mut leader = Node::open(folder.path()).await;
    leader.live_a_little(0, 3).await;
    let snapshot = build(&mut leader).await;
    let last = snapshot.meta.last_log_id.unwrap();
    follower.log.purge(last).await.unwrap();
    let next = crate::node::entry(last.index + 1, &[set("a.key", 5)]);
    let mut log = follower.log.clone();
    let appended = tokio::spawn({
        let next = next.clone();
        async move { openraft::storage::RaftLogStorageExt::blocking_append(&mut log, [next]).await }
    });
    let folder = receive(&mut follower, &snapshot).await;
    follower.machine.install_snapshot(&snapshot.meta, folder).await.unwrap();
    appended.await.unwrap().unwrap();
    drop(follower);
    let mut follower = Node::open(data).await;
    let state = follower.log.get_log_state().await.unwrap();
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(last), Some(next.log_id)));
}

#[tokio::test]
async fn old_and_damaged_snapshots_are_refused() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut with_ears = options(1);
    let ears = heard.clone();
    with_ears.fatal = Arc::new(move |fatal| ears.lock().push(Chain(fatal).to_string()));
    let mut leader = Node::open(folders[0].path()).await;
    leader.live_a_little(0, 3).await;
    let snapshot = build(&mut leader).await;
    let mut follower = Node::open_with(folders[1].path(), with_ears).await.unwrap();

    let folder = receive(&mut follower, &snapshot).await;
    let table = fs::read_dir(&folder.path).unwrap().map(|entry| entry.unwrap().path());
    let table = table.into_iter().find(|path| path.extension().is_some_and(|end| end == "sst")).unwrap();
    let mut bytes = fs::read(&table).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&table, bytes).unwrap();
    assert!(matches!(verify_snapshot(&folder.path), Err(SnapshotError::Mismatch { .. })));
    fs::remove_file(table).unwrap();
    assert!(matches!(verify_snapshot(&folder.path), Err(SnapshotError::Mismatch { .. })));
    let folder = receive(&mut follower, &snapshot).await;
    fs::write(folder.path.join("extra"), "x").unwrap();
    assert!(matches!(verify_snapshot(&folder.path), Err(SnapshotError::Mismatch { .. })));
    fs::write(folder.path.join(MANIFEST), "x").unwrap();
    assert!(matches!(verify_snapshot(&folder.path), Err(SnapshotError::Corrupt(_))));

    let index = |id: Option<LogId>| id.unwrap().index;
    follower.live_a_little(0, 8).await;
    assert!(index(*follower.reader.applied().borrow()) > index(snapshot.meta.last_log_id));
    let expected = follower.reader.state_hash().await.unwrap();
    let folder = receive(&mut follower, &snapshot).await;
    follower.machine.install_snapshot(&snapshot.meta, folder).await.unwrap_err();
    assert!(heard.lock()[0].contains("does not follow"), "{:?}", heard.lock());
    assert_eq!(follower.reader.state_hash().await.unwrap(), expected);
}

#[tokio::test]
async fn the_two_newest_snapshots_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    let mut metas = Vec::new();
    for round in 0..4 {
        node.live_a_little(round, 1).await;
        metas.push(build(&mut node).await.meta);
    }
    let kept = fs::read_dir(folder.path().join("group-0/snapshots")).unwrap();
    let mut kept: Vec<_> = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    kept.sort();
    assert_eq!(kept, [metas[2].snapshot_id.clone(), metas[3].snapshot_id.clone()]);
    node.log.purge(place(3)).await.unwrap();
    drop(node);
    let mut node = Node::open(folder.path()).await;
    assert_eq!(node.machine.get_current_snapshot().await.unwrap().unwrap().meta, metas[3]);
}
