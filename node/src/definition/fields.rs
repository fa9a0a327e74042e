//! Which form a step has, and which fields go with it.
//! Knows the words only, nothing of what stands in a field.

use super::{error::code, read::Reader, suggest::did_you_mean, tree::Node};

/// The forms a step can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Task,
    Run,
    Http,
    Agent,
    Condition,
    Parallel,
    Delay,
    Signal,
    Event,
    Approval,
    Workflow,
    State,
    Message,
    Emit,
}

impl Form {
    /// Whether a component does it.
    pub(super) fn is_work(self) -> bool {
        matches!(self, Form::Task | Form::Run | Form::Http | Form::Agent)
    }

    fn word(self) -> &'static str {
        TYPES.iter().find(|(_, form)| *form == self).map_or("task", |(word, _)| word)
    }

    /// The fields of this form beside those that several have.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Form::Task => &["action", "config", "with", "env"],
            Form::Run => &["run", "shell", "workdir", "env", "config", "with"],
            Form::Http => &["http", "config", "with"],
            Form::Agent => &["agent", "env"],
            Form::Condition => &["condition", "onFalse"],
            Form::Parallel => &["parallel", "steps"],
            Form::Delay => &["delay", "wait", "config"],
            Form::Signal | Form::Event => &["wait", "config", "timeout"],
            Form::Approval => &["approval", "timeout"],
            Form::Workflow => &["workflow", "inputs", "detach", "timeout"],
            Form::State => &["state"],
            Form::Message => &["message", "timeout"],
            Form::Emit => &["emit"],
        }
    }

    /// Whether it has a result of its own; the others only decide, order, wait or tell.
    fn yields(self) -> bool {
        match self {
            Form::Task
            | Form::Run
            | Form::Http
            | Form::Agent
            | Form::Signal
            | Form::Event
            | Form::Approval
            | Form::Workflow
            | Form::State
            | Form::Message => true,
            Form::Condition | Form::Parallel | Form::Delay | Form::Emit => false,
        }
    }
}

const COMMON: [&str; 7] = ["id", "name", "type", "description", "needs", "if", "foreach"];
const OF_WORK: [&str; 8] =
    ["timeout", "queueTimeout", "heartbeatTimeout", "totalTimeout", "retry", "labels", "priority", "cache"];
const OF_YIELDING: [&str; 3] = ["continueOnError", "outputs", "compensate"];
/// The words of `type`, a form's own word first.
const TYPES: [(&str, Form); 15] = [
    ("task", Form::Task),
    ("run", Form::Run),
    ("http", Form::Http),
    ("agent", Form::Agent),
    ("condition", Form::Condition),
    ("parallel", Form::Parallel),
    ("delay", Form::Delay),
    ("wait", Form::Delay),
    ("signal", Form::Signal),
    ("event", Form::Event),
    ("approval", Form::Approval),
    ("workflow", Form::Workflow),
    ("state", Form::State),
    ("message", Form::Message),
    ("emit", Form::Emit),
];
/// The key that alone says which form a step has.
const KIND_KEYS: [(&str, Form); 13] = [
    ("run", Form::Run),
    ("http", Form::Http),
    ("agent", Form::Agent),
    ("condition", Form::Condition),
    ("parallel", Form::Parallel),
    ("delay", Form::Delay),
    ("wait", Form::Delay),
    ("approval", Form::Approval),
    ("workflow", Form::Workflow),
    ("state", Form::State),
    ("message", Form::Message),
    ("emit", Form::Emit),
    ("action", Form::Task),
];

/// The form; none if the type is not known, which is reported.
pub(super) fn form_of(reader: &mut Reader<'_>, node: &Node) -> Option<Form> {
    let form = match node.get("type") {
        None => {
            KIND_KEYS.iter().find(|(key, _)| node.get(key).is_some()).map_or(Form::Task, |(_, form)| *form)
        }
        Some(type_node) => type_of(reader, type_node)?,
    };
    let waits_for = |what: &str| {
        ["wait", "config"].iter().any(|key| node.get(key).is_some_and(|of| of.get(what).is_some()))
    };
    match form {
        Form::Delay if waits_for("signal") => Some(Form::Signal),
        Form::Delay if waits_for("event") => Some(Form::Event),
        Form::Signal | Form::Event if !waits_for(form.word()) => {
            let word = form.word();
            let message = format!("a step of type `{word}` needs `wait: {{ {word}: … }}`");
            reader.report.at(node, code::MISSING_FIELD, message);
            None
        }
        form => Some(form),
    }
}

fn type_of(reader: &mut Reader<'_>, node: &Node) -> Option<Form> {
    let word = reader.text(node, "`type`")?;
    if let Some((_, form)) = TYPES.iter().find(|(name, _)| *name == word) {
        return Some(*form);
    }
    let meant = did_you_mean(word, TYPES.iter().map(|(name, _)| *name));
    reader.report.at(node, code::BAD_VALUE, format!("unknown step type `{word}`{meant}"));
    if word == "foreach" {
        reader.report.hint("any step can have a field `foreach: { items: … }`");
    } else if meant.is_empty() {
        let known: Vec<&str> = TYPES.iter().map(|(word, _)| *word).collect();
        reader.report.hint(format!("known types: {}", known.join(", ")));
    }
    None
}

/// Fields that no step has, and fields of other forms, each with its own sentence.
pub(super) fn check_fields(reader: &mut Reader<'_>, node: &Node, form: Form) {
    let foreach = node.get("foreach").is_some();
    let own = |key: &str| {
        COMMON.contains(&key)
            || form.fields().contains(&key)
            || (form.is_work() && OF_WORK.contains(&key))
            || ((form.yields() || foreach) && OF_YIELDING.contains(&key))
    };
    let all: Vec<&str> = COMMON
        .into_iter()
        .chain(OF_WORK)
        .chain(OF_YIELDING)
        .chain(TYPES.iter().flat_map(|(_, form)| form.fields().iter().copied()))
        .collect();
    for entry in node.entries().unwrap_or_default().iter().filter(|entry| !own(&entry.key)) {
        let key = entry.key.as_str();
        if all.contains(&key) {
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
