//! What all parts of a round share: the folder it is recorded in, the clock of the history, and whether it is over.
//! Knows nothing of nodes.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Result;
use orc_check::history::{Call, Outcome, Recorder};
use tokio::time::Instant;

/// Shared by the load and the faults of a round.
pub struct Scene {
    folder: PathBuf,
    began: Instant,
    over: AtomicBool,
    history: Recorder<File>,
    /// Every node's address.
    pub urls: Vec<String>,
}

impl Scene {
    /// A round that is recorded in this folder.
    pub fn new(folder: &Path, urls: Vec<String>) -> Result<Arc<Self>> {
        let history = Recorder::new(File::create(folder.join("history.jsonl"))?);
        let (folder, began, over) = (folder.to_owned(), Instant::now(), AtomicBool::new(false));
        Ok(Arc::new(Scene { folder, began, over, history, urls }))
    }

    /// Nanoseconds since it began, on the clock of all its parts.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A new file of the record.
    pub fn file(&self, name: &str) -> Result<File> {
        Ok(File::create(self.folder.join(name))?)
    }

    /// The load ends.
    pub fn finish(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Whether the load is to end.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The name of the node at this place of the addresses.
    pub fn node(place: usize) -> String {
        format!("node-{}", place + 1)
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
