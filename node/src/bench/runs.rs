//! W1: runs of sequential steps that do nothing, done by worker processes; from the request to the final result.
//! Knows nothing of where the workers are.

use std::time::Duration;

use orc_client::{
    Client, Error, Workflow,
    wire::{self, Raw},
};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{BenchError, Options, load::load, recorder::Recorder, report::Measured, scene::Scene};

/// With what stands around it, a step's output is 92 bytes of JSON.
const TEXT_LENGTH: usize = 65;
/// A run that takes longer has failed.
const RUN_WITHIN: Duration = Duration::from_secs(60);

/// Measures one round.
pub(super) async fn measure(scene: &Scene, options: &Options, steps: usize) -> Result<Measured, BenchError> {
    let (clients, workflow) = (scene.clients(), definition(steps));
    let recorder = Recorder::starting(options);
    load(options, &recorder, move |place, _| {
        let (client, workflow) = (clients[place % clients.len()].clone(), workflow.clone());
        async move { one_run(&client, &workflow).await }
    })
    .await;
    recorder.measured()
}

async fn one_run(client: &Client, workflow: &Raw) -> Result<(), Error> {
    let run = client.runs().start(Workflow::definition(workflow)).wait().timeout(RUN_WITHIN).await?;
    run.output::<IgnoredAny>().map(|_| ())
}

/// Written once: every request carries the same bytes.
fn definition(steps: usize) -> Raw {
    let config = echoed();
    let step = |number| json!({"name": format!("step {number}"), "type": "task", "config": config});
    let steps: Vec<_> = (1..=steps).map(step).collect();
    wire::raw(&json!({"name": "bench", "steps": steps})).expect("a document has a JSON form")
}

/// What a worker gets and gives back.
fn echoed() -> Value {
    json!({"action": "echo", "text": "x".repeat(TEXT_LENGTH)})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_gives_92_bytes_back() {
        assert_eq!(echoed().to_string().len(), 92);
    }
}
