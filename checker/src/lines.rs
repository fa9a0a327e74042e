//! Files with one JSON document a line: read with the line number of every mistake.
//! Knows nothing of what the documents say.

use std::{
    fmt,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result};
use serde::{Serialize, de::DeserializeOwned};

/// Characters of a line that a report shows.
const SHOWN_MAX: usize = 300;

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's name without its folder.
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file, self.line)
    }
}

/// What a last line that was not written to its end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Torn {
    /// A recorder was killed: the line does not count.
    Skipped,
    /// The file is not whole.
    Refused,
}

/// The name of a file as reports show it.
pub fn name_of(path: &Path) -> Arc<str> {
    path.file_name().map_or_else(|| "?".into(), |name| name.to_string_lossy().into())
}

/// Reads a file line by line.
///
/// # Errors
/// With the place of the first line that is not a `T` or that `each` refuses.
pub fn read<T: DeserializeOwned>(
    path: &Path,
    torn: Torn,
    mut each: impl FnMut(Place, T) -> Result<()>,
) -> Result<()> {
    let file = name_of(path);
    let opened = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let (mut reader, mut text, mut line) = (BufReader::new(opened), Vec::new(), 0);
    loop {
        text.clear();
        line += 1;
        let place = Place { file: file.clone(), line };
        let length =
            reader.read_until(b'\n', &mut text).with_context(|| format!("{place} cannot be read"))?;
        if length == 0 {
            return Ok(());
        }
        match serde_json::from_slice(&text) {
            Ok(document) => each(place.clone(), document).with_context(|| place.to_string())?,
            Err(_) if torn == Torn::Skipped && !text.ends_with(b"\n") => return Ok(()),
            Err(error) => return Err(error).with_context(|| place.to_string()),
        }
    }
}

/// Reads a file that is one JSON document.
///
/// # Errors
/// When it cannot be read or is not a `T`.
pub fn read_whole<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| name_of(path).to_string())
}

/// A line that a report shows, cut if it is long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Where it is written: `history-1.jsonl:17`.
    pub at: String,
    /// What it says.
    pub text: String,
}

impl Shown {
    /// The document that is written there.
    pub fn new(place: &Place, document: &impl Serialize) -> Shown {
        let whole = serde_json::to_string(document).unwrap_or_else(|error| error.to_string());
        let mut text: String = whole.chars().take(SHOWN_MAX).collect();
        if text.len() < whole.len() {
            text.push('…');
        }
        Shown { at: place.to_string(), text }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::testing::Folder;

    fn check(text: &str, torn: Torn) -> Result<Vec<(usize, Value)>> {
        let folder = Folder::new("lines");
        folder.write("a.jsonl", text);
        let mut found = Vec::new();
        read(&folder.path().join("a.jsonl"), torn, |place, value| {
            found.push((place.line, value));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn lines_are_numbered_from_one() {
        let found = check("1\n2\n", Torn::Refused).expect("two documents");
        assert_eq!(found, [(1, 1.into()), (2, 2.into())]);
    }

    #[test]
    fn a_torn_last_line_is_skipped_where_its_writer_may_be_killed() {
        assert_eq!(check("1\n{\"a\":", Torn::Skipped).expect("one document").len(), 1);
        assert!(check("1\n{\"a\":", Torn::Refused).is_err());
    }

    #[test]
    fn anything_else_is_refused_with_its_line() {
        let error = check("1\n{\"a\":\n2\n", Torn::Skipped).expect_err("the second line is none");
        assert!(format!("{error:#}").starts_with("a.jsonl:2"), "{error:#}");
    }

    #[test]
    fn long_lines_are_cut() {
        let shown = Shown::new(&Place { file: "a".into(), line: 1 }, &"x".repeat(1000));
        assert_eq!(shown.text.chars().count(), SHOWN_MAX + 1);
    }
}
