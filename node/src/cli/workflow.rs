//! `orc workflow`: checks workflow files without a cluster and shows what they would do.
//! Knows nothing of runs.

use std::path::PathBuf;

use clap::Subcommand;
use orc_domain::{ClusterConfig, StepDef, StepKind};
use serde_json::{Value, json};

use super::{
    Failure, Out,
    output::{column, note},
    style::{Color, paint},
    values,
};
use crate::definition::{Compiled, Compiler, DefinitionErrors};

/// Checks workflow files.
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
}

/// Does it.
pub(super) fn run(out: &Out, command: &WorkflowCommand) -> Result<(), Failure> {
    let WorkflowCommand::Validate { files } = command;
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
                out.line(&format!(
                    "{file}: valid, {} steps, {}",
                    compiled.definition.steps.len(),
                    compiled.mode.name()
                ))?;
            }
            Err(errors) => note(&colored(&errors.render(&file))),
        }
    }
    match documents.as_slice() {
        [] => {}
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
    out.hint(&format!("{}: {} steps, {}", definition.name, definition.steps.len(), compiled.mode.name()));
    let rows: Vec<(&StepDef, String)> = definition
        .steps
        .iter()
        .map(|step| (step, needs(definition.steps.as_slice(), step).join(", ")))
        .collect();
    out.table(
        &rows,
        &[
            column("STEP", |(step, _): &(&StepDef, String), _| step.id.to_string()),
            column("TYPE", |(step, _), _| step.kind.name().to_owned()),
            column("DOES", |(step, _), _| does(step)),
            column("NEEDS", |(_, needs), _| if needs.is_empty() { "-".to_owned() } else { needs.clone() }),
        ],
    )
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

fn plan(compiled: &Compiled) -> Value {
    let steps = &compiled.definition.steps;
    let shown: Vec<Value> = steps
        .iter()
        .map(|step| json!({"id": &*step.id, "name": &*step.name, "type": step.kind.name(), "needs": needs(steps, step)}))
        .collect();
    json!({"valid": true, "workflow": compiled.workflow, "name": &*compiled.definition.name, "mode": compiled.mode.name(),
           "steps": shown, "warnings": compiled.warnings})
}

fn needs(steps: &[StepDef], step: &StepDef) -> Vec<String> {
    step.needs
        .iter()
        .filter_map(|need| steps.get(usize::from(*need)))
        .map(|step| step.id.to_string())
        .collect()
}

fn does(step: &StepDef) -> String {
    match &step.kind {
        StepKind::Task { action, .. } => action.to_string(),
        StepKind::Condition { expression, .. } => expression.to_string(),
        StepKind::Parallel { children } => format!("{} children at once", children.len()),
        StepKind::Delay { duration } => crate::definition::duration::format_duration(*duration),
        StepKind::Until { expression } => format!("until {expression}"),
        StepKind::Signal { name } => format!("signal {name}"),
        StepKind::Approval { approvers, .. } if approvers.is_empty() => "anybody's approval".to_owned(),
        StepKind::Approval { approvers, .. } => format!("approval of {}", approvers.join(", ")),
        StepKind::ForEach { items, parallel_max, .. } => format!("each of {items}, {parallel_max} at once"),
        StepKind::Workflow { name, version: Some(version), .. } => format!("{name}@{version}"),
        StepKind::Workflow { name, version: None, .. } => name.to_string(),
        StepKind::State { writes, reads, .. } => {
            let keys = writes.iter().map(|(key, _)| key).chain(reads);
            keys.map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        StepKind::Message { .. } => "a message".to_owned(),
        StepKind::Emit { kind, .. } => kind.to_string(),
    }
}

fn colored(text: &str) -> String {
    text.trim_end().replace(" error: ", &format!(" {} ", paint(Color::Red, "error:")))
}
