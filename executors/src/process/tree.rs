//! All processes of one attempt: found by process group and, wherever they went (`setsid`, double fork), by a marker in
//! the environment they were started with or by a parent found so. Linux only, by `/proc`.
//! A process that clears its environment *and* leaves its parents and its group cannot be found without privileges.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Child;
use tokio::time::sleep;

/// The environment variable that marks the processes of an attempt.
pub(super) const MARKER: &str = "ORC_TASK_TOKEN";

/// How often processes that may be forking are looked for again.
const ROUNDS_MAX: u32 = 50;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The processes of one attempt; dropping it kills them.
pub(super) struct Tree {
    group: Pid,
    marker: Vec<u8>,
    empty: bool,
}

impl Tree {
    pub(super) fn new(child: &Child, marker: &str) -> Self {
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let group = id.expect("a child that nobody has waited for has an id, and it leads its group");
        Self { group, marker: format!("{MARKER}={marker}").into_bytes(), empty: false }
    }

    /// Asks all processes to end.
    pub(super) fn terminate(&self) {
        self.signal(&self.members(), Signal::TERM);
    }

    /// Returns when no process is left; this asks nobody to end.
    pub(super) async fn emptied(&self) {
        let mut pause = LOOK_AGAIN;
        while !self.members().is_empty() {
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_AGAIN * 10);
        }
    }

    /// Kills all processes and waits until none is left.
    pub(super) async fn kill(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let members = self.members();
            if members.is_empty() {
                self.empty = true;
                return;
            }
            self.signal(&members, Signal::KILL);
            sleep(LOOK_AGAIN).await;
        }
        tracing::error!(members = self.members().len(), "processes survive SIGKILL");
    }

    fn signal(&self, members: &HashSet<Pid>, signal: Signal) {
        // The group first: it takes those that were forked since the look. Who is gone already needs no signal.
        kill_process_group(self.group, signal).ok();
        for &member in members {
            kill_process(member, signal).ok();
        }
    }

    fn members(&self) -> HashSet<Pid> {
        let processes: Vec<Process> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| Process::read(entry.ok()?.file_name().to_str()?))
            .collect();
        let mut members: HashSet<Pid> = processes
            .iter()
            .filter(|process| process.group == Some(self.group) || process.has_marker(&self.marker))
            .map(|process| process.pid)
            .collect();
        loop {
            let known = members.len();
            let parents = members.clone();
            let is_child =
                |process: &&Process| process.parent.is_some_and(|parent| parents.contains(&parent));
            members.extend(processes.iter().filter(is_child).map(|process| process.pid));
            if members.len() == known {
                return members;
            }
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        for _ in 0..if self.empty { 0 } else { ROUNDS_MAX } {
            let members = self.members();
            if members.is_empty() {
                return;
            }
            self.signal(&members, Signal::KILL);
        }
    }
}

/// A process that has not ended.
struct Process {
    pid: Pid,
    parent: Option<Pid>,
    group: Option<Pid>,
}

impl Process {
    /// Reads `/proc/<pid>/stat`: `pid (name) state parent group ...`, where the name may hold anything.
    fn read(pid: &str) -> Option<Self> {
        let pid = Pid::from_raw(pid.parse().ok()?)?;
        let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
        let name_end = stat.iter().rposition(|&byte| byte == b')')?;
        let stat = String::from_utf8_lossy(&stat[name_end + 1..]);
        let mut fields = stat.split_ascii_whitespace();
        if matches!(fields.next()?, "Z" | "X") {
            return None;
        }
        let mut next_pid = || Pid::from_raw(fields.next()?.parse().ok()?);
        Some(Self { pid, parent: next_pid(), group: next_pid() })
    }

    fn has_marker(&self, marker: &[u8]) -> bool {
        let environment =
            fs::read(format!("/proc/{}/environ", self.pid.as_raw_nonzero())).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == marker)
    }
}
