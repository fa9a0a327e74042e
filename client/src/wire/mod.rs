//! The one copy of HTTP paths, headers and bodies, and of the messages of component sessions and call channels.
//! The gateway and the client both serialise and deserialise with these types.
//! Request bodies refuse unknown fields; answers are read tolerantly. Knows no rules and does no IO.

macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
            /// A word that this version does not know.
            Unknown(String),
        }

        impl $name {
            /// The word on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    other => Self::Unknown(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                Ok(Self::from(text.as_ref()))
            }
        }
    };
}

mod approvals;
mod batches;
pub mod calls;
mod cluster;
pub mod codes;
mod components;
mod events;
mod family;
pub mod headers;
mod health;
mod logs;
mod messages;
pub mod paths;
mod problem;
mod query;
mod queue;
mod runs;
mod scalars;
mod schedules;
pub mod session;
mod snapshots;
mod state;
mod tasks;
mod workflows;

pub use approvals::*;
pub use batches::*;
pub use cluster::*;
pub use components::*;
pub use events::*;
pub use family::*;
pub use health::*;
pub use logs::*;
pub use messages::*;
pub use problem::*;
pub(crate) use query::write_query;
pub use query::*;
pub use queue::*;
pub use runs::*;
pub use scalars::*;
pub use schedules::*;
pub use snapshots::*;
pub use state::*;
pub use tasks::*;
pub use workflows::*;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// JSON that is carried, not read: its bytes go through unparsed.
pub type Raw = Box<RawValue>;

/// Serialises `value` once into [`Raw`] JSON.
///
/// # Errors
/// When `value` has no JSON form (a map with keys that are not strings, a failing `Serialize`).
pub fn raw<T: Serialize + ?Sized>(value: &T) -> Result<Raw, serde_json::Error> {
    serde_json::value::to_raw_value(value)
}

/// The JSON `null`.
#[must_use]
pub fn raw_null() -> Raw {
    RawValue::NULL.to_owned()
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// How many items match in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Whether `total` is known exactly; absent on lists that are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_is_exact: Option<bool>,
}

/// What went wrong with a run, a step, a task or a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// A stable word in capitals, such as `DEPENDENCY_FAILED`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Whether trying again may help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
}

impl ErrorBody {
    /// An error that says nothing about trying again.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: None }
    }
}

/// Why something that is not terminal does not go on, and what would wake it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingFor {
    /// The kind of obstacle: `dependencies`, `limit`, `component`, `slot`, `timer`, `approval`, `signal`, `pause`, ...
    pub reason: String,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The ids or names waited for: tasks, steps, the limit and its holders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<String>,
    /// When a timer ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}
