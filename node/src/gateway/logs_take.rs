//! What components log: from sessions and by `POST /tasks/{id}/logs` to the files of this node.
//! The token says which attempt is meant; nothing here waits for a disk.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use orc_client::wire::{
    LogEntry, LogStream, LogToken, codes, cut_log_line, dropped_log_lines, headers,
    session::{Log, Logged},
};
use orc_domain::{Job, Rejection, Role, StepIx, TaskId, Token, Unavailable};

use super::{
    Gateway,
    call::Call,
    json,
    problem::Refusal,
    reply::{Answered, Reply},
};
use crate::logs::{Batch, Owner, Record};

/// Attempts that a session remembers.
const KNOWN_MAX: usize = 1_024;

/// `POST /tasks/{id}/logs?token=…`: JSON lines.
pub async fn post(gateway: Arc<Gateway>, call: Call) -> Answered {
    let task = call.task_id()?;
    let LogToken { token } = call.query()?;
    let now = gateway.cluster.now().0;
    let lines = entries(&call)?.into_iter().map(|entry| Logged {
        stream: entry.stream.unwrap_or(LogStream::Stdout),
        at: entry.at.map_or(now, |at| at.0),
        text: entry.text,
    });
    let lines = lines.collect();
    gateway.fresh(&call).await?;
    let stale = || Refusal::from(Rejection::StaleAttempt { task, token: Token(token) });
    let attempt = gateway.attempt(task, token).ok_or_else(stale)?;
    gateway.logs.append(gateway.batch(task, attempt, lines)).map_err(|_overloaded| {
        Refusal::from(Unavailable::Overloaded { retry_after: Duration::from_secs(1) })
    })?;
    Ok(Reply::nothing())
}

/// The lines of a body; a wrong one is named by its number.
fn entries(call: &Call) -> Result<Vec<LogEntry>, Refusal> {
    if let Some(given) = call.media_type()
        && given != headers::NDJSON
    {
        let detail = format!("the body is `{given}`, expected `{}`", headers::NDJSON);
        let refusal = Refusal::new(codes::UNSUPPORTED_MEDIA_TYPE, detail);
        return Err(refusal.hint(format!("send Content-Type: {}", headers::NDJSON)));
    }
    let lines = call.body.split(|byte| *byte == b'\n').enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    lines
        .map(|(number, line)| {
            let place = |refusal: Refusal| {
                Refusal::new(refusal.code(), format!("line {}: {}", number + 1, refusal.detail()))
                    .hint(r#"a line is {"text":"…"}, with "stream" and "at" if they are known"#)
            };
            json::read::<LogEntry>(line).map_err(place)
        })
        .collect()
}

impl Gateway {
    /// Which attempt a token means, if that one is running.
    fn attempt(&self, task: TaskId, token: u64) -> Option<u32> {
        self.cluster.task(&task).filter(|task| task.is_current(Token(token))).map(|task| task.attempts)
    }

    /// Whose log has the lines of a live task, and below which step there.
    fn log_place(&self, task: TaskId) -> (Owner, Option<StepIx>) {
        let Some((mut run, step)) = task.step() else { return (Owner::from(task), None) };
        let mut place = Some(step);
        while let Some(row) = self.cluster.run(&run).filter(|row| row.block > 0)
            && let Some(parent) = &row.parent
        {
            run = parent.run;
            place = match parent.role {
                Role::Item { step, .. } | Role::Step(step) | Role::Handler(Job::Compensate(step)) => {
                    Some(step)
                }
                Role::Handler(Job::OnFailure | Job::OnCancel | Job::Finally) => None,
            };
        }
        (Owner::Run(run), place)
    }

    /// Lines as they are kept.
    fn batch(&self, task: TaskId, attempt: u32, lines: Vec<Logged>) -> Batch {
        let now = self.cluster.now().0;
        let (owner, step) = self.log_place(task);
        let child = (owner != Owner::from(task)).then_some(task);
        let record = |line: Logged| {
            let Logged { stream, at, text } = line;
            let mut text = self.secrets.redact(&text).into_owned();
            cut_log_line(&mut text);
            let stream = match stream {
                LogStream::Stdout | LogStream::Unknown(_) => LogStream::Stdout,
                known @ (LogStream::Stderr | LogStream::System) => known,
            };
            Record { at: at.min(now), step, task: child, attempt, stream, text }
        };
        Batch { owner, records: lines.into_iter().map(record).collect() }
    }
}

/// What one session logs.
pub struct Intake {
    gateway: Arc<Gateway>,
    known: BTreeMap<TaskId, Known>,
}

/// An attempt that logged before.
struct Known {
    token: u64,
    attempt: u32,
    /// Lines that could not be taken since the last ones that were.
    lost: u64,
}

impl Intake {
    /// Of a session that has logged nothing yet.
    pub fn new(gateway: Arc<Gateway>) -> Intake {
        Intake { gateway, known: BTreeMap::new() }
    }

    /// Takes lines. An attempt that was current once may go on to log, for instance while it is being stopped; lines of
    /// any other are passed over.
    pub fn take(&mut self, log: Log) {
        let Ok(task) = log.task_id.parse::<TaskId>() else { return };
        if self.known.get(&task).is_none_or(|known| known.token != log.token) {
            let Some(attempt) = self.gateway.attempt(task, log.token) else {
                return tracing::debug!(%task, token = log.token, lines = log.lines.len(), "a stale attempt logs");
            };
            if self.known.len() >= KNOWN_MAX {
                self.known.retain(|task, _| self.gateway.cluster.task(task).is_some());
            }
            self.known.insert(task, Known { token: log.token, attempt, lost: 0 });
        }
        let Some(known) = self.known.get_mut(&task) else { return };
        let count = log.lines.len() as u64;
        let mut lines = log.lines;
        if known.lost > 0 {
            // A time to come is cut to now.
            let at = lines.first().map_or(u64::MAX, |line| line.at);
            let text = dropped_log_lines(known.lost, "the node could not write as fast as they came");
            lines.insert(0, Logged { stream: LogStream::System, at, text });
        }
        match self.gateway.logs.append(self.gateway.batch(task, known.attempt, lines)) {
            Ok(()) => known.lost = 0,
            Err(_overloaded) => known.lost += count,
        }
    }
}
