//! Why an expression cannot be compiled or evaluated, as the author of a workflow reads it.

use orc_domain::Failure;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It is not CEL, or calls a function that does not exist.
    #[error("{message} (line {line}, column {column})")]
    Syntax {
        /// What is wrong.
        message: String,
        /// From 1.
        line: u32,
        /// From 1.
        column: u32,
    },
    /// More than [`EXPRESSION_BYTES_MAX`](super::EXPRESSION_BYTES_MAX).
    #[error("the expression has {bytes} bytes, the limit is {}", super::EXPRESSION_BYTES_MAX)]
    Long {
        /// Its length.
        bytes: usize,
    },
    /// Too many operators, or nested too deeply, to be evaluated on a bounded stack.
    #[error("the expression has too many operators or is nested too deeply")]
    Complex,
    /// `${{` without `}}`.
    #[error("`${{{{` at byte {offset} is not closed by `}}}}`")]
    Unclosed {
        /// Where it opens.
        offset: usize,
    },
    /// Nothing of that name.
    #[error("unknown name `{name}`, have: {have}")]
    UnknownName {
        /// As written, with the path before it.
        name: String,
        /// What there is instead.
        have: String,
    },
    /// The wrong type.
    #[error("`{expression}` is {got}, {wanted} is needed")]
    Unfit {
        /// The expression, cut if long.
        expression: String,
        /// What it is.
        got: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// The operands do not fit, a division by zero, an index out of bounds, ….
    #[error("`{expression}`: {message}")]
    Failed {
        /// The expression, cut if long.
        expression: String,
        /// What went wrong.
        message: String,
    },
    /// More steps, memory or time than an evaluation may take.
    #[error("`{expression}` needs more than {limit}")]
    Exhausted {
        /// The expression, cut if long.
        expression: String,
        /// What was used up.
        limit: &'static str,
    },
    /// More than [`ITEMS_MAX`](super::ITEMS_MAX).
    #[error("the list has {count} items, the limit is {}", super::ITEMS_MAX)]
    Items {
        /// How many it has.
        count: usize,
    },
    /// Two items of a `foreach` have one key.
    #[error("the items {first} and {second} have the same key `{key}`")]
    KeyTwice {
        /// The key.
        key: String,
        /// The place of the first that has it.
        first: usize,
        /// The place of the second.
        second: usize,
    },
    /// More than [`RESULT_BYTES_MAX`](super::RESULT_BYTES_MAX).
    #[error("the result has {bytes} bytes, the limit is {}", super::RESULT_BYTES_MAX)]
    Large {
        /// Its length as JSON.
        bytes: usize,
    },
}

impl ExpressionError {
    /// The failure a step or run ends with.
    pub fn failure(&self) -> Failure {
        let code = match self {
            ExpressionError::UnknownName { .. } => "UNKNOWN_NAME",
            ExpressionError::Syntax { .. }
            | ExpressionError::Long { .. }
            | ExpressionError::Complex
            | ExpressionError::Unclosed { .. }
            | ExpressionError::Unfit { .. }
            | ExpressionError::Items { .. }
            | ExpressionError::KeyTwice { .. }
            | ExpressionError::Failed { .. }
            | ExpressionError::Exhausted { .. }
            | ExpressionError::Large { .. } => "EXPRESSION_FAILED",
        };
        Failure::new(code, self.to_string())
    }
}

/// At most this much of an expression or value in a message.
const SHOWN_MAX: usize = 200;

/// The start of a text, for a message.
pub(super) fn cut(text: &str) -> String {
    if text.chars().count() <= SHOWN_MAX {
        return text.to_owned();
    }
    text.chars().take(SHOWN_MAX).chain("…".chars()).collect()
}
