//! `orc event`: follows events.
//! Knows nothing of what their data says.

use clap::{Args, Subcommand};
use futures::StreamExt;
use orc_client::{Client, Error, Events, wire::Event};

use super::{
    Failure, Global, Out,
    connect::{client, in_time, interrupted},
    output::note,
    style::{Color, paint},
    values,
};
use crate::definition::duration::parse_duration;

/// How far back a duration of `--since` looks, in events.
const LOOK_BACK: u64 = 100_000;

/// Follows events.
#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// Shows events as they happen
    #[command(
        after_help = "Examples:\n  orc event tail --type 'workflow.*,task.*'\n  orc event tail --since 1h -o jsonl\n  orc event tail --since 4711"
    )]
    Tail(TailArgs),
}

/// Which events.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// Only these types; globs such as workflow.*
    #[arg(long = "type", value_name = "GLOB", value_delimiter = ',')]
    types: Vec<String>,
    /// Begins after this event, or so long ago (10m)
    #[arg(long, value_name = "SEQ|DURATION")]
    since: Option<String>,
}

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, command: EventCommand) -> Result<(), Failure> {
    let EventCommand::Tail(args) = command;
    let client = client(global)?;
    in_time(global, tail(out, &client, args)).await
}

async fn tail(out: &Out, client: &Client, args: TailArgs) -> Result<(), Failure> {
    follow(out, client, client.events(), args).await
}

/// Shows what happens to a component.
pub(super) async fn tail_component(
    global: &Global,
    out: &Out,
    client: &Client,
    (id, args): (String, TailArgs),
) -> Result<(), Failure> {
    let events = client.events().component(id);
    in_time(global, follow(out, client, events, args)).await
}

async fn follow(out: &Out, client: &Client, mut events: Events, args: TailArgs) -> Result<(), Failure> {
    let (since, not_before) = beginning(client, args.since.as_deref()).await?;
    if !args.types.is_empty() {
        events = events.types(args.types);
    }
    if let Some(since) = since {
        events = events.since(since);
    }
    let mut events = events.stream().await?;
    let mut stop = std::pin::pin!(interrupted());
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = &mut stop => return Err(Failure::Interrupted),
        };
        match event {
            Some(Ok(event)) if event.at.0 < not_before => {}
            Some(Ok(event)) => out.streamed(&event, || line(&event))?,
            Some(Err(error @ Error::EventsReset { .. })) => note(&format!("a gap: {error}")),
            Some(Err(error)) => return Err(error.into()),
            None => return Ok(()),
        }
    }
}

/// After which event to begin, and from which time on events are shown.
async fn beginning(client: &Client, since: Option<&str>) -> Result<(Option<u64>, u64), Failure> {
    let Some(since) = since else { return Ok((None, 0)) };
    if let Ok(seq) = since.parse() {
        return Ok((Some(seq), 0));
    }
    let ago = parse_duration(since).map_err(|_| {
        Failure::Usage(format!("--since {since}: write an event's number, or a time such as 10m"))
    })?;
    let last = client.events().last_seq().await?;
    let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
    Ok((Some(last.saturating_sub(LOOK_BACK)), values::now_ms().saturating_sub(ago)))
}

fn line(event: &Event) -> String {
    let data = values::short_json(Some(&event.data), 160);
    format!(
        "{} {}  {}  {} {data}",
        event.seq,
        paint(Color::Grey, &event.at.to_string()),
        paint(Color::Blue, &event.kind),
        event.subject
    )
}
