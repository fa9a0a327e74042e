//! `orc approval`: what awaits somebody's decision, and the decision; `orc runs approve|reject` finds it by its run.
//! Knows nothing of what follows a decision.

use clap::{Args, Subcommand};
use orc_client::{
    Client,
    wire::{ApprovalView, Decide, PageQuery, RunView},
};

use serde_json::Value;

use super::{
    Failure, Global, Out,
    connect::{client, in_time},
    output::{Column, column, wide},
    style, values,
};

/// Lists approvals and decides them.
#[derive(Debug, Subcommand)]
pub enum ApprovalCommand {
    /// Lists what awaits a decision, the oldest runs first
    #[command(visible_alias = "ls", after_help = "Example:\n  orc approval list -o wide")]
    List(ListArgs),
    /// Says yes
    #[command(after_help = "Example:\n  orc approval approve appr_01JD2…-3 --comment 'go ahead'")]
    Approve {
        /// The approval's id
        id: String,
        /// What is said with it.
        #[command(flatten)]
        words: Words,
    },
    /// Says no
    #[command(after_help = "Example:\n  orc approval reject appr_01JD2…-3 --comment 'not on a Friday'")]
    Reject {
        /// The approval's id
        id: String,
        /// What is said with it.
        #[command(flatten)]
        words: Words,
    },
}

/// Which page is shown.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Goes on where a page ended
    #[arg(long)]
    cursor: Option<String>,
}

/// What is said with a decision.
#[derive(Debug, Clone, Args)]
pub struct Words {
    /// Who decides
    #[arg(long, env = "ORC_USER", value_name = "NAME")]
    by: Option<String>,
    /// Why, for people
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// What the form asks for: JSON; text if it does not read as JSON
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
}

/// The approval of a run.
#[derive(Debug, Args)]
pub struct OfRun {
    /// A run's id, an unambiguous beginning of one, or @last
    pub(super) run: String,
    /// The step that waits; needed only where several do
    step: Option<String>,
    /// What is said with it.
    #[command(flatten)]
    words: Words,
}

/// How much of a request a table shows.
const REQUEST_MAX: usize = 60;

const COLUMNS: [Column<ApprovalView>; 7] = [
    column("APPROVAL", |one, _| one.id.clone()),
    column("WORKFLOW", |one, _| one.workflow.clone()),
    column("STEP", |one, _| one.step.clone()),
    column("SINCE", |one, out| values::time(one.since, out)),
    column(
        "APPROVERS",
        |one, _| if one.approvers.is_empty() { "-".to_owned() } else { one.approvers.join(",") },
    ),
    column("REQUEST", |one, _| request(one)),
    wide("RUN", |one, _| one.run_id.clone()),
];

/// What is asked, in words where there are some.
fn request(one: &ApprovalView) -> String {
    let request: Value = serde_json::from_str(one.request.get()).unwrap_or_default();
    match request["prompt"].as_str() {
        Some(prompt) => values::cut(prompt, REQUEST_MAX),
        None => values::short_json(Some(&one.request), REQUEST_MAX),
    }
}

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, command: ApprovalCommand) -> Result<(), Failure> {
    let client = client(global)?;
    in_time(global, async {
        match command {
            ApprovalCommand::List(ListArgs { limit, cursor }) => {
                let query = PageQuery { limit: Some(limit), cursor };
                out.page(&client.approvals().list(&query).await?, &COLUMNS, |one| one.id.clone())
            }
            ApprovalCommand::Approve { id, words } => decide(out, &client, &id, (words, true)).await,
            ApprovalCommand::Reject { id, words } => decide(out, &client, &id, (words, false)).await,
        }
    })
    .await
}

/// Decides what a run waits for.
pub(super) async fn of_run(
    out: &Out,
    client: &Client,
    view: &RunView,
    (args, approved): (OfRun, bool),
) -> Result<(), Failure> {
    let named = |step: &str| args.step.as_deref().is_none_or(|wanted| wanted == step);
    let waiting = view.steps.iter().filter(|step| named(&step.id));
    let found: Vec<(&str, &str)> =
        waiting.filter_map(|step| Some((step.id.as_str(), step.approval_id.as_deref()?))).collect();
    match found.as_slice() {
        [(_, id)] => decide(out, client, id, (args.words, approved)).await,
        [] => {
            Err(Failure::Conflict(format!("no step of {} awaits this decision: orc approval list", view.id)))
        }
        many => {
            let steps: Vec<&str> = many.iter().map(|(step, _)| *step).collect();
            Err(Failure::Usage(format!("several steps wait, name one: {}", steps.join(", "))))
        }
    }
}

async fn decide(
    out: &Out,
    client: &Client,
    id: &str,
    (words, approved): (Words, bool),
) -> Result<(), Failure> {
    let data = words.data.as_deref().map(values::json_or_text);
    let data = data.map(|data| orc_client::wire::raw(&data)).transpose().map_err(Failure::unreadable)?;
    let body = Decide { by: words.by, comment: words.comment, data };
    let approvals = client.approvals();
    let decided =
        if approved { approvals.approve(id, &body).await? } else { approvals.reject(id, &body).await? };
    out.item(&decided, &decided.id, || {
        let word = if approved { "approved" } else { "rejected" };
        format!(
            "{word} by {}; run {} is {}",
            decided.by,
            decided.run_id,
            style::status(decided.status.as_str())
        )
    })
}
