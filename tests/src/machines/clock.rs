//! Clocks that a test sets, one for each node, by libfaketime: the program that a command starts reads its clock's file
//! whenever it asks for the time. Knows nothing of nodes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

/// Which of a node's clocks are set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clocks {
    /// None: it has those of the machine that runs the tests.
    #[default]
    Real,
    /// The wall clock.
    Wall,
    /// The monotonic clock, too, which must never be set back.
    All,
}

/// Lets a command see this clock.
pub fn wear(command: &mut Command, clock: &Path, clocks: Clocks) -> Result<()> {
    if !clock.exists() {
        set(clock, 0)?;
    }
    command.env("LD_PRELOAD", library()?).env("FAKETIME_TIMESTAMP_FILE", clock);
    let monotonic_stays = if clocks == Clocks::Wall { "1" } else { "0" };
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", monotonic_stays);
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
