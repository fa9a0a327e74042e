//! Durable messages (P18): one that was acknowledged to its sender is in the log, once; its component gets it at least once
//! or it is given up with a reason; each component gets them in the order of the log, those that come again apart.
//! A message is known by its mark, which is its payload. Knows nothing of how often one may come.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    history::{Call, History, Op, Outcome},
    log::Log,
    receipts::{Got, Receipt},
    verdict::{Findings, Harm, Rule},
};

/// An acknowledged message is nowhere in the log, or not at its rev.
pub const LOST_MESSAGE: Rule = Rule::new(1, "lost message").harms(Harm::Lost);
/// A rejected message is in a queue.
pub const REJECTED_MESSAGE: Rule = Rule::new(3, "rejected message appears");
/// A message is in a queue twice.
pub const DOUBLED_MESSAGE: Rule = Rule::new(4, "two messages of one call").harms(Harm::Duplicated);
/// A message that its component never got, and that nobody gave up.
pub const NEVER_DELIVERED: Rule = Rule::new(18, "message never delivered").harms(Harm::Lost);
/// A component got a message for the first time after one that is behind it.
pub const OUT_OF_ORDER: Rule = Rule::new(18, "messages out of order");
/// A component got a message that the log does not have for it.
pub const NEVER_SENT: Rule = Rule::new(18, "message that the log does not have");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    message_id: String,
    #[serde(default)]
    component_id: String,
    #[serde(default)]
    number: u64,
    #[serde(default)]
    payload: Value,
}

/// A message of the log.
struct Message {
    index: usize,
    id: String,
    component: String,
    number: u64,
    acknowledged: bool,
    given_up: bool,
}

/// Judges every message whose payload is a text.
///
/// # Errors
/// Where the data of an event cannot be read.
pub fn check(
    (history, receipts): (&History, &[Receipt]),
    (log, everything_ended): (&Log, bool),
    findings: &mut Findings,
) -> Result<()> {
    let mut marks: BTreeMap<&str, Vec<&Op>> = BTreeMap::new();
    let mut components = BTreeSet::new();
    for op in &history.ops {
        if let Call::Send { mark, component } = &op.call {
            marks.entry(mark).or_default().push(op);
            components.insert(component.as_str());
        }
    }
    let messages = queues(log)?;
    for (mark, ops) in &marks {
        sent(mark, ops, &messages, (log, findings));
    }
    received(receipts, &messages, (log, findings));
    let got: BTreeSet<(&str, &str)> = receipts
        .iter()
        .filter_map(|receipt| match &receipt.got {
            Got::Message { mark } => Some((receipt.component.as_str(), mark.as_str())),
            Got::Attempt { .. } => None,
        })
        .collect();
    for (mark, message) in messages.iter().flat_map(|(mark, all)| all.iter().map(move |one| (mark, one))) {
        let is_due = message.acknowledged || everything_ended && !message.given_up;
        let is_watched = components.contains(message.component.as_str());
        if is_due && is_watched && !got.contains(&(&*message.component, mark)) {
            let what = format!("{mark} to {}", message.component);
            findings.violated(NEVER_DELIVERED, what, vec![log.shown(message.index)]);
        }
    }
    Ok(())
}

/// The messages of the log, by their marks.
fn queues(log: &Log) -> Result<BTreeMap<String, Vec<Message>>> {
    let mut messages: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    let mut marks: HashMap<String, String> = HashMap::new();
    for (index, event) in log.events.iter().enumerate() {
        let kind = event.kind.as_str();
        if !matches!(kind, "message.queued" | "message.acknowledged" | "message.deadLettered") {
            continue;
        }
        let told: Told = event.data().with_context(|| log.place(index).to_string())?;
        if let ("message.queued", Value::String(mark)) = (kind, told.payload) {
            marks.insert(told.message_id.clone(), mark.clone());
            messages.entry(mark).or_default().push(Message {
                index,
                id: told.message_id,
                component: told.component_id,
                number: told.number,
                acknowledged: false,
                given_up: false,
            });
            continue;
        }
        let known = marks.get(&told.message_id).and_then(|mark| messages.get_mut(mark));
        for message in known.into_iter().flatten().filter(|message| message.id == told.message_id) {
            message.acknowledged |= kind == "message.acknowledged";
            message.given_up |= kind == "message.deadLettered";
        }
    }
    Ok(messages)
}

/// All calls that send one message.
fn sent(
    mark: &str,
    ops: &[&Op],
    messages: &BTreeMap<String, Vec<Message>>,
    (log, findings): (&Log, &mut Findings),
) {
    let queued = messages.get(mark).map_or(&[][..], Vec::as_slice);
    let lines = || ops[0].shown().into_iter().chain(queued.iter().map(|one| log.shown(one.index))).collect();
    let answers: Vec<(u64, &str)> = ops
        .iter()
        .filter_map(|op| op.ok().map(|ok| (ok.rev, ok.id.as_deref().unwrap_or_default())))
        .collect();
    let is_there =
        |(rev, id): &(u64, &str)| queued.iter().any(|one| one.id == *id && log.events[one.index].rev == *rev);
    if let Some((rev, id)) = answers.iter().find(|answer| !is_there(answer)) {
        findings.violated(LOST_MESSAGE, format!("{mark} as {id}, acknowledged at rev {rev}"), lines());
    }
    if queued.len() > 1 {
        findings.violated(DOUBLED_MESSAGE, format!("{mark} is there {} times", queued.len()), lines());
    }
    if !queued.is_empty() && ops.iter().all(|op| matches!(op.outcome, Outcome::Rejected { .. })) {
        findings.violated(REJECTED_MESSAGE, mark.to_owned(), lines());
    }
    findings.counts.messages += u64::from(!answers.is_empty());
}

/// What components got, in their order.
fn received(
    receipts: &[Receipt],
    messages: &BTreeMap<String, Vec<Message>>,
    (log, findings): (&Log, &mut Findings),
) {
    let mut last: HashMap<&str, &Message> = HashMap::new();
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    for receipt in receipts {
        let Got::Message { mark } = &receipt.got else { continue };
        let component = receipt.component.as_str();
        let of_component = messages.get(mark).into_iter().flatten().find(|one| one.component == component);
        let Some(message) = of_component else {
            findings.violated(NEVER_SENT, format!("{mark} to {component}"), vec![receipt.shown()]);
            continue;
        };
        if !seen.insert((component, mark)) {
            findings.counts.redelivered += 1;
            continue;
        }
        if let Some(before) = last.get(component).filter(|before| before.number > message.number) {
            let what = format!("{component} got {mark} after what is behind it");
            let lines = vec![log.shown(message.index), log.shown(before.index), receipt.shown()];
            findings.violated(OUT_OF_ORDER, what, lines);
            continue;
        }
        last.insert(component, message);
    }
}

#[cfg(test)]
mod tests;
