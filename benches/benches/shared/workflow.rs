//! A workflow whose steps run in a row, a run of it, and limits that never matter.
//! Knows nothing of what is measured with them.

use std::{sync::Arc, time::Duration};

use orc_domain::{
    ClusterConfig, Command, CreateRun, Definition, DefinitionId, Json, Labels, RunId, StepDef, StepIx,
    StepKind,
};
use uuid::Uuid;

/// Longer than any bench: nothing is due unless a bench wants it.
pub const LONG: Duration = Duration::from_secs(60 * 86_400);

/// Steps in a row.
pub fn in_a_row(number: u8, kinds: Vec<StepKind>) -> Arc<Definition> {
    let last = StepIx::try_from(kinds.len()).expect("a few steps") - 1;
    let steps = (0..).zip(kinds).map(|(place, kind)| step(place, last, kind)).collect();
    let definition = Definition::new(DefinitionId([number; 16]), "three steps", steps);
    let source = Json::from(r#"{"name":"three steps","steps":["one","two","three"]}"#);
    Arc::new(Definition { source, timeout: LONG, ..definition })
}

fn step(place: StepIx, last: StepIx, kind: StepKind) -> StepDef {
    StepDef {
        name: format!("Step {place}").into(),
        needs: place.checked_sub(1).into_iter().collect(),
        followers: (place < last).then_some(place + 1).into_iter().collect(),
        timeout: LONG,
        ..StepDef::new(format!("step_{place}"), kind, ClusterConfig::default().step_retry)
    }
}

/// Starts a run; the definition rides along, as it does where the state may not have it.
pub fn create_run(id: Uuid, definition: &Arc<Definition>) -> Command {
    Command::CreateRun(Box::new(CreateRun {
        body: Some(definition.clone()),
        inputs: Json::from(r#"{"version":"1.2.3"}"#),
        labels: Labels::from([("team".into(), "data".into())]),
        ..CreateRun::new(RunId(id), definition.id)
    }))
}

/// Limits that nothing here meets.
pub fn no_limits() -> Command {
    Command::Configure(Box::new(ClusterConfig {
        runs_active_max: 1_000_000,
        tasks_running_max: 1_000_000,
        runs_live_max: 1_000_000,
        tasks_live_max: 1_000_000,
        task_timeout: LONG,
        ..ClusterConfig::default()
    }))
}
