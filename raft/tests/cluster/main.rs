//! Nodes on loopback with real disks: elections, forwarding, snapshots, membership, restarts.
//! Knows nothing of processes and power cuts; `tests/` of the workspace has those.

mod backup;
mod handover;
mod harness;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use openraft::storage::RaftLogStorage;
use orc_domain::{Answer, NodeId, Proposal, TaskId, Unavailable};
use orc_raft::{
    error::Chain,
    membership::MembershipError,
    replica::{Mode, NotReady, Replica, StartFailure},
    status::Role,
    store::OpenOptions,
    transport::{CallError, Local, Refusal, ask_once, message::Request},
    types::Vote,
};
use uuid::Uuid;

use crate::harness::{Cluster, Place, create_task, done, eventually, one, set, value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_forward_and_all_agree() {
    let cluster = Cluster::of(3).await;
    for (number, place) in cluster.places.iter().enumerate() {
        let name = format!("from.{number}");
        let outcome = done(place.node(), set(&name, "1")).await;
        assert_eq!(outcome.result, Ok(Answer::Key { version: 1 }));
        assert!(done(place.node(), create_task(number as u128)).await.result.is_ok());
        for other in cluster.running() {
            assert_eq!(value(other, &name).await.as_deref(), Some("1"), "a read after an acknowledged write");
        }
    }
    let many: Vec<Proposal> = (0..1_000).map(|number| set("counter", &number.to_string())).collect();
    let outcomes = cluster.places[cluster.follower().await].node().submit(many).await;
    let revs: Vec<u64> = outcomes.iter().map(|outcome| outcome.as_ref().unwrap().rev).collect();
    assert!(revs.is_sorted() && revs.len() == 1_000);
    assert_eq!(value(cluster.places[0].node(), "counter").await.as_deref(), Some("999"), "the order is kept");
    cluster.agree().await;
    assert!(cluster.running().all(|replica| replica.ready().is_ok()));
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    eventually("both followers have acknowledged everything", async || {
        let behind = cluster.places[leader].node().progress().await.peers_behind;
        (behind.len() == 2 && behind.values().all(|entries| *entries == 0)).then_some(())
    })
    .await;
    let progress = cluster.places[follower].node().progress().await;
    assert!(progress.peers_behind.is_empty() && progress.committed.is_some_and(|index| index >= revs[999]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_nodes_know_the_time() {
    let cluster = Cluster::of(3).await;
    cluster.agree().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for replica in cluster.running() {
        let (node, awake_for) = (replica.node(), replica.awake_for());
        assert!(awake_for >= Duration::from_secs(3), "{node} looked at its clock {awake_for:?} ago");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_leader_takes_nothing_acknowledged_along() {
    let mut cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .filter(|place| *place != leader)
        .map(|place| {
            let (replica, stop) = (cluster.places[place].node().clone(), stop.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    let name = format!("writer.{place}.{number}");
                    if one(&replica, set(&name, "true")).await.is_ok() {
                        acknowledged.push(name);
                    }
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
                acknowledged
            })
        })
        .collect();
    done(cluster.places[leader].node(), set("before", "1")).await;
    cluster.places[leader].kill();
    let next = cluster.leader().await;
    done(cluster.places[next].node(), set("after", "1")).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        let acknowledged = writer.await.unwrap();
        assert!(!acknowledged.is_empty());
        for name in acknowledged {
            assert!(value(cluster.places[next].node(), &name).await.is_some(), "{name} was acknowledged");
        }
    }
    cluster.restart(leader).await;
    cluster.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_behind_a_purged_log_gets_a_snapshot_while_writes_go_on() {
    let mut cluster = Cluster::tuned(3, |options| {
        options.limits.snapshot_every = 50;
        options.limits.records_kept = 10;
    })
    .await;
    let follower = cluster.follower().await;
    cluster.places[follower].kill();
    let leader = cluster.places[cluster.leader().await].node().clone();
    let mut rev = 0;
    for number in 0..200 {
        rev = done(&leader, set(&format!("key.{number}"), "1")).await.rev;
    }
    eventually("the log is purged", async || (leader.node_status().await.purged? > rev - 100).then_some(()))
        .await;
    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (leader, stop) = (leader.clone(), stop.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
                done(&leader, set("meanwhile", "1")).await;
            }
        }
    });
    cluster.restart(follower).await;
    let late = cluster.places[follower].node();
    eventually("it has caught up", async || (late.node_status().await.applied? > rev).then_some(())).await;
    stop.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    let snapshot = async || (late.node_status().await.snapshot? > rev - 100).then_some(());
    eventually("it says that it has a snapshot", snapshot).await;
    cluster.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_snapshot_is_damaged_ends_when_a_follower_refuses_it() {
    static DAMAGE: OnceLock<String> = OnceLock::new();
    let mut cluster = Cluster::tuned(3, |options| {
        options.limits.snapshot_every = 50;
        options.limits.records_kept = 10;
        options.fatal = Arc::new(|fatal| drop(DAMAGE.set(Chain(fatal).to_string())));
    })
    .await;
    let follower = cluster.follower().await;
    cluster.places[follower].kill();
    let leader = cluster.leader().await;
    let (replica, snapshots) =
        (cluster.places[leader].node(), cluster.places[leader].folder.join("group-0/snapshots"));
    let mut rev = 0;
    for number in 0..200 {
        rev = done(replica, set(&format!("key.{number}"), "1")).await.rev;
    }
    let made = async || (replica.node_status().await.snapshot? + 50 > rev).then_some(());
    eventually("there is a snapshot of all", made).await;
    for snapshot in snapshots.read_dir().unwrap() {
        for file in snapshot.unwrap().path().read_dir().unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "sst") {
                let mut bytes = std::fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                // Not the file of the same name that the state has.
                std::fs::remove_file(&path).unwrap();
                std::fs::write(&path, bytes).unwrap();
            }
        }
    }
    cluster.restart(follower).await;
    let damage = eventually("the leader finds the damage", async || DAMAGE.get()).await;
    assert!(damage.contains(".sst is not as the manifest says"), "{damage}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_all_keeps_everything() {
    let mut cluster = Cluster::of(3).await;
    let replica = cluster.places[0].node().clone();
    for number in 0..50 {
        done(&replica, set(&format!("key.{number}"), "1")).await;
        done(&replica, create_task(number)).await;
    }
    drop(replica);
    cluster.places[0].node().shutdown().await;
    cluster.places.iter_mut().for_each(Place::kill);
    for place in 0..3 {
        cluster.restart(place).await;
    }
    for replica in cluster.running() {
        assert_eq!(value(replica, "key.49").await.as_deref(), Some("1"));
        assert!(replica.reader().task(&TaskId::Single(Uuid::from_u128(49))).is_some());
    }
    cluster.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_move_and_go() {
    let mut cluster = Cluster::of(3).await;
    let fourth = cluster.grow().await;
    done(cluster.places[fourth].node(), set("from.the.fourth", "1")).await;

    cluster.places[fourth].kill();
    cluster.places[fourth].address = None;
    cluster.restart(fourth).await;
    let moved = cluster.places[fourth].address.unwrap().to_string();
    eventually("the others know its new address", async || {
        let status = cluster.places[0].node().status().await;
        status.nodes.iter().any(|node| node.peer_addr == moved && node.role != Role::Down).then_some(())
    })
    .await;

    let follower = cluster.follower().await;
    let id = NodeId(cluster.places[follower].id);
    let leader = cluster.places[cluster.leader().await].node().clone();
    eventually("a follower is removed", async || leader.remove(id).await.ok()).await;
    cluster.places[follower].kill();
    assert_eq!(leader.remove(id).await, Err(MembershipError::NotAMember { node: id.0 }));

    leader.remove(leader.node()).await.expect("the leader removes itself, and knows it");
    let gone = leader.node().0 as usize - 1;
    drop(leader);
    cluster.places[gone].kill();
    let next = cluster.places[cluster.leader().await].node().clone();
    done(&next, set("after.all", "1")).await;
    assert_eq!(next.status().await.nodes.len(), 2);
    cluster.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_a_follower_to_remove_the_leader_hears_that_it_is_done() {
    let mut cluster = Cluster::of(5).await;
    for left in [4, 3, 2] {
        let leader = cluster.leader().await;
        let follower = cluster.places[cluster.follower().await].node().clone();
        let removed = follower.remove(NodeId(cluster.places[leader].id)).await;
        assert_eq!(removed, Ok(()), "with {left} nodes left");
        cluster.places[leader].kill();
        drop(follower);
    }
    cluster.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_folder_cannot_come_back() {
    let mut cluster = Cluster::of(3).await;
    let follower = cluster.follower().await;
    let addresses = cluster.addresses();
    cluster.places[follower].kill();
    let place = &mut cluster.places[follower];
    place.folder = cluster.root.path().join("an-empty-disk");
    let mut options = place.options(Mode::Join(addresses));
    options.peer_listen.set_port(0);
    let refused = Replica::start(options).await.err();
    assert!(matches!(refused, Some(StartFailure::Refused(MembershipError::IdInUse { .. }))), "{refused:?}");
    assert!(!place.folder.exists(), "nothing was written that could pass for an identity");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_removed_cannot_come_back_under_its_id() {
    let mut cluster = Cluster::of(4).await;
    let follower = cluster.follower().await;
    let id = NodeId(cluster.places[follower].id);
    let leader = cluster.places[cluster.leader().await].node().clone();
    eventually("a follower is removed", async || leader.remove(id).await.ok()).await;
    cluster.places[follower].kill();
    drop(leader);

    let refused = async |cluster: &mut Cluster, folder: &str| {
        let addresses = cluster.addresses();
        let place = &mut cluster.places[follower];
        place.folder = cluster.root.path().join(folder);
        let mut options = place.options(Mode::Join(addresses));
        options.peer_listen.set_port(0);
        let refused = Replica::start(options).await.err();
        assert!(
            matches!(refused, Some(StartFailure::Refused(MembershipError::IdInUse { .. }))),
            "{folder}: {refused:?}"
        );
    };
    refused(&mut cluster, "an-empty-disk").await;
    // Others know it, too, and whoever starts again.
    let leader = cluster.leader().await;
    cluster.places[leader].kill();
    cluster.restart(leader).await;
    refused(&mut cluster, "another-empty-disk").await;
}

/// Its leader was lost with the admission, after it had told the new node that it leads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_admission_was_lost_asks_again_when_it_starts() {
    let mut cluster = Cluster::of(1).await;
    let folder = cluster.root.path().join("node-2");
    let known = OpenOptions { cluster_id: Some(cluster.places[0].node().cluster()), ..OpenOptions::new(2) };
    let mut opened = orc_raft::store::open(&folder, known).expect("an empty folder");
    opened.log.save_vote(&Vote::new_committed(1, 1)).await.expect("on its disk");
    drop(opened);
    cluster.grow().await;
    cluster.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused() {
    let cluster = Cluster::of(1).await;
    let address = cluster.addresses().remove(0);
    let us = cluster.places[0].node();
    let stranger = Local { node: 7, incarnation: Uuid::from_u128(7), cluster: Some(Uuid::from_u128(7)) };
    let ask =
        async |local| ask_once(&address, local, &Request::Status, Duration::from_secs(5)).await.map(|_| ());
    let refused = |refusal| Err(CallError::Refused { node: 0, refusal });
    assert_eq!(ask(stranger).await, refused(Refusal::ForeignCluster));
    assert_eq!(ask(Local { cluster: None, ..stranger }).await, refused(Refusal::ForeignCluster));
    let impostor = Local { node: 1, cluster: Some(us.cluster()), ..stranger };
    assert_eq!(ask(impostor).await, refused(Refusal::WrongIncarnation));
    assert_eq!(ask(Local { node: 7, ..impostor }).await, Ok(()), "a member that this node does not know yet");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stops_hands_over_and_nodes_ask_each_other() {
    let cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.places[cluster.follower().await].node();
    follower.set_ask_handler(Arc::new(|from, request| {
        Box::pin(async move { [format!("{from} says ").into_bytes(), request].concat() })
    }));
    let old = cluster.places[leader].node();
    let answer = old.ask(follower.node(), b"hello".to_vec()).await.unwrap();
    assert_eq!(String::from_utf8(answer).unwrap(), format!("{} says hello", old.node()));

    let term = follower.leadership().borrow().term;
    old.shutdown().await;
    assert_eq!(old.ready(), Err(NotReady::Stopping));
    assert_eq!(one(old, set("late", "1")).await, Err(Unavailable::ShuttingDown));
    let mut leadership = follower.leadership();
    let next = leadership.wait_for(|now| now.leader.is_some_and(|leader| leader != old.node())).await;
    assert!(next.unwrap().term > term);
    done(follower, set("after", "1")).await;
    let status = follower.status().await;
    let down: Vec<u64> =
        status.nodes.iter().filter(|node| node.role == Role::Down).map(|node| node.id).collect();
    assert_eq!(down, [old.node().0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_hears_no_leader_knows_none() {
    let mut cluster = Cluster::of(3).await;
    let follower = cluster.follower().await;
    cluster
        .places
        .iter_mut()
        .enumerate()
        .filter(|(place, _)| *place != follower)
        .for_each(|(_, place)| place.kill());
    let alone = cluster.places[follower].node().clone();
    eventually("it notices", async || (alone.ready() == Err(NotReady::NoLeader)).then_some(())).await;
    assert_eq!(alone.read_barrier().await.map(drop), Err(Unavailable::NoLeader));
    for place in (0..3).filter(|place| *place != follower) {
        cluster.restart(place).await;
    }
    eventually("it hears one again", async || alone.ready().is_ok().then_some(())).await;
    cluster.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_without_a_majority_refuses_and_recovers_with_the_longest_log() {
    let mut cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    let followers: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    for follower in &followers {
        cluster.places[*follower].kill();
    }
    let alone = cluster.places[leader].node().clone();
    let hanging = tokio::spawn({
        let alone = alone.clone();
        async move { one(&alone, set("only.here", "1")).await }
    });
    eventually("it notices", async || (alone.ready() == Err(NotReady::CutOff)).then_some(())).await;
    assert_eq!(one(&alone, set("refused", "1")).await, Err(Unavailable::NoLeader));
    assert_eq!(alone.read_barrier().await, Err(Unavailable::NoLeader));
    // The record that only the old leader has makes every vote of this follower's election be refused, so it never stands.
    let term = alone.leadership().borrow().term;
    cluster.restart(followers[0]).await;
    done(cluster.places[followers[0]].node(), set("again", "1")).await;
    assert_eq!(value(&alone, "again").await.as_deref(), Some("1"));
    let _ = hanging.await.unwrap();
    assert_eq!(alone.leadership().borrow().term, term, "nobody stood who could not win");
    cluster.agree().await;
}
