//! Strings with `${{ expression }}` in them. A string that is one expression and nothing else becomes its value and
//! keeps the type; else each value is written into the text (strings as they are, others as JSON). `$${{` is `${{`.

use serde_json::Value;

use super::{error::ExpressionError, secret};

const OPEN: &str = "${{";
const CLOSE: &str = "}}";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Text(&'a str),
    Expression(&'a str),
}

/// A string taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template<'a> {
    parts: Vec<Part<'a>>,
}

impl<'a> Template<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Template<'a>, ExpressionError> {
        let (mut parts, mut from, mut search) = (Vec::new(), 0, 0);
        while let Some(found) = text[search..].find(OPEN) {
            let open = search + found;
            if text[..open].ends_with('$') {
                parts.push(Part::Text(&text[from..open - 1]));
                (from, search) = (open, open + OPEN.len());
                continue;
            }
            let inside = open + OPEN.len();
            let length = length_of(&text[inside..]).ok_or(ExpressionError::Unclosed { offset: open })?;
            parts.push(Part::Text(&text[from..open]));
            parts.push(Part::Expression(text[inside..inside + length].trim()));
            from = inside + length + CLOSE.len();
            search = from;
        }
        parts.push(Part::Text(&text[from..]));
        parts.retain(|part| *part != Part::Text(""));
        Ok(Template { parts })
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &Part<'a>> {
        self.parts.iter()
    }

    pub(super) fn expressions(&self) -> impl Iterator<Item = &'a str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Expression(source) => Some(*source),
        })
    }

    fn fill(
        &self,
        evaluate: &mut impl FnMut(&str) -> Result<Value, ExpressionError>,
    ) -> Result<Value, ExpressionError> {
        if let [Part::Expression(source)] = self.parts.as_slice() {
            return evaluate(source);
        }
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Expression(source) => match evaluate(source)? {
                    Value::String(value) => text.push_str(&value),
                    other => text.push_str(&other.to_string()),
                },
            }
        }
        Ok(Value::String(text))
    }
}

/// How long the expression at the start of a text is: up to `}}` outside of strings and of its own braces.
fn length_of(text: &str) -> Option<usize> {
    let (mut quote, mut braces, mut escaped) = (None, 0usize, false);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '{') => braces += 1,
            (None, '}') if braces > 0 => braces -= 1,
            (None, '}') if text[at..].starts_with(CLOSE) => return Some(at),
            (None, _) => {}
        }
    }
    None
}

/// Fills in every string of a value; keys stay as they are.
pub(super) fn fill(
    value: &Value,
    evaluate: &mut impl FnMut(&str) -> Result<Value, ExpressionError>,
) -> Result<Value, ExpressionError> {
    Ok(match value {
        Value::String(text) if text.contains(OPEN) => match Template::parse(text)? {
            template if secret::is_left(&template) => Value::Null,
            template => template.fill(evaluate)?,
        },
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| fill(item, evaluate)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let filled = fields.iter().map(|(name, item)| Ok((name.clone(), fill(item, evaluate)?)));
            Value::Object(filled.collect::<Result<_, ExpressionError>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    })
}

/// Shows every string of a value that may be a template, with its JSON pointer.
pub(super) fn visit<E>(value: &Value, see: &mut impl FnMut(&str, &str) -> Result<(), E>) -> Result<(), E> {
    visit_at(value, &mut String::new(), see)
}

fn visit_at<E>(
    value: &Value,
    pointer: &mut String,
    see: &mut impl FnMut(&str, &str) -> Result<(), E>,
) -> Result<(), E> {
    let length = pointer.len();
    match value {
        Value::String(text) if text.contains(OPEN) => see(pointer, text)?,
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{place}"));
                visit_at(item, pointer, see)?;
                pointer.truncate(length);
            }
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                pointer.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
                visit_at(item, pointer, see)?;
                pointer.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}
