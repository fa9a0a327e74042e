//! By what runs and tasks are listed and found: status, workflow or action, labels, end. What lists show is decided here.
//! Knows nothing of indexes or queries.

use alloc::vec::Vec;
use core::time::Duration;

use crate::{
    ids::{Labels, Text, Timestamp},
    run::Run,
    task::Task,
};

/// Something rows have in common, beside their status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facet {
    /// Runs of a workflow, by the name it is kept under; where it is not kept, by the name in the definition.
    Workflow(Text),
    /// Tasks of an action.
    Action(Text),
    /// Rows with a label, by name and value.
    Label(Text, Text),
}

/// The words of statuses after which nothing changes any more.
const ENDED: [&str; 4] = ["completed", "failed", "cancelled", "timed_out"];

/// A row that lists show.
pub trait Listed {
    /// The words of the statuses that users see; a status is the place of its word.
    const STATUSES: &'static [&'static str];

    /// The word users see.
    fn status_word(&self) -> &'static str;
    /// When it ended, once it has.
    fn ended_at(&self) -> Option<Timestamp>;
    /// Whether lists show it: what belongs to something that they show is found through that.
    fn is_listed(&self) -> bool;
    /// What rows are counted by.
    fn counted_by(&self) -> Facet;
    /// Its labels.
    fn labels(&self) -> &Labels;
    /// How long it is kept once it has ended, where it says so itself.
    fn retention(&self) -> Option<Duration>;

    /// What it is found by; the first one is what rows are counted by.
    fn facets(&self) -> Vec<Facet> {
        let label = |(name, value): (&Text, &Text)| Facet::Label(name.clone(), value.clone());
        core::iter::once(self.counted_by()).chain(self.labels().iter().map(label)).collect()
    }

    /// Whether rows of a status have ended.
    fn is_ended(status: u8) -> bool {
        Self::STATUSES.get(usize::from(status)).is_some_and(|word| ENDED.contains(word))
    }

    /// The number of its status.
    fn status_number(&self) -> u8 {
        let word = self.status_word();
        let place = Self::STATUSES.iter().position(|known| *known == word);
        place.and_then(|place| u8::try_from(place).ok()).expect("every word is in the list")
    }
}

impl Run {
    /// The name its workflow is kept under; where it is not kept, the name in the definition.
    pub fn workflow_name(&self) -> Text {
        let kept = self.origin.workflow.as_ref().map(|kept| Text::from(kept.name.as_str()));
        kept.unwrap_or_else(|| self.workflow.clone())
    }
}

impl Listed for Run {
    const STATUSES: &'static [&'static str] = &[
        "queued",
        "running",
        "paused",
        "waiting",
        "cancelling",
        "completed",
        "failed",
        "cancelled",
        "timed_out",
    ];

    fn status_word(&self) -> &'static str {
        self.shown_status()
    }

    fn ended_at(&self) -> Option<Timestamp> {
        self.ended_at
    }

    fn is_listed(&self) -> bool {
        self.parent.is_none()
    }

    fn counted_by(&self) -> Facet {
        Facet::Workflow(self.workflow_name())
    }

    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn retention(&self) -> Option<Duration> {
        self.retention
    }
}

impl Listed for Task {
    const STATUSES: &'static [&'static str] =
        &["blocked", "queued", "running", "retrying", "completed", "failed", "cancelled", "timed_out"];

    fn status_word(&self) -> &'static str {
        self.status.name()
    }

    fn ended_at(&self) -> Option<Timestamp> {
        self.ended_at
    }

    fn is_listed(&self) -> bool {
        true
    }

    fn counted_by(&self) -> Facet {
        Facet::Action(self.action.clone())
    }

    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn retention(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{run::RunStatus, task::TaskStatus};

    #[test]
    fn every_status_has_a_number() {
        use RunStatus::{Cancelled, Cancelling, Completed, Failed, Paused, Queued, Running, TimedOut};
        for status in [Queued, Running, Paused, Cancelling, Completed, Failed, Cancelled, TimedOut] {
            assert!(Run::STATUSES.contains(&status.name()), "{status:?}");
        }
        use TaskStatus::{Blocked, Retrying};
        for status in [Blocked, TaskStatus::Queued, TaskStatus::Running, Retrying, TaskStatus::Completed] {
            assert!(Task::STATUSES.contains(&status.name()), "{status:?}");
        }
        for status in [TaskStatus::Failed, TaskStatus::Cancelled, TaskStatus::TimedOut] {
            assert!(Task::STATUSES.contains(&status.name()), "{status:?}");
        }
    }
}
