//! `orc server`: one node, from flags, environment and file to its end.
//! Knows nothing of what a node does; `crate::server` runs it.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::{Failure, connect::interrupted, logging, output::note};
use crate::config::{ConfigErrors, Layer, Layers, Secrets, ServerConfig};

/// Runs one node of a cluster. Every setting can also come from a file (--config) or from the environment:
/// --node-id from ORC_NODE_ID, raft.heartbeat from ORC_RAFT_HEARTBEAT; a flag wins over a variable over the file.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  orc server --node-id 1 --data-dir /var/lib/orc --bootstrap\n  orc server --node-id 2 --data-dir /var/lib/orc --listen 10.0.0.2:7420 --peer-listen 10.0.0.2:7520 --join 10.0.0.1:7520\n  orc server --config orc.toml --set raft.heartbeat=200ms --set cluster.maxConcurrentTasks=200"
)]
pub struct ServerArgs {
    /// The number of this node; each has its own and keeps it
    #[arg(long)]
    node_id: Option<String>,
    /// Where this node keeps its data
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Where it serves HTTP [default: 127.0.0.1:7420]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where it serves other nodes [default: 127.0.0.1:7520]
    #[arg(long, value_name = "ADDRESS")]
    peer_listen: Option<String>,
    /// The host name at which others reach it [default: the address it listens at]
    #[arg(long, value_name = "HOST")]
    advertise: Option<String>,
    /// Founds a new cluster, unless the data says that there is one
    #[arg(long)]
    bootstrap: bool,
    /// Joins a cluster through any member's peer address, unless the data says that it is a member
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', conflicts_with = "bootstrap")]
    join: Vec<String>,
    /// A file with settings, TOML
    #[arg(long, env = "ORC_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// development, production or testing
    #[arg(long)]
    preset: Option<String>,
    /// text or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// A file with secrets, NAME=value lines; those in variables that begin with ORC_SECRET_ win
    #[arg(long, value_name = "FILE")]
    secrets_file: Option<String>,
    /// Any setting of the file by its name
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Ends when stdin is closed: for whoever starts it
    #[arg(long, hide = true)]
    exit_with_stdin: bool,
}

/// Does it.
pub(super) async fn run(verbose: u8, args: &ServerArgs) -> Result<(), Failure> {
    let config = server_config(args)?;
    logging::start("info", verbose, config.log_format);
    config.notes.iter().for_each(|text| note(&format!("note: {text}")));
    let temporary = config.ephemeral.then(|| config.data_dir.clone());
    let secrets = Secrets::load(config.secrets_file.as_deref(), std::env::vars())?;
    let ended = crate::server::run(config, secrets, shutdown(args.exit_with_stdin)).await;
    if let Some(folder) = temporary {
        // What cannot be removed from a temporary folder is the system's to remove.
        tokio::fs::remove_dir_all(folder).await.ok();
    }
    Ok(ended?)
}

/// The configuration that flags, environment and file make; every mistake at once.
fn server_config(args: &ServerArgs) -> Result<ServerConfig, ConfigErrors> {
    let mut layers = Vec::new();
    if let Some(path) = &args.config {
        let file = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigErrors(vec![format!("{file}: {error}")]))?;
        layers.push(Layer::of_toml(&text, &file)?);
    }
    layers.push(Layer::of_environment(std::env::vars()));
    layers.push(of_flags(args)?);
    ServerConfig::of_layers(&Layers(layers))
}

fn of_flags(args: &ServerArgs) -> Result<Layer, ConfigErrors> {
    let mut layer = Layer::default();
    let wrong: Vec<String> = args.set.iter().filter_map(|pair| layer.set_pair(pair).err()).collect();
    if !wrong.is_empty() {
        return Err(ConfigErrors(wrong));
    }
    let texts = [
        ("node-id", &args.node_id),
        ("data-dir", &args.data_dir),
        ("listen", &args.listen),
        ("peer-listen", &args.peer_listen),
        ("advertise", &args.advertise),
        ("preset", &args.preset),
        ("secrets-file", &args.secrets_file),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            layer.set(key, Value::from(text.as_str()), &format!("--{key}"));
        }
    }
    if let Some(format) = &args.log_format {
        layer.set("log.format", Value::from(format.as_str()), "--log-format");
    }
    // A flag replaces both ways of a file or variable to begin.
    if args.bootstrap {
        layer.set("bootstrap", Value::Bool(true), "--bootstrap");
        layer.set("join", Value::Array(Vec::new()), "--bootstrap");
    }
    if !args.join.is_empty() {
        layer.set("bootstrap", Value::Bool(false), "--join");
        layer.set("join", Value::from(args.join.clone()), "--join");
    }
    Ok(layer)
}

/// Returns on SIGTERM, on Ctrl-C and, if asked for, when stdin is closed.
async fn shutdown(with_stdin: bool) {
    tokio::select! {
        () = interrupted() => {}
        () = stdin_closed(), if with_stdin => {}
    }
}

/// Returns when stdin is closed. A thread of its own reads: a blocking task would hold up the runtime's end.
async fn stdin_closed() {
    let (closed, told) = tokio::sync::oneshot::channel();
    let spawned = std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        // Whatever comes or goes wrong, it is over when reading is.
        std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()).ok();
        closed.send(()).ok();
    });
    match spawned {
        // The thread gone without a word is as good as a closed stdin.
        Ok(_) => drop(told.await),
        Err(_) => std::future::pending().await,
    }
}
