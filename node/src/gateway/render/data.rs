//! The data of an event: plain values, and JSON that is passed through on one line.
//! Knows nothing of which event has which data.

use orc_client::wire::{self, Raw};
use orc_domain::{Failure, Json};
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value, value::RawValue};

use super::{error, one_line};

/// Data in the making.
#[derive(Default)]
pub(super) struct Data {
    plain: Map<String, Value>,
    carried: Vec<(&'static str, Raw)>,
}

impl Data {
    /// Adds a value.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Data {
        self.plain.insert(name.to_owned(), value.into());
        self
    }

    /// Adds what has a text form.
    pub(super) fn text(self, name: &str, value: impl ToString) -> Data {
        self.with(name, value.to_string())
    }

    /// Adds a value if there is one.
    pub(super) fn maybe(self, name: &str, value: Option<impl Into<Value>>) -> Data {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds JSON as it is but for line breaks, if there is some.
    pub(super) fn carry(mut self, name: &'static str, json: Option<&Json>) -> Data {
        self.carried.extend(json.map(|json| (name, one_line(json))));
        self
    }

    /// Adds a failure as `error`, if there is one.
    pub(super) fn error(self, failure: Option<&Failure>) -> Data {
        self.maybe("error", failure.map(error).and_then(|error| serde_json::to_value(error).ok()))
    }

    /// The JSON object.
    pub(super) fn finish(self) -> Raw {
        let mut bytes = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut bytes);
        let written = serializer.serialize_map(None).and_then(|mut map| {
            for (name, value) in &self.plain {
                map.serialize_entry(name, value)?;
            }
            for (name, value) in &self.carried {
                map.serialize_entry(name, value)?;
            }
            map.end()
        });
        let text = written.ok().and_then(|()| String::from_utf8(bytes).ok());
        text.and_then(|text| RawValue::from_string(text).ok()).unwrap_or_else(wire::raw_null)
    }
}
