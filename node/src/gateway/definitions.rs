//! The definition that is part of a call's body.
//! Knows nothing of what it says; mistakes carry their place in the body.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{Gateway, json::line_and_column, problem::Refusal};
use crate::definition::{Compiled, DefinitionErrors};

impl Gateway {
    /// The compiled definition that is part of a body; mistakes carry their place in the body.
    pub fn definition(&self, body: &[u8], definition: &RawValue) -> Result<Arc<Compiled>, Refusal> {
        let text = definition.get();
        let compiled = self.catalog.definitions.get(text, &self.cluster.config());
        compiled.map_err(|errors| Refusal::definition(in_body(errors, body, text).under("/definition")))
    }
}

/// Moves places within a part of a body to places within the body.
fn in_body(mut errors: DefinitionErrors, body: &[u8], part: &str) -> DefinitionErrors {
    let found = std::str::from_utf8(body).ok().and_then(|body| body.find(part));
    let Some(start) = found else { return errors };
    let (line, column) = line_and_column(body, start);
    let shift = |place: usize| u32::try_from(place - 1).unwrap_or(u32::MAX);
    for error in &mut errors.0 {
        if error.line == Some(1) {
            error.column = error.column.map(|own| own.saturating_add(shift(column)));
        }
        error.line = error.line.map(|own| own.saturating_add(shift(line)));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::Compiler;
    use orc_domain::ClusterConfig;

    #[test]
    fn mistakes_have_their_place_in_the_whole_body() {
        let part = "{\"name\":\"a\",\n \"steps\":[{\"name\":\"b\",\"typ\":\"task\"}]}";
        let body = format!("{{\"inputs\":{{}},\n  \"definition\":{part}}}");
        let errors = Compiler::new(&ClusterConfig::default()).text(part).expect_err("a misspelt field");
        let inside = (errors.0[0].line, errors.0[0].column);
        assert_eq!(inside.0, Some(2));
        let moved = in_body(errors, body.as_bytes(), part);
        assert_eq!((moved.0[0].line, moved.0[0].column), (Some(3), inside.1));
    }
}
