//! Temporary.
#[path = "cluster/harness.rs"]
#[allow(dead_code)]
mod harness;
use harness::*;
use std::{sync::{Arc, atomic::{AtomicU64, Ordering}}, time::Duration};
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throughput() {
    let cluster = Cluster::of(3).await;
    let leader = cluster.leader().await;
    for (callers, each) in [(1usize, 1usize), (64, 1), (256, 1), (1024, 1), (8, 128), (32, 128)] {
        for follower in [false, true] {
            let replica = cluster.places[if follower { cluster.follower().await } else { leader }].node().clone();
            let count = Arc::new(AtomicU64::new(0));
            let bad = Arc::new(AtomicU64::new(0));
            let tasks: Vec<_> = (0..callers).map(|caller| {
                let (replica, count, bad) = (replica.clone(), count.clone(), bad.clone());
                tokio::spawn(async move {
                    let mut n = 0u64;
                    loop {
                        n += 1;
                        let batch = (0..each).map(|i| set(&format!("k.{caller}.{}", (n + i as u64) % 16), "\"0123456789012345678901234567890123456789\"")).collect();
                        for outcome in replica.submit(batch).await {
                            if outcome.is_ok() { count.fetch_add(1, Ordering::Relaxed); } else { bad.fetch_add(1, Ordering::Relaxed); }
                        }
                    }
                })
            }).collect();
            tokio::time::sleep(Duration::from_secs(1)).await;
            let before = count.load(Ordering::Relaxed);
            let s0 = replica.node_status().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            let after = count.load(Ordering::Relaxed);
            let s1 = replica.node_status().await;
            let recs = s1.applied.unwrap() - s0.applied.unwrap();
            println!("callers {callers} x {each} via {}: {}/s, refused {}, records {}/s, term {}", if follower { "follower" } else { "leader" }, (after - before) / 3, bad.load(Ordering::Relaxed), recs / 3, s1.term);
            for t in tasks { t.abort(); }
        }
    }
    let follower = cluster.places[cluster.follower().await].node().clone();
    for (who, r) in [("leader", cluster.places[leader].node().clone()), ("follower", follower)] {
        let count = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..64).map(|_| { let (r, c) = (r.clone(), count.clone()); tokio::spawn(async move { loop { r.read_barrier().await.unwrap(); c.fetch_add(1, Ordering::Relaxed); } }) }).collect();
        tokio::time::sleep(Duration::from_secs(2)).await;
        println!("64 readers on {who}: {}/s", count.load(Ordering::Relaxed) / 2);
        for t in tasks { t.abort(); }
    }
    cluster.agree().await;
}
