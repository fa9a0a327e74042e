//! What is looked out for at one place of the events: triggers of workflows as they were applied there, steps that wait.
//! Types are compared first; filters are for those that match.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use orc_actors::Pattern;
use orc_domain::{
    AwaitedEvent, Definition, DefinitionId, Event, Recorded, Role, Run, RunId, StepIx, Text, WorkflowEvent,
    WorkflowName,
};
use tracing::warn;

use super::Stop;
use crate::{
    definition::Compiled,
    gateway::{Gateway, render::event::kind},
};

/// Versions read at once.
const VERSIONS: usize = 50;

/// What is looked out for.
#[derive(Default)]
pub(super) struct Known {
    kept: BTreeMap<WorkflowName, Arc<Kept>>,
    /// By the patterns as written.
    patterns: BTreeMap<Text, Listeners>,
    /// Workflows by the name of the one whose ends start them.
    after: BTreeMap<WorkflowName, BTreeSet<WorkflowName>>,
    waits: BTreeMap<(RunId, StepIx), Text>,
}

/// A version of a workflow that events start.
pub(super) struct Kept {
    pub(super) name: WorkflowName,
    pub(super) version: u64,
    pub(super) definition: Arc<Definition>,
    pub(super) compiled: Arc<Compiled>,
}

/// Who listens to a pattern.
struct Listeners {
    pattern: Pattern,
    /// Workflows with the places of their triggers.
    triggers: BTreeSet<(WorkflowName, usize)>,
    /// Steps with the last event that does not count.
    waits: BTreeMap<(RunId, StepIx), u64>,
}

/// An event and one thing that it leads to, as far as its type tells.
pub(super) struct Found {
    pub(super) event: Arc<Recorded>,
    pub(super) leads: Leads,
}

/// What an event may lead to.
pub(super) enum Leads {
    /// A run, by an event trigger.
    Event { kept: Arc<Kept>, place: usize },
    /// A run, by the end of a run.
    End { kept: Arc<Kept>, place: usize, run: Arc<Run> },
    /// A step that waits.
    Wait { run: RunId, step: StepIx },
}

impl Known {
    /// Workflows as they were at a log index, and the steps that wait now: each of them knows since when.
    pub(super) async fn at(gateway: &Gateway, rev: u64, awaited: &[AwaitedEvent]) -> Result<Known, Stop> {
        let mut known = Known::default();
        for AwaitedEvent { run, step, wait } in awaited {
            known.wait((*run, *step), &wait.kind, wait.since);
        }
        for workflow in gateway.cluster.workflows(None, usize::MAX) {
            let name = &workflow.name;
            let found = match workflow.rev <= rev {
                true => Some((workflow.version, workflow.definition)),
                false if rev == 0 => None,
                false => version_at(gateway, name, rev).await?,
            };
            if let Some((version, definition)) = found {
                known.keep(kept(gateway, name, version, definition).await?);
            }
        }
        Ok(known)
    }

    /// Whether the latest version of some workflow has such triggers.
    pub(super) async fn any_now(gateway: &Gateway) -> Result<bool, Stop> {
        for workflow in gateway.cluster.workflows(None, usize::MAX) {
            let found = kept(gateway, &workflow.name, workflow.version, workflow.definition).await?;
            if found.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Nothing is looked out for.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.waits.is_empty()
    }

    /// Some workflow is started by events.
    pub(super) fn has_triggers(&self) -> bool {
        !self.kept.is_empty()
    }

    /// An event may change what is looked out for; whether triggers come where there were none, or none are left.
    pub(super) async fn note(&mut self, gateway: &Gateway, recorded: &Recorded) -> Result<bool, Stop> {
        let had_triggers = self.has_triggers();
        let event = &recorded.event;
        if let Event::Workflow(WorkflowEvent::Applied { name, version, definition }) = event {
            self.forget(name);
            self.keep(kept(gateway, name, *version, *definition).await?);
        } else if let Event::Workflow(WorkflowEvent::Deleted { name }) = event {
            self.forget(name);
        } else if let Event::EventAwaited { run, step, kind } = event {
            self.wait((*run, *step), kind, recorded.seq);
        } else if !self.waits.is_empty() {
            self.end_waits(event);
        }
        Ok(had_triggers != self.has_triggers())
    }

    /// Adds what an event may lead to.
    pub(super) async fn find(
        &self,
        gateway: &Gateway,
        event: &Arc<Recorded>,
        found: &mut Vec<Found>,
    ) -> Result<(), Stop> {
        if self.is_empty() {
            return Ok(());
        }
        let mut add = |leads| found.push(Found { event: event.clone(), leads });
        if let Event::RunEnded { run, status, parent, .. } = &event.event
            && !self.after.is_empty()
            && parent.as_ref().is_none_or(|parent| matches!(parent.role, Role::Step(_)))
            && let Some(run) = gateway.cluster.find_run(*run).await?
            && let Some(name) = run.origin.workflow.as_ref().map(|workflow| &workflow.name)
        {
            for kept in self.after.get(name).into_iter().flatten().filter_map(|after| self.kept.get(after)) {
                let ends = kept.compiled.triggers.ends.iter().enumerate();
                let on = ends.filter(|(_, end)| end.workflow == *name && end.on.contains(status));
                on.for_each(|(place, _)| add(Leads::End { kept: kept.clone(), place, run: run.clone() }));
            }
        }
        let starts = !starts_nothing(&event.event);
        let kind = kind(&event.event);
        for listeners in self.patterns.values().filter(|listeners| listeners.pattern.matches(kind)) {
            let triggers = listeners.triggers.iter().filter(|_| starts);
            for (name, place) in triggers {
                if let Some(kept) = self.kept.get(name) {
                    add(Leads::Event { kept: kept.clone(), place: *place });
                }
            }
            let waits = listeners.waits.iter().filter(|(_, since)| **since < event.seq);
            waits.for_each(|((run, step), _)| add(Leads::Wait { run: *run, step: *step }));
        }
        Ok(())
    }

    fn listeners(&mut self, kind: &Text) -> Option<&mut Listeners> {
        if !self.patterns.contains_key(kind) {
            let pattern = match kind.parse() {
                Ok(pattern) => pattern,
                Err(error) => {
                    let error: orc_actors::BadPattern = error;
                    warn!(%error, "nothing can be looked out for by this");
                    return None;
                }
            };
            let listeners = Listeners { pattern, triggers: BTreeSet::new(), waits: BTreeMap::new() };
            self.patterns.insert(kind.clone(), listeners);
        }
        self.patterns.get_mut(kind)
    }

    fn keep(&mut self, kept: Option<Kept>) {
        let Some(kept) = kept.map(Arc::new) else { return };
        for (place, event) in kept.compiled.triggers.events.iter().enumerate() {
            if let Some(listeners) = self.listeners(&event.kind) {
                listeners.triggers.insert((kept.name.clone(), place));
            }
        }
        for end in &kept.compiled.triggers.ends {
            self.after.entry(end.workflow.clone()).or_default().insert(kept.name.clone());
        }
        self.kept.insert(kept.name.clone(), kept);
    }

    fn forget(&mut self, name: &WorkflowName) {
        let Some(kept) = self.kept.remove(name) else { return };
        for end in &kept.compiled.triggers.ends {
            if let Some(names) = self.after.get_mut(&end.workflow) {
                names.remove(name);
            }
        }
        self.after.retain(|_, names| !names.is_empty());
        for listeners in self.patterns.values_mut() {
            listeners.triggers.retain(|(known, _)| known != name);
        }
        self.sweep();
    }

    fn wait(&mut self, step: (RunId, StepIx), kind: &Text, since: u64) {
        if let Some(listeners) = self.listeners(kind) {
            listeners.waits.insert(step, since);
            self.waits.insert(step, kind.clone());
        }
    }

    fn end_waits(&mut self, event: &Event) {
        if let Event::StepEnded { run, step, .. } | Event::StepReturned { run, step, .. } = event {
            self.end_wait((*run, *step));
        } else if let Event::RunEnded { run, .. } = event {
            let of_run = self.waits.range((*run, 0)..=(*run, StepIx::MAX)).map(|(step, _)| *step);
            of_run.collect::<Vec<_>>().into_iter().for_each(|step| self.end_wait(step));
        }
    }

    fn end_wait(&mut self, step: (RunId, StepIx)) {
        let Some(kind) = self.waits.remove(&step) else { return };
        if let Some(listeners) = self.patterns.get_mut(&kind) {
            listeners.waits.remove(&step);
            if listeners.is_empty() {
                self.patterns.remove(&kind);
            }
        }
    }

    fn sweep(&mut self) {
        self.patterns.retain(|_, listeners| !listeners.is_empty());
    }
}

impl Listeners {
    fn is_empty(&self) -> bool {
        self.triggers.is_empty() && self.waits.is_empty()
    }
}

/// Facts that come of runs although they name none, so that a run by them could lead to the next without an end.
fn starts_nothing(event: &Event) -> bool {
    matches!(
        event,
        Event::DefinitionAdded(_)
            | Event::RunsDeleted { .. }
            | Event::TasksDeleted(_)
            | Event::Workflow(WorkflowEvent::StartsSkipped(_))
    )
}

/// The version that was the latest at a log index.
async fn version_at(
    gateway: &Gateway,
    name: &WorkflowName,
    rev: u64,
) -> Result<Option<(u64, DefinitionId)>, Stop> {
    let mut before = None;
    loop {
        let versions = gateway.cluster.workflow_versions(name.clone(), before, VERSIONS).await?;
        if let Some(found) = versions.iter().find(|version| version.rev <= rev) {
            return Ok(Some((found.version, found.definition)));
        }
        match versions.last() {
            Some(last) if last.version > 1 => before = Some(last.version),
            Some(_) | None => return Ok(None),
        }
    }
}

/// A version of a workflow, if events start it. Most have no such triggers, and their text tells.
async fn kept(
    gateway: &Gateway,
    name: &WorkflowName,
    version: u64,
    definition: DefinitionId,
) -> Result<Option<Kept>, Stop> {
    let Some(definition) = gateway.cluster.find_definition(definition).await? else { return Ok(None) };
    let source = definition.source.as_str();
    if !source.contains("\"triggers\"")
        || !["\"event\"", "\"workflow\""].iter().any(|key| source.contains(key))
    {
        return Ok(None);
    }
    match gateway.catalog.definitions.get(source, &gateway.cluster.config()) {
        Ok(compiled) if compiled.triggers.follow_events() => {
            Ok(Some(Kept { name: name.clone(), version, definition, compiled }))
        }
        Ok(_) => Ok(None),
        Err(error) => {
            warn!(workflow = %name, version, %error, "this workflow can no longer be read, so nothing triggers it");
            Ok(None)
        }
    }
}
