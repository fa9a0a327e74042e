//! The compiler of workflow documents: YAML or JSON in, an [`orc_domain::Definition`] or every mistake at once out.
//! Knows the document's form; knows nothing of runs, HTTP or the expression language, which a callback checks.

mod call;
mod document;
pub mod drawing;
pub mod duration;
mod error;
mod fields;
mod foreach;
mod form;
mod graph;
mod handlers;
mod inputs;
mod kept;
mod names;
pub mod outline;
mod read;
mod read_expressions;
mod step;
pub mod suggest;
mod template;
#[cfg(test)]
mod tests;
mod tree;
pub mod triggers;
mod wait;
mod yaml;

use std::sync::Arc;

use orc_actors::expression;
use orc_domain::{ClusterConfig, Definition, Labels};

pub use call::own_event_type;
use error::Report;
pub use error::{DefinitionError, DefinitionErrors, code};
pub use inputs::InputSchema;
pub use kept::Definitions;
use read::Reader;
use triggers::Triggers;

/// The largest document, in bytes.
pub const DOCUMENT_MAX: usize = 256 * 1024;
/// The JSON Schema of workflow files, for editors.
pub const SCHEMA: &str = include_str!("workflow.schema.json");
/// How deep values of a document may nest.
pub const DEPTH_MAX: usize = 64;

/// Gives the paths of the data that an expression names, or why the text is none.
pub type CheckExpression<'c> = &'c dyn Fn(&str) -> Result<Vec<Vec<String>>, String>;

/// The expression language that runs are evaluated with.
pub fn check_expression(text: &str) -> Result<Vec<Vec<String>>, String> {
    expression::names(text).map_err(|error| error.to_string())
}

/// A document that holds.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What runs.
    pub definition: Arc<Definition>,
    /// The workflow's word in lists and addresses: its `id`, else made of its name.
    pub workflow: String,
    /// How the order of its steps was found.
    pub mode: Mode,
    /// Labels for its runs.
    pub labels: Labels,
    /// What it accepts.
    pub inputs: InputSchema,
    /// Sentences about what works but may not be meant.
    pub warnings: Vec<String>,
    /// What starts it by itself.
    pub triggers: Triggers,
    /// The names of secrets it uses.
    pub secrets: Vec<String>,
}

/// Where the order of steps comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One after another, as written.
    Sequence,
    /// From `needs`.
    Graph,
}

impl Mode {
    /// The word of the workflow file.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Sequence => "sequence",
            Mode::Graph => "graph",
        }
    }
}

/// Compiles documents with one set of defaults and one expression language.
#[derive(Clone, Copy)]
pub struct Compiler<'c> {
    /// Defaults for what documents do not say.
    pub config: &'c ClusterConfig,
    /// Checks expressions.
    pub check_expression: CheckExpression<'c>,
}

impl<'c> Compiler<'c> {
    /// A compiler with the expression language that runs are evaluated with.
    pub fn new(config: &'c ClusterConfig) -> Self {
        Compiler { config, check_expression: &check_expression }
    }

    /// Compiles YAML or JSON text; mistakes carry line and column.
    pub fn text(&self, text: &str) -> Result<Compiled, DefinitionErrors> {
        let mut reader = self.reader();
        if text.len() > DOCUMENT_MAX {
            let message =
                format!("the document has {} bytes, more than the {DOCUMENT_MAX} allowed", text.len());
            reader.report.at_place(None, code::LIMIT, message);
        } else if let Some(root) = yaml::parse(text, DEPTH_MAX, &mut reader.report) {
            return document::compile(reader, &root);
        }
        Err(reader.report.finish().err().unwrap_or_default())
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            report: Report::default(),
            config: self.config,
            check: self.check_expression,
            inputs: InputSchema::default(),
            named: Vec::new(),
            bound: Vec::new(),
            secrets: Vec::new(),
            for_task: false,
            within: None,
        }
    }
}
