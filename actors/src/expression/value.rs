//! JSON to CEL values and back. Whole numbers become `int` (the crate would make them `uint`, which no literal can be
//! added to); what JSON has no word for (infinities, types) has no way back.

use std::collections::HashMap;

use cel::{
    Value as Cel,
    objects::{Key, Map},
};
use serde_json::{Map as Object, Number, Value};

/// Deeper results are refused.
const DEPTH_MAX: usize = 128;

pub(super) fn to_cel(json: &Value) -> Cel {
    match json {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => number_to_cel(number),
        Value::String(text) => Cel::String(text.clone().into()),
        Value::Array(items) => Cel::List(items.iter().map(to_cel).collect::<Vec<_>>().into()),
        Value::Object(fields) => {
            let entries = fields.iter().map(|(name, value)| (Key::from(name.as_str()), to_cel(value)));
            Cel::Map(Map { map: entries.collect::<HashMap<_, _>>().into() })
        }
    }
}

fn number_to_cel(number: &Number) -> Cel {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(int), _, _) => Cel::Int(int),
        (None, Some(uint), _) => Cel::UInt(uint),
        (None, None, float) => Cel::Float(float.unwrap_or(f64::NAN)),
    }
}

/// The JSON of a value, or the name of what JSON has no word for.
pub(super) fn to_json(value: &Cel) -> Result<Value, &'static str> {
    json_at(value, 0)
}

fn json_at(value: &Cel, depth: usize) -> Result<Value, &'static str> {
    if depth > DEPTH_MAX {
        return Err("a value nested too deeply");
    }
    Ok(match value {
        Cel::Null => Value::Null,
        Cel::Bool(value) => Value::Bool(*value),
        Cel::Int(int) => Value::from(*int),
        Cel::UInt(uint) => Value::from(*uint),
        Cel::Float(float) => Number::from_f64(*float).map(Value::Number).ok_or("not a finite number")?,
        Cel::String(text) => Value::String(text.to_string()),
        Cel::Timestamp(time) => Value::String(time.to_rfc3339()),
        Cel::Duration(duration) => Value::from(duration.num_milliseconds()),
        Cel::List(items) => {
            Value::Array(items.iter().map(|item| json_at(item, depth + 1)).collect::<Result<_, _>>()?)
        }
        Cel::Map(map) => {
            let mut names: Vec<(String, &Cel)> =
                map.map.iter().map(|(key, item)| (key.to_string(), item)).collect();
            names.sort_by(|one, other| one.0.cmp(&other.0));
            let fields = names.into_iter().map(|(name, item)| Ok((name, json_at(item, depth + 1)?)));
            Value::Object(fields.collect::<Result<Object<_, _>, &'static str>>()?)
        }
        Cel::Bytes(_) | Cel::Function(..) | Cel::Opaque(_) | Cel::Struct(_) => return Err(kind(value)),
    })
}

/// The word for a value's type in messages.
pub(super) fn kind(value: &Cel) -> &'static str {
    match value {
        Cel::Null => "null",
        Cel::Bool(_) => "a boolean",
        Cel::Int(_) | Cel::UInt(_) | Cel::Float(_) => "a number",
        Cel::String(_) => "a string",
        Cel::Timestamp(_) => "a timestamp",
        Cel::Duration(_) => "a duration",
        Cel::List(_) => "a list",
        Cel::Map(_) => "an object",
        Cel::Bytes(_) => "bytes",
        Cel::Function(..) => "a function",
        Cel::Opaque(_) => "an optional or opaque value",
        Cel::Struct(_) => "a structure",
    }
}
