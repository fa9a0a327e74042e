//! Expressions: compiled, bounded and evaluated from a live run and its definition (CEL, the crate `cel`).
//! Knows nothing of actors or of when an evaluation is wanted.

mod analysis;
mod budget;
mod cache;
mod error;
mod frame;
mod functions;
mod pattern;
mod program;
mod rewrite;
mod scope;
mod step;
mod template;
mod text;
mod value;

use std::collections::BTreeSet;

use serde_json::Value;

pub use error::ExpressionError;
pub use scope::{Family, ReadKey};
pub use step::{Evaluated, evaluate};
pub use text::{fill_text, group_of};

/// The longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 4 * 1024;
/// The largest result (a value, a filled-in config, a run's outputs) as JSON text, in bytes.
pub const RESULT_BYTES_MAX: usize = 256 * 1024;

/// The most items of a `foreach`.
pub const ITEMS_MAX: usize = 10_000;

/// Whether an expression (of a `condition`, an `if` or an output) can be evaluated as far as its text tells: syntax,
/// length, nesting and the names of functions. The gateway calls it before a definition is accepted.
pub fn check(expression: &str) -> Result<(), ExpressionError> {
    program::Program::compile(expression).map(|_| ())
}

/// Checks every `${{ … }}` in the strings of a config; `true` if there is one, that is if the step is templated.
/// An error comes with the JSON pointer of its string.
pub fn check_templates(config: &Value) -> Result<bool, (String, ExpressionError)> {
    let mut found = false;
    template::visit(config, &mut |pointer, text| {
        let template = template::Template::parse(text).map_err(|error| (pointer.to_owned(), error))?;
        for expression in template.expressions() {
            found = true;
            check(expression).map_err(|error| (pointer.to_owned(), error))?;
        }
        Ok(())
    })?;
    Ok(found)
}

/// The ids of the steps that an expression names as `steps.<id>` or `steps['<id>']`, so that a definition which names
/// a step it does not have can be refused.
pub fn steps_named(expression: &str) -> Result<BTreeSet<String>, ExpressionError> {
    let program = program::Program::compile(expression)?;
    let named = program.paths().into_iter().filter(|path| path.names.len() > 1 && path.names[0] == "steps");
    Ok(named.map(|path| path.names[1].clone()).collect())
}

/// [`steps_named`] for every `${{ … }}` in the strings of a config.
pub fn steps_named_in(config: &Value) -> Result<BTreeSet<String>, ExpressionError> {
    let mut named = BTreeSet::new();
    template::visit(config, &mut |_, text| {
        for expression in template::Template::parse(text)?.expressions() {
            named.extend(steps_named(expression)?);
        }
        Ok(())
    })?;
    Ok(named)
}

#[cfg(test)]
mod tests;
