//! Follows the events on the leader: each starts the runs that a trigger says, and goes to the steps that wait for it.
//! Holds nothing that the state and the events cannot give back; what it proposes twice counts once. docs/decisions/014.

mod chain;
mod known;
mod places;
mod starts;
mod waits;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use orc_client::wire::codes;
use orc_domain::{Command, Followed, Idempotency, Outcome, Recorded};
use orc_raft::{
    error::ReadError,
    store::{Events, EventsError},
};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, sleep, sleep_until},
};
use tracing::{debug, warn};

use super::{Gateway, names::KnownNames};
use known::{Found, Known, Leads};
use places::Places;

/// Events looked at together where some were missed.
const PAGE: (usize, usize) = (1_024, 4 << 20);
/// Runs started and steps served at once.
const UNDER_WAY_MAX: usize = 64;
/// Between tries of what nobody decided.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Before a look at a state that could not be read.
const PAUSE_READ: Duration = Duration::from_secs(1);

/// Why somebody stops following.
enum Stop {
    /// Another node leads.
    Deposed,
    /// The node ends.
    Ends,
    /// The state cannot be read now.
    Read(ReadError),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Stopped => Stop::Ends,
            error => Stop::Read(error),
        }
    }
}

/// Follows the events whenever this node leads, for as long as it runs.
pub async fn follow(gateway: Arc<Gateway>) {
    let mut leadership = gateway.cluster.replica().leadership();
    while leadership.wait_for(|leadership| leadership.is_leader).await.is_ok() {
        // Subscribed first: what happens while the state is read is heard.
        let news = gateway.cluster.events();
        let followed = match Follower::begin(&gateway).await {
            Ok(mut follower) => follower.run(news).await,
            Err(stop) => Err(stop),
        };
        match followed {
            Ok(()) | Err(Stop::Deposed) => {}
            Err(Stop::Ends) => return,
            Err(Stop::Read(error)) => {
                warn!(%error, "events cannot be followed now, what they start comes later");
                sleep(PAUSE_READ).await;
            }
        }
    }
}

/// Who follows the events while this node leads.
struct Follower<'g> {
    gateway: &'g Gateway,
    known: Known,
    places: Places,
}

impl<'g> Follower<'g> {
    /// Begins after the last event that is known to have started what it starts. Where nobody had to follow, that is the
    /// first event that can matter: nothing was told meanwhile.
    async fn begin(gateway: &'g Gateway) -> Result<Self, Stop> {
        let following = gateway.cluster.following().await?;
        let (followed, last) = (following.followed, following.last);
        let known = Known::at(gateway, followed.rev, &following.awaited).await?;
        let since = following.awaited.iter().map(|awaited| awaited.wait.since).min();
        let places = if known.has_triggers() || Known::any_now(gateway).await? {
            Places::whole(followed, followed)
        } else if let Some(first) = since.filter(|since| *since > followed.seq) {
            Places::within(followed, place_of(gateway, first).await?)
        } else if since.is_some() {
            Places::whole(followed, followed)
        } else {
            Places::whole(followed, last)
        };
        Ok(Follower { gateway, known, places })
    }

    async fn run(&mut self, mut news: tokio::sync::broadcast::Receiver<Events>) -> Result<(), Stop> {
        let mut leadership = self.gateway.cluster.replica().leadership();
        self.catch_up().await?;
        loop {
            let due = self.places.due(self.known.is_empty());
            tokio::select! {
                changed = leadership.changed() => {
                    changed.map_err(|_| Stop::Ends)?;
                    if !leadership.borrow_and_update().is_leader {
                        return Err(Stop::Deposed);
                    }
                }
                heard = news.recv() => match heard {
                    Ok(events) => self.hear(&events).await?,
                    Err(RecvError::Lagged(_)) => self.catch_up().await?,
                    Err(RecvError::Closed) => return Err(Stop::Ends),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.tell().await?,
            }
        }
    }

    /// The events of one log record.
    async fn hear(&mut self, events: &[Arc<Recorded>]) -> Result<(), Stop> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return self.catch_up().await;
        };
        let next = self.places.at().seq + 1;
        if first.seq > next {
            return self.catch_up().await;
        }
        if last.seq >= next {
            let known = usize::try_from(next - first.seq).unwrap_or(events.len());
            self.take(&events[known..]).await?;
            self.places.is_whole();
        }
        Ok(())
    }

    /// Reads what was missed.
    async fn catch_up(&mut self) -> Result<(), Stop> {
        while self.gateway.cluster.leadership().is_leader {
            match self.gateway.cluster.events_within(self.places.at().seq, PAGE, |_| true).await {
                Ok(page) => {
                    self.take(&page.events).await?;
                    if !page.more {
                        self.places.is_whole();
                        return Ok(());
                    }
                }
                Err(EventsError::Compacted { first_seq }) => self.leap(first_seq).await?,
                Err(EventsError::Read(error)) => return Err(error.into()),
            }
            if self.places.due(self.known.is_empty()).is_some_and(|due| due <= Instant::now()) {
                self.tell().await?;
            }
        }
        Err(Stop::Deposed)
    }

    /// Goes on at the first event there is.
    async fn leap(&mut self, first_seq: u64) -> Result<(), Stop> {
        let following = self.gateway.cluster.following().await?;
        let seq = first_seq.saturating_sub(1);
        let rev = match self.gateway.cluster.events_since(seq, 1, |_| true).await {
            Ok(page) => page.events.first().map_or(following.last.rev, |first| first.rev.saturating_sub(1)),
            // It is gone, too: the next look says where to go on.
            Err(EventsError::Compacted { .. }) => return Ok(()),
            Err(EventsError::Read(error)) => return Err(error.into()),
        };
        let lost = seq.saturating_sub(self.places.at().seq);
        self.known = Known::at(self.gateway, rev, &following.awaited).await?;
        if !self.known.is_empty() {
            warn!(
                lost,
                first_seq, "events were deleted before they were followed: they start no runs any more"
            );
        }
        self.places.leap(Followed { seq, rev });
        Ok(())
    }

    async fn take(&mut self, events: &[Arc<Recorded>]) -> Result<(), Stop> {
        let mut found = Vec::new();
        for event in events {
            let turned = self.known.note(self.gateway, event).await?;
            self.known.find(self.gateway, event, &mut found).await?;
            self.places.pass(event);
            if turned {
                self.places.must_tell();
            }
        }
        if !found.is_empty() {
            self.carry_out(found).await?;
            self.places.must_tell();
        }
        Ok(())
    }

    /// Does what the events lead to; their order is the order of the proposals.
    async fn carry_out(&mut self, found: Vec<Found>) -> Result<(), Stop> {
        let events: Vec<Arc<Recorded>> = found.iter().map(|found| found.event.clone()).collect();
        let mut names = KnownNames::default();
        self.gateway.learn_names(&events, &mut names).await;
        let (gateway, names) = (self.gateway, &names);
        let outcomes = stream::iter(found).map(|Found { event, leads }| async move {
            match leads {
                Leads::Event { kept, place } => gateway.start_by_event(&event, &kept, place, names).await,
                Leads::End { kept, place, run } => gateway.start_by_end(&event, &kept, place, &run).await,
                Leads::Wait { run, step } => {
                    gateway.give_event(&event, (run, step), names).await.map(|()| None)
                }
            }
        });
        let mut outcomes = std::pin::pin!(outcomes.buffered(UNDER_WAY_MAX));
        while let Some(outcome) = outcomes.next().await {
            if let Some(skipped) = outcome? {
                self.places.skip(skipped);
            }
        }
        Ok(())
    }

    /// Has the state remember how far the events were followed, and what they did not start.
    async fn tell(&mut self) -> Result<(), Stop> {
        let Some((upto, skipped)) = self.places.take_told() else { return Ok(()) };
        for report in &skipped {
            let (workflow, trigger, seq, count) =
                (&report.workflow, &report.trigger, report.seq, report.count);
            warn!(%workflow, %trigger, seq, count, cause = report.cause.name(), detail = %report.detail,
                  "events started no runs");
        }
        let outcome = self.gateway.until_decided(None, Command::FollowEvents { upto, skipped }).await?;
        if let Err(rejection) = outcome.result {
            warn!(%rejection, "how far events were followed was refused");
        }
        Ok(())
    }
}

/// An event's place; where it is gone, the log index is that of the beginning.
async fn place_of(gateway: &Gateway, seq: u64) -> Result<Followed, Stop> {
    match gateway.cluster.events_since(seq.saturating_sub(1), 1, |_| true).await {
        Ok(page) => Ok(Followed { seq, rev: page.events.first().map_or(0, |event| event.rev) }),
        Err(EventsError::Compacted { .. }) => Ok(Followed { seq, rev: 0 }),
        Err(EventsError::Read(error)) => Err(error.into()),
    }
}

impl Gateway {
    /// Proposes until somebody decides, as long as this node leads.
    async fn until_decided(
        &self,
        idempotency: Option<Idempotency>,
        command: Command,
    ) -> Result<Outcome, Stop> {
        let mut pause = PAUSE_MIN;
        while self.cluster.leadership().is_leader {
            match self.propose(idempotency, command.clone()).await {
                Ok(outcome) => return Ok(outcome),
                Err(refusal) if refusal.code() == codes::SHUTTING_DOWN => return Err(Stop::Ends),
                Err(refusal) => {
                    debug!(detail = refusal.detail(), "what an event leads to is proposed again");
                    sleep(pause).await;
                }
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Err(Stop::Deposed)
    }
}
