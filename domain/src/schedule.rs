//! A schedule: when it is due next, what it has started, and what waits.
//! Knows no calendar: the next instant is computed outside and enters by a command.

use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    decide::scatter,
    ids::{Json, RunId, Text, Timestamp},
    names::{ScheduleId, WorkflowName},
    run::Group,
};

/// What was asked of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    /// Identity.
    pub id: ScheduleId,
    /// What it starts: the latest version.
    pub workflow: WorkflowName,
    /// It came with the workflow's file and follows it.
    pub of_file: bool,
    /// Five fields: minute, hour, day of month, month, day of week.
    pub cron: Text,
    /// The zone in which the fields are read, such as `Europe/Berlin`.
    pub timezone: Text,
    /// What happens when an instant is due while a run of the schedule goes on.
    pub overlap: Overlap,
    /// How late an instant may still have its turn.
    pub catch_up: Duration,
    /// Each instant is put off by a part of this, always the same.
    pub jitter: Duration,
    /// Inputs of its runs as given, a JSON object.
    pub given: Json,
    /// The same with the workflow's defaults.
    pub inputs: Json,
    /// The concurrency group of its runs, by what the workflow says.
    pub group: Option<Group>,
}

impl ScheduleSpec {
    /// Schedules that a cluster keeps.
    pub const KEPT_MAX: u32 = 10_000;
    /// The least time that a late instant is given.
    pub const CATCH_UP_MIN: Duration = Duration::from_secs(10);

    /// Whether the other one has the same instants.
    pub fn has_instants_of(&self, other: &ScheduleSpec) -> bool {
        self.cron == other.cron && self.timezone == other.timezone
    }

    /// When an instant has its turn: never before it, at most the jitter after it, the same on every node.
    pub fn turn_at(&self, instant: Timestamp) -> Timestamp {
        let millis = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        let late = scatter(seed(&self.id, instant), 0) % millis.saturating_add(1);
        instant + Duration::from_millis(late)
    }

    /// Whether an instant's turn is over.
    pub fn is_missed(&self, instant: Timestamp, now: Timestamp) -> bool {
        self.turn_at(instant) + self.catch_up < now
    }
}

/// A number that belongs to an instant of a schedule (FNV-1a).
pub(crate) fn seed(id: &ScheduleId, instant: Timestamp) -> u128 {
    let bytes = id.as_str().bytes().chain(instant.0.to_be_bytes());
    bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

/// What happens when an instant is due while a run of the schedule goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Overlap {
    /// The instant is skipped.
    Skip,
    /// Its run starts after those that go on.
    Queue,
    /// Its run starts beside those that go on.
    Allow,
    /// Those that go on are cancelled, and its run starts.
    CancelRunning,
}

impl Overlap {
    /// Every policy with the word users see.
    pub const ALL: [(Overlap, &'static str); 4] = [
        (Overlap::Skip, "skip"),
        (Overlap::Queue, "queue"),
        (Overlap::Allow, "allow"),
        (Overlap::CancelRunning, "cancelRunning"),
    ];

    /// The word users see.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// A schedule as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// What was asked.
    pub spec: ScheduleSpec,
    /// No instant has its turn.
    pub paused: bool,
    /// Number of its changes, pauses among them.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Every instant up to this time has had its turn.
    pub after: Timestamp,
    /// The next instant; none while it is being computed.
    pub next: Option<Timestamp>,
    /// Its live runs.
    pub running: Vec<RunId>,
    /// Instants whose runs start after those, oldest first.
    pub waiting: Vec<Timestamp>,
    /// The last run it started.
    pub last: Option<Started>,
    /// Runs it started.
    pub started: u64,
    /// Instants that had no run: overlapping, or their workflow was paused.
    pub skipped: u64,
    /// Instants that had no run because their turn was over.
    pub missed: u64,
}

impl Schedule {
    /// Instants that may wait.
    pub const WAITING_MAX: usize = 100;

    /// The hands have to compute the next instant.
    pub fn awaits_plan(&self) -> bool {
        self.next.is_none() && !self.paused
    }

    /// When it needs the clock.
    pub fn due_at(&self) -> Option<Timestamp> {
        self.next.filter(|_| !self.paused).map(|instant| self.spec.turn_at(instant))
    }

    /// An instant waits and nothing holds it back.
    pub fn is_ready(&self) -> bool {
        self.running.is_empty() && !self.waiting.is_empty()
    }
}

/// A run that a schedule started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Which.
    pub run: RunId,
    /// For which instant.
    pub instant: Timestamp,
    /// When.
    pub at: Timestamp,
}

/// Instants whose turn was over before anybody could give it to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// How many.
    pub count: u64,
    /// The last one.
    pub last: Timestamp,
}

/// How an instant came to its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turn {
    /// It was due.
    Due,
    /// It had waited for a run before it.
    Waited,
    /// By hand.
    Hand,
}

/// Why an instant had no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SkipCause {
    /// A run of the schedule goes on.
    Overlap,
    /// Its turn was over.
    Late,
    /// The workflow is paused.
    WorkflowPaused,
    /// Too many instants wait.
    QueueFull,
    /// The cluster holds as many runs as it may.
    RunLimit,
    /// The concurrency group of its runs is busy, and the workflow refuses more.
    GroupBusy,
}

impl SkipCause {
    /// The word users see.
    pub fn name(self) -> &'static str {
        match self {
            SkipCause::Overlap => "overlap",
            SkipCause::Late => "late",
            SkipCause::WorkflowPaused => "workflowPaused",
            SkipCause::QueueFull => "queueFull",
            SkipCause::RunLimit => "runLimit",
            SkipCause::GroupBusy => "groupBusy",
        }
    }
}

/// A change of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScheduleEvent {
    /// A schedule was made or changed.
    Set(Box<ScheduleSpec>),
    /// A schedule is forgotten.
    Deleted {
        /// Which.
        schedule: ScheduleId,
    },
    /// A schedule starts no runs; instants that waited are skipped.
    Paused {
        /// Which.
        schedule: ScheduleId,
    },
    /// A schedule goes on with the instants after now.
    Resumed {
        /// Which.
        schedule: ScheduleId,
    },
    /// The next instant of a schedule is known.
    Planned {
        /// Which.
        schedule: ScheduleId,
        /// The next instant.
        instant: Timestamp,
        /// Those between that had no turn.
        missed: Option<Missed>,
    },
    /// A schedule starts a run.
    Fired {
        /// Which.
        schedule: ScheduleId,
        /// For which instant.
        instant: Timestamp,
        /// How it came to its turn.
        turn: Turn,
        /// The run.
        run: RunId,
    },
    /// An instant of a schedule had no run.
    Skipped {
        /// Which.
        schedule: ScheduleId,
        /// Which instant.
        instant: Timestamp,
        /// How it came to its turn.
        turn: Turn,
        /// Why.
        cause: SkipCause,
    },
    /// An instant of a schedule waits for the run before it.
    Queued {
        /// Which.
        schedule: ScheduleId,
        /// Which instant.
        instant: Timestamp,
    },
}
