//! `orc schedule`: starts runs by the calendar.
//! Knows nothing of how instants are computed.

use std::time::Duration;

use clap::{Args, Subcommand};
use orc_client::{
    Client,
    wire::{self, NextInstants, RunStarted, ScheduleView, SchedulesQuery, SetSchedule},
};

use super::{
    Failure, Global, Out,
    cluster::confirm,
    connect::{client, in_time},
    output::{Column, column, wide},
    values,
};

/// Starts runs by the calendar.
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Lists schedules
    #[command(visible_alias = "ls", after_help = "Example:\n  orc schedule list --workflow nightly-eval")]
    List {
        /// Only schedules of this workflow
        #[arg(long)]
        workflow: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Goes on where a page ended
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Shows a schedule
    #[command(after_help = "Example:\n  orc schedule get nightly -o json")]
    Get {
        /// Its name
        id: String,
    },
    /// Makes a schedule, or changes one with --replace
    #[command(
        after_help = "Examples:\n  orc schedule create nightly --workflow nightly-eval --cron '0 3 * * *' --timezone Europe/Berlin\n  orc schedule create hourly --workflow report --cron '0 * * * *' --overlap queue -i depth=2 --replace"
    )]
    Create(Box<CreateArgs>),
    /// Lets a schedule start nothing
    #[command(after_help = "Example:\n  orc schedule pause nightly")]
    Pause {
        /// Its name
        id: String,
    },
    /// Lets a paused schedule go on with what comes later
    #[command(after_help = "Example:\n  orc schedule resume nightly")]
    Resume {
        /// Its name
        id: String,
    },
    /// Starts a run now, whatever else goes on
    #[command(after_help = "Example:\n  orc schedule trigger nightly")]
    Trigger {
        /// Its name
        id: String,
    },
    /// Shows the next times of a schedule
    #[command(after_help = "Example:\n  orc schedule next nightly -n 10")]
    Next {
        /// Its name
        id: String,
        /// How many
        #[arg(short, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
        n: u32,
    },
    /// Forgets a schedule; its runs go on
    #[command(visible_alias = "rm", after_help = "Example:\n  orc schedule delete nightly")]
    Delete {
        /// Its name
        id: String,
    },
}

/// What a schedule is made of.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Its name
    id: String,
    /// The workflow whose latest version it starts
    #[arg(long)]
    workflow: String,
    /// Minute, hour, day of month, month, day of week
    #[arg(long, value_name = "PATTERN")]
    cron: String,
    /// The zone in which the pattern is read
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    timezone: String,
    /// While a run of it goes on: skip, queue, allow or cancelRunning
    #[arg(long, default_value = "skip")]
    overlap: String,
    /// How late a time may still be caught up with [default: 10m]
    #[arg(long, value_parser = values::duration, value_name = "DURATION")]
    catch_up: Option<Duration>,
    /// Puts each time off by a part of this
    #[arg(long, value_parser = values::duration, value_name = "DURATION")]
    jitter: Option<Duration>,
    /// An input; JSON if the value reads as JSON, else text
    #[arg(short = 'i', value_name = "KEY=VALUE", value_parser = values::pair)]
    input_value: Vec<(String, String)>,
    /// Changes the schedule if there is one of its name
    #[arg(long)]
    replace: bool,
}

const COLUMNS: [Column<ScheduleView>; 10] = [
    column("SCHEDULE", |schedule, _| schedule.id.clone()),
    column("WORKFLOW", |schedule, _| schedule.workflow.clone()),
    column("STATUS", |schedule, _| if schedule.paused { "paused" } else { "active" }.to_owned()),
    column("CRON", |schedule, _| schedule.cron.clone()),
    column("TIMEZONE", |schedule, _| schedule.timezone.clone()),
    column("NEXT", |schedule, _| values::or_dash(schedule.next)),
    column("LAST", |schedule, out| values::time(schedule.last.as_ref().map(|last| last.at), out)),
    wide("OVERLAP", |schedule, _| schedule.overlap.clone()),
    wide("STARTED", |schedule, _| schedule.started.to_string()),
    wide("SKIPPED", |schedule, _| (schedule.skipped + schedule.missed).to_string()),
];

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, command: ScheduleCommand) -> Result<(), Failure> {
    if let ScheduleCommand::Delete { id } = &command {
        confirm(global, &format!("Delete schedule {id}? It starts no more runs."))?;
    }
    let client = client(global)?;
    in_time(global, on_cluster(out, &client, command)).await
}

async fn on_cluster(out: &Out, client: &Client, command: ScheduleCommand) -> Result<(), Failure> {
    let schedules = client.schedules();
    match command {
        ScheduleCommand::List { workflow, limit, cursor } => {
            let page = schedules.list(&SchedulesQuery { workflow, limit: Some(limit), cursor }).await?;
            out.page(&page, &COLUMNS, |schedule| schedule.id.clone())
        }
        ScheduleCommand::Get { id } => shown(out, &schedules.get(&id).await?),
        ScheduleCommand::Create(args) => create(out, client, *args).await,
        ScheduleCommand::Pause { id } => told(out, &schedules.pause(&id).await?),
        ScheduleCommand::Resume { id } => told(out, &schedules.resume(&id).await?),
        ScheduleCommand::Trigger { id } => {
            let run = schedules.trigger(&id).await?;
            let status = run.get().await.map_or(orc_client::RunStatus::Queued, |view| view.status);
            let started = RunStarted::of(run.id().to_owned(), status);
            out.item(&started, run.id(), || {
                format!("Run {} of schedule {id} is {}", run.id(), started.status)
            })
        }
        ScheduleCommand::Next { id, n } => {
            let next = NextInstants { items: schedules.next(&id, n).await? };
            let lines: Vec<String> = next.items.iter().map(wire::Timestamp::to_string).collect();
            out.item(&next, &lines.join("\n"), || lines.join("\n"))
        }
        ScheduleCommand::Delete { id } => {
            schedules.delete(&id).await?;
            let gone = serde_json::json!({ "id": id, "deleted": true });
            out.item(&gone, &id, || format!("Schedule {id} is deleted"))
        }
    }
}

async fn create(out: &Out, client: &Client, args: CreateArgs) -> Result<(), Failure> {
    let inputs = values::inputs(None, None, &args.input_value)?;
    let inputs = match inputs.is_empty() {
        true => None,
        false => Some(wire::raw(&inputs).map_err(Failure::unreadable)?),
    };
    let schedule = SetSchedule {
        id: Some(args.id.clone()),
        workflow: args.workflow,
        cron: args.cron,
        timezone: Some(args.timezone),
        overlap: Some(args.overlap),
        catch_up: args.catch_up.map(Into::into),
        jitter: args.jitter.map(Into::into),
        inputs,
    };
    let view = match args.replace {
        true => client.schedules().set(&args.id, &schedule).await?,
        false => client.schedules().create(&schedule).await?,
    };
    told(out, &view)
}

fn shown(out: &Out, view: &ScheduleView) -> Result<(), Failure> {
    out.item(view, &view.id, || out.table_text(std::slice::from_ref(view), &COLUMNS))
}

fn told(out: &Out, view: &ScheduleView) -> Result<(), Failure> {
    let what = if view.paused { "paused" } else { "active" };
    out.item(view, &view.id, || format!("Schedule {} of {} is {what}", view.id, view.workflow))
}
