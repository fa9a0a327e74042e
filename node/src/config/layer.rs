//! Layers of raw settings: file, environment, flags; the later one wins, and each value knows where it came from.
//! Knows the names of settings, not what values make sense.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ConfigErrors;
use crate::definition::suggest::did_you_mean;

/// The names of a server's settings, as in its file; flags are the same with `--`.
pub(super) const KEYS: [&str; 38] = [
    "node-id",
    "data-dir",
    "listen",
    "peer-listen",
    "advertise",
    "bootstrap",
    "join",
    "preset",
    "log.format",
    "limits.connections",
    "limits.body",
    "limits.header-timeout",
    "limits.body-timeout",
    "limits.write-timeout",
    "limits.connections-per-peer",
    "raft.heartbeat",
    "raft.election-min",
    "raft.election-max",
    "snapshot.every-entries",
    "snapshot.keep-entries",
    "log",
    "limits",
    "raft",
    "snapshot",
    "task-logs.bytes-per-run",
    "task-logs.bytes",
    "task-logs.age",
    "task-logs",
    "events.count",
    "events.age",
    "events",
    "secrets-file",
    "disk.low-percent",
    "disk.low-bytes",
    "disk.full-percent",
    "disk",
    "memory.max",
    "memory",
];
/// The table whose names are the seed's.
pub(super) const CLUSTER: &str = "cluster";

/// One source of settings by their dotted names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    /// Each value, with where it came from for messages.
    values: BTreeMap<String, (Value, String)>,
}

impl Layer {
    /// The settings of a TOML file; unknown names are refused with a suggestion.
    pub fn of_toml(text: &str, file: &str) -> Result<Layer, ConfigErrors> {
        let table: toml::Table = toml::from_str(text)
            .map_err(|error| ConfigErrors(vec![format!("{file}: {}", error.to_string().trim_end())]))?;
        let root =
            serde_json::to_value(table).map_err(|error| ConfigErrors(vec![format!("{file}: {error}")]))?;
        let mut layer = Layer::default();
        layer.add_tree("", &root, file);
        let unknown: Vec<String> = layer
            .values
            .keys()
            .filter(|key| !is_known(key))
            .map(|key| {
                format!(
                    "{file}: unknown setting `{key}`{}",
                    did_you_mean(key, KEYS.into_iter().chain([CLUSTER]))
                )
            })
            .collect();
        if unknown.is_empty() { Ok(layer) } else { Err(ConfigErrors(unknown)) }
    }

    /// The settings among environment variables: `ORC_NODE_ID`, `ORC_RAFT_HEARTBEAT`, `ORC_CLUSTER_MAX_CONCURRENT_TASKS`.
    pub fn of_environment(variables: impl Iterator<Item = (String, String)>) -> Layer {
        let names: BTreeMap<String, String> = KEYS
            .iter()
            .map(|key| (*key).to_owned())
            .chain(
                super::cluster_settings::SETTINGS
                    .iter()
                    .map(|setting| format!("{CLUSTER}.{}", setting.path())),
            )
            .map(|key| (variable_of(&key), key))
            .collect();
        let mut layer = Layer::default();
        for (name, value) in variables {
            if let Some(key) = names.get(&name) {
                layer.set(key, scalar(&value), &name);
            }
        }
        layer
    }

    /// Sets a value.
    pub fn set(&mut self, key: &str, value: Value, origin: &str) {
        self.values.insert(key.to_owned(), (value, origin.to_owned()));
    }

    /// Sets `KEY=VALUE` as `--set` has it.
    pub fn set_pair(&mut self, pair: &str) -> Result<(), String> {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("--set {pair}: write KEY=VALUE"))?;
        if !is_known(key) {
            let names = super::cluster_settings::SETTINGS
                .iter()
                .map(|setting| format!("{CLUSTER}.{}", setting.path()));
            let names: Vec<String> = names.chain(KEYS.iter().map(|key| (*key).to_owned())).collect();
            return Err(format!(
                "--set: unknown setting `{key}`{}",
                did_you_mean(key, names.iter().map(String::as_str))
            ));
        }
        self.set(key, scalar(value), &format!("--set {key}"));
        Ok(())
    }

    fn add_tree(&mut self, prefix: &str, value: &Value, file: &str) {
        match value {
            Value::Object(map) => {
                for (name, inner) in map {
                    let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                    self.add_tree(&key, inner, file);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                self.set(prefix, value.clone(), &format!("{file}: {prefix}"));
            }
        }
    }
}

/// Layers in order; the last one that has a value wins.
#[derive(Debug, Clone, Default)]
pub struct Layers(pub Vec<Layer>);

impl Layers {
    /// The value of a setting and where it came from.
    pub(super) fn get(&self, key: &str) -> Option<&(Value, String)> {
        self.0.iter().rev().find_map(|layer| layer.values.get(key))
    }

    /// The cluster settings of all layers as one JSON object by the seed's names.
    pub(super) fn cluster(&self) -> Value {
        let mut root = serde_json::Map::new();
        for (key, (value, _)) in self.0.iter().flat_map(|layer| &layer.values) {
            let Some(path) = key.strip_prefix(CLUSTER).and_then(|rest| rest.strip_prefix('.')) else {
                continue;
            };
            match path.split_once('.') {
                None => {
                    root.insert(path.to_owned(), value.clone());
                }
                Some((group, name)) => {
                    let group = root.entry(group).or_insert_with(|| Value::Object(serde_json::Map::new()));
                    if let Value::Object(group) = group {
                        group.insert(name.to_owned(), value.clone());
                    }
                }
            }
        }
        Value::Object(root)
    }
}

/// Names under `cluster` are checked with the rest of the cluster's settings.
fn is_known(key: &str) -> bool {
    KEYS.contains(&key) || key.strip_prefix(CLUSTER).is_some_and(|rest| rest.starts_with('.'))
}

/// `raft.election-min` → `ORC_RAFT_ELECTION_MIN`, `cluster.maxConcurrentTasks` → `ORC_CLUSTER_MAX_CONCURRENT_TASKS`.
fn variable_of(key: &str) -> String {
    let mut name = String::from("ORC_");
    for c in key.chars() {
        match c {
            '.' | '-' => name.push('_'),
            c if c.is_ascii_uppercase() => name.extend(['_', c]),
            c => name.push(c.to_ascii_uppercase()),
        }
    }
    name
}

/// A number or a switch if it reads as one, else text.
fn scalar(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        Ok(_) | Err(_) => Value::String(text.to_owned()),
    }
}
