//! A backup of a follower while others write, and the cluster that is made of it.
//! Knows nothing of HTTP.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use orc_domain::{
    Answer, Command, Json, Labels, NodeId, RegisterComponent, Rejection, SessionId, Task, TaskId, TaskStatus,
};
use orc_raft::{
    backup::restore,
    replica::{Mode, Replica},
};

use uuid::Uuid;

use crate::harness::{Cluster, Place, create_task, done, eventually, one, set, value};

/// Writes until told to stop; how many were acknowledged.
fn write_on(replica: Replica, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<u32> {
    tokio::spawn(async move {
        let mut acknowledged = 0;
        while !stop.load(Ordering::Relaxed) {
            acknowledged += u32::from(one(&replica, set("counter", "1")).await.is_ok());
        }
        acknowledged
    })
}

async fn hash(replica: &Replica) -> u64 {
    eventually("a hash", async || replica.node_status().await.state_hash).await.1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_made_of_a_backup_has_all_of_it_on_every_node() {
    let old = Cluster::of(3).await;
    let follower = old.places[old.follower().await].node();
    for number in 0..50 {
        done(follower, set(&format!("key.{number}"), "1")).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writing = write_on(old.places[old.leader().await].node().clone(), stop.clone());
    eventually("writes are under way", async || value(follower, "counter").await).await;
    let folder = old.root.path().join("backups");
    let (path, manifest) = follower.backup_into(&folder).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    assert!(writing.await.unwrap() > 0);
    assert_eq!((manifest.node_id, manifest.cluster_id), (follower.node().0, follower.cluster()));
    old.agree().await;

    let mut new = Cluster { root: tempfile::tempdir().unwrap(), places: Vec::new(), tune: |_| {} };
    let mut first = Place { id: 1, folder: new.root.path().join("node-1"), address: None, replica: None };
    let restored = restore(&path, &first.folder, 1).unwrap();
    // As the node that founded the old one was started: what is there counts.
    first.start(first.options(Mode::Bootstrap)).await;
    new.places.push(first);
    let first = new.places[new.leader().await].node().clone();
    assert_eq!((first.cluster(), first.cluster() == follower.cluster()), (restored.cluster_id, false));
    eventually("its first record is applied", async || {
        (first.node_status().await.applied? > manifest.applied().index).then_some(())
    })
    .await;
    let begun = hash(&first).await;
    assert!(first.leadership().borrow().term > manifest.applied().leader_id.term);
    for _ in 0..2 {
        let place = new.grow().await;
        let joined = new.places[place].node().clone();
        eventually("it has all of it", async || {
            let status = joined.node_status().await;
            (status.state_hash?.1 == begun).then_some(())
        })
        .await;
    }
    assert_eq!(hash(&first).await, begun, "neither a leader nor members change a row");
    assert_eq!(value(&first, "key.49").await.as_deref(), Some("1"));
    done(new.places[2].node(), set("goes.on", "1")).await;
    new.agree().await;
    // A node lives as long as anybody has it.
    drop(first);
    let leader = new.leader().await;
    new.places[leader].kill();
    done(new.places[new.leader().await].node(), set("goes.on", "2")).await;
    new.restart(leader).await;
    new.agree().await;
}

const TASK: TaskId = TaskId::Single(Uuid::from_u128(7));

/// Registers and connects the only worker, which takes what there is.
async fn connect(replica: &Replica, session: u128) -> Arc<Task> {
    let worker = RegisterComponent {
        id: "worker".parse().expect("a legal name"),
        name: "worker".into(),
        kind: "worker".into(),
        version: "1".into(),
        capabilities: vec!["echo".into()],
        labels: Labels::default(),
        slots: 1,
        ttl: None,
    };
    let id = worker.id.clone();
    done(replica, Command::RegisterComponent(Box::new(worker)).into()).await;
    let session = SessionId(Uuid::from_u128(session));
    let connect = Command::ConnectComponent { component: id, session, node: NodeId(1), held: Vec::new() };
    done(replica, connect.into()).await;
    replica.reader().task(&TASK).expect("it is live")
}

/// A result of the attempt with this token.
fn complete(task: &Task) -> orc_domain::Proposal {
    let token = task.assignment.as_ref().expect("it was assigned").token;
    Command::CompleteTask { task: TASK, token, output: Json::null() }.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_cluster_are_void_in_the_one_that_is_made_of_its_backup() {
    let mut old = Cluster::of(1).await;
    let replica = old.places[0].node().clone();
    done(&replica, create_task(7)).await;
    let before = connect(&replica, 1).await;
    assert_eq!(before.status, TaskStatus::Running);
    let (path, _) = replica.backup_into(&old.root.path().join("backups")).await.unwrap();
    drop(replica);
    old.places[0].kill();

    let folder = tempfile::tempdir().unwrap();
    let mut place = Place { id: 1, folder: folder.path().join("node-1"), address: None, replica: None };
    restore(&path, &place.folder, 1).unwrap();
    place.start(place.options(Mode::Restart)).await;
    let new = place.node().clone();
    let late = done(&new, complete(&before)).await;
    assert!(matches!(late.result, Err(Rejection::StaleAttempt { .. })), "{late:?}");
    let waiting = new.reader().task(&TASK).expect("it is live");
    assert_eq!(waiting.status, TaskStatus::Queued, "it waits for another attempt");

    let again = connect(&new, 2).await;
    let token = |task: &Task| task.assignment.as_ref().expect("it was assigned").token;
    assert!(
        token(&again).0 > token(&before).0 + (1 << 32),
        "no token of the old cluster will ever be one here"
    );
    let late = done(&new, complete(&before)).await;
    assert!(matches!(late.result, Err(Rejection::StaleAttempt { .. })), "{late:?}");
    assert_eq!(done(&new, complete(&again)).await.result, Ok(Answer::Done));
}
