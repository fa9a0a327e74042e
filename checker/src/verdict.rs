//! What a check found: violations with the promise they break and the lines that show it, and the one report of all.
//! Knows nothing of how anything is found.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::lines::Shown;

/// Violations of one rule that are kept; further ones are counted.
const KEPT_MAX: usize = 10;

/// What a violation means for the users of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Something that was acknowledged is gone.
    Lost,
    /// Something happened more often than it may.
    Duplicated,
    /// Something old was shown as current.
    Stale,
    /// Anything else.
    Wrong,
}

/// A rule that histories and logs keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The number of the promise.
    pub promise: u8,
    /// What breaks it, in a few words.
    pub name: &'static str,
    /// What that means.
    pub harm: Harm,
}

impl Rule {
    /// A rule whose violation is plainly wrong.
    pub const fn new(promise: u8, name: &'static str) -> Rule {
        Rule { promise, name, harm: Harm::Wrong }
    }

    /// The same with what its violation means.
    pub const fn harms(self, harm: Harm) -> Rule {
        Rule { harm, ..self }
    }
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// `P1`.
    pub promise: String,
    /// The rule's name.
    pub rule: &'static str,
    /// What happened, in a sentence.
    pub what: String,
    /// What shows it.
    pub lines: Vec<Shown>,
}

/// How often a rule was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// `P1`.
    pub promise: String,
    /// The rule's name.
    pub rule: &'static str,
    /// How often.
    pub count: u64,
}

/// Operations by their outcome, and the worst that happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Operations that were called.
    pub operations: u64,
    /// Of these, answered with success.
    pub ok: u64,
    /// Answered as certainly without effect.
    pub rejected: u64,
    /// Not answered, or not so that one could tell.
    pub unknown: u64,
    /// Events in the longest log.
    pub events: u64,
    /// Events delivered to watchers.
    pub watched: u64,
    /// Acknowledged effects that are gone.
    pub lost: u64,
    /// Effects that happened more than once.
    pub duplicated: u64,
    /// Answers older than they may be, and results that were accepted too late.
    pub stale: u64,
    /// Results of attempts that were acknowledged.
    pub results: u64,
    /// Results that were told though another one of the same attempt had been told.
    pub repeated: u64,
    /// Results told of attempts that were certainly over, or never were.
    pub stale_offered: u64,
    /// Of these, answered as certainly without effect.
    pub stale_refused: u64,
    /// Results that were accepted though their attempt did not run.
    pub stale_accepted: u64,
    /// Durable messages that were acknowledged to their senders.
    pub messages: u64,
    /// Durable messages that came again.
    pub redelivered: u64,
}

impl Counts {
    /// A line on results and one on messages, where there were any.
    fn tell_work(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { results, repeated, stale_offered, stale_refused, stale_accepted, .. } = self;
        if results + repeated + stale_offered > 0 {
            write!(formatter, "{results} results acknowledged, {repeated} told again; ")?;
            writeln!(
                formatter,
                "{stale_offered} stale ones offered, {stale_refused} refused, {stale_accepted} accepted"
            )?;
        }
        if self.messages > 0 {
            let Counts { messages, redelivered, .. } = self;
            writeln!(formatter, "{messages} durable messages acknowledged, {redelivered} came again")?;
        }
        Ok(())
    }
}

/// Everything that checks find, while they run.
#[derive(Debug, Default)]
pub struct Findings {
    violations: Vec<Violation>,
    broken: BTreeMap<(u8, &'static str), u64>,
    /// What was counted.
    pub counts: Counts,
    /// Why the recorded time proves nothing.
    pub void: Vec<String>,
    /// What could not be decided within the limits.
    pub undecided: Vec<String>,
    /// What the reader should know besides.
    pub notes: Vec<String>,
}

impl Findings {
    /// A rule is broken.
    pub fn violated(&mut self, rule: Rule, what: String, lines: Vec<Shown>) {
        let count = self.broken.entry((rule.promise, rule.name)).or_default();
        *count += 1;
        match rule.harm {
            Harm::Lost => self.counts.lost += 1,
            Harm::Duplicated => self.counts.duplicated += 1,
            Harm::Stale => self.counts.stale += 1,
            Harm::Wrong => {}
        }
        if *count <= KEPT_MAX as u64 {
            let promise = format!("P{}", rule.promise);
            self.violations.push(Violation { promise, rule: rule.name, what, lines });
        }
    }

    /// Broken rules, each once, as promise and name.
    pub fn broken(&self) -> Vec<(u8, &'static str)> {
        self.broken.keys().copied().collect()
    }

    /// The report of all.
    pub fn report(self) -> Report {
        let verdict = if !self.violations.is_empty() {
            Verdict::Violated
        } else if !self.void.is_empty() {
            Verdict::Void
        } else if !self.undecided.is_empty() {
            Verdict::Undecided
        } else {
            Verdict::Valid
        };
        let broken = self.broken.into_iter();
        let broken =
            broken.map(|((promise, rule), count)| Broken { promise: format!("P{promise}"), rule, count });
        Report {
            verdict,
            counts: self.counts,
            broken: broken.collect(),
            violations: self.violations,
            void: self.void,
            undecided: self.undecided,
            notes: self.notes,
        }
    }
}

/// What all checks say together. Void and undecided are no pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Every promise that was checked was kept.
    Valid,
    /// One was not.
    Violated,
    /// Too little happened to say.
    Void,
    /// The search gave up.
    Undecided,
}

impl Verdict {
    /// The exit code of a program that ends with it; 2 is for input that cannot be read.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Valid => 0,
            Verdict::Violated => 1,
            Verdict::Void | Verdict::Undecided => 3,
        }
    }
}

/// What was found, for people and as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// All in one word.
    pub verdict: Verdict,
    /// What was counted.
    pub counts: Counts,
    /// Every rule that was broken.
    pub broken: Vec<Broken>,
    /// The first violations of each.
    pub violations: Vec<Violation>,
    /// Why the recorded time proves nothing.
    pub void: Vec<String>,
    /// What could not be decided within the limits.
    pub undecided: Vec<String>,
    /// What the reader should know besides.
    pub notes: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Valid => "valid",
            Verdict::Violated => "VIOLATED",
            Verdict::Void => "VOID: this proves nothing",
            Verdict::Undecided => "UNDECIDED",
        };
        let Counts { operations, ok, rejected, unknown, events, watched, lost, duplicated, stale, .. } =
            self.counts;
        writeln!(formatter, "{verdict}")?;
        writeln!(formatter, "{operations} operations: {ok} ok, {rejected} rejected, {unknown} unknown")?;
        writeln!(formatter, "{events} events in the log, {watched} delivered to watchers")?;
        writeln!(formatter, "{lost} lost, {duplicated} duplicated, {stale} stale")?;
        self.counts.tell_work(formatter)?;
        for Broken { promise, rule, count } in &self.broken {
            writeln!(formatter, "{promise} {rule}: {count} times")?;
        }
        for Violation { promise, rule, what, lines } in &self.violations {
            writeln!(formatter, "\n{promise} {rule}: {what}")?;
            for Shown { at, text } in lines {
                writeln!(formatter, "  {at}: {text}")?;
            }
        }
        for (word, list) in [("void", &self.void), ("undecided", &self.undecided), ("note", &self.notes)] {
            for text in list {
                writeln!(formatter, "{word}: {text}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: Rule = Rule::new(1, "lost").harms(Harm::Lost);

    #[test]
    fn many_violations_are_counted_and_few_are_shown() {
        let mut findings = Findings::default();
        for number in 0..100 {
            findings.violated(LOST, format!("write {number}"), Vec::new());
        }
        let report = findings.report();
        assert_eq!(
            (report.violations.len(), report.broken[0].count, report.counts.lost),
            (KEPT_MAX, 100, 100)
        );
        assert!(report.to_string().contains("P1 lost: 100 times"), "{report}");
    }

    #[test]
    fn a_violation_outweighs_void_and_void_is_no_pass() {
        let void = || Findings { void: vec!["nothing happened".to_owned()], ..Findings::default() };
        assert_eq!(void().report().verdict.exit_code(), 3);
        let mut both = void();
        both.violated(LOST, String::new(), Vec::new());
        assert_eq!(both.report().verdict.exit_code(), 1);
        let undecided = Findings { undecided: vec!["k".to_owned()], ..Findings::default() };
        assert_eq!(undecided.report().verdict.exit_code(), 3);
        assert_eq!(Findings::default().report().verdict.exit_code(), 0);
    }
}
