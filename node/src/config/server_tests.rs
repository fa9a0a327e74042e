//! Tables over layers of settings: what they make of a server, and every mistake.
//! Knows neither real files nor the real environment.

use super::*;
use crate::config::Layer;
use serde_json::json;

fn flags(pairs: &[(&str, &str)]) -> Layer {
    let mut layer = Layer::default();
    for (key, value) in pairs {
        let value = if *value == "true" { json!(true) } else { json!(value) };
        layer.set(key, value, &format!("--{key}"));
    }
    layer
}

fn environment(pairs: &[(&str, &str)]) -> Layer {
    Layer::of_environment(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

const PLAIN: [(&str, &str); 3] = [("node-id", "1"), ("data-dir", "data"), ("bootstrap", "true")];

fn configured(layers: Vec<Layer>) -> ServerConfig {
    ServerConfig::of_layers(&Layers(layers)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn check_errors(layers: Vec<Layer>, expected: &[&str]) {
    let errors = ServerConfig::of_layers(&Layers(layers)).expect_err("it is wrong").0;
    for part in expected {
        assert!(errors.iter().any(|error| error.contains(part)), "{part:?} is not in {errors:#?}");
    }
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
}

#[test]
fn defaults_are_those_of_the_documents() {
    let config = configured(vec![flags(&PLAIN)]);
    assert_eq!((config.node_id, config.start), (NodeId(1), Start::Bootstrap));
    assert_eq!(
        (config.listen.to_string().as_str(), config.advertise_peer.as_str()),
        ("127.0.0.1:7420", "127.0.0.1:7520")
    );
    assert_eq!((config.limits.connections, config.limits.body), (1_024, 1 << 20));
    assert_eq!((config.limits.connections_per_peer, config.limits.write_timeout.as_secs()), (512, 30));
    let disk = RoomLimits { low_percent: 10, low_bytes: 512 << 20, out_percent: 3 };
    assert_eq!(config.disk, disk);
    let millis = [config.raft.heartbeat, config.raft.election_min, config.raft.election_max]
        .map(|time| time.as_millis());
    assert_eq!(millis, [100, 500, 1000]);
    assert_eq!((config.cluster, config.ephemeral), (ClusterConfig::default(), false));
    let LogLimits { owner_bytes, total_bytes, age_max } = config.task_logs;
    assert_eq!((owner_bytes, total_bytes, age_max.as_secs()), (10 << 20, 1 << 30, 7 * 24 * 3600));
    assert_eq!((config.events.count, config.events.age.as_secs()), (1_000_000, 7 * 24 * 3600));
}

#[test]
fn flags_win_over_environment_over_file_over_preset() {
    let file = "preset = 'production'\nnode-id = 9\nlisten = '127.0.0.1:1'\n[cluster]\nmaxConcurrentTasks = 77\n[cluster.workflow]\nstepTimeout = '5m'\n[raft]\nheartbeat = '50ms'";
    let file = Layer::of_toml(file, "orc.toml").expect("it is fine");
    let environment = environment(&[
        ("ORC_LISTEN", "127.0.0.1:2"),
        ("ORC_NODE_ID", "8"),
        ("ORC_CLUSTER_STATE_MAX_VERSIONS", "3"),
        ("ORC_ADDR", "http://elsewhere"),
    ]);
    let config = configured(vec![file, environment, flags(&PLAIN)]);
    assert_eq!((config.node_id.0, config.listen.port()), (1, 2));
    assert_eq!((config.cluster.runs_active_max, config.cluster.tasks_running_max), (50, 77));
    assert_eq!((config.cluster.step_timeout, config.cluster.versions_max), (Duration::from_secs(300), 3));
    assert_eq!((config.raft.heartbeat.as_millis(), config.cluster.health_interval.as_secs()), (50, 15));
}

#[test]
fn presets_are_the_seeds_factories() {
    let of = |preset| configured(vec![flags(&PLAIN), flags(&[("preset", preset)])]);
    let shown = |config: ServerConfig| {
        let cluster = config.cluster;
        let switches = (cluster.switches.recovery, cluster.switches.backups);
        (cluster.runs_active_max, cluster.tasks_running_max, cluster.health_interval.as_secs(), switches)
    };
    assert_eq!(shown(of("development")), (10, 50, 60, (false, false)));
    assert_eq!(shown(of("production")), (50, 200, 15, (true, true)));
    assert_eq!(shown(of("testing")), (5, 10, 30, (true, false)));
    let temporary = configured(vec![flags(&[("node-id", "1"), ("preset", "testing")])]);
    assert!(temporary.ephemeral);
}

#[test]
fn members_are_joined() {
    let join = |value: Value| {
        let mut layer = flags(&[("node-id", "2"), ("data-dir", "d")]);
        layer.set("join", value, "--join");
        configured(vec![layer]).start
    };
    let both = Start::Join(vec!["127.0.0.1:7520".to_owned(), "orc-2:7520".to_owned()]);
    assert_eq!(join(json!("127.0.0.1:7520,orc-2:7520")), both);
    assert_eq!(join(json!(["127.0.0.1:7520", "orc-2:7520"])), both);
    assert_eq!(configured(vec![flags(&PLAIN[..2])]).start, Start::Existing);
}

#[test]
fn a_wildcard_needs_a_name() {
    let wildcard = [("listen", "0.0.0.0:7420"), ("peer-listen", ":7520")];
    check_errors(
        vec![flags(&PLAIN), flags(&wildcard)],
        &["listen is 0.0.0.0:7420", "peer-listen is 0.0.0.0:7520"],
    );
    let config = configured(vec![flags(&PLAIN), flags(&wildcard), flags(&[("advertise", "orc-1")])]);
    assert_eq!(
        (config.advertise_http.as_str(), config.advertise_peer.as_str()),
        ("orc-1:7420", "orc-1:7520")
    );
}

#[test]
fn little_room_is_more_than_none() {
    let wrong = [("disk.low-percent", "2"), ("disk.low-bytes", "little")];
    check_errors(
        vec![flags(&PLAIN), flags(&wrong)],
        &["--disk.low-bytes: must be a size", "low-percent (2) must not be below full-percent (3)"],
    );
    let off = [("disk.low-percent", "0"), ("disk.low-bytes", "0"), ("disk.full-percent", "0")];
    let config = configured(vec![flags(&PLAIN), flags(&off)]);
    assert_eq!(config.disk, RoomLimits { low_percent: 0, low_bytes: 0, out_percent: 0 });
}

#[test]
fn memory_is_bounded_by_what_there_is_unless_it_is_set() {
    check_errors(
        vec![flags(&PLAIN), flags(&[("memory.max", "1MiB")])],
        &["--memory.max: must be a size from 128MiB"],
    );
    let most = |layers| configured(layers).memory_max;
    assert_eq!(most(vec![flags(&PLAIN), flags(&[("memory.max", "2GiB")])]), 2 << 30);
    assert_eq!(most(vec![flags(&PLAIN)]), default_memory_max());
}

#[test]
fn every_mistake_is_told_at_once() {
    check_errors(vec![Layer::default()], &["node-id is not set", "data-dir is not set"]);
    let wrong = flags(&[
        ("node-id", "0"),
        ("data-dir", "d"),
        ("listen", "here"),
        ("preset", "prod"),
        ("bootstrap", "true"),
        ("join", "nowhere"),
        ("limits.body", "big"),
        ("raft.heartbeat", "1s"),
        ("log.format", "xml"),
        ("task-logs.bytes-per-run", "1KiB"),
        ("events.count", "9"),
        ("events.age", "1ms"),
    ]);
    check_errors(
        vec![wrong],
        &[
            "--node-id: must be a whole number",
            "--listen: `here` is not an address",
            "--preset: `prod` is none of development, production, testing",
            "--join: `nowhere` is not a member's peer address",
            "bootstrap and join exclude each other",
            "--limits.body: must be a size",
            "raft: heartbeat",
            "--log.format: `xml` is none of",
            "--task-logs.bytes-per-run: must be a size from 256KiB to 1GiB",
            "--events.count: must be a whole number",
            "--events.age: must be at least 60 s",
        ],
    );
    let cluster =
        Layer::of_toml("[cluster]\nmaxConcurentTasks = 1", "orc.toml").expect("its names are checked later");
    check_errors(vec![flags(&PLAIN), cluster], &["cluster.maxConcurentTasks: unknown setting, did you mean"]);
}

#[test]
fn unknown_names_in_a_file_are_refused() {
    let errors =
        Layer::of_toml("nodeid = 1\n[raft]\nhartbeat = 1", "orc.toml").expect_err("both are unknown").0;
    assert_eq!(
        errors,
        [
            "orc.toml: unknown setting `nodeid`, did you mean `node-id`?",
            "orc.toml: unknown setting `raft.hartbeat`, did you mean `raft.heartbeat`?",
        ]
    );
    assert!(Layer::of_toml("a = = 1", "orc.toml").expect_err("not TOML").0[0].starts_with("orc.toml: "));
    assert!(Layer::default().set_pair("cluster.maxConcurrentTasks=5").is_ok());
    assert!(Layer::default().set_pair("raft.heartbeet=5").expect_err("unknown").contains("raft.heartbeat"));
}
