//! Outputs that later runs take over, rule by rule.

use super::*;

fn cached(age_max: Option<Duration>, outputs: &[(&str, &str)]) -> Arc<Definition> {
    let mut step = step("work", &[], does("a"));
    step.cache = Some(Cache { key: "k".into(), age_max });
    step.outputs = outputs.iter().map(|(name, of)| (Text::from(*name), Text::from(*of))).collect();
    definition(7, vec![step])
}

const KEY: CacheKey = CacheKey([1; 16]);

impl Cluster {
    /// Creates a run and tells it the key of its step.
    fn look_up(&mut self, id: u128, definition: &Arc<Definition>, key: CacheKey) {
        self.ok(create_run(id, definition));
        self.evaluated(id, 0, Evaluation::Cacheable { key, config: None });
    }

    fn outputs(&self, run: u128) -> Option<Json> {
        self.run(run).outputs.clone()
    }
}

#[test]
fn a_step_takes_over_what_an_earlier_run_yielded_under_the_same_key() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    let definition = cached(None, &[]);
    cluster.look_up(1, &definition, KEY);
    assert_eq!(cluster.steps(1), ["running"], "nothing is kept yet");
    cluster.complete(step_task(1, 0), "\"first\"");
    cluster.look_up(2, &definition, KEY);
    assert_eq!((cluster.outputs(2), cluster.run(2).steps[0].attempts), (Some("\"first\"".into()), 0));
    assert_eq!(cluster.run(2).steps[0].cache.as_deref(), Some(&StepCache::Hit(run_id(1))));
    cluster.look_up(3, &definition, CacheKey([2; 16]));
    assert_eq!(cluster.steps(3), ["running"], "another key is another output");
}

#[test]
fn an_output_that_is_too_old_does_not_count_and_a_new_one_takes_its_place() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    let definition = cached(Some(Duration::from_secs(60)), &[]);
    cluster.look_up(1, &definition, KEY);
    cluster.complete(step_task(1, 0), "1");
    cluster.pass(Duration::from_secs(60));
    cluster.look_up(2, &definition, KEY);
    assert_eq!(cluster.outputs(2), Some("1".into()));
    cluster.pass(Duration::from_secs(1));
    cluster.look_up(3, &definition, KEY);
    cluster.complete(step_task(3, 0), "3");
    cluster.look_up(4, &definition, KEY);
    assert_eq!((cluster.outputs(4), cluster.state.outputs.len()), (Some("3".into()), 1));
}

#[test]
fn a_rerun_does_it_again_and_a_failure_is_not_kept() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    let definition = cached(None, &[]);
    cluster.look_up(1, &definition, KEY);
    cluster.complete(step_task(1, 0), "1");
    let repeats = |id, how| {
        let earlier = Some(Earlier { run: run_id(1), how });
        let body = Some(definition.clone());
        Command::CreateRun(Box::new(CreateRun { earlier, body, ..CreateRun::new(run_id(id), definition.id) }))
    };
    cluster.ok(repeats(2, Repeat::Rerun));
    cluster.evaluated(2, 0, Evaluation::Cacheable { key: KEY, config: None });
    cluster.complete(step_task(2, 0), "2");
    cluster.ok(repeats(3, Repeat::Retry));
    cluster.evaluated(3, 0, Evaluation::Cacheable { key: KEY, config: None });
    assert_eq!(cluster.outputs(3), Some("2".into()), "what a rerun yielded counts from then on");

    cluster.look_up(4, &definition, CacheKey([2; 16]));
    cluster.fail(step_task(4, 0), "BROKEN");
    assert_eq!((cluster.run(4).status, cluster.state.outputs.len()), (RunStatus::Failed, 1));
}

#[test]
fn the_outputs_of_a_step_are_evaluated_from_what_was_taken_over() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    let definition = cached(None, &[("n", "output")]);
    for (id, expected) in [(1, "1"), (2, "1")] {
        cluster.look_up(id, &definition, KEY);
        if id == 1 {
            cluster.complete(step_task(1, 0), "1");
        }
        assert_eq!(cluster.run(id).steps[0].output, Some(expected.into()));
        let evaluation = Evaluation::Outputs(Json::from(alloc::format!("{{\"n\":{id}}}")));
        let point = EvalPoint::StepOutputs(0);
        cluster.ok(Command::RecordEvaluation { run: run_id(id), point, evaluation });
    }
    assert_eq!(cluster.outputs(2), Some("{\"n\":2}".into()));
    let kept = cluster.state.outputs.get(&KEY).expect("it is kept");
    assert_eq!((&kept.output, kept.run), (&"1".into(), run_id(1)), "as it came from the task");
}

#[test]
fn the_oldest_outputs_leave_when_they_are_too_many_bytes() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    let definition = cached(None, &[]);
    let large = alloc::format!("\"{}\"", "x".repeat(1024 * 1024));
    for id in 1..=70 {
        cluster.look_up(id, &definition, CacheKey([id as u8; 16]));
        cluster.complete(step_task(id, 0), &large);
    }
    assert_eq!(cluster.state.outputs.len(), 63, "64 MiB with what surrounds them");
    assert!(!cluster.state.outputs.contains(&CacheKey([7; 16])));
    assert!(cluster.state.outputs.contains(&CacheKey([8; 16])));
}
