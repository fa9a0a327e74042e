//! Leadership is given to another node while callers go on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use orc_domain::NodeId;
use orc_raft::replica::{Replica, TransferError};
use tokio::task::JoinHandle;

use super::harness::{Cluster, eventually, one, set};

/// Writes on and on; a call that fails is a panic.
struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Writer {
    fn start(replica: &Replica) -> Writer {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (replica, stopped, count) = (replica.clone(), stop.clone(), written.clone());
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                one(&replica, set("handed.over", "1")).await.expect("a call waits for the next leader");
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Writer { stop, written, task }
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("no call failed");
    }
}

/// Gives leadership to each node in turn; writers on all nodes notice nothing, and nobody else is elected meanwhile.
async fn passes_on(size: u64) {
    let cluster = Cluster::of(size).await;
    cluster.leader().await;
    let writers: Vec<Writer> = cluster.running().map(Writer::start).collect();
    let start = cluster.places[0].node();
    let before = start.leadership().borrow().term;
    let mut moves = 0;
    for id in (1..=size).map(NodeId) {
        if start.leadership().borrow().leader == Some(id) {
            continue;
        }
        let asked = cluster.places[moves as usize % cluster.places.len()].node();
        assert_eq!(asked.transfer_leadership(Some(id)).await, Ok(id));
        moves += 1;
        let knows = |replica: &Replica| replica.leadership().borrow().leader == Some(id);
        eventually("all know", async || cluster.running().all(knows).then_some(())).await;
        let written: Vec<u64> = writers.iter().map(Writer::written).collect();
        let wrote = || writers.iter().zip(&written).all(|(writer, before)| writer.written() > *before);
        eventually("all go on", async || wrote().then_some(())).await;
    }
    assert_eq!(start.leadership().borrow().term, before + moves, "each move takes one election");
    for writer in writers {
        writer.stop().await;
    }
    cluster.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_goes_to_the_node_that_is_named_and_no_write_fails() {
    passes_on(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_goes_to_the_node_that_is_named_though_four_others_vote() {
    passes_on(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_stays_where_it_is_if_the_other_cannot_lead() {
    let mut cluster = Cluster::of(1).await;
    let alone = cluster.places[cluster.leader().await].node().clone();
    assert_eq!(alone.transfer_leadership(None).await, Err(TransferError::NobodyElse));
    assert_eq!(
        alone.transfer_leadership(Some(NodeId(1))).await,
        Err(TransferError::LeadsAlready { node: 1 })
    );
    drop(alone);
    cluster.grow().await;
    cluster.grow().await;
    let leader = cluster.leader().await;
    let (down, up) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.places[down].kill();
    let id = cluster.places[down].id;
    let asked = cluster.places[up].node();
    let silent = async || {
        let refused = asked.transfer_leadership(Some(NodeId(id))).await.expect_err("it is down");
        (refused == TransferError::Silent { node: id }).then_some(())
    };
    eventually("the leader misses it", silent).await;
    assert_eq!(asked.transfer_leadership(Some(NodeId(9))).await, Err(TransferError::NotAMember { node: 9 }));
    assert_eq!(cluster.leader().await, leader, "it leads on");
    one(asked, set("led.on", "1")).await.expect("and takes writes");
    assert_eq!(asked.transfer_leadership(None).await, Ok(asked.node()), "the one that is up is the best");
}
