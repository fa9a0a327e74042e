//! Names that users give to what they keep: workflows and schedules.
//! Knows nothing of what bears them.

use alloc::format;
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize};

use crate::ids::{BadId, Text};

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $length_max:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $type(Text);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                if is_legal(text, $length_max) {
                    return Ok($type(Text::from(text)));
                }
                let shown = text.chars().take(80).collect();
                Err(BadId { text: shown, expected: $what })
            }
        }
    };
}

name! {
    /// A workflow's word: `[a-z0-9][a-z0-9._-]{0,62}`.
    WorkflowName, 63, "a workflow's name ([a-z0-9][a-z0-9._-]{0,62})"
}

name! {
    /// A schedule's name: `[a-z0-9][a-z0-9._-]{0,126}`; those of a workflow's file begin with the workflow's.
    ScheduleId, 127, "a schedule's name ([a-z0-9][a-z0-9._-]{0,126})"
}

impl ScheduleId {
    /// The name of a schedule that a workflow's file brings.
    pub fn of_workflow(workflow: &WorkflowName, own: &str) -> Result<ScheduleId, BadId> {
        format!("{workflow}.{own}").parse()
    }
}

fn is_legal(text: &str, length_max: usize) -> bool {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= length_max
        && text.bytes().next().is_some_and(first)
        && text.bytes().all(|byte| first(byte) || matches!(byte, b'.' | b'_' | b'-'))
}
