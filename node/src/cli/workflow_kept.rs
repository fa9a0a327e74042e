//! `orc workflow` on a cluster: workflows that are kept by name.
//! Knows nothing of how versions are kept.

use std::path::{Path, PathBuf};

use orc_client::{
    Client,
    wire::{Page, WorkflowApplied, WorkflowVersionView, WorkflowView, WorkflowsQuery},
};
use serde_json::Value;

use super::{
    Failure, Global, Out,
    cluster::confirm,
    connect::{client, in_time},
    output::{Column, column, note, wide},
    values,
    workflow::{self as of_file, WorkflowCommand, compile_or_tell},
};
use crate::definition::drawing::{Drawing, draw};

const COLUMNS: [Column<WorkflowView>; 7] = [
    column("WORKFLOW", |workflow, _| workflow.name.clone()),
    column("VERSION", |workflow, _| workflow.version.to_string()),
    column("STATUS", |workflow, _| if workflow.paused { "paused" } else { "active" }.to_owned()),
    column("STEPS", |workflow, _| workflow.steps.to_string()),
    column("APPLIED", |workflow, out| values::time(Some(workflow.applied_at), out)),
    wide("TITLE", |workflow, _| workflow.title.clone()),
    wide("DIGEST", |workflow, _| workflow.digest.clone()),
];

const VERSIONS: [Column<WorkflowVersionView>; 3] = [
    column("VERSION", |version, _| version.version.to_string()),
    column("APPLIED", |version, out| values::time(Some(version.created_at), out)),
    column("DIGEST", |version, _| version.digest.clone()),
];

/// Does it.
pub(super) async fn run(global: &Global, out: &Out, command: WorkflowCommand) -> Result<(), Failure> {
    if let WorkflowCommand::Graph { workflow, format } = &command
        && is_file(workflow)
    {
        let compiled = compile_or_tell(workflow, &values::read_text(Path::new(workflow))?)?;
        if out.is_structured() {
            return out.document(&of_file::graph(&compiled));
        }
        return out.text(draw(&compiled.definition, *format).trim_end());
    }
    if let WorkflowCommand::Delete { name } = &command {
        confirm(global, &format!("Delete the workflow {name} with its versions and schedules?"))?;
    }
    let client = client(global)?;
    in_time(global, on_cluster(out, &client, command)).await
}

/// Whether a word names a file rather than a workflow that is kept.
pub(super) fn is_file(word: &str) -> bool {
    let ending = [".yaml", ".yml", ".json"].iter().any(|ending| word.ends_with(ending));
    word == "-" || word.contains('/') || ending || Path::new(word).is_file()
}

/// `NAME` or `NAME@VERSION`.
pub(super) fn name_and_version(word: &str) -> Result<(&str, Option<u64>), Failure> {
    let Some((name, version)) = word.split_once('@') else { return Ok((word, None)) };
    match version.parse() {
        Ok(version) => Ok((name, Some(version))),
        Err(_) => Err(Failure::Usage(format!("`{version}` is not a version: write NAME@3"))),
    }
}

async fn on_cluster(out: &Out, client: &Client, command: WorkflowCommand) -> Result<(), Failure> {
    let workflows = client.workflows();
    match command {
        WorkflowCommand::Apply { files, if_version } => apply(out, client, &files, if_version).await,
        WorkflowCommand::List { limit, cursor } => {
            let page = workflows.list(&WorkflowsQuery { limit: Some(limit), cursor }).await?;
            out.page(&page, &COLUMNS, |workflow| workflow.name.clone())
        }
        WorkflowCommand::Get { name } => get(out, client, &name).await,
        WorkflowCommand::Versions { name, limit, cursor } => {
            let page = workflows.versions(&name, &WorkflowsQuery { limit: Some(limit), cursor }).await?;
            out.page(&page, &VERSIONS, |version| version.version.to_string())
        }
        WorkflowCommand::Diff { name, from, to } => {
            let diff = workflows.diff(&name, from, to).await?;
            let shown = if diff.same { "no difference".to_owned() } else { diff.diff.trim_end().to_owned() };
            out.item(&diff, &diff.name, || shown)
        }
        WorkflowCommand::Graph { workflow, format } => graph(out, client, &workflow, format).await,
        WorkflowCommand::Pause { name } => told(out, &workflows.pause(&name).await?),
        WorkflowCommand::Resume { name } => told(out, &workflows.resume(&name).await?),
        WorkflowCommand::Delete { name } => {
            workflows.delete(&name).await?;
            let gone = serde_json::json!({ "name": name, "deleted": true });
            out.item(&gone, &name, || format!("Workflow {name} is deleted"))
        }
        WorkflowCommand::Validate { .. } | WorkflowCommand::Schema => Ok(()),
    }
}

/// Every file is checked before the first one is sent.
async fn apply(out: &Out, client: &Client, files: &[PathBuf], version: Option<u64>) -> Result<(), Failure> {
    let mut documents: Vec<Value> = Vec::new();
    for path in files {
        let compiled = compile_or_tell(&path.display().to_string(), &values::read_text(path)?)?;
        let source = serde_json::from_str(compiled.definition.source.as_str());
        documents.push(source.map_err(Failure::unreadable)?);
    }
    let mut items = Vec::new();
    for document in &documents {
        let applied = client.workflows().apply(document, version).await?;
        applied.warnings.iter().for_each(|warning| note(&format!("{}: warning: {warning}", applied.name)));
        items.push(applied);
    }
    if let [only] = items.as_slice() {
        return out.item(only, &only.name, || applied_text(only));
    }
    if out.is_structured() {
        return out.page(
            &Page { items, next_cursor: None, total: None, total_is_exact: None },
            &[],
            |applied| applied.name.clone(),
        );
    }
    items.iter().try_for_each(|applied| out.item(applied, &applied.name, || applied_text(applied)))
}

fn applied_text(applied: &WorkflowApplied) -> String {
    let what = if applied.created { "applied" } else { "unchanged" };
    format!("Workflow {}@{} is {what}", applied.name, applied.version)
}

async fn get(out: &Out, client: &Client, word: &str) -> Result<(), Failure> {
    let (name, version) = name_and_version(word)?;
    if let Some(version) = version {
        let shown = client.workflows().version(name, version).await?;
        return out.item(&shown, word, || yaml(shown.definition.as_deref().map_or("null", |raw| raw.get())));
    }
    let view = client.workflows().get(name).await?;
    let head = format!(
        "# {}@{}{}, applied {}",
        view.name,
        view.version,
        if view.paused { ", paused" } else { "" },
        values::time(Some(view.applied_at), out)
    );
    let hooks: String = view.hooks.iter().map(|path| format!("\n# hook: POST {path}")).collect();
    let text = yaml(view.definition.as_deref().map_or("null", |raw| raw.get()));
    out.item(&view, &view.name, || format!("{head}{hooks}\n{text}"))
}

fn yaml(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap_or_default();
    serde_saphyr::to_string(&value).map_or_else(|_| json.to_owned(), |text| text.trim_end().to_owned())
}

async fn graph(out: &Out, client: &Client, word: &str, format: Drawing) -> Result<(), Failure> {
    let (name, version) = name_and_version(word)?;
    if out.is_structured() {
        return out.document(&client.workflows().graph(name, version).await?);
    }
    let text = client.workflows().definition(name, version).await?;
    let compiled = compile_or_tell(name, &text)?;
    out.text(draw(&compiled.definition, format).trim_end())
}

fn told(out: &Out, view: &WorkflowView) -> Result<(), Failure> {
    let what = if view.paused { "paused" } else { "active" };
    out.item(view, &view.name, || format!("Workflow {} is {what}", view.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_names_are_told_apart() {
        assert!(is_file("-") && is_file("./nightly") && is_file("a.yaml") && !is_file("nightly-eval@3"));
        assert!(matches!(name_and_version("a@3"), Ok(("a", Some(3)))));
        assert!(matches!(name_and_version("a"), Ok(("a", None))));
        assert!(name_and_version("a@new").is_err());
    }
}
