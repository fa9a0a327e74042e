//! Durable messages under load: senders with numbers of their own, one component that notes what it handles, and what must
//! hold of the notes. Knows nothing of who is killed meanwhile.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Result, ensure};
use orc_client::{Client, TaskError, Worker, wire::MessagesQuery};
use serde_json::json;
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};

const COMPONENT: &str = "inbox";

/// What the component has handled: senders and their numbers, in order.
type Notes = Arc<Mutex<Vec<(u32, u32)>>>;

/// Senders and a component at work.
pub struct DurableLoad {
    client: Client,
    notes: Notes,
    senders: Vec<JoinHandle<Result<()>>>,
    each: u32,
    stop: Option<oneshot::Sender<()>>,
    worker: JoinHandle<()>,
    begun: Instant,
}

/// What came of it.
#[derive(Debug)]
pub struct DurableReport {
    /// Messages sent and acknowledged by the cluster.
    pub sent: u32,
    /// Of them, how many the component handled more than once.
    pub doubled: usize,
    /// From the first message to the last one handled.
    pub lasted: Duration,
}

impl DurableLoad {
    /// Lets `senders` send `each` messages, one after another, to one component, which `worker` connects.
    pub async fn start(client: Client, worker: Client, senders: u32, each: u32) -> Result<Self> {
        client.components().register(COMPONENT, &Default::default()).await?;
        client.cluster().set_config(&json!({"components": {"maxQueueSize": senders * each}})).await?;
        let notes = Notes::default();
        let noted = notes.clone();
        let worker =
            Worker::new(worker).id(COMPONENT).slots(0).on_message("n", move |numbers: (u32, u32)| {
                noted.lock().expect("nobody panics with it").push(numbers);
                async { Ok::<_, TaskError>(()) }
            });
        let (stop, stopped) = oneshot::channel::<()>();
        let worker = tokio::spawn(async move {
            let ended = worker.run(async move {
                // A dropped sender stops it, too.
                let _ = stopped.await;
            });
            ended.await.expect("the worker ends well");
        });
        let send = |sender: u32| {
            let client = client.clone();
            tokio::spawn(async move {
                for number in 0..each {
                    client.components().send_durable(COMPONENT, "n", (sender, number)).await?;
                }
                Ok(())
            })
        };
        let senders = (0..senders).map(send).collect();
        let begun = Instant::now();
        Ok(DurableLoad { client, notes, senders, each, stop: Some(stop), worker, begun })
    }

    /// Messages handled so far.
    pub fn handled(&self) -> usize {
        self.notes.lock().expect("nobody panics with it").len()
    }

    /// Waits until everything is sent and handled, then says whether each came, and in order.
    pub async fn finish(mut self, within: Duration) -> Result<DurableReport> {
        let senders = u32::try_from(self.senders.len())?;
        for sender in self.senders.drain(..) {
            sender.await??;
        }
        let deadline = Instant::now() + within;
        let query = MessagesQuery { limit: Some(1), ..MessagesQuery::default() };
        while !self.client.components().queue(COMPONENT, &query).await?.items.is_empty() {
            ensure!(Instant::now() < deadline, "messages are left in the queue after {within:?}");
            sleep(Duration::from_millis(50)).await;
        }
        let lasted = self.begun.elapsed();
        drop(self.stop.take());
        self.worker.await?;
        let dead = self.client.components().dead_messages(&query).await?;
        ensure!(dead.items.is_empty(), "given up: {:?}", dead.items);
        let notes = self.notes.lock().expect("nobody panics with it");
        let doubled = in_order(&notes, senders, self.each)?;
        Ok(DurableReport { sent: senders * self.each, doubled, lasted })
    }
}

/// Each number of each sender comes, the first time after the one before it; how many come again.
fn in_order(notes: &[(u32, u32)], senders: u32, each: u32) -> Result<usize> {
    let mut next: BTreeMap<u32, u32> = BTreeMap::new();
    let mut doubled = 0;
    for (sender, number) in notes {
        let expected = next.entry(*sender).or_default();
        ensure!(number <= expected, "sender {sender}: {number} came before {expected}");
        match number == expected {
            true => *expected += 1,
            false => doubled += 1,
        }
    }
    for sender in 0..senders {
        let got = next.get(&sender).copied().unwrap_or(0);
        ensure!(got == each, "sender {sender}: {got} of {each} came");
    }
    Ok(doubled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_losses_and_doubles_are_told_apart() {
        assert_eq!(in_order(&[(0, 0), (1, 0), (0, 1), (0, 0), (1, 1)], 2, 2).expect("in order"), 1);
        assert!(in_order(&[(0, 1), (0, 0)], 1, 2).is_err(), "out of order");
        assert!(in_order(&[(0, 0)], 1, 2).is_err(), "lost");
    }
}
