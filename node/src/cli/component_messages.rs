//! `orc component send`, `broadcast`, `queue` and `dead`: messages to components.
//! Knows nothing of how they are delivered.

use std::time::Duration;

use clap::{Args, Subcommand};
use orc_client::{
    Components,
    wire::{DurableMessage, MessagesQuery, SelectDeadMessages},
};
use serde_json::{Value, json};

use super::{
    Failure, Global, Out,
    cluster::confirm,
    output::{Column, column},
    style, values,
};

/// What is sent, and to whom.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The component's id
    id: String,
    #[command(flatten)]
    content: Content,
}

/// What is sent.
#[derive(Debug, Args)]
pub struct Content {
    /// The message's type
    #[arg(value_name = "TYPE")]
    kind: String,
    /// JSON; text if it does not read as JSON
    data: Option<String>,
    /// Puts it into the queue of each who is meant, to be delivered at least once
    #[arg(long)]
    durable: bool,
    /// How long to wait for a reply
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "30s")]
    reply_timeout: Duration,
}

/// Whose queue.
#[derive(Debug, Args)]
pub struct QueueArgs {
    /// The component's id
    id: String,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Goes on where a page ended
    #[arg(long)]
    cursor: Option<String>,
}

/// Looks at and empties the dead-letter list.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// Lists durable messages that were given up
    #[command(visible_alias = "ls", after_help = "Example:\n  orc component dead list --component mailer")]
    List {
        /// Only those for this component
        #[arg(long)]
        component: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Goes on where a page ended
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Puts them back into their queues, at the end
    #[command(after_help = "Example:\n  orc component dead requeue --component mailer")]
    Requeue(SelectArgs),
    /// Drops them for good
    #[command(after_help = "Example:\n  orc component dead drop --all --yes")]
    Drop(SelectArgs),
}

/// Which messages.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct SelectArgs {
    /// These
    ids: Vec<String>,
    /// Those for this component
    #[arg(long)]
    component: Option<String>,
    /// All
    #[arg(long)]
    all: bool,
}

impl SelectArgs {
    fn selection(self) -> SelectDeadMessages {
        let ids = (!self.ids.is_empty()).then_some(self.ids);
        SelectDeadMessages { ids, component: self.component, all: self.all }
    }
}

const COLUMNS: [Column<DurableMessage>; 8] = [
    column("STATUS", |one, _| style::status(one.status.as_str())),
    column("MESSAGE", |one, _| one.id.clone()),
    column("COMPONENT", |one, _| one.component_id.clone()),
    column("TYPE", |one, _| one.kind.clone()),
    column("SENT", |one, out| values::time(Some(one.sent_at), out)),
    column("DELIVERIES", |one, _| one.deliveries.to_string()),
    column("ERROR", |one, _| one.error.as_ref().map(|error| error.code.clone()).unwrap_or_default()),
    column("PAYLOAD", |one, _| values::short_json(Some(&one.payload), 60)),
];

fn payload(data: Option<&str>) -> Value {
    data.map_or(Value::Null, values::json_or_text)
}

/// `orc component send`
pub(super) async fn send(out: &Out, components: &Components, args: SendArgs) -> Result<(), Failure> {
    let SendArgs { id, content } = args;
    let payload = payload(content.data.as_deref());
    if content.durable {
        let sent = components.send_durable(&id, content.kind, payload).await?;
        return out.item(&sent, &sent.message_id, || {
            format!("{} is in the queue of {}", sent.message_id, sent.component_id)
        });
    }
    out.document(&components.send(&id, content.kind, payload).timeout(content.reply_timeout).await?)
}

/// `orc component broadcast`
pub(super) async fn broadcast(out: &Out, components: &Components, content: Content) -> Result<(), Failure> {
    let payload = payload(content.data.as_deref());
    if content.durable {
        let sent = components.broadcast_durable(content.kind, payload).await?;
        return out.document(&json!({ "messages": sent }));
    }
    let replies = components.broadcast(&content.kind, payload, content.reply_timeout).await?;
    out.document(&json!({ "responses": replies }))
}

/// `orc component queue`
pub(super) async fn queue(out: &Out, components: &Components, args: QueueArgs) -> Result<(), Failure> {
    let query = MessagesQuery { component: None, limit: Some(args.limit), cursor: args.cursor };
    out.page(&components.queue(&args.id, &query).await?, &COLUMNS, |one| one.id.clone())
}

/// `orc component dead`
pub(super) async fn dead(
    global: &Global,
    out: &Out,
    components: &Components,
    command: DeadCommand,
) -> Result<(), Failure> {
    let (count, what) = match command {
        DeadCommand::List { component, limit, cursor } => {
            let query = MessagesQuery { component, limit: Some(limit), cursor };
            return out.page(&components.dead_messages(&query).await?, &COLUMNS, |one| one.id.clone());
        }
        DeadCommand::Requeue(args) => {
            (components.requeue_dead(&args.selection()).await?, "are in their queues again")
        }
        DeadCommand::Drop(args) => {
            if args.ids.is_empty() {
                confirm(global, "These messages cannot be requeued any more.")?;
            }
            (components.drop_dead(&args.selection()).await?, "are off the dead-letter list")
        }
    };
    out.item(&json!({ "count": count }), &count.to_string(), || format!("{count} messages {what}"))
}
