//! Who answers a load: worker processes of this program, and components inside the bench itself.
//! Knows nothing of what is measured.

use std::{fs::File, path::Path, process::Stdio, time::Duration};

use orc_client::{
    Client, Worker, WorkerError,
    wire::{ComponentStatus, ComponentsQuery},
};
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{BenchError, Options, scene::turned};

/// How long a component may take to connect.
const CONNECTED_WITHIN: Duration = Duration::from_secs(20);
/// How long those inside may take to end.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Starts worker processes, each connected to another node first, with their logs in `folder`; with their ids.
pub(super) fn start(
    urls: &[String],
    options: &Options,
    folder: &Path,
) -> Result<Vec<(String, Child)>, BenchError> {
    let program = std::env::current_exe().map_err(BenchError::io("finding this program"))?;
    let mut started = Vec::new();
    for number in 0..options.workers {
        let id = format!("bench-{}-w{number}", std::process::id());
        let log = File::create(folder.join(format!("{id}.log"))).map_err(BenchError::io("a worker's log"))?;
        let process = Command::new(&program)
            .args(["worker", "--allow", "echo", "--name", &id, "--slots", &options.slots.to_string()])
            .args(["--addr", &turned(urls, usize::from(number)).join(",")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(BenchError::io("starting a worker"))?;
        started.push((id, process));
    }
    Ok(started)
}

/// Waits until all these components are connected.
pub(super) async fn connected(client: &Client, ids: &[String]) -> Result<(), BenchError> {
    let deadline = Instant::now() + CONNECTED_WITHIN;
    for id in ids {
        loop {
            let seen = client.components().get(id).await;
            if seen.as_ref().is_ok_and(|component| component.status == ComponentStatus::Connected) {
                break;
            }
            if Instant::now() > deadline {
                let last =
                    seen.map_or_else(|error| error.to_string(), |component| component.status.to_string());
                return Err(BenchError::Missing(format!("component {id} does not connect: {last}")));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

/// Checks that some connected worker offers `echo`.
pub(super) async fn some_echo(client: &Client) -> Result<(), BenchError> {
    let components = client.components().list(&ComponentsQuery::default()).await?;
    let echoes = components.items.iter().any(|component| {
        let offers = component.capabilities.iter().any(|action| action == "echo");
        component.status == ComponentStatus::Connected && component.slots > 0 && offers
    });
    if echoes {
        return Ok(());
    }
    Err(BenchError::Missing(
        "no connected worker offers `echo`: start one, or leave out --workers 0".to_owned(),
    ))
}

/// Components inside the bench; dropping them ends them.
pub(super) struct Inside {
    tasks: JoinSet<Result<(), WorkerError>>,
    stop: watch::Sender<bool>,
}

impl Inside {
    /// Starts them and waits until they are connected.
    pub(super) async fn start(client: &Client, workers: Vec<(String, Worker)>) -> Result<Inside, BenchError> {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut ids = Vec::new();
        for (id, worker) in workers {
            let mut stopped = stopped.clone();
            // A closed channel is as good as the word.
            let told = async move { drop(stopped.wait_for(|stop| *stop).await) };
            tasks.spawn(worker.id(&id).drain_timeout(END_WITHIN).run(told));
            ids.push(id);
        }
        connected(client, &ids).await?;
        Ok(Inside { tasks, stop })
    }

    /// Ends them in order.
    pub(super) async fn end(mut self) {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // What has not ended then is aborted.
        tokio::time::timeout(END_WITHIN, all).await.ok();
    }
}
