//! Runs that events start: what they see as `trigger`, whether the filter lets it through, and each of them once.
//! Knows nothing of how events are found.

use orc_actors::expression::filter;
use orc_domain::{
    Command, CreateRun, Event, Idempotency, IdempotencyKey, Json, NoStart, Recorded, Rejection, Run, RunId,
    SkippedStarts, StartedBy, Text,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tracing::debug;
use uuid::Builder;

use super::{Stop, chain::CHAIN_MAX, known::Kept};
use crate::gateway::{
    Gateway,
    names::KnownNames,
    problem::Refusal,
    render::{self, event::envelope},
    runs_start::Wanted,
};

/// A run that an event may start.
struct Start<'a> {
    kept: &'a Kept,
    /// The trigger's name.
    id: &'a str,
    by: StartedBy,
    event: &'a Recorded,
    /// The kept workflows that led to the event.
    chain: Vec<String>,
}

impl Gateway {
    /// Starts a run by an event trigger. What runs of the workflow itself led to starts none of it, unless it is an event
    /// of their own making.
    pub(super) async fn start_by_event(
        &self,
        event: &Recorded,
        kept: &Kept,
        place: usize,
        names: &KnownNames,
    ) -> Result<Option<SkippedStarts>, Stop> {
        let trigger = &kept.compiled.triggers.events[place];
        let chain = self.chain(event).await?;
        let start = Start { kept, id: &trigger.id, by: StartedBy::Event(text(&trigger.id)), event, chain };
        if start.is_circle() && !matches!(event.event, Event::Emitted { .. }) {
            return Ok(None);
        }
        let seen = Map::from_iter([
            ("type".to_owned(), json!("event")),
            ("id".to_owned(), json!(trigger.id)),
            ("event".to_owned(), as_json(event, names)),
            ("chain".to_owned(), json!(start.chain)),
        ]);
        match trigger.filter.as_deref().map(|source| filter(source, &seen)) {
            None | Some(Ok(true)) => self.start_one(start, seen).await,
            Some(Ok(false)) => Ok(None),
            Some(Err(error)) => Ok(start.skipped(NoStart::FilterFailed, &error.to_string())),
        }
    }

    /// Starts a run by the end of another one.
    pub(super) async fn start_by_end(
        &self,
        event: &Recorded,
        kept: &Kept,
        place: usize,
        run: &Run,
    ) -> Result<Option<SkippedStarts>, Stop> {
        let trigger = &kept.compiled.triggers.ends[place];
        let chain = self.chain(event).await?;
        let start = Start { kept, id: &trigger.id, by: StartedBy::Ended(text(&trigger.id)), event, chain };
        if start.is_circle() {
            let detail = format!("a run of {} led to the run that ended", kept.name);
            return Ok(start.skipped(NoStart::Circle, &detail));
        }
        let version = run.origin.workflow.as_ref().map(|workflow| workflow.version);
        let outputs = run.outputs.as_ref().and_then(|outputs| serde_json::from_str(outputs.as_str()).ok());
        let seen = Map::from_iter([
            ("type".to_owned(), json!("workflow")),
            ("id".to_owned(), json!(trigger.id)),
            ("workflow".to_owned(), json!(trigger.workflow.as_str())),
            ("version".to_owned(), json!(version)),
            ("run".to_owned(), json!(run.id.to_string())),
            ("status".to_owned(), json!(run.status.name())),
            ("conclusion".to_owned(), json!(run.conclusion.map(|conclusion| conclusion.name()))),
            ("outputs".to_owned(), outputs.unwrap_or(Value::Null)),
            ("error".to_owned(), json!(run.error.as_ref().map(render::error))),
            ("chain".to_owned(), json!(start.chain)),
        ]);
        self.start_one(start, seen).await
    }

    async fn start_one(
        &self,
        start: Start<'_>,
        seen: Map<String, Value>,
    ) -> Result<Option<SkippedStarts>, Stop> {
        if start.chain.len() >= CHAIN_MAX {
            let detail = format!("{CHAIN_MAX} runs before it were each started by what the one before did");
            return Ok(start.skipped(NoStart::ChainTooLong, &detail));
        }
        let create = match start.create(seen) {
            Ok(create) => create,
            Err(refusal) => return Ok(start.skipped(NoStart::Refused, refusal.detail())),
        };
        // Long after the start its key is forgotten, the run is not.
        if self.cluster.find_run(create.id).await?.is_some() {
            return Ok(None);
        }
        let (key, run) = (Some(start.key()), create.id);
        let first = Command::CreateRun(Box::new(create.clone()));
        let mut outcome = self.until_decided(key, first).await?;
        if matches!(outcome.result, Err(Rejection::DefinitionUnknown { .. })) {
            let whole = CreateRun { body: Some(start.kept.definition.clone()), ..create };
            outcome = self.until_decided(key, Command::CreateRun(Box::new(whole))).await?;
        }
        let (workflow, trigger, seq) = (&start.kept.name, start.id, start.event.seq);
        match outcome.result {
            Ok(_) => {
                debug!(%workflow, trigger, seq, %run, "an event started a run");
                Ok(None)
            }
            // Started before, or forgotten since: there is nobody to tell.
            Err(Rejection::RunExists { .. } | Rejection::WorkflowUnknown { .. }) => Ok(None),
            Err(rejection) => Ok(start.skipped(cause(&rejection), &rejection.to_string())),
        }
    }
}

impl Start<'_> {
    /// A run of the same workflow led to the event.
    fn is_circle(&self) -> bool {
        self.chain.iter().any(|name| name == self.kept.name.as_str())
    }

    fn create(&self, seen: Map<String, Value>) -> Result<CreateRun, Refusal> {
        let wanted = Wanted {
            workflow: Some((self.kept.name.clone(), self.kept.version)),
            by: self.by.clone(),
            trigger: Some(Json::from(Value::Object(seen).to_string())),
            ..Wanted::default()
        };
        let create = wanted.create(&self.kept.compiled, &self.kept.definition)?;
        Ok(CreateRun { id: self.run(), ..create })
    }

    fn hash(&self) -> [u8; 32] {
        let (name, seq) = (&self.kept.name, self.event.seq);
        Sha256::digest(format!("trigger\0{name}\0{}\0{seq}", self.id)).into()
    }

    fn key(&self) -> Idempotency {
        let hash = self.hash();
        Idempotency { key: IdempotencyKey(std::array::from_fn(|place| hash[place])), request: 0 }
    }

    /// The same for whoever starts it; begins with the time like ids that are minted.
    fn run(&self) -> RunId {
        let hash = self.hash();
        let rest = std::array::from_fn(|place| hash[16 + place]);
        RunId(Builder::from_unix_timestamp_millis(self.event.at.0, &rest).into_uuid())
    }

    fn skipped(&self, cause: NoStart, detail: &str) -> Option<SkippedStarts> {
        let (workflow, trigger, seq) = (self.kept.name.clone(), text(self.id), self.event.seq);
        Some(SkippedStarts { workflow, trigger, seq, count: 1, cause, detail: text(detail) })
    }
}

fn cause(rejection: &Rejection) -> NoStart {
    if matches!(rejection, Rejection::WorkflowPaused { .. }) {
        NoStart::WorkflowPaused
    } else if matches!(rejection, Rejection::LimitExceeded { .. }) {
        NoStart::RunLimit
    } else if matches!(rejection, Rejection::GroupBusy { .. }) {
        NoStart::GroupBusy
    } else {
        NoStart::Refused
    }
}

fn text(text: &str) -> Text {
    Text::from(text)
}

/// An event as everybody reads it.
pub(super) fn as_json(event: &Recorded, names: &KnownNames) -> Value {
    let text = serde_json::to_string(&envelope(event, names));
    text.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
}
