//! One step of a document: which form it has, its common fields, and its id.
//! Knows single steps; what stands between them is [`super::graph`]'s, what each form does is [`super::form`]'s.

use std::time::Duration;

use orc_domain::{Labels, Priority, Retry, StepKind, Text};

use super::{
    error::code,
    form,
    read::Reader,
    suggest::did_you_mean,
    tree::{Node, Value},
};

/// A step as written, before it has a place in the graph.
pub(super) struct Draft<'n> {
    pub(super) node: &'n Node,
    pub(super) id: String,
    pub(super) name: Text,
    pub(super) needs: Vec<(&'n Node, &'n str)>,
    pub(super) has_needs: bool,
    pub(super) only_if: Option<Text>,
    pub(super) body: Body<'n>,
    pub(super) options: Options,
}

/// What a step does.
pub(super) enum Body<'n> {
    /// Something by itself.
    Single(StepKind),
    /// Its children at once.
    Group(Vec<Draft<'n>>),
}

/// How a step is carried out.
pub(super) struct Options {
    pub(super) timeout: Duration,
    pub(super) queue_timeout: Option<Duration>,
    pub(super) retry: Retry,
    pub(super) continue_on_error: bool,
    pub(super) labels: Labels,
    pub(super) priority: Option<Priority>,
}

/// What a workflow says of all its steps.
pub(super) struct Defaults {
    pub(super) timeout: Duration,
    pub(super) retry: Retry,
    pub(super) labels: Labels,
    pub(super) env: Vec<(String, String)>,
}

/// The forms a step can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Task,
    Run,
    Http,
    Condition,
    Parallel,
    Delay,
}

impl Form {
    fn word(self) -> &'static str {
        match self {
            Form::Task => "task",
            Form::Run => "run",
            Form::Http => "http",
            Form::Condition => "condition",
            Form::Parallel => "parallel",
            Form::Delay => "delay",
        }
    }

    /// The fields of this form beside the common ones.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Form::Task => &["action", "config", "env"],
            Form::Run => &["run", "shell", "workdir", "env", "config"],
            Form::Http => &["http", "config"],
            Form::Condition => &["condition", "onFalse"],
            Form::Parallel => &["parallel", "steps"],
            Form::Delay => &["delay", "wait", "config"],
        }
    }

    fn is_work(self) -> bool {
        matches!(self, Form::Task | Form::Run | Form::Http)
    }
}

const FORMS: [Form; 6] = [Form::Task, Form::Run, Form::Http, Form::Condition, Form::Parallel, Form::Delay];
const COMMON: [&str; 6] = ["id", "name", "type", "description", "needs", "if"];
const OF_WORK: [&str; 6] = ["timeout", "queueTimeout", "retry", "continueOnError", "labels", "priority"];
const TYPES: [(&str, Form); 7] = [
    ("task", Form::Task),
    ("run", Form::Run),
    ("http", Form::Http),
    ("condition", Form::Condition),
    ("parallel", Form::Parallel),
    ("delay", Form::Delay),
    ("wait", Form::Delay),
];
const TYPES_LATER: [&str; 8] =
    ["approval", "workflow", "foreach", "state", "message", "emit", "agent", "signal"];
const FIELDS_LATER: [&str; 14] = [
    "foreach",
    "approval",
    "workflow",
    "state",
    "message",
    "emit",
    "agent",
    "outputs",
    "compensate",
    "cache",
    "with",
    "inputs",
    "detach",
    "heartbeatTimeout",
];
/// The key that alone says which form a step has.
const KIND_KEYS: [(&str, Form); 7] = [
    ("run", Form::Run),
    ("http", Form::Http),
    ("condition", Form::Condition),
    ("parallel", Form::Parallel),
    ("delay", Form::Delay),
    ("wait", Form::Delay),
    ("action", Form::Task),
];
/// Words that cannot be a name after `steps.` in an expression.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// Reads a list of steps.
pub(super) fn read_steps<'n>(
    reader: &mut Reader<'_>,
    node: &'n Node,
    what: &str,
    defaults: &Defaults,
) -> Vec<Draft<'n>> {
    let Value::List(items) = &node.value else {
        reader.wrong_type(node, what, "a list of steps");
        return Vec::new();
    };
    if items.is_empty() {
        reader.report.at(node, code::BAD_VALUE, format!("{what} is empty"));
    }
    items.iter().enumerate().filter_map(|(index, item)| read_step(reader, item, index, defaults)).collect()
}

fn read_step<'n>(
    reader: &mut Reader<'_>,
    node: &'n Node,
    index: usize,
    defaults: &Defaults,
) -> Option<Draft<'n>> {
    if node.entries().is_none() {
        reader.wrong_type(node, "a step", "a map");
        return None;
    }
    let form = form_of(reader, node);
    if let Some(form) = form {
        check_fields(reader, node, form);
    }
    let (id, name) = read_id(reader, node, index);
    reader.optional_text(node, "description");
    let needs = reader.text_list(node, "needs");
    let only_if = node.get("if").and_then(|node| reader.expression(node, "`if`"));
    let mut options = read_options(reader, node, defaults);
    let body = form::read_body(reader, node, form.unwrap_or(Form::Task), defaults, &mut options);
    Some(Draft { node, id, name, needs, has_needs: node.get("needs").is_some(), only_if, body, options })
}

/// The form; none if the type is not known, which is reported.
fn form_of(reader: &mut Reader<'_>, node: &Node) -> Option<Form> {
    let Some(type_node) = node.get("type") else {
        let implied = KIND_KEYS.iter().find(|(key, _)| node.get(key).is_some());
        return Some(implied.map_or(Form::Task, |(_, form)| *form));
    };
    let word = reader.text(type_node, "`type`")?;
    if let Some((_, form)) = TYPES.iter().find(|(name, _)| *name == word) {
        return Some(*form);
    }
    if TYPES_LATER.contains(&word) {
        reader.report.at(type_node, code::NOT_SUPPORTED, format!("step type `{word}` is not supported yet"));
        return None;
    }
    let meant = did_you_mean(word, TYPES.iter().map(|(name, _)| *name));
    reader.report.at(type_node, code::BAD_VALUE, format!("unknown step type `{word}`{meant}"));
    if meant.is_empty() {
        reader.report.hint("known types: task, run, http, condition, parallel, delay");
    }
    None
}

/// Fields that no step has, fields of later versions, and fields of other forms, each with its own sentence.
fn check_fields(reader: &mut Reader<'_>, node: &Node, form: Form) {
    let own = |key: &str| {
        COMMON.contains(&key) || form.fields().contains(&key) || (form.is_work() && OF_WORK.contains(&key))
    };
    let all: Vec<&str> = COMMON
        .into_iter()
        .chain(OF_WORK)
        .chain(FORMS.iter().flat_map(|form| form.fields().iter().copied()))
        .collect();
    for entry in node.entries().unwrap_or_default().iter().filter(|entry| !own(&entry.key)) {
        let key = entry.key.as_str();
        if FIELDS_LATER.contains(&key) {
            reader.report.at_key(entry, code::NOT_SUPPORTED, format!("`{key}` is not supported yet"));
        } else if all.contains(&key) {
            let message = format!("`{key}` does not apply to a step of type `{}`", form.word());
            reader.report.at_key(entry, code::CONFLICT, message);
            if form == Form::Parallel && OF_WORK.contains(&key) {
                reader.report.hint("set it on the children, or under `defaults`");
            }
        } else {
            let known = all.iter().copied().filter(|known| own(known));
            let message = format!("unknown field `{key}`{}", did_you_mean(key, known));
            reader.report.at_key(entry, code::UNKNOWN_FIELD, message);
        }
    }
}

fn read_id(reader: &mut Reader<'_>, node: &Node, index: usize) -> (String, Text) {
    let name = node.get("name").and_then(|node| reader.name(node, "`name`"));
    let place = format!("step_{}", index + 1);
    let Some(id_node) = node.get("id") else {
        if node.get("name").is_none() {
            reader.report.at(node, code::MISSING_FIELD, "a step needs a `name` or an `id`");
        }
        let name = name.unwrap_or_else(|| Text::from(place.as_str()));
        return (slug(&name).unwrap_or(place), name);
    };
    let Some(id) = reader.text(id_node, "`id`") else { return (place.clone(), Text::from(place)) };
    if !is_identifier(id) {
        reader.report.at(
            id_node,
            code::BAD_VALUE,
            format!("`{id}` cannot be a step's id: letters, digits and `_` only"),
        );
        let suggestion = slug(id).map(|slug| format!("for example `{slug}`"));
        if let Some(suggestion) = suggestion {
            reader.report.hint(suggestion);
        }
    } else if RESERVED.contains(&id) {
        reader.report.at(
            id_node,
            code::BAD_VALUE,
            format!("`{id}` cannot be a step's id: expressions reserve this word"),
        );
    }
    (id.to_owned(), name.unwrap_or_else(|| Text::from(id)))
}

fn is_identifier(id: &str) -> bool {
    id.len() <= 63
        && id.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// `Model Training` → `model_training`: a legal name in expressions.
pub(super) fn slug(name: &str) -> Option<String> {
    let mut slug = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('_') {
            slug.push('_');
        }
    }
    slug.truncate(56);
    let slug = slug.trim_end_matches('_');
    let needs_prefix = slug.starts_with(|c: char| c.is_ascii_digit()) || RESERVED.contains(&slug);
    match (slug.is_empty(), needs_prefix) {
        (true, _) => None,
        (false, true) => Some(format!("step_{slug}")),
        (false, false) => Some(slug.to_owned()),
    }
}

fn read_options(reader: &mut Reader<'_>, node: &Node, defaults: &Defaults) -> Options {
    let mut labels = defaults.labels.clone();
    labels.extend(reader.labels(node, "labels"));
    Options {
        timeout: reader.time_limit(node, "timeout").unwrap_or(defaults.timeout),
        queue_timeout: reader.time_limit(node, "queueTimeout"),
        retry: reader.retry(node, &defaults.retry),
        continue_on_error: reader.switch(node, "continueOnError").unwrap_or(false),
        labels,
        priority: reader.priority(node),
    }
}
