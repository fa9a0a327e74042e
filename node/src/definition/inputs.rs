//! What a workflow accepts as inputs, and inputs checked against it.
//! Knows nothing of steps.

use serde_json::{Map, Value as Json};

use super::{
    error::{DefinitionError, DefinitionErrors, code},
    read::Reader,
    suggest::did_you_mean,
    tree::{Node, Value},
};

/// The inputs a workflow declares; none declared means that anything is accepted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputSchema {
    inputs: Option<Vec<Input>>,
}

/// One declared input.
#[derive(Debug, Clone, PartialEq)]
struct Input {
    name: String,
    kind: InputKind,
    default: Option<Json>,
    required: bool,
    choices: Vec<Json>,
}

/// The types of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InputKind {
    Any,
    Text,
    Whole,
    Number,
    Switch,
    Map,
    List,
}

const KINDS: [(&str, InputKind); 10] = [
    ("string", InputKind::Text),
    ("integer", InputKind::Whole),
    ("number", InputKind::Number),
    ("boolean", InputKind::Switch),
    ("object", InputKind::Map),
    ("array", InputKind::List),
    ("any", InputKind::Any),
    ("int", InputKind::Whole),
    ("bool", InputKind::Switch),
    ("list", InputKind::List),
];

impl InputKind {
    fn word(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("any", |(word, _)| word)
    }

    fn accepts(self, value: &Json) -> bool {
        match self {
            InputKind::Any => true,
            InputKind::Text => value.is_string(),
            InputKind::Whole => value.is_i64() || value.is_u64(),
            InputKind::Number => value.is_number(),
            InputKind::Switch => value.is_boolean(),
            InputKind::Map => value.is_object(),
            InputKind::List => value.is_array(),
        }
    }
}

impl InputSchema {
    /// Reads `inputs` and reports what is wrong with it.
    pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> InputSchema {
        if node.value == Value::Null {
            return InputSchema { inputs: Some(Vec::new()) };
        }
        let Some(entries) = node.entries() else {
            reader.wrong_type(node, "`inputs`", "a map");
            return InputSchema::default();
        };
        let inputs =
            entries.iter().filter_map(|entry| read_input(reader, &entry.key, &entry.value)).collect();
        InputSchema { inputs: Some(inputs) }
    }

    /// The names of the inputs, if it declares any or none.
    pub(super) fn names(&self) -> Option<Vec<&str>> {
        Some(self.inputs.as_ref()?.iter().map(|input| input.name.as_str()).collect())
    }

    /// Checks the given inputs and fills in defaults; a JSON object.
    pub fn resolve(&self, given: &Json) -> Result<orc_domain::Json, DefinitionErrors> {
        let empty = Map::new();
        let given = match given {
            Json::Null => &empty,
            Json::Object(map) => map,
            Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                return Err(DefinitionErrors(vec![mistake(
                    "",
                    code::WRONG_TYPE,
                    "inputs must be an object".to_owned(),
                )]));
            }
        };
        let Some(inputs) = &self.inputs else {
            return Ok(orc_domain::Json::from(Json::Object(given.clone()).to_string()));
        };
        let mut errors = Vec::new();
        for name in given.keys().filter(|name| !inputs.iter().any(|input| input.name == **name)) {
            let meant = did_you_mean(name, inputs.iter().map(|input| input.name.as_str()));
            errors.push(mistake(name, code::UNKNOWN_INPUT, format!("unknown input `{name}`{meant}")));
        }
        let mut resolved = Map::new();
        for input in inputs {
            match (given.get(&input.name), &input.default) {
                (Some(value), _) => match input.check(value) {
                    Ok(()) => {
                        resolved.insert(input.name.clone(), value.clone());
                    }
                    Err(message) => errors.push(mistake(&input.name, code::WRONG_TYPE, message)),
                },
                (None, Some(default)) => {
                    resolved.insert(input.name.clone(), default.clone());
                }
                (None, None) if input.required => {
                    errors.push(mistake(
                        &input.name,
                        code::MISSING_FIELD,
                        format!("input `{}` is required", input.name),
                    ));
                }
                (None, None) => {}
            }
        }
        if errors.is_empty() {
            return Ok(orc_domain::Json::from(Json::Object(resolved).to_string()));
        }
        Err(DefinitionErrors(errors))
    }
}

impl Input {
    fn check(&self, value: &Json) -> Result<(), String> {
        if !self.kind.accepts(value) {
            let shown: String = value.to_string().chars().take(60).collect();
            return Err(format!("input `{}` must be of type {}, not {shown}", self.name, self.kind.word()));
        }
        if !self.choices.is_empty() && !self.choices.contains(value) {
            let choices: Vec<String> = self.choices.iter().map(Json::to_string).collect();
            return Err(format!("input `{}` must be one of {}", self.name, choices.join(", ")));
        }
        Ok(())
    }
}

fn read_input(reader: &mut Reader<'_>, name: &str, node: &Node) -> Option<Input> {
    let plain =
        |kind| Input { name: name.to_owned(), kind, default: None, required: false, choices: Vec::new() };
    // `epochs: integer` is short for `epochs: { type: integer }`.
    if node.text().is_some() {
        return Some(plain(read_kind(reader, node)));
    }
    if node.value == Value::Null {
        return Some(plain(InputKind::Any));
    }
    if !reader.fields(
        node,
        &format!("input `{name}`"),
        &["type", "default", "required", "enum", "description"],
        &[],
    ) {
        return None;
    }
    reader.optional_text(node, "description");
    let kind = node.get("type").map_or(InputKind::Any, |node| read_kind(reader, node));
    let choices = node.get("enum").map(|node| read_choices(reader, node)).unwrap_or_default();
    let default = node.get("default").filter(|node| node.value != Value::Null);
    let required = reader.switch(node, "required").unwrap_or(false);
    let input = Input { default: default.map(Node::to_json), required, choices, ..plain(kind) };
    if let (Some(node), Some(value)) = (default, &input.default)
        && let Err(message) = input.check(value)
    {
        reader.report.at(node, code::WRONG_TYPE, format!("the default does not fit: {message}"));
    }
    Some(input)
}

fn read_kind(reader: &mut Reader<'_>, node: &Node) -> InputKind {
    let Some(word) = reader.text(node, "`type`") else { return InputKind::Any };
    if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == word) {
        return *kind;
    }
    let meant = did_you_mean(word, KINDS.iter().map(|(name, _)| *name));
    reader.report.at(node, code::BAD_VALUE, format!("unknown input type `{word}`{meant}"));
    reader.report.hint("known types: string, integer, number, boolean, object, array, any");
    InputKind::Any
}

fn read_choices(reader: &mut Reader<'_>, node: &Node) -> Vec<Json> {
    if let Value::List(items) = &node.value {
        return items.iter().map(Node::to_json).collect();
    }
    reader.wrong_type(node, "`enum`", "a list");
    Vec::new()
}

fn mistake(name: &str, code: &'static str, message: String) -> DefinitionError {
    let pointer = if name.is_empty() {
        String::new()
    } else {
        format!("/{}", name.replace('~', "~0").replace('/', "~1"))
    };
    DefinitionError { pointer, line: None, column: None, code, message, hint: None }
}
