//! Runs from their creation to their end: expressions, templates, retries, delays, and a leader that comes late.

use std::sync::Arc;

use orc_actors::Order;
use orc_domain::{
    Command, Conclusion, EvalPoint, Event, Failure, Json, NodeId, RunId, RunStatus, StepDef, StepKind,
    StepStatus, Timestamp,
};
use serde_json::{Value, json};

use crate::support::{
    Cluster, World, condition, definition, echo, next_task, options, run_of, single_task, task_step, until,
};

struct End {
    status: RunStatus,
    conclusion: Conclusion,
    outputs: Value,
    failure: Option<Failure>,
}

async fn end_of(world: &World, id: RunId) -> End {
    let end = |event: &Event| match event {
        Event::RunEnded { run, status, conclusion, outputs, failure, .. } if *run == id => Some(End {
            status: *status,
            conclusion: *conclusion,
            outputs: serde_json::from_str(outputs.as_str()).expect("outputs are JSON"),
            failure: failure.clone(),
        }),
        _ => None,
    };
    world.event(end).await
}

/// A run of these steps on a component that echoes.
async fn run_through(steps: Vec<StepDef>, inputs: &str) -> (Arc<World>, RunId, End) {
    let cluster = Cluster::of(1);
    let session = cluster.connect(1, "ann", Vec::new()).await;
    let component = echo(&cluster, session);
    let (id, create) = run_of(&definition(steps), inputs);
    cluster.accept(create).await;
    let end = end_of(&cluster.world, id).await;
    let world = cluster.world.clone();
    cluster.shutdown().await;
    component.await.expect("the component ends with its session");
    assert_eq!(world.read(|state| state.stuck()), Vec::<String>::new());
    (world, id, end)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_three_steps_completes() {
    let steps =
        vec![task_step("a", r#"{"n":1}"#), task_step("b", r#"{"n":2}"#), task_step("c", r#"{"n":3}"#)];
    let (_, _, end) = run_through(steps, "{}").await;
    assert_eq!((end.status, end.conclusion), (RunStatus::Completed, Conclusion::Success));
    assert_eq!(end.outputs, json!({ "n": 3 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_condition_gates_the_run_and_says_on_what() {
    let steps = vec![
        task_step("train", r#"{"accuracy":0.5}"#),
        condition("good", "accuracy > inputs.threshold"),
        task_step("deploy", "{}"),
    ];
    let (world, id, end) = run_through(steps, r#"{"threshold":0.85}"#).await;
    assert_eq!((end.status, end.conclusion), (RunStatus::Completed, Conclusion::Gated));
    let decision = |event: &Event| match event {
        Event::StepDecided { run, step: 1, decision } if *run == id => Some(decision.clone()),
        _ => None,
    };
    let decision = world.event(decision).await;
    let inputs: Value = serde_json::from_str(decision.inputs.as_str()).expect("inputs are JSON");
    assert_eq!((decision.value, inputs), (false, json!({ "accuracy": 0.5, "inputs.threshold": 0.85 })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_is_filled_from_the_inputs_and_steps_before() {
    let steps = vec![
        task_step("train", r#"{"accuracy":0.9,"epochs":"${{ inputs.epochs * 2 }}"}"#),
        condition("good", "accuracy > 0.85 && epochs == 6"),
        task_step("deploy", r#"{"text":"at ${{ steps.train.outputs.accuracy }}","run":"${{ run.id }}"}"#),
    ];
    let (_, id, end) = run_through(steps, r#"{"epochs":3}"#).await;
    assert_eq!(end.conclusion, Conclusion::Success);
    assert_eq!(end.outputs, json!({ "text": "at 0.9", "run": id.to_string() }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_name_fails_the_run_with_what_there_is() {
    let steps =
        vec![task_step("train", r#"{"accuracy":0.9,"loss":0.1}"#), condition("good", "accurcy > 0.85")];
    let (_, _, end) = run_through(steps, "{}").await;
    assert_eq!(end.status, RunStatus::Failed);
    let failure = end.failure.expect("it failed");
    assert_eq!(&*failure.code, "UNKNOWN_NAME");
    assert_eq!(&*failure.message, "unknown name `accurcy`, have: accuracy, loss");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_are_evaluated_at_the_end() {
    let cluster = Cluster::of(1);
    let session = cluster.connect(1, "ann", Vec::new()).await;
    let component = echo(&cluster, session);
    let mut definition = definition(vec![task_step("a", r#"{"n":1}"#), task_step("b", r#"{"m":2}"#)]);
    definition.outputs = vec![("sum".into(), "n + m".into())];
    let (id, create) = run_of(&definition, "{}");
    cluster.accept(create).await;
    assert_eq!(end_of(&cluster.world, id).await.outputs, json!({ "sum": 3 }));
    cluster.shutdown().await;
    component.await.expect("the component ends with its session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_passes_by_itself_and_not_too_early() {
    let cluster = Cluster::of(1);
    let mut session = cluster.connect(1, "ann", Vec::new()).await;
    let (id, create) = single_task("1");
    cluster.accept(create).await;
    let (task, token) = next_task(&mut session).await;
    assert_eq!(task, id);
    let failure = Failure::new("BROKEN", "the first try fails");
    let fail = Command::FailTask { task, token, failure, retryable: true, retry_after: None };
    cluster.accept(fail).await;
    let retry_at = |event: &Event| match event {
        Event::AttemptFailed { retry_at, .. } => *retry_at,
        _ => None,
    };
    let retry_at: Timestamp = cluster.world.event(retry_at).await;
    let (again, second) = next_task(&mut session).await;
    assert!(again == id && second > token);
    let requeued =
        cluster.world.history().into_iter().find(|event| matches!(event.event, Event::TaskRequeued { .. }));
    assert!(requeued.expect("it was queued again").at >= retry_at, "the pause was kept");
    let alarms = cluster.world.count(|command| *command == Command::AdvanceTime);
    assert!(alarms <= 3, "time was advanced {alarms} times for one deadline");
    cluster.complete(task, second, "2").await.expect("the second attempt counts");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_ends() {
    let mut pause = task_step("pause", "{}");
    pause.kind = StepKind::Delay { duration: std::time::Duration::from_millis(30) };
    let (_, _, end) = run_through(vec![pause, task_step("after", r#"{"n":1}"#)], "{}").await;
    assert_eq!((end.status, end.outputs), (RunStatus::Completed, json!({ "n": 1 })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_reaches_the_component() {
    let cluster = Cluster::of(1);
    let mut session = cluster.connect(1, "ann", Vec::new()).await;
    let (run, create) = run_of(&definition(vec![task_step("a", "{}")]), "{}");
    cluster.accept(create).await;
    let (task, token) = next_task(&mut session).await;
    cluster.accept(Command::CancelRun { run, reason: "enough".into() }).await;
    let Some(Order::Cancel(cancel)) = crate::support::next(&mut session).await else {
        panic!("not a cancel")
    };
    assert_eq!((cancel.task, cancel.token, &*cancel.reason), (task, token, "enough"));
    let failure = Failure::new("CANCELLED", "stopped");
    cluster.accept(Command::FailTask { task, token, failure, retryable: false, retry_after: None }).await;
    assert_eq!(end_of(&cluster.world, run).await.status, RunStatus::Cancelled);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_leader_takes_up_what_is_outstanding() {
    let world = World::new(4096);
    let (id, create) = run_of(&definition(vec![condition("good", "inputs.n > 1")]), r#"{"n":2}"#);
    world.apply(create.into());
    let awaits = |state: &orc_domain::State| {
        state.runs.get(&id).is_some_and(|run| run.steps[0].status == StepStatus::Evaluating)
    };
    assert!(world.read(awaits), "nobody evaluates without a leader");
    let cluster = Cluster::over(world, 2, options());
    assert_eq!(end_of(&cluster.world, id).await.conclusion, Conclusion::Success);
    let evaluations = |command: &Command| matches!(command, Command::RecordEvaluation { .. });
    assert_eq!(cluster.world.count(evaluations), 1);

    // Leadership moves; what was asked for in between is not lost.
    cluster.world.lead(None);
    let (id, create) = run_of(&definition(vec![condition("good", "inputs.n > 1")]), r#"{"n":1}"#);
    cluster.world.apply(create.into());
    cluster.world.lead(Some(NodeId(2)));
    assert_eq!(end_of(&cluster.world, id).await.conclusion, Conclusion::Gated);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn effects_that_are_missed_are_read_from_the_state() {
    let cluster = Cluster::over(World::new(1), 1, options());
    let mut session = cluster.connect(1, "ann", Vec::new()).await;
    cluster.world.forgets.send_replace(true);
    let (gated, create) = run_of(&definition(vec![condition("good", "1 > 2")]), "{}");
    cluster.world.apply(create.into());
    let (task, create) = single_task("1");
    cluster.world.apply(create.into());
    cluster.world.forgets.send_replace(false);
    let (delivered, token) = next_task(&mut session).await;
    assert_eq!(delivered, task);
    assert_eq!(end_of(&cluster.world, gated).await.conclusion, Conclusion::Gated);
    cluster.complete(task, token, "1").await.expect("it counts");
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_are_evaluated_once_each() {
    let cluster = Cluster::of(1);
    let limit = orc_domain::ClusterConfig { runs_active_max: 1000, ..Default::default() };
    cluster.accept(Command::Configure(Box::new(limit))).await;
    let definition = definition(vec![condition("one", "inputs.n >= 0"), condition("two", "inputs.n < 1000")]);
    let runs: Vec<_> = (0..300).map(|n| run_of(&definition, &format!("{{\"n\":{n}}}"))).collect();
    for (_, create) in &runs {
        cluster.accept(create.clone()).await;
    }
    for (id, _) in &runs {
        assert_eq!(end_of(&cluster.world, *id).await.status, RunStatus::Completed);
    }
    let evaluations = |command: &Command| matches!(command, Command::RecordEvaluation { .. });
    assert_eq!(cluster.world.count(evaluations), 600);
    until(|| cluster.node(1).health.status().totals.evaluations == 600).await;
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evaluation_that_is_not_awaited_changes_nothing() {
    let cluster = Cluster::of(1);
    let (id, create) = run_of(&definition(vec![task_step("a", "{}")]), "{}");
    cluster.accept(create).await;
    let evaluation = orc_domain::Evaluation::Proceed { config: Some(Json::null()) };
    let record = Command::RecordEvaluation { run: id, point: EvalPoint::Step(0), evaluation };
    assert!(cluster.propose(record).await.expect("there is a leader").result.is_err());
    cluster.shutdown().await;
}
