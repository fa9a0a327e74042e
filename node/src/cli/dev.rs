//! `orc dev`: the flags of a cluster on this machine.
//! Knows nothing of how it is run; `crate::dev` does that.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, Global, connect::interrupted, values};
use crate::dev::{self, DevError, DevOptions};

/// Starts a cluster on this machine, in the foreground: each node a process, and a worker with the built-in actions.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  orc dev\n  orc dev --nodes 3\n  orc dev --nodes 3 --ephemeral --port 8420"
)]
pub struct DevArgs {
    /// Nodes
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// HTTP port of the first node; peers use ports 100 above
    #[arg(long, default_value_t = 7420, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    port: u16,
    /// Keeps no data
    #[arg(long, conflicts_with = "data_dir")]
    ephemeral: bool,
    /// Where the nodes keep their data [default: ~/.local/share/orc/dev]
    #[arg(long, value_name = "DIR", env = "ORC_DEV_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Tasks that the built-in worker takes at once
    #[arg(long, default_value_t = 4, value_name = "N")]
    worker_slots: u32,
    /// No built-in worker
    #[arg(long)]
    no_worker: bool,
    /// Pause before a node that died is started again. Shorter than an election, the old leader returns before
    /// another is chosen, and there is no failover to see
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "2s")]
    restart_delay: std::time::Duration,
    /// development, production or testing
    #[arg(long)]
    preset: Option<String>,
    /// Any setting of a node's file by its name
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Does it.
pub(super) async fn run(global: &Global, args: DevArgs) -> Result<(), Failure> {
    let mut server_flags = Vec::new();
    if let Some(preset) = args.preset {
        server_flags.extend(["--preset".to_owned(), preset]);
    }
    for pair in args.set {
        server_flags.extend(["--set".to_owned(), pair]);
    }
    let options = DevOptions {
        nodes: args.nodes,
        port: args.port,
        data_dir: if args.ephemeral {
            None
        } else {
            Some(args.data_dir.unwrap_or_else(dev::default_data_dir))
        },
        worker_slots: if args.no_worker { 0 } else { args.worker_slots },
        server_flags,
        restart_delay: args.restart_delay,
        verbose: global.verbose > 0,
    };
    dev::run(options, interrupted()).await.map_err(|error| match error {
        DevError::Plan(message) => Failure::Usage(message),
        DevError::Folder { .. } | DevError::Program(_) | DevError::Node { .. } => {
            Failure::Unexpected(error.to_string())
        }
    })
}
