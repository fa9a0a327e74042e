//! What a backup file says about itself: before the files of the state, and after them.
//! Frozen with their version like every stored form. Knows nothing of where the file is.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Place, Position};
use crate::types::LogId;

/// What a backup begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupManifest {
    /// Format of the data folder that it was made of.
    pub format: u32,
    /// The cluster that it was made of.
    pub cluster_id: Uuid,
    /// The node that made it.
    pub node_id: u64,
    /// When, by the cluster's clock, in milliseconds since 1970.
    pub made_at: u64,
    /// The version of the program that made it.
    pub version: String,
    applied: Place,
    /// The hash of the state, as the nodes of a cluster compare it.
    pub state_hash: u64,
    /// The files of the state's database, in the order in which they follow.
    pub files: Vec<BackupPart>,
}

/// One file of the state's database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupPart {
    /// Its name, without folders.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
}

/// What a backup ends with: as long for every content, so that the length of a backup is known before it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupEnd {
    /// CRC32C of each file, big-endian.
    pub checksums: Vec<[u8; 4]>,
}

impl BackupManifest {
    /// Without files yet; none if nothing is applied.
    pub fn new(cluster_id: Uuid, node_id: u64, made_at: u64, position: &Position) -> Option<Self> {
        Some(BackupManifest {
            format: crate::identity::FORMAT,
            cluster_id,
            node_id,
            made_at,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            applied: position.applied()?.into(),
            state_hash: position.hash,
            files: Vec::new(),
        })
    }

    /// The last record that is in it.
    pub fn applied(&self) -> LogId {
        self.applied.into()
    }

    /// The log index that it stands for.
    pub fn rev(&self) -> u64 {
        self.applied.index
    }

    /// The program that made it.
    pub fn maker(&self) -> String {
        format!("orc {}", self.version)
    }

    /// Whether a database stands where this says.
    pub fn describes(&self, position: &Position) -> bool {
        position.applied() == Some(self.applied()) && position.hash == self.state_hash
    }
}
