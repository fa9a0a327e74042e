//! Why a node does not start or ends by itself, and the process's exit code for it.
//! Knows nothing of how errors are told.

use std::{net::SocketAddr, path::PathBuf};

use orc_domain::Rejection;
use orc_raft::replica::StartFailure;

use crate::health::Room;

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Consensus or disk: among others a damaged or foreign data folder, which is exit code 74.
    #[error("this node cannot start")]
    Replica(#[source] StartFailure),
    /// The address for clients.
    #[error("{address} cannot be listened on")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The actors.
    #[error("the actors cannot start")]
    Actors(#[source] orc_actors::StartError),
    /// The logs of tasks.
    #[error("the logs of tasks in {folder} cannot be opened")]
    Logs {
        /// Where they are.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The disk is full, or nearly.
    #[error(
        "the disk under {folder} has no room to go on ({room}; below {} MiB a node ends): make room and start the node \
         again, nothing has to be repaired",
        .room.out >> 20
    )]
    DiskFull {
        /// The data folder.
        folder: PathBuf,
        /// What there is.
        room: Room,
    },
    /// The cluster's settings when it is founded.
    #[error("the cluster refuses its first configuration: {0}")]
    Settings(Rejection),
}

impl ServerError {
    /// What the process should exit with.
    pub fn exit_code(&self) -> u8 {
        match self {
            ServerError::Replica(failure) => u8::try_from(failure.exit_code()).unwrap_or(1),
            ServerError::Listen { .. } => 69,
            ServerError::Logs { .. } | ServerError::DiskFull { .. } => 74,
            ServerError::Actors(_) => 71,
            ServerError::Settings(_) => 78,
        }
    }
}
