//! What is wrong with a workflow document: every mistake at once, each with its place.
//! Knows nothing of how mistakes are found.

use std::fmt;

use super::tree::{Entry, Node, Place};

/// More mistakes than this are only counted.
const ERRORS_MAX: usize = 100;

/// The kind of a mistake, a stable word for programs.
pub mod code {
    /// The text is neither YAML nor JSON.
    pub const SYNTAX: &str = "syntax";
    /// A field nobody reads.
    pub const UNKNOWN_FIELD: &str = "unknown-field";
    /// A field of a later version.
    pub const NOT_SUPPORTED: &str = "not-supported";
    /// A field that must be there is not.
    pub const MISSING_FIELD: &str = "missing-field";
    /// The same field twice.
    pub const DUPLICATE_FIELD: &str = "duplicate-field";
    /// A value of the wrong type.
    pub const WRONG_TYPE: &str = "wrong-type";
    /// A value of the right type that cannot be.
    pub const BAD_VALUE: &str = "bad-value";
    /// Not a duration.
    pub const BAD_DURATION: &str = "bad-duration";
    /// Not an expression.
    pub const BAD_EXPRESSION: &str = "bad-expression";
    /// Fields that exclude each other.
    pub const CONFLICT: &str = "conflict";
    /// Two steps of one id.
    pub const DUPLICATE_ID: &str = "duplicate-id";
    /// A need that is no step.
    pub const UNKNOWN_STEP: &str = "unknown-step";
    /// An expression names a step that is not before it.
    pub const NOT_BEFORE: &str = "not-before";
    /// An expression names what nothing yields.
    pub const UNKNOWN_NAME: &str = "unknown-name";
    /// Steps that wait for each other.
    pub const CYCLE: &str = "cycle";
    /// An expression inside a script.
    pub const RUN_INTERPOLATION: &str = "run-interpolation";
    /// More than is allowed.
    pub const LIMIT: &str = "limit";
    /// An input that the workflow does not have.
    pub const UNKNOWN_INPUT: &str = "unknown-input";
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionError {
    /// JSON pointer to the value.
    pub pointer: String,
    /// Line in the text, from 1; none where the document did not come as text.
    pub line: Option<u32>,
    /// Column in the text, from 1.
    pub column: Option<u32>,
    /// One of [`code`].
    pub code: &'static str,
    /// One sentence, suggestion included.
    pub message: String,
    /// What to do, where the sentence does not say.
    pub hint: Option<String>,
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "{line}:{column} error: {}", self.message)?,
            (Some(_), None) | (None, _) => {
                let pointer = if self.pointer.is_empty() { "/" } else { &self.pointer };
                write!(f, "{pointer} error: {}", self.message)?;
            }
        }
        if self.code == code::RUN_INTERPOLATION { write!(f, " [{}]", self.code) } else { Ok(()) }
    }
}

/// Every mistake of a document, in the order of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct DefinitionErrors(pub Vec<DefinitionError>);

impl DefinitionErrors {
    /// Puts `prefix` before every pointer: the document is part of a larger one.
    pub fn under(mut self, prefix: &str) -> Self {
        for error in &mut self.0 {
            error.pointer.insert_str(0, prefix);
        }
        self
    }

    /// The mistakes one a line, each with the file's name before it, and their number.
    pub fn render(&self, file: &str) -> String {
        let mut text = String::new();
        for error in &self.0 {
            let separator = if error.line.is_some() { ":" } else { " " };
            text.push_str(&format!("{file}{separator}{error}\n"));
            if let Some(hint) = &error.hint {
                text.push_str(&format!("  hint: {hint}\n"));
            }
        }
        let plural = if self.0.len() == 1 { "" } else { "s" };
        text.push_str(&format!("{} error{plural}\n", self.0.len()));
        text
    }
}

impl fmt::Display for DefinitionErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("the workflow is not valid"),
            [only] => only.fmt(f),
            [first, rest @ ..] => write!(f, "{first} (and {} more)", rest.len()),
        }
    }
}

/// Collects mistakes and warnings while a document is read.
#[derive(Debug, Default)]
pub(super) struct Report {
    errors: Vec<DefinitionError>,
    warnings: Vec<String>,
}

impl Report {
    /// A mistake in a value.
    pub(super) fn at(&mut self, node: &Node, code: &'static str, message: impl Into<String>) {
        self.push(node.pointer.clone(), node.at, code, message.into());
    }

    /// A mistake in the name of a field.
    pub(super) fn at_key(&mut self, entry: &Entry, code: &'static str, message: impl Into<String>) {
        self.push(entry.value.pointer.clone(), entry.key_at, code, message.into());
    }

    /// A mistake at a place of the text that has no node.
    pub(super) fn at_place(&mut self, place: Option<Place>, code: &'static str, message: impl Into<String>) {
        self.push(String::new(), place, code, message.into());
    }

    /// Adds what to do to the last mistake.
    pub(super) fn hint(&mut self, hint: impl Into<String>) {
        if let Some(last) = self.errors.last_mut() {
            last.hint = Some(hint.into());
        }
    }

    /// Something that works but may not be meant.
    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// The warnings, if nothing was wrong.
    pub(super) fn finish(mut self) -> Result<Vec<String>, DefinitionErrors> {
        if self.errors.is_empty() {
            return Ok(self.warnings);
        }
        self.errors.sort_by_key(|error| (error.line, error.column));
        if self.errors.len() > ERRORS_MAX {
            let more = self.errors.len() - ERRORS_MAX;
            self.errors.truncate(ERRORS_MAX);
            self.push(String::new(), None, code::LIMIT, format!("{more} further mistakes are not shown"));
        }
        Err(DefinitionErrors(self.errors))
    }

    fn push(&mut self, pointer: String, place: Option<Place>, code: &'static str, message: String) {
        self.errors.push(DefinitionError {
            pointer,
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            code,
            message,
            hint: None,
        });
    }
}
