//! `orc state snapshot`: makes, shows, compares and restores named snapshots of the state keys.
//! Knows nothing of how they are kept.

use clap::{Args, Subcommand};
use orc_client::{
    Client,
    wire::{CreateSnapshot, KeyDifference, RestoreSnapshot, SnapshotQuery, SnapshotView},
};
use serde_json::json;

use super::{
    Failure, Global, Out,
    cluster::confirm,
    connect::in_time,
    output::{Column, column},
    values,
};

/// Makes and restores named snapshots.
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Makes a snapshot of all keys as they are
    #[command(
        after_help = "Examples:\n  orc state snapshot create before-update --description 'Before major update'\n  orc state snapshot create -o name"
    )]
    Create {
        /// A name for it
        name: Option<String>,
        /// What it is for
        #[arg(long)]
        description: Option<String>,
    },
    /// Lists snapshots
    #[command(visible_alias = "ls", after_help = "Example:\n  orc state snapshot list")]
    List,
    /// Shows a snapshot
    #[command(after_help = "Example:\n  orc state snapshot get before-update")]
    Get {
        /// Its id or name
        snapshot: String,
    },
    /// Shows what differs between a snapshot and a later one, or now
    #[command(after_help = "Example:\n  orc state snapshot diff before-update --prefix app.")]
    Diff {
        /// Its id or name
        snapshot: String,
        /// The later one
        other: Option<String>,
        /// Only keys that begin so
        #[arg(long)]
        prefix: Option<String>,
    },
    /// Brings the keys of a snapshot back, all in one step
    #[command(
        after_help = "Examples:\n  orc state snapshot restore before-update --dry-run\n  orc state snapshot restore before-update --prefix app. --keep-new --yes"
    )]
    Restore(RestoreArgs),
    /// Forgets a snapshot
    #[command(visible_alias = "rm", after_help = "Example:\n  orc state snapshot delete before-update --yes")]
    Delete {
        /// Its id or name
        snapshot: String,
    },
}

/// What is brought back.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The snapshot's id or name
    snapshot: String,
    /// Only keys that begin so
    #[arg(long)]
    prefix: Option<String>,
    /// Keys made since stay
    #[arg(long)]
    keep_new: bool,
    /// Only shows what would change
    #[arg(long)]
    dry_run: bool,
}

const COLUMNS: [Column<SnapshotView>; 6] = [
    column("SNAPSHOT", |one, _| one.id.clone()),
    column("NAME", |one, _| values::or_dash(one.name.as_ref())),
    column("MADE", |one, out| values::time(Some(one.created_at), out)),
    column("KEYS", |one, _| one.keys.to_string()),
    column("REV", |one, _| one.rev.to_string()),
    column("METADATA", |one, _| values::short_json(Some(&one.metadata), 60)),
];

const DIFFERENCES: [Column<KeyDifference>; 4] = [
    column("CHANGE", |one, _| one.change.clone()),
    column("KEY", |one, _| one.key.clone()),
    column("BEFORE", |one, _| {
        one.before.as_ref().map_or_else(String::new, |at| values::cut(at.value.get(), 40))
    }),
    column("AFTER", |one, _| {
        one.after.as_ref().map_or_else(String::new, |at| values::cut(at.value.get(), 40))
    }),
];

/// Does it.
pub(super) async fn run(
    global: &Global,
    out: &Out,
    client: &Client,
    command: SnapshotCommand,
) -> Result<(), Failure> {
    match &command {
        SnapshotCommand::Delete { snapshot } => confirm(global, &format!("Forget snapshot {snapshot}?"))?,
        SnapshotCommand::Restore(args) if !args.dry_run => {
            let which =
                args.prefix.as_deref().map_or("all keys".to_owned(), |prefix| format!("keys {prefix}*"));
            confirm(global, &format!("Bring {which} back to what they were in {}?", args.snapshot))?;
        }
        _ => {}
    }
    in_time(global, once(out, client, command)).await
}

async fn once(out: &Out, client: &Client, command: SnapshotCommand) -> Result<(), Failure> {
    let snapshots = client.state().snapshots();
    match command {
        SnapshotCommand::Create { name, description } => {
            let view = snapshots.create(&CreateSnapshot { name, metadata: None, description }).await?;
            out.item(&view, &view.id, || format!("{} holds {} keys (rev {})", view.id, view.keys, view.rev))
        }
        SnapshotCommand::List => out.page(&snapshots.list().await?, &COLUMNS, |one| one.id.clone()),
        SnapshotCommand::Get { snapshot } => {
            let view = snapshots.get(&snapshot).await?;
            out.item(&view, &view.id, || out.table_text(std::slice::from_ref(&view), &COLUMNS))
        }
        SnapshotCommand::Diff { snapshot, other, prefix } => {
            let mut all: Vec<KeyDifference> = Vec::new();
            let mut query = SnapshotQuery { to: other, prefix, limit: Some(500), cursor: None };
            loop {
                let page = snapshots.diff(&snapshot, &query).await?;
                all.extend(page.items);
                query.cursor = page.next_cursor;
                if query.cursor.is_none() {
                    break;
                }
            }
            out.all(all, &DIFFERENCES, |one| one.key.clone())
        }
        SnapshotCommand::Restore(RestoreArgs { snapshot, prefix, keep_new, dry_run }) => {
            let done = snapshots.restore(&snapshot, &RestoreSnapshot { prefix, keep_new, dry_run }).await?;
            out.item(&done, &done.snapshot_id, || match dry_run {
                true => {
                    let shown = out.table_text(&done.changes, &DIFFERENCES);
                    format!("{} keys would change\n{shown}", done.keys).trim_end().to_owned()
                }
                false => format!("{} keys are as they were in {snapshot}", done.keys),
            })
        }
        SnapshotCommand::Delete { snapshot } => {
            snapshots.delete(&snapshot).await?;
            out.item(&json!({ "id": snapshot }), &snapshot, || format!("Snapshot {snapshot} is forgotten"))
        }
    }
}
