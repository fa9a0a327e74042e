//! The state keys as the log tells them: every change of each key, in order, and the value at any rev.
//! Checks that versions count up and that the value before is the one before (P6), and that none goes away early (P14).
//! Knows nothing of who wrote.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    log::{Log, check_time},
    verdict::{Findings, Rule},
};

/// Every change makes one version.
pub const VERSION_SKIPPED: Rule = Rule::new(6, "versions do not count up");
/// What a change says was there before.
pub const OLD_VALUE_WRONG: Rule = Rule::new(6, "the value before is another one");
/// A time to live is a promise, too.
pub const EXPIRED_EARLY: Rule = Rule::new(14, "a key went away early");

/// Who made a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A client or a step.
    Write,
    /// An older version or a snapshot was brought back.
    Restore,
    /// Its time was over.
    Expiry,
}

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The event.
    pub index: usize,
    /// Its rev.
    pub rev: u64,
    /// What it made.
    pub version: u64,
    /// The new value; none: deleted.
    pub value: Option<Value>,
    /// Who made it.
    pub origin: Origin,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    key: String,
    version: u64,
    #[serde(default)]
    old_value: Option<Value>,
    #[serde(default)]
    new_value: Option<Value>,
    #[serde(default)]
    restored_from: Option<Value>,
    #[serde(default)]
    expired: bool,
    #[serde(default)]
    expires_at: Option<String>,
}

/// Every change of every key.
#[derive(Debug, Default)]
pub struct Keys {
    changes: HashMap<String, Vec<Change>>,
}

impl Keys {
    /// Follows the log.
    ///
    /// # Errors
    /// Where an event's data cannot be read.
    pub fn read(log: &Log, findings: &mut Findings) -> Result<Keys> {
        let mut keys = Keys::default();
        let mut ends: HashMap<String, String> = HashMap::new();
        for (index, event) in log.events.iter().enumerate().filter(|(_, event)| event.kind == "state.changed")
        {
            let told: Told = event.data().with_context(|| log.place(index).to_string())?;
            let changes = keys.changes.entry(told.key.clone()).or_default();
            let before = changes.last();
            let lines = || {
                before.map(|before| before.index).into_iter().chain([index]).map(|at| log.shown(at)).collect()
            };
            let version = before.map_or(0, |change| change.version);
            if told.version != version + 1 {
                let what = format!("{} went from version {version} to {}", told.key, told.version);
                findings.violated(VERSION_SKIPPED, what, lines());
            }
            if told.old_value != before.and_then(|change| change.value.clone()) {
                findings.violated(OLD_VALUE_WRONG, format!("of {}", told.key), lines());
            }
            if told.expired && ends.get(&told.key).is_some_and(|end| event.at < *end) {
                findings.violated(EXPIRED_EARLY, format!("{} at {}", told.key, event.at), lines());
            }
            ends.remove(&told.key);
            if let Some(end) = told.expires_at {
                check_time(&end).with_context(|| log.place(index).to_string())?;
                ends.insert(told.key, end);
            }
            let origin = match (told.expired, told.restored_from) {
                (true, _) => Origin::Expiry,
                (false, Some(_)) => Origin::Restore,
                (false, None) => Origin::Write,
            };
            changes.push(Change {
                index,
                rev: event.rev,
                version: told.version,
                value: told.new_value,
                origin,
            });
        }
        Ok(keys)
    }

    /// The changes of a key, oldest first.
    pub fn of(&self, key: &str) -> &[Change] {
        self.changes.get(key).map_or(&[], Vec::as_slice)
    }

    /// Every key that changed, in order.
    pub fn names(&self) -> BTreeSet<&str> {
        self.changes.keys().map(String::as_str).collect()
    }

    /// What a key was at a rev; none: it was never written by then.
    pub fn at(&self, key: &str, rev: u64) -> Option<&Change> {
        let changes = self.of(key);
        changes[..changes.partition_point(|change| change.rev <= rev)].last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Logged;

    fn check(logged: &Logged, expected: &[(u8, &str)]) {
        let mut findings = Findings::default();
        Keys::read(&logged.log(), &mut findings).expect("events");
        assert_eq!(findings.broken(), expected);
    }

    #[test]
    fn p6_versions_count_up_and_tell_what_was_before() {
        check(Logged::default().write(5, "k", 1, "a").write(6, "k", 2, "b"), &[]);
        check(Logged::default().write(5, "k", 1, "a").write(6, "k", 3, "b"), &[(6, VERSION_SKIPPED.name)]);
        let mut forgetful = Logged::default();
        forgetful.write(5, "k", 1, "a");
        forgetful.event(6, "state.changed", r#"{"key":"k","version":2,"oldValue":"z","newValue":"b"}"#);
        check(&forgetful, &[(6, OLD_VALUE_WRONG.name)]);
    }

    #[test]
    fn p14_a_key_goes_away_on_time() {
        let with_end = |end: &str| {
            let mut logged = Logged::default();
            let data = format!(r#"{{"key":"k","version":1,"newValue":"a","expiresAt":"{end}"}}"#);
            logged.event(5, "state.changed", &data);
            logged.event(6, "state.changed", r#"{"key":"k","version":2,"oldValue":"a","expired":true}"#);
            logged
        };
        check(&with_end("2026-01-01T00:00:00.000Z"), &[]);
        check(&with_end("2026-01-02T00:00:00.000Z"), &[(14, EXPIRED_EARLY.name)]);
    }

    #[test]
    fn a_value_is_found_at_any_rev() {
        let log = Logged::default().write(5, "k", 1, "a").write(7, "k", 2, "b").log();
        let keys = Keys::read(&log, &mut Findings::default()).expect("events");
        let at = |rev| keys.at("k", rev).and_then(|change| change.value.clone());
        assert_eq!(
            [at(4), at(5), at(6), at(7)],
            [None, Some("a".into()), Some("a".into()), Some("b".into())]
        );
    }
}
