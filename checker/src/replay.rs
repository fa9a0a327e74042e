//! A recorded folder, judged: every check over what there is in it, and one report.
//! Knows which file is what; see [`Folder`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

use crate::{
    automaton::{self, Expected, Plans},
    guards::{self, Guards, Injection},
    history::History,
    keys::{Keys, Origin},
    linear::{self, Limits},
    lines,
    log::{self, Log, StateHash},
    messages, receipts, results,
    verdict::{Findings, Report},
    watch, witness,
};

/// The files of a recorded run, by their names.
#[derive(Debug, Default)]
pub struct Folder {
    /// `history*.jsonl`: what clients did.
    pub histories: Vec<PathBuf>,
    /// `events-<node>.jsonl`: the whole log of each node, exported at the end.
    pub logs: Vec<PathBuf>,
    /// `watch-*.jsonl`: streams, recorded until before the export.
    pub watches: Vec<PathBuf>,
    /// `receipts*.jsonl`: what components got.
    pub receipts: Vec<PathBuf>,
    /// `injections.jsonl`: faults; without it there were none.
    pub injections: Option<PathBuf>,
    /// `hashes*.json`: of each node's state, each file at one time.
    pub hashes: Vec<PathBuf>,
    /// `guards.json`: what must have happened.
    pub guards: Option<PathBuf>,
    /// `plans.json`: what steps need.
    pub plans: Option<PathBuf>,
}

impl Folder {
    /// Looks at the names of the files; others than these are left alone.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn look(path: &Path) -> Result<Folder> {
        let mut folder = Folder::default();
        let unread = || format!("{} cannot be read", path.display());
        let mut paths = Vec::new();
        for entry in fs::read_dir(path).with_context(unread)? {
            paths.push(entry.with_context(unread)?.path());
        }
        paths.sort();
        for path in paths {
            let name = lines::name_of(&path);
            match (&*name, name.ends_with(".jsonl")) {
                ("injections.jsonl", _) => folder.injections = Some(path),
                ("guards.json", _) => folder.guards = Some(path),
                ("plans.json", _) => folder.plans = Some(path),
                (name, true) if name.starts_with("history") => folder.histories.push(path),
                (name, true) if name.starts_with("events-") => folder.logs.push(path),
                (name, true) if name.starts_with("watch-") => folder.watches.push(path),
                (name, true) if name.starts_with("receipts") => folder.receipts.push(path),
                (name, _) if name.starts_with("hashes") && name.ends_with(".json") => {
                    folder.hashes.push(path)
                }
                _ => {}
            }
        }
        Ok(folder)
    }

    /// Judges everything.
    ///
    /// # Errors
    /// At the first file that is not what its name says, with the line.
    pub fn judge(&self, limits: Limits) -> Result<Report> {
        let mut findings = Findings::default();
        let history = History::read(&self.histories)?;
        history.count(&mut findings.counts);
        let guards: Guards = or_default(self.guards.as_deref())?;
        let plans: Plans = or_default(self.plans.as_deref())?;
        let injections =
            self.injections.as_deref().map(guards::read_injections).transpose()?.unwrap_or_default();
        let log = Log::read(&self.logs, &mut findings)?;
        let keys = Keys::read(&log, &mut findings)?;
        self.check_nodes(&log, (&guards, &history, &injections), &mut findings)?;
        witness::check(&history, &log, &keys, &mut findings)?;
        let by_others = |key: &str| keys.of(key).iter().any(|change| change.origin != Origin::Write);
        linear::check(&history, &by_others, limits, &mut findings);
        let receipts = receipts::read(&self.receipts)?;
        results::check(&history, &receipts, &log, &mut findings)?;
        messages::check((&history, &receipts), (&log, guards.everything_ended), &mut findings)?;
        let expected = Expected { plans, everything_ended: guards.everything_ended };
        automaton::check(&log, &expected, &mut findings)?;
        guards::check_work(&guards, &mut findings);
        for path in &self.watches {
            watch::check(path, (&log, guards.watched_to_the_end), &mut findings)?;
        }
        Ok(findings.report())
    }

    fn check_nodes(
        &self,
        log: &Log,
        (guards, history, injections): (&Guards, &History, &[Injection]),
        findings: &mut Findings,
    ) -> Result<()> {
        let nodes: BTreeSet<String> = log.ends.keys().cloned().collect();
        if self.guards.is_none() {
            findings.void.push("guards.json is missing: nothing says what must have happened".to_owned());
        }
        guards::check(guards, (history, injections), &nodes, findings);
        let ends: BTreeSet<u64> = log.ends.values().copied().collect();
        if ends.len() > 1 {
            findings.notes.push(format!("the logs end with different events: {:?}", log.ends));
        }
        if nodes.len() == 1 {
            findings
                .void
                .push("only one node exported its log: there is nothing to compare it with".to_owned());
        }
        let mut told = BTreeSet::new();
        for path in &self.hashes {
            let hashes: BTreeMap<String, StateHash> = lines::read_whole(path)?;
            log::check_hashes(&lines::name_of(path), &hashes, findings);
            log::check_ends(log, &hashes, findings);
            told.extend(hashes.into_keys());
        }
        for node in nodes.difference(&told).filter(|_| nodes.len() > 1) {
            findings.void.push(format!("no hashes.json tells the state of {node}"));
        }
        Ok(())
    }
}

fn or_default<T: DeserializeOwned + Default>(path: Option<&Path>) -> Result<T> {
    path.map_or_else(|| Ok(T::default()), lines::read_whole)
}

#[cfg(test)]
mod tests;
