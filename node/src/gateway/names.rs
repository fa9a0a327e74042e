//! The names that events leave out: looked up once for a batch of events, so that rendering never waits.
//! Knows nothing of streams.

use std::{collections::BTreeMap, sync::Arc};

use orc_domain::{BlockIx, Definition, Recorded, RunId, StepIx};

use super::{Gateway, render::event::Names};

/// Runs whose definitions are remembered.
const KNOWN_MAX: usize = 1_024;

/// Definitions of the runs that events speak of.
#[derive(Default)]
pub struct KnownNames(BTreeMap<RunId, (Arc<Definition>, BlockIx)>);

impl Names for KnownNames {
    fn step(&self, run: RunId, step: StepIx) -> Option<String> {
        let (definition, block) = self.0.get(&run)?;
        definition.block(*block).get(usize::from(step)).map(|step| step.id.to_string())
    }

    fn workflow(&self, run: RunId) -> Option<String> {
        self.0.get(&run).map(|(definition, _)| definition.name.to_string())
    }
}

impl Gateway {
    /// Looks up what events leave out. What is not found any more stays out: a fact is told in any case.
    pub async fn learn_names(&self, events: &[Arc<Recorded>], known: &mut KnownNames) {
        for run in events.iter().filter_map(|recorded| recorded.event.run()) {
            if known.0.contains_key(&run) {
                continue;
            }
            if known.0.len() >= KNOWN_MAX {
                known.0.clear();
            }
            if let Some(definition) = self.definition_of(run).await {
                known.0.insert(run, definition);
            }
        }
    }

    async fn definition_of(&self, run: RunId) -> Option<(Arc<Definition>, BlockIx)> {
        let run = self.cluster.find_run(run).await.ok()??;
        Some((self.cluster.find_definition(run.definition).await.ok()??, run.block))
    }
}
