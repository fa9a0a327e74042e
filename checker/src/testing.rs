//! What tests make judgements of: histories, logs and folders with few words, and dice whose seed repeats them.
//! Knows nothing of what is to be found in them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    history::{Answer, Call, History, Op, Outcome, Started},
    lines::Place,
    log::Log,
    verdict::Findings,
};

/// A folder that goes with its test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("orc-check-{name}-{}-{number}", process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("a temporary file");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A second of the day on which logs of tests happen.
pub fn at(second: u64) -> String {
    format!("2026-01-01T{:02}:{:02}:{:02}.000Z", second / 3600, second / 60 % 60, second % 60)
}

/// The log of a node, event by event; an event of rev n happens at second n.
#[derive(Clone, Default)]
pub struct Logged {
    pub lines: Vec<String>,
    values: Vec<(String, String)>,
}

impl Logged {
    pub fn event(&mut self, rev: u64, kind: &str, data: &str) -> &mut Logged {
        let (seq, at) = (self.lines.len() + 1, at(rev));
        self.lines.push(format!(
            r#"{{"seq":{seq},"rev":{rev},"type":"{kind}","at":"{at}","subject":"s","data":{data}}}"#
        ));
        self
    }

    /// Events, one a line: rev, type, data.
    pub fn events(text: &str) -> Logged {
        let mut logged = Logged::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().expect("rev, type and data");
            let rev = word().parse().expect("a rev");
            logged.event(rev, word(), word());
        }
        logged
    }

    pub fn write(&mut self, rev: u64, key: &str, version: u64, value: &str) -> &mut Logged {
        self.changed(rev, key, version, Some(value))
    }

    pub fn delete(&mut self, rev: u64, key: &str, version: u64) -> &mut Logged {
        self.changed(rev, key, version, None)
    }

    fn changed(&mut self, rev: u64, key: &str, version: u64, value: Option<&str>) -> &mut Logged {
        let old = self.values.iter().position(|(known, _)| known == key).map(|at| self.values.remove(at).1);
        let old = old.map(|value| format!(r#","oldValue":"{value}""#)).unwrap_or_default();
        self.values.extend(value.map(|value| (key.to_owned(), value.to_owned())));
        let new = value.map(|value| format!(r#","newValue":"{value}""#)).unwrap_or_default();
        self.event(rev, "state.changed", &format!(r#"{{"key":"{key}","version":{version}{old}{new}}}"#))
    }

    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// As a node's file says it.
    pub fn log(&self) -> Log {
        let mut findings = Findings::default();
        let log = self.read(&mut findings);
        assert_eq!(findings.broken(), [], "the log of a test is in order");
        log
    }

    pub fn read(&self, findings: &mut Findings) -> Log {
        let folder = Folder::new("log");
        folder.write("events-n1.jsonl", &self.text());
        Log::read(&[folder.path().join("events-n1.jsonl")], findings).expect("events")
    }
}

/// An operation of a process from one time to another.
pub fn op(process: &str, (called_at, returned_at): (u64, u64), call: Call, outcome: Outcome) -> Op {
    let place = |line| Place { file: "history.jsonl".into(), line };
    Op {
        process: process.to_owned(),
        number: called_at,
        node: "n1".to_owned(),
        call,
        called_at,
        called: place(1),
        returned: Some((returned_at, place(2))),
        outcome,
    }
}

pub fn history(mut ops: Vec<Op>) -> History {
    ops.sort_by_key(|op| op.called_at);
    History { ops }
}

pub fn read(key: &str) -> Call {
    Call::Read { key: key.to_owned() }
}

pub fn write(key: &str, value: &str) -> Call {
    Call::Write { key: key.to_owned(), value: value.into() }
}

pub fn compare_and_set(key: &str, version: u64, value: &str) -> Call {
    Call::CompareAndSet { key: key.to_owned(), version, value: value.into() }
}

pub fn delete(key: &str) -> Call {
    Call::Delete { key: key.to_owned() }
}

pub fn start(idempotency_key: &str) -> Call {
    Call::Start { what: Started::Run, idempotency_key: idempotency_key.to_owned() }
}

pub fn report(task: &str, token: u64, mark: &str) -> Call {
    Call::Report { task: task.to_owned(), token, mark: mark.to_owned() }
}

pub fn send(component: &str, mark: &str) -> Call {
    Call::Send { component: component.to_owned(), mark: mark.to_owned() }
}

/// A write happened.
pub fn done(rev: u64, version: u64) -> Outcome {
    Outcome::Ok(Answer { rev, version: Some(version), ..Answer::default() })
}

/// A read saw this value.
pub fn saw(rev: u64, value: Option<(&str, u64)>) -> Outcome {
    let (value, version) = value.map(|(value, version)| (value.into(), version)).unzip();
    Outcome::Ok(Answer { rev, version, value, id: None })
}

pub fn began(rev: u64, id: &str) -> Outcome {
    Outcome::Ok(Answer { rev, id: Some(id.to_owned()), ..Answer::default() })
}

pub const REJECTED: Outcome = Outcome::Rejected { conflict: false };
pub const CONFLICT: Outcome = Outcome::Rejected { conflict: true };

/// Dice whose seed repeats them: the generator SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }
}
