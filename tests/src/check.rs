//! What must hold after every fault: accepted runs complete, results count once, nodes hold the same state.
//! Knows nothing of the fault.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, stream};
use orc_client::{Client, RunStatus, wire};
use tokio::time::{Instant, sleep};

/// Waits until every accepted run has completed; fails with the first that ended otherwise.
pub async fn every_run_completed(client: &Client, ids: &[String], within: Duration) -> Result<()> {
    let check = |id: String| {
        let run = client.runs().handle(id.clone());
        async move {
            let result = run.wait().timeout(within).await.with_context(|| format!("waiting for {id}"))?;
            ensure!(
                result.status() == &RunStatus::Completed,
                "{id} ended {:?}: {:#?}",
                result.status(),
                result.view()
            );
            Ok(())
        }
    };
    let mut checks = stream::iter(ids.iter().cloned().map(check)).buffer_unordered(32);
    while let Some(outcome) = checks.next().await {
        outcome?;
    }
    Ok(())
}

/// Reads the whole history and counts the results of steps: each of `steps` in each run exactly once.
pub async fn counted_once(client: &Client, ids: &[String], steps: usize) -> Result<usize> {
    let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
    let mut since = 0;
    loop {
        let page = client.events().types(["step.completed"]).since(since).list(500).await?;
        let Some(last) = page.items.last() else { break };
        since = last.seq;
        for event in &page.items {
            let data: serde_json::Value = serde_json::from_str(event.data.get())?;
            let text = |name: &str| data.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
            let run = text("runId").with_context(|| format!("no run in {event:?}"))?;
            let step = text("stepId").with_context(|| format!("no step in {event:?}"))?;
            *counts.entry((run, step)).or_default() += 1;
        }
    }
    if let Some(((run, step), count)) = counts.iter().find(|(_, count)| **count != 1) {
        bail!("the result of {step} of {run} was counted {count} times");
    }
    for id in ids {
        let range = (id.clone(), String::new())..=(id.clone(), "\u{10FFFF}".to_owned());
        let found = counts.range(range).count();
        ensure!(found == steps, "{id} has {found} results, not {steps}");
    }
    Ok(counts.len())
}

/// Waits until each event of a type has started one run of a workflow, and nothing else has; how many.
pub async fn started_once(client: &Client, kind: &str, workflow: &str, within: Duration) -> Result<usize> {
    let (deadline, mut events, mut since) = (Instant::now() + within, BTreeSet::new(), 0);
    loop {
        let page = client.events().types([kind]).since(since).list(500).await?;
        let Some(last) = page.items.last() else { break };
        since = last.seq;
        events.extend(page.items.iter().map(|event| event.seq));
    }
    let mut started = Vec::new();
    while started.len() < events.len() {
        ensure!(Instant::now() < deadline, "{} of {} events started a run", started.len(), events.len());
        sleep(Duration::from_millis(100)).await;
        started = runs_of(client, workflow).await?;
    }
    let set_off_by = |id: String| async move {
        let trigger =
            client.runs().get(&id).await?.trigger.with_context(|| format!("{id} has no trigger"))?;
        let trigger: serde_json::Value = serde_json::from_str(trigger.get())?;
        trigger["event"]["seq"].as_u64().with_context(|| format!("{id} was set off by {trigger}"))
    };
    let mut found = stream::iter(started.into_iter().map(set_off_by)).buffer_unordered(32);
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    while let Some(seq) = found.next().await {
        *counts.entry(seq?).or_default() += 1;
    }
    if let Some((seq, count)) = counts.iter().find(|(_, count)| **count != 1) {
        bail!("event {seq} started {count} runs");
    }
    ensure!(counts.keys().eq(&events), "runs were set off by other events than those of {kind}");
    Ok(events.len())
}

/// The ids of all runs of a workflow.
async fn runs_of(client: &Client, workflow: &str) -> Result<Vec<String>> {
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let workflow = Some(workflow.to_owned());
        let query = wire::RunsQuery { workflow, limit: Some(500), cursor, ..wire::RunsQuery::default() };
        let page = client.runs().list(&query).await?;
        ids.extend(page.items.into_iter().map(|run| run.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(ids);
        }
    }
}

/// Waits until every node of the cluster shows the same state hash at the same applied index.
pub async fn equal_hashes(client: &Client, nodes: usize, within: Duration) -> Result<String> {
    let deadline = Instant::now() + within;
    let mut last = None;
    while Instant::now() < deadline {
        if let Ok(status) = client.cluster().status().await {
            let seen: Vec<(Option<u64>, Option<&String>)> = status
                .nodes
                .iter()
                .map(|node: &wire::ClusterNode| (node.applied, node.state_hash.as_ref()))
                .collect();
            if let [(Some(applied), Some(hash)), ..] = seen[..]
                && seen.len() == nodes
                && seen.iter().all(|other| *other == seen[0])
            {
                return Ok(format!("{hash} at {applied}"));
            }
            last = Some(status);
        }
        sleep(Duration::from_millis(100)).await;
    }
    bail!("nodes do not show the same state hash after {within:?}: {last:#?}")
}
