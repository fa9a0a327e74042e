//! A compiled expression: parsed within limits, its names known, rewritten to be bounded; and how it runs.
//! Knows nothing of where values come from.

use cel::{
    Context, ExecutionError, ParseErrors, Value as Cel,
    common::ast::{IdedExpr, SourceInfo},
};

use super::{
    EXPRESSION_BYTES_MAX,
    analysis::{Fault, Names, Path},
    budget,
    error::{ExpressionError, cut},
    functions::ENVIRONMENT,
    rewrite::rewrite,
    value::kind,
};

/// Signs that may make an expression deep, strings included: keeps parsing within a small stack.
const SIGNS_MAX: usize = 512;
/// Nested parentheses, lists, calls and conditionals; also for the stack.
const NESTING_MAX: u16 = 48;

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Program {
    source: Box<str>,
    expression: IdedExpr,
    names: Names,
}

impl Program {
    pub(super) fn compile(source: &str) -> Result<Program, ExpressionError> {
        if source.len() > EXPRESSION_BYTES_MAX {
            return Err(ExpressionError::Long { bytes: source.len() });
        }
        if source.bytes().filter(|byte| b"+-*/%<>=!&|?.[({".contains(byte)).count() > SIGNS_MAX {
            return Err(ExpressionError::Complex);
        }
        let parser = ENVIRONMENT.parser().max_recursion_depth(NESTING_MAX);
        let (expression, info) = parser.parse_with_source_info(source).map_err(syntax_error)?;
        let names = Names::of(&expression).map_err(|fault| fault_error(fault, source, &info))?;
        Ok(Program { source: source.into(), expression: rewrite(expression), names })
    }

    /// The data it names.
    pub(super) fn paths(&self) -> Vec<&Path> {
        self.names.paths.iter().collect()
    }

    /// The status functions it calls, as the variables that stand for them.
    pub(super) fn status(&self) -> impl Iterator<Item = &'static str> {
        self.names.status.iter().copied()
    }

    /// The state keys it reads.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.names.keys.iter().map(String::as_str)
    }

    /// Evaluates it; `missing` says whether a path that does not resolve explains a failure.
    pub(super) fn run(
        &self,
        variables: Vec<(String, Cel)>,
        missing: impl FnOnce() -> Option<ExpressionError>,
    ) -> Result<Cel, ExpressionError> {
        let mut context = Context::with_env(ENVIRONMENT.clone());
        for (name, value) in variables {
            context.add_variable_from_value(name, value);
        }
        let expression = || cut(&self.source);
        match budget::limited(|| Cel::resolve(&self.expression, &context)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(missing().unwrap_or_else(|| ExpressionError::Failed {
                expression: expression(),
                message: explain(&error),
            })),
            Err(limit) => Err(ExpressionError::Exhausted { expression: expression(), limit }),
        }
    }

    /// The value as a boolean.
    pub(super) fn boolean(&self, value: &Cel) -> Result<bool, ExpressionError> {
        match value {
            Cel::Bool(value) => Ok(*value),
            other => Err(self.unfit(other, "a boolean")),
        }
    }

    /// A value of the wrong type.
    pub(super) fn unfit(&self, value: &Cel, wanted: &'static str) -> ExpressionError {
        ExpressionError::Unfit { expression: cut(&self.source), got: kind(value), wanted }
    }

    /// A value that is no JSON.
    pub(super) fn no_json(&self, what: &str) -> ExpressionError {
        ExpressionError::Failed {
            expression: cut(&self.source),
            message: format!("the result is {what}, which JSON cannot hold"),
        }
    }
}

fn syntax_error(errors: ParseErrors) -> ExpressionError {
    if errors.errors.iter().any(|error| error.msg.contains("Recursion limit")) {
        return ExpressionError::Complex;
    }
    let Some(first) = errors.errors.into_iter().next() else {
        return ExpressionError::Syntax { message: "it is not an expression".to_owned(), line: 1, column: 1 };
    };
    let place = |at: isize| u32::try_from(at).unwrap_or(1).max(1);
    let message = first.msg.strip_prefix("Syntax error: ").unwrap_or(&first.msg);
    ExpressionError::Syntax { message: cut(message), line: place(first.pos.0), column: place(first.pos.1) }
}

fn fault_error(fault: Fault, source: &str, info: &SourceInfo) -> ExpressionError {
    let (message, id) = match &fault {
        Fault::Deep => return ExpressionError::Complex,
        Fault::UnknownFunction { name, id } => (format!("unknown function `{}`", cut(name)), *id),
        Fault::UnknownType { name, id } => (format!("unknown type `{}`", cut(name)), *id),
        Fault::StateKey { id } => ("`state` takes one key in quotes, such as state('app.a')".to_owned(), *id),
    };
    let offset = info.offset_for(id).map_or(0, |(start, _)| start as usize);
    let mut before = source.chars().take(offset).collect::<String>();
    // The place of a call is its parenthesis; the reader looks for the name.
    if let Fault::UnknownFunction { name, .. } = &fault
        && before.ends_with(name)
    {
        before.truncate(before.len() - name.len());
    }
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    ExpressionError::Syntax { message, line: place(line), column: place(column) }
}

/// What went wrong, without the values: they may be large or secret.
fn explain(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("there is no `{}`", cut(name)),
        ExecutionError::UndeclaredReference(name) => format!("unknown name `{}`", cut(name)),
        ExecutionError::UnsupportedBinaryOperator(sign, lhs, rhs) => {
            format!("`{sign}` does not work on {} and {}", kind(lhs), kind(rhs))
        }
        ExecutionError::ValuesNotComparable(lhs, rhs) => {
            format!("{} and {} cannot be compared", kind(lhs), kind(rhs))
        }
        ExecutionError::UnsupportedIndex(index, value) => {
            format!("{} cannot be indexed by {}", kind(value), kind(index))
        }
        ExecutionError::UnsupportedKeyType(value) => format!("{} cannot be a key", kind(value)),
        ExecutionError::UnexpectedType { got, want } => format!("{} where {} is needed", cut(got), cut(want)),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number is out of range".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "an index is out of bounds".to_owned(),
        ExecutionError::DuplicateKey(_) => "a key is given twice".to_owned(),
        other => cut(&other.to_string()),
    }
}
