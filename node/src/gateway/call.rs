//! One request as a handler sees it: its parts, read by name and refused with a reason.
//! Knows nothing of connections or of what handlers do.

use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use orc_client::wire::{self, codes, headers, paths};
use orc_domain::{
    BadId, ComponentId, Expect, Idempotency, IdempotencyKey, RunId, ScheduleId, StateKey, TaskId,
    WorkflowName,
};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use warp::http::{HeaderMap, Method, header};

use super::{json, listen::Slot, problem::Refusal};

/// A request.
pub struct Call {
    /// How.
    pub method: Method,
    /// What, still percent-encoded.
    pub path: String,
    /// The query string, without its `?`.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// The values of the route's placeholders, still percent-encoded.
    pub params: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
    /// What is needed to turn the connection into a WebSocket, if that was asked for.
    pub upgrade: Option<warp::ws::Ws>,
    /// Its place among the connections.
    pub slot: Option<Arc<Slot>>,
    /// Whether it has had an effect.
    pub effect: Effect,
}

/// Whether a command of a call was accepted: a refusal after that no longer says that nothing happened. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Effect(Arc<AtomicBool>);

impl Effect {
    /// A command was accepted, now or when the same call was made before.
    pub fn happened(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The refusal, as it may be told of this call.
    pub fn told(&self, refusal: Refusal) -> Refusal {
        if self.0.load(Ordering::Relaxed) { refusal.maybe_executed() } else { refusal }
    }
}

/// How new an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// As new as anything acknowledged before the call.
    Linearizable,
    /// As this node has it.
    Stale,
}

/// Parameters that any read takes; the typed queries do not know them.
const SHARED: [&str; 1] = ["consistency"];

impl Call {
    /// The value of a placeholder, decoded.
    pub fn param(&self, name: &str) -> Result<String, Refusal> {
        let raw = self.params.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
        let decoded = paths::decode(raw).ok_or_else(|| Refusal::bad_request("the path is not UTF-8"))?;
        Ok(decoded.into_owned())
    }

    /// The run that the path names.
    pub fn run_id(&self) -> Result<RunId, Refusal> {
        self.id(|error: BadId| Refusal::not_found(format!("there is no such run: {error}")))
    }

    /// The task that the path names.
    pub fn task_id(&self) -> Result<TaskId, Refusal> {
        self.id(|error: BadId| Refusal::not_found(format!("there is no such task: {error}")))
    }

    /// The component that the path names.
    pub fn component_id(&self) -> Result<ComponentId, Refusal> {
        self.id(|error: BadId| Refusal::bad_request(error.to_string()))
    }

    /// The state key that the path names.
    pub fn state_key(&self) -> Result<StateKey, Refusal> {
        self.param("key")?.parse().map_err(|error: BadId| Refusal::bad_request(error.to_string()))
    }

    /// The workflow that the path names.
    pub fn workflow_name(&self) -> Result<WorkflowName, Refusal> {
        let unknown = |error: BadId| Refusal::not_found(format!("there is no such workflow: {error}"));
        self.param("name")?.parse().map_err(unknown)
    }

    /// The schedule that the path names.
    pub fn schedule_id(&self) -> Result<ScheduleId, Refusal> {
        self.id(|error: BadId| Refusal::bad_request(error.to_string()))
    }

    /// The body as a workflow document, JSON or YAML.
    pub fn document(&self) -> Result<&str, Refusal> {
        match self.media_type().as_deref() {
            None
            | Some("application/yaml" | "application/x-yaml" | "text/yaml" | "text/plain" | headers::JSON) => {
            }
            Some(other) => {
                let detail = format!("the body is `{other}`, expected application/json or application/yaml");
                return Err(Refusal::new(codes::UNSUPPORTED_MEDIA_TYPE, detail));
            }
        }
        std::str::from_utf8(&self.body).map_err(|_| Refusal::bad_request("the body is not UTF-8"))
    }

    /// What must hold of the version of what is written: `If-Match` or `If-None-Match`.
    pub fn condition(&self) -> Result<Expect, Refusal> {
        match (self.text_header(headers::IF_MATCH)?, self.text_header(headers::IF_NONE_MATCH)?) {
            (None, None) => Ok(Expect::Any),
            (Some("*"), None) => Ok(Expect::Present),
            (Some(tag), None) => {
                let wrong = || {
                    Refusal::bad_request(format!("If-Match must be one version such as \"3\", not `{tag}`"))
                };
                headers::entity_tag_version(tag).map(Expect::Version).ok_or_else(wrong)
            }
            (None, Some("*")) => Ok(Expect::Absent),
            (None, Some(other)) => Err(Refusal::bad_request(format!(
                "If-None-Match can only be `*` when writing, not `{other}`"
            ))),
            (Some(_), Some(_)) => Err(Refusal::bad_request("give If-Match or If-None-Match, not both")),
        }
    }

    fn id<T: FromStr>(&self, refuse: impl FnOnce(T::Err) -> Refusal) -> Result<T, Refusal> {
        self.param("id")?.parse().map_err(refuse)
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        self.require_json()?;
        json::read(&self.body)
    }

    /// The body as JSON, or the default if there is none.
    pub fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Refusal> {
        if self.body.is_empty() {
            return Ok(T::default());
        }
        self.require_json()?;
        json::read_or_default(&self.body)
    }

    fn require_json(&self) -> Result<(), Refusal> {
        let Some(given) = self.media_type() else { return Ok(()) };
        if given == headers::JSON || (given.starts_with("application/") && given.ends_with("+json")) {
            return Ok(());
        }
        let detail = format!("the body is `{given}`, expected `{}`", headers::JSON);
        Err(Refusal::new(codes::UNSUPPORTED_MEDIA_TYPE, detail).hint("send Content-Type: application/json"))
    }

    /// The body's media type without parameters, in lower case.
    pub fn media_type(&self) -> Option<String> {
        let value = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        Some(value.split(';').next().unwrap_or(value).trim().to_ascii_lowercase())
    }

    /// The query's own parameters.
    pub fn query<Q: DeserializeOwned>(&self) -> Result<Q, Refusal> {
        let name = |pair: &str| pair.split('=').next().unwrap_or(pair).to_owned();
        let own: Vec<&str> = self
            .query
            .split('&')
            .filter(|pair| !pair.is_empty() && !SHARED.contains(&name(pair).as_str()))
            .collect();
        wire::parse_query(&own.join("&"))
            .map_err(|error| Refusal::bad_request(format!("in the query: {}", json::with_suggestion(&error))))
    }

    /// One of the parameters that any read takes.
    pub fn shared_parameter(&self, name: &str) -> Result<Option<String>, Refusal> {
        debug_assert!(SHARED.contains(&name), "the typed query would refuse `{name}`");
        let pairs: Vec<(String, String)> = wire::parse_query(&self.query).map_err(Refusal::bad_request)?;
        Ok(pairs.into_iter().rev().find(|(known, _)| known == name).map(|(_, value)| value))
    }

    /// How new the answer must be.
    pub fn consistency(&self) -> Result<Consistency, Refusal> {
        match self.shared_parameter("consistency")?.as_deref() {
            None | Some("default" | "linearizable") => Ok(Consistency::Linearizable),
            Some("stale") => Ok(Consistency::Stale),
            Some(other) => {
                let detail = format!("`consistency` must be `linearizable` or `stale`, not `{other}`");
                Err(Refusal::bad_request(detail))
            }
        }
    }

    /// The log index that must be applied here before the answer.
    pub fn min_index(&self) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.text_header(headers::ORC_MIN_INDEX)? else { return Ok(None) };
        let number =
            value.trim().parse().map_err(|_| Refusal::bad_request("Orc-Min-Index must be a log index"))?;
        Ok(Some(number))
    }

    /// A header as text.
    pub fn text_header(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let Some(value) = self.headers.get(name) else { return Ok(None) };
        let text =
            value.to_str().map_err(|_| Refusal::bad_request(format!("the header {name} is not ASCII")))?;
        Ok(Some(text))
    }

    /// The caller's idempotency key with the request it stands for.
    pub fn idempotency(&self) -> Result<Option<Idempotency>, Refusal> {
        let Some(text) = self.text_header(headers::IDEMPOTENCY_KEY)? else { return Ok(None) };
        if text.is_empty() || text.len() > 255 {
            return Err(Refusal::bad_request("an Idempotency-Key has 1 to 255 characters"));
        }
        let mut request = Sha256::new();
        for part in [self.method.as_str().as_bytes(), self.path.as_bytes()] {
            request.update(part);
            request.update([0]);
        }
        request.update(&self.body);
        let (key, request) = (Sha256::digest(text), request.finalize());
        let first = |hash: &[u8]| u64::from_be_bytes(std::array::from_fn(|place| hash[place]));
        Ok(Some(Idempotency {
            key: IdempotencyKey(std::array::from_fn(|place| key[place])),
            request: first(&request),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orc_domain::Unavailable;

    #[test]
    fn a_node_that_cannot_answer_after_the_effect_does_not_deny_it() {
        let executed = |effect: &Effect| {
            let refusal = effect.clone().told(Unavailable::ShuttingDown.into());
            refusal.into_parts().0.executed
        };
        let effect = Effect::default();
        assert_eq!(executed(&effect), Some(false));
        effect.happened();
        assert_eq!(executed(&effect), None);
    }
}
