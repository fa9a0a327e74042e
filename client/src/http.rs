//! How a call is tried: on node after node, with the same idempotency key, until its deadline; over the node's channel, or
//! as a plain request where there is none. Knows nothing of what a call means.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use uuid::Uuid;

use crate::backoff;
use crate::channel::{Answer, NoAnswer, Request};
use crate::error::{TransportError, is_retryable};
use crate::wire::{self, Problem, headers};
use crate::{Client, Error};

/// One call: what is sent, and how patiently.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: Method,
    target: String,
    body: Option<Bytes>,
    headers: Vec<(&'static str, String)>,
    /// On top of the time of an attempt and of the call: how long the node itself may wait.
    patience: Duration,
    /// Whether only what certainly had no effect is tried again.
    once: bool,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A call that changes something: it gets an idempotency key.
    pub(crate) fn mutation(method: Method, path: impl Into<String>) -> Self {
        Self::new(method, path).header(headers::IDEMPOTENCY_KEY, Uuid::now_v7())
    }

    pub(crate) fn post<B: Serialize>(path: impl Into<String>, body: &B) -> Result<Self, Error> {
        Self::mutation(Method::POST, path).json(body)
    }

    /// A call with a JSON document a line, which is sent again only if it certainly had no effect.
    pub(crate) fn post_lines<L: Serialize>(path: impl Into<String>, lines: &[L]) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut bytes, line).map_err(|error| Error::no_json_form("a line", &error))?;
            bytes.push(b'\n');
        }
        let call = Self::new(Method::POST, path).header(CONTENT_TYPE.as_str(), headers::NDJSON);
        Ok(Self { body: Some(bytes.into()), once: true, ..call })
    }

    fn new(method: Method, path: impl Into<String>) -> Self {
        let (target, headers) = (path.into(), Vec::new());
        Self { method, target, body: None, headers, patience: Duration::ZERO, once: false }
    }

    pub(crate) fn json<B: Serialize>(mut self, body: &B) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(body).map_err(|error| Error::no_json_form("the request", &error))?;
        self.body = Some(bytes.into());
        Ok(self)
    }

    pub(crate) fn query<Q: Serialize>(mut self, query: &Q) -> Self {
        self.target.push_str(&wire::write_query(query));
        self
    }

    /// Sets a header; the last value of a name wins.
    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_string()));
        self
    }

    /// The caller's own idempotency key, if there is one.
    pub(crate) fn key(self, key: Option<String>) -> Self {
        match key {
            Some(key) => self.header(headers::IDEMPOTENCY_KEY, key),
            None => self,
        }
    }

    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(crate) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    fn is_mutation(&self) -> bool {
        self.method != Method::GET
    }
}

/// How an attempt failed.
enum Failure {
    Transport(TransportError),
    Problem { problem: Box<Problem>, retry_after: Option<Duration> },
}

impl Failure {
    fn may_try_again(&self, call: &Call) -> bool {
        let passing = match self {
            Self::Transport(error) => !error.is_usage(),
            Self::Problem { problem, .. } => is_retryable(problem),
        };
        passing && (!call.once || self.executed() == Some(false))
    }

    fn executed(&self) -> Option<bool> {
        match self {
            Self::Transport(error) => error.executed(),
            Self::Problem { problem, .. } => problem.executed,
        }
    }

    /// A node that did not answer is left at once; only after a round over all nodes, or when told to, there is a pause.
    fn pause(&self, attempts: u32, nodes: u32) -> Duration {
        match self {
            Self::Problem { retry_after: Some(retry_after), .. } => (*retry_after).min(backoff::PAUSE_MAX),
            _ if attempts.is_multiple_of(nodes) => backoff::pause(attempts / nodes - 1),
            _ => Duration::ZERO,
        }
    }
}

impl Client {
    /// Makes a call and reads its answer as JSON.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, Error> {
        serde_json::from_slice(&self.send(&call).await?).map_err(Error::Decode)
    }

    /// Makes a call whose answer says nothing beyond its status.
    pub(crate) async fn call_unit(&self, call: Call) -> Result<(), Error> {
        self.send(&call).await.map(|_| ())
    }

    /// Makes a call whose answer is text.
    pub(crate) async fn call_text(&self, call: Call) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.send(&call).await?).into_owned())
    }

    async fn send(&self, call: &Call) -> Result<Bytes, Error> {
        let timeout = self.timeout() + call.patience;
        let deadline = Instant::now() + timeout;
        let (mut position, mut attempts, mut executed) = (self.preferred(), 0, Some(false));
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let failure = match self.attempt(position, call, remaining).await {
                Ok(body) => {
                    self.prefer(position);
                    return Ok(body);
                }
                Err(failure) => failure,
            };
            attempts += 1;
            executed = executed.and(failure.executed());
            if !self.retries() || !failure.may_try_again(call) {
                return Err(last_word(failure, attempts, executed));
            }
            let pause = failure.pause(attempts, u32::try_from(self.nodes().len()).unwrap_or(u32::MAX));
            if Instant::now() + pause >= deadline {
                return Err(out_of_time(failure, timeout, attempts, executed));
            }
            tokio::time::sleep(pause).await;
            position += 1;
        }
    }

    async fn attempt(&self, position: usize, call: &Call, remaining: Duration) -> Result<Bytes, Failure> {
        let timeout = remaining.min(self.attempt_timeout() + call.patience);
        let answer = match self.over_channel(position, call, timeout).await {
            Some(answer) => answer?,
            None => self
                .plainly(position, call, timeout)
                .await
                .map_err(|error| Failure::Transport(error.into()))?,
        };
        let Answer { status, index, retry_after, body } = answer;
        if !(200..300).contains(&status) {
            return Err(Failure::Problem { problem: Box::new(read_problem(status, &body)), retry_after });
        }
        if call.is_mutation() {
            self.saw_index(index.unwrap_or(0));
        }
        Ok(body)
    }

    /// Over the node's channel; `None` where there is none.
    async fn over_channel(
        &self,
        position: usize,
        call: &Call,
        timeout: Duration,
    ) -> Option<Result<Answer, Failure>> {
        let channel = self.channel(position)?;
        let request = Request {
            method: call.method.clone(),
            target: call.target.clone(),
            headers: self.headers_of(call),
            body: call.body.clone(),
        };
        let node = || self.node(position).to_owned();
        let why = match tokio::time::timeout(timeout, channel.call(self.node(position), request)).await {
            Ok(Ok(answer)) => return Some(Ok(answer)),
            Ok(Err(NoAnswer::NotSpoken)) => return None,
            Ok(Err(NoAnswer::Refused(problem, retry_after))) => {
                return Some(Err(Failure::Problem { problem, retry_after }));
            }
            Ok(Err(NoAnswer::Unreachable(reason))) => {
                TransportError::Unreachable { node: node(), reason: (*reason).to_owned() }
            }
            Ok(Err(NoAnswer::Lost)) => TransportError::Lost { node: node() },
            Err(_) => TransportError::Silent { node: node(), timeout },
        };
        Some(Err(Failure::Transport(why)))
    }

    /// As an HTTP request of its own.
    async fn plainly(
        &self,
        position: usize,
        call: &Call,
        timeout: Duration,
    ) -> Result<Answer, reqwest::Error> {
        let url = format!("{}{}", self.node(position), call.target);
        let mut request = self.http().request(call.method.clone(), url).timeout(timeout);
        for (name, value) in self.headers_of(call) {
            request = request.header(name, value);
        }
        if let Some(body) = &call.body {
            if !call.headers.iter().any(|(name, _)| *name == CONTENT_TYPE.as_str()) {
                request = request.header(CONTENT_TYPE, headers::JSON);
            }
            request = request.body(body.clone());
        }
        let response = request.send().await?;
        let number = |name| number(response.headers(), name);
        let (index, retry_after) = (number(headers::ORC_INDEX), number(headers::RETRY_AFTER));
        let retry_after = retry_after.map(Duration::from_secs);
        Ok(Answer { status: response.status().as_u16(), index, retry_after, body: response.bytes().await? })
    }

    /// The call's headers, and for a read how new it has to be.
    fn headers_of(&self, call: &Call) -> Vec<(&'static str, String)> {
        let mut headers = call.headers.clone();
        if !call.is_mutation() && self.index_seen() > 0 {
            headers.push((headers::ORC_MIN_INDEX, self.index_seen().to_string()));
        }
        headers
    }
}

/// A header that holds a number.
pub(crate) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// The problem in an answer; whoever stands between may answer with something else.
pub(crate) fn read_problem(status: u16, body: &[u8]) -> Problem {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let mut problem =
            Problem::new(&format!("HTTP_{status}"), String::from_utf8_lossy(&body[..body.len().min(200)]));
        problem.status = status;
        problem
    })
}

fn last_word(failure: Failure, attempts: u32, executed: Option<bool>) -> Error {
    match failure {
        Failure::Transport(last) if last.is_usage() => {
            Error::Usage(format!("the request cannot be sent: {last}"))
        }
        Failure::Transport(last) => Error::Unreachable { attempts, executed, last },
        Failure::Problem { problem, .. } => Error::Problem(problem),
    }
}

fn out_of_time(failure: Failure, timeout: Duration, attempts: u32, executed: Option<bool>) -> Error {
    match failure {
        Failure::Transport(last) => Error::Unreachable { attempts, executed, last },
        Failure::Problem { problem, .. } => Error::DeadlineExceeded {
            timeout,
            attempts,
            executed,
            last: Some(Box::new(Error::Problem(problem))),
        },
    }
}
