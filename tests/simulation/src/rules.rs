//! Rules of the simulated workflows that no general checker knows: of one group one run at a time (P10), a step's result
//! is that of its last attempt (P11), which every simulated component writes into its output, and nobody is given an attempt
//! that the cluster has not agreed on (P11).
//! Knows nothing of how the log was made.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::scene::Attempt;

/// Checks the log of the first node; that the others have the same is checked elsewhere. `given` is what components got.
pub fn check(folder: &Path, given: &[Attempt]) -> Result<()> {
    let (mut grouped, mut tokens, mut assigned) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for line in fs::read_to_string(folder.join("events-node-1.jsonl"))?.lines() {
        let event: Value = serde_json::from_str(line)?;
        let (kind, data) = (event["type"].as_str().unwrap_or_default(), &event["data"]);
        let run = data["runId"].as_str().unwrap_or_default().to_owned();
        let step = (run.clone(), data["stepId"].as_str().unwrap_or_default().to_owned());
        match kind {
            "workflow.started" if data["workflow"] == "group" => grouped.push(run),
            "workflow.completed" | "workflow.failed" | "workflow.cancelled" | "workflow.timedOut" => {
                grouped.retain(|other| *other != run);
            }
            "task.assigned" => {
                let text = |field: &str| data[field].as_str().unwrap_or_default().to_owned();
                let token = data["token"].as_u64().unwrap_or_default();
                assigned.insert(Attempt { component: text("componentId"), task: text("taskId"), token });
                tokens.insert(step, data["token"].clone());
            }
            "step.completed" if data["output"]["token"].is_u64() => {
                let (last, counted) = (tokens.get(&step), &data["output"]["token"]);
                ensure!(
                    last == Some(counted),
                    "P11: {step:?} has the result of attempt {counted}, not {last:?}"
                );
            }
            _ => {}
        }
        ensure!(grouped.len() <= 1, "P10: {} runs of a group of one at once: {grouped:?}", grouped.len());
    }
    for attempt in given {
        ensure!(assigned.contains(attempt), "P11: {attempt:?} was given, and no log has it");
    }
    Ok(())
}
