//! Every example program of the client library runs against a real cluster of three nodes and ends with 0, twice in a row:
//! what one leaves behind does not stop the next. Knows nothing of what they show; they check that themselves.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use orc_tests::{Cluster, Options, run_example};

const EXAMPLES: [&str; 6] = [
    "basic_usage",
    "advanced_workflow",
    "component_communication",
    "state_management",
    "error_handling",
    "performance_monitoring",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_example_does_what_it_says() -> Result<()> {
    let cluster = Cluster::start("examples", 3, Options::default()).await?;
    for name in EXAMPLES {
        for _ in 0..2 {
            let begun = Instant::now();
            let said = run_example(name, &cluster.urls()).await?;
            println!("--- {name}, {:?}\n{said}", begun.elapsed());
            ensure!(said.lines().count() > 3, "{name} prints what it does: {said}");
        }
    }
    Ok(())
}

#[test]
fn every_example_is_run_and_told_of() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root");
    let mut programs = BTreeSet::new();
    for entry in std::fs::read_dir(root.join("client/examples"))? {
        programs.extend(entry?.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    ensure!(programs == EXAMPLES.map(str::to_owned).into(), "examples that are not run here: {programs:?}");
    let told = std::fs::read_to_string(root.join("examples/README.md"))?;
    let untold: Vec<&str> = EXAMPLES.into_iter().filter(|name| !told.contains(name)).collect();
    ensure!(untold.is_empty(), "examples/README.md does not tell of {untold:?}");
    Ok(())
}
