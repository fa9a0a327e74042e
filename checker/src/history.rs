//! What clients did: one line when an operation is called, one when its outcome is known.
//! Knows nothing of what outcomes are right. Times are nanoseconds of one monotonic clock for all processes of a history;
//! values are unique: no two operations write the same value to the same key.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    lines::{self, Place, Shown, Torn},
    verdict::Counts,
};

/// What is asked of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Call {
    /// Read a state key; linearizable.
    Read {
        /// Which.
        key: String,
    },
    /// Write one, whatever it is.
    Write {
        /// Which.
        key: String,
        /// With what.
        value: Value,
    },
    /// Write one that has this version.
    CompareAndSet {
        /// Which.
        key: String,
        /// 0: it is absent.
        version: u64,
        /// With what.
        value: Value,
    },
    /// Delete one that is there.
    Delete {
        /// Which.
        key: String,
    },
    /// Start a run or a task. The event of its creation has to show the key: in the run's label `key`, or as the task's name.
    Start {
        /// Which.
        what: Started,
        /// Calls with the same one have one effect.
        idempotency_key: String,
    },
    /// Tell the result of an attempt.
    Report {
        /// The task.
        task: String,
        /// The attempt's token, be it the right one or not.
        token: u64,
        /// The output, or the message of the failure. Calls with the same one have one effect: it is their idempotency key.
        mark: String,
    },
    /// Send a durable message.
    Send {
        /// To whom.
        component: String,
        /// The payload. Calls with the same one have one effect: it is their idempotency key.
        mark: String,
    },
}

/// What is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Started {
    /// A run of a workflow.
    Run,
    /// A task of its own.
    Task,
}

impl Call {
    /// The state key it is about.
    pub fn key(&self) -> Option<&str> {
        match self {
            Call::Read { key }
            | Call::Write { key, .. }
            | Call::CompareAndSet { key, .. }
            | Call::Delete { key } => Some(key),
            Call::Start { .. } | Call::Report { .. } | Call::Send { .. } => None,
        }
    }

    /// What calls have in common that have one effect together.
    pub fn once(&self) -> Option<&str> {
        match self {
            Call::Start { idempotency_key, .. } => Some(idempotency_key),
            Call::Report { mark, .. } | Call::Send { mark, .. } => Some(mark),
            Call::Read { .. } | Call::Write { .. } | Call::CompareAndSet { .. } | Call::Delete { .. } => None,
        }
    }

    /// The value it writes.
    pub fn written(&self) -> Option<&Value> {
        match self {
            Call::Write { value, .. } | Call::CompareAndSet { value, .. } => Some(value),
            _ => None,
        }
    }

    /// It changes nothing.
    pub fn is_read(&self) -> bool {
        matches!(self, Call::Read { .. })
    }
}

/// What an answer with success says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The log index it is as new as; of a write the one at which it happened.
    pub rev: u64,
    /// The key's version, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// What was read; none: the key is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// What was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Outcome {
    /// It succeeded.
    Ok(Answer),
    /// Certainly without effect.
    Rejected {
        /// Because of the key's state: another version was expected, or the key to delete was absent.
        #[serde(default)]
        conflict: bool,
    },
    /// Nobody can tell.
    Unknown,
}

/// An operation from call to outcome.
#[derive(Clone, Debug)]
pub struct Op {
    /// Who called.
    pub process: String,
    /// Which of its calls, rising.
    pub number: u64,
    /// The node that was asked.
    pub node: String,
    /// What for.
    pub call: Call,
    /// When, in nanoseconds.
    pub called_at: u64,
    /// Where that is written.
    pub called: Place,
    /// How it ended; without a line of its own unknown.
    pub outcome: Outcome,
    /// When and where that is written.
    pub returned: Option<(u64, Place)>,
}

impl Op {
    /// The answer, if it is known to have succeeded.
    pub fn ok(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Ok(answer) => Some(answer),
            Outcome::Rejected { .. } | Outcome::Unknown => None,
        }
    }

    /// When it had certainly ended; none: it may still take effect.
    pub fn returned_at(&self) -> Option<u64> {
        let ended = self.returned.as_ref().filter(|_| self.outcome != Outcome::Unknown);
        ended.map(|(at, _)| *at)
    }

    /// The lines of it.
    pub fn shown(&self) -> Vec<Shown> {
        let (process, op) = (self.process.clone(), self.number);
        let (node, call) = (Some(self.node.clone()), Some(self.call.clone()));
        let called = Line { process: process.clone(), op, at: self.called_at, node, call, outcome: None };
        let mut shown = vec![Shown::new(&self.called, &called)];
        if let Some((at, place)) = &self.returned {
            let outcome = Some(self.outcome.clone());
            let returned = Line { process, op, at: *at, node: None, call: None, outcome };
            shown.push(Shown::new(place, &returned));
        }
        shown
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    process: String,
    op: u64,
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<Call>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
}

/// Writes a history. Each line is written at once and whole, so that a recorder that is killed tears at most the last one.
pub struct Recorder<W> {
    sink: Mutex<W>,
}

impl<W: Write> Recorder<W> {
    /// Writes to a file without a buffer, or to memory.
    pub fn new(sink: W) -> Recorder<W> {
        Recorder { sink: Mutex::new(sink) }
    }

    /// An operation is about to be called; `at` in nanoseconds of whatever clock the caller lives by.
    ///
    /// # Errors
    /// When the line cannot be written.
    pub fn called(&self, process: &str, op: u64, at: u64, (node, call): (&str, &Call)) -> io::Result<()> {
        let (node, call) = (Some(node.to_owned()), Some(call.clone()));
        self.write(&Line { process: process.to_owned(), op, at, node, call, outcome: None })
    }

    /// Its outcome is known.
    ///
    /// # Errors
    /// When the line cannot be written.
    pub fn returned(&self, process: &str, op: u64, at: u64, outcome: &Outcome) -> io::Result<()> {
        let outcome = Some(outcome.clone());
        self.write(&Line { process: process.to_owned(), op, at, node: None, call: None, outcome })
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.sink.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text)
    }
}

/// The operations of a history, in the order of their calls.
#[derive(Debug, Default)]
pub struct History {
    /// All of them.
    pub ops: Vec<Op>,
}

impl History {
    /// Reads the files of all processes.
    ///
    /// # Errors
    /// At the first line that is none of a history, has no call before it, or writes a value a second time.
    pub fn read(paths: &[PathBuf]) -> Result<History> {
        let mut reader = Reader::default();
        for path in paths {
            lines::read(path, Torn::Skipped, |place, line: Line| reader.line(place, line))?;
        }
        let mut ops = reader.ops;
        ops.sort_by(|one, other| (one.called_at, &one.called).cmp(&(other.called_at, &other.called)));
        Ok(History { ops })
    }

    /// How operations ended.
    pub fn count(&self, counts: &mut Counts) {
        for op in &self.ops {
            counts.operations += 1;
            match op.outcome {
                Outcome::Ok(_) => counts.ok += 1,
                Outcome::Rejected { .. } => counts.rejected += 1,
                Outcome::Unknown => counts.unknown += 1,
            }
        }
    }
}

#[derive(Default)]
struct Reader {
    ops: Vec<Op>,
    known: HashMap<(String, u64), usize>,
    written: HashSet<(String, String)>,
}

impl Reader {
    fn line(&mut self, place: Place, line: Line) -> Result<()> {
        let Line { process, op, at, node, call, outcome } = line;
        match (node, call, outcome) {
            (Some(node), Some(call), None) => {
                if let (Some(key), Some(value)) = (call.key(), call.written()) {
                    let fresh = self.written.insert((key.to_owned(), value.to_string()));
                    ensure!(fresh, "{value} is written to {key} a second time: values must be unique");
                }
                let known = self.known.insert((process.clone(), op), self.ops.len());
                ensure!(known.is_none(), "operation {op} of {process} is called a second time");
                let outcome = Outcome::Unknown;
                self.ops.push(Op {
                    process,
                    number: op,
                    node,
                    call,
                    called_at: at,
                    called: place,
                    outcome,
                    returned: None,
                });
            }
            (None, None, Some(outcome)) => {
                let known = self.known.get(&(process.clone(), op)).map(|index| &mut self.ops[*index]);
                let Some(known) = known else { bail!("operation {op} of {process} was not called") };
                ensure!(known.returned.is_none(), "operation {op} of {process} ends a second time");
                ensure!(at >= known.called_at, "operation {op} of {process} ends before it was called");
                (known.outcome, known.returned) = (outcome, Some((at, place)));
            }
            _ => bail!("a line has either `node` and `call`, or `outcome`"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
