//! Recorded streams of events against the log (P17): what was asked for and nothing else, in order, once, without a gap up to
//! what was delivered last, and the events of one rev together, over any number of connections.
//! Knows nothing of how fast a stream was: one that delivers nothing breaks nothing, unless it was followed to the end.

mod pattern;

use std::path::Path;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::{
    lines::{self, Place, Shown, Torn},
    log::{Event, Log},
    verdict::{Findings, Harm, Rule},
};

use pattern::matches;

/// Something was left out.
pub const GAP: Rule = Rule::new(17, "gap in a stream").harms(Harm::Lost);
/// Something was delivered again on the same connection, or though the client had said that it has it.
pub const TWICE: Rule = Rule::new(17, "delivered twice").harms(Harm::Duplicated);
/// Something was delivered after what came later.
pub const REORDERED: Rule = Rule::new(17, "delivered out of order");
/// Something was delivered that the log does not have: it was never committed.
pub const NOT_IN_THE_LOG: Rule = Rule::new(17, "delivered but not in the log");
/// Something was delivered that the log tells otherwise.
pub const UNLIKE_THE_LOG: Rule = Rule::new(17, "delivered otherwise than in the log");
/// Something was delivered that was not asked for.
pub const NOT_ASKED_FOR: Rule = Rule::new(17, "delivered but not asked for");
/// The stream was followed until everything had come, and something had not.
pub const STOPPED_SHORT: Rule = Rule::new(17, "a stream that stopped short").harms(Harm::Lost);
/// A bookmark in the middle of a rev.
pub const TORN_APART: Rule = Rule::new(17, "a rev torn apart");

/// A line of a watch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// A connection was opened.
    Open(Open),
    /// An event came, as it is.
    Event(Box<Event>),
    /// Everything that was asked for has come up to this number: a heartbeat's id.
    Bookmark(u64),
    /// What was before this number is no longer kept.
    Reset(u64),
}

/// What was asked for. Without a place to begin, the stream begins with what happens next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Open {
    /// The node that was asked.
    pub node: String,
    /// After this event.
    pub since: Option<u64>,
    /// Only what happened after this rev, which may be one to come.
    pub rev: Option<u64>,
    /// Types or patterns of them; none: all.
    pub types: Vec<String>,
    /// A state key or a pattern: only changes of such keys, and other events whose type was asked for.
    pub key: Option<String>,
}

#[derive(Deserialize)]
struct Changed {
    key: String,
}

impl Open {
    /// Whether an event is asked for.
    fn wants(&self, event: &Event) -> bool {
        // Of types `*` is all.
        let typed = self.types.iter().any(|pattern| pattern == "*" || matches(pattern, &event.kind));
        let too_early = self.rev.is_some_and(|rev| event.rev <= rev);
        if too_early || !self.types.is_empty() && !typed {
            return false;
        }
        match (&self.key, event.kind.as_str()) {
            (Some(pattern), "state.changed") => {
                event.data::<Changed>().is_ok_and(|changed| matches(pattern, &changed.key))
            }
            (Some(_), _) => typed,
            (None, _) => true,
        }
    }
}

/// Judges a watch, which may have been followed to the end of the log.
///
/// # Errors
/// At the first line that is none of a watch.
pub fn check(path: &Path, (log, to_the_end): (&Log, bool), findings: &mut Findings) -> Result<()> {
    let mut stream: Option<Stream<'_>> = None;
    let mut delivered = 0;
    lines::read(path, Torn::Skipped, |place, line: Line| {
        if let Line::Open(open) = line {
            stream = Some(Stream::open(log, open));
            return Ok(());
        }
        let Some(stream) = &mut stream else { bail!("the first line opens the watch") };
        match line {
            Line::Open(_) => {}
            Line::Event(event) => {
                delivered += 1;
                stream.event(&event, &place, findings);
            }
            Line::Bookmark(seq) => stream.bookmark(seq, &place, findings),
            Line::Reset(first_seq) => stream.reset(first_seq, &place, findings),
        }
        Ok(())
    })?;
    findings.counts.watched += delivered;
    if to_the_end {
        match &stream {
            Some(stream) => stream.end(findings),
            None => findings.void.push(format!("{} has no stream", lines::name_of(path))),
        }
    }
    Ok(())
}

/// A connection.
struct Stream<'a> {
    log: &'a Log,
    open: Open,
    /// Everything up to this event was delivered; none: it is not known yet.
    after: Option<u64>,
}

impl<'a> Stream<'a> {
    fn open(log: &'a Log, open: Open) -> Stream<'a> {
        Stream { log, after: open.since.or(open.rev.map(|_| 0)), open }
    }

    fn event(&mut self, event: &Event, place: &Place, findings: &mut Findings) {
        let shown = || Shown::new(place, event);
        let Some(index) = self.log.find(event.seq) else {
            return findings.violated(NOT_IN_THE_LOG, format!("event {}", event.seq), vec![shown()]);
        };
        if !self.log.events[index].is_like(event) {
            let lines = vec![self.log.shown(index), shown()];
            return findings.violated(UNLIKE_THE_LOG, format!("event {}", event.seq), lines);
        }
        if !self.open.wants(event) {
            findings.violated(NOT_ASKED_FOR, format!("event {}", event.seq), vec![shown()]);
        }
        match self.after {
            Some(after) if event.seq == after => {
                findings.violated(TWICE, format!("event {after}"), vec![shown()]);
            }
            Some(after) if event.seq < after => {
                findings.violated(
                    REORDERED,
                    format!("event {} after event {after}", event.seq),
                    vec![shown()],
                );
            }
            _ => self.reach(event.seq, event.seq, shown(), findings),
        }
    }

    fn bookmark(&mut self, seq: u64, place: &Place, findings: &mut Findings) {
        let shown = Shown::new(place, &Line::Bookmark(seq));
        if self.after.is_some_and(|after| seq < after) {
            return findings.violated(REORDERED, format!("the bookmark {seq} falls"), vec![shown]);
        }
        if let Some(index) = self.log.find(seq) {
            let rev = self.log.events[index].rev;
            let rest = self.log.events[index + 1..].iter().take_while(|event| event.rev == rev);
            if { rest }.any(|event| self.open.wants(event)) {
                let lines = vec![self.log.shown(index), self.log.shown(index + 1), shown.clone()];
                findings.violated(TORN_APART, format!("rev {rev} goes on after the bookmark {seq}"), lines);
            }
        }
        self.reach(seq, seq + 1, shown, findings);
    }

    /// The stream leaves out what is before `first_seq` and says so. The log has been exported whole, so nothing was deleted,
    /// and what is left out is missing.
    fn reset(&mut self, first_seq: u64, place: &Place, findings: &mut Findings) {
        let shown = Shown::new(place, &Line::Reset(first_seq));
        let first_seq = first_seq.max(1);
        if self.after.is_some_and(|after| first_seq <= after) {
            return findings.violated(REORDERED, format!("the reset {first_seq} falls"), vec![shown]);
        }
        self.reach(first_seq - 1, first_seq, shown, findings);
    }

    /// Nothing is left that was asked for.
    fn end(&self, findings: &mut Findings) {
        let from = self.log.count_up_to(self.after.unwrap_or(0));
        let mut left =
            (from..self.log.events.len()).filter(|index| self.open.wants(&self.log.events[*index]));
        if let Some(missing) = left.next() {
            let after = self.after.unwrap_or(0);
            let what =
                format!("{} events after event {after} never came from {}", 1 + left.count(), self.open.node);
            findings.violated(STOPPED_SHORT, what, vec![self.log.shown(missing)]);
        }
    }

    /// The stream is at event `seq`: nothing that is asked for was left out before `end`.
    fn reach(&mut self, seq: u64, end: u64, shown: Shown, findings: &mut Findings) {
        if let Some(after) = self.after {
            let (first, last) = (self.log.count_up_to(after), self.log.count_up_to(end - 1));
            let mut skipped =
                (first..last.max(first)).filter(|index| self.open.wants(&self.log.events[*index]));
            if let Some(missing) = skipped.next() {
                let what = format!("{} events after event {after} are missing", 1 + skipped.count());
                findings.violated(GAP, what, vec![self.log.shown(missing), shown]);
            }
        }
        self.after = Some(seq);
    }
}

#[cfg(test)]
mod tests;
