//! Expressions: compiled, bounded and evaluated from a live run and its definition (CEL, the crate `cel`).
//! Knows nothing of actors or of when an evaluation is wanted.

mod analysis;
mod budget;
mod cache;
mod error;
mod filter;
mod frame;
mod functions;
mod items;
mod pattern;
mod program;
mod rewrite;
mod scope;
mod secret;
mod step;
mod template;
mod text;
mod value;

use serde_json::Value;

pub use error::ExpressionError;
pub use filter::{awaits, filter};
pub use scope::{Family, ReadKey};
pub use secret::fill_secrets;
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

/// The data that an expression names, each as its path (`steps`, `train`, `outputs`, `loss`), so that a definition which
/// names what it does not have can be refused. What `has(…)` asks for is left out of its path: it may be missing.
pub fn names(expression: &str) -> Result<Vec<Vec<String>>, ExpressionError> {
    let program = program::Program::compile(expression)?;
    let paths = program.paths().into_iter().filter(|path| !path.may_be_type());
    Ok(paths.map(|path| path.names[..path.names.len() - usize::from(path.asked)].to_vec()).collect())
}

#[cfg(test)]
mod tests;
