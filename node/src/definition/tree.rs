//! A document as a tree whose every value knows its place in the text and its JSON pointer.
//! Knows nothing of workflows; [`super::yaml`] builds it from text, this file from a JSON value.

use serde_json::{Number, Value as Json};

/// A place in a text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Line.
    pub(super) line: u32,
    /// Column, in characters.
    pub(super) column: u32,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// The value.
    pub(super) value: Value,
    /// Where it stands in the text, if there is one.
    pub(super) at: Option<Place>,
    /// JSON pointer from the root.
    pub(super) pointer: String,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One field of a map, in the order of the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// The field's name.
    pub(super) key: String,
    /// Where the name stands.
    pub(super) key_at: Option<Place>,
    /// Its value.
    pub(super) value: Node,
}

impl Node {
    /// A value without place; [`Node::point`] gives it its pointer.
    pub(super) fn new(value: Value, at: Option<Place>) -> Node {
        Node { value, at, pointer: String::new() }
    }

    /// The tree of a JSON value, without places.
    pub(super) fn of_json(json: &Json) -> Node {
        let mut root = convert(json);
        root.point(String::new());
        root
    }

    /// Gives this node its pointer and everything below it theirs.
    pub(super) fn point(&mut self, pointer: String) {
        self.pointer = pointer;
        match &mut self.value {
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    item.point(format!("{}/{index}", self.pointer));
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    let part = entry.key.replace('~', "~0").replace('/', "~1");
                    entry.value.point(format!("{}/{part}", self.pointer));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
        }
    }

    /// The fields, if it is a map.
    pub(super) fn entries(&self) -> Option<&[Entry]> {
        if let Value::Map(entries) = &self.value { Some(entries) } else { None }
    }

    /// A field of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// What it is, for sentences.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// How deep it goes: 1 for a value without parts.
    pub(super) fn depth(&self) -> usize {
        match &self.value {
            Value::List(items) => 1 + items.iter().map(Node::depth).max().unwrap_or(0),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => 1,
        }
    }

    /// Every text in it, itself included.
    pub(super) fn texts<'n>(&'n self, visit: &mut dyn FnMut(&'n Node, &'n str)) {
        match &self.value {
            Value::Text(text) => visit(self, text),
            Value::List(items) => items.iter().for_each(|item| item.texts(visit)),
            Value::Map(entries) => entries.iter().for_each(|entry| entry.value.texts(visit)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The JSON value.
    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(bool) => Json::Bool(*bool),
            Value::Number(number) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect())
            }
        }
    }

    /// Compact JSON with the fields of every map sorted: equal documents have equal bytes.
    pub(super) fn canonical(&self) -> String {
        let mut out = String::new();
        self.write_canonical(&mut out);
        out
    }

    fn write_canonical(&self, out: &mut String) {
        match &self.value {
            Value::Null => out.push_str("null"),
            Value::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
            Value::Number(number) => out.push_str(&number.to_string()),
            Value::Text(text) => out.push_str(&quoted(text)),
            Value::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    item.write_canonical(out);
                }
                out.push(']');
            }
            Value::Map(entries) => {
                let mut sorted: Vec<&Entry> = entries.iter().collect();
                sorted.sort_by(|a, b| a.key.cmp(&b.key));
                out.push('{');
                for (index, entry) in sorted.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    out.push_str(&quoted(&entry.key));
                    out.push(':');
                    entry.value.write_canonical(out);
                }
                out.push('}');
            }
        }
    }
}

fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

/// A JSON value nests at most as deep as its parser allowed, so this recursion is bounded.
fn convert(json: &Json) -> Node {
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(bool) => Value::Bool(*bool),
        Json::Number(number) => Value::Number(number.clone()),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(convert).collect()),
        Json::Object(map) => Value::Map(
            map.iter()
                .map(|(key, value)| Entry { key: key.clone(), key_at: None, value: convert(value) })
                .collect(),
        ),
    };
    Node::new(value, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_documents_have_equal_bytes() {
        let node = |text: &str| Node::of_json(&serde_json::from_str(text).expect("valid JSON"));
        let canonical = node(r#"{"b":[1,{"z":null,"a":"\n\""}],"a":1.5}"#).canonical();
        assert_eq!(canonical, r#"{"a":1.5,"b":[1,{"a":"\n\"","z":null}]}"#);
    }

    #[test]
    fn pointers_escape_their_parts() {
        let node = Node::of_json(&serde_json::json!({"a/b": [{"~": 1}]}));
        let inner = node.get("a/b").expect("it is there");
        assert_eq!(inner.pointer, "/a~1b");
        let mut seen = Vec::new();
        if let Value::List(items) = &inner.value {
            seen.extend(items[0].entries().expect("a map").iter().map(|entry| entry.value.pointer.clone()));
        }
        assert_eq!(seen, ["/a~1b/0/~0"]);
    }
}
