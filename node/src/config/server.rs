//! A server's configuration, validated once: units in the types, every mistake at once.
//! Knows nothing of where the raw settings came from beyond their names.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use orc_domain::{ClusterConfig, NodeId};
use orc_raft::store::EventsKept;
use serde_json::Value;
use uuid::Uuid;

use super::{ConfigErrors, Layers, Preset, merge_cluster_config, reader::Reader};
use crate::{
    health::{RoomLimits, default_memory_max},
    logs::LogLimits,
};

/// Everything one node needs to know to start.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerConfig {
    /// Which member it is.
    pub node_id: NodeId,
    /// Where its data is.
    pub data_dir: PathBuf,
    /// The data folder is temporary and goes when the server ends.
    pub ephemeral: bool,
    /// Where it serves HTTP.
    pub listen: SocketAddr,
    /// Where it serves other nodes.
    pub peer_listen: SocketAddr,
    /// `host:port` at which clients reach it.
    pub advertise_http: String,
    /// `host:port` at which other nodes reach it.
    pub advertise_peer: String,
    /// How it becomes a member.
    pub start: Start,
    /// What the cluster's settings are when this node founds it.
    pub cluster: ClusterConfig,
    /// Bounds of its HTTP server.
    pub limits: Limits,
    /// Clocks of consensus.
    pub raft: RaftTimings,
    /// When the log is cut.
    pub snapshot: SnapshotPolicy,
    /// How logs are written.
    pub log_format: LogFormat,
    /// Sentences about settings that have no effect.
    pub notes: Vec<String>,
    /// How much is kept of what tasks log.
    pub task_logs: LogLimits,
    /// Which events are kept.
    pub events: EventsKept,
    /// With how little room on its disk it refuses new work, and ends.
    pub disk: RoomLimits,
    /// Bytes of memory above which it refuses new work.
    pub memory_max: u64,
    /// A file with secrets, `NAME=value` lines.
    pub secrets_file: Option<PathBuf>,
}

/// How a node becomes a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// It founds a cluster, unless its data says that it has one.
    Bootstrap,
    /// It asks these peers (`host:port`), unless its data says that it is a member.
    Join(Vec<String>),
    /// It is a member already.
    Existing,
}

/// Bounds of the HTTP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Of them from one address.
    pub connections_per_peer: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// Time for a request's headers to arrive.
    pub header_timeout: Duration,
    /// Time for a request's body to arrive.
    pub body_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub write_timeout: Duration,
}

/// Clocks of consensus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaftTimings {
    /// Between heartbeats of the leader.
    pub heartbeat: Duration,
    /// The shortest silence after which a follower stands for election.
    pub election_min: Duration,
    /// The longest.
    pub election_max: Duration,
}

/// When the log is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// Log entries between snapshots.
    pub every_entries: u64,
    /// Log entries kept behind a snapshot, for followers that lag.
    pub keep_entries: u64,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl ServerConfig {
    /// Validates the settings of all layers.
    pub fn of_layers(layers: &Layers) -> Result<ServerConfig, ConfigErrors> {
        let mut reader = Reader { layers, errors: Vec::new() };
        let preset =
            reader.word("preset", &Preset::ALL.map(|(word, _)| word)).and_then(|word| Preset::of(&word));
        let preset = preset.unwrap_or_default();
        let node_id = reader.number("node-id", (1, u64::from(u32::MAX)));
        if node_id.is_none() && layers.get("node-id").is_none() {
            reader.errors.push("node-id is not set: give each node its own number, --node-id 1".to_owned());
        }
        let (data_dir, ephemeral) = reader.data_dir(preset);
        let listen = reader.address("listen", ([127, 0, 0, 1], 7420).into());
        let peer_listen = reader.address("peer-listen", ([127, 0, 0, 1], 7520).into());
        let advertise = reader.text("advertise");
        let advertise_http = reader.advertised(advertise.as_deref(), listen, "listen");
        let advertise_peer = reader.advertised(advertise.as_deref(), peer_listen, "peer-listen");
        let start = reader.start();
        let (limits, raft, snapshot) = (reader.limits(), reader.raft(), reader.snapshot());
        let (task_logs, events, disk) = (reader.task_logs(), reader.events(), reader.disk());
        let memory_max = reader.size("memory.max", default_memory_max(), ("128MiB", "1024GiB"));
        let log_format = match reader.word("log.format", &["text", "json"]).as_deref() {
            Some("json") => LogFormat::Json,
            Some(_) | None => LogFormat::Text,
        };
        let (cluster, notes) = reader.cluster(preset);
        let secrets_file = reader.text("secrets-file").map(PathBuf::from);
        if !reader.errors.is_empty() {
            return Err(ConfigErrors(reader.errors));
        }
        Ok(ServerConfig {
            node_id: NodeId(node_id.unwrap_or(1)),
            data_dir,
            ephemeral,
            listen,
            peer_listen,
            advertise_http,
            advertise_peer,
            start,
            cluster,
            limits,
            raft,
            snapshot,
            log_format,
            notes,
            task_logs,
            events,
            disk,
            memory_max,
            secrets_file,
        })
    }
}

impl Reader<'_> {
    /// Where others reach a listener: the host given, else the address it listens at.
    fn advertised(&mut self, host: Option<&str>, listen: SocketAddr, key: &str) -> String {
        match host {
            Some(host) => format!("{host}:{}", listen.port()),
            None if listen.ip().is_unspecified() => {
                let message = format!(
                    "{key} is {listen}, at which nobody can reach it: name this host with --advertise HOST"
                );
                self.errors.push(message);
                listen.to_string()
            }
            None => listen.to_string(),
        }
    }

    fn data_dir(&mut self, preset: Preset) -> (PathBuf, bool) {
        if let Some(folder) = self.text("data-dir") {
            return (PathBuf::from(folder), false);
        }
        if preset == Preset::Testing {
            return (std::env::temp_dir().join(format!("orc-testing-{}", Uuid::now_v7().simple())), true);
        }
        if self.layers.get("data-dir").is_none() {
            self.errors
                .push("data-dir is not set: say where this node keeps its data, --data-dir D".to_owned());
        }
        (PathBuf::new(), false)
    }

    fn start(&mut self) -> Start {
        let bootstrap = match self.layers.get("bootstrap") {
            None => false,
            Some((Value::Bool(on), _)) => *on,
            Some((value, origin)) => {
                self.errors.push(format!("{origin}: must be true or false, not {value}"));
                false
            }
        };
        let join = self.join();
        match (bootstrap, join.is_empty()) {
            (true, false) => {
                self.errors.push(
                    "bootstrap and join exclude each other: one node founds the cluster, the others join it"
                        .to_owned(),
                );
                Start::Bootstrap
            }
            (true, true) => Start::Bootstrap,
            (false, false) => Start::Join(join),
            (false, true) => Start::Existing,
        }
    }

    fn join(&mut self) -> Vec<String> {
        let Some((value, origin)) = self.layers.get("join") else { return Vec::new() };
        let texts: Vec<String> = match value {
            Value::String(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
            Value::Array(items) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec![value.to_string()],
        };
        for text in &texts {
            let port = text
                .rsplit_once(':')
                .filter(|(host, _)| !host.is_empty())
                .map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(_))) {
                self.errors.push(format!(
                    "{origin}: `{text}` is not a member's peer address such as 127.0.0.1:7520"
                ));
            }
        }
        texts
    }

    fn limits(&mut self) -> Limits {
        let connections = self.number("limits.connections", (1, 1_000_000)).unwrap_or(1_024);
        // Half of them: whoever floods a node from one address leaves room for others, and a proxy in front of it is no flood.
        let per_peer = self.number("limits.connections-per-peer", (1, connections));
        let per_peer = per_peer.unwrap_or(connections.div_ceil(2));
        let body = self.size("limits.body", 1 << 20, ("1KiB", "1GiB"));
        Limits {
            connections: usize::try_from(connections).unwrap_or(usize::MAX),
            connections_per_peer: usize::try_from(per_peer).unwrap_or(usize::MAX),
            body: usize::try_from(body).unwrap_or(usize::MAX),
            header_timeout: self.duration("limits.header-timeout", Duration::from_secs(5)),
            body_timeout: self.duration("limits.body-timeout", Duration::from_secs(60)),
            write_timeout: self.duration("limits.write-timeout", Duration::from_secs(30)),
        }
    }

    fn raft(&mut self) -> RaftTimings {
        let timings = RaftTimings {
            heartbeat: self.duration("raft.heartbeat", Duration::from_millis(100)),
            election_min: self.duration("raft.election-min", Duration::from_millis(500)),
            election_max: self.duration("raft.election-max", Duration::from_millis(1000)),
        };
        if timings.election_min < timings.heartbeat * 2 || timings.election_max <= timings.election_min {
            let shown =
                format!("{:?}, {:?}, {:?}", timings.heartbeat, timings.election_min, timings.election_max);
            self.errors.push(format!(
                "raft: heartbeat, election-min, election-max are {shown}: election-min must be at least twice the heartbeat and below election-max"
            ));
        }
        timings
    }

    fn snapshot(&mut self) -> SnapshotPolicy {
        SnapshotPolicy {
            every_entries: self.number("snapshot.every-entries", (10, 100_000_000)).unwrap_or(20_000),
            keep_entries: self.number("snapshot.keep-entries", (0, 100_000_000)).unwrap_or(10_000),
        }
    }

    fn task_logs(&mut self) -> LogLimits {
        let default = LogLimits::default();
        LogLimits {
            owner_bytes: self.size("task-logs.bytes-per-run", default.owner_bytes, ("256KiB", "1GiB")),
            total_bytes: self.size("task-logs.bytes", default.total_bytes, ("1MiB", "1024GiB")),
            age_max: self.duration("task-logs.age", default.age_max),
        }
    }

    fn events(&mut self) -> EventsKept {
        let default = EventsKept::default();
        EventsKept {
            count: self.number("events.count", (1_000, 1_000_000_000)).unwrap_or(default.count),
            age: self.duration_from("events.age", Duration::from_secs(60), default.age),
        }
    }

    fn disk(&mut self) -> RoomLimits {
        let default = RoomLimits::default();
        let limits = RoomLimits {
            low_percent: self.number("disk.low-percent", (0, 90)).unwrap_or(default.low_percent),
            low_bytes: self.size("disk.low-bytes", default.low_bytes, ("0", "1024GiB")),
            out_percent: self.number("disk.full-percent", (0, 50)).unwrap_or(default.out_percent),
        };
        if limits.low_percent < limits.out_percent {
            self.errors.push(format!(
                "disk: low-percent ({}) must not be below full-percent ({})",
                limits.low_percent, limits.out_percent
            ));
        }
        limits
    }

    fn cluster(&mut self, preset: Preset) -> (ClusterConfig, Vec<String>) {
        match merge_cluster_config(&preset.cluster(), &self.layers.cluster()) {
            Ok(merged) => (merged.config, merged.notes),
            Err(errors) => {
                self.errors.extend(errors.iter().map(|error| format!("cluster.{error}")));
                (ClusterConfig::default(), Vec::new())
            }
        }
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
