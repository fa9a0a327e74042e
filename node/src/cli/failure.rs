//! Why a command failed: its exit code, and how it is told on stderr.
//! Knows the codes of `interfaces`, 1.1; knows nothing of what commands do.

use std::{process::ExitCode, time::Duration};

use orc_client::{
    Error, WorkerError,
    wire::{Problem, paths},
};
use orc_raft::backup::BackupError;

use super::{
    output::{Format, note},
    style::{Color, bold, paint},
};
use crate::{config::ConfigErrors, server::ServerError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A call to the cluster.
    #[error(transparent)]
    Call(#[from] Error),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// There is nothing of that name.
    #[error("{0}")]
    NotFound(String),
    /// What it is about does not wait for this.
    #[error("{0}")]
    Conflict(String),
    /// A workflow file is not valid; its mistakes are told already.
    #[error("the workflow is not valid")]
    Definition,
    /// What was watched did not complete; that is told already.
    #[error("not completed")]
    NotCompleted,
    /// `--timeout` is over.
    #[error("no result within {0:?}")]
    Timeout(Duration),
    /// Ctrl-C; what goes on is told already.
    #[error("interrupted")]
    Interrupted,
    /// A node is not ready.
    #[error("{0}")]
    NotReady(String),
    /// A worker ended before it was asked to.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// A node ended.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A backup is no good, or there is no place for what is in it.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The reader of stdout went away.
    #[error("stdout is closed")]
    ReaderGone,
    /// Anything else.
    #[error("{0}")]
    Unexpected(String),
}

impl Failure {
    /// A value that has no JSON form.
    pub(super) fn unreadable(error: serde_json::Error) -> Failure {
        Failure::Unexpected(format!("an answer has no JSON form: {error}"))
    }

    /// A file that cannot be read or written.
    pub(super) fn file(path: &std::path::Path, error: &std::io::Error) -> Failure {
        Failure::Usage(format!("{}: {error}", path.display()))
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Call(error) => code_of(error),
            Failure::Usage(_) | Failure::Config(_) => 2,
            Failure::NotFound(_) => 5,
            Failure::Conflict(_) => 6,
            Failure::Definition => 8,
            Failure::NotCompleted => 3,
            Failure::Timeout(_) => 124,
            Failure::Interrupted => 130,
            Failure::Server(error) => return ExitCode::from(error.exit_code()),
            Failure::Backup(error) => return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1)),
            Failure::ReaderGone => 0,
            Failure::NotReady(_) | Failure::Worker(_) | Failure::Unexpected(_) => 1,
        })
    }

    /// Tells it on stderr; with `-o json` a problem that a node answered is told as it came.
    pub fn tell(&self, format: Format) {
        match self {
            Failure::Definition | Failure::NotCompleted | Failure::Interrupted | Failure::ReaderGone => {}
            Failure::Call(error) => tell_call(error, format),
            Failure::Config(errors) => errors.0.iter().for_each(|error| headline("CONFIG", error)),
            Failure::Usage(message) => headline("USAGE", message),
            Failure::NotFound(message) => headline("NOT_FOUND", message),
            Failure::Conflict(message) => headline("INVALID_TRANSITION", message),
            Failure::Timeout(_) => headline("TIMEOUT", &self.to_string()),
            Failure::NotReady(message) => headline("NOT_READY", message),
            Failure::Worker(_) => headline("WORKER", &with_sources(self)),
            Failure::Server(_) => headline("SERVER", &with_sources(self)),
            Failure::Backup(_) => headline("BACKUP", &with_sources(self)),
            Failure::Unexpected(message) => headline("UNEXPECTED", message),
        }
    }
}

fn code_of(error: &Error) -> u8 {
    match error {
        Error::Unreachable { .. } => 7,
        Error::Usage(_) => 2,
        Error::NotCompleted { .. } => 3,
        Error::DeadlineExceeded { .. } => error.problem().map_or(124, code_of_problem),
        Error::Problem(problem) => code_of_problem(problem),
        _ => 1,
    }
}

fn code_of_problem(problem: &Problem) -> u8 {
    match (problem.status, problem.code.as_str()) {
        (_, "VALIDATION_FAILED") if is_about_a_definition(problem) => 8,
        (401 | 403, _) => 4,
        (404, _) => 5,
        (409 | 412, _) | (_, "IDEMPOTENCY_KEY_REUSED") => 6,
        (502 | 503 | 507, _) => 7,
        (504, _) => 124,
        (400..=499, _) => 2,
        _ => 1,
    }
}

/// What a call says beside the workflow and its inputs.
const OF_THE_CALL: [&str; 6] = ["/reason", "/comment", "/dedupe", "/concurrencyKey", "/startedBy", "/labels"];

/// Elsewhere it is what the command was given that is wrong: a setting, the type of an event, a reason that is too long.
fn is_about_a_definition(problem: &Problem) -> bool {
    let of_the_call = problem.errors.iter().any(|error| OF_THE_CALL.contains(&error.pointer.as_str()));
    !of_the_call && [paths::WORKFLOWS, paths::RUNS].iter().any(|path| problem.instance.starts_with(path))
}

fn tell_call(error: &Error, format: Format) {
    let Some(problem) = error.problem() else {
        headline(error.code(), &with_sources(error));
        if matches!(error, Error::Unreachable { .. }) {
            hint("is a node running there? `orc dev` starts one; --addr or ORC_ADDR say where nodes are");
        }
        return;
    };
    if matches!(format, Format::Json | Format::Jsonl) {
        // A problem always has a JSON form; a closed stderr leaves nobody to tell.
        note(&serde_json::to_string(problem).unwrap_or_default());
        return;
    }
    let detail = if problem.detail.is_empty() { &problem.title } else { &problem.detail };
    headline(&problem.code, detail);
    for wrong in &problem.errors {
        let place = match (wrong.line, wrong.column) {
            (Some(line), Some(column)) => format!("{line}:{column}"),
            _ => wrong.pointer.clone(),
        };
        note(&format!("  {place} {}", wrong.detail));
    }
    if let Some(text) = &problem.hint {
        hint(text);
    }
    if !problem.request_id.is_empty() {
        note(&format!("  (request id {})", problem.request_id));
    }
}

/// `error[CODE]: sentence`.
pub(super) fn headline(code: &str, message: &str) {
    note(&format!("{} {message}", bold(&paint(Color::Red, &format!("error[{code}]:")))));
}

/// `hint: sentence`.
pub(super) fn hint(text: &str) {
    note(&format!("{} {text}", paint(Color::Blue, "hint:")));
}

/// An error with what caused it.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let shown = inner.to_string();
        if !text.contains(&shown) {
            text.push_str(": ");
            text.push_str(&shown);
        }
        source = inner.source();
    }
    text
}
