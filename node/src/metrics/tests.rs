//! What events lead to in the metrics, and that the documentation has every metric.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use orc_domain::{
    Conclusion, CreateRun, Definition, DefinitionId, Event, Failure, Json, Parent, Recorded, Retry, Role,
    Run, RunId, RunStatus, StepDef, StepKind, StepOutcome, Task, TaskId, Timestamp, Token,
};
use prometheus::TextEncoder;
use uuid::Uuid;

use super::{
    Metrics,
    feed::hear,
    maker::Known,
    tracker::{Rows, Tracker},
};

const RUN: RunId = RunId(Uuid::from_u128(1));
const OWN: TaskId = TaskId::Single(Uuid::from_u128(2));
const STEP: TaskId = TaskId::Step(RUN, 0);

/// A workflow `train` with the one task `fit`, and what the tables have.
struct Scene {
    definition: Arc<Definition>,
    run: Option<Arc<Run>>,
    task: Option<Arc<Task>>,
}

impl Rows for Scene {
    fn definition(&self, _: &DefinitionId) -> Option<Arc<Definition>> {
        Some(self.definition.clone())
    }

    fn run(&self, id: &RunId) -> Option<Arc<Run>> {
        self.run.clone().filter(|run| run.id == *id)
    }

    fn task(&self, id: &TaskId) -> Option<Arc<Task>> {
        self.task.clone().filter(|task| task.id == *id)
    }
}

fn retry() -> Retry {
    Retry {
        limit: 3,
        delay: Duration::ZERO,
        backoff_percent: 100,
        delay_max: Duration::ZERO,
        jitter: false,
        non_retryable: Vec::new(),
        lost_max: 1,
        on: Vec::new(),
    }
}

fn scene() -> Scene {
    let kind = StepKind::Task { action: "fit".into(), config: Json::null(), templated: false };
    let steps = vec![StepDef::new("fit", kind, retry())];
    let definition = Arc::new(Definition::new(DefinitionId([1; 16]), "train", steps));
    Scene { definition, run: None, task: None }
}

/// Hears events a second after one another and gives the lines that they lead to.
fn heard(scene: &Scene, events: Vec<Event>) -> BTreeSet<String> {
    let (metrics, mut tracker) = (Metrics::new(PathBuf::new()), Tracker::default());
    for (seq, event) in (1..).zip(events) {
        let recorded = Recorded { seq, rev: seq, at: Timestamp(1_000 * seq), event };
        hear(&recorded, &mut tracker, scene, &metrics.counted);
    }
    assert_eq!(tracker.remembered(), 0, "what has ended is forgotten");
    let text = TextEncoder::new().encode_to_string(&metrics.registry.gather()).expect("text");
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[track_caller]
fn check(lines: &BTreeSet<String>, expected: &[&str]) {
    for line in expected {
        assert!(lines.contains(*line), "{line} is not in {lines:#?}");
    }
}

fn failed(task: TaskId, again: bool) -> Event {
    Event::AttemptFailed {
        task,
        token: Token(1),
        failure: Failure::new("BROKEN", "it broke"),
        lost: false,
        retry_at: again.then_some(Timestamp(0)),
    }
}

fn assigned(task: TaskId) -> Event {
    let component = "ann".parse().expect("an id");
    Event::TaskAssigned { task, component, token: Token(1), deadline: Timestamp(0) }
}

fn created(parent: Option<Role>) -> Event {
    let parent = parent.map(|role| Box::new(Parent { run: RunId(Uuid::from_u128(9)), role, item: None }));
    Event::RunCreated(Box::new(CreateRun { parent, ..CreateRun::new(RUN, DefinitionId([1; 16])) }))
}

fn ended() -> Event {
    let (status, conclusion) = (RunStatus::Completed, Conclusion::Success);
    Event::RunEnded { run: RUN, status, conclusion, outputs: Json::null(), failure: None, parent: None }
}

fn step_started() -> Event {
    Event::StepStarted { run: RUN, step: 0, config: None }
}

fn step_ended() -> Event {
    Event::StepEnded { run: RUN, step: 0, outcome: StepOutcome::Completed(Json::null()) }
}

fn task(events: impl IntoIterator<Item = Event>, outcome: StepOutcome) -> Vec<Event> {
    let created = Event::TaskCreated(Box::new(Task::queued(OWN, "load".into(), retry(), Timestamp(1_000))));
    let end = Event::TaskEnded { task: OWN, outcome };
    std::iter::once(created).chain(events).chain([end]).collect()
}

#[test]
fn a_run_whose_step_recovers_is_timed_and_told() {
    let events = vec![
        created(None),
        Event::RunStarted { run: RUN },
        step_started(),
        assigned(STEP),
        failed(STEP, true),
        Event::TaskRequeued { task: STEP },
        assigned(STEP),
        step_ended(),
        ended(),
    ];
    check(
        &heard(&scene(), events),
        &[
            r#"orc_workflow_runs_total{status="completed",workflow="train"} 1"#,
            "orc_workflow_run_duration_seconds_sum 7",
            r#"orc_step_duration_seconds_sum{type="task"} 5"#,
            r#"orc_task_queue_wait_seconds_sum{action="fit"} 2"#,
            r#"orc_task_queue_wait_seconds_count{action="fit"} 2"#,
            r#"orc_task_duration_seconds_sum{action="fit"} 2"#,
            "orc_task_retries_total 1",
            r#"orc_error_recoveries_total{result="recovered"} 1"#,
        ],
    );
}

#[test]
fn a_task_that_uses_its_attempts_up_has_not_recovered() {
    let failure = || StepOutcome::Failed(Failure::new("BROKEN", "it broke"));
    let attempts = [assigned(OWN), failed(OWN, true), assigned(OWN), failed(OWN, false)];
    let lines = heard(&scene(), task(attempts, failure()));
    check(
        &lines,
        &[
            r#"orc_tasks_total{status="failed"} 1"#,
            "orc_task_retries_total 1",
            r#"orc_task_duration_seconds_count{action="load"} 2"#,
            r#"orc_error_recoveries_total{result="failed"} 1"#,
        ],
    );
    let is_recovery = |line: &String| line.starts_with("orc_error_recoveries_total");
    let neither = [
        heard(&scene(), task([assigned(OWN)], StepOutcome::Completed(Json::null()))),
        heard(&scene(), task([], failure())),
        heard(&scene(), task([assigned(OWN), failed(OWN, true)], StepOutcome::Cancelled("stop".into()))),
    ];
    for lines in neither {
        assert!(!lines.iter().any(is_recovery), "{lines:#?}");
    }
}

#[test]
fn what_began_before_is_looked_up() {
    let mut scene = scene();
    let mut run =
        Run::created(&CreateRun::new(RUN, DefinitionId([1; 16])), &scene.definition, Timestamp(0), 1);
    run.started_at = Some(Timestamp(0));
    run.steps[0].started_at = Some(Timestamp(500));
    scene.run = Some(Arc::new(run));
    scene.task =
        Some(Arc::new(Task { failures: 1, ..Task::queued(STEP, "fit".into(), retry(), Timestamp(500)) }));
    check(
        &heard(&scene, vec![assigned(STEP), step_ended(), ended()]),
        &[
            r#"orc_workflow_runs_total{status="completed",workflow="train"} 1"#,
            "orc_workflow_run_duration_seconds_sum 3",
            r#"orc_step_duration_seconds_sum{type="task"} 1.5"#,
            r#"orc_task_queue_wait_seconds_sum{action="fit"} 0.5"#,
            r#"orc_error_recoveries_total{result="recovered"} 1"#,
        ],
    );
    check(
        &heard(&Scene { run: None, ..scene }, vec![ended()]),
        &[r#"orc_workflow_runs_total{status="completed",workflow="unknown"} 1"#],
    );
}

#[test]
fn items_and_handlers_are_parts_of_their_run() {
    let lines = heard(&scene(), vec![created(Some(Role::Item { step: 0, index: 3 })), ended()]);
    assert!(!lines.iter().any(|line| line.starts_with("orc_workflow_runs_total")), "{lines:#?}");
    let lines = heard(&scene(), vec![created(Some(Role::Step(0))), ended()]);
    check(&lines, &[r#"orc_workflow_runs_total{status="completed",workflow="train"} 1"#]);
}

#[test]
fn the_documentation_has_every_metric_and_no_other() {
    let documented: BTreeSet<Known> =
        include_str!("../../../docs/metrics.md").lines().filter_map(row).collect();
    let made: BTreeSet<Known> = Metrics::new(PathBuf::new())
        .known
        .into_iter()
        .map(|mut known| {
            known.labels.sort();
            known
        })
        .collect();
    let only = |these: &BTreeSet<Known>, those| these.difference(those).cloned().collect::<Vec<_>>();
    assert_eq!(only(&made, &documented), [], "not in docs/metrics.md, or otherwise there");
    assert_eq!(only(&documented, &made), [], "only in docs/metrics.md");
}

/// A row of the table: name, type, labels, meaning.
fn row(line: &str) -> Option<Known> {
    let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
    let name = cells.first()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
    let kind = ["counter", "gauge", "histogram"].into_iter().find(|kind| kind == cells.get(1).unwrap_or(&""));
    let mut labels: Vec<String> =
        cells.get(2)?.split(',').map(|label| label.trim().trim_matches('`').to_owned()).collect();
    labels.retain(|label| !label.is_empty());
    labels.sort();
    Some(Known { name, kind: kind.expect("a type"), labels })
}
