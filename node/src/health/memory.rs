//! The memory of this process beside the most that it should have. Knows nothing of who acts on that.

use std::{fmt, fs::read_to_string, path::Path, time::Duration};

use orc_runtime::SIMULATED;
use tokio::{sync::watch, time::sleep};

/// Between two looks: a node whose state grows by 100 MiB/s is still far from the end of a small machine.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Where nobody can say what there is.
const NO_LIMIT: u64 = 1 << 40;
/// What a node without any work needs, and some room for work.
const DEFAULT_MIN: u64 = 256 << 20;

/// How much memory this process has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that are resident.
    pub used: u64,
    /// The most that it should have.
    pub max: u64,
    /// Above so many new work is refused: the most, or a twentieth less once it was above that.
    pub limit: u64,
}

impl Memory {
    /// Nothing, of so many bytes at most.
    fn of(max: u64) -> Memory {
        Memory { used: 0, max, limit: max }
    }

    /// What this process has now; nothing where the system does not tell, or nodes share a process.
    fn look(self) -> Memory {
        let status = if SIMULATED { None } else { read_to_string("/proc/self/status").ok() };
        self.with(status.and_then(|status| bytes_of(&status, "VmRSS:")).unwrap_or(0))
    }

    fn with(self, used: u64) -> Memory {
        let now = Memory { used, ..self };
        Memory { limit: if now.is_tight() { self.max / 20 * 19 } else { self.max }, ..now }
    }

    /// Whether new work is refused.
    pub fn is_tight(&self) -> bool {
        self.used > self.limit
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} MiB are in use", self.used >> 20, self.max >> 20)
    }
}

/// Three quarters of what the system lets this process have: the machine's memory, or less in a control group (version 2).
pub fn default_memory_max() -> u64 {
    let machine = if SIMULATED { None } else { read_to_string("/proc/meminfo").ok() };
    let Some(machine) = machine.and_then(|text| bytes_of(&text, "MemTotal:")) else { return NO_LIMIT };
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    let root = Path::new("/sys/fs/cgroup");
    let own = root.join(groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default());
    let limits = own
        .ancestors()
        .take_while(|group| group.starts_with(root))
        .filter_map(|group| read_to_string(group.join("memory.max")).ok()?.trim().parse().ok());
    (limits.fold(machine, u64::min) / 4 * 3).max(DEFAULT_MIN)
}

/// A line such as `VmRSS:   20992 kB` of what the kernel tells.
pub fn bytes_of(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// Looks again and again for as long as anybody wants to know; the first look is done.
pub fn follow(max: u64) -> watch::Receiver<Memory> {
    let (told, memory) = watch::channel(Memory::of(max).look());
    tokio::spawn(async move {
        while !told.is_closed() {
            sleep(LOOK_EVERY).await;
            let before = *told.borrow();
            let found = before.look();
            told.send_replace(found);
            match (before.is_tight(), found.is_tight()) {
                (false, true) => {
                    tracing::warn!(memory = %found, "little memory is left: new work is refused")
                }
                (true, false) => tracing::info!(memory = %found, "there is memory again"),
                (true, true) | (false, false) => {}
            }
        }
    });
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_linux_tells_it() {
        assert_eq!(bytes_of("Name:\torc\nVmRSS:\t    20992 kB\nThreads:\t9\n", "VmRSS:"), Some(20_992 << 10));
        assert_eq!(bytes_of("Name:\torc\n", "VmRSS:"), None);
    }

    #[test]
    fn whoever_had_too_much_has_to_give_some_back() {
        let own = Memory::of(1 << 20).look();
        assert!(own.is_tight() && own.used > 1 << 20, "{own:?}");
        let mut memory = Memory::of(100);
        for (used, is_tight) in [(100, false), (101, true), (96, true), (95, false), (96, false)] {
            memory = memory.with(used);
            assert_eq!(memory.is_tight(), is_tight, "{memory:?}");
        }
    }

    #[test]
    fn a_process_should_not_have_all_that_the_machine_has() {
        let machine = bytes_of(&read_to_string("/proc/meminfo").expect("Linux tells it"), "MemTotal:");
        let machine = machine.expect("a number");
        let most = default_memory_max();
        assert!(most >= DEFAULT_MIN && most <= (machine / 4 * 3).max(DEFAULT_MIN), "{most} of {machine}");
    }
}
