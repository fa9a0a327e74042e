//! Backups: a file at one log index, restored into the data folder of a new cluster; files that are not whole are refused.
//! Knows nothing of how they travel.

use std::{
    fs,
    path::{Path, PathBuf},
};

use openraft::storage::{RaftLogStorage, RaftStateMachine};
use orc_domain::State;
use orc_raft::{
    backup::{Backup, BackupError, BackupManifest, MAGIC, restore, verify},
    codec,
    identity::Identity,
};
use uuid::Uuid;

use crate::node::{Node, cancel_run, create_run, options, set};

const CLUSTER: Uuid = Uuid::from_u128(0xabc);

async fn lively(folder: &Path) -> Node {
    let mut node = Node::open(folder).await;
    node.live_a_little(0, 6).await;
    node.let_die(900..903).await;
    node.commit(&[create_run(7), create_run(8)]).await;
    node.commit(&[cancel_run(7)]).await;
    node
}

async fn begin(node: &Node) -> Backup {
    Backup::make(&node.reader, CLUSTER, 1, 5_000).await.unwrap()
}

/// A backup of a lively node, in a folder.
async fn file_in(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    let node = lively(&data).await;
    begin(&node).await.write_into(&folder.join("backups")).await.unwrap()
}

fn rows(state: &State) -> String {
    let keys = state.keys.iter().collect::<Vec<_>>();
    let runs = state.runs.iter().collect::<Vec<_>>();
    format!("{:?} {:?} {runs:?} {keys:?}", state.meta, state.tasks.iter().collect::<Vec<_>>())
}

fn copies_in(data: &Path) -> usize {
    let entries = fs::read_dir(data.join("group-0")).unwrap();
    entries
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("backup-"))
        .count()
}

async fn no_copies_in(data: &Path) {
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while copies_in(data) > 0 {
        assert!(tokio::time::Instant::now() < until, "copies stay");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_restored_backup_is_the_same_state_in_a_new_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let mut node = lively(&old).await;
    let backup = begin(&node).await;
    let (index, hash) = node.reader.state_hash().await.unwrap();
    let expected = node.reader.inspect(rows).await.unwrap();
    // What comes while it is written is not in it.
    node.live_a_little(20, 4).await;
    node.reader.sync().await.unwrap();
    let size = backup.size();
    let path = backup.write_into(&folder.path().join("backups")).await.unwrap();
    assert_eq!(path.metadata().unwrap().len(), size);
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(name, format!("orc-00000000-{index:020}.backup"));
    let manifest = verify(&path).unwrap();
    assert_eq!((manifest.rev(), manifest.state_hash), (index, hash));
    assert_eq!((manifest.cluster_id, manifest.node_id, manifest.made_at), (CLUSTER, 1, 5_000));

    let restored = restore(&path, &new, 9).unwrap();
    assert_eq!(restored.manifest, manifest);
    let identity = Identity::read(&new).unwrap().unwrap();
    assert_eq!((identity.node_id, identity.cluster_id), (9, restored.cluster_id));
    let was = Identity::read(&old).unwrap().unwrap();
    assert!(identity.cluster_id != was.cluster_id && identity.incarnation != was.incarnation);
    let mut names: Vec<_> =
        fs::read_dir(&new).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["group-0", "identity.toml"]);

    let mut again = Node::open_with(&new, options(9)).await.unwrap();
    assert_eq!(again.reader.state_hash().await.unwrap(), (index, hash));
    assert_eq!(again.reader.inspect(rows).await.unwrap(), expected);
    let (applied, membership) = again.machine.applied_state().await.unwrap();
    assert_eq!(applied, Some(manifest.applied()));
    assert_eq!(membership.voter_ids().collect::<Vec<_>>(), [9]);
    assert_eq!(membership.nodes().next().unwrap().1.incarnation, identity.incarnation);
    let log = again.log.get_log_state().await.unwrap();
    let last = log.last_log_id.map(|id| id.index);
    assert_eq!(
        (log.last_purged_log_id, last),
        (applied, Some(index + 1)),
        "one record makes old tokens void"
    );
    let vote = again.log.read_vote().await.unwrap().unwrap();
    assert!(vote.leader_id.term > manifest.applied().leader_id.term && !vote.committed);
    // A snapshot for those that join, made by Raft's own start.
    assert_eq!(again.machine.get_current_snapshot().await.unwrap().unwrap().meta.last_log_id, applied);
    again.commit(&[set("a.key", 9)]).await;
    drop(again);
    let again = Node::open_with(&new, options(9)).await.unwrap();
    assert_eq!(again.reader.state_hash().await.unwrap().0, index);
}

#[tokio::test]
async fn a_backup_leaves_snapshots_alone_and_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut node = lively(&data).await;
    let first = begin(&node).await;
    let second = begin(&node).await;
    assert!(matches!(Backup::make(&node.reader, CLUSTER, 1, 0).await, Err(BackupError::Busy)));
    assert_eq!(copies_in(&data), 2);
    assert!(node.machine.get_current_snapshot().await.unwrap().is_none(), "a backup is no snapshot");
    drop(first);
    let backups = folder.path().join("backups");
    fs::create_dir(&backups).unwrap();
    let (left, other) = (backups.join("orc-node-1-x.part"), backups.join("orc-node-2-x.part"));
    [&left, &other].into_iter().for_each(|path| fs::write(path, "x").unwrap());
    let path = second.write_into(&backups).await.unwrap();
    assert!(path.exists() && other.exists() && !left.exists(), "what a crash left goes");
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 2);
    no_copies_in(&data).await;
    fs::create_dir(data.join("group-0/backup-left")).unwrap();
    drop(node);
    drop(Node::open(&data).await);
    assert_eq!(copies_in(&data), 0, "what a crash left goes with the next start");
}

fn check(path: &Path, bytes: &[u8], expected: &str) {
    let data = path.with_file_name("restored");
    fs::write(path, bytes).unwrap();
    let error = restore(path, &data, 1).expect_err(expected);
    assert!(format!("{error:?}").starts_with(expected), "{error:?} is not {expected}");
    assert_eq!(error.exit_code(), 74, "{error:?}");
    assert!(!data.exists(), "{expected} left something behind");
    fs::create_dir(&data).unwrap();
    restore(path, &data, 1).expect_err(expected);
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "{expected} left something behind");
    fs::remove_dir(&data).unwrap();
}

#[tokio::test]
async fn damaged_truncated_foreign_and_newer_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(file_in(folder.path()).await).unwrap();
    let path = folder.path().join("a.backup");
    for at in [MAGIC.len() + 3, MAGIC.len() + 30, whole.len() / 2, whole.len() - 30, whole.len() - 1] {
        for bit in [0, 7] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            check(&path, &damaged, "Damaged");
            verify(&path).unwrap_err();
        }
    }
    check(&path, &whole[..whole.len() - 1], "Short");
    check(&path, &whole[..whole.len() / 2], "Short");
    check(&path, &whole[..MAGIC.len() + 5], "Damaged");
    check(&path, &whole[..5], "Foreign");
    check(&path, b"", "Foreign");
    check(&path, b"-- a dump of another database\n", "Foreign");
    check(&path, &[&whole[..], b"x"].concat(), "Damaged");
    for wrong in [newer(&whole), other_format(&whole)] {
        check(&path, &wrong, "TooNew");
    }
    check(&path, &with_manifest(&whole, |manifest| manifest.files[0].name = "../escaped".into()), "Damaged");
    // Every checksum fits: only the rows themselves can tell.
    check(&path, &with_manifest(&whole, |manifest| manifest.state_hash ^= 1), "Damaged");
    fs::write(&path, &whole).unwrap();
    restore(&path, &folder.path().join("restored"), 1).unwrap();
}

fn with_manifest(whole: &[u8], change: impl FnOnce(&mut BackupManifest)) -> Vec<u8> {
    let length = u32::from_be_bytes(whole[MAGIC.len() + 2..][..4].try_into().unwrap()) as usize + 10;
    let (beginning, rest) = whole.split_at(MAGIC.len() + length);
    let mut manifest: BackupManifest = codec::decode(&beginning[MAGIC.len()..]).unwrap();
    change(&mut manifest);
    [&MAGIC, &codec::encode(&manifest)[..], rest].concat()
}

fn other_format(whole: &[u8]) -> Vec<u8> {
    with_manifest(whole, |manifest| manifest.format += 1)
}

/// With a manifest of the next version of its form.
fn newer(whole: &[u8]) -> Vec<u8> {
    let mut newer = whole.to_vec();
    let at = MAGIC.len();
    newer[at + 1] += 1;
    let length = u32::from_be_bytes(newer[at + 2..][..4].try_into().unwrap()) as usize;
    let body = newer[at + 10..][..length].to_vec();
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&newer[at..at + 6]), &body);
    newer[at + 6..at + 10].copy_from_slice(&checksum.to_be_bytes());
    newer
}

#[tokio::test]
async fn a_data_folder_with_anything_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = file_in(folder.path()).await;
    let data = folder.path().join("data");
    let before = Identity::read(&data).unwrap();
    let error = restore(&path, &data, 1).unwrap_err();
    assert!(matches!(error, BackupError::NotEmpty { .. }) && error.exit_code() == 2, "{error:?}");
    assert_eq!(Identity::read(&data).unwrap(), before);
    let missing = restore(&folder.path().join("nothing"), &folder.path().join("new"), 1).unwrap_err();
    assert_eq!(missing.exit_code(), 2, "{missing}");
    assert!(!folder.path().join("new").exists());
    // A mount point is there already, and is no folder that could be renamed.
    fs::create_dir(folder.path().join("new")).unwrap();
    restore(&path, &folder.path().join("new"), 1).unwrap();
}
