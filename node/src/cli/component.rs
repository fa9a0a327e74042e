//! `orc component`: lists and shows components and sends them messages.
//! Knows nothing of sessions.

use std::time::Duration;

use clap::{Args, Subcommand};
use orc_client::wire::{ComponentView, ComponentsQuery, DrainComponent, RegisterComponent};

use super::{
    Failure, Global, Out,
    cluster::confirm,
    component_messages::{self as messages, Content, DeadCommand, QueueArgs, SendArgs},
    connect::{client, in_time},
    event::{TailArgs, tail_component},
    output::{Column, column, wide},
    style, values,
};

/// Lists components and sends them messages.
#[derive(Debug, Subcommand)]
pub enum ComponentCommand {
    /// Lists components
    #[command(
        visible_alias = "ls",
        after_help = "Example:\n  orc component list --capability train_model -o wide"
    )]
    List {
        /// Only those that offer this action
        #[arg(long, value_name = "ACTION")]
        capability: Option<String>,
    },
    /// Shows a component
    #[command(after_help = "Example:\n  orc component get trainer-1 -o json")]
    Get {
        /// The component's id
        id: String,
    },
    /// Registers a component, or changes its registration
    #[command(
        after_help = "Example:\n  orc component register data-processor --name 'Data Processing Service' --type processor --capability validate,transform"
    )]
    Register(RegisterArgs),
    /// Sends a message and shows the reply; or, with --durable, puts it into the component's queue
    #[command(
        after_help = "Examples:\n  orc component send data-processor process '{\"operation\": \"normalize\"}'\n  orc component send mailer note '\"hello\"' --durable"
    )]
    Send(SendArgs),
    /// Sends a message to every connected component and shows their replies
    #[command(after_help = "Example:\n  orc component broadcast system-update '{\"version\": \"2.0.0\"}'")]
    Broadcast(Content),
    /// Shows what happens to a component, as it happens
    #[command(after_help = "Example:\n  orc component tail trainer-1 --since 10m")]
    Tail {
        /// The component's id
        id: String,
        /// Which events
        #[command(flatten)]
        args: TailArgs,
    },
    /// Lists the durable messages that wait for a component
    #[command(after_help = "Example:\n  orc component queue mailer")]
    Queue(QueueArgs),
    /// Durable messages that were given up
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Gives a component no new tasks
    #[command(after_help = "Example:\n  orc component drain trainer-1 --deadline 5m")]
    Drain {
        /// The component's id
        id: String,
        /// What it has not done by then is taken back
        #[arg(long, value_name = "DURATION", value_parser = values::duration)]
        deadline: Option<Duration>,
    },
    /// Forgets a component: its attempts are lost to it, its messages are given up
    #[command(visible_alias = "rm", after_help = "Example:\n  orc component deregister trainer-1 --yes")]
    Deregister {
        /// The component's id
        id: String,
    },
}

/// What is registered.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// The component's id
    id: String,
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// What kind of program it is
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Its version
    #[arg(long)]
    version: Option<String>,
    /// An action that it offers
    #[arg(long = "capability", value_name = "ACTION", value_delimiter = ',')]
    capabilities: Vec<String>,
    /// A label that tasks may demand
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = values::pair)]
    labels: Vec<(String, String)>,
    /// Tasks it takes at once
    #[arg(long)]
    slots: Option<u32>,
    /// Without a connection it is forgotten after so long
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    ttl: Option<Duration>,
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
    let client = client(global)?;
    let components = client.components();
    in_time(global, async {
        match command {
            ComponentCommand::List { capability } => {
                let query = ComponentsQuery { capability, ..ComponentsQuery::default() };
                out.page(&components.list(&query).await?, &COLUMNS, |one| one.id.clone())
            }
            ComponentCommand::Get { id } => {
                let view = components.get(&id).await?;
                out.item(&view, &view.id, || text(out, &view))
            }
            ComponentCommand::Register(args) => {
                let body = RegisterComponent {
                    name: args.name,
                    kind: args.kind,
                    version: args.version,
                    capabilities: args.capabilities,
                    labels: args.labels.into_iter().collect(),
                    slots: args.slots,
                    ttl: args.ttl.map(Into::into),
                };
                let view = components.register(&args.id, &body).await?;
                out.item(&view, &view.id, || text(out, &view))
            }
            ComponentCommand::Send(args) => messages::send(out, &components, args).await,
            ComponentCommand::Broadcast(args) => messages::broadcast(out, &components, args).await,
            ComponentCommand::Queue(args) => messages::queue(out, &components, args).await,
            ComponentCommand::Dead(command) => messages::dead(global, out, &components, command).await,
            ComponentCommand::Tail { id, args } => tail_component(global, out, &client, (id, args)).await,
            ComponentCommand::Drain { id, deadline } => {
                let view =
                    components.drain(&id, &DrainComponent { deadline: deadline.map(Into::into) }).await?;
                out.item(&view, &id, || format!("Component {id} gets no new tasks"))
            }
            ComponentCommand::Deregister { id } => {
                confirm(global, &format!("Forget component {id}? Its messages are given up."))?;
                components.deregister(&id).await?;
                out.item(&serde_json::json!({ "id": id }), &id, || format!("Component {id} is forgotten"))
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
