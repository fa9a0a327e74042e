//! The one thread that owns the state: it applies records in order and shows what they led to.
//! Knows nothing of disks, encodings or who waits; it never waits for a reader.

use std::sync::Arc;

use orc_domain::{Applied, Effect, Entry, Outcome, Recorded, State};
use orc_runtime::{Worker, simulation};
use tokio::sync::{mpsc, oneshot};

use super::{encoder::Changes, guard::PanicGuard, presumed::Presumed, published::Published};
use crate::{
    codec::{Gone, Unpacked},
    error::FatalHandler,
    types::{BatchOutcome, LogId, Membership, StoredMembership},
};

/// Jobs that may wait; whoever asks waits for a place.
pub(super) const JOBS_MAX: usize = 256;

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
    /// Nodes that were in an earlier one and are not in that.
    pub gone: Gone,
}

impl Standing {
    /// Another membership is applied.
    fn change(&mut self, membership: StoredMembership) {
        let left = std::mem::replace(&mut self.membership, membership);
        let has_left = |node: &u64| self.membership.membership().get_node(node).is_none();
        self.gone.0.extend(left.nodes().map(|(node, _)| *node).filter(has_left));
    }
}

/// Looks at the state between two records.
pub type Look = Box<dyn FnOnce(&State) + Send>;

/// Something for the thread to do.
pub enum Job {
    /// Apply records.
    Apply(Vec<Record>, oneshot::Sender<Vec<BatchOutcome>>),
    /// Show what records that are not committed would lead to: a mistake made on purpose.
    Presume(Vec<Record>),
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

/// What a record led to.
pub(super) struct Led {
    pub outcomes: Vec<Outcome>,
    pub news: Vec<Arc<Recorded>>,
    pub effects: Vec<Effect>,
}

/// Changes a state as a record says.
pub(super) fn lead(state: &mut State, id: LogId, content: Content) -> Led {
    let known = state.journal.events.len();
    let (mut outcomes, mut effects) = (Vec::new(), Vec::new());
    if let Content::Batch(Unpacked { proposed_at, proposals }) = content {
        outcomes.reserve_exact(proposals.len());
        for proposal in proposals {
            let entry = Entry { rev: id.index, proposed_at, proposal };
            let Applied { outcome, effects: new } = orc_domain::apply(state, &entry);
            effects.extend(new);
            outcomes.push(outcome);
        }
    }
    Led { outcomes, news: state.journal.events[known..].to_vec(), effects }
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
    /// What the state would be; only where that mistake is planted.
    pub presumed: Option<Presumed>,
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
                Job::Presume(records) => self.presume(records),
                Job::Inspect(look) => look(&self.state),
                Job::Stand(answer) => {
                    let _ = answer.send(self.standing.clone());
                }
                Job::Take(answer) => {
                    let _ = answer.send(Changes::take(&mut self.state, self.standing.clone()));
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
        if let Content::Membership(membership) = &content {
            self.standing.change(StoredMembership::new(Some(id), membership.clone()));
        }
        let Led { outcomes, news, effects } = lead(&mut self.state, id, content);
        self.standing.applied = Some(id);
        simulation::applied(id.index, (id.leader_id.term, id.leader_id.node_id));
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
