//! A backup of a follower while others write, and the cluster that is made of it.
//! Knows nothing of HTTP.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use orc_raft::{
    backup::restore,
    replica::{Mode, Replica},
};

use crate::harness::{Cluster, Place, done, eventually, one, set, value};

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
async fn a_cluster_made_of_a_backup_begins_with_the_hash_of_its_manifest() {
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
    assert_eq!(hash(&first).await, manifest.state_hash);
    assert!(first.leadership().borrow().term > manifest.applied().leader_id.term);
    for _ in 0..2 {
        let place = new.grow().await;
        let joined = new.places[place].node().clone();
        eventually("it has all of it", async || {
            let status = joined.node_status().await;
            (status.state_hash?.1 == manifest.state_hash).then_some(())
        })
        .await;
    }
    assert_eq!(hash(&first).await, manifest.state_hash, "neither a leader nor members change a row");
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
