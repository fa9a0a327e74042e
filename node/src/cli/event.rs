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
    /// Lists events
    #[command(after_help = "Example:\n  orc event list --type 'error.*' --limit 20")]
    List {
        /// Which events
        #[command(flatten)]
        args: TailArgs,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
    },
    /// Shows an event
    #[command(after_help = "Example:\n  orc event get 4711")]
    Get {
        /// Its number
        seq: u64,
    },
    /// Makes an event of your own
    #[command(after_help = "Example:\n  orc event post release.approved '{\"version\": \"2.0.0\"}'")]
    Post {
        /// Its type
        #[arg(value_name = "TYPE")]
        kind: String,
        /// JSON; text if it does not read as JSON
        data: Option<String>,
    },
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
    let client = client(global)?;
    in_time(global, async {
        match command {
            EventCommand::Tail(args) => tail(out, &client, args).await,
            EventCommand::List { args, limit } => list(out, &client, args, limit).await,
            EventCommand::Get { seq } => {
                let event = client.events().get(seq).await?;
                out.item(&event, &event.seq.to_string(), || line(&event))
            }
            EventCommand::Post { kind, data } => {
                let data = data.as_deref().map_or(serde_json::Value::Null, values::json_or_text);
                let rev = client.events().post(&kind, data).await?;
                out.item(&serde_json::json!({ "rev": rev }), &rev.to_string(), || {
                    format!("{kind} has happened (rev {rev})")
                })
            }
        }
    })
    .await
}

async fn tail(out: &Out, client: &Client, args: TailArgs) -> Result<(), Failure> {
    follow(out, client, client.events(), args).await
}

async fn list(out: &Out, client: &Client, args: TailArgs, limit: u32) -> Result<(), Failure> {
    let (since, not_before) = beginning(client, args.since.as_deref()).await?;
    let mut events = client.events().types(args.types);
    if let Some(since) = since {
        events = events.since(since);
    }
    let mut page = events.clone().list(limit).await?;
    // A time says where to begin to look, not where the first event is.
    while let Some(last) = page.items.last().map(|event| event.seq)
        && page.items.iter().all(|event| event.at.0 < not_before)
    {
        events = events.since(last);
        page = events.clone().list(limit).await?;
    }
    page.items.retain(|event| event.at.0 >= not_before);
    if out.wants_one_document() {
        return out.document(&page);
    }
    page.items.iter().try_for_each(|event| show(out, event))
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
            Some(Ok(event)) => show(out, &event)?,
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

fn show(out: &Out, event: &Event) -> Result<(), Failure> {
    if out.wants_names() { out.line(&event.seq.to_string()) } else { out.streamed(event, || line(event)) }
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
