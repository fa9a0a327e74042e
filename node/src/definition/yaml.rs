//! Text to tree: YAML 1.2, of which JSON is a part, with places, repeated fields and aliases checked here.
//! Knows nothing of workflows.

use std::collections::{HashMap, HashSet};

use serde_json::Number;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::{
    error::{Report, code},
    tree::{Entry, Node, Place, Value},
};

/// Values a document may hold, aliases counted as often as they are used.
const NODES_MAX: usize = 100_000;

/// Reads a document. Without a tree, the report says why; with one, it may still hold repeated fields.
pub(super) fn parse(text: &str, depth_max: usize, report: &mut Report) -> Option<Node> {
    let mut builder =
        Builder { report, stack: Vec::new(), root: None, anchors: HashMap::new(), nodes: 0, depth_max };
    for next in Parser::new_from_str(text) {
        let result = match next {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => Err(of_scan(&error)),
        };
        if let Err((place, kind, message)) = result {
            // JSON may be laid out in ways that YAML does not allow, such as with tabs.
            let readable_json = serde_json::from_str(text).ok().filter(|_| kind == code::SYNTAX);
            let readable_json = readable_json.map(|json| Node::of_json(&json));
            match readable_json {
                Some(root) if root.depth() <= depth_max => return Some(root),
                Some(_) => builder.report.at_place(None, code::LIMIT, too_deep(depth_max)),
                None => builder.report.at_place(place, kind, message),
            }
            return None;
        }
    }
    let root = builder.root.take();
    if root.is_none() {
        builder.report.at_place(Some(Place { line: 1, column: 1 }), code::SYNTAX, "the document is empty");
    }
    let mut root = root?;
    root.point(String::new());
    Some(root)
}

type Stop = (Option<Place>, &'static str, String);

fn of_scan(error: &ScanError) -> Stop {
    let place = Place { line: narrow(error.marker().line()), column: narrow(error.marker().col() + 1) };
    (Some(place), code::SYNTAX, format!("this is not valid YAML: {}", error.info()))
}

fn too_deep(depth_max: usize) -> String {
    format!("values nest more than {depth_max} deep")
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A list or map that is not closed yet.
struct Open {
    node: Node,
    anchor: usize,
    key: Option<(String, Option<Place>)>,
    keys: HashSet<String>,
}

struct Builder<'r> {
    report: &'r mut Report,
    stack: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    depth_max: usize,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let place = Some(Place { line: narrow(span.start.line()), column: narrow(span.start.col() + 1) });
        match event {
            Event::DocumentStart(..) if self.root.is_some() => Err((
                place,
                code::SYNTAX,
                "one file holds one workflow: a second document begins here".to_owned(),
            )),
            Event::Scalar(text, style, anchor, tag) => {
                let as_text = tag.as_deref().is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let value = if style == ScalarStyle::Plain && !as_text {
                    plain(&text)
                } else {
                    Ok(Value::Text(text.into_owned()))
                };
                let value = value.map_err(|message| (place, code::BAD_VALUE, message))?;
                self.remember_and_add(Node::new(value, place), anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.open(Value::List(Vec::new()), place, anchor),
            Event::MappingStart(_, anchor, _) => self.open(Value::Map(Vec::new()), place, anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(open) => self.remember_and_add(open.node, open.anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => self.alias(anchor, place),
            // The enum grows; what is no node changes nothing.
            _ => Ok(()),
        }
    }

    fn open(&mut self, value: Value, place: Option<Place>, anchor: usize) -> Result<(), Stop> {
        if self.stack.len() >= self.depth_max {
            return Err((place, code::LIMIT, too_deep(self.depth_max)));
        }
        self.stack.push(Open { node: Node::new(value, place), anchor, key: None, keys: HashSet::new() });
        Ok(())
    }

    fn remember_and_add(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), count(&node)));
        }
        self.nodes += 1;
        self.add(node)
    }

    fn alias(&mut self, anchor: usize, place: Option<Place>) -> Result<(), Stop> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err((place, code::SYNTAX, "an alias may not stand inside what it names".to_owned()));
        };
        self.nodes += size;
        if self.nodes > NODES_MAX {
            return Err((
                place,
                code::LIMIT,
                format!("aliases make more than {NODES_MAX} values of this document"),
            ));
        }
        let node = node.clone();
        if self.stack.len() + node.depth() > self.depth_max {
            return Err((place, code::LIMIT, too_deep(self.depth_max)));
        }
        self.add(node)
    }

    fn add(&mut self, node: Node) -> Result<(), Stop> {
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(entries), Some((key, key_at))) => {
                if open.keys.insert(key.clone()) {
                    entries.push(Entry { key, key_at, value: node });
                } else {
                    let message = format!("field `{key}` is there twice");
                    self.report.at_place(key_at, code::DUPLICATE_FIELD, message);
                }
            }
            (Value::Map(_), None) => {
                let key = key_text(&node.value).ok_or_else(|| {
                    (
                        node.at,
                        code::WRONG_TYPE,
                        format!("the name of a field must be a text, this is {}", node.kind()),
                    )
                })?;
                open.key = Some((key, node.at));
            }
            (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_), _) => {}
        }
        Ok(())
    }
}

fn count(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| count(&entry.value)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => 1,
    }
}

fn key_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// An unquoted word by the YAML 1.2 core schema: `on` and `NO` are texts.
fn plain(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Err(format!("`{text}` has no place in JSON: write a number, or quote it"));
    }
    Ok(number(text, unsigned).map_or_else(|| Value::Text(text.to_owned()), Value::Number))
}

fn number(text: &str, unsigned: &str) -> Option<Number> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            return u64::from_str_radix(digits, radix).ok().map(Number::from);
        }
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !unsigned.bytes().any(|b| b.is_ascii_digit())
    {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    if let Ok(whole) = text.parse::<u64>() {
        return Some(Number::from(whole));
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Number::from(whole));
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}
