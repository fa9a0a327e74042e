//! The top level of a workflow document, and the way from it to a definition.
//! Knows the fields of the document; steps, inputs and the graph are read by their own files.

use std::sync::Arc;

use orc_domain::{Definition, DefinitionId, Json, Labels, Text};
use sha2::{Digest, Sha256};

use super::{
    Compiled, Mode,
    error::{DefinitionErrors, code},
    graph::{Linker, STEPS_MAX},
    handlers::{self, HandlerDrafts},
    inputs::InputSchema,
    names::{Ids, View},
    read::Reader,
    step::{Defaults, Draft, read_steps},
    suggest::did_you_mean,
    tree::Node,
    triggers,
};

const FIELDS: [&str; 21] = [
    "name",
    "id",
    "description",
    "version",
    "inputs",
    "env",
    "labels",
    "timeout",
    "defaults",
    "mode",
    "steps",
    "outputs",
    "$schema",
    "triggers",
    "secrets",
    "concurrency",
    "onFailure",
    "onCancel",
    "finally",
    "priority",
    "retention",
];

/// Reads a whole document.
pub(super) fn compile(mut reader: Reader<'_>, root: &Node) -> Result<Compiled, DefinitionErrors> {
    let mut known: Vec<&str> = FIELDS.to_vec();
    known.sort_unstable();
    if !reader.fields(root, "a workflow", &known, &[]) {
        return Err(DefinitionErrors::of(reader.report));
    }
    let name = read_name(&mut reader, root);
    let workflow = read_slug(&mut reader, root, &name);
    reader.optional_text(root, "description");
    let inputs = root.get("inputs").map(|node| InputSchema::read(&mut reader, node)).unwrap_or_default();
    let triggers = triggers::read(&mut reader, root, &inputs, &workflow);
    let secrets = triggers::secrets(&mut reader, root);
    reader.inputs = inputs.clone();
    reader.secrets = secrets.clone();
    let labels = reader.labels(root, "labels");
    let defaults = read_defaults(&mut reader, root);
    let run_timeout = reader.config.run_timeout;
    let timeout = reader.time_limit(root, "timeout").unwrap_or(run_timeout);
    let priority = reader.priority(root).unwrap_or_default();
    let retention = reader.duration(root, "retention");
    let drafts = match root.get("steps") {
        Some(steps) => read_steps(&mut reader, steps, "`steps`", &defaults),
        None => {
            reader.report.at(root, code::MISSING_FIELD, "a workflow needs `steps`");
            Vec::new()
        }
    };
    let handlers = HandlerDrafts::read(&mut reader, root, &defaults);
    let concurrency = handlers::concurrency(&mut reader, root);
    let outputs = root.get("outputs").map(|node| reader.expressions(node, "`outputs`")).unwrap_or_default();
    let mode = read_mode(&mut reader, root, &drafts);
    let ids = collect_ids(&mut reader, root, &drafts, &handlers)?;
    let uses = std::mem::take(&mut reader.named);
    let mut linker = Linker { reader: &mut reader, ids, blocks: Vec::new() };
    let (steps, ended) = linker.steps(drafts, mode);
    let handlers = handlers.link(&mut linker, &ended);
    let Linker { ids, blocks, .. } = linker;
    View { before: Vec::new(), around: &ended }.check(&mut reader, &uses, &ids);
    let source = root.canonical();
    let id = digest(&reader, &source);
    let warnings = reader.report.finish()?;
    let source = Json::from(source);
    let definition = Arc::new(Definition {
        id,
        name,
        source,
        steps,
        outputs,
        timeout,
        blocks,
        handlers,
        concurrency,
        priority,
        retention,
    });
    Ok(Compiled { definition, workflow, mode, labels, inputs, warnings, triggers, secrets })
}

/// All steps there are, handlers and blocks included, unless they are too many.
fn collect_ids(
    reader: &mut Reader<'_>,
    root: &Node,
    drafts: &[Draft<'_>],
    handlers: &HandlerDrafts<'_>,
) -> Result<Ids, DefinitionErrors> {
    let mut ids = Ids::default();
    ids.add_all(&mut reader.report, drafts);
    ids.add_all(&mut reader.report, handlers.all());
    if ids.count > STEPS_MAX {
        let message = format!("{} steps are more than the {STEPS_MAX} allowed", ids.count);
        reader.report.at(root.get("steps").unwrap_or(root), code::LIMIT, message);
        return Err(DefinitionErrors::of(std::mem::take(&mut reader.report)));
    }
    Ok(ids)
}

impl DefinitionErrors {
    fn of(report: super::error::Report) -> DefinitionErrors {
        report.finish().err().unwrap_or_default()
    }
}

fn read_name(reader: &mut Reader<'_>, root: &Node) -> Text {
    match root.get("name") {
        Some(node) => reader.name(node, "`name`").unwrap_or_else(|| Text::from("")),
        None => {
            reader.report.at(root, code::MISSING_FIELD, "a workflow needs a `name`");
            Text::from("")
        }
    }
}

/// The workflow's word: its `id`, else `ML Model Training` → `ml-model-training`.
fn read_slug(reader: &mut Reader<'_>, root: &Node, name: &str) -> String {
    let Some(node) = root.get("id") else {
        return super::step::slug(name).map_or_else(|| "workflow".to_owned(), |slug| slug.replace('_', "-"));
    };
    let Some(id) = reader.text(node, "`id`") else { return String::new() };
    if id.parse::<orc_domain::ComponentId>().is_err() {
        let message =
            format!("`{id}` cannot be a workflow's id: write [a-z0-9][a-z0-9._-]*, at most 63 characters");
        reader.report.at(node, code::BAD_VALUE, message);
    }
    id.to_owned()
}

fn read_defaults(reader: &mut Reader<'_>, root: &Node) -> Defaults {
    let (timeout, retry) = (reader.config.step_timeout, reader.config.step_retry.clone());
    let env = read_env(reader, root);
    let plain = Defaults { timeout, retry, labels: Labels::new(), env };
    let Some(node) = root.get("defaults") else { return plain };
    if !reader.fields(node, "`defaults`", &["timeout", "retry", "labels", "env"], &[]) {
        return plain;
    }
    let mut env = plain.env;
    env.extend(read_env(reader, node));
    Defaults {
        timeout: reader.time_limit(node, "timeout").unwrap_or(plain.timeout),
        retry: reader.retry(node, &plain.retry),
        labels: reader.labels(node, "labels"),
        env,
    }
}

fn read_env(reader: &mut Reader<'_>, parent: &Node) -> Vec<(String, String)> {
    if let Some(env) = parent.get("env") {
        reader.task_templates(env);
    }
    reader.text_map(parent, "env")
}

/// `sequence` unless a step has `needs`, or the mode as given.
fn read_mode(reader: &mut Reader<'_>, root: &Node, drafts: &[Draft<'_>]) -> Mode {
    let implied = Mode::of(drafts);
    let Some(node) = root.get("mode") else { return implied };
    match reader.text(node, "`mode`") {
        Some("graph") => Mode::Graph,
        Some("sequence") => {
            if implied == Mode::Graph {
                reader.report.at(
                    node,
                    code::CONFLICT,
                    "`mode: sequence` does not go with steps that have `needs`",
                );
            }
            implied
        }
        Some(other) => {
            let meant = did_you_mean(other, ["sequence", "graph"]);
            reader.report.at(
                node,
                code::BAD_VALUE,
                format!("`mode` must be `sequence` or `graph`, not `{other}`{meant}"),
            );
            implied
        }
        None => implied,
    }
}

/// The definition's identity: its text, and the defaults filled in where the text is silent.
fn digest(reader: &Reader<'_>, source: &str) -> DefinitionId {
    let config = reader.config;
    let mut hash = Sha256::new();
    hash.update(source.as_bytes());
    if *config != orc_domain::ClusterConfig::default() {
        let defaults = (config.step_timeout, config.run_timeout, &config.step_retry);
        hash.update(format!("\0{defaults:?}").as_bytes());
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    DefinitionId(id)
}
