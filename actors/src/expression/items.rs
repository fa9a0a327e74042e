//! The items of a `foreach`: their values, and their keys where the step asks for keys.
//! Knows nothing of what is done with an item.

use std::collections::BTreeMap;

use orc_domain::{Item, Text};
use serde_json::Value;

use super::{ITEMS_MAX, RESULT_BYTES_MAX, error::ExpressionError, scope::Scope};

/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 256;

/// What a `foreach` says of its items.
pub(super) struct Wanted<'w> {
    /// An expression that yields a list.
    pub(super) items: &'w str,
    /// An expression over one item that yields its key.
    pub(super) key: Option<&'w str>,
    /// The names of an item and of its place.
    pub(super) names: [&'w str; 2],
}

pub(super) fn items_of(scope: &Scope<'_>, wanted: &Wanted<'_>) -> Result<Vec<Item>, ExpressionError> {
    let found = scope.evaluate(wanted.items)?;
    let Value::Array(values) = found.json()? else { return Err(found.program.unfit(&found.value, "a list")) };
    if values.len() > ITEMS_MAX {
        return Err(ExpressionError::Items { count: values.len() });
    }
    let texts: Vec<String> = values.iter().map(Value::to_string).collect();
    let bytes = texts.iter().map(String::len).sum();
    if bytes > RESULT_BYTES_MAX {
        return Err(ExpressionError::Large { bytes });
    }
    let mut items: Vec<Item> = texts.into_iter().map(Item::new).collect();
    let Some(key) = wanted.key else { return Ok(items) };
    let mut seen: BTreeMap<Text, usize> = BTreeMap::new();
    for (place, (item, value)) in items.iter_mut().zip(values).enumerate() {
        let [name, index] = wanted.names.map(str::to_owned);
        scope.bind(vec![(name, value), (index, Value::from(place))]);
        let key = key_of(scope, key)?;
        if let Some(first) = seen.insert(key.clone(), place) {
            return Err(ExpressionError::KeyTwice { key: key.to_string(), first, second: place });
        }
        item.key = Some(key);
    }
    Ok(items)
}

fn key_of(scope: &Scope<'_>, expression: &str) -> Result<Text, ExpressionError> {
    let found = scope.evaluate(expression)?;
    let key = match found.json()? {
        Value::String(text) if (1..=KEY_BYTES_MAX).contains(&text.len()) => text,
        Value::Number(number) => number.to_string(),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(found.program.unfit(&found.value, "a key (a text of 1 to 256 bytes, or a number)"));
        }
    };
    Ok(Text::from(key))
}
