//! The one place where bad news becomes an HTTP problem: a rule's rejection, nobody to answer, a malformed request.
//! Knows no route; whoever refuses says why, and this file says with which status, code and advice.

use std::time::Duration;

use orc_client::wire::{Problem, ProblemError, codes, headers};
use orc_domain::{Limited, Rejection, Unavailable};
use orc_raft::error::{Chain, ReadError};
use warp::http::{HeaderName, HeaderValue};

use crate::{definition::DefinitionErrors, server::CatalogError};

/// A request that gets no result: a problem and the headers that go with it.
#[derive(Debug)]
pub struct Refusal(Box<Parts>);

#[derive(Debug)]
struct Parts {
    problem: Problem,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// A refusal that certainly had no effect.
    pub fn new(code: &str, detail: impl Into<String>) -> Self {
        let mut problem = Problem::new(code, detail);
        problem.executed = Some(false);
        Refusal(Box::new(Parts { problem, headers: Vec::new() }))
    }

    /// Malformed, in a way that concerns the request as a whole.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Refusal::new(codes::BAD_REQUEST, detail)
    }

    /// Nothing there under that name.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Refusal::new(codes::NOT_FOUND, detail)
    }

    /// Well-formed, but one place of the body cannot be meant.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        let refusal = Refusal::new(codes::VALIDATION_FAILED, detail.clone());
        refusal.errors(vec![ProblemError { pointer, line: None, column: None, detail }])
    }

    /// A workflow document with every mistake in it.
    pub fn definition(errors: DefinitionErrors) -> Self {
        let detail = match errors.0.len() {
            1 => "the workflow has a mistake".to_owned(),
            many => format!("the workflow has {many} mistakes"),
        };
        let hint = errors.0.iter().find_map(|error| error.hint.clone());
        let refusal = Refusal::new(codes::VALIDATION_FAILED, detail).errors(definition_errors(errors));
        match hint {
            Some(hint) => refusal.hint(hint),
            None => refusal,
        }
    }

    /// What to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.problem.hint = Some(hint.into());
        self
    }

    /// Goes on with its sentence.
    pub fn and(mut self, more: &str) -> Self {
        self.0.problem.detail.push_str(", ");
        self.0.problem.detail.push_str(more);
        self
    }

    /// The places that are wrong.
    pub fn errors(mut self, errors: Vec<ProblemError>) -> Self {
        self.0.problem.errors = errors;
        self
    }

    /// The same call may succeed after a pause.
    pub fn retry_after(self, pause: Duration) -> Self {
        let seconds = pause.as_millis().div_ceil(1000).max(1);
        let mut refusal = self.header(HeaderName::from_static(headers::RETRY_AFTER), &seconds.to_string());
        refusal.0.problem.retryable = true;
        refusal
    }

    /// The same call may succeed at another node.
    pub fn elsewhere(mut self) -> Self {
        self.0.problem.retryable = true;
        self
    }

    /// A status other than the code's own.
    pub fn status(mut self, status: u16) -> Self {
        self.0.problem.status = status;
        self
    }

    /// Adds a header; what is no header value is left out.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.push((name, value));
        }
        self
    }

    /// It may have had an effect.
    pub fn maybe_executed(mut self) -> Self {
        self.0.problem.executed = None;
        self
    }

    /// The problem and its headers.
    pub fn into_parts(self) -> (Problem, Vec<(HeaderName, HeaderValue)>) {
        (self.0.problem, self.0.headers)
    }

    /// Its code.
    pub fn code(&self) -> &str {
        &self.0.problem.code
    }

    /// Its sentence.
    pub fn detail(&self) -> &str {
        &self.0.problem.detail
    }
}

/// A document's mistakes as places of a request.
pub fn definition_errors(errors: DefinitionErrors) -> Vec<ProblemError> {
    let place = |error: crate::definition::DefinitionError| ProblemError {
        pointer: error.pointer,
        line: error.line,
        column: error.column,
        detail: error.message,
    };
    errors.0.into_iter().map(place).collect()
}

impl From<CatalogError> for Refusal {
    fn from(error: CatalogError) -> Self {
        let detail = error.to_string();
        match error {
            CatalogError::UnknownWorkflow(name) => orc_domain::Rejection::WorkflowUnknown { name }.into(),
            CatalogError::UnknownVersion(name, _) => Refusal::not_found(detail)
                .hint(format!("GET /api/v1/workflows/{name}/versions lists those that there are")),
            CatalogError::Unreadable(..) => {
                Refusal::new(codes::VALIDATION_FAILED, detail).hint("apply it anew")
            }
            CatalogError::Read(error) => error.into(),
        }
    }
}

impl From<Unavailable> for Refusal {
    fn from(unavailable: Unavailable) -> Self {
        let detail = unavailable.to_string();
        match unavailable {
            Unavailable::NoLeader => Refusal::new(codes::NO_LEADER, detail)
                .hint("an election takes about a second: try again with the same idempotency key")
                .retry_after(Duration::from_secs(1)),
            Unavailable::Overloaded { retry_after } => {
                Refusal::new(codes::OVERLOADED, detail).status(429).retry_after(retry_after)
            }
            Unavailable::Unknown => Refusal::new(codes::OUTCOME_UNKNOWN, detail)
                .maybe_executed()
                .hint("it may have happened: try again with the same idempotency key, then it happens once")
                .retry_after(Duration::from_secs(1)),
            Unavailable::ShuttingDown => Refusal::new(codes::SHUTTING_DOWN, detail)
                .hint("ask another node")
                .retry_after(Duration::from_secs(1)),
        }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Stopped => Unavailable::ShuttingDown.into(),
            ReadError::Disk(_) | ReadError::Corrupt(_) => {
                tracing::error!(error = %Chain(&error), "a read failed");
                Refusal::new(codes::INTERNAL, "this node cannot read its data").hint("ask another node")
            }
        }
    }
}

impl From<Rejection> for Refusal {
    #[expect(clippy::too_many_lines, reason = "a table: one entry for each rejection")]
    fn from(rejection: Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::RunNotLive { run } => {
                Refusal::not_found(format!("there is no run {run}")).hint("GET /api/v1/runs lists runs")
            }
            Rejection::TaskNotLive { task } => {
                Refusal::not_found(format!("there is no task {task}")).hint("GET /api/v1/tasks lists tasks")
            }
            Rejection::RunExists { .. } | Rejection::TaskExists { .. } => {
                Refusal::new(codes::INVALID_TRANSITION, detail)
            }
            Rejection::DefinitionUnknown { .. } => Refusal::new(codes::INTERNAL, detail).hint("try again"),
            Rejection::RunTransition { status, .. } => {
                let refusal = Refusal::new(codes::INVALID_TRANSITION, detail);
                if status.is_terminal() {
                    refusal.hint("it has ended: nothing changes any more")
                } else {
                    refusal
                }
            }
            Rejection::TaskTransition { .. } => {
                Refusal::new(codes::INVALID_TRANSITION, detail).hint("it has ended: nothing changes any more")
            }
            Rejection::TaskOfRun { task } => {
                let run = task.step().map(|(run, _)| run.to_string()).unwrap_or_default();
                Refusal::new(codes::INVALID_TRANSITION, detail)
                    .hint(format!("POST /api/v1/runs/{run}/cancel"))
            }
            Rejection::StaleAttempt { .. } => Refusal::new(codes::STALE_ATTEMPT, detail)
                .hint("forget the attempt: it has ended, was lost or was given to another component"),
            Rejection::DependencyUnknown { .. } => Refusal::invalid("/dependencies", detail),
            Rejection::ComponentUnknown { component } => {
                Refusal::not_found(detail).hint(format!("register it: PUT /api/v1/components/{component}"))
            }
            Rejection::StateVersionConflict { version, present, .. } => conflict(detail, version, present),
            Rejection::StateKeyAbsent { .. } => Refusal::not_found(detail),
            Rejection::LimitExceeded { what: Limited::PausedActions, .. } => {
                Refusal::new(codes::LIMIT_EXCEEDED, detail)
                    .hint("GET /api/v1/tasks/backlog lists them: resume one")
            }
            Rejection::LimitExceeded {
                what: Limited::Workflows | Limited::WorkflowVersions | Limited::Schedules,
                ..
            } => Refusal::new(codes::LIMIT_EXCEEDED, detail).hint("delete some that nobody needs any more"),
            Rejection::LimitExceeded { .. } => Refusal::new(codes::LIMIT_EXCEEDED, detail)
                .hint("wait until some have ended, or raise the limit: PUT /api/v1/cluster/config")
                .retry_after(Duration::from_secs(5)),
            Rejection::IdempotencyKeyReused => Refusal::new(codes::IDEMPOTENCY_KEY_REUSED, detail)
                .hint("use a new Idempotency-Key for each new request"),
            Rejection::BadConfig(error) => {
                Refusal::invalid(format!("/{}", error.name.replace('.', "/")), detail)
            }
            Rejection::EvaluationNotAwaited { .. } => Refusal::new(codes::INVALID_TRANSITION, detail),
            Rejection::ApprovalNotAwaited { .. } | Rejection::ReplyNotAwaited { .. } => {
                Refusal::new(codes::INVALID_TRANSITION, detail)
                    .hint("somebody else decided, or the step has ended: GET /api/v1/runs/{id}")
            }
            Rejection::NotAnApprover { .. } => Refusal::new(codes::FORBIDDEN, detail)
                .hint("one of the `approvers` of the step has to decide"),
            Rejection::GroupBusy { run, .. } => Refusal::new(codes::CONCURRENCY_CONFLICT, detail).hint(
                format!("wait for {run}, or let the workflow queue: `concurrency: {{ onConflict: queue }}`"),
            ),
            Rejection::Invalid(_) => Refusal::new(codes::VALIDATION_FAILED, detail),
            Rejection::RunNotEnded { run, .. } => Refusal::new(codes::INVALID_TRANSITION, detail)
                .hint(format!("cancel it first: POST /api/v1/runs/{run}/cancel")),
            Rejection::TaskNotEnded { task, .. } => Refusal::new(codes::INVALID_TRANSITION, detail)
                .hint(format!("cancel it first: POST /api/v1/tasks/{task}/cancel")),
            Rejection::TaskStarted { .. } => Refusal::new(codes::INVALID_TRANSITION, detail)
                .hint("a priority can be changed while a task is blocked, queued or retrying"),
            Rejection::TaskNotDead { .. } => Refusal::new(codes::INVALID_TRANSITION, detail)
                .hint("GET /api/v1/tasks/dead lists those that gave up: they failed or timed out"),
            Rejection::WorkflowUnknown { .. } => Refusal::not_found(detail)
                .hint("GET /api/v1/workflows lists workflows; POST a document there to keep one"),
            Rejection::WorkflowPaused { name } => Refusal::new(codes::INVALID_TRANSITION, detail)
                .hint(format!("POST /api/v1/workflows/{name}/resume lets it start runs again")),
            Rejection::WorkflowConflict { version, .. } | Rejection::ScheduleConflict { version, .. } => {
                version_conflict(detail, version)
            }
            Rejection::ScheduleUnknown { .. } => {
                Refusal::not_found(detail).hint("GET /api/v1/schedules lists schedules")
            }
            Rejection::ScheduleOfFile { workflow, .. } => Refusal::new(codes::INVALID_TRANSITION, detail)
                .hint(format!("change the file's `triggers` and apply it: PUT /api/v1/workflows/{workflow}")),
            Rejection::SnapshotUnknown { .. } => {
                Refusal::not_found(detail).hint("GET /api/v1/state/snapshots lists those that there are")
            }
            Rejection::SnapshotNameTaken { .. } => Refusal::new(codes::INVALID_TRANSITION, detail)
                .hint("take another name, or delete the snapshot first"),
            Rejection::MessageUnknown { .. } => Refusal::not_found(detail).hint(
                "a message leaves its queue when it is acknowledged or given up: GET /api/v1/messages/dead",
            ),
            Rejection::StaleDelivery { .. } => Refusal::new(codes::STALE_ATTEMPT, detail)
                .hint("it was delivered again since: acknowledge with the token of the last delivery"),
            Rejection::MessageExists { .. } => Refusal::new(codes::INVALID_TRANSITION, detail),
            Rejection::MessageNotDead { .. } => Refusal::new(codes::INVALID_TRANSITION, detail)
                .hint("GET /api/v1/messages/dead lists those that are"),
            Rejection::QueueFull { .. } => Refusal::new(codes::QUEUE_FULL, detail)
                .hint("it has room again when the component acknowledges messages (components.maxQueueSize)")
                .retry_after(Duration::from_secs(1)),
            Rejection::SwitchedOff { ref setting } => Refusal::new(codes::INVALID_TRANSITION, detail)
                .hint(format!("switch it on: orc cluster config --set {setting}=true")),
            Rejection::PlanNotAwaited { .. } | Rejection::EventNotAwaited { .. } => {
                Refusal::new(codes::INVALID_TRANSITION, detail)
            }
        }
    }
}

fn conflict(detail: String, version: u64, present: bool) -> Refusal {
    let refusal = Refusal::new(codes::STATE_VERSION_CONFLICT, detail);
    if !present {
        return refusal.hint("the key has no value now: create it with If-None-Match: *");
    }
    let tag = headers::entity_tag(version);
    refusal
        .hint(format!("read the key, then try again with If-Match: {tag}"))
        .header(HeaderName::from_static(headers::ETAG), &tag)
}

fn version_conflict(detail: String, version: u64) -> Refusal {
    let tag = headers::entity_tag(version);
    let refusal = Refusal::new(codes::VERSION_CONFLICT, detail);
    match version {
        0 => refusal.hint("there is none of this name: make it with If-None-Match: *"),
        _ => refusal
            .hint(format!("read it, then try again with If-Match: {tag}"))
            .header(HeaderName::from_static(headers::ETAG), &tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(refusal: Refusal, status: u16, code: &str, executed: Option<bool>) {
        let (problem, _) = refusal.into_parts();
        assert_eq!((problem.status, problem.code.as_str(), problem.executed), (status, code, executed));
    }

    #[test]
    fn only_an_unknown_outcome_may_have_been_executed() {
        check(Unavailable::NoLeader.into(), 503, "NO_LEADER", Some(false));
        check(Unavailable::Unknown.into(), 503, "OUTCOME_UNKNOWN", None);
        check(Unavailable::ShuttingDown.into(), 503, "SHUTTING_DOWN", Some(false));
        let overloaded = Unavailable::Overloaded { retry_after: Duration::from_millis(200) };
        check(overloaded.into(), 429, "OVERLOADED", Some(false));
    }

    #[test]
    fn a_conflict_says_where_the_key_stands() {
        let (problem, headers) = conflict("k is at version 3".into(), 3, true).into_parts();
        assert_eq!(problem.status, 412);
        assert!(problem.hint.is_some_and(|hint| hint.contains("\"3\"")));
        assert_eq!(headers[0].1, "\"3\"");
    }
}
