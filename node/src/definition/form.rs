//! What each form of a step does; here tasks, scripts, HTTP calls, conditions and groups.
//! Knows the fields of one form at a time, not the steps around it.

use orc_domain::{ActionName, Cache, Json, OnFalse, StepKind, Text};
use serde_json::{Map, Value as JsonValue};

use super::{
    call,
    error::code,
    fields::Form,
    read::Reader,
    step::{Body, Defaults, Options, read_steps},
    suggest::did_you_mean,
    template,
    tree::{Node, Value},
    wait,
};

/// The action of a task that names none: built in, returns its config.
const DEFAULT_ACTION: &str = "echo";

/// Reads what a step of this form does.
pub(super) fn read_body<'n>(
    reader: &mut Reader<'_>,
    node: &'n Node,
    form: Form,
    defaults: &Defaults,
    options: &mut Options,
) -> Body<'n> {
    options.cache = node.get("cache").filter(|_| form.is_work()).and_then(|cache| read_cache(reader, cache));
    match form {
        Form::Task => Body::Single(task(reader, node, defaults, options)),
        Form::Run => Body::Single(run(reader, node, defaults)),
        Form::Http => Body::Single(http(reader, node)),
        Form::Agent => Body::Single(call::agent(reader, node, defaults)),
        Form::Condition => Body::Single(condition(reader, node)),
        Form::Parallel => Body::Group(parallel(reader, node, defaults)),
        Form::Delay | Form::Signal | Form::Event => Body::Single(wait::wait(reader, node, options)),
        Form::Approval => Body::Single(wait::approval(reader, node, options)),
        Form::Workflow => Body::Single(call::workflow(reader, node)),
        Form::State => Body::Single(call::state(reader, node)),
        Form::Message => Body::Single(call::message(reader, node, options)),
        Form::Emit => Body::Single(call::emit(reader, node)),
    }
}

/// When the output of an earlier run counts.
fn read_cache(reader: &mut Reader<'_>, node: &Node) -> Option<Cache> {
    if !reader.fields(node, "`cache`", &["key", "maxAge"], &[]) {
        return None;
    }
    let key = reader.needed(node, "key", "`cache`")?;
    reader.templates(key);
    let key = Text::from(reader.text(key, "`key`")?);
    Some(Cache { key, age_max: reader.time_limit(node, "maxAge") })
}

fn task(reader: &mut Reader<'_>, node: &Node, defaults: &Defaults, options: &mut Options) -> StepKind {
    let config = config_of(reader, node);
    let inner = config.and_then(|config| config.get("action"));
    if let (Some(outer), Some(inner)) = (node.get("action"), inner)
        && outer.value != inner.value
    {
        reader.report.at(inner, code::CONFLICT, "the action is given twice: `action` and `config.action`");
    }
    let action = node.get("action").or(inner).and_then(|node| reader.word(node, "`action`"));
    let action = ActionName::from(action.unwrap_or(DEFAULT_ACTION));
    if let Some(config) = config.filter(|config| config.get("timeout").is_some()) {
        let inner = reader.time_limit(config, "timeout");
        match (node.get("timeout"), inner) {
            (None, Some(timeout)) => options.timeout = timeout,
            (Some(outer), Some(_)) => {
                let pointer = &outer.pointer;
                reader.report.warn(format!(
                    "{pointer}: both `timeout` and `config.timeout` are given, `timeout` counts"
                ));
            }
            (_, None) => {}
        }
    }
    let templated = config.is_some_and(|config| reader.task_templates(config));
    let mut json = config.map_or_else(Map::new, object);
    if &*action == "run" {
        let script = config.and_then(|config| config.get("script"));
        check_script(reader, node, script);
        let with_env = merge_env(reader, node, defaults, &mut json);
        return made(&action, json, templated || with_env);
    }
    if let Some(env) = node.get("env") {
        reader.report.at(env, code::CONFLICT, "`env` applies to scripts only, pass values in `config`");
    }
    made(&action, json, templated)
}

fn run(reader: &mut Reader<'_>, node: &Node, defaults: &Defaults) -> StepKind {
    let config = config_of(reader, node);
    let mut json = config.map_or_else(Map::new, object);
    let mut templated = config.is_some_and(|config| reader.task_templates(config));
    let inner = config.and_then(|config| config.get("script"));
    let script = node.get("run");
    if let (Some(script), Some(_)) = (script, inner) {
        reader.report.at(script, code::CONFLICT, "the script is given twice: `run` and `config.script`");
    }
    check_script(reader, node, script.or(inner));
    if let Some(text) = script.and_then(Node::text) {
        json.insert("script".to_owned(), JsonValue::from(text));
    }
    for key in ["shell", "workdir"] {
        let Some(given) = node.get(key) else { continue };
        templated |= reader.task_templates(given);
        if let Some(text) = reader.text(given, &format!("`{key}`")) {
            json.insert(key.to_owned(), JsonValue::from(text));
        }
    }
    templated |= merge_env(reader, node, defaults, &mut json);
    made("run", json, templated)
}

fn http(reader: &mut Reader<'_>, node: &Node) -> StepKind {
    let request = match (node.get("http"), config_of(reader, node)) {
        (Some(http), Some(_)) => {
            reader.report.at(http, code::CONFLICT, "the request is given twice: `http` and `config`");
            Some(http)
        }
        (http, config) => http.or(config),
    };
    let Some(request) = request else {
        reader.report.at(node, code::MISSING_FIELD, "an http step needs `http: { url: … }`");
        return made("http", Map::new(), false);
    };
    if let Some(url) = request.text() {
        let json = Map::from_iter([("url".to_owned(), JsonValue::from(url))]);
        return made("http", json, reader.task_templates(request));
    }
    if request.entries().is_none() {
        reader.wrong_type(request, "`http`", "a map or an address");
    } else if let Some(url) = request.get("url") {
        reader.text(url, "`url`");
    } else {
        reader.report.at(request, code::MISSING_FIELD, "`http` needs a `url`");
    }
    let templated = reader.task_templates(request);
    made("http", object(request), templated)
}

fn condition(reader: &mut Reader<'_>, node: &Node) -> StepKind {
    let expression = match node.get("condition") {
        Some(expression) => reader.expression(expression, "the condition"),
        None => {
            reader.report.at(node, code::MISSING_FIELD, "a condition step needs a `condition`");
            None
        }
    };
    let on_false = node.get("onFalse").map_or(OnFalse::Skip, |on_false| on_false_of(reader, on_false));
    StepKind::Condition { expression: expression.unwrap_or_else(|| Text::from("false")), on_false }
}

/// The word of `onFalse`; where to go is known once every step has its place.
fn on_false_of(reader: &mut Reader<'_>, node: &Node) -> OnFalse {
    if node.entries().is_some() {
        return OnFalse::Skip;
    }
    match reader.text(node, "`onFalse`") {
        Some("fail") => OnFalse::Fail,
        Some("skip") | None => OnFalse::Skip,
        Some("goto") => {
            reader.report.at(node, code::MISSING_FIELD, "`onFalse: goto` needs a step to go to");
            reader.report.hint("write `onFalse: { goto: clean_up }`");
            OnFalse::Skip
        }
        Some(other) => {
            let meant = did_you_mean(other, ["skip", "fail", "goto"]);
            let message =
                format!("`onFalse` must be `skip`, `fail` or `{{ goto: … }}`, not `{other}`{meant}");
            reader.report.at(node, code::BAD_VALUE, message);
            OnFalse::Skip
        }
    }
}

/// The step that a false condition goes to.
pub(super) fn goto<'n>(reader: &mut Reader<'_>, node: &'n Node) -> Option<(&'n Node, &'n str)> {
    let on_false = node.get("onFalse").filter(|on_false| on_false.entries().is_some())?;
    reader.fields(on_false, "`onFalse`", &["goto"], &[]);
    let target = reader.needed(on_false, "goto", "`onFalse`")?;
    Some((target, reader.text(target, "`goto`")?))
}

fn parallel<'n>(reader: &mut Reader<'_>, node: &'n Node, defaults: &Defaults) -> Vec<super::step::Draft<'n>> {
    match (node.get("parallel"), node.get("steps")) {
        (Some(children), None) => read_steps(reader, children, "`parallel`", defaults),
        (None, Some(children)) => read_steps(reader, children, "`steps`", defaults),
        (Some(_), Some(children)) => {
            reader.report.at(
                children,
                code::CONFLICT,
                "the children are given twice: `parallel` and `steps`",
            );
            Vec::new()
        }
        (None, None) => {
            reader.report.at(node, code::MISSING_FIELD, "a parallel step needs `parallel: [ … ]`");
            Vec::new()
        }
    }
}

/// The step's `config`, if it has one; `with` is another word for it.
pub(super) fn config_of<'n>(reader: &mut Reader<'_>, node: &'n Node) -> Option<&'n Node> {
    let given = |key| node.get(key).filter(|config: &&Node| config.value != Value::Null);
    if let (Some(_), Some(with)) = (given("config"), given("with")) {
        reader.report.at(with, code::CONFLICT, "`with` is another word for `config`: give one of them");
    }
    let (word, config) = match (given("config"), given("with")) {
        (None, with) => ("`with`", with?),
        (Some(config), _) => ("`config`", config),
    };
    if config.entries().is_none() {
        reader.wrong_type(config, word, "a map");
        return None;
    }
    Some(config)
}

/// A script must be there, and no expression may be pasted into it: values reach it by its environment.
fn check_script(reader: &mut Reader<'_>, step: &Node, script: Option<&Node>) {
    let Some(script) = script else {
        reader.report.at(step, code::MISSING_FIELD, "a run step needs `run:` with a script");
        return;
    };
    if reader.text(script, "`run`").is_some_and(template::has_any) {
        let message = "`${{ }}` is not allowed inside run:, pass it through env:";
        reader.report.at(script, code::RUN_INTERPOLATION, message);
    }
}

/// Puts the step's environment over the workflow's into `config.env`; whether it holds expressions.
pub(super) fn merge_env(
    reader: &mut Reader<'_>,
    node: &Node,
    defaults: &Defaults,
    json: &mut Map<String, JsonValue>,
) -> bool {
    let own = reader.text_map(node, "env");
    if let Some(env) = node.get("env") {
        reader.task_templates(env);
    }
    let mut env = Map::new();
    env.extend(defaults.env.iter().map(|(name, value)| (name.clone(), JsonValue::from(value.as_str()))));
    if let Some(JsonValue::Object(given)) = json.get("env") {
        env.extend(given.clone());
    }
    env.extend(own.into_iter().map(|(name, value)| (name, JsonValue::from(value))));
    let templated = env.values().any(|value| value.as_str().is_some_and(template::has_any));
    if !env.is_empty() {
        json.insert("env".to_owned(), JsonValue::Object(env));
    }
    templated
}

/// A map as JSON.
pub(super) fn object(node: &Node) -> Map<String, JsonValue> {
    if let JsonValue::Object(map) = node.to_json() { map } else { Map::new() }
}

/// A task.
pub(super) fn made(action: &str, config: Map<String, JsonValue>, templated: bool) -> StepKind {
    let config = Json::from(JsonValue::Object(config).to_string());
    StepKind::Task { action: ActionName::from(action), config, templated }
}
