//! The one thread that owns the state: it applies records in order and shows what they led to.
//! Knows nothing of disks, encodings or who waits; it never waits for a reader.

use std::sync::Arc;

use orc_domain::{Applied, Effect, Entry, State};
use orc_runtime::Worker;
use tokio::sync::{mpsc, oneshot};

use super::{encoder::Changes, guard::PanicGuard, published::Published};
use crate::{
    codec::Unpacked,
    error::FatalHandler,
    types::{BatchOutcome, LogId, Membership, StoredMembership},
};

/// Jobs that may wait; whoever asks waits for a place.
const JOBS_MAX: usize = 256;

/// A record ready to be applied.
pub struct Record {
    /// Its place.
    pub id: LogId,
    /// What it carries.
    pub content: Content,
}

/// What a record carries.
pub enum Content {
    /// Nothing.
    Blank,
    /// Proposals.
    Batch(Unpacked),
    /// Voters and learners.
    Membership(Membership),
}

/// Where the state stands.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The last record applied.
    pub applied: Option<LogId>,
    /// The last membership applied.
    pub membership: StoredMembership,
}

/// Looks at the state between two records.
pub type Look = Box<dyn FnOnce(&State) + Send>;

/// Something for the thread to do.
pub enum Job {
    /// Apply records.
    Apply(Vec<Record>, oneshot::Sender<Vec<BatchOutcome>>),
    /// Look at the state.
    Inspect(Look),
    /// Say where the state stands.
    Stand(oneshot::Sender<Standing>),
    /// Hand over what changed.
    Take(oneshot::Sender<Changes>),
    /// Go on with another state: a snapshot's.
    Replace(Box<Replacement>, oneshot::Sender<()>),
}

/// A state to go on with.
pub struct Replacement {
    /// The state.
    pub state: State,
    /// Where it stands.
    pub standing: Standing,
    /// Its first readable event.
    pub events_first: u64,
}

/// Owns the state.
pub struct Applier {
    /// The state.
    pub state: State,
    /// Where it stands.
    pub standing: Standing,
    /// Where it is shown.
    pub published: Arc<Published>,
    /// Told of a panic.
    pub fatal: FatalHandler,
}

impl Applier {
    /// Starts the thread; it ends when every sender is gone.
    pub fn start(self) -> std::io::Result<(mpsc::Sender<Job>, Worker)> {
        let (jobs, waiting) = mpsc::channel(JOBS_MAX);
        let thread = Worker::start("orc-apply", self.run(waiting))?;
        Ok((jobs, thread))
    }

    async fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        let _guard = PanicGuard::new("apply", self.fatal.clone());
        // Whoever asked may have stopped waiting, so a failed send is nothing.
        while let Some(job) = waiting.recv().await {
            match job {
                Job::Apply(records, answer) => {
                    let outcomes = records.into_iter().map(|record| self.apply(record)).collect();
                    let _ = answer.send(outcomes);
                }
                Job::Inspect(look) => look(&self.state),
                Job::Stand(answer) => {
                    let _ = answer.send(self.standing.clone());
                }
                Job::Take(answer) => {
                    let Standing { applied, membership } = self.standing.clone();
                    let _ = answer.send(Changes::take(&mut self.state, applied, membership));
                }
                Job::Replace(replacement, done) => {
                    self.replace(*replacement);
                    let _ = done.send(());
                }
            }
        }
    }

    fn apply(&mut self, record: Record) -> BatchOutcome {
        let Record { id, content } = record;
        let known = self.state.journal.events.len();
        let mut effects: Vec<Effect> = Vec::new();
        let mut outcomes = Vec::new();
        match content {
            Content::Blank => {}
            Content::Membership(membership) => {
                self.standing.membership = StoredMembership::new(Some(id), membership)
            }
            Content::Batch(Unpacked { proposed_at, proposals }) => {
                outcomes.reserve_exact(proposals.len());
                for proposal in proposals {
                    let entry = Entry { rev: id.index, proposed_at, proposal };
                    let Applied { outcome, effects: new } = orc_domain::apply(&mut self.state, &entry);
                    effects.extend(new);
                    outcomes.push(outcome);
                }
            }
        }
        self.standing.applied = Some(id);
        let news = self.state.journal.events[known..].to_vec();
        self.published.show(&mut self.state, id, &news, effects);
        BatchOutcome(outcomes)
    }

    fn replace(&mut self, replacement: Replacement) {
        let Replacement { state, standing, events_first } = replacement;
        self.state = state;
        self.standing = standing;
        if let Some(applied) = self.standing.applied {
            self.published.replace(&self.state, applied, events_first);
        }
    }
}
