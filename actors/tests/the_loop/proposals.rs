//! The only door in: order, overload, deadlines, the end.

use std::time::Duration;

use orc_actors::Options;
use orc_domain::{Answer, Command, Expect, Json, StateKey, Unavailable};

use crate::support::{Cluster, World, options, until};

fn set(key: &str, value: usize) -> Command {
    let key: StateKey = key.parse().expect("a key");
    Command::SetState { key, value: Some(Json::from(value.to_string())), expect: Expect::Any }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proposals_reach_the_log_in_the_order_of_the_calls() {
    let cluster = Cluster::of(1);
    cluster.world.held.send_replace(true);
    let proposer = cluster.node(1).proposer.clone();
    // Far more than one call of `submit` takes, so that several are under way together.
    let calls: Vec<_> = (0..2000)
        .map(|value| {
            let proposer = proposer.clone();
            Box::pin(async move { proposer.propose(set("k", value)).await })
        })
        .collect();
    let all = futures::future::join_all(calls);
    let (answers, ()) = tokio::join!(all, async {
        until(|| proposer.unanswered() >= 2000).await;
        cluster.world.held.send_replace(false);
    });
    for (place, answer) in (1..).zip(answers) {
        assert_eq!(answer.expect("it is decided").result, Ok(Answer::Key { version: place }));
    }
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_bound_callers_hear_that_it_is_too_much() {
    let few = Options { proposals_waiting_max: 4, submits_in_flight_max: 1, ..options() };
    let cluster = Cluster::over(World::new(64), 1, few);
    cluster.accept(set("k", 0)).await;
    cluster.world.held.send_replace(true);
    let proposer = cluster.node(1).proposer.clone();
    let calls: Vec<_> = (0..100)
        .map(|value| {
            let proposer = proposer.clone();
            tokio::spawn(async move { proposer.propose(set("k", value)).await })
        })
        .collect();
    until(|| calls.iter().filter(|call| call.is_finished()).count() >= 90).await;
    cluster.world.held.send_replace(false);
    let (mut decided, mut refused) = (0, 0);
    for call in calls {
        match call.await.expect("no panic") {
            Ok(_) => decided += 1,
            Err(Unavailable::Overloaded { retry_after }) => {
                assert!(retry_after > Duration::ZERO);
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(decided >= 4 && refused >= 90, "{decided} decided, {refused} refused");
    cluster.accept(set("k", 1)).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_come_is_unknown() {
    let quick = Options { proposal_deadline: Duration::from_millis(30), ..options() };
    let cluster = Cluster::over(World::new(64), 1, quick);
    until(|| cluster.world.count(|command| matches!(command, Command::EndNodeSessions { .. })) == 1).await;
    cluster.world.held.send_replace(true);
    assert_eq!(cluster.propose(set("k", 1)).await, Err(Unavailable::Unknown));
    cluster.world.held.send_replace(false);
    cluster.accept(set("k", 2)).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_leader_callers_hear_so() {
    let cluster = Cluster::of(1);
    cluster.accept(set("k", 1)).await;
    cluster.world.lead(None);
    assert_eq!(cluster.propose(set("k", 2)).await, Err(Unavailable::NoLeader));
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_answers_what_is_under_way_and_refuses_the_rest() {
    let cluster = Cluster::of(1);
    let proposer = cluster.node(1).proposer.clone();
    cluster.accept(set("k", 1)).await;
    cluster.world.held.send_replace(true);
    let under_way = {
        let proposer = proposer.clone();
        tokio::spawn(async move { proposer.propose(set("k", 2)).await })
    };
    let world = cluster.world.clone();
    until(|| world.count(|command| matches!(command, Command::SetState { .. })) == 2).await;
    let shutdown = tokio::spawn(cluster.shutdown());
    loop {
        match tokio::time::timeout(Duration::from_millis(5), proposer.propose(set("k", 3))).await {
            Ok(answer) => break assert_eq!(answer, Err(Unavailable::ShuttingDown)),
            Err(_) => tokio::task::yield_now().await,
        }
    }
    world.held.send_replace(false);
    assert!(under_way.await.expect("no panic").is_ok());
    shutdown.await.expect("it stops");
    assert_eq!(proposer.propose(set("k", 4)).await, Err(Unavailable::ShuttingDown));
}
