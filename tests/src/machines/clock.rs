//! Wall clocks that a test sets, one for each node, by libfaketime: the program that a command starts reads its clock's file
//! whenever it asks for the time. The monotonic clock is left alone. Knows nothing of nodes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// Lets a command see this clock.
pub fn wear(command: &mut Command, clock: &Path) -> Result<()> {
    if !clock.exists() {
        set(clock, 0)?;
    }
    command.env("LD_PRELOAD", library()?).env("FAKETIME_TIMESTAMP_FILE", clock);
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Ok(())
}

/// From now on a clock is so many seconds ahead of the real one.
pub fn set(clock: &Path, ahead: i64) -> Result<()> {
    // Replaced whole: it is read all the time.
    let beside = clock.with_extension("tmp");
    fs::write(&beside, format!("{ahead:+}"))?;
    Ok(fs::rename(&beside, clock)?)
}

fn library() -> Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib")?.filter_map(|entry| Some(entry.ok()?.path()));
    let found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    found.context("clocks need libfaketime: apt-get install faketime")
}
