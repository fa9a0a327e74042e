//! Runs and tasks that were started with an idempotency key: one effect and the same answer for all calls with the same key.
//! An effect is known by the key in the event of its creation (a run's label `key`, a task's name) and by the id that an
//! answer gave.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{
    history::{Call, History, Op, Outcome, Started},
    log::Log,
    verdict::{Findings, Harm, Rule},
};

/// An acknowledged start is nowhere in the log, or not at its rev.
pub const LOST_START: Rule = Rule::new(1, "lost start").harms(Harm::Lost);
/// A rejected start happened.
pub const REJECTED_START: Rule = Rule::new(3, "rejected start appears");
/// A key has two effects.
pub const DOUBLED_START: Rule = Rule::new(4, "two effects of one key").harms(Harm::Duplicated);
/// A key has two answers.
pub const ANSWERS_DIFFER: Rule = Rule::new(4, "two answers to one key");

#[derive(Default, Deserialize)]
#[serde(default)]
struct Created {
    labels: HashMap<String, String>,
    name: Option<String>,
}

/// Events of creation, by the key that they show and by what was created.
#[derive(Default)]
struct Effects {
    by_key: HashMap<(Started, String), Vec<usize>>,
    by_id: HashMap<String, Vec<usize>>,
}

impl Effects {
    fn read(log: &Log) -> Result<Effects> {
        let mut effects = Effects::default();
        for (index, event) in log.events.iter().enumerate() {
            let what = match event.kind.as_str() {
                "workflow.created" => Started::Run,
                "task.created" => Started::Task,
                _ => continue,
            };
            let created: Created = event.data().with_context(|| log.place(index).to_string())?;
            let key = match what {
                Started::Run => created.labels.get("key").cloned(),
                Started::Task => created.name,
            };
            effects.by_id.entry(event.subject.clone()).or_default().push(index);
            if let Some(key) = key {
                effects.by_key.entry((what, key)).or_default().push(index);
            }
        }
        Ok(effects)
    }
}

/// Judges the calls of every key.
pub(super) fn check(history: &History, log: &Log, findings: &mut Findings) -> Result<()> {
    let mut calls: BTreeMap<&str, Vec<(Started, &Op)>> = BTreeMap::new();
    for op in &history.ops {
        if let Call::Start { what, idempotency_key } = &op.call {
            calls.entry(idempotency_key).or_default().push((*what, op));
        }
    }
    if calls.is_empty() {
        return Ok(());
    }
    let effects = Effects::read(log)?;
    for (key, calls) in calls {
        one_key(key, &calls, &effects, (log, findings));
    }
    Ok(())
}

fn one_key(key: &str, calls: &[(Started, &Op)], effects: &Effects, (log, findings): (&Log, &mut Findings)) {
    let mut places: BTreeSet<usize> = BTreeSet::new();
    for (what, _) in calls {
        places.extend(effects.by_key.get(&(*what, key.to_owned())).into_iter().flatten());
    }
    let answers: Vec<(&Op, &str, u64)> = calls
        .iter()
        .filter_map(|(_, op)| {
            op.ok().map(|answer| (*op, answer.id.as_deref().unwrap_or_default(), answer.rev))
        })
        .collect();
    for (op, id, rev) in &answers {
        let created = effects.by_id.get(*id).map_or(&[][..], Vec::as_slice);
        places.extend(created);
        if !created.iter().any(|index| log.events[*index].rev == *rev) {
            let what = format!("`{id}`, acknowledged at rev {rev}");
            let shown = created.iter().map(|index| log.shown(*index));
            findings.violated(LOST_START, what, op.shown().into_iter().chain(shown).collect());
        }
    }
    let shown = || places.iter().take(3).map(|index| log.shown(*index));
    if places.len() > 1 {
        let what = format!("the key `{key}` has {} effects", places.len());
        findings.violated(DOUBLED_START, what, calls[0].1.shown().into_iter().chain(shown()).collect());
    }
    if let Some(other) = answers.iter().find(|(_, id, rev)| (*id, *rev) != (answers[0].1, answers[0].2)) {
        let lines = [answers[0].0.shown(), other.0.shown()].concat();
        findings.violated(ANSWERS_DIFFER, format!("the key `{key}`"), lines);
    }
    let rejected = calls.iter().all(|(_, op)| matches!(op.outcome, Outcome::Rejected { .. }));
    if rejected && !places.is_empty() {
        let lines = calls[0].1.shown().into_iter().chain(shown()).collect();
        findings.violated(REJECTED_START, format!("the key `{key}`"), lines);
    }
}
