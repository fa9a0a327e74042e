//! The example programs of the client library, found beside the running program and run against a cluster.
//! Knows nothing of what they show.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

/// An example's program of the build this code belongs to; all of them are built if it is not there.
pub fn example(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding the running program")?;
    let folder = own.ancestors().nth(2).context("it lies in a folder of a build")?;
    let path = folder.join("examples").join(name);
    if !path.is_file() {
        build(folder.ends_with("release"))?;
    }
    ensure!(path.is_file(), "no example {name} at {}", path.display());
    Ok(path)
}

/// As the workspace is built, so that the parts that both have are not built twice.
fn build(release: bool) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--workspace", "--examples"]).args(release.then_some("--release"));
    let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status().context("starting cargo")?;
    ensure!(status.success(), "the examples cannot be built: {status}");
    Ok(())
}

/// Runs an example against a cluster; what it printed. It has to end with 0.
pub async fn run_example(name: &str, urls: &[String]) -> Result<String> {
    let (path, urls) = (example(name)?, urls.join(","));
    let run = move || {
        let mut command = Command::new(path);
        command.env("ORC_ADDR", urls).stdin(Stdio::null()).output()
    };
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(run).await??;
    let (said, wrong) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    ensure!(status.success(), "{name} ended with {status}\n{said}\n{wrong}");
    Ok(said.into_owned())
}
