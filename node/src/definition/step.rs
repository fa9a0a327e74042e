//! One step of a document: its id, the fields that every step may have, and the steps inside it.
//! Knows single steps; what stands between them is [`super::graph`]'s, what each form does is [`super::form`]'s.

use std::time::Duration;

use orc_domain::{BlockIx, Cache, Labels, Priority, Retry, StepKind, Text};

use super::{
    error::code,
    fields::{Form, check_fields, form_of},
    foreach::{self, Fan},
    form,
    names::Use,
    read::Reader,
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
    pub(super) outputs: Vec<(Text, Text)>,
    /// What a `foreach` does with each item.
    pub(super) each: Option<Box<Draft<'n>>>,
    /// What undoes it.
    pub(super) compensate: Option<Box<Draft<'n>>>,
    /// What its expressions name.
    pub(super) uses: Vec<Use>,
    /// The step that the run goes on with where it is a condition and false.
    pub(super) goto: Option<(&'n Node, &'n str)>,
}

impl<'n> Draft<'n> {
    /// The step that does this one's work with each item; what stands before and after stays outside.
    fn for_each(self, fan: Fan, uses: Vec<Use>) -> Draft<'n> {
        let each = Draft {
            node: self.node,
            id: self.id.clone(),
            name: self.name.clone(),
            needs: Vec::new(),
            has_needs: false,
            only_if: None,
            body: self.body,
            options: Options { continue_on_error: false, ..self.options.clone() },
            outputs: Vec::new(),
            each: None,
            compensate: None,
            uses,
            goto: self.goto,
        };
        let options = Options { limit: fan.limit, cache: None, ..self.options };
        Draft { body: Body::Single(fan.kind), options, each: Some(Box::new(each)), goto: None, ..self }
    }
}

/// What a step does.
pub(super) enum Body<'n> {
    /// Something by itself.
    Single(StepKind),
    /// Its children at once.
    Group(Vec<Draft<'n>>),
}

/// How a step is carried out.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) timeout: Duration,
    pub(super) queue_timeout: Option<Duration>,
    pub(super) heartbeat_timeout: Option<Duration>,
    pub(super) total_timeout: Option<Duration>,
    pub(super) retry: Retry,
    pub(super) continue_on_error: bool,
    pub(super) labels: Labels,
    pub(super) priority: Option<Priority>,
    /// Time that a step may take which is no task.
    pub(super) limit: Option<Duration>,
    /// The block that undoes it.
    pub(super) compensate: Option<BlockIx>,
    /// When the output of an earlier run counts.
    pub(super) cache: Option<Cache>,
}

/// What a workflow says of all its steps.
pub(super) struct Defaults {
    pub(super) timeout: Duration,
    pub(super) retry: Retry,
    pub(super) labels: Labels,
    pub(super) env: Vec<(String, String)>,
}

/// What a step is called that has neither `id` nor `name`.
pub(super) struct Unnamed {
    pub(super) id: String,
    /// It needs neither.
    pub(super) allowed: bool,
}

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
    let unnamed = |number: usize| Unnamed { id: format!("step_{number}"), allowed: false };
    read_list(reader, node, what, &mut |reader, step, number| {
        read_step(reader, step, &unnamed(number), defaults)
    })
}

/// Reads the steps of a list, each with its number from 1.
pub(super) fn read_list<'n>(
    reader: &mut Reader<'_>,
    node: &'n Node,
    what: &str,
    read: &mut dyn FnMut(&mut Reader<'_>, &'n Node, usize) -> Option<Draft<'n>>,
) -> Vec<Draft<'n>> {
    let Value::List(items) = &node.value else {
        reader.wrong_type(node, what, "a list of steps");
        return Vec::new();
    };
    if items.is_empty() {
        reader.report.at(node, code::BAD_VALUE, format!("{what} is empty"));
    }
    (1..).zip(items).filter_map(|(number, item)| read(reader, item, number)).collect()
}

/// Reads a step with all that is inside it.
pub(super) fn read_step<'n>(
    reader: &mut Reader<'_>,
    node: &'n Node,
    unnamed: &Unnamed,
    defaults: &Defaults,
) -> Option<Draft<'n>> {
    if node.entries().is_none() {
        reader.wrong_type(node, "a step", "a map");
        return None;
    }
    let around = std::mem::take(&mut reader.named);
    let form = form_of(reader, node);
    if let Some(form) = form {
        check_fields(reader, node, form);
    }
    let form = form.unwrap_or(Form::Task);
    let (id, name) = read_id(reader, node, unnamed);
    reader.optional_text(node, "description");
    let needs = reader.text_list(node, "needs");
    let only_if = node.get("if").and_then(|node| reader.expression(node, "`if`"));
    let mut options = read_options(reader, node, form, defaults);
    let outputs = read_outputs(reader, node);
    let compensate = read_compensate(reader, node, &id, defaults);
    let fan = node.get("foreach").map(|fan| foreach::read(reader, fan));
    let uses = std::mem::take(&mut reader.named);
    let names = fan.as_ref().map_or(&[][..], |fan| &fan.names);
    let within = fan.as_ref().map_or(reader.within, |_| Some("foreach"));
    let body =
        reader.inside(within, names, |reader| form::read_body(reader, node, form, defaults, &mut options));
    let inside = std::mem::replace(&mut reader.named, around);
    let mut draft = Draft {
        node,
        id,
        name,
        needs,
        has_needs: node.get("needs").is_some(),
        only_if,
        body,
        options,
        outputs,
        each: None,
        compensate,
        uses,
        goto: form::goto(reader, node),
    };
    Some(match fan {
        Some(fan) => draft.for_each(fan, inside),
        None => {
            draft.uses.extend(inside);
            draft
        }
    })
}

fn read_outputs(reader: &mut Reader<'_>, node: &Node) -> Vec<(Text, Text)> {
    let Some(outputs) = node.get("outputs") else { return Vec::new() };
    reader.inside(reader.within, &[Text::from("output")], |reader| reader.expressions(outputs, "`outputs`"))
}

/// The step that undoes this one: it needs no name.
fn read_compensate<'n>(
    reader: &mut Reader<'_>,
    node: &'n Node,
    id: &str,
    defaults: &Defaults,
) -> Option<Box<Draft<'n>>> {
    let undo = node.get("compensate")?;
    if let Some(within) = reader.within {
        let message =
            format!("only the workflow's own steps can have `compensate`, this one is inside `{within}`");
        reader.report.at(undo, code::CONFLICT, message);
        return None;
    }
    let unnamed = Unnamed { id: format!("compensate_{id}"), allowed: true };
    reader.inside(Some("compensate"), &[], |reader| read_step(reader, undo, &unnamed, defaults)).map(Box::new)
}

fn read_id(reader: &mut Reader<'_>, node: &Node, unnamed: &Unnamed) -> (String, Text) {
    let name = node.get("name").and_then(|node| reader.name(node, "`name`"));
    let Some(id_node) = node.get("id") else {
        if node.get("name").is_none() && !unnamed.allowed {
            reader.report.at(node, code::MISSING_FIELD, "a step needs a `name` or an `id`");
        }
        let id = name.as_deref().and_then(slug).unwrap_or_else(|| unnamed.id.clone());
        return (id, name.unwrap_or_else(|| Text::from(unnamed.id.as_str())));
    };
    let Some(id) = reader.text(id_node, "`id`") else {
        return (unnamed.id.clone(), Text::from(unnamed.id.as_str()));
    };
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

/// Whether expressions can use a word as a name.
pub(super) fn is_name(word: &str) -> bool {
    is_identifier(word) && !RESERVED.contains(&word)
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

fn read_options(reader: &mut Reader<'_>, node: &Node, form: Form, defaults: &Defaults) -> Options {
    let mut labels = defaults.labels.clone();
    labels.extend(reader.labels(node, "labels"));
    let timeout = reader.time_limit(node, "timeout");
    Options {
        timeout: timeout.unwrap_or(defaults.timeout),
        queue_timeout: reader.time_limit(node, "queueTimeout"),
        heartbeat_timeout: reader.time_limit(node, "heartbeatTimeout"),
        total_timeout: reader.time_limit(node, "totalTimeout"),
        retry: reader.retry(node, &defaults.retry),
        continue_on_error: reader.switch(node, "continueOnError").unwrap_or(false),
        labels,
        priority: reader.priority(node),
        limit: timeout.filter(|_| !form.is_work()),
        compensate: None,
        cache: None,
    }
}
