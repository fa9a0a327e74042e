//! What all parts of a round share: the folder it is recorded in, the clock of the history, and whether the load goes on.
//! Knows nothing of nodes.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use anyhow::{Context, Result};
use orc_check::{
    history::{Call, Outcome, Recorder},
    receipts::{self, Got},
};
use tokio::{sync::watch, time::Instant};

/// What the load is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    Going,
    Held,
    Over,
    Closed,
}

/// Shared by the load and the faults of a round.
pub struct Scene {
    folder: PathBuf,
    began: Instant,
    load: watch::Sender<Load>,
    /// Components take nothing for a while.
    rests: watch::Sender<bool>,
    history: Recorder<File>,
    receipts: receipts::Recorder<File>,
    /// The address of every place where a node may be.
    pub urls: Vec<String>,
    /// Where nodes are in the end.
    last: OnceLock<Vec<usize>>,
}

impl Scene {
    /// A round that is recorded in this folder.
    pub fn new(folder: &Path, urls: Vec<String>) -> Result<Arc<Self>> {
        let history = Recorder::new(File::create(folder.join("history.jsonl"))?);
        let receipts = receipts::Recorder::new(File::create(folder.join("receipts.jsonl"))?);
        let (folder, began) = (folder.to_owned(), Instant::now());
        let (load, rests) = (watch::Sender::new(Load::Going), watch::Sender::new(false));
        Ok(Arc::new(Scene { folder, began, load, rests, history, receipts, urls, last: OnceLock::new() }))
    }

    /// Nanoseconds since it began, on the clock of all its parts.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A new file of the record.
    pub fn file(&self, name: &str) -> Result<File> {
        Ok(File::create(self.folder.join(name))?)
    }

    /// Lets the load wait between two calls, or go on.
    pub fn hold(&self, held: bool) {
        self.load.send_replace(if held { Load::Held } else { Load::Going });
    }

    /// Lets components take nothing, or go on.
    pub fn rest(&self, rests: bool) {
        self.rests.send_replace(rests);
    }

    /// Waits while components are to take nothing.
    pub async fn rested(&self) {
        // The sender is here as long as this is.
        let _ = self.rests.subscribe().wait_for(|rests| !rests).await;
    }

    /// The load ends.
    pub fn finish(&self) {
        self.load.send_replace(Load::Over);
    }

    /// Components end, too: there is nothing more to do. Nodes are at these addresses.
    pub fn close(&self, urls: &[String]) -> Result<()> {
        let places = urls.iter().map(|url| self.place(url)).collect::<Result<Vec<usize>>>()?;
        // It is closed once.
        let _ = self.last.set(places);
        self.load.send_replace(Load::Closed);
        Ok(())
    }

    /// A place where a node is in the end; each has one of its own, as far as there are as many.
    pub fn last_place(&self, number: usize) -> usize {
        let places = self.last.get().filter(|places| !places.is_empty());
        places.map_or(number % self.urls.len(), |places| places[number % places.len()])
    }

    /// Whether the load is to end.
    pub fn is_over(&self) -> bool {
        matches!(*self.load.borrow(), Load::Over | Load::Closed)
    }

    /// Whether components are to end.
    pub fn is_closed(&self) -> bool {
        *self.load.borrow() == Load::Closed
    }

    /// Returns when components are to end.
    pub async fn closed(&self) {
        // The sender is here as long as this is.
        let _ = self.load.subscribe().wait_for(|load| *load == Load::Closed).await;
    }

    /// Waits while the load is held; whether it is to go on.
    pub async fn goes_on(&self) -> bool {
        let mut load = self.load.subscribe();
        load.wait_for(|load| *load != Load::Held).await.is_ok_and(|load| *load == Load::Going)
    }

    /// The name of whatever node is at this place of the addresses: of the first ones, which begin there.
    pub fn node(place: usize) -> String {
        format!("node-{}", place + 1)
    }

    /// The place of an address.
    pub fn place(&self, url: &str) -> Result<usize> {
        self.urls.iter().position(|known| known == url).with_context(|| format!("no node was ever at {url}"))
    }

    /// A component got something.
    pub fn got(&self, component: &str, got: Got) -> Result<()> {
        Ok(self.receipts.got(component, self.now(), got)?)
    }

    /// Makes a call with its lines in the history.
    pub async fn recorded(
        &self,
        (process, op): (&str, u64),
        (node, call): (&str, Call),
        asked: impl Future<Output = Outcome>,
    ) -> Result<Outcome> {
        self.history.called(process, op, self.now(), (node, &call))?;
        let outcome = asked.await;
        self.history.returned(process, op, self.now(), &outcome)?;
        Ok(outcome)
    }
}
