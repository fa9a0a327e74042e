//! `orc runs`: lists, shows, watches and steers runs.
//! Knows nothing of how runs are executed.

use clap::{Args, Subcommand};
use orc_client::{
    Client, RunHandle, RunStatus,
    wire::{RunChanged, RunSummary, RunView, RunsQuery, StepView},
};

use super::{
    Failure, Global, Out,
    approval::{self, OfRun},
    connect::{client, in_time},
    explain,
    logs::{self, RunLogsArgs},
    output::{Column, column, wide},
    repeat::{self, RerunArgs, RetryArgs},
    run::{result_text, watch_run},
    style, values,
};

/// Lists, watches and steers runs.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Lists runs, newest first
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  orc runs list\n  orc runs ls --status failed,timed_out --limit 5 -o json"
    )]
    List(ListArgs),
    /// Shows a run with its steps
    #[command(after_help = "Examples:\n  orc runs get @last\n  orc runs get run_01JD2 -o yaml")]
    Get {
        /// A run's id, an unambiguous beginning of one, or @last
        id: String,
    },
    /// Follows a run to its end
    #[command(after_help = "Example:\n  orc runs watch @last")]
    Watch {
        /// A run's id, an unambiguous beginning of one, or @last
        id: String,
        /// Exits 0 however the run ends
        #[arg(long)]
        no_exit_status: bool,
    },
    /// Shows what a run's tasks logged, on all nodes
    #[command(
        after_help = "Examples:\n  orc runs logs @last -f\n  orc runs logs run_01JD2 --step train --tail 50\n  orc runs logs run_01JD2 --failed -o jsonl\n  orc runs logs @last -q   (the lines alone)"
    )]
    Logs(RunLogsArgs),
    /// Says why a run waits, or how it came to its end
    #[command(after_help = "Example:\n  orc runs explain @last")]
    Explain {
        /// A run's id, an unambiguous beginning of one, or @last
        id: String,
    },
    /// Cancels a run
    #[command(after_help = "Example:\n  orc runs cancel @last --reason 'wrong inputs'")]
    Cancel(SteerArgs),
    /// Lets a run start nothing new
    #[command(after_help = "Example:\n  orc runs pause @last")]
    Pause(SteerArgs),
    /// Lets a paused run go on
    #[command(after_help = "Example:\n  orc runs resume @last")]
    Resume(SteerArgs),
    /// Ends a run and its children at once, without grace or handlers
    #[command(after_help = "Example:\n  orc runs terminate @last --reason 'stuck'")]
    Terminate(SteerArgs),
    /// Gives a run a signal; it is kept until a step awaits it
    #[command(after_help = "Example:\n  orc runs signal @last deploy '{\"version\": \"1.2\"}'")]
    Signal {
        /// A run's id, an unambiguous beginning of one, or @last
        id: String,
        /// The signal's name
        name: String,
        /// JSON; text if it does not read as JSON
        data: Option<String>,
    },
    /// Approves what a run waits for
    #[command(after_help = "Example:\n  orc runs approve @last --comment 'go ahead'")]
    Approve(OfRun),
    /// Rejects what a run waits for
    #[command(after_help = "Example:\n  orc runs reject @last release --comment 'not on a Friday'")]
    Reject(OfRun),
    /// Starts a new run that goes on from the failed steps
    #[command(after_help = "Examples:\n  orc runs retry @last\n  orc runs retry run_01JD2 --all")]
    Retry(RetryArgs),
    /// Starts a new run that repeats one, from its start or from a step
    #[command(
        after_help = "Examples:\n  orc runs rerun @last -i epochs=5\n  orc runs rerun @last --from-step 'evaluate[7]'"
    )]
    Rerun(RerunArgs),
}

/// Which runs are listed.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only these statuses, separated by commas
    #[arg(long)]
    status: Option<String>,
    /// Only runs of this workflow
    #[arg(long)]
    workflow: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Goes on where a page ended
    #[arg(long)]
    cursor: Option<String>,
    /// Also runs that are children of others
    #[arg(long)]
    children: bool,
}

/// Which run is steered.
#[derive(Debug, Args)]
pub struct SteerArgs {
    /// A run's id, an unambiguous beginning of one, or @last
    id: String,
    /// Why, for people
    #[arg(long)]
    reason: Option<String>,
}

const COLUMNS: [Column<RunSummary>; 9] = [
    column("STATUS", |run, _| style::status(shown_status(run))),
    column("RUN", |run, _| run.id.clone()),
    column("WORKFLOW", |run, _| run.workflow_version.clone().unwrap_or_else(|| run.workflow.clone())),
    column("TRIGGER", |run, _| run.started_by.clone()),
    column("STEPS", |run, _| format!("{}/{}", run.steps_done, run.steps_total)),
    column("STARTED", |run, out| values::time(run.started_at.or(Some(run.created_at)), out)),
    column("DURATION", |run, _| values::millis(run.duration_ms)),
    wide("PRIORITY", |run, _| run.priority.level().to_string()),
    wide("LABELS", |run, _| {
        run.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
    }),
];

const STEP_COLUMNS: [Column<StepView>; 7] = [
    column("STATUS", |step, _| style::status(step.status.as_str())),
    column("STEP", |step, _| step.id.clone()),
    column("TYPE", |step, _| step.kind.clone()),
    column("ATTEMPTS", |step, _| step.attempts.to_string()),
    column("DURATION", |step, _| values::millis(step.duration_ms)),
    column("WORKER", |step, _| values::or_dash(step.component.as_ref())),
    column("RESULT", |step, _| step_result(step)),
];

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, command: RunsCommand) -> Result<(), Failure> {
    let client = client(global)?;
    match command {
        RunsCommand::List(args) => in_time(global, list(out, &client, args)).await,
        RunsCommand::Get { id } => in_time(global, get(out, &client, &id)).await,
        RunsCommand::Watch { id, no_exit_status } => {
            let id = in_time(global, resolve(&client, &id)).await?;
            watch_run(global, out, &client, &id, !no_exit_status).await
        }
        RunsCommand::Logs(args) => {
            let shown = async {
                let id = resolve(&client, &args.id).await?;
                logs::of_run(out, client.runs().handle(id), args).await
            };
            in_time(global, shown).await
        }
        RunsCommand::Explain { id } => {
            in_time(global, async {
                let told = client.runs().explain(&resolve(&client, &id).await?).await?;
                out.item(&told, &told.id, || explain::text(out, &told))
            })
            .await
        }
        RunsCommand::Cancel(args) => in_time(global, steer(out, &client, args, Steering::Cancel)).await,
        RunsCommand::Pause(args) => in_time(global, steer(out, &client, args, Steering::Pause)).await,
        RunsCommand::Resume(args) => in_time(global, steer(out, &client, args, Steering::Resume)).await,
        RunsCommand::Terminate(args) => in_time(global, steer(out, &client, args, Steering::Terminate)).await,
        RunsCommand::Signal { id, name, data } => {
            in_time(global, signal(out, &client, &id, (&name, data.as_deref()))).await
        }
        RunsCommand::Approve(args) => in_time(global, decide(out, &client, (args, true))).await,
        RunsCommand::Reject(args) => in_time(global, decide(out, &client, (args, false))).await,
        RunsCommand::Retry(args) => {
            let run = in_time(global, handle(&client, &args.id)).await?;
            in_time(global, repeat::retry(out, &run, args)).await
        }
        RunsCommand::Rerun(args) => {
            let run = in_time(global, handle(&client, &args.id)).await?;
            in_time(global, repeat::rerun(out, &run, args)).await
        }
    }
}

enum Steering {
    Cancel,
    Pause,
    Resume,
    Terminate,
}

async fn list(out: &Out, client: &Client, args: ListArgs) -> Result<(), Failure> {
    let query = RunsQuery {
        status: args.status,
        workflow: args.workflow,
        limit: Some(args.limit),
        cursor: args.cursor,
        children: args.children.then_some(true),
    };
    let page = client.runs().list(&query).await?;
    out.page(&page, &COLUMNS, |run| run.id.clone())
}

async fn get(out: &Out, client: &Client, id: &str) -> Result<(), Failure> {
    let id = resolve(client, id).await?;
    let view = client.runs().get(&id).await?;
    out.item(&view, &view.id, || run_text(out, &view))
}

fn run_text(out: &Out, view: &RunView) -> String {
    let first = if view.status.is_terminal() {
        result_text(view)
    } else {
        let why = view
            .waiting_for
            .as_ref()
            .map(|waiting| format!(", waiting for {}", waiting.detail.as_ref().unwrap_or(&waiting.reason)));
        format!("{}{}", style::status(view.status.as_str()), why.unwrap_or_default())
    };
    let started = values::time(view.started_at.or(Some(view.created_at)), out);
    let table = out.table_text(&view.steps, &STEP_COLUMNS);
    let ties = ties(view);
    format!("{}  {}  started {started}\n{first}{ties}\n\n{table}", style::bold(&view.id), view.workflow)
}

/// What ties a run to others, a line each.
fn ties(view: &RunView) -> String {
    let parent = view.parent.as_ref().map(|parent| {
        let role = &parent.role;
        let index = role.index.map(|index| format!("[{index}]")).unwrap_or_default();
        let part = role.handler.iter().chain(&role.step).cloned().collect::<Vec<_>>().join(" ");
        format!("part of {} ({part}{index})", parent.run_id)
    });
    let origin = view.origin.as_ref().map(|origin| format!("{} of {}", origin.how, origin.run_id));
    let group = view.group.as_ref().map(|group| format!("concurrency group {group}"));
    let signals = (view.signals > 0).then(|| format!("{} signals not taken yet", view.signals));
    let handlers = view.handlers.iter().map(|one| {
        let step = one.step.as_ref().map(|step| format!(" {step}")).unwrap_or_default();
        format!("{}{step}: {}", one.kind, one.run_id)
    });
    let lines = parent.into_iter().chain(origin).chain(group).chain(signals).chain(handlers);
    lines.map(|line| format!("\n  {line}")).collect()
}

fn step_result(step: &StepView) -> String {
    if let Some(error) = &step.error {
        return format!("{}: {}", error.code, error.message.lines().next().unwrap_or_default());
    }
    if let Some(decision) = step.decision {
        return decision.to_string();
    }
    if let Some(items) = step.items.filter(|_| !step.status.is_terminal()) {
        return values::items(&items);
    }
    let waiting = step
        .waiting_for
        .as_ref()
        .map(|waiting| waiting.detail.clone().unwrap_or_else(|| waiting.reason.clone()));
    waiting.unwrap_or_else(|| values::short_json(step.output.as_ref(), 60))
}

async fn steer(out: &Out, client: &Client, args: SteerArgs, steering: Steering) -> Result<(), Failure> {
    let id = resolve(client, &args.id).await?;
    let (handle, reason) = (client.runs().handle(&id), args.reason.as_deref());
    let status = match steering {
        Steering::Cancel => handle.cancel(reason).await?,
        Steering::Pause => handle.pause(reason).await?,
        Steering::Resume => handle.resume(reason).await?,
        Steering::Terminate => handle.terminate(reason).await?,
    };
    told(out, id, status)
}

async fn signal(
    out: &Out,
    client: &Client,
    id: &str,
    (name, data): (&str, Option<&str>),
) -> Result<(), Failure> {
    let run = handle(client, id).await?;
    let data = data.map_or(serde_json::Value::Null, values::json_or_text);
    let status = run.signal(name, &data).await?;
    told(out, run.id().to_owned(), status)
}

async fn decide(out: &Out, client: &Client, (args, approved): (OfRun, bool)) -> Result<(), Failure> {
    let view = handle(client, &args.run).await?.get().await?;
    approval::of_run(out, client, &view, (args, approved)).await
}

async fn handle(client: &Client, id: &str) -> Result<RunHandle, Failure> {
    Ok(client.runs().handle(resolve(client, id).await?))
}

fn told(out: &Out, id: String, status: RunStatus) -> Result<(), Failure> {
    let changed = RunChanged { id, status };
    out.item(&changed, &changed.id, || {
        format!("Run {} is {}", changed.id, style::status(changed.status.as_str()))
    })
}

fn shown_status(run: &RunSummary) -> &str {
    run.status.as_str()
}

/// A run's full id: `@last`, or the only recent run that begins so.
async fn resolve(client: &Client, id: &str) -> Result<String, Failure> {
    const FULL: usize = 30;
    if id != "@last" && id.len() >= FULL {
        return Ok(id.to_owned());
    }
    let limit = if id == "@last" { 1 } else { 500 };
    let page = client.runs().list(&RunsQuery { limit: Some(limit), ..RunsQuery::default() }).await?;
    if id == "@last" {
        let newest = page.items.into_iter().next().map(|run| run.id);
        return newest.ok_or_else(|| Failure::Usage("there is no run yet".to_owned()));
    }
    let wanted = id.to_ascii_uppercase().replace("RUN_", "run_");
    let wanted = if wanted.starts_with("run_") { wanted } else { format!("run_{wanted}") };
    let mut found: Vec<String> =
        page.items.into_iter().map(|run| run.id).filter(|run| run.starts_with(&wanted)).collect();
    match found.len() {
        1 => Ok(found.remove(0)),
        // The server says what it knows of such an id.
        0 => Ok(id.to_owned()),
        many => Err(Failure::Usage(format!("{many} runs begin with {id}: {}, {}, …", found[0], found[1]))),
    }
}
