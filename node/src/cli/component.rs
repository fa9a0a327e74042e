//! `orc component`: lists and shows components and sends them messages.
//! Knows nothing of sessions.

use std::time::Duration;

use clap::{Args, Subcommand};
use orc_client::wire::ComponentView;

use super::{
    Failure, Global, Out,
    connect::{client, in_time},
    output::{Column, column, wide},
    style, values,
};

/// Lists components and sends them messages.
#[derive(Debug, Subcommand)]
pub enum ComponentCommand {
    /// Lists components
    #[command(visible_alias = "ls", after_help = "Example:\n  orc component list -o wide")]
    List,
    /// Shows a component
    #[command(after_help = "Example:\n  orc component get trainer-1 -o json")]
    Get {
        /// The component's id
        id: String,
    },
    /// Sends a message and shows the reply
    #[command(
        after_help = "Example:\n  orc component send data-processor process '{\"operation\": \"normalize\"}'"
    )]
    Send(SendArgs),
    /// Gives a component no new tasks
    #[command(after_help = "Example:\n  orc component drain trainer-1")]
    Drain {
        /// The component's id
        id: String,
    },
}

/// What is sent.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The component's id
    id: String,
    /// The message's type
    #[arg(value_name = "TYPE")]
    kind: String,
    /// JSON; text if it does not read as JSON
    data: Option<String>,
    /// How long to wait for the reply
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "30s")]
    reply_timeout: Duration,
}

const COLUMNS: [Column<ComponentView>; 8] = [
    column("STATUS", |one, _| style::status(one.status.as_str())),
    column("COMPONENT", |one, _| one.id.clone()),
    column("TYPE", |one, _| one.kind.clone()),
    column("SLOTS", |one, _| format!("{}/{}", one.running, one.slots)),
    column("NODE", |one, _| values::or_dash(one.node.as_ref())),
    column("CONNECTED", |one, out| values::time(one.connected_at, out)),
    column("CAPABILITIES", |one, _| one.capabilities.join(",")),
    wide("LABELS", |one, _| {
        one.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
    }),
];

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, command: ComponentCommand) -> Result<(), Failure> {
    let components = client(global)?.components();
    in_time(global, async {
        match command {
            ComponentCommand::List => out.page(&components.list().await?, &COLUMNS, |one| one.id.clone()),
            ComponentCommand::Get { id } => {
                let view = components.get(&id).await?;
                out.item(&view, &view.id, || text(out, &view))
            }
            ComponentCommand::Send(args) => {
                let payload = args.data.as_deref().map_or(serde_json::Value::Null, values::json_or_text);
                let reply = components.send(&args.id, args.kind, payload).timeout(args.reply_timeout).await?;
                out.document(&reply)
            }
            ComponentCommand::Drain { id } => {
                components.drain(&id).await?;
                out.item(&serde_json::json!({ "id": id }), &id, || {
                    format!("Component {id} gets no new tasks")
                })
            }
        }
    })
    .await
}

fn text(out: &Out, one: &ComponentView) -> String {
    let lines = [
        format!("{}  {}  {}", style::bold(&one.id), one.name, style::status(one.status.as_str())),
        format!("  type {} · version {} · slots {}/{}", one.kind, one.version, one.running, one.slots),
        format!(
            "  node {} · connected {}",
            values::or_dash(one.node.as_ref()),
            values::time(one.connected_at, out)
        ),
        format!("  offers {}", one.capabilities.join(", ")),
    ];
    lines.join("\n")
}
