//! `orc runs logs` and `orc task logs`: lines with where they come from, page by page or as they come.
//! Knows nothing of where lines are kept.

use clap::Args;
use futures::StreamExt;
use orc_client::{
    Error, LogFollower, RunHandle, TaskHandle,
    wire::{LogLine, LogPage, LogStream, LogsQuery},
};

use super::{
    Failure, Out,
    connect::interrupted,
    output::note,
    style::{Color, paint},
};

/// Lines that are asked for at a time.
const PAGE: u32 = 5_000;

/// Which lines.
#[derive(Debug, Args)]
pub struct LinesArgs {
    /// Shows lines as they come, until it ends
    #[arg(long, short)]
    follow: bool,
    /// Only so many of the last lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5000))]
    tail: Option<u32>,
    /// Only lines in which this text occurs
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
}

/// Which run's lines.
#[derive(Debug, Args)]
pub struct RunLogsArgs {
    /// A run's id, an unambiguous beginning of one, or @last
    pub(super) id: String,
    /// Only lines of this step
    #[arg(long)]
    step: Option<String>,
    /// Only lines of steps that failed
    #[arg(long, conflicts_with = "follow")]
    failed: bool,
    #[command(flatten)]
    lines: LinesArgs,
}

/// Which task's lines.
#[derive(Debug, Args)]
pub struct TaskLogsArgs {
    /// The task's id
    pub(super) id: String,
    #[command(flatten)]
    lines: LinesArgs,
}

/// Whose log is shown.
enum Whose {
    Run(RunHandle),
    Task(TaskHandle),
}

impl Whose {
    async fn page(&self, query: &LogsQuery) -> Result<LogPage, Error> {
        match self {
            Whose::Run(run) => run.logs(query).await,
            Whose::Task(task) => task.logs(query).await,
        }
    }

    fn follow(&self, query: &LogsQuery) -> LogFollower {
        match self {
            Whose::Run(run) => run.follow_logs(query),
            Whose::Task(task) => task.follow_logs(query),
        }
    }
}

/// Shows what a run logged.
pub(super) async fn of_run(out: &Out, run: RunHandle, args: RunLogsArgs) -> Result<(), Failure> {
    let query = LogsQuery { step: args.step, failed: args.failed.then_some(true), ..LogsQuery::default() };
    show(out, &Whose::Run(run), query, args.lines).await
}

/// Shows what a task logged.
pub(super) async fn of_task(out: &Out, task: TaskHandle, args: TaskLogsArgs) -> Result<(), Failure> {
    show(out, &Whose::Task(task), LogsQuery::default(), args.lines).await
}

async fn show(out: &Out, whose: &Whose, mut query: LogsQuery, args: LinesArgs) -> Result<(), Failure> {
    (query.tail, query.q) = (args.tail, args.grep);
    if args.follow {
        return follow(out, whose.follow(&query)).await;
    }
    query.limit = query.tail.is_none().then_some(PAGE);
    let mut page = whose.page(&query).await?;
    tell_missing(&page, &[]);
    if out.wants_one_document() {
        // One document holds all pages.
        while page.more {
            query.from = Some(page.next);
            let next = whose.page(&query).await?;
            page = LogPage { items: [page.items, next.items].concat(), ..next };
        }
        return out.document(&page);
    }
    loop {
        page.items.iter().try_for_each(|line| print(out, line))?;
        if !page.more {
            return Ok(());
        }
        query.from = Some(page.next);
        page = whose.page(&query).await?;
    }
}

async fn follow(out: &Out, mut pages: LogFollower) -> Result<(), Failure> {
    let (mut stop, mut missing) = (std::pin::pin!(interrupted()), Vec::new());
    loop {
        let page = tokio::select! {
            page = pages.next() => page,
            () = &mut stop => return Err(Failure::Interrupted),
        };
        let Some(page) = page.transpose()? else { return Ok(()) };
        tell_missing(&page, &missing);
        page.items.iter().try_for_each(|line| print(out, line))?;
        missing = page.missing;
    }
}

/// Names the nodes whose lines are not there, once.
fn tell_missing(page: &LogPage, told: &[String]) {
    for node in page.missing.iter().filter(|node| !told.contains(node)) {
        note(&format!("{node} does not answer: lines that it keeps are missing"));
    }
}

fn print(out: &Out, line: &LogLine) -> Result<(), Failure> {
    if out.wants_names() { out.whole_line(&line.text) } else { out.streamed(line, || text(line)) }
}

/// `[train attempt 1] 2026-11-22T04:11:08Z  epoch 3`
fn text(line: &LogLine) -> String {
    let at = line.at.to_string();
    let at = format!("{}Z", at.split('.').next().unwrap_or(&at));
    let of = match (&line.step_id, line.attempt) {
        (_, 0) => format!("[{}]", line.node),
        (Some(step), attempt) => format!("[{step} attempt {attempt}]"),
        (None, attempt) => format!("[attempt {attempt}]"),
    };
    let said = match line.stream {
        LogStream::System => paint(Color::Yellow, &line.text),
        LogStream::Stdout | LogStream::Stderr | LogStream::Unknown(_) => line.text.clone(),
    };
    format!("{} {}  {said}", paint(Color::Blue, &of), paint(Color::Grey, &at))
}
