//! Rules of the simulated workflows that no general checker knows: of one group one run at a time (P10), and a step's result
//! is that of its last attempt (P11), which every simulated component writes into its output.
//! Knows nothing of how the log was made.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::scene::Scene;

/// Checks the log of one node; that the others have the same is checked elsewhere.
pub fn check(folder: &Path, node: u64) -> Result<()> {
    let (mut grouped, mut tokens) = (Vec::new(), BTreeMap::new());
    for line in fs::read_to_string(folder.join(format!("events-{}.jsonl", Scene::node(node))))?.lines() {
        let event: Value = serde_json::from_str(line)?;
        let (kind, data) = (event["type"].as_str().unwrap_or_default(), &event["data"]);
        let run = data["runId"].as_str().unwrap_or_default().to_owned();
        let step = (run.clone(), data["stepId"].as_str().unwrap_or_default().to_owned());
        match kind {
            "workflow.started" if data["workflow"] == "group" => grouped.push(run),
            "workflow.completed" | "workflow.failed" | "workflow.cancelled" | "workflow.timedOut" => {
                grouped.retain(|other| *other != run);
            }
            "task.assigned" => drop(tokens.insert(step, data["token"].clone())),
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
    Ok(())
}
