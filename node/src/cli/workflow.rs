//! `orc workflow`: its commands; checks workflow files without a cluster and shows what they would do.
//! Knows nothing of runs.

use std::path::PathBuf;

use clap::Subcommand;
use orc_domain::{ClusterConfig, StepKind};
use serde_json::{Value, json};

use super::{
    Failure, Global, Out,
    output::{column, note},
    style::{Color, paint},
    values, workflow_kept,
};
use crate::definition::{
    Compiled, Compiler, DefinitionErrors, SCHEMA,
    drawing::Drawing,
    duration::format_duration,
    outline::{self, StepOutline},
};

/// Checks workflow files and keeps workflows by name.
#[derive(Debug, Subcommand)]
pub enum WorkflowCommand {
    /// Tells every mistake of workflow files, with line and column
    #[command(
        after_help = "Examples:\n  orc workflow validate examples/*.yaml\n  orc workflow validate pipeline.yaml -o json"
    )]
    Validate {
        /// Workflow files, YAML or JSON; - is stdin
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Keeps workflows by name; what is new becomes a version
    #[command(
        after_help = "Examples:\n  orc workflow apply examples/*.yaml\n  orc workflow apply pipeline.yaml --if-version 3"
    )]
    Apply {
        /// Workflow files, YAML or JSON; - is stdin
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Only if the workflow is at this version; 0: only if there is none
        #[arg(long)]
        if_version: Option<u64>,
    },
    /// Lists workflows
    #[command(visible_alias = "ls", after_help = "Example:\n  orc workflow list -o wide")]
    List {
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Goes on where a page ended
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Shows a workflow with what it says
    #[command(
        after_help = "Examples:\n  orc workflow get nightly-eval\n  orc workflow get nightly-eval@3 -o yaml"
    )]
    Get {
        /// Its name, or NAME@VERSION
        name: String,
    },
    /// Lists the versions of a workflow, newest first
    #[command(after_help = "Example:\n  orc workflow versions nightly-eval")]
    Versions {
        /// Its name
        name: String,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Goes on where a page ended
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Shows what one version changes against another
    #[command(after_help = "Example:\n  orc workflow diff nightly-eval 2 3")]
    Diff {
        /// Its name
        name: String,
        /// The version before
        from: u64,
        /// The version after
        to: u64,
    },
    /// Draws the steps of a workflow, a file's or one that is kept
    #[command(
        after_help = "Examples:\n  orc workflow graph nightly-eval\n  orc workflow graph pipeline.yaml --format mermaid\n  orc workflow graph nightly-eval@2 --format dot | dot -Tsvg > graph.svg"
    )]
    Graph {
        /// A file, or NAME or NAME@VERSION of one that is kept
        workflow: String,
        /// How it is drawn
        #[arg(long, value_enum, default_value_t = Drawing::Text)]
        format: Drawing,
    },
    /// Lets a workflow start no new runs by name, schedule or hook
    #[command(after_help = "Example:\n  orc workflow pause nightly-eval")]
    Pause {
        /// Its name
        name: String,
    },
    /// Lets a paused workflow start runs again
    #[command(after_help = "Example:\n  orc workflow resume nightly-eval")]
    Resume {
        /// Its name
        name: String,
    },
    /// Forgets a workflow with its versions and schedules; its runs go on
    #[command(visible_alias = "rm", after_help = "Example:\n  orc workflow delete nightly-eval --yes")]
    Delete {
        /// Its name
        name: String,
    },
    /// Writes the JSON Schema of workflow files, for editors
    #[command(after_help = "Example:\n  orc workflow schema > workflow.schema.json")]
    Schema,
}

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, command: WorkflowCommand) -> Result<(), Failure> {
    match command {
        WorkflowCommand::Validate { files } => validate(out, &files),
        WorkflowCommand::Schema => Out::raw(SCHEMA.as_bytes()),
        command => workflow_kept::run(global, out, command).await,
    }
}

fn validate(out: &Out, files: &[PathBuf]) -> Result<(), Failure> {
    let mut documents = Vec::new();
    let mut valid = true;
    for path in files {
        let (file, text) = (path.display().to_string(), values::read_text(path)?);
        let result = compile(&text);
        valid &= result.is_ok();
        if out.is_structured() {
            documents.push(document(&file, &result));
            continue;
        }
        match result {
            Ok(compiled) => {
                compiled.warnings.iter().for_each(|warning| note(&format!("{file}: warning: {warning}")));
                out.line(&format!("{file}: valid, {}", summary(&compiled)))?;
            }
            Err(errors) => note(&colored(&errors.render(&file))),
        }
    }
    match documents.as_slice() {
        many if !out.wants_one_document() => many.iter().try_for_each(|one| out.json_line(one))?,
        [only] => out.document(only)?,
        many => out.document(&many)?,
    }
    if valid { Ok(()) } else { Err(Failure::Definition) }
}

/// Compiles a document, or tells its mistakes on stderr.
pub(super) fn compile_or_tell(file: &str, text: &str) -> Result<Compiled, Failure> {
    compile(text).map_err(|errors| {
        note(&colored(&errors.render(file)));
        Failure::Definition
    })
}

/// Shows what a workflow would do.
pub(super) fn show_plan(out: &Out, compiled: &Compiled) -> Result<(), Failure> {
    let definition = &compiled.definition;
    if out.is_structured() {
        return out.document(&plan(compiled));
    }
    compiled.warnings.iter().for_each(|warning| note(&format!("warning: {warning}")));
    out.hint(&format!("{}: {}", definition.name, summary(compiled)));
    let (mut rows, mut outlines) = (Vec::new(), Vec::new());
    outlines.push((None, outline::steps(definition)));
    outlines.extend(outline::handlers(definition).into_iter().map(|(word, steps)| (Some(word), steps)));
    for (handler, steps) in &outlines {
        rows.extend(handler.map(|word| Row { step: word.to_owned(), ..Row::default() }));
        add_rows(&mut rows, steps, usize::from(handler.is_some()));
    }
    out.table(
        &rows,
        &[
            column("STEP", |row: &Row, _| row.step.clone()),
            column("TYPE", |row, _| row.kind.to_owned()),
            column("DOES", |row, _| row.does.clone()),
            column("NEEDS", |row, _| row.needs.clone()),
        ],
    )
}

/// A line of the table: a step, or the word that the steps below it belong to.
#[derive(Default)]
struct Row {
    step: String,
    kind: &'static str,
    does: String,
    needs: String,
}

/// Adds steps, and below each what is inside it.
fn add_rows(rows: &mut Vec<Row>, steps: &[StepOutline<'_>], depth: usize) {
    let indent = "  ".repeat(depth);
    for outline in steps {
        let needs = if outline.needs.is_empty() { "-".to_owned() } else { outline.needs.join(", ") };
        let step = format!("{indent}{}", outline.id);
        rows.push(Row { step, kind: outline.kind, does: does(&outline.step.kind), needs });
        for (word, inside) in [("each", &outline.each), ("compensate", &outline.compensate)] {
            if !inside.is_empty() {
                rows.push(Row { step: format!("{indent}  {word}"), ..Row::default() });
                add_rows(rows, inside, depth + 2);
            }
        }
    }
}

/// `4 steps, sequence, finally`
fn summary(compiled: &Compiled) -> String {
    let definition = &compiled.definition;
    let words = [compiled.mode.name()].into_iter().chain(outline::handlers(definition).into_keys());
    format!("{} steps, {}", definition.steps.len(), words.collect::<Vec<_>>().join(", "))
}

fn compile(text: &str) -> Result<Compiled, DefinitionErrors> {
    Compiler::new(&ClusterConfig::default()).text(text)
}

fn document(file: &str, result: &Result<Compiled, DefinitionErrors>) -> Value {
    match result {
        Ok(compiled) => {
            let mut document = plan(compiled);
            document["file"] = json!(file);
            document
        }
        Err(errors) => {
            let errors: Vec<Value> = errors
                .0
                .iter()
                .map(|error| {
                    json!({"pointer": error.pointer, "line": error.line, "column": error.column, "code": error.code,
                           "detail": error.message, "hint": error.hint})
                })
                .collect();
            json!({"file": file, "valid": false, "errors": errors})
        }
    }
}

/// The steps with what each needs, in the form in which a node tells it.
pub(super) fn graph(compiled: &Compiled) -> Value {
    let definition = &compiled.definition;
    json!({"name": compiled.workflow, "nodes": outline::steps(definition), "handlers": outline::handlers(definition)})
}

fn plan(compiled: &Compiled) -> Value {
    let definition = &compiled.definition;
    json!({"valid": true, "workflow": compiled.workflow, "name": &*definition.name, "mode": compiled.mode.name(),
           "steps": outline::steps(definition), "handlers": outline::handlers(definition),
           "secrets": compiled.secrets, "warnings": compiled.warnings})
}

fn does(kind: &StepKind) -> String {
    match kind {
        StepKind::Task { action, .. } => action.to_string(),
        StepKind::Condition { expression, .. } => expression.to_string(),
        StepKind::Parallel { children } => format!("{} children at once", children.len()),
        StepKind::Delay { duration } => format_duration(*duration),
        StepKind::Until { expression } => format!("until {expression}"),
        StepKind::Signal { name } => format!("signal {name}"),
        StepKind::Event { kind, .. } => format!("event {kind}"),
        StepKind::Approval { approvers, .. } if approvers.is_empty() => "anybody's approval".to_owned(),
        StepKind::Approval { approvers, .. } => format!("approval of {}", approvers.join(", ")),
        StepKind::ForEach { items, parallel_max, .. } => format!("each of {items}, {parallel_max} at once"),
        StepKind::Workflow { name, version: None, .. } => name.to_string(),
        StepKind::Workflow { name, version: Some(version), .. } => format!("{name}@{version}"),
        StepKind::State { writes, reads, .. } => {
            let writes = writes.iter().map(|(key, _)| format!("set {key}"));
            writes.chain(reads.iter().map(|key| format!("get {key}"))).collect::<Vec<_>>().join(", ")
        }
        StepKind::Message { request, .. } => {
            let request: Value = serde_json::from_str(request.as_str()).unwrap_or_default();
            let receiver = request["component"].as_str().unwrap_or("all components");
            format!("{} to {receiver}", request["type"].as_str().unwrap_or_default())
        }
        StepKind::Emit { kind, .. } => kind.to_string(),
    }
}

fn colored(text: &str) -> String {
    text.trim_end().replace(" error: ", &format!(" {} ", paint(Color::Red, "error:")))
}
