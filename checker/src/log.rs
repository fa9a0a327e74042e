//! The event log as every node exported it: each line an event as `GET /api/v1/events` returns it.
//! Checks that it has no gap, that neither rev nor time falls and that all nodes tell the same (P5).
//! Knows nothing of what events mean. Names that nodes look up when they are asked may be missing on one of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use crate::{
    lines::{self, Place, Shown, Torn},
    verdict::{Findings, Rule},
};

/// Numbers leave none out.
pub const GAP: Rule = Rule::new(5, "gap in the log");
/// An event that stands before another one happened before it.
pub const REV_FALLS: Rule = Rule::new(5, "rev falls in the log");
/// All nodes are the same machine.
pub const DIVERGENT: Rule = Rule::new(5, "divergent nodes");
/// The same at the same rev.
pub const HASHES_DIFFER: Rule = Rule::new(5, "state hashes differ");
/// A node whose state is of a rev has the events up to it.
pub const CUT_OFF: Rule = Rule::new(5, "events missing at the end of a node's log");
/// The log's own clock goes forward only.
pub const TIME_FALLS: Rule = Rule::new(14, "time falls in the log");

/// What nodes look up beside an event, if they still can.
const LOOKED_UP: [&str; 2] = ["workflow", "stepId"];

/// A fact.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub seq: u64,
    /// The log index at which it happened.
    pub rev: u64,
    /// Its dotted name.
    #[serde(rename = "type")]
    pub kind: String,
    /// When, such as `2026-01-31T23:59:59.999Z`: such texts compare like the times.
    pub at: String,
    /// What it happened to.
    #[serde(default)]
    pub subject: String,
    /// What happened, by type.
    pub data: Box<RawValue>,
}

impl Event {
    /// The data as a type.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.data.get()).with_context(|| format!("the data of a `{}`", self.kind))
    }

    /// Whether two nodes tell the same.
    pub fn is_like(&self, other: &Event) -> bool {
        let told = |event: &Event| (event.seq, event.rev);
        let same = told(self) == told(other)
            && self.kind == other.kind
            && self.at == other.at
            && self.subject == other.subject;
        same && (self.data.get() == other.data.get() || self.says_like(other))
    }

    fn says_like(&self, other: &Event) -> bool {
        let values = (serde_json::from_str(self.data.get()), serde_json::from_str(other.data.get()));
        let (Ok(Value::Object(mut one)), Ok(Value::Object(mut two))) = values else { return false };
        for name in LOOKED_UP {
            if !one.contains_key(name) || !two.contains_key(name) {
                one.remove(name);
                two.remove(name);
            }
        }
        one == two
    }
}

/// A time that compares as text.
pub fn check_time(at: &str) -> Result<()> {
    ensure!(at.len() == 24 && at.ends_with('Z'), "`{at}` is not a time such as 2026-01-31T23:59:59.999Z");
    Ok(())
}

/// The longest log of all nodes.
#[derive(Debug, Default)]
pub struct Log {
    /// Its events, in the order of their numbers.
    pub events: Vec<Event>,
    /// Whose it is.
    files: Vec<Place>,
    /// The last number that each node has.
    pub ends: BTreeMap<String, u64>,
}

impl Log {
    /// Reads the files of all nodes, `events-<node>.jsonl`.
    ///
    /// # Errors
    /// At the first line that is no event.
    pub fn read(paths: &[PathBuf], findings: &mut Findings) -> Result<Log> {
        let mut log = Log::default();
        for path in paths {
            log.read_node(path, findings)?;
        }
        findings.counts.events = log.events.len() as u64;
        if log.events.is_empty() {
            findings.void.push("no node has exported an event".to_owned());
        }
        Ok(log)
    }

    fn read_node(&mut self, path: &Path, findings: &mut Findings) -> Result<()> {
        let (mut before, mut diverged): (Option<(Place, Event)>, bool) = (None, false);
        lines::read(path, Torn::Refused, |place, event: Event| {
            check_time(&event.at)?;
            if before.is_none() && event.seq != 1 {
                let what = "what was before cannot be judged";
                findings.void.push(format!("{} begins with event {}: {what}", place.file, event.seq));
            }
            if let Some((earlier_place, earlier)) = &before {
                let lines = || vec![Shown::new(earlier_place, earlier), Shown::new(&place, &event)];
                for (rule, what) in steps_wrong(earlier, &event) {
                    findings.violated(rule, what, lines());
                }
            }
            if !diverged {
                diverged = self.place_event(&place, &event, findings);
            }
            before = Some((place, event));
            Ok(())
        })?;
        self.ends.insert(node_of(path), before.map_or(0, |(_, event)| event.seq));
        Ok(())
    }

    /// Compares an event with what is known, or adds it; whether it differs.
    fn place_event(&mut self, place: &Place, event: &Event, findings: &mut Findings) -> bool {
        if self.events.last().is_none_or(|last| last.seq < event.seq) {
            self.events.push(event.clone());
            self.files.push(place.clone());
            return false;
        }
        let Some(index) = self.find(event.seq) else { return false };
        // A node that says a number twice has a gap in its numbers, which is told as such.
        let differs = self.files[index].file != place.file && !self.events[index].is_like(event);
        if differs {
            let what =
                format!("event {} is not the same on two nodes; what follows is not compared", event.seq);
            findings.violated(DIVERGENT, what, vec![self.shown(index), Shown::new(place, event)]);
        }
        differs
    }

    /// The place of the event with this number.
    pub fn find(&self, seq: u64) -> Option<usize> {
        self.events.binary_search_by_key(&seq, |event| event.seq).ok()
    }

    /// How many events have a number up to this one.
    pub fn count_up_to(&self, seq: u64) -> usize {
        self.events.partition_point(|event| event.seq <= seq)
    }

    /// The line of an event.
    pub fn shown(&self, index: usize) -> Shown {
        Shown::new(&self.files[index], &self.events[index])
    }

    /// Where an event is written.
    pub fn place(&self, index: usize) -> &Place {
        &self.files[index]
    }

    /// The last rev of all.
    pub fn last_rev(&self) -> u64 {
        self.events.last().map_or(0, |event| event.rev)
    }
}

/// `n1` of `events-n1.jsonl`.
fn node_of(path: &Path) -> String {
    let name: Arc<str> = lines::name_of(path);
    name.trim_start_matches("events-").trim_end_matches(".jsonl").to_owned()
}

fn steps_wrong(earlier: &Event, event: &Event) -> Vec<(Rule, String)> {
    let mut wrong = Vec::new();
    if event.seq != earlier.seq + 1 {
        wrong.push((GAP, format!("event {} follows event {}", event.seq, earlier.seq)));
    }
    if event.rev < earlier.rev {
        wrong.push((REV_FALLS, format!("rev {} follows rev {}", event.rev, earlier.rev)));
    }
    if event.at < earlier.at {
        wrong.push((TIME_FALLS, format!("{} follows {}", event.at, earlier.at)));
    }
    wrong
}

/// The hash of a node's state at a rev.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateHash {
    /// The log index that the state stands for.
    pub rev: u64,
    /// In whatever form.
    pub hash: String,
}

/// A node whose state is of a rev has exported all events up to it that any node has.
pub fn check_ends(log: &Log, hashes: &BTreeMap<String, StateHash>, findings: &mut Findings) {
    for (node, end) in &log.ends {
        let Some(StateHash { rev, .. }) = hashes.get(node) else { continue };
        let (has, due) = (log.count_up_to(*end), log.events.partition_point(|event| event.rev <= *rev));
        if has < due {
            let what = format!("{node} is at rev {rev} and tells nothing after event {end}");
            findings.violated(CUT_OFF, what, vec![log.shown(has), log.shown(due - 1)]);
        }
    }
}

/// Nodes at the same rev have the same state; at different ones nothing is proved.
pub fn check_hashes(file: &Arc<str>, hashes: &BTreeMap<String, StateHash>, findings: &mut Findings) {
    let mut by_rev: BTreeMap<u64, Vec<(&str, &str)>> = BTreeMap::new();
    for (node, StateHash { rev, hash }) in hashes {
        by_rev.entry(*rev).or_default().push((node, hash));
    }
    let (mut compared, place) = (0, Place { file: file.clone(), line: 1 });
    for (rev, nodes) in &by_rev {
        compared += nodes.len() - 1;
        if nodes.iter().any(|(_, hash)| *hash != nodes[0].1) {
            findings.violated(HASHES_DIFFER, format!("at rev {rev}"), vec![Shown::new(&place, nodes)]);
        }
    }
    if hashes.len() > 1 && compared == 0 {
        findings.void.push(format!("{file} has no two nodes at the same rev"));
    }
}

#[cfg(test)]
mod tests;
