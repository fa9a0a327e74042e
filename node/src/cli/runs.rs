//! `orc runs`: lists, shows, watches and steers runs.
//! Knows nothing of how runs are executed.

use clap::{Args, Subcommand};
use orc_client::{
    Client, RunHandle, RunStatus,
    wire::{BatchAction, RunChanged, RunFilter, RunSummary, RunsQuery},
};

use super::{
    Failure, Global, Out,
    approval::{self, OfRun},
    batch::bulk,
    cluster::confirm,
    connect::{client, in_time},
    explain,
    logs::{self, RunLogsArgs},
    output::{Column, column, wide},
    repeat::{self, RerunArgs, RetryArgs},
    run::watch_run,
    run_text::run_text,
    style, values,
};

/// Lists, watches and steers runs.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Lists runs, newest first
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  orc runs list\n  orc runs ls --status failed,timed_out --since 24h --label team:ml --limit 5 -o json\n  orc runs ls --workflow nightly --sort=-endedAt --all -q"
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
    /// Cancels a run, or all that filters find
    #[command(
        after_help = "Examples:\n  orc runs cancel @last --reason 'wrong inputs'\n  orc runs cancel --workflow nightly --all-matching --dry-run"
    )]
    Cancel(SteerArgs),
    /// Lets runs start nothing new
    #[command(
        after_help = "Examples:\n  orc runs pause @last\n  orc runs pause --label team:ml --all-matching --yes"
    )]
    Pause(SteerArgs),
    /// Lets paused runs go on
    #[command(
        after_help = "Examples:\n  orc runs resume @last\n  orc runs resume --label team:ml --all-matching --yes"
    )]
    Resume(SteerArgs),
    /// Deletes ended runs for good
    #[command(
        visible_alias = "rm",
        after_help = "Examples:\n  orc runs delete run_01JD2… --yes\n  orc runs delete --status failed --until 30d --all-matching --dry-run"
    )]
    Delete(SteerArgs),
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
    /// Starts a new run that goes on from the failed steps, of one run or of all that filters find
    #[command(
        after_help = "Examples:\n  orc runs retry @last\n  orc runs retry run_01JD2 --all\n  orc runs retry --status failed --since 1h --all-matching"
    )]
    Retry(RetryArgs),
    /// Starts a new run that repeats one, from its start or from a step
    #[command(
        after_help = "Examples:\n  orc runs rerun @last -i epochs=5\n  orc runs rerun @last --from-step 'evaluate[7]'"
    )]
    Rerun(RerunArgs),
}

/// Which runs are meant; all filters count.
#[derive(Debug, Default, PartialEq, Eq, Args)]
pub struct FilterArgs {
    /// Only these statuses, separated by commas
    #[arg(long)]
    status: Option<String>,
    /// Only runs of these workflows, separated by commas
    #[arg(long)]
    workflow: Option<String>,
    #[command(flatten)]
    sought: values::Sought,
}

impl FilterArgs {
    /// As a batch takes them.
    pub(super) fn to_filter(&self) -> RunFilter {
        RunFilter {
            status: self.status.clone(),
            workflow: self.workflow.clone(),
            label: self.sought.labels(),
            since: self.sought.since.clone(),
            until: self.sought.until.clone(),
            q: self.sought.search.clone(),
        }
    }
}

/// Which runs are listed.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Goes on where a page ended, with the same filters
    #[arg(long)]
    cursor: Option<String>,
    /// The order: -createdAt, createdAt, -endedAt or endedAt
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Page after page, to the end
    #[arg(long)]
    all: bool,
}

/// Which run is steered.
#[derive(Debug, Args)]
pub struct SteerArgs {
    /// A run's id, an unambiguous beginning of one, or @last
    #[arg(required_unless_present = "all_matching", conflicts_with = "all_matching")]
    id: Option<String>,
    /// Why, for people
    #[arg(long)]
    pub(super) reason: Option<String>,
    /// Which runs, with --all-matching.
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// Every run that the filters find
    #[arg(long)]
    all_matching: bool,
    /// Only says how many that are
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl SteerArgs {
    /// The one run that is named; none where filters say which are meant.
    pub(super) fn one(&self) -> Result<Option<&str>, Failure> {
        // Clap drops `requires` where an argument that is given conflicts with what is required.
        if self.id.is_some() && (self.dry_run || self.filter != FilterArgs::default()) {
            let text = "filters and --dry-run go with --all-matching, or name one run: not both";
            return Err(Failure::Usage(text.to_owned()));
        }
        Ok(self.id.as_deref())
    }
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
        RunsCommand::Cancel(args) => steer(global, out, &client, BatchAction::Cancel, args).await,
        RunsCommand::Pause(args) => steer(global, out, &client, BatchAction::Pause, args).await,
        RunsCommand::Resume(args) => steer(global, out, &client, BatchAction::Resume, args).await,
        RunsCommand::Delete(args) => steer(global, out, &client, BatchAction::Delete, args).await,
        RunsCommand::Terminate(args) => steer(global, out, &client, BatchAction::Terminate, args).await,
        RunsCommand::Signal { id, name, data } => {
            in_time(global, signal(out, &client, &id, (&name, data.as_deref()))).await
        }
        RunsCommand::Approve(args) => in_time(global, decide(out, &client, (args, true))).await,
        RunsCommand::Reject(args) => in_time(global, decide(out, &client, (args, false))).await,
        RunsCommand::Retry(args) => match args.of.one()? {
            Some(id) => {
                let run = in_time(global, handle(&client, id)).await?;
                in_time(global, repeat::retry(out, &run, &args)).await
            }
            None => bulk(global, out, &client, BatchAction::Retry, args.of).await,
        },
        RunsCommand::Rerun(args) => {
            let run = in_time(global, handle(&client, &args.id)).await?;
            in_time(global, repeat::rerun(out, &run, args)).await
        }
    }
}

async fn list(out: &Out, client: &Client, args: ListArgs) -> Result<(), Failure> {
    let RunFilter { status, workflow, label, since, until, q } = args.filter.to_filter();
    let limit = Some(if args.all { 500 } else { args.limit });
    let (cursor, sort) = (args.cursor, args.sort);
    let mut query = RunsQuery { status, workflow, limit, cursor, label, since, until, q, sort, fields: None };
    let mut page = client.runs().list(&query).await?;
    while args.all && page.next_cursor.is_some() {
        query.cursor = page.next_cursor.take();
        let more = client.runs().list(&query).await?;
        page.items.extend(more.items);
        page.next_cursor = more.next_cursor;
    }
    out.page(&page, &COLUMNS, |run| run.id.clone())
}

async fn get(out: &Out, client: &Client, id: &str) -> Result<(), Failure> {
    let id = resolve(client, id).await?;
    let view = client.runs().get(&id).await?;
    out.item(&view, &view.id, || run_text(out, &view))
}

async fn steer(
    global: &Global,
    out: &Out,
    client: &Client,
    action: BatchAction,
    args: SteerArgs,
) -> Result<(), Failure> {
    let Some(id) = args.one()? else { return bulk(global, out, client, action, args).await };
    let id = in_time(global, resolve(client, id)).await?;
    let (handle, reason) = (client.runs().handle(&id), args.reason.as_deref());
    if action == BatchAction::Delete {
        confirm(global, &format!("Delete {id} for good?"))?;
        in_time(global, async { Ok(handle.delete().await?) }).await?;
        return out
            .item(&serde_json::json!({ "id": id, "deleted": true }), &id, || format!("Run {id} is deleted"));
    }
    let asked = async {
        match action {
            BatchAction::Pause => Ok(handle.pause(reason).await?),
            BatchAction::Resume => Ok(handle.resume(reason).await?),
            BatchAction::Terminate => Ok(handle.terminate(reason).await?),
            BatchAction::Cancel | BatchAction::Retry | BatchAction::Delete | BatchAction::Unknown(_) => {
                Ok(handle.cancel(reason).await?)
            }
        }
    };
    let status = in_time(global, asked).await?;
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
        return newest.ok_or_else(|| Failure::NotFound("there is no run yet".to_owned()));
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
