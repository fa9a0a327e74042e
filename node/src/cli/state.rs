//! `orc state`: reads, writes and watches state keys.
//! Knows nothing of how versions are kept.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use futures::StreamExt;
use orc_client::{
    Client,
    wire::{ExportQuery, KeysQuery, StateChanged, StateEntry, StateVersion},
};

use super::{
    Failure, Global, Out,
    connect::{client, in_time, interrupted},
    output::{Column, column},
    state_carry as carry,
    state_snapshot::{self as snapshots, SnapshotCommand},
    values,
};

/// Reads and writes state keys.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Shows a key's value
    #[command(after_help = "Example:\n  orc state get app.version")]
    Get {
        /// The dotted name
        key: String,
    },
    /// Sets a key's value
    #[command(
        after_help = "Examples:\n  orc state set config.workers 20 --if-version 2\n  orc state set app.version '\"1.0.0\"' --if-absent"
    )]
    Set(SetArgs),
    /// Lists keys
    #[command(visible_alias = "ls", after_help = "Example:\n  orc state list app.")]
    List {
        /// Only keys that begin so
        prefix: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Goes on where a page ended
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Deletes a key
    #[command(visible_alias = "rm", after_help = "Example:\n  orc state delete app.version --if-version 3")]
    Delete {
        /// The dotted name
        key: String,
        /// Only if the key is at this version
        #[arg(long)]
        if_version: Option<u64>,
    },
    /// Lists the kept versions of a key
    #[command(after_help = "Example:\n  orc state versions config.workers")]
    Versions {
        /// The dotted name
        key: String,
    },
    /// Brings an earlier version back, as a new one
    #[command(after_help = "Example:\n  orc state restore config.workers 2")]
    Restore {
        /// The dotted name
        key: String,
        /// The version's number
        version: u64,
    },
    /// Shows how two versions of a key differ
    #[command(after_help = "Example:\n  orc state diff config.workers 2 3")]
    Diff {
        /// The dotted name
        key: String,
        /// The older version
        from: u64,
        /// The newer version
        to: u64,
    },
    /// Writes every key with its value, a line of JSON each, all of one moment
    #[command(
        after_help = "Examples:\n  orc state export > keys.jsonl\n  orc state export app. --snapshot before-update"
    )]
    Export {
        /// Only keys that begin so
        prefix: Option<String>,
        /// As they were in this snapshot
        #[arg(long)]
        snapshot: Option<String>,
    },
    /// Sets the keys of an export
    #[command(
        after_help = "Examples:\n  orc state import keys.jsonl\n  orc state export --addr OTHER | orc state import -"
    )]
    Import {
        /// Lines of JSON with `key` and `value`; - is stdin
        file: PathBuf,
    },
    /// Named snapshots of all keys
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Follows changes
    #[command(
        after_help = "Examples:\n  orc state watch 'app.*'\n  orc state watch '**' -o jsonl\n  orc state watch app.version --rev 1842"
    )]
    Watch {
        /// A key or a glob: app.*, **
        pattern: String,
        /// From the changes after this rev on, not from now
        #[arg(long)]
        rev: Option<u64>,
    },
}

/// What is set.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The dotted name
    key: String,
    /// JSON; text if it does not read as JSON
    value: String,
    /// Only if the key is at this version
    #[arg(long, conflicts_with = "if_absent")]
    if_version: Option<u64>,
    /// Only if there is no such key
    #[arg(long)]
    if_absent: bool,
    /// It goes away by itself after so long
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    ttl: Option<Duration>,
    /// The same key and value are written only once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

const KEYS: [Column<StateEntry>; 3] = [
    column("KEY", |entry, _| entry.key.clone()),
    column("VERSION", |entry, _| entry.version.to_string()),
    column("VALUE", |entry, _| values::cut(entry.value.get(), 80)),
];

const VERSIONS: [Column<StateVersion>; 3] = [
    column("VERSION", |version, _| version.version.to_string()),
    column("WRITTEN", |version, out| values::time(Some(version.at), out)),
    column("VALUE", |version, _| {
        version.value.as_ref().map_or_else(|| "(deleted)".to_owned(), |value| values::cut(value.get(), 80))
    }),
];

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, command: StateCommand) -> Result<(), Failure> {
    let client = client(global)?;
    match command {
        StateCommand::Watch { pattern, rev } => in_time(global, watch(out, &client, &pattern, rev)).await,
        StateCommand::Snapshot(command) => snapshots::run(global, out, &client, command).await,
        command => in_time(global, once(out, &client, command)).await,
    }
}

async fn once(out: &Out, client: &Client, command: StateCommand) -> Result<(), Failure> {
    let state = client.state();
    match command {
        StateCommand::Get { key } => match state.get(&key).await? {
            Some(entry) => out.item(&entry, &entry.key, || entry.value.get().to_owned()),
            None => Err(not_found(&key)),
        },
        StateCommand::Set(args) => {
            let mut set = state.set(&args.key, values::json_or_text(&args.value));
            if let Some(version) = args.if_version {
                set = set.if_version(version);
            }
            if args.if_absent {
                set = set.if_absent();
            }
            if let Some(ttl) = args.ttl {
                set = set.ttl(ttl);
            }
            if let Some(key) = args.idempotency_key {
                set = set.idempotency_key(key);
            }
            let entry = set.await?;
            out.item(&entry, &entry.key, || format!("{} is at version {}", entry.key, entry.version))
        }
        StateCommand::List { prefix, limit, cursor } => {
            let page = state.list(&KeysQuery { prefix, limit: Some(limit), cursor }).await?;
            out.page(&page, &KEYS, |entry| entry.key.clone())
        }
        StateCommand::Delete { key, if_version } => {
            let deleted = state.delete(&key, if_version).await?;
            out.item(&deleted, &deleted.key, || {
                format!("{} is deleted (version {})", deleted.key, deleted.version)
            })
        }
        StateCommand::Versions { key } => {
            out.all(state.versions(&key).await?, &VERSIONS, |version| version.version.to_string())
        }
        StateCommand::Restore { key, version } => {
            let entry = state.restore(&key, version).await?;
            out.item(&entry, &entry.key, || {
                format!(
                    "{} has the value of version {version} again, as version {}",
                    entry.key, entry.version
                )
            })
        }
        StateCommand::Diff { key, from, to } => {
            let diff = state.diff(&key, from, to).await?;
            out.item(&diff, &diff.key, || match diff.same {
                true => format!("Versions {from} and {to} of {key} have the same value"),
                false => diff.diff.trim_end().to_owned(),
            })
        }
        StateCommand::Export { prefix, snapshot } => {
            carry::export(client, ExportQuery { prefix, snapshot }).await
        }
        StateCommand::Import { file } => carry::import(out, client, &file).await,
        StateCommand::Watch { .. } | StateCommand::Snapshot(_) => unreachable!("they were told apart before"),
    }
}

async fn watch(out: &Out, client: &Client, pattern: &str, rev: Option<u64>) -> Result<(), Failure> {
    let state = client.state();
    let mut changes = match rev {
        Some(rev) => state.watch_from_rev(pattern, rev),
        None => state.watch(pattern).await?,
    };
    let mut stop = std::pin::pin!(interrupted());
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            () = &mut stop => return Err(Failure::Interrupted),
        };
        match change {
            Some(Ok(change)) => {
                let changed = &change.change;
                if out.wants_names() {
                    out.line(&changed.key)?;
                } else {
                    out.streamed(changed, || told(changed))?;
                }
            }
            Some(Err(error @ orc_client::Error::EventsReset { .. })) => {
                super::output::note(&format!("a gap: {error}"))
            }
            Some(Err(error)) => return Err(error.into()),
            None => return Ok(()),
        }
    }
}

fn told(changed: &StateChanged) -> String {
    let value = changed.new_value.as_ref().map(|value| values::cut(value.get(), 200));
    let value = value.map_or_else(|| "deleted".to_owned(), |value| format!("= {value}"));
    format!("{} {value} (version {})", changed.key, changed.version)
}

fn not_found(key: &str) -> Failure {
    let problem = orc_client::Problem::new("NOT_FOUND", format!("there is no state key {key}"));
    Failure::Call(orc_client::Error::Problem(Box::new(problem)))
}
