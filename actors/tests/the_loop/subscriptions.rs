//! Watches and event subscriptions: what matches comes, in order and without gaps, or the subscription is cut.

use orc_actors::{Cut, Filter, Options, Subscription};
use orc_domain::{Command, Event, Expect, Json, Recorded};

use crate::support::{Cluster, PATIENCE, World, options, until};

fn set(key: &str, value: usize) -> Command {
    let value = Some(Json::from(value.to_string()));
    Command::SetState { key: key.parse().expect("a key"), value, expect: Expect::Any }
}

fn key_of(event: &Recorded) -> String {
    match &event.event {
        Event::StateChanged(change) => format!("{}@{}", change.key, change.version),
        other => panic!("{other:?}"),
    }
}

async fn next(subscription: &mut Subscription) -> Result<String, Cut> {
    let next = tokio::time::timeout(PATIENCE, subscription.next()).await;
    next.expect("an event comes").map(|event| key_of(&event))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_sees_what_matches_in_order() {
    let cluster = Cluster::of(1);
    let watch = |pattern: &str| cluster.node(1).state_manager.watch(pattern.parse().expect("a pattern"));
    let mut parts = watch("app.*").await.expect("it is made");
    let mut below = watch("app.**").await.expect("it is made");
    let mut exact = watch("app.db.url").await.expect("it is made");
    for key in ["app.version", "app.db.url", "other", "app.version", "app.x"] {
        cluster.accept(set(key, 1)).await;
    }
    for expected in ["app.version@1", "app.version@2", "app.x@1"] {
        assert_eq!(next(&mut parts).await.as_deref(), Ok(expected));
    }
    for expected in ["app.version@1", "app.db.url@1", "app.version@2", "app.x@1"] {
        assert_eq!(next(&mut below).await.as_deref(), Ok(expected));
    }
    assert_eq!(next(&mut exact).await.as_deref(), Ok("app.db.url@1"));
    until(|| exact.examined() == cluster.world.read(|state| state.meta.seq)).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_subscriber_is_cut_with_the_place_to_resume_from() {
    let small = Options { subscriber_events_max: 3, ..options() };
    let cluster = Cluster::over(World::new(64), 1, small);
    let manager = cluster.node(1).state_manager.clone();
    let mut slow = manager.subscribe(Filter::all()).await.expect("it is made");
    let mut quick = manager.watch("k9".parse().expect("a pattern")).await.expect("it is made");
    for value in 0..10 {
        cluster.accept(set(&format!("k{value}"), value)).await;
    }
    assert_eq!(next(&mut quick).await.as_deref(), Ok("k9@1"), "others are not held up");
    let mut seen = Vec::new();
    let cut = loop {
        match tokio::time::timeout(PATIENCE, slow.next()).await.expect("an event comes, or the end") {
            Ok(event) => seen.push(event.seq),
            Err(cut) => break cut,
        }
    };
    // All may come in one piece that is too large, right after the subscription.
    let last = seen.last().copied().unwrap_or(0);
    assert_eq!(last, cut.resume_after, "nothing is skipped before the cut");
    assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert_eq!(cluster.node(1).health.status().totals.subscriptions_cut, 1);
    cluster.shutdown().await;
    assert!(matches!(quick.next().await, Err(Cut { .. })), "a shutdown ends subscriptions");
}
