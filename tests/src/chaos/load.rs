//! Everybody who makes the load of a round, by when they end: clients first, components when all work is done, watchers when
//! they have seen the last change. Knows nothing of faults.

use std::sync::Arc;

use anyhow::{Context, Result};
use fastrand::Rng;
use orc_client::Client;
use tokio::task::JoinSet;

use super::{
    inbox,
    patient::{self, Calls},
    registers,
    scene::Scene,
    starts,
    timers::{self, Timers},
    watchers::Watcher,
    workers,
};

const REGISTERS: usize = 10;
/// Of these, those that stay with one node.
const AT_HOME: usize = 8;

/// All of them.
pub struct Load {
    clients: JoinSet<Result<()>>,
    patient: JoinSet<Result<Calls>>,
    timers: JoinSet<Result<Timers>>,
    components: JoinSet<Result<()>>,
    watchers: JoinSet<Result<()>>,
}

impl Load {
    /// Begins; `client` is for components that use the client library.
    pub fn start(scene: &Arc<Scene>, client: &Client, rng: &mut Rng) -> Result<Self> {
        let (mut clients, mut patient, mut timers) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        let (mut components, mut watchers) = (JoinSet::new(), JoinSet::new());
        for number in 0..REGISTERS {
            let home = (number < AT_HOME).then(|| number % scene.urls.len());
            let client = registers::Client::new(scene.clone(), format!("c{number}"), home, rng.fork())?;
            clients.spawn(client.work());
        }
        for number in 0..2 {
            clients.spawn(starts::work(scene.clone(), format!("s{number}"), rng.fork()));
            clients.spawn(inbox::send(scene.clone(), format!("m{number}"), rng.fork()));
            patient.spawn(patient::Client::new(scene.clone(), format!("p{number}"), rng.fork())?.work());
            let component = workers::Component::new(scene.clone(), format!("x{number}"), rng.fork())?;
            components.spawn(component.work());
        }
        for name in inbox::INBOXES {
            components.spawn(inbox::receive(scene.clone(), client.clone(), name, rng.fork()));
        }
        for _ in 0..4 {
            timers.spawn(timers::work(scene.clone(), rng.fork()));
        }
        for home in 0..3 {
            watchers.spawn(Watcher::new(scene.clone(), home, rng.fork())?.work());
        }
        Ok(Load { clients, patient, timers, components, watchers })
    }

    /// Waits for those who end with the load.
    pub async fn finish(&mut self) -> Result<(Calls, Timers)> {
        ended(&mut self.clients, drop).await.context("a client")?;
        let (mut calls, mut timers) = (Calls::default(), Timers::default());
        ended(&mut self.patient, |of_one| calls.add(of_one)).await.context("a client that retries")?;
        ended(&mut self.timers, |of_one| timers.add(of_one)).await.context("a client that waits")?;
        Ok((calls, timers))
    }

    /// Waits for those who end when the scene is closed.
    pub async fn components_end(&mut self) -> Result<()> {
        ended(&mut self.components, drop).await.context("a component")
    }

    /// Waits for those who end with the last change.
    pub async fn watchers_end(&mut self) -> Result<()> {
        ended(&mut self.watchers, drop).await.context("a watcher")
    }
}

async fn ended<T: 'static>(set: &mut JoinSet<Result<T>>, mut each: impl FnMut(T)) -> Result<()> {
    while let Some(ended) = set.join_next().await {
        each(ended??);
    }
    Ok(())
}
