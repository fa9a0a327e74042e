//! How a step begins once its turn has come and its expressions, if any, are known: one way for each kind.
//! Knows nothing of what made it its turn.

use alloc::{boxed::Box, format, string::String, vec, vec::Vec};

use super::{
    child,
    key::{create_snapshot, write},
    run::make_room,
};
use crate::{
    cache::{CacheEvent, CacheKey, CachedOutput},
    child::{Item, Repeat, Role, child_id},
    definition::{Definition, StepDef, StepKind},
    evaluation::ChildStart,
    event::Event,
    ids::{Json, StateKey, StepIx, Timestamp},
    key::KeyWrite,
    rejection::Rejection,
    request::{CreateRun, Expect},
    run::{Failure, Run},
    snapshot::{NewSnapshot, SnapshotId},
    state::State,
    step::{EvalPoint, StepOutcome},
    workflow::{Origin, StartedBy},
};

/// What the leader found a step's expressions to be.
pub(super) enum Given<'a> {
    /// Nothing, or the config with its templates filled in.
    Config(Option<&'a Json>),
    Items(&'a [Item]),
    Until(Timestamp),
    Values(&'a [Json]),
    Child(&'a ChildStart),
    Cacheable(CacheKey, Option<&'a Json>),
}

/// A step on its turn.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) state: &'a State,
    pub(super) run: &'a Run,
    pub(super) definition: &'a Definition,
    pub(super) place: StepIx,
}

impl<'a> Turn<'a> {
    pub(super) fn step(&self) -> &'a StepDef {
        &self.definition.block(self.run.block)[usize::from(self.place)]
    }

    /// Asks for what has to be evaluated first, or begins.
    pub(super) fn begin(self) -> Vec<Event> {
        let step = self.step();
        let evaluates = match &step.kind {
            StepKind::Task { templated, .. }
            | StepKind::Approval { templated, .. }
            | StepKind::State { templated, .. }
            | StepKind::Message { templated, .. }
            | StepKind::Emit { templated, .. } => *templated,
            StepKind::Condition { .. }
            | StepKind::Until { .. }
            | StepKind::ForEach { .. }
            | StepKind::Workflow { .. } => true,
            StepKind::Parallel { .. }
            | StepKind::Delay { .. }
            | StepKind::Signal { .. }
            | StepKind::Event { .. } => false,
        };
        if evaluates || step.only_if.is_some() || step.cache.is_some() {
            return vec![self.await_evaluation()];
        }
        self.proceed(&Given::Config(None)).expect("a step without expressions needs nothing")
    }

    pub(super) fn await_evaluation(self) -> Event {
        Event::EvaluationAwaited { run: self.run.id, point: EvalPoint::Step(self.place) }
    }

    pub(super) fn ended(self, outcome: StepOutcome) -> Event {
        Event::StepEnded { run: self.run.id, step: self.place, outcome }
    }

    fn started(self, config: Option<Json>) -> Event {
        Event::StepStarted { run: self.run.id, step: self.place, config }
    }

    /// Begins with what was given; none where that is not what the kind needs.
    pub(super) fn proceed(self, given: &Given<'_>) -> Option<Vec<Event>> {
        let (run, step) = (self.run.id, self.place);
        let kind = &self.step().kind;
        Some(match (kind, given) {
            (StepKind::Parallel { .. }, Given::Config(_)) => {
                vec![self.ended(StepOutcome::Completed(Json::null()))]
            }
            (StepKind::Task { .. }, Given::Config(config)) => vec![self.started(config.cloned())],
            (StepKind::Task { .. }, Given::Cacheable(key, config)) => self.look_up(*key, *config),
            (StepKind::Delay { .. }, Given::Config(_)) => vec![self.started(None)],
            (StepKind::Until { .. }, Given::Until(until)) => {
                vec![self.started(None), Event::TimeAwaited { run, step, until: *until }]
            }
            (StepKind::Signal { name }, Given::Config(_)) => {
                vec![self.started(None), Event::SignalAwaited { run, step, name: name.clone() }]
            }
            (StepKind::Event { kind, .. }, Given::Config(_)) => {
                vec![self.started(None), Event::EventAwaited { run, step, kind: kind.clone() }]
            }
            (StepKind::Approval { request, .. }, Given::Config(filled)) => {
                let request = filled.unwrap_or(request).clone();
                vec![self.started(None), Event::ApprovalAwaited { run, step, request }]
            }
            (StepKind::Message { request, .. }, Given::Config(filled)) => {
                let request = filled.unwrap_or(request).clone();
                vec![self.started(None), Event::MessageAwaited { run, step, request }]
            }
            (StepKind::Emit { kind, data, .. }, Given::Config(filled)) => {
                let (kind, data) = (kind.clone(), filled.unwrap_or(data).clone());
                let emitted = Event::Emitted { run, step, kind, data };
                vec![self.started(None), emitted, self.ended(StepOutcome::Completed(Json::null()))]
            }
            (StepKind::ForEach { .. }, Given::Items(items)) => {
                vec![self.started(None), Event::FanStarted { run, step, items: items.to_vec().into() }]
            }
            (StepKind::Workflow { detach, .. }, Given::Child(start)) => self.child(start, *detach),
            (StepKind::State { writes, .. }, Given::Config(_)) => {
                self.write(&writes.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>())
            }
            (StepKind::State { .. }, Given::Values(values)) => self.write(values),
            (
                StepKind::Parallel { .. }
                | StepKind::Task { .. }
                | StepKind::Condition { .. }
                | StepKind::Delay { .. }
                | StepKind::Until { .. }
                | StepKind::Signal { .. }
                | StepKind::Event { .. }
                | StepKind::Approval { .. }
                | StepKind::ForEach { .. }
                | StepKind::Workflow { .. }
                | StepKind::State { .. }
                | StepKind::Message { .. }
                | StepKind::Emit { .. },
                _,
            ) => return None,
        })
    }

    /// Takes over the output that is kept under a key, or starts the task that will yield one.
    fn look_up(self, key: CacheKey, config: Option<&Json>) -> Vec<Event> {
        let (run, step) = (self.run.id, self.place);
        let age_max = self.step().cache.as_ref().and_then(|cache| cache.age_max);
        let young =
            |kept: &&CachedOutput| age_max.is_none_or(|max| self.state.meta.now.since(kept.at) <= max);
        let found = self.state.outputs.get(&key).filter(young).filter(|_| !self.is_done_again());
        let Some(kept) = found else {
            let missed = Event::Cache(CacheEvent::Missed { run, step, key });
            return vec![self.started(config.cloned()), missed];
        };
        let hit = Event::Cache(CacheEvent::Hit { run, step, from: kept.run });
        [vec![hit], child::finished(self.state, self.run, step, kept.output.clone())].concat()
    }

    /// Somebody asked for all of it anew.
    fn is_done_again(&self) -> bool {
        let above = |run: &&'a Run| self.state.runs.get(&run.parent.as_ref()?.run);
        core::iter::successors(Some(self.run), above)
            .any(|run| run.earlier.is_some_and(|earlier| earlier.how == Repeat::Rerun))
    }

    fn child(self, start: &ChildStart, detach: bool) -> Vec<Event> {
        let ChildStart { workflow, definition, body, inputs, labels, group } = start;
        let create = CreateRun {
            definition: *definition,
            body: body.clone(),
            inputs: inputs.clone(),
            labels: labels.clone(),
            group: group.clone(),
            origin: Origin { by: StartedBy::Run, workflow: Some(workflow.clone()), trigger: None },
            ..child::blank(self.state, self.run, Role::Step(self.place))
        };
        let mut events = vec![self.started(Some(inputs.clone()))];
        match make_room(self.state, &create) {
            Ok(cancels) => events.extend(cancels),
            Err(busy) => {
                let failure = Failure::new("CONCURRENCY_CONFLICT", format!("{busy}"));
                events.push(self.ended(StepOutcome::Failed(failure)));
                return events;
            }
        }
        let create = CreateRun { body: None, ..create };
        if !self.state.definitions.contains(definition) {
            let Some(body) = body.as_ref().filter(|body| body.id == *definition) else {
                let failure = Failure::new("WORKFLOW_UNKNOWN", "the definition of the workflow is gone");
                events.push(self.ended(StepOutcome::Failed(failure)));
                return events;
            };
            events.push(Event::DefinitionAdded(body.clone()));
        }
        if detach {
            let output = Json::from(format!("{{\"runId\":\"{}\"}}", create.id));
            let detached = child::detached(create, self.run.id);
            events.push(Event::RunCreated(Box::new(detached)));
            events.push(self.ended(StepOutcome::Completed(output)));
        } else {
            events.extend(child::launch(create));
        }
        events
    }

    /// Writes and reads state keys and ends the step, all in this entry.
    fn write(self, values: &[Json]) -> Vec<Event> {
        let mut events = vec![self.started(None)];
        match self.written(values) {
            Ok((changes, output)) => {
                events.extend(changes);
                events.extend(child::finished(self.state, self.run, self.place, output));
            }
            Err(rejection) => {
                let code = match rejection {
                    Rejection::StateVersionConflict { .. } => "STATE_VERSION_CONFLICT",
                    _ => "STATE_WRITE_FAILED",
                };
                let failure = Failure::new(code, format!("{rejection}"));
                events.push(self.ended(StepOutcome::Failed(failure)));
            }
        }
        events
    }

    fn written(self, values: &[Json]) -> Result<(Vec<Event>, Json), Rejection> {
        let StepKind::State { writes, reads, if_version, deletes, snapshot, .. } = &self.step().kind else {
            return Ok((Vec::new(), Json::null()));
        };
        let expect = match if_version {
            None => Expect::Any,
            Some(0) => Expect::Absent,
            Some(version) => Expect::Version(*version),
        };
        let (mut events, mut versions, mut made) = (Vec::new(), Vec::new(), String::new());
        if let Some(metadata) = snapshot {
            let id = SnapshotId(child_id(self.state.meta.now, self.run.id, Role::Step(self.place)).0);
            let new = NewSnapshot { id, name: None, metadata: metadata.clone(), automatic: false };
            events.extend(create_snapshot(self.state, &new)?);
            made = format!(",\"snapshot\":\"{id}\"");
        }
        let value_of = |key: &StateKey| self.state.keys.get(key).and_then(|record| record.value.as_ref());
        let sets = writes.iter().zip(values).map(|((key, _), value)| (key, Some(value)));
        let gone = deletes.iter().filter(|key| value_of(key).is_some()).map(|key| (key, None));
        for (key, value) in sets.chain(gone) {
            let expect = if value.is_some() { expect } else { Expect::Any };
            let change = write(self.state, &KeyWrite::new(key.clone(), value.cloned(), expect))?;
            versions.push(format!("\"{key}\":{}", change.version));
            events.push(Event::StateChanged(change));
        }
        let read = |key: &StateKey| {
            let written =
                writes.iter().zip(values).find(|((name, _), _)| name == key).map(|(_, value)| value);
            let stored = || value_of(key).filter(|_| !deletes.contains(key));
            format!("\"{key}\":{}", written.or_else(stored).map_or("null", Json::as_str))
        };
        let values: Vec<String> = reads.iter().map(read).collect();
        let (versions, values) = (versions.join(","), values.join(","));
        Ok((events, Json::from(format!("{{\"versions\":{{{versions}}},\"values\":{{{values}}}{made}}}"))))
    }
}
