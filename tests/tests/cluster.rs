//! Promises of a real three-node cluster, each with its fault: nodes are processes on loopback.

use std::{future::IntoFuture, time::Duration};

use anyhow::{Result, ensure};
use futures::StreamExt;
use orc_client::{RunStatus, Workflow, wire::LogsQuery};
use orc_tests::{
    Cluster, DurableLoad, Load, Options, Probe, counted_once, equal_hashes, every_run_completed,
    started_once, three_echo_steps,
};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

const LIMITS: (&str, &str) = ("maxConcurrentWorkflows", "maxConcurrentTasks");

async fn loaded_cluster(name: &str, options: Options) -> Result<Cluster> {
    let mut cluster = Cluster::start(name, 3, options).await?;
    let client = cluster.client()?;
    client.cluster().set_config(&json!({LIMITS.0: 2000, LIMITS.1: 4000})).await?;
    for name in ["w-1", "w-2"] {
        cluster.start_worker(name, 32)?;
    }
    Ok(cluster)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_is_killed_under_load_and_nothing_is_lost() -> Result<()> {
    let mut cluster = loaded_cluster("leader", Options::default()).await?;
    let client = cluster.client()?;
    let probe = Probe::start(cluster.urls())?;
    let load = Load::start(client.clone(), 100, three_echo_steps());
    for _ in 0..3 {
        let leader = cluster.leader().await?;
        cluster.kill_node(leader)?;
        probe.next_after(Instant::now(), Duration::from_secs(30)).await?;
        cluster.start_node(leader)?;
        cluster.ready(leader).await?;
        cluster.voters(3).await?;
    }
    let report = load.finish().await?;
    drop(probe);
    ensure!(report.failed.is_empty(), "{:#?}", report.failed);
    ensure!(!report.accepted.is_empty(), "there was load");
    every_run_completed(&client, &report.accepted, Duration::from_secs(60)).await?;
    counted_once(&client, &report.accepted, 3).await?;
    equal_hashes(&client, 3, Duration::from_secs(30)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn durable_messages_come_once_and_in_order_though_the_leader_is_killed() -> Result<()> {
    let mut cluster = Cluster::start("durable", 3, Options::default()).await?;
    let load = DurableLoad::start(cluster.client()?, cluster.client()?, 16, 250).await?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while load.handled() < 1_000 {
        ensure!(Instant::now() < deadline, "{} handled", load.handled());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let leader = cluster.leader().await?;
    cluster.kill_node(leader)?;
    let report = load.finish(Duration::from_secs(60)).await?;
    ensure!(report.sent == 4_000, "{report:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_starts_one_run_whoever_leads() -> Result<()> {
    let mut cluster = Cluster::start("events", 3, Options::default()).await?;
    let client = cluster.client()?;
    client.cluster().set_config(&json!({LIMITS.0: 5000})).await?;
    let listener = json!({"name": "listener", "triggers": {"event": {"type": "load.*"}},
                          "steps": [{"name": "it", "delay": "1ms"}]});
    client.workflows().apply(&listener, None).await?;
    // All of its events are there at once, so that the leader ends amid their runs.
    let told: Vec<_> =
        (0..200).map(|at| json!({"id": format!("t{at}"), "emit": {"type": "load.told"}})).collect();
    let burst = json!({"name": "burst", "steps": [{"name": "all", "parallel": told}]});
    for _ in 0..3 {
        let leader = cluster.leader().await?;
        client.runs().start(Workflow::definition(&burst)).send().await?;
        cluster.kill_node(leader)?;
        cluster.leader().await?;
        cluster.start_node(leader)?;
        cluster.ready(leader).await?;
        cluster.voters(3).await?;
    }
    client.runs().start(Workflow::definition(&burst)).send().await?;
    for id in 1..=3 {
        cluster.kill_node(id)?;
    }
    for id in 1..=3 {
        cluster.start_node(id)?;
    }
    cluster.leader().await?;
    let events = started_once(&client, "load.told", "listener", Duration::from_secs(60)).await?;
    ensure!(events == 800, "{events} events");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_are_killed_at_once_and_what_was_acknowledged_is_there() -> Result<()> {
    let mut cluster = loaded_cluster("all", Options::default()).await?;
    let client = cluster.client()?;
    let load = Load::start(client.clone(), 100, three_echo_steps());
    let mut written = Vec::new();
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        let number = written.len();
        written.push(client.state().set(format!("all.{number}"), number).await?.version);
    }
    for id in 1..=3 {
        cluster.kill_node(id)?;
    }
    for id in 1..=3 {
        cluster.start_node(id)?;
    }
    for id in 1..=3 {
        cluster.ready(id).await?;
    }
    let report = load.finish().await?;
    for (number, version) in written.iter().enumerate() {
        let entry = client.state().get(&format!("all.{number}")).await?;
        let found = entry.map(|entry| (entry.version, entry.value.get().to_owned()));
        ensure!(
            found == Some((*version, number.to_string())),
            "all.{number} was acknowledged, found {found:?}"
        );
    }
    ensure!(report.failed.is_empty(), "{:#?}", report.failed);
    every_run_completed(&client, &report.accepted, Duration::from_secs(60)).await?;
    counted_once(&client, &report.accepted, 3).await?;
    equal_hashes(&client, 3, Duration::from_secs(30)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_fell_behind_the_log_catches_up_by_snapshot_while_writes_go_on() -> Result<()> {
    let settings = ["--set", "snapshot.every-entries=500", "--set", "snapshot.keep-entries=100"];
    let arguments = settings.map(str::to_owned).to_vec();
    let mut cluster = loaded_cluster("behind", Options { arguments, ..Options::default() }).await?;
    let client = cluster.client()?;
    let follower = if cluster.leader().await? == 3 { 2 } else { 3 };
    let before = cluster.until("state", |status| status.leader.is_some()).await?;
    let stopped_at = before.nodes.iter().filter_map(|node| node.applied).max().unwrap_or(0);
    cluster.kill_node(follower)?;
    let mut writes = 0u32;
    let purged = |status: &orc_client::wire::ClusterStatus| {
        status.nodes.iter().any(|node| node.snapshot.is_some_and(|snapshot| snapshot > stopped_at + 1_000))
    };
    while !purged(&client.cluster().status().await?) {
        for _ in 0..200 {
            client.state().set(format!("behind.{}", writes % 50), writes).await?;
            writes += 1;
        }
        ensure!(writes < 20_000, "the log was not purged after {writes} writes");
    }
    let load = Load::start(client.clone(), 50, three_echo_steps());
    cluster.start_node(follower)?;
    cluster.ready(follower).await?;
    let hash = {
        let report = load.finish().await?;
        ensure!(
            report.failed.is_empty() && !report.accepted.is_empty(),
            "writes go on: {:#?}",
            report.failed
        );
        every_run_completed(&client, &report.accepted, Duration::from_secs(60)).await?;
        equal_hashes(&client, 3, Duration::from_secs(30)).await?
    };
    println!("{writes} writes, then equal: {hash}");
    let output = cluster.process(follower)?.output();
    ensure!(output.contains("a snapshot arrives"), "it came by snapshot:\n{output}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_node_joins_votes_and_is_removed() -> Result<()> {
    let mut cluster = Cluster::start("members", 3, Options::default()).await?;
    let client = cluster.client()?;
    client.state().set("before", 1).await?;
    let id = cluster.add_member()?;
    cluster.start_node(id)?;
    cluster.ready(id).await?;
    cluster.voters(4).await?;
    let entry = cluster.client_of(id)?.state().get("before").await?;
    ensure!(entry.is_some_and(|entry| entry.value.get() == "1"), "the new node has what was written before");
    client.cluster().remove_node(&format!("node-{id}")).await?;
    cluster.until("three nodes", |status| status.nodes.len() == 3).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_moves_and_every_node_is_restarted_under_load_and_no_call_fails() -> Result<()> {
    let mut cluster = loaded_cluster("rolling", Options::default()).await?;
    let client = cluster.client()?;
    let load = Load::start(client.clone(), 50, three_echo_steps());
    let other = if cluster.leader().await? == 2 { 3 } else { 2 };
    let term = client.cluster().status().await?.term;
    let moved = client.cluster().transfer_leadership(Some(&format!("node-{other}"))).await?;
    ensure!(moved.leader == format!("node-{other}") && cluster.leader().await? == other, "{moved:?}");
    for id in [other, 1, 5 - other] {
        cluster.process(id)?.signal("TERM")?;
        let status = cluster.process(id)?.ended(Duration::from_secs(25)).await?;
        ensure!(status.code() == Some(0), "it ended with {status}\n{}", cluster.process(id)?.output());
        cluster.start_node(id)?;
        cluster.ready(id).await?;
        cluster.voters(3).await?;
    }
    let elections = client.cluster().status().await?.term - term;
    ensure!(elections <= 4, "one for the move and at most one for each restart: {elections}");
    let report = load.finish().await?;
    ensure!(report.failed.is_empty() && !report.accepted.is_empty(), "{:#?}", report.failed);
    every_run_completed(&client, &report.accepted, Duration::from_secs(60)).await?;
    counted_once(&client, &report.accepted, 3).await?;
    equal_hashes(&client, 3, Duration::from_secs(30)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_foreign_data_folder_stops_the_node_with_exit_code_74() -> Result<()> {
    let mut cluster = Cluster::start("damaged", 3, Options::default()).await?;
    let client = cluster.client()?;
    for number in 0..200 {
        client.state().set("x", number).await?;
    }
    let node = if cluster.leader().await? == 3 { 2 } else { 3 };
    cluster.kill_node(node)?;
    let log = newest_wal(&cluster.data(node))?;
    let mut bytes = std::fs::read(&log)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&log, bytes)?;
    cluster.start_node(node)?;
    let status = cluster.process(node)?.ended(Duration::from_secs(20)).await?;
    let output = cluster.process(node)?.output();
    ensure!(status.code() == Some(74), "it ended with {status}\n{output}");
    ensure!(output.contains("--join"), "it says what to do:\n{output}");
    client.state().set("x", "the others go on").await?;

    std::fs::remove_dir_all(cluster.data(node))?;
    cluster.start_node(node)?;
    let status = cluster.process(node)?.ended(Duration::from_secs(20)).await?;
    ensure!(status.code() == Some(77), "an empty disk cannot come back as a known node: {status}");
    Ok(())
}

fn newest_wal(data: &std::path::Path) -> Result<std::path::PathBuf> {
    let folder = data.join("group-0").join("log");
    let mut largest = None;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            largest = largest.max(Some((path.metadata()?.len(), path)));
        }
    }
    largest.map(|(_, path)| path).ok_or_else(|| anyhow::anyhow!("no write-ahead log"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_loses_its_attempt_and_another_takes_it() -> Result<()> {
    let mut cluster = Cluster::start("worker", 1, Options::default()).await?;
    cluster.start_worker("w-1", 1)?;
    let client = cluster.client()?;
    let definition =
        json!({"name": "nap", "steps": [{"name": "nap", "action": "sleep", "config": {"ms": 400}}]});
    let run = client.runs().start(Workflow::definition(definition)).send().await?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while run.get().await?.steps[0].component.as_deref() != Some("w-1") {
        ensure!(Instant::now() < deadline, "it was not assigned");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    cluster.kill_worker("w-1")?;
    cluster.start_worker("w-2", 1)?;
    let result = run.wait().timeout(Duration::from_secs(30)).await?;
    ensure!(
        result.steps()[0].attempts == 2,
        "the lost attempt and the one that counted: {:?}",
        result.steps()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tasks_log_is_read_on_any_node_and_a_node_that_is_gone_is_named() -> Result<()> {
    let mut cluster = Cluster::start("logs", 3, Options::default()).await?;
    cluster.start_worker("w-1", 1)?;
    let client = cluster.client_of(3)?;
    let gate = cluster.folder().join("gate");
    let script =
        format!("echo before; while [ ! -e {} ]; do sleep 0.02; done; echo after >&2", gate.display());
    let definition = json!({"name": "talk", "steps": [{"name": "talk", "run": script}]});
    let run = client.runs().start(Workflow::definition(definition)).send().await?;

    let mut pages = run.follow_logs(&LogsQuery::default());
    let mut lines = Vec::new();
    while let Some(page) = timeout(Duration::from_secs(30), pages.next()).await? {
        let page = page?;
        ensure!(page.missing.is_empty(), "all nodes answer: {page:?}");
        lines.extend(page.items.into_iter().map(|line| (line.node, line.stream.to_string(), line.text)));
        // The first line came while the run goes on; only now may it end.
        std::fs::write(&gate, "")?;
    }
    let line = |stream: &str, text: &str| ("node-1".to_owned(), stream.to_owned(), text.to_owned());
    ensure!(
        lines == [line("stdout", "before"), line("stderr", "after")],
        "the worker is connected to node-1: {lines:?}"
    );

    cluster.kill_node(1)?;
    cluster.leader().await?;
    let page = run.logs(&LogsQuery::default()).await?;
    ensure!(page.items.is_empty() && page.missing == ["node-1"], "what is gone is named: {page:?}");
    cluster.start_node(1)?;
    cluster.ready(1).await?;
    let rest = LogsQuery { from: Some(page.next), ..LogsQuery::default() };
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let page = run.logs(&rest).await?;
        if page.missing.is_empty() {
            ensure!(page.items.len() == 2, "it is there again with its node: {page:?}");
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "node-1 answers again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_who_wait_for_one_run_are_answered_by_few_threads_and_hold_up_nobody() -> Result<()> {
    const WAITS: usize = 4_000;
    // Those of the runtime, of reads and of evaluations go with the cores.
    let threads_max = 24 + 4 * std::thread::available_parallelism()?.get();
    let mut cluster = Cluster::start("waits", 3, Options::default()).await?;
    let leader = cluster.leader().await?;
    let node = format!("/proc/{}/task", cluster.process(leader)?.pid());
    // On one channel.
    let client = cluster.client_of(leader)?;
    let nap = json!({"name": "nap", "steps": [{"name": "it", "delay": "8s"}]});
    let run = client.runs().start(Workflow::definition(&nap)).send().await?;
    let probe = Probe::start(cluster.urls())?;
    let mut waits: JoinSet<_> = (0..WAITS).map(|_| run.wait().into_future()).collect();
    let (mut threads, mut longest) = (0, probe.next_after(Instant::now(), Duration::from_secs(30)).await?);
    ensure!(!run.get().await?.status.is_terminal(), "they wait");
    while !waits.is_empty() {
        while let Some(waited) = waits.try_join_next() {
            ensure!(waited??.status() == &RunStatus::Completed);
        }
        longest = longest.max(probe.next_after(Instant::now(), Duration::from_secs(30)).await?);
        threads = threads.max(std::fs::read_dir(&node)?.count());
    }
    println!("at most {threads} threads; at most {longest:?} to a write");
    ensure!(threads <= threads_max, "{threads} threads");
    ensure!(longest < Duration::from_secs(5), "a write took {longest:?}");
    ensure!(cluster.leader().await? == leader, "another node leads");
    Ok(())
}
