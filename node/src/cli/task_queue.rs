//! `orc task backlog` and `orc task dead`: what waits of each action, and what gave up.
//! Knows nothing of how tasks are assigned.

use clap::{Args, Subcommand};
use orc_client::{
    Client,
    wire::{ActionBacklog, DeadQuery, SelectDead, TaskRequeued, TaskView, TasksRequeued},
};

use super::{
    Failure, Global, Out,
    cluster::confirm,
    output::{Column, column},
    style, values,
};

/// What to do with the backlog of an action.
#[derive(Debug, Subcommand)]
pub enum BacklogCommand {
    /// Lets no tasks of an action be assigned; running attempts go on
    #[command(after_help = "Example:\n  orc task backlog pause train_model")]
    Pause {
        /// The action
        action: String,
    },
    /// Lets tasks of an action be assigned again
    #[command(after_help = "Example:\n  orc task backlog resume train_model")]
    Resume {
        /// The action
        action: String,
    },
}

/// What to do with tasks that gave up.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// Lists the tasks that gave up, newest first
    #[command(visible_alias = "ls", after_help = "Example:\n  orc task dead list --action train_model")]
    List(ListArgs),
    /// Makes new tasks in place of those that gave up
    #[command(
        after_help = "Examples:\n  orc task dead requeue task_01JD2…\n  orc task dead requeue --action train_model"
    )]
    Requeue(SelectArgs),
    /// Takes tasks off the list for good
    #[command(after_help = "Examples:\n  orc task dead drop task_01JD2…\n  orc task dead drop --all --yes")]
    Drop(SelectArgs),
}

/// Which tasks are listed.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only tasks of this action
    #[arg(long)]
    action: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Goes on where a page ended
    #[arg(long)]
    cursor: Option<String>,
}

/// Which tasks are meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct SelectArgs {
    /// Ids of tasks on the list
    ids: Vec<String>,
    /// All tasks of an action
    #[arg(long)]
    action: Option<String>,
    /// All tasks
    #[arg(long)]
    all: bool,
}

impl SelectArgs {
    fn selection(self) -> SelectDead {
        let ids = (!self.ids.is_empty()).then_some(self.ids);
        SelectDead { ids, action: self.action, all: self.all }
    }
}

const BACKLOG: [Column<ActionBacklog>; 8] = [
    column("ACTION", |one, _| one.action.clone()),
    column("STATE", |one, _| style::status(if one.paused { "paused" } else { "ok" })),
    column("QUEUED", |one, _| one.queued.to_string()),
    column("RUNNING", |one, _| one.running.to_string()),
    column("BLOCKED", |one, _| one.blocked.to_string()),
    column("RETRYING", |one, _| one.retrying.to_string()),
    column("OLDEST", |one, _| values::millis(one.oldest_age_ms)),
    column("FREE SLOTS", |one, _| one.free_slots.to_string()),
];

const DEAD: [Column<TaskView>; 6] = [
    column("STATUS", |task, _| style::status(task.status.as_str())),
    column("TASK", |task, _| task.id.clone()),
    column("NAME", |task, _| task.name.clone()),
    column("ACTION", |task, _| task.action.clone()),
    column("SINCE", |task, out| values::time(task.dead_at, out)),
    column("ERROR", |task, _| task.error.as_ref().map(|error| error.code.clone()).unwrap_or_default()),
];

/// `orc task backlog`
pub(super) async fn backlog(
    out: &Out,
    client: &Client,
    command: Option<BacklogCommand>,
) -> Result<(), Failure> {
    let tasks = client.tasks();
    let changed = match command {
        None => return out.page(&tasks.backlog().await?, &BACKLOG, |one| one.action.clone()),
        Some(BacklogCommand::Pause { action }) => tasks.pause_action(&action).await?,
        Some(BacklogCommand::Resume { action }) => tasks.resume_action(&action).await?,
    };
    out.item(&changed, &changed.action, || match changed.paused {
        true => format!("Tasks of {} are not assigned until it is resumed", changed.action),
        false => format!("Tasks of {} are assigned", changed.action),
    })
}

/// `orc task dead`
pub(super) async fn dead(
    global: &Global,
    out: &Out,
    client: &Client,
    command: DeadCommand,
) -> Result<(), Failure> {
    match command {
        DeadCommand::List(ListArgs { action, limit, cursor }) => {
            let page = client.tasks().dead(&DeadQuery { action, limit: Some(limit), cursor }).await?;
            out.page(&page, &DEAD, |task| task.id.clone())
        }
        DeadCommand::Requeue(args) => requeue(out, client, &args.selection()).await,
        DeadCommand::Drop(args) => {
            if args.ids.is_empty() {
                confirm(global, "These tasks cannot be requeued any more.")?;
            }
            let dropped = client.tasks().drop_dead(&args.selection()).await?;
            out.item(&dropped, &dropped.dropped.to_string(), || {
                format!("{} tasks are off the dead-letter list", dropped.dropped)
            })
        }
    }
}

/// One call takes a limited number; this goes on until none that is meant remains.
async fn requeue(out: &Out, client: &Client, which: &SelectDead) -> Result<(), Failure> {
    let mut all: Vec<TaskRequeued> = Vec::new();
    loop {
        let TasksRequeued { tasks, remaining } = client.tasks().requeue_dead(which).await?;
        let done = remaining == 0 || tasks.is_empty();
        all.extend(tasks);
        if done {
            let requeued = TasksRequeued { tasks: all, remaining };
            let names: Vec<&str> = requeued.tasks.iter().map(|task| task.task_id.as_str()).collect();
            return out.item(&requeued, &names.join("\n"), || {
                let line = |task: &TaskRequeued| {
                    let dead = values::or_dash(task.requeued_from.as_ref());
                    format!("{}  {}  in place of {dead}", task.task_id, style::status(task.status.as_str()))
                };
                let lines: Vec<String> = requeued.tasks.iter().map(line).collect();
                format!("{} tasks are queued again\n{}", lines.len(), lines.join("\n")).trim_end().to_owned()
            });
        }
    }
}
