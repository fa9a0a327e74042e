//! What components got: a line for each attempt and each durable message, written before anything is done about it.
//! Knows nothing of what they should have got.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::lines::{self, Place, Shown, Torn};

/// What a component got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Got {
    /// An attempt to do.
    Attempt {
        /// Its task.
        task: String,
        /// What its result must carry.
        token: u64,
    },
    /// A durable message.
    Message {
        /// Its payload.
        mark: String,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    component: String,
    at: u64,
    got: Got,
}

/// Something that a component got, and where that is written.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Who got it.
    pub component: String,
    /// When, in nanoseconds of the history's clock.
    pub at: u64,
    /// What.
    pub got: Got,
    place: Place,
}

impl Receipt {
    /// The line of it.
    pub fn shown(&self) -> Shown {
        let Receipt { component, at, got, place } = self.clone();
        Shown::new(&place, &Line { component, at, got })
    }
}

/// Writes receipts. Each line is written at once and whole.
pub struct Recorder<W> {
    sink: Mutex<W>,
}

impl<W: Write> Recorder<W> {
    /// Writes to a file without a buffer, or to memory.
    pub fn new(sink: W) -> Recorder<W> {
        Recorder { sink: Mutex::new(sink) }
    }

    /// A component got something.
    ///
    /// # Errors
    /// When the line cannot be written.
    pub fn got(&self, component: &str, at: u64, got: Got) -> io::Result<()> {
        let mut text = serde_json::to_vec(&Line { component: component.to_owned(), at, got })?;
        text.push(b'\n');
        self.sink.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text)
    }
}

/// Reads the files of all components; their lines stay in order.
///
/// # Errors
/// At the first line that is no receipt.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Receipt>> {
    let mut receipts = Vec::new();
    for path in paths {
        lines::read(path, Torn::Skipped, |place, Line { component, at, got }| {
            receipts.push(Receipt { component, at, got, place });
            Ok(())
        })?;
    }
    Ok(receipts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn what_is_recorded_is_read_in_its_order() {
        let folder = Folder::new("receipts");
        let path = folder.path().join("receipts.jsonl");
        let recorder = Recorder::new(std::fs::File::create(&path).expect("a file"));
        let attempt = Got::Attempt { task: "task_1".to_owned(), token: 7 };
        recorder.got("x", 5, attempt.clone()).expect("a line");
        recorder.got("y", 4, Got::Message { mark: "m".to_owned() }).expect("a line");
        let read = read(&[path]).expect("receipts");
        assert_eq!((&*read[0].component, read[0].at, &read[0].got), ("x", 5, &attempt));
        assert_eq!(
            read[1].shown().text,
            r#"{"component":"y","at":4,"got":{"message":{"mark":"m"}}}"#,
            "the form of a line stays"
        );
    }
}
