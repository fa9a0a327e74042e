//! Nodes in one process on loopback, each with a folder and a port that outlive it.
//! Knows nothing of what the tests prove.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use orc_domain::{
    Command, Expect, Json, NewTask, NodeId, Outcome, Priority, Proposal, StateKey, TaskId, Text, Unavailable,
};
use orc_raft::{
    replica::{Mode, Replica, ReplicaOptions, StartFailure},
    status::{NodeStatus, Role},
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until `look` yields something.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < until, "it never happened: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// One place for a node: its folder and its port outlive it.
pub struct Place {
    pub id: u64,
    pub folder: PathBuf,
    pub address: Option<SocketAddr>,
    pub replica: Option<Replica>,
}

impl Place {
    pub fn node(&self) -> &Replica {
        self.replica.as_ref().expect("it runs")
    }

    pub fn options(&self, mode: Mode) -> ReplicaOptions {
        let mut options = ReplicaOptions::new(NodeId(self.id), self.folder.clone(), mode);
        options.peer_listen = self.address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        options.http_addr = format!("http://node-{}", self.id);
        options.fatal = Arc::new(|fatal| panic!("a node cannot go on: {fatal}"));
        options.timings.join_patience = Duration::from_secs(20);
        options
    }

    pub async fn start(&mut self, options: ReplicaOptions) {
        let replica =
            eventually("the data folder and the port are free again", async || {
                match Replica::start(options.clone()).await {
                    Ok(replica) => Some(replica),
                    Err(StartFailure::Data(_) | StartFailure::Listen { .. }) => None,
                    Err(failure) => panic!("node {} does not start: {failure:?}", options.node),
                }
            });
        let replica = replica.await;
        self.address = Some(replica.peer_address());
        self.replica = Some(replica);
    }

    /// Gone, as after `kill -9`.
    pub fn kill(&mut self) {
        self.replica = None;
    }
}

pub struct Cluster {
    pub root: tempfile::TempDir,
    pub places: Vec<Place>,
    pub tune: fn(&mut ReplicaOptions),
}

impl Cluster {
    pub async fn of(size: u64) -> Cluster {
        Cluster::tuned(size, |_| {}).await
    }

    pub async fn tuned(size: u64, tune: fn(&mut ReplicaOptions)) -> Cluster {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let mut cluster = Cluster { root: tempfile::tempdir().expect("a folder"), places: Vec::new(), tune };
        for _ in 0..size {
            cluster.grow().await;
        }
        cluster
    }

    /// One more voter.
    pub async fn grow(&mut self) -> usize {
        let id = self.places.len() as u64 + 1;
        let folder = self.root.path().join(format!("node-{id}"));
        let mut place = Place { id, folder, address: None, replica: None };
        let mode = self.places.first().map_or(Mode::Bootstrap, |_| Mode::Join(self.addresses()));
        let mut options = place.options(mode);
        (self.tune)(&mut options);
        place.start(options).await;
        self.places.push(place);
        eventually("the new node votes", async || {
            let status = self.running().next()?.status().await;
            status
                .nodes
                .iter()
                .any(|node| node.id == id && node.voter && node.role != Role::Down)
                .then_some(())
        })
        .await;
        self.places.len() - 1
    }

    pub fn addresses(&self) -> Vec<String> {
        self.places.iter().filter_map(|place| place.address).map(|address| address.to_string()).collect()
    }

    pub async fn restart(&mut self, place: usize) {
        let mut options = self.places[place].options(Mode::Restart);
        (self.tune)(&mut options);
        self.places[place].start(options).await;
    }

    pub fn running(&self) -> impl Iterator<Item = &Replica> {
        self.places.iter().filter_map(|place| place.replica.as_ref())
    }

    /// The place of a running leader.
    pub async fn leader(&self) -> usize {
        let leads = |place: &Place| {
            place.replica.as_ref().is_some_and(|replica| replica.leadership().borrow().is_leader)
        };
        eventually("one of them leads", async || self.places.iter().position(leads)).await
    }

    pub async fn follower(&self) -> usize {
        let leader = self.leader().await;
        (0..self.places.len())
            .find(|place| *place != leader && self.places[*place].replica.is_some())
            .expect("more than one runs")
    }

    /// Waits until all that run have applied the same and hashed it to the same.
    pub async fn agree(&self) {
        let mut last = Vec::new();
        let agreed = async || {
            last.clear();
            for replica in self.running() {
                let NodeStatus { applied, state_hash, .. } = replica.node_status().await;
                last.push((applied?, state_hash?));
            }
            last.windows(2).all(|pair| pair[0] == pair[1]).then_some(())
        };
        eventually("all are at the same index with the same hash", agreed).await;
    }
}

pub fn key(name: &str) -> StateKey {
    name.parse().expect("a state key")
}

pub fn set(name: &str, value: &str) -> Proposal {
    Command::SetState { key: key(name), value: Some(Json::from(value)), expect: Expect::Any }.into()
}

pub fn create_task(number: u128) -> Proposal {
    let task = NewTask {
        id: TaskId::Single(Uuid::from_u128(number)),
        name: Text::from("a task"),
        action: Text::from("echo"),
        payload: Json::null(),
        priority: Priority::Normal,
        labels: Default::default(),
        dependencies: Vec::new(),
        timeout: None,
        queue_timeout: None,
        retry: None,
        run_at: None,
        total_timeout: None,
        heartbeat_timeout: None,
        requeued_from: None,
    };
    Command::CreateTasks { tasks: vec![task] }.into()
}

pub async fn one(replica: &Replica, proposal: Proposal) -> Result<Outcome, Unavailable> {
    replica.submit(vec![proposal]).await.pop().expect("one answer")
}

/// Proposes until it is done; what is asked has the same effect twice.
pub async fn done(replica: &Replica, proposal: Proposal) -> Outcome {
    let until = Instant::now() + PATIENCE;
    loop {
        match one(replica, proposal.clone()).await {
            Ok(outcome) => return outcome,
            Err(why) => assert!(Instant::now() < until, "a proposal is never decided: {why}"),
        }
    }
}

pub async fn value(replica: &Replica, name: &str) -> Option<String> {
    eventually("a linearizable read", async || replica.read_barrier().await.ok()).await;
    Some(replica.reader().key(&key(name))?.value.as_ref()?.as_str().to_owned())
}
