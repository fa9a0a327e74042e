//! What health checks found, each with its name, the number measured, its limit and a sentence.
//! Knows nothing of how anything is measured.

use orc_domain::Timestamp;

/// What the checks of one moment found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// When; none before the first checks.
    pub checked_at: Option<Timestamp>,
    /// Each check.
    pub checks: Vec<Check>,
}

impl Report {
    /// No check found anything.
    pub fn is_healthy(&self) -> bool {
        self.unhealthy().next().is_none()
    }

    /// The checks that found something.
    pub fn unhealthy(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.is_ok)
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name, the same in every report.
    pub name: String,
    /// All is well.
    pub is_ok: bool,
    /// The number measured; none: it could not be measured.
    pub measured: Option<u64>,
    /// The most it may be, or the least where less is worse.
    pub limit: u64,
    /// What both count.
    pub unit: &'static str,
    /// The finding as a sentence.
    pub message: String,
}

/// What a check measures, before it was.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    name: String,
    limit: u64,
    unit: &'static str,
}

impl Subject {
    pub(super) fn new(name: impl Into<String>, limit: u64, unit: &'static str) -> Self {
        Subject { name: name.into(), limit, unit }
    }

    /// Well as long as it is not above the limit.
    pub(super) fn at_most(self, measured: u64, message: impl Into<String>) -> Check {
        let is_ok = measured <= self.limit;
        self.found(is_ok, Some(measured), message)
    }

    /// Well as long as it is not below the limit.
    pub(super) fn at_least(self, measured: u64, message: impl Into<String>) -> Check {
        let is_ok = measured >= self.limit;
        self.found(is_ok, Some(measured), message)
    }

    /// What cannot be measured is not well.
    pub(super) fn failed(self, message: impl Into<String>) -> Check {
        self.found(false, None, message)
    }

    fn found(self, is_ok: bool, measured: Option<u64>, message: impl Into<String>) -> Check {
        let Subject { name, limit, unit } = self;
        Check { name, is_ok, measured, limit, unit, message: message.into() }
    }
}
