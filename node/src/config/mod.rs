//! Configuration: a server's own from file, environment and flags, and the cluster's by the seed's names.
//! Knows nothing of who starts a server or of HTTP.

mod cluster;
mod cluster_settings;
mod layer;
mod preset;
mod reader;
mod secrets;
mod server;

pub use cluster::{SettingError, cluster_config_to_json, merge_cluster_config, switched_off};
pub use layer::{Layer, Layers};
pub use preset::Preset;
pub use secrets::Secrets;
pub use server::{LogFormat, ServerConfig, Start};

/// Everything that is wrong with a configuration, all at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<String>);

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}
