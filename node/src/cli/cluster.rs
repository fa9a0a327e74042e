//! `orc cluster`: shows the nodes, changes who is a member and who leads, asks for snapshots and backups, shows and changes the settings.
//! Knows nothing of consensus beyond the words of its answers.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use orc_client::{
    Client,
    wire::{AddNode, ClusterNode, ClusterStatus, Membership, NodeRole},
};
use serde_json::{Value, json};

use super::{
    Failure, Global, Out,
    backup::{self, BackupArgs, RestoreArgs},
    connect::{client, in_time},
    output::{Column, column, note, wide},
    style, values,
    watch::{Frame, watch},
};

/// Shows and changes the cluster.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Shows the nodes, how far each is, and the hash of its state
    #[command(after_help = "Examples:\n  orc cluster status -w\n  orc cluster status -o wide")]
    Status {
        /// Goes on showing it
        #[arg(short, long)]
        watch: bool,
    },
    /// Adds a node as a learner
    #[command(after_help = "Example:\n  orc cluster add node-4 --peer 10.0.0.4:7520 --http 10.0.0.4:7420")]
    Add {
        /// The node: node-4
        id: String,
        /// Where peers reach it
        #[arg(long, value_name = "HOST:PORT")]
        peer: String,
        /// Where clients reach it
        #[arg(long, value_name = "HOST:PORT")]
        http: String,
    },
    /// Makes a learner a voter
    #[command(after_help = "Example:\n  orc cluster promote node-4")]
    Promote {
        /// The node: node-4
        id: String,
    },
    /// Removes a node for good
    #[command(visible_alias = "rm", after_help = "Example:\n  orc cluster remove node-4 --yes")]
    Remove {
        /// The node: node-4
        id: String,
    },
    /// Lets another node lead, and waits until it does
    #[command(
        after_help = "Examples:\n  orc cluster transfer-leader\n  orc cluster transfer-leader --to node-2"
    )]
    TransferLeader {
        /// Who shall lead: node-2; otherwise the voter whose log is longest
        #[arg(long, value_name = "NODE")]
        to: Option<String>,
    },
    /// Lets a node make a snapshot of its state
    #[command(after_help = "Example:\n  orc cluster snapshot --addr http://127.0.0.1:7421")]
    Snapshot,
    /// Writes the state of a node into a file
    #[command(
        after_help = "Examples:\n  orc cluster backup orc.backup\n  orc cluster backup orc.backup --stale --addr http://127.0.0.1:7421"
    )]
    Backup(BackupArgs),
    /// Makes the data folder of a new cluster from a backup; no node takes part
    #[command(
        after_help = "Example:\n  orc cluster restore orc.backup --data-dir /var/lib/orc-new\n  orc server --node-id 1 --data-dir /var/lib/orc-new"
    )]
    Restore(RestoreArgs),
    /// Shows the cluster's settings, or changes those of a JSON file
    #[command(
        after_help = "Examples:\n  orc cluster config\n  orc cluster config --set maxConcurrentTasks=200 --set state.maxVersions=20\n  echo '{\"maxConcurrentTasks\": 200}' | orc cluster config -"
    )]
    Config {
        /// Settings to change, a JSON object; - is stdin
        file: Option<PathBuf>,
        /// A setting to change, by its dotted name; wins over the file
        #[arg(long = "set", value_name = "NAME=VALUE", value_parser = values::pair)]
        settings: Vec<(String, String)>,
    },
}

const COLUMNS: [Column<ClusterNode>; 11] = [
    column("NODE", |node, _| node.id.clone()),
    column("ROLE", |node, _| style::status(node.role.as_str())),
    column("LAST LOG", |node, _| values::or_dash(node.last_log)),
    column("COMMIT", |node, _| values::or_dash(node.committed)),
    column("APPLIED", |node, _| values::or_dash(node.applied)),
    column("LAG", |node, _| values::or_dash(node.lag)),
    column("SNAPSHOT", |node, _| values::or_dash(node.snapshot)),
    column("STATE HASH", |node, _| values::or_dash(node.state_hash.as_ref())),
    column("UPTIME", |node, _| values::millis(node.uptime_ms)),
    column("HTTP", |node, _| node.http_addr.clone()),
    wide("PEER", |node, _| node.peer_addr.clone()),
];

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, command: ClusterCommand) -> Result<(), Failure> {
    if let ClusterCommand::Restore(args) = &command {
        // No cluster takes part, and half of it is of no use to anybody.
        return backup::restore(out, args).await;
    }
    let client = client(global)?;
    if matches!(command, ClusterCommand::Status { watch: true }) {
        return in_time(global, watch(out, || frame(client.clone(), out.clone()))).await;
    }
    if let ClusterCommand::Remove { id } = &command {
        confirm(global, &format!("Remove {id} for good? Its number cannot be used again."))?;
    }
    in_time(global, once(global, out, &client, command)).await
}

async fn once(global: &Global, out: &Out, client: &Client, command: ClusterCommand) -> Result<(), Failure> {
    let cluster = client.cluster();
    match command {
        ClusterCommand::Status { .. } => {
            let status = cluster.status().await?;
            let leader = status.leader.clone().unwrap_or_default();
            out.item(&status, &leader, || text(out, &status))
        }
        ClusterCommand::Add { id, peer, http } => {
            told(out, &cluster.add_node(&AddNode { id, peer_addr: peer, http_addr: http }).await?)
        }
        ClusterCommand::Promote { id } => told(out, &cluster.promote(&id).await?),
        ClusterCommand::Remove { id } => told(out, &cluster.remove_node(&id).await?),
        ClusterCommand::TransferLeader { to } => {
            let done = cluster.transfer_leadership(to.as_deref()).await?;
            out.item(&done, &done.leader, || format!("{} leads now", done.leader))
        }
        ClusterCommand::Snapshot => {
            let made = cluster.snapshot().await?;
            out.item(&made, &made.snapshot.to_string(), || {
                format!("A snapshot at log index {}", made.snapshot)
            })
        }
        ClusterCommand::Backup(args) => backup::backup(global, out, &cluster, &args).await,
        ClusterCommand::Restore(args) => backup::restore(out, &args).await,
        ClusterCommand::Config { file: None, settings } if settings.is_empty() => {
            out.document(&cluster.config().await?)
        }
        ClusterCommand::Config { file, settings } => {
            let changes = changes(file.as_deref(), &settings)?;
            out.document(&cluster.set_config(&changes).await?)
        }
    }
}

/// The settings of a file, with those of flags over them.
fn changes(file: Option<&Path>, settings: &[(String, String)]) -> Result<Value, Failure> {
    let mut changes = match file {
        None => json!({}),
        Some(file) => {
            let text = values::read_text(file)?;
            serde_json::from_str(&text)
                .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?
        }
    };
    if !changes.is_object() {
        return Err(Failure::Usage("the settings must be a JSON object".to_owned()));
    }
    for (name, value) in settings {
        let value = values::json_or_text(value);
        match name.split_once('.') {
            Some((group, name)) if changes[group].is_object() => changes[group][name] = value,
            Some((group, name)) => changes[group] = json!({ name: value }),
            None => changes[name.as_str()] = value,
        }
    }
    Ok(changes)
}

async fn frame(client: Client, out: Out) -> Result<Frame, Failure> {
    let status = client.cluster().status().await?;
    let json = serde_json::to_value(&status).map_err(Failure::unreadable)?;
    let roles: Vec<String> = status.nodes.iter().map(|node| format!("{} {}", node.id, node.role)).collect();
    let line = format!("term {} · {}", status.term, roles.join(" · "));
    Ok(Frame { full: text(&out, &status), line, json })
}

fn text(out: &Out, status: &ClusterStatus) -> String {
    let table = out.table_text(&status.nodes, &COLUMNS);
    let (voters, up) = voters(status);
    let spare = up.saturating_sub(voters / 2 + 1);
    let last = match (up > voters / 2, spare) {
        (false, _) => "No majority is up: nothing can be changed.".to_owned(),
        (true, 0) => "Cannot lose another node.".to_owned(),
        (true, 1) => "Can lose 1 more node.".to_owned(),
        (true, more) => format!("Can lose {more} more nodes."),
    };
    format!("{}\n{table}\n{last}", headline(status))
}

/// The cluster in one line.
pub(super) fn headline(status: &ClusterStatus) -> String {
    let (voters, up) = voters(status);
    let leader = status.leader.as_deref().unwrap_or("none");
    let by =
        if status.seen_by.is_empty() { String::new() } else { format!(" · seen by {}", status.seen_by) };
    format!(
        "Cluster     {up}/{voters} voters up, {} needed · leader {leader} (term {}){by}",
        voters / 2 + 1,
        status.term
    )
}

/// How many voters there are and how many of them answer.
fn voters(status: &ClusterStatus) -> (usize, usize) {
    let voters: Vec<_> = status.nodes.iter().filter(|node| node.role != NodeRole::Learner).collect();
    (voters.len(), voters.iter().filter(|node| node.role != NodeRole::Down).count())
}

fn told(out: &Out, membership: &Membership) -> Result<(), Failure> {
    out.item(membership, &membership.voters.join("\n"), || {
        let learners =
            if membership.learners.is_empty() { "none".to_owned() } else { membership.learners.join(", ") };
        format!("Voters {} · learners {learners}", membership.voters.join(", "))
    })
}

/// Asks on a terminal; without one, `--yes` must say so.
pub(super) fn confirm(global: &Global, question: &str) -> Result<(), Failure> {
    if global.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() || std::env::var_os("CI").is_some() {
        return Err(Failure::Usage(format!("{question} Say --yes to do it.")));
    }
    note(&format!("{question} [y/N]"));
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::Unexpected(format!("stdin: {error}")))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::Usage("nothing was done".to_owned()))
    }
}
