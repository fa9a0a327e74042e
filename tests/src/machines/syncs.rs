//! Syncs of one thread's files that fail, by strace.
//! Knows nothing of what the thread does.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::process::send;

/// A thread of which the next sync fails; it is let alone once this is dropped.
#[must_use = "no sync fails once this is dropped"]
pub struct FailingSync {
    strace: Child,
    told: PathBuf,
}

impl FailingSync {
    /// Of the thread of this name; what is seen of it is told in a file.
    pub fn of(pid: u32, thread: &str, told: PathBuf) -> Result<Self> {
        let mut command = Command::new("strace");
        command.args(["-p", &thread_of(pid, thread)?, "-e", "trace=fdatasync,fsync"]);
        command.args(["-e", "inject=fdatasync,fsync:error=EIO:when=1", "-o"]).arg(&told);
        let mut strace = command.stderr(Stdio::piped()).spawn().context("starting strace")?;
        let said = strace.stderr.take().context("stderr is piped")?;
        let failing = FailingSync { strace, told };
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        ensure!(line.contains("attached"), "strace does not get at the thread {thread}: {line}");
        Ok(failing)
    }

    /// How many syncs have failed.
    pub fn count(&self) -> Result<usize> {
        let told = fs::read_to_string(&self.told)?;
        Ok(told.lines().filter(|line| line.contains("(INJECTED)")).count())
    }
}

impl Drop for FailingSync {
    fn drop(&mut self) {
        // It has ended if the thread has.
        if matches!(self.strace.try_wait(), Ok(None)) {
            let _ = send(self.strace.id(), "TERM");
            let _ = self.strace.wait();
        }
    }
}

fn thread_of(pid: u32, name: &str) -> Result<String> {
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = entry?.path();
        if fs::read_to_string(folder.join("comm")).is_ok_and(|found| found.trim_end() == name) {
            return Ok(folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    bail!("process {pid} has no thread {name}")
}
