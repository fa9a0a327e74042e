//! What fuzzers give their bytes to, where it is nobody else's.
//! Knows nothing of fuzzers.

use orc_domain::ClusterConfig;

use crate::{definition::Compiler, gateway};

/// As a workflow file.
pub fn workflow(text: &str) {
    let _ = Compiler::new(&ClusterConfig::default()).text(text);
}

/// As the body of a request that starts a run.
pub fn body(bytes: &[u8]) {
    let _ = gateway::read_body::<orc_client::wire::StartRun>(bytes);
}
