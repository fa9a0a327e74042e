//! `orc task`: schedules, lists, shows, explains and cancels tasks without a run.
//! Knows nothing of how tasks are assigned.

use clap::{Args, Subcommand};
use orc_client::{
    Client, TaskStatus,
    wire::{Priority, Retry, TaskChanged, TaskScheduled, TaskView, TasksQuery, When},
};

use super::{
    Failure, Global, Out,
    connect::{client, in_time, interrupted},
    explain,
    logs::{self, TaskLogsArgs},
    output::{Column, column, note, wide},
    style,
    task_queue::{self, BacklogCommand, DeadCommand},
    values,
};

/// Schedules and lists tasks.
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// Schedules a task
    #[command(
        after_help = "Examples:\n  orc task schedule 'Nightly check' --action check --payload '{\"depth\": 2}'\n  orc task schedule Report --action report --after task_01JD2… --priority high --wait"
    )]
    Schedule(Box<ScheduleArgs>),
    /// Lists tasks, newest first
    #[command(
        visible_alias = "ls",
        after_help = "Example:\n  orc task list --status queued,running --action train_model"
    )]
    List(ListArgs),
    /// Shows a task
    #[command(after_help = "Example:\n  orc task get task_01JD2… -o json")]
    Get {
        /// The task's id
        id: String,
    },
    /// Shows what a task logged, on all nodes
    #[command(
        after_help = "Examples:\n  orc task logs task_01JD2… -f\n  orc task logs task_01JD2… --tail 20 -o jsonl"
    )]
    Logs(TaskLogsArgs),
    /// Cancels a task
    #[command(after_help = "Example:\n  orc task cancel task_01JD2… --reason obsolete")]
    Cancel {
        /// The task's id
        id: String,
        /// Why, for people
        #[arg(long)]
        reason: Option<String>,
    },
    /// Says why a task waits, or how it came to its end
    #[command(after_help = "Example:\n  orc task explain task_01JD2…")]
    Explain {
        /// The task's id
        id: String,
    },
    /// Makes a new task in place of one of the dead-letter list
    #[command(after_help = "Example:\n  orc task retry task_01JD2…")]
    Retry {
        /// The task's id
        id: String,
    },
    /// Gives a task that does not run another priority
    #[command(after_help = "Example:\n  orc task priority task_01JD2… urgent")]
    Priority {
        /// The task's id
        id: String,
        /// LOW, NORMAL, HIGH, CRITICAL, URGENT or 1 to 5
        #[arg(value_parser = values::priority)]
        priority: Priority,
    },
    /// Shows what waits and runs, per action; pauses and resumes actions
    #[command(after_help = "Examples:\n  orc task backlog\n  orc task backlog pause train_model")]
    Backlog {
        /// What to do
        #[command(subcommand)]
        command: Option<BacklogCommand>,
    },
    /// Lists, requeues and drops tasks that gave up
    #[command(subcommand)]
    Dead(DeadCommand),
}

/// What is scheduled.
#[derive(Debug, Args)]
pub struct ScheduleArgs {
    /// A name for people
    name: String,
    /// What a worker must offer; without one the task is an echo
    #[arg(long, short)]
    action: Option<String>,
    /// JSON for the worker; text if it does not read as JSON
    #[arg(long, short)]
    payload: Option<String>,
    /// LOW, NORMAL, HIGH, CRITICAL, URGENT or 1 to 5
    #[arg(long, value_parser = values::priority)]
    priority: Option<Priority>,
    /// Tasks that must complete first
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    after: Vec<String>,
    /// How long an attempt may take
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    task_timeout: Option<std::time::Duration>,
    /// How long it may wait for a worker
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    queue_timeout: Option<std::time::Duration>,
    /// Attempts in all
    #[arg(long, value_name = "N")]
    attempts: Option<u32>,
    /// A label that a worker must have
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::pair)]
    label: Vec<(String, String)>,
    /// It does not start before: a time (2026-11-22T04:00:00Z), or how long from now
    #[arg(long, value_name = "TIME|DURATION", value_parser = values::when)]
    at: Option<When>,
    /// How long it may take in all, over all attempts
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    total_timeout: Option<std::time::Duration>,
    /// How long an attempt may go without a sign of life
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    heartbeat_timeout: Option<std::time::Duration>,
    /// The same key schedules the task only once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Waits for the result
    #[arg(long, short, visible_alias = "watch")]
    wait: bool,
}

/// Which tasks are listed.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only these statuses, separated by commas
    #[arg(long)]
    status: Option<String>,
    /// Only tasks of these actions, separated by commas
    #[arg(long)]
    action: Option<String>,
    /// Only tasks of this run
    #[arg(long)]
    run: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Goes on where a page ended, with the same filters
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    sought: values::Sought,
    /// The order: -createdAt, createdAt, -endedAt or endedAt
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    sort: Option<String>,
}

const COLUMNS: [Column<TaskView>; 8] = [
    column("STATUS", |task, _| style::status(task.status.as_str())),
    column("TASK", |task, _| task.id.clone()),
    column("NAME", |task, _| task.name.clone()),
    column("ACTION", |task, _| task.action.clone()),
    column("ATTEMPTS", |task, _| task.attempts.to_string()),
    column("CREATED", |task, out| values::time(Some(task.created_at), out)),
    column("WORKER", |task, _| values::or_dash(task.component.as_ref())),
    wide("PRIORITY", |task, _| task.priority.level().to_string()),
];

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, command: TaskCommand) -> Result<(), Failure> {
    let client = client(global)?;
    match command {
        TaskCommand::Schedule(args) => schedule(global, out, &client, *args).await,
        TaskCommand::List(args) => in_time(global, list(out, &client, args)).await,
        TaskCommand::Get { id } => {
            let view = in_time(global, async { Ok(client.tasks().get(&id).await?) }).await?;
            out.item(&view, &view.id, || task_text(out, &view))
        }
        TaskCommand::Logs(args) => {
            let handle = client.tasks().handle(&args.id);
            in_time(global, logs::of_task(out, handle, args)).await
        }
        TaskCommand::Cancel { id, reason } => {
            let handle = client.tasks().handle(&id);
            let status = in_time(global, async { Ok(handle.cancel(reason.as_deref()).await?) }).await?;
            told(out, TaskChanged { id, status })
        }
        TaskCommand::Explain { id } => {
            let told = in_time(global, async { Ok(client.tasks().explain(&id).await?) }).await?;
            out.item(&told, &told.id, || explain::text(out, &told))
        }
        TaskCommand::Retry { id } => {
            let task = in_time(global, async { Ok(client.tasks().retry(&id).await?) }).await?;
            out.item(&task, &task.task_id, || {
                format!("Task {} is {} in place of {id}", task.task_id, task.status)
            })
        }
        TaskCommand::Priority { id, priority } => {
            let changed = async { Ok(client.tasks().set_priority(&id, priority).await?) };
            let status = in_time(global, changed).await?;
            told(out, TaskChanged { id, status })
        }
        TaskCommand::Backlog { command } => in_time(global, task_queue::backlog(out, &client, command)).await,
        TaskCommand::Dead(command) => in_time(global, task_queue::dead(global, out, &client, command)).await,
    }
}

fn told(out: &Out, changed: TaskChanged) -> Result<(), Failure> {
    out.item(&changed, &changed.id, || {
        format!("Task {} is {}", changed.id, style::status(changed.status.as_str()))
    })
}

async fn schedule(global: &Global, out: &Out, client: &Client, args: ScheduleArgs) -> Result<(), Failure> {
    let mut task = client.tasks().schedule(args.name);
    if let Some(action) = args.action {
        task = task.action(action);
    }
    if let Some(payload) = &args.payload {
        task = task.payload(values::json_or_text(payload));
    }
    if let Some(priority) = args.priority {
        task = task.priority(priority);
    }
    if let Some(timeout) = args.task_timeout {
        task = task.timeout(timeout);
    }
    if let Some(timeout) = args.queue_timeout {
        task = task.queue_timeout(timeout);
    }
    if let Some(when) = args.at {
        task = task.run_at(when);
    }
    if let Some(timeout) = args.total_timeout {
        task = task.total_timeout(timeout);
    }
    if let Some(timeout) = args.heartbeat_timeout {
        task = task.heartbeat_timeout(timeout);
    }
    if let Some(limit) = args.attempts {
        task = task.retry(Retry { limit: Some(limit), ..Retry::default() });
    }
    if let Some(key) = args.idempotency_key {
        task = task.idempotency_key(key);
    }
    for id in args.after {
        task = task.depends_on(id);
    }
    for (name, value) in args.label {
        task = task.label(name, value);
    }
    let handle = in_time(global, async { Ok(task.send().await?) }).await?;
    if !args.wait {
        let status = handle.get().await.map_or(TaskStatus::Queued, |view| view.status);
        let scheduled = TaskScheduled { task_id: handle.id().to_owned(), status };
        return out.item(&scheduled, handle.id(), || format!("Task {} is {}", handle.id(), scheduled.status));
    }
    out.hint(&format!("Task {}", style::bold(handle.id())));
    let ended = tokio::select! {
        ended = in_time(global, async { Ok(handle.wait().await?) }) => ended,
        () = interrupted() => {
            note(&format!("the task goes on: orc task get {}", handle.id()));
            Err(Failure::Interrupted)
        }
    }?;
    out.item(ended.view(), handle.id(), || task_text(out, ended.view()))?;
    if *ended.status() == TaskStatus::Completed { Ok(()) } else { Err(Failure::NotCompleted) }
}

async fn list(out: &Out, client: &Client, args: ListArgs) -> Result<(), Failure> {
    let query = TasksQuery {
        status: args.status,
        action: args.action,
        run_id: args.run,
        limit: Some(args.limit),
        cursor: args.cursor,
        label: args.sought.labels(),
        since: args.sought.since,
        until: args.sought.until,
        q: args.sought.search,
        sort: args.sort,
        fields: None,
    };
    let page = client.tasks().list(&query).await?;
    out.page(&page, &COLUMNS, |task| task.id.clone())
}

fn task_text(out: &Out, task: &TaskView) -> String {
    let mut lines = vec![
        format!("{}  {}  {}", style::bold(&task.id), task.name, style::status(task.status.as_str())),
        format!("  action {} · priority {} · attempts {}", task.action, task.priority.level(), task.attempts),
        format!("  created {}", values::time(Some(task.created_at), out)),
    ];
    lines.extend(
        task.run_id.as_ref().map(|run| format!("  step {} of {run}", values::or_dash(task.step_id.as_ref()))),
    );
    lines.extend(task.component.as_ref().map(|component| format!("  worker {component}")));
    lines.extend(
        task.waiting_for
            .as_ref()
            .map(|waiting| format!("  waiting for {}", waiting.detail.as_ref().unwrap_or(&waiting.reason))),
    );
    lines.extend(task.error.as_ref().map(|error| format!("  {}: {}", error.code, error.message)));
    lines.extend(explain::attempts(out, &task.history).into_iter().map(|line| format!("  {line}")));
    lines.extend(
        task.dead_at.map(|at| format!("  on the dead-letter list since {}", values::time(Some(at), out))),
    );
    lines.extend(task.requeued_from.as_ref().map(|dead| format!("  in place of {dead}")));
    let output = values::short_json(task.output.as_ref(), 2_000);
    lines.extend((!output.is_empty()).then(|| format!("  output {output}")));
    lines.join("\n")
}
