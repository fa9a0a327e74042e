//! What a crash, a torn write or a damaged disk leaves behind, and what the next start makes of it.
//! Knows nothing of snapshots.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use openraft::{
    RaftLogReader,
    storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine},
};
use orc_raft::{
    error::StartError,
    store::open,
    types::{Batch, LogEntry, Membership, Payload, Vote},
};
use parking_lot::Mutex;

use crate::node::{Node, cancel_run, create_run, entry, options, place, set};

fn wal_of(log: &Path) -> PathBuf {
    let files = fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap()
}

fn refused(data: &Path) -> StartError {
    match open(data, options(1)) {
        Ok(_) => panic!("the folder was opened"),
        Err(error) => {
            assert_eq!(error.exit_code(), 74, "{error}");
            error
        }
    }
}

#[tokio::test]
async fn a_leader_does_not_go_on_in_its_term_after_a_restart() {
    for (leader, goes_on) in [(1, false), (2, true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut node = Node::open(folder.path()).await;
        let vote = Vote::new_committed(3, leader);
        node.log.save_vote(&vote).await.unwrap();
        assert_eq!(node.log.read_vote().await.unwrap(), Some(vote));
        drop(node);
        let found = Node::open(folder.path()).await.log.read_vote().await.unwrap().unwrap();
        assert_eq!((found.leader_id, found.committed), (vote.leader_id, goes_on));
    }
}

/// Nothing holds a leader's records back but its disk: its followers' answers wait for this.
#[tokio::test]
async fn what_a_leader_appended_is_synced_soon() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    node.log.save_vote(&Vote::new_committed(1, 1)).await.unwrap();
    node.log.see_membership(Some(0), &Membership::new(vec![[1, 2, 3].into()], ()));
    let next = node.log.last().unwrap().index + 1;
    node.log.blocking_append([entry(next, &[set("a", 1)])]).await.unwrap();
    node.log.synced(next).await;
    drop(node);
    let mut node = Node::open(folder.path()).await;
    assert_eq!(node.log.get_log_state().await.unwrap().last_log_id, Some(place(next)));
}

#[tokio::test]
async fn what_was_not_drained_is_applied_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    node.live_a_little(0, 4).await;
    node.reader.drain().await.unwrap();
    let drained = node.reader.applied().borrow().unwrap().index;
    node.live_a_little(4, 4).await;
    let applied = *node.reader.applied().borrow();
    // The hash without a drain on this node's disk: from another node.
    let other_folder = tempfile::tempdir().unwrap();
    let mut other = Node::open(other_folder.path()).await;
    let all = node.log.try_get_log_entries(1..).await.unwrap();
    other.machine.apply(all).await.unwrap();
    drop(node);

    let opened = open(folder.path(), options(1)).unwrap();
    assert_eq!(opened.reader.applied().borrow().unwrap().index, drained);
    drop(opened);
    let mut node = Node::open(folder.path()).await;
    node.catch_up().await;
    assert_eq!(*node.reader.applied().borrow(), applied);
    assert_eq!(node.reader.state_hash().await.unwrap(), other.reader.state_hash().await.unwrap());
}

#[tokio::test]
async fn the_hash_does_not_depend_on_when_it_was_drained() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let mut seldom = Node::open(folders[0].path()).await;
    seldom.live_a_little(0, 12).await;
    let entries = seldom.log.try_get_log_entries(1..).await.unwrap();

    let mut often = Node::open(folders[1].path()).await;
    let mut restarted = Node::open(folders[2].path()).await;
    for entry in entries {
        let index = entry.log_id.index;
        often.machine.apply([entry.clone()]).await.unwrap();
        often.reader.drain().await.unwrap();
        restarted.log.blocking_append([entry.clone()]).await.unwrap();
        restarted.machine.apply([entry]).await.unwrap();
        if index.is_multiple_of(10) {
            restarted.reader.drain().await.unwrap();
            drop(restarted);
            restarted = Node::open(folders[2].path()).await;
            restarted.catch_up().await;
        }
    }
    let expected = seldom.reader.state_hash().await.unwrap();
    assert_eq!(often.reader.state_hash().await.unwrap(), expected);
    assert_eq!(restarted.reader.state_hash().await.unwrap(), expected);
    seldom.commit(&[set("a.key", 0)]).await;
    assert_ne!(seldom.reader.state_hash().await.unwrap().1, expected.1);
}

#[tokio::test]
async fn a_flipped_bit_in_the_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    node.live_a_little(0, 10).await;
    drop(node);
    let wal = wal_of(&folder.path().join("group-0/log"));
    let whole = fs::read(&wal).unwrap();
    let places = (1..8).map(|part| whole.len() / 8 * part).chain([whole.len() - 5]);
    for place in places {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x10;
        fs::write(&wal, damaged).unwrap();
        let error = refused(folder.path());
        assert!(error.to_string().contains("orc cluster remove"), "{error}");
    }
    fs::write(&wal, whole).unwrap();
    Node::open(folder.path()).await;
}

#[tokio::test]
async fn a_torn_record_that_nobody_was_told_of_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    node.live_a_little(0, 2).await;
    let applied = node.reader.applied().borrow().unwrap();
    node.reader.sync().await.unwrap();
    node.append(&[set("a.torn", 1)]).await;
    drop(node);
    let wal = wal_of(&folder.path().join("group-0/log"));
    let length = fs::metadata(&wal).unwrap().len();
    fs::File::options().write(true).open(&wal).unwrap().set_len(length - 7).unwrap();

    let mut node = Node::open(folder.path()).await;
    assert_eq!(node.log.get_log_state().await.unwrap().last_log_id, Some(applied));
    node.commit(&[set("a.key", 9)]).await;
}

#[tokio::test]
async fn a_lost_record_that_was_applied_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    node.live_a_little(0, 2).await;
    node.reader.sync().await.unwrap();
    drop(node);
    let wal = wal_of(&folder.path().join("group-0/log"));
    let length = fs::metadata(&wal).unwrap().len();
    fs::File::options().write(true).open(&wal).unwrap().set_len(length - 7).unwrap();
    assert!(matches!(refused(folder.path()), StartError::LogShort { what: "applied", .. }));
}

#[tokio::test]
async fn a_vote_and_a_log_without_each_other_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    node.log.save_vote(&Vote::new(7, 1)).await.unwrap();
    node.commit(&[set("a.key", 1)]).await;
    drop(node);
    let mut node = Node::open(folder.path()).await;
    assert_eq!(node.log.read_vote().await.unwrap(), Some(Vote::new(7, 1)));
    drop(node);
    let log = folder.path().join("group-0/log");
    fs::remove_dir_all(&log).unwrap();
    assert!(matches!(refused(folder.path()), StartError::LogMissing { .. }));
    let other = tempfile::tempdir().unwrap();
    drop(Node::open(other.path()).await);
    fs::remove_dir_all(&log).unwrap();
    fs::rename(other.path().join("group-0/log"), &log).unwrap();
    assert!(matches!(refused(folder.path()), StartError::LogMissing { .. }), "the log of another node");
}

#[tokio::test]
async fn a_definition_used_again_at_once_is_still_in_use_after_a_restart() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut node = Node::open(folders[0].path()).await;
    let mut often = Node::open(folders[1].path()).await;
    node.commit(&[create_run(1)]).await;
    node.reader.drain().await.unwrap();
    node.commit(&[cancel_run(1)]).await;
    node.commit(&[create_run(2)]).await;
    node.commit(&[cancel_run(2)]).await;
    node.commit(&[create_run(3)]).await;
    for entry in node.log.try_get_log_entries(1..).await.unwrap() {
        often.machine.apply([entry]).await.unwrap();
        often.reader.drain().await.unwrap();
    }
    assert_eq!(node.reader.state_hash().await.unwrap(), often.reader.state_hash().await.unwrap());
    let in_use = async |node: &Node| node.reader.inspect(|state| state.definitions.len()).await;
    assert_eq!(in_use(&node).await.unwrap(), 1);
    drop(node);
    let node = Node::open(folders[0].path()).await;
    assert_eq!(in_use(&node).await.unwrap(), 1);
    assert_eq!(node.reader.state_hash().await.unwrap(), often.reader.state_hash().await.unwrap());
    let (runs, _) = node.reader.list_runs(orc_raft::store::Query::new(10)).await.unwrap();
    let seen: Vec<_> = runs.rows.iter().map(|run| (run.id.0.as_u128(), run.status.is_terminal())).collect();
    assert_eq!(seen, [(3, false), (2, true), (1, true)]);
}

#[tokio::test]
async fn a_bad_pointer_is_refused_and_leftovers_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    Node::open(folder.path()).await.live_a_little(0, 1).await;
    let group = folder.path().join("group-0");
    for leftover in ["state-9", "snapshots/tmp-1", "snapshots/incoming-2", "snapshots/snap-3"] {
        fs::create_dir(group.join(leftover)).unwrap();
        fs::write(group.join(leftover).join("half"), "x").unwrap();
    }
    Node::open(folder.path()).await;
    assert_eq!(fs::read_dir(group.join("snapshots")).unwrap().count(), 0);
    assert!(!group.join("state-9").exists());
    for damaged in ["", "state-77\n", "../elsewhere\n"] {
        fs::write(group.join("CURRENT-STATE"), damaged).unwrap();
        assert!(matches!(refused(folder.path()), StartError::Pointer { .. }));
    }
}

#[tokio::test]
async fn a_folder_is_used_by_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let _node = Node::open(folder.path()).await;
    let Err(error) = open(folder.path(), options(1)) else { panic!("it was opened twice") };
    assert!(matches!(error, StartError::InUse { .. }), "{error:?}");
    assert_eq!(error.exit_code(), 75);
}

#[tokio::test]
async fn records_leave_the_log_only_when_the_state_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    node.live_a_little(0, 3).await;
    let last = node.reader.applied().borrow().unwrap();
    assert_eq!(node.reader.durable_applied(), None);
    node.log.purge(place(5)).await.unwrap();
    assert_eq!(node.reader.durable_applied(), Some(last));
    drop(node);
    let mut node = Node::open(folder.path()).await;
    assert_eq!(node.log.get_log_state().await.unwrap().last_purged_log_id, Some(place(5)));

    // A snapshot that is still being installed: hidden at once, on the disk until it is there.
    node.log.purge(place(last.index + 50)).await.unwrap();
    assert!(node.log.try_get_log_entries(0..1_000).await.unwrap().is_empty());
    drop(node);
    let mut node = Node::open(folder.path()).await;
    assert_eq!(node.log.get_log_state().await.unwrap().last_log_id, Some(last));
    assert_eq!(node.log.try_get_log_entries(0..1_000).await.unwrap().len() as u64, last.index - 5);
}

#[tokio::test]
async fn truncated_records_do_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    let first = node.append(&[set("a.key", 1)]).await.log_id;
    for value in 2..6 {
        node.append(&[set("a.key", value)]).await;
    }
    node.log.truncate(place(first.index + 1)).await.unwrap();
    node.log.blocking_append([entry(first.index + 1, &[set("a.key", 7)])]).await.unwrap();
    drop(node);
    let mut node = Node::open(folder.path()).await;
    let entries = node.log.try_get_log_entries(first.index..).await.unwrap();
    assert_eq!(entries, [entry(first.index, &[set("a.key", 1)]), entry(first.index + 1, &[set("a.key", 7)])]);
}

#[tokio::test]
async fn holes_and_unknown_commands_are_fatal() {
    let folder = tempfile::tempdir().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let mut options = options(1);
    let ears = heard.clone();
    options.fatal = Arc::new(move |fatal| ears.lock().push(fatal.to_string()));
    let mut node = Node::open_with(folder.path(), options).await.unwrap();
    node.log.blocking_append([entry(40, &[])]).await.unwrap_err();
    let unknown = Batch::from_bytes(vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 250].into());
    let entry = LogEntry { log_id: place(1), payload: Payload::Normal(unknown) };
    node.machine.apply([entry]).await.unwrap_err();
    assert_eq!(*heard.lock(), ["log record 40 was appended after 0", "stored data cannot be understood"]);
}

#[tokio::test]
async fn a_row_that_is_damaged_while_the_node_runs_is_fatal_and_nobody_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    node.live_a_little(0, 200).await;
    node.reader.sync().await.unwrap();
    drop(node);
    // Opened again it has the rows in table files, and of the events only the first block in memory.
    let (heard, mut with_ears) = (Arc::new(Mutex::new(Vec::new())), options(1));
    let ears = heard.clone();
    with_ears.fatal = Arc::new(move |fatal| ears.lock().push(fatal.to_string()));
    let node = Node::open_with(folder.path(), with_ears).await.unwrap();
    let state = fs::read_dir(folder.path().join("group-0")).unwrap().map(|entry| entry.unwrap().path());
    let state = state.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("state-"));
    let tables = fs::read_dir(state.max().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    for table in tables.filter(|path| path.extension().is_some_and(|extension| extension == "sst")) {
        let mut bytes = fs::read(&table).unwrap();
        bytes.iter_mut().step_by(16).for_each(|byte| *byte ^= 0x10);
        let file = fs::File::options().write(true).open(&table).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
    }
    node.reader.events_since(0, 10_000, |_| true).await.unwrap_err();
    assert_eq!(*heard.lock(), ["the disk cannot be read"]);
}
