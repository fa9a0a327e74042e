//! Work that goes on beside everything else until it has nothing left to do: a thread, or a task of a simulated node.
//! Knows nothing of how it is told to end.

use std::{io, thread};

use crate::{GivenUp, blocking};

/// Work under way.
#[derive(Debug)]
#[must_use = "nobody else waits for its end"]
pub struct Worker(Kind);

#[derive(Debug)]
enum Kind {
    Thread(thread::JoinHandle<()>),
    Task(tokio::task::JoinHandle<()>),
}

impl Worker {
    /// Starts it on a thread of this name.
    pub fn start(name: &str, work: impl Future<Output = ()> + Send + 'static) -> io::Result<Worker> {
        if crate::SIMULATED {
            return Ok(Worker(Kind::Task(tokio::spawn(work))));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(work))?;
        Ok(Worker(Kind::Thread(thread)))
    }

    /// Starts what cannot leave its thread once it has begun, and may spawn more of its kind.
    pub fn start_local<F: Future<Output = ()> + 'static>(
        name: &str,
        begin: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<Worker> {
        if crate::SIMULATED {
            return Ok(Worker(Kind::Task(tokio::task::spawn_local(begin()))));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let work = move || tokio::task::LocalSet::new().block_on(&runtime, async { begin().await });
        Ok(Worker(Kind::Thread(thread::Builder::new().name(name.to_owned()).spawn(work)?)))
    }

    /// Waits for the end of a thread, unless it is the caller's own; blocks. Whoever works tells of a panic by itself.
    pub fn join(self) {
        if let Kind::Thread(thread) = self.0
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it panicked.
    pub async fn ended(self) -> Result<(), GivenUp> {
        match self.0 {
            Kind::Thread(thread) => blocking(move || thread.join()).await?.map_err(|_| GivenUp),
            Kind::Task(task) => task.await.map_err(|_| GivenUp),
        }
    }
}
