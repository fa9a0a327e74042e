//! What a node is started with, and why it does not start.
//! Knows nothing of files or flags; `node` fills this in.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use openraft::{Config, SnapshotPolicy};
use orc_domain::NodeId;

use crate::{
    batcher::BatchLimits,
    error::{EXIT_DATA, FatalHandler, StartError, exit_when_fatal},
    membership::MembershipError,
    store::EventsKept,
};

/// What a node is started with.
#[derive(Clone)]
pub struct ReplicaOptions {
    /// Its id; never reused in its cluster.
    pub node: NodeId,
    /// Where its data lives.
    pub data_dir: PathBuf,
    /// Where it listens for other nodes; port 0 takes a free one.
    pub peer_listen: SocketAddr,
    /// Where other nodes reach it, `host:port`; where it listens if none.
    pub peer_advertise: Option<String>,
    /// Where clients reach it, a base URL; for others to show.
    pub http_addr: String,
    /// What to do with an empty data folder. A folder with data just goes on.
    pub mode: Mode,
    /// How fast things happen.
    pub timings: Timings,
    /// How much is packed, kept and waiting.
    pub limits: Limits,
    /// Hears of the first error after which the node cannot go on.
    pub fatal: FatalHandler,
}

impl ReplicaOptions {
    /// A node with default timings and limits that listens on any address.
    pub fn new(node: NodeId, data_dir: PathBuf, mode: Mode) -> Self {
        ReplicaOptions {
            node,
            data_dir,
            peer_listen: SocketAddr::from(([0, 0, 0, 0], 7520)),
            peer_advertise: None,
            http_addr: String::new(),
            mode,
            timings: Timings::default(),
            limits: Limits::default(),
            fatal: exit_when_fatal(),
        }
    }
}

/// What a node does with an empty data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Found a cluster with this node as its only member.
    Bootstrap,
    /// Join the cluster of any node at these addresses.
    Join(Vec<String>),
    /// Refuse: there must be data.
    Restart,
}

/// How fast things happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// Between two heartbeats of a leader; also how long an append may take.
    pub heartbeat: Duration,
    /// The shortest silence of a leader before an election; so long its followers vote for no other.
    pub election_min: Duration,
    /// The longest.
    pub election_max: Duration,
    /// How long a call waits for a leader before it says that there is none.
    pub leader_patience: Duration,
    /// How long a node tries to join.
    pub join_patience: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Timings {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(500),
            election_max: Duration::from_millis(1000),
            leader_patience: Duration::from_secs(1),
            join_patience: Duration::from_secs(60),
        }
    }
}

/// How much is packed, kept and waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Packing proposals.
    pub batch: BatchLimits,
    /// Log records between two snapshots.
    pub snapshot_every: u64,
    /// Log records kept behind a snapshot, so that a node that was away for a moment needs none.
    pub records_kept: u64,
    /// Which events are kept.
    pub events_kept: EventsKept,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            batch: BatchLimits::default(),
            snapshot_every: 20_000,
            records_kept: 5_000,
            events_kept: EventsKept::default(),
        }
    }
}

/// The entries of one append; their bytes are limited by the log.
const APPEND_ENTRIES_MAX: u64 = 256;
const SNAPSHOT_INSTALL_MS: u64 = 600_000;

pub(super) fn raft_config(timings: &Timings, limits: &Limits) -> Result<Arc<Config>, StartFailure> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let config = Config {
        cluster_name: "orc".into(),
        heartbeat_interval: millis(timings.heartbeat),
        // Openraft never stands by itself, see `election.rs`; of its time-outs the lease of a leader is left, the longer one.
        enable_elect: false,
        election_timeout_min: millis(timings.election_min).saturating_sub(1),
        election_timeout_max: millis(timings.election_min),
        max_payload_entries: APPEND_ENTRIES_MAX,
        install_snapshot_timeout: SNAPSHOT_INSTALL_MS,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(limits.snapshot_every),
        max_in_snapshot_log_to_keep: limits.records_kept,
        replication_lag_threshold: limits.snapshot_every.saturating_mul(2),
        ..Config::default()
    };
    config.validate().map(Arc::new).map_err(|error| StartFailure::Config(error.to_string()))
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFailure {
    /// Its data.
    #[error(transparent)]
    Data(#[from] StartError),
    /// Its settings contradict each other.
    #[error("the timings make no sense: {0}")]
    Config(String),
    /// Its port.
    #[error("{address} cannot be listened on")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing to go on with.
    #[error(
        "the data folder {0} is empty: found a cluster with `--bootstrap` or join one with `--join HOST:PORT`"
    )]
    NoData(PathBuf),
    /// It was told to join, and nobody let it in.
    #[error("no cluster could be joined in time; the last try: {0}")]
    NotJoined(String),
    /// The cluster does not want it.
    #[error("the cluster refuses this node: {0}")]
    Refused(MembershipError),
    /// Consensus did not start.
    #[error("consensus did not start: {0}")]
    Raft(String),
}

impl StartFailure {
    /// What the process should exit with.
    pub fn exit_code(&self) -> i32 {
        match self {
            StartFailure::Data(error) => error.exit_code(),
            StartFailure::Raft(_) => EXIT_DATA,
            StartFailure::Refused(_) => 77,
            StartFailure::Config(_) | StartFailure::NoData(_) => 64,
            StartFailure::Listen { .. } | StartFailure::NotJoined(_) => 69,
        }
    }
}
