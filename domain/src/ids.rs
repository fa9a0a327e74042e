//! The names of things: typed identifiers, times and opaque JSON text.
//! Knows nothing of what the named things do.

use alloc::{collections::BTreeMap, format, string::String, sync::Arc};
use core::{cmp::Ordering, fmt, ops::Add, str::FromStr, time::Duration};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{message::MessageId, snapshot::SnapshotId};

/// Shared immutable text.
pub type Text = Arc<str>;
/// What a task asks a component to do, such as `train_model`.
pub type ActionName = Text;
/// Labels of a component, or those that a task demands of one.
pub type Labels = BTreeMap<Text, Text>;
/// The position of a step in its definition.
pub type StepIx = u16;
/// A list of steps of a definition: 0 is the workflow's own.
pub type BlockIx = u16;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct BadId {
    /// The text as given.
    pub text: String,
    /// What was expected, with its form.
    pub expected: &'static str,
}

/// JSON text that the rules carry and never look into.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Json(pub Text);

impl Json {
    /// The JSON value `null`.
    pub fn null() -> Self {
        Json(Text::from("null"))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Json(Text::from(text))
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Json(Text::from(text))
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Milliseconds since 1970-01-01 UTC, by the leader's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time passed since `earlier`, zero if there is none.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// A member of the cluster; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node-{}", self.0)
    }
}

/// The fencing token of an attempt: the number of its assignment, unique and rising over the whole cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Token(pub u64);

/// One connection of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(pub Uuid);

/// The content hash of a workflow definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DefinitionId(pub [u8; 16]);

/// The hash of an idempotency key within its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IdempotencyKey(pub [u8; 16]);

/// A run; written `run_` and 26 characters of base 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunId(pub Uuid);

/// The order of the bytes, compared as two numbers: most of what a command costs are searches for ids.
impl Ord for RunId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_u128().cmp(&other.0.as_u128())
    }
}

impl PartialOrd for RunId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A task; a step's task is named after its run and place: `task_…-3`. Ids sort by time, whatever the task is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskId {
    /// A task of its own.
    Single(Uuid),
    /// The task of a run's step.
    Step(RunId, StepIx),
}

impl Ord for TaskId {
    fn cmp(&self, other: &Self) -> Ordering {
        let parts = |id: &TaskId| match id {
            TaskId::Single(id) => (id.as_u128(), 0),
            TaskId::Step(run, step) => (run.0.as_u128(), 1 + u32::from(*step)),
        };
        parts(self).cmp(&parts(other))
    }
}

impl PartialOrd for TaskId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TaskId {
    /// The run and step this task belongs to, if any.
    pub fn step(self) -> Option<(RunId, StepIx)> {
        match self {
            TaskId::Single(_) => None,
            TaskId::Step(run, step) => Some((run, step)),
        }
    }
}

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

struct Base32(Uuid);

impl fmt::Display for Base32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.as_u128();
        let mut text = [0u8; 26];
        for (place, letter) in text.iter_mut().enumerate() {
            let shift = 125 - 5 * place;
            *letter = ALPHABET[(bits >> shift) as usize & 31];
        }
        f.write_str(core::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

fn parse_base32(text: &str) -> Option<Uuid> {
    if text.len() != 26 {
        return None;
    }
    let mut bits = 0u128;
    for (place, byte) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|letter| *letter == byte.to_ascii_uppercase())? as u128;
        if place == 0 && digit > 7 {
            return None;
        }
        bits = bits << 5 | digit;
    }
    Some(Uuid::from_u128(bits))
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskId::Single(id) => write!(f, "task_{}", Base32(*id)),
            TaskId::Step(run, step) => write!(f, "task_{}-{step}", Base32(run.0)),
        }
    }
}

impl FromStr for TaskId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let parse = || {
            let rest = text.strip_prefix("task_")?;
            match rest.split_once('-') {
                None => parse_base32(rest).map(TaskId::Single),
                Some((run, step)) => Some(TaskId::Step(RunId(parse_base32(run)?), step.parse().ok()?)),
            }
        };
        parse().ok_or_else(|| BadId { text: text.into(), expected: "a task id (task_ and 26 characters)" })
    }
}

macro_rules! base32_ids {
    ($($type:ty, $prefix:literal, $what:literal;)+) => {
        $(impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), Base32(self.0))
            }
        }

        impl FromStr for $type {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let id = text.strip_prefix($prefix).and_then(parse_base32).map(Self);
                id.ok_or_else(|| BadId { text: text.chars().take(80).collect(), expected: $what })
            }
        })+
    };
}

base32_ids! {
    RunId, "run_", "a run id (run_ and 26 characters)";
    SnapshotId, "snap_", "a snapshot id (snap_ and 26 characters)";
    MessageId, "msg_", "a durable message's id (msg_ and 26 characters)";
}

/// A component's name: `[a-z0-9][a-z0-9._-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ComponentId(Text);

impl ComponentId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ComponentId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let legal = text.len() <= 63
            && text.bytes().next().is_some_and(first)
            && text.bytes().all(|byte| first(byte) || matches!(byte, b'.' | b'_' | b'-'));
        if legal {
            return Ok(ComponentId(Text::from(text)));
        }
        Err(BadId { text: text.into(), expected: "a component id ([a-z0-9][a-z0-9._-]{0,62})" })
    }
}

/// A dotted name in the state store, at most 512 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StateKey(Text);

impl StateKey {
    /// The longest key, in bytes.
    pub const LENGTH_MAX: usize = 512;

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StateKey {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let legal = !text.is_empty()
            && text.len() <= Self::LENGTH_MAX
            && text.split('.').all(|part| !part.is_empty())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'/'));
        if legal {
            return Ok(StateKey(Text::from(text)));
        }
        let shown = if text.len() > 80 {
            format!("{}…", text.chars().take(80).collect::<String>())
        } else {
            text.into()
        };
        Err(BadId {
            text: shown,
            expected: "a state key (dotted parts of letters, digits, `_-:/`, at most 512 bytes)",
        })
    }
}

/// How urgent a task or run is; each level is worth a head start in the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Priority {
    /// 1
    Low,
    /// 2
    #[default]
    Normal,
    /// 3
    High,
    /// 4
    Critical,
    /// 5
    Urgent,
}

impl Priority {
    /// Every level, lowest first, with its name.
    pub const ALL: [(Priority, &'static str); 5] = [
        (Priority::Low, "LOW"),
        (Priority::Normal, "NORMAL"),
        (Priority::High, "HIGH"),
        (Priority::Critical, "CRITICAL"),
        (Priority::Urgent, "URGENT"),
    ];

    /// The level as the seed numbers it, 1 to 5.
    pub fn level(self) -> u8 {
        self as u8 + 1
    }

    /// The priority of a level from 1 to 5.
    pub fn from_level(level: u64) -> Option<Priority> {
        let place = usize::try_from(level).ok()?.checked_sub(1)?;
        Self::ALL.get(place).map(|(priority, _)| *priority)
    }

    /// The name of the level, such as `NORMAL`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn ids_survive_their_text_form() {
        for bits in [0u128, 1, u128::MAX, 0x0193_4c5e_7d2a_7b3c_8f10_1122_3344_5566] {
            let run = RunId(Uuid::from_u128(bits));
            assert_eq!(run.to_string().parse(), Ok(run));
            let single = TaskId::Single(run.0);
            assert_eq!(single.to_string().parse(), Ok(single));
            let step = TaskId::Step(run, 65_535);
            assert_eq!(step.to_string().parse(), Ok(step));
        }
    }

    #[test]
    fn foreign_texts_are_no_ids() {
        assert!("run_short".parse::<RunId>().is_err());
        assert!("run_ZZZZZZZZZZZZZZZZZZZZZZZZZZ".parse::<RunId>().is_err(), "more than 128 bits");
        assert!("task_00000000000000000000000000-x".parse::<TaskId>().is_err());
        assert!("-w".parse::<ComponentId>().is_err());
        assert!("W".parse::<ComponentId>().is_err());
        assert!("a..b".parse::<StateKey>().is_err());
        assert!("app.version".parse::<StateKey>().is_ok());
    }
}
