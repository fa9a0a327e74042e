//! `orc bench` on a cluster of its own: its figures are there, nothing failed, and nothing is left behind.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use orc_tests::binary;
use serde_json::Value;

#[test]
fn a_bench_starts_a_cluster_measures_it_and_clears_it_up() -> Result<()> {
    let words = ["bench", "w3", "--nodes", "1", "--in-flight", "4", "--seconds", "1", "-o", "json"];
    let bench = Command::new(binary()?)
        .args(words)
        .env_remove("ORC_ADDR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let folder = std::env::temp_dir().join(format!("orc-bench-{}", bench.id()));
    let output = bench.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it ended with {}\n{told}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).context("it prints one JSON document")?;
    ensure!(report["work"] == "w3" && report["op"] == "put", "{report}");
    ensure!(report["inFlight"] == 4 && report["seconds"] == 1.0 && report["errors"] == 0, "{report}");
    for field in ["rate", "p50Ms", "p90Ms", "p99Ms", "startMs", "formedMs"] {
        ensure!(report[field].as_f64().is_some_and(|figure| figure > 0.0), "no {field}: {report}");
    }
    for field in ["runs", "rssMiB", "idleMiB"] {
        ensure!(report[field].as_array().is_some_and(|list| list.len() == 1), "no {field}: {report}");
    }
    ensure!(!folder.exists(), "{} is still there", folder.display());
    Ok(())
}

#[test]
fn a_bench_that_makes_no_sense_is_a_mistake_of_the_command_line() -> Result<()> {
    for words in
        [&["w6"][..], &["w1", "--in-flight", "0"], &["w1", "--op", "get"], &["w5", "--addr", "127.0.0.1:1"]]
    {
        let output = Command::new(binary()?).arg("bench").args(words).stdin(Stdio::null()).output()?;
        ensure!(output.status.code() == Some(2) && output.stdout.is_empty(), "{words:?}: {output:?}");
        ensure!(!output.stderr.is_empty(), "{words:?} says nothing");
    }
    Ok(())
}
