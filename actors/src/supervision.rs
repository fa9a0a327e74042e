//! What every actor answers to, and how one is started again after it died: a panic in a handler ends an actix actor
//! for good, and its `Supervisor` does not restart it.

use std::{sync::Arc, time::Duration};

use actix::{dev::ToEnvelope, prelude::*};
use parking_lot::RwLock;
use tokio::sync::Semaphore;

use crate::seam::Leadership;

/// Calls an actor again and again. After a standstill it is called once: `run_interval` would make up for every call missed.
pub(crate) fn every<A>(ctx: &mut Context<A>, pause: Duration, call: fn(&mut A, &mut Context<A>))
where
    A: Actor<Context = Context<A>>,
{
    ctx.run_later(pause, move |actor, ctx| {
        call(actor, ctx);
        every(ctx, pause, call);
    });
}

/// Asks whether an actor still works through its mailbox.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Ping;

/// Asks an actor to end.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

/// Tells an actor who leads.
#[derive(Message, Clone, Copy)]
#[rtype(result = "()")]
pub(crate) struct Leads(pub(crate) Leadership);

/// A running actor, by what the orchestrator asks of it.
struct Link {
    ping: Recipient<Ping>,
    stop: Recipient<Stop>,
    leads: Option<Recipient<Leads>>,
}

/// An actor that the orchestrator keeps running.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    start: Box<dyn Fn() -> Link>,
    link: Option<Link>,
    told: Option<Leadership>,
    pub(crate) restarts: u64,
}

/// An actor that wants to know who leads.
pub(crate) fn leader_only<A>(name: &'static str, make: impl Fn() -> A + 'static) -> Member
where
    A: Actor<Context = Context<A>> + Handler<Ping> + Handler<Stop> + Handler<Leads>,
{
    let start = move || {
        let address = make().start();
        let leads = Some(address.clone().recipient());
        Link { ping: address.clone().recipient(), stop: address.recipient(), leads }
    };
    Member { name, start: Box::new(start), link: None, told: None, restarts: 0 }
}

/// An actor that callers reach through a door.
pub(crate) fn behind<A>(name: &'static str, door: Door<A>, make: impl Fn() -> A + 'static) -> Member
where
    A: Actor<Context = Context<A>> + Handler<Ping> + Handler<Stop>,
{
    let start = move || {
        let address = make().start();
        door.lead_to(address.clone());
        Link { ping: address.clone().recipient(), stop: address.recipient(), leads: None }
    };
    Member { name, start: Box::new(start), link: None, told: None, restarts: 0 }
}

impl Member {
    /// Starts the actor if it does not run, and tells it who leads if it does not know.
    pub(crate) fn keep(&mut self, leadership: Leadership) {
        let alive = self.link.as_ref().is_some_and(|link| link.ping.connected());
        if !alive {
            if self.link.is_some() {
                self.restarts += 1;
                tracing::error!(
                    actor = self.name,
                    restarts = self.restarts,
                    "an actor died: starting it again"
                );
            }
            self.link = Some((self.start)());
            self.told = None;
        }
        let leads = self.link.as_ref().and_then(|link| link.leads.as_ref());
        if self.told != Some(leadership)
            && let Some(leads) = leads
            // A full mailbox is told the next time round.
            && leads.try_send(Leads(leadership)).is_ok()
        {
            self.told = Some(leadership);
        }
    }

    /// Asks for a sign of life.
    pub(crate) fn ping(&self) -> Option<impl Future<Output = bool> + use<>> {
        let answer = self.link.as_ref()?.ping.send(Ping);
        Some(async move { answer.await.is_ok() })
    }

    /// Asks the actor to end.
    pub(crate) fn stop(&mut self) -> Option<impl Future<Output = ()> + use<>> {
        let answer = self.link.take()?.stop.send(Stop);
        Some(async move {
            if let Err(error) = answer.await {
                tracing::debug!(%error, "an actor had ended before it was asked to");
            }
        })
    }
}

/// Messages that may be on their way to one actor.
const MESSAGES_MAX: usize = 256;

/// The way to an actor that may be recreated, for at most [`MESSAGES_MAX`] callers at once: every clone of an `Addr`
/// would have a slot of its own beyond the mailbox's bound.
pub(crate) struct Door<A: Actor> {
    address: Arc<RwLock<Option<Addr<A>>>>,
    places: Arc<Semaphore>,
}

impl<A: Actor> Clone for Door<A> {
    fn clone(&self) -> Self {
        Door { address: self.address.clone(), places: self.places.clone() }
    }
}

/// The actor did not answer: it is being recreated, overloaded or stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the actor did not answer")]
pub struct NoAnswer;

impl<A: Actor> Door<A> {
    pub(crate) fn new() -> Self {
        Door { address: Arc::default(), places: Arc::new(Semaphore::new(MESSAGES_MAX)) }
    }

    pub(crate) fn lead_to(&self, address: Addr<A>) {
        *self.address.write() = Some(address);
    }

    /// The actor's answer. A task asks for it: a place of whoever asks and does not go on would belong to nobody.
    pub(crate) async fn send<M>(&self, message: M, within: Duration) -> Result<M::Result, NoAnswer>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let place = self.places.clone().try_acquire_owned().map_err(|_| NoAnswer)?;
        let door = self.clone();
        let asked = tokio::spawn(async move {
            let _place = place;
            let answer = async { door.opened().await.send(message).await.map_err(|_| NoAnswer) };
            tokio::time::timeout(within, answer).await.map_err(|_| NoAnswer)?
        });
        asked.await.map_err(|_| NoAnswer)?
    }

    /// The actor, once it runs.
    async fn opened(&self) -> Addr<A> {
        loop {
            let address = self.address.read().clone();
            if let Some(address) = address.filter(Addr::connected) {
                return address;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    struct Quick;

    impl Actor for Quick {
        type Context = Context<Self>;
    }

    impl Handler<Ping> for Quick {
        type Result = ();

        fn handle(&mut self, _: Ping, _: &mut Context<Self>) {}
    }

    #[test]
    fn whoever_asks_and_does_not_go_on_keeps_no_place() {
        const WITHIN: Duration = Duration::from_secs(5);
        System::new().block_on(async {
            let door = Door::new();
            door.lead_to(Quick.start());
            let mut asked: Vec<_> = (0..MESSAGES_MAX).map(|_| Box::pin(door.send(Ping, WITHIN))).collect();
            for one in &mut asked {
                assert!(one.now_or_never().is_none(), "asked, and not gone on");
            }
            assert_eq!(door.send(Ping, WITHIN).await, Err(NoAnswer), "so many are on their way");
            let all_back = async {
                while door.places.available_permits() < MESSAGES_MAX {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(WITHIN, all_back).await.expect("the actor has answered them");
            assert_eq!(door.send(Ping, WITHIN).await, Ok(()));
            assert_eq!(asked.remove(0).await, Ok(()), "the answer waits for whoever comes back");
        });
    }
}
