//! `orc batch` and `--all-matching`: one action on every run that filters find.
//! Knows nothing of how a batch is carried out; the node that took it does that.

use std::time::Duration;

use clap::Subcommand;
use orc_client::{
    Client,
    wire::{BatchAction, BatchStarted, BatchStatus, BatchView, StartBatch},
};

use super::{
    Failure, Global, Out,
    cluster::confirm,
    connect::{client, in_time, interrupted},
    output::{Column, column, note, wide},
    runs::SteerArgs,
    style, values,
};

/// Between looks at a batch.
const PAUSE: Duration = Duration::from_millis(200);

/// Follows and stops batches.
#[derive(Debug, Subcommand)]
pub enum BatchCommand {
    /// Lists the batches of the node that answers, newest first
    #[command(visible_alias = "ls", after_help = "Example:\n  orc batch list")]
    List,
    /// Shows a batch
    #[command(after_help = "Example:\n  orc batch get bat_0193…-1 -o json")]
    Get {
        /// The batch's id
        id: String,
    },
    /// Stops a batch; what it did stays done
    #[command(after_help = "Example:\n  orc batch cancel bat_0193…-1")]
    Cancel {
        /// The batch's id
        id: String,
    },
}

const COLUMNS: [Column<BatchView>; 8] = [
    column("STATUS", |batch, _| style::status(batch.status.as_str())),
    column("BATCH", |batch, _| batch.id.clone()),
    column("ACTION", |batch, _| batch.action.to_string()),
    column("MATCHED", |batch, _| batch.matched.to_string()),
    column("CHANGED", |batch, _| batch.changed.to_string()),
    column("REFUSED", |batch, _| batch.refused.to_string()),
    column("FAILED", |batch, _| batch.failed.to_string()),
    wide("STARTED", |batch, out| values::time(Some(batch.created_at), out)),
];

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, command: BatchCommand) -> Result<(), Failure> {
    let batches = client(global)?.batches();
    match command {
        BatchCommand::List => {
            let page = in_time(global, async { Ok(batches.list().await?) }).await?;
            out.page(&page, &COLUMNS, |batch| batch.id.clone())
        }
        BatchCommand::Get { id } => {
            shown(out, &in_time(global, async { Ok(batches.get(&id).await?) }).await?)
        }
        BatchCommand::Cancel { id } => {
            shown(out, &in_time(global, async { Ok(batches.cancel(&id).await?) }).await?)
        }
    }
}

fn shown(out: &Out, batch: &BatchView) -> Result<(), Failure> {
    out.item(batch, &batch.id, || {
        let error = batch.last_error.as_ref().map(|error| format!(" · last: {error}")).unwrap_or_default();
        format!(
            "{}  {} {} of {} changed, {} refused, {} failed{error}",
            style::status(batch.status.as_str()),
            batch.id,
            batch.changed,
            batch.matched,
            batch.refused,
            batch.failed
        )
    })
}

/// Does something to every run that the filters find, and follows it to its end.
pub(super) async fn bulk(
    global: &Global,
    out: &Out,
    client: &Client,
    action: BatchAction,
    args: SteerArgs,
) -> Result<(), Failure> {
    let (filter, reason) = (args.filter.to_filter(), args.reason);
    let mut batch = StartBatch { action, filter, dry_run: true, reason };
    let found = in_time(global, async { Ok(client.batches().start(&batch).await?) }).await?;
    if args.dry_run || found.matched == 0 {
        return told(out, &found);
    }
    confirm(global, &format!("{} {} runs?", capital(batch.action.as_str()), found.matched))?;
    batch.dry_run = false;
    let started = in_time(global, async { Ok(client.batches().start(&batch).await?) }).await?;
    let id = started.id.clone().ok_or_else(|| Failure::Unexpected("the batch has no id".to_owned()))?;
    let ended = tokio::select! {
        ended = in_time(global, at_its_end(client, &id)) => ended?,
        () = interrupted() => {
            note(&format!("the batch goes on: orc batch get {id}"));
            return Err(Failure::Interrupted);
        }
    };
    shown(out, &ended)?;
    if started.more {
        out.hint("more runs match than one batch takes: do it again for the rest");
    }
    if ended.failed == 0 { Ok(()) } else { Err(Failure::NotCompleted) }
}

async fn at_its_end(client: &Client, id: &str) -> Result<BatchView, Failure> {
    loop {
        let batch = client.batches().get(id).await?;
        if batch.status != BatchStatus::Running {
            return Ok(batch);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn told(out: &Out, found: &BatchStarted) -> Result<(), Failure> {
    out.item(found, &found.matched.to_string(), || match found.matched {
        1 => "1 run matches".to_owned(),
        many => format!("{many}{} runs match", if found.more { " and more" } else { "" }),
    })
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
