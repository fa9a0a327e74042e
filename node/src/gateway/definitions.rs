//! Compiled definitions by their text, so that starting the same workflow again compiles nothing.
//! Knows nothing of runs; the defaults that a definition was compiled with are part of its identity.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use orc_domain::ClusterConfig;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{Gateway, json::line_and_column, problem::Refusal};
use crate::definition::{Compiled, Compiler, DefinitionErrors, check_expression};

/// Definitions kept.
const KEPT_MAX: usize = 1_000;

type Hash = [u8; 32];

/// The compiled definitions of one cluster configuration.
#[derive(Default)]
pub struct Definitions {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    config: Option<Arc<ClusterConfig>>,
    by_text: HashMap<Hash, Arc<Compiled>>,
    by_age: VecDeque<Hash>,
}

impl Kept {
    /// Other defaults make other definitions.
    fn follow(&mut self, config: &Arc<ClusterConfig>) {
        if !self.config.as_ref().is_some_and(|known| Arc::ptr_eq(known, config)) {
            *self = Kept { config: Some(config.clone()), ..Kept::default() };
        }
    }

    fn keep(&mut self, hash: Hash, compiled: Arc<Compiled>) {
        if self.by_text.insert(hash, compiled).is_none() {
            self.by_age.push_back(hash);
        }
        if self.by_age.len() > KEPT_MAX
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.by_text.remove(&oldest);
        }
    }
}

impl Definitions {
    /// The definition of a text, compiled now if it is new.
    pub fn get(&self, text: &str, config: &Arc<ClusterConfig>) -> Result<Arc<Compiled>, DefinitionErrors> {
        let hash: Hash = Sha256::digest(text).into();
        {
            let mut kept = self.kept.lock();
            kept.follow(config);
            if let Some(compiled) = kept.by_text.get(&hash) {
                return Ok(compiled.clone());
            }
        }
        let compiled = Arc::new(compile(text, config)?);
        let mut kept = self.kept.lock();
        kept.follow(config);
        kept.keep(hash, compiled.clone());
        Ok(compiled)
    }
}

/// Compiles a document.
pub fn compile(text: &str, config: &ClusterConfig) -> Result<Compiled, DefinitionErrors> {
    Compiler { config, check_expression: &check_expression }.text(text)
}

impl Gateway {
    /// The compiled definition that is part of a body; mistakes carry their place in the body.
    pub fn definition(&self, body: &[u8], definition: &RawValue) -> Result<Arc<Compiled>, Refusal> {
        let text = definition.get();
        let compiled = self.definitions.get(text, &self.cluster.config());
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

    #[test]
    fn a_definition_is_compiled_once_for_each_configuration() {
        let definitions = Definitions::default();
        let config = Arc::new(ClusterConfig::default());
        let text = r#"{"name":"a","steps":[{"name":"one","type":"task"}]}"#;
        let first = definitions.get(text, &config).expect("it compiles");
        let again = definitions.get(text, &config).expect("it compiles");
        assert!(Arc::ptr_eq(&first, &again));
        let other =
            Arc::new(ClusterConfig { step_timeout: std::time::Duration::from_secs(1), ..(*config).clone() });
        let changed = definitions.get(text, &other).expect("it compiles");
        assert_ne!(first.definition.id, changed.definition.id);
    }

    #[test]
    fn mistakes_have_their_place_in_the_whole_body() {
        let part = "{\"name\":\"a\",\n \"steps\":[{\"name\":\"b\",\"typ\":\"task\"}]}";
        let body = format!("{{\"inputs\":{{}},\n  \"definition\":{part}}}");
        let errors = compile(part, &ClusterConfig::default()).expect_err("a misspelt field");
        let inside = (errors.0[0].line, errors.0[0].column);
        assert_eq!(inside.0, Some(2));
        let moved = in_body(errors, body.as_bytes(), part);
        assert_eq!((moved.0[0].line, moved.0[0].column), (Some(3), inside.1));
    }
}
