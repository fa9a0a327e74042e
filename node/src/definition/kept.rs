//! Compiled definitions by their text, so that starting the same workflow again compiles nothing.
//! Knows nothing of runs; the defaults that a definition was compiled with are part of its identity.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use orc_domain::ClusterConfig;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::{Compiled, Compiler, DefinitionErrors};

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
        let compiled = Arc::new(Compiler::new(config).text(text)?);
        let mut kept = self.kept.lock();
        kept.follow(config);
        kept.keep(hash, compiled.clone());
        Ok(compiled)
    }
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
}
