//! `orc run`: checks a workflow file or names a workflow that is kept, starts a run of it and, if asked, watches it to its end.
//! Knows nothing of how a run is followed or drawn.

use std::path::{Path, PathBuf};

use clap::Args;
use orc_client::{
    Client, RunStatus, Workflow,
    wire::{Priority, RunStarted, RunView},
};
use orc_domain::Labels;
use serde_json::{Map, Value};

use super::{
    Failure, Global, Out,
    connect::{client, in_time, interrupted},
    failure::headline,
    follow::follow,
    output::note,
    progress::Progress,
    style::{bold, look},
    values, workflow,
    workflow_kept::{is_file, name_and_version},
};
use crate::definition::{Compiled, duration::format_duration};

/// Starts a run of a workflow, a file's or one that is kept.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  orc run examples/ml-training.yaml -i epochs=3 --watch\n  orc run pipeline.yaml --input-file inputs.json --label team=ml --priority high\n  cat pipeline.yaml | orc run - --dry-run\n  orc run nightly-eval@3 -i depth=2"
)]
pub struct RunArgs {
    /// A file, YAML or JSON, - is stdin; or NAME or NAME@VERSION of a workflow that is kept
    workflow: String,
    /// An input; JSON if the value reads as JSON, else text
    #[arg(short = 'i', value_name = "KEY=VALUE", value_parser = values::pair)]
    input_value: Vec<(String, String)>,
    /// All inputs as a JSON object
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// A file with inputs, a JSON object; - is stdin
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
    /// Follows the run to its end
    #[arg(short, long, conflicts_with = "detach")]
    watch: bool,
    /// Returns when the run is accepted (the default)
    #[arg(short, long)]
    detach: bool,
    /// A label to find the run by
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::pair)]
    label: Vec<(String, String)>,
    /// LOW, NORMAL, HIGH, CRITICAL, URGENT or 1 to 5
    #[arg(long, value_parser = values::priority)]
    priority: Option<Priority>,
    /// The same key starts the run only once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// While a run of the workflow with this word lives, it is the answer and nothing is started
    #[arg(long, value_name = "WORD")]
    dedupe: Option<String>,
    /// The name of the run's concurrency group, instead of what the workflow says
    #[arg(long, value_name = "NAME")]
    concurrency_key: Option<String>,
    /// Checks the file and the inputs and shows the plan; starts nothing
    #[arg(long)]
    dry_run: bool,
    /// Exits 0 however a watched run ends
    #[arg(long)]
    no_exit_status: bool,
}

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, args: RunArgs) -> Result<(), Failure> {
    let inputs = values::inputs(args.input_file.as_deref(), args.input.as_deref(), &args.input_value)?;
    let client = client(global)?;
    let (title, workflow, own) = match is_file(&args.workflow) {
        true => {
            let Some(compiled) = checked(out, &args, &inputs)? else { return Ok(()) };
            let source: Value =
                serde_json::from_str(compiled.definition.source.as_str()).map_err(Failure::unreadable)?;
            (compiled.definition.name.to_string(), Workflow::definition(source), compiled.labels)
        }
        false => {
            let (name, version) = name_and_version(&args.workflow)?;
            if args.dry_run {
                let told = "--dry-run is for files; orc workflow graph NAME shows a workflow that is kept";
                return Err(Failure::Usage(told.to_owned()));
            }
            let workflow = match version {
                Some(version) => Workflow::version(name, version),
                None => Workflow::named(name),
            };
            (args.workflow.clone(), workflow, Labels::new())
        }
    };
    let mut start = client.runs().start(workflow).started_by("cli");
    for (name, value) in inputs {
        start = start.input(name, value);
    }
    let own = own.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    for (name, value) in own.chain(args.label) {
        start = start.label(name, value);
    }
    if let Some(priority) = args.priority {
        start = start.priority(priority);
    }
    if let Some(key) = args.idempotency_key {
        start = start.idempotency_key(key);
    }
    if let Some(word) = args.dedupe {
        start = start.dedupe(word);
    }
    if let Some(name) = args.concurrency_key {
        start = start.concurrency_key(name);
    }
    let (handle, started) = in_time(global, async { Ok(start.send_told().await?) }).await?;
    let lived = if started.deduplicated { ", which lived already" } else { "" };
    if args.watch {
        out.hint(&format!("Run {} of {title}{lived}", bold(handle.id())));
        return watch_run(global, out, &client, handle.id(), !args.no_exit_status).await;
    }
    let status = handle.get().await.map_or(started.status.clone(), |view| view.status);
    let started = RunStarted { status, ..started };
    out.item(&started, handle.id(), || {
        format!("Run {} of {title}{lived} is {}", handle.id(), started.status)
    })?;
    out.hint(&format!("watch it: orc runs watch {}", handle.id()));
    Ok(())
}

/// The workflow of the file, once file and inputs are checked; none if that was all that was asked for.
fn checked(out: &Out, args: &RunArgs, inputs: &Map<String, Value>) -> Result<Option<Compiled>, Failure> {
    let text = values::read_text(Path::new(&args.workflow))?;
    let compiled = workflow::compile_or_tell(&args.workflow, &text)?;
    if let Err(errors) = compiled.inputs.resolve(&Value::Object(inputs.clone())) {
        errors.0.iter().for_each(|error| headline("INPUT", &error.message));
        return Err(Failure::Definition);
    }
    if args.dry_run {
        workflow::show_plan(out, &compiled)?;
        return Ok(None);
    }
    Ok(Some(compiled))
}

/// Follows a run to its end, drawing it on stderr, and tells the result on stdout.
pub(super) async fn watch_run(
    global: &Global,
    out: &Out,
    client: &Client,
    id: &str,
    exit_status: bool,
) -> Result<(), Failure> {
    let mut progress = Progress::new(global.quiet || out.is_structured());
    let followed = tokio::select! {
        followed = in_time(global, follow(client, id, |view, age| progress.draw(view, age))) => followed,
        () = interrupted() => Err(Failure::Interrupted),
    };
    progress.finish();
    let view = match followed {
        Ok(view) => view,
        Err(failure) => {
            if matches!(failure, Failure::Interrupted | Failure::Timeout(_)) {
                note(&format!("the run goes on: orc runs watch {id}   (to end it: orc runs cancel {id})"));
            }
            return Err(failure);
        }
    };
    out.item(&view, id, || result_text(&view))?;
    match view.status {
        RunStatus::Completed => Ok(()),
        _ if !exit_status => Ok(()),
        _ => Err(Failure::NotCompleted),
    }
}

/// How a run ended: one line, then why it failed or what it yielded.
pub(super) fn result_text(view: &RunView) -> String {
    let status = view.status.as_str();
    let mut word: String = status.replace('_', " ");
    if let Some(first) = word.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let conclusion = match view.conclusion.as_deref() {
        Some(conclusion) if conclusion != status && !matches!(conclusion, "success" | "failure") => {
            format!(" ({conclusion})")
        }
        Some(_) | None => String::new(),
    };
    let took = view
        .duration_ms
        .map(|millis| format!(" in {}", format_duration(std::time::Duration::from_millis(millis))));
    let mut text = format!("{} {word}{conclusion}{}", look(status).glyph(), took.unwrap_or_default());
    if let Some(error) = &view.error {
        text.push_str(&format!("\n  {}: {}", error.code, error.message.replace('\n', "\n    ")));
    }
    let outputs = values::short_json(view.outputs.as_ref(), 2_000);
    if view.status == RunStatus::Completed && !outputs.is_empty() && outputs != "{}" {
        text.push_str(&format!("\n  outputs {outputs}"));
    }
    text
}
