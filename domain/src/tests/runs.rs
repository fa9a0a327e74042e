//! Runs and steps, rule by rule.

use super::{store::Store, *};

fn three() -> Vec<StepDef> {
    vec![step("one", &[], does("a")), step("two", &[0], does("a")), step("three", &[1], does("a"))]
}

#[test]
fn a_three_step_run_costs_four_commands() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    let before = cluster.rev;
    cluster.start_run(1, three());
    for place in 0..3 {
        assert_eq!(
            cluster.effects.len(),
            1,
            "the next step is assigned in the entry that ended the one before"
        );
        cluster.complete(step_task(1, place), "{\"n\":1}");
    }
    assert_eq!(cluster.rev - before, 4);
    assert_eq!(cluster.run(1).status, RunStatus::Completed);
    assert_eq!(cluster.run(1).conclusion, Some(Conclusion::Success));
    assert_eq!(cluster.run(1).outputs, Some("{\"n\":1}".into()));
    assert!(cluster.state.runs.is_empty() && cluster.state.tasks.is_empty(), "ended work leaves memory");
}

#[test]
fn a_false_condition_gates_what_follows() {
    let condition = StepKind::Condition { expression: "x > 1".into(), on_false: OnFalse::Skip };
    let mut cluster = Cluster::new();
    cluster.start_run(
        1,
        vec![step("check", &[], condition), step("deploy", &[0], does("a")), step("tell", &[1], does("a"))],
    );
    let point = EvalPoint::Step(0);
    assert_eq!(cluster.effects, [Effect::Evaluate { run: run_id(1), point }]);
    let decision = Decision { value: false, inputs: "{\"x\":0}".into() };
    let evaluation = Evaluation::Condition(decision);
    cluster.ok(Command::RecordEvaluation { run: run_id(1), point, evaluation: evaluation.clone() });
    assert_eq!(cluster.steps(1), ["completed", "skipped", "skipped"]);
    assert_eq!(cluster.run(1).conclusion, Some(Conclusion::Gated));
    assert_eq!(cluster.run(1).status, RunStatus::Completed);
    let again = cluster.refused(Command::RecordEvaluation { run: run_id(1), point, evaluation });
    assert_eq!(again, Rejection::RunNotLive { run: run_id(1) });
}

#[test]
fn a_false_condition_may_fail_the_run() {
    let condition = StepKind::Condition { expression: "x > 1".into(), on_false: OnFalse::Fail };
    let mut cluster = Cluster::new();
    cluster.start_run(1, vec![step("check", &[], condition), step("deploy", &[0], does("a"))]);
    let evaluation = Evaluation::Condition(Decision { value: false, inputs: "{}".into() });
    cluster.ok(Command::RecordEvaluation { run: run_id(1), point: EvalPoint::Step(0), evaluation });
    assert_eq!(cluster.steps(1), ["failed", "skipped"]);
    assert_eq!(cluster.run(1).error.as_ref().map(|error| &*error.code), Some("CONDITION_FALSE"));
}

#[test]
fn a_false_condition_may_go_to_a_later_step() {
    for (value, steps) in
        [(false, ["completed", "skipped", "skipped", "completed", "completed"]), (true, ["completed"; 5])]
    {
        let condition = StepKind::Condition { expression: "x > 1".into(), on_false: OnFalse::Goto(3) };
        let mut cluster = Cluster::new();
        cluster.connect(ANN, 4, vec![]);
        let after = |id: &str, need| step(id, &[need], does("a"));
        let all =
            vec![step("check", &[], condition), after("a", 0), after("b", 1), after("c", 2), after("d", 3)];
        cluster.start_run(1, all);
        let evaluation = Evaluation::Condition(Decision { value, inputs: "{}".into() });
        cluster.ok(Command::RecordEvaluation { run: run_id(1), point: EvalPoint::Step(0), evaluation });
        for place in if value { 1..=4 } else { 3..=4 } {
            cluster.complete(step_task(1, place), "1");
        }
        assert_eq!(cluster.steps(1), steps);
        assert_eq!(cluster.run(1).conclusion, Some(Conclusion::Success), "it went another way");
    }
}

#[test]
fn a_step_gone_to_waits_for_what_else_it_needs_and_for_other_conditions() {
    let goes = StepKind::Condition { expression: "x".into(), on_false: OnFalse::Goto(3) };
    let gates = StepKind::Condition { expression: "y".into(), on_false: OnFalse::Skip };
    let mut cluster = Cluster::new();
    let all = vec![
        step("one", &[], goes),
        step("two", &[], gates),
        step("a", &[0], does("a")),
        step("b", &[1, 2], does("a")),
    ];
    cluster.start_run(1, all);
    let mut decide = |place, value| {
        let evaluation = Evaluation::Condition(Decision { value, inputs: "{}".into() });
        cluster.ok(Command::RecordEvaluation { run: run_id(1), point: EvalPoint::Step(place), evaluation });
        cluster.steps(1)
    };
    assert_eq!(decide(0, false), ["completed", "evaluating", "skipped", "pending"]);
    assert_eq!(decide(1, false), ["completed", "completed", "skipped", "skipped"]);
}

#[test]
fn a_step_skipped_by_its_own_if_lets_the_next_run() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    let mut steps = three();
    steps[1].only_if = Some("inputs.x".into());
    cluster.start_run(1, steps);
    cluster.complete(step_task(1, 0), "1");
    let evaluation = Evaluation::Skip(Decision { value: false, inputs: "{}".into() });
    cluster.ok(Command::RecordEvaluation { run: run_id(1), point: EvalPoint::Step(1), evaluation });
    cluster.complete(step_task(1, 2), "3");
    assert_eq!(cluster.steps(1), ["completed", "skipped", "completed"]);
    assert_eq!(cluster.run(1).conclusion, Some(Conclusion::Success));
}

#[test]
fn a_failure_skips_the_rest_but_what_asks_for_it() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    let mut steps = vec![
        step("build", &[], does("a")),
        step("slow", &[], does("a")),
        step("deploy", &[1], does("a")),
        step("report", &[0], does("a")),
    ];
    steps[3].only_if = Some("failure()".into());
    cluster.start_run(1, steps);
    cluster.fail(step_task(1, 0), "BROKEN");
    assert_eq!(
        cluster.steps(1),
        ["failed", "running", "skipped", "evaluating"],
        "running steps end, nothing else starts"
    );
    cluster.complete(step_task(1, 1), "1");
    let evaluation = Evaluation::Proceed { config: None };
    cluster.ok(Command::RecordEvaluation { run: run_id(1), point: EvalPoint::Step(3), evaluation });
    cluster.complete(step_task(1, 3), "1");
    assert_eq!(cluster.run(1).status, RunStatus::Failed);
    assert_eq!(cluster.run(1).error.as_ref().map(|error| &*error.code), Some("BROKEN"));
}

#[test]
fn a_parallel_group_ends_with_its_children() {
    let group = StepKind::Parallel { children: vec![1, 2] };
    let steps = vec![
        step("one", &[], does("a")),
        step("left", &[0], does("a")),
        step("right", &[0], does("b")),
        step("group", &[1, 2], group),
        step("last", &[3], does("a")),
    ];
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    cluster.start_run(1, steps.clone());
    cluster.complete(step_task(1, 0), "1");
    assert_eq!(cluster.effects.len(), 2, "children start at once");
    cluster.complete(step_task(1, 2), "1");
    cluster.complete(step_task(1, 1), "1");
    cluster.complete(step_task(1, 4), "1");
    assert_eq!(cluster.run(1).status, RunStatus::Completed);

    cluster.start_run(2, steps);
    cluster.complete(step_task(2, 0), "1");
    cluster.fail(step_task(2, 1), "BROKEN");
    cluster.complete(step_task(2, 2), "1");
    assert_eq!(cluster.steps(2), ["completed", "failed", "completed", "failed", "skipped"]);
    assert_eq!(cluster.run(2).error.as_ref().map(|error| &*error.code), Some("BROKEN"));
}

#[test]
fn a_delay_ends_on_time_and_not_before() {
    let mut cluster = Cluster::new();
    cluster.start_run(1, vec![step("wait", &[], StepKind::Delay { duration: Duration::from_secs(5) })]);
    assert_eq!(cluster.run(1).shown_status(), "waiting");
    assert_eq!(cluster.state.next_due(), Some(cluster.clock + Duration::from_secs(5)));
    cluster.pass(Duration::from_millis(4_999));
    assert_eq!(cluster.steps(1), ["waiting"]);
    cluster.pass(Duration::from_millis(1));
    assert_eq!(cluster.run(1).status, RunStatus::Completed);
}

#[test]
fn the_limit_of_active_runs_holds_and_priority_goes_first() {
    let mut cluster = Cluster::new();
    cluster.configure(|config| config.runs_active_max = 1);
    cluster.connect(ANN, 4, vec![]);
    for id in 1..=3 {
        cluster.start_run(id, three());
    }
    let Command::CreateRun(mut urgent) = create_run(4, &definition(4, three())) else { unreachable!() };
    urgent.priority = Priority::Urgent;
    assert_eq!(
        cluster.ok(Command::CreateRun(urgent)),
        Answer::Run { id: run_id(4), status: RunStatus::Queued }
    );
    for place in 0..3 {
        cluster.complete(step_task(1, place), "1");
    }
    assert_eq!(cluster.run(4).status, RunStatus::Running);
    assert_eq!(cluster.run(2).status, RunStatus::Queued);
}

#[test]
fn a_paused_run_keeps_its_place_and_starts_nothing() {
    let mut cluster = Cluster::new();
    cluster.start_run(1, three());
    cluster.ok(Command::PauseRun { run: run_id(1) });
    cluster.connect(ANN, 4, vec![]);
    assert!(cluster.effects.is_empty(), "a held task is not assigned");
    let refused = cluster.refused(Command::PauseRun { run: run_id(1) });
    assert_eq!(
        refused,
        Rejection::RunTransition { run: run_id(1), status: RunStatus::Paused, wish: RunWish::Paused }
    );
    cluster.ok(Command::ResumeRun { run: run_id(1) });
    assert_eq!(cluster.effects.len(), 1);
    cluster.ok(Command::PauseRun { run: run_id(1) });
    cluster.complete(step_task(1, 0), "1");
    assert_eq!(cluster.steps(1), ["completed", "pending", "pending"], "a running attempt may finish");
    cluster.ok(Command::ResumeRun { run: run_id(1) });
    assert_eq!(cluster.steps(1), ["completed", "running", "pending"]);
}

#[test]
fn a_cancel_waits_for_running_attempts_and_no_longer_than_the_grace() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    cluster.start_run(1, three());
    cluster.start_run(2, three());
    let token = cluster.token(step_task(1, 0));
    let reason = Text::from("enough");
    for id in [1, 2] {
        cluster.ok(Command::CancelRun { run: run_id(id), reason: reason.clone() });
        assert_eq!(cluster.run(id).status, RunStatus::Cancelling);
        assert!(matches!(cluster.effects[..], [Effect::CancelAttempt { .. }]));
    }
    cluster.ok(Command::CompleteTask { task: step_task(1, 0), token, output: "1".into() });
    assert_eq!(cluster.run(1).status, RunStatus::Cancelled);
    assert_eq!(cluster.steps(1), ["cancelled"; 3], "a late result changes nothing");
    cluster.pass(Duration::from_secs(10));
    assert_eq!(cluster.run(2).status, RunStatus::Cancelled);
    let refused = cluster.refused(Command::CancelRun { run: run_id(2), reason });
    assert_eq!(refused, Rejection::RunNotLive { run: run_id(2) });
}

#[test]
fn a_run_whose_time_is_up_winds_down() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    let mut steps = three();
    steps[0].timeout = Duration::from_secs(7200);
    cluster.start_run(1, steps);
    cluster.pass(Duration::from_secs(3600));
    assert!(matches!(cluster.effects[..], [Effect::CancelAttempt { .. }]));
    cluster.fail(step_task(1, 0), "CANCELLED");
    assert_eq!(cluster.run(1).status, RunStatus::TimedOut);
    assert_eq!(cluster.run(1).error.as_ref().map(|error| &*error.code), Some("WORKFLOW_TIMEOUT"));
}

#[test]
fn a_definition_is_sent_once() {
    let mut cluster = Cluster::new();
    let definition = definition(9, three());
    let Command::CreateRun(with_body) = create_run(1, &definition) else { unreachable!() };
    let bare = |id| CreateRun { id: run_id(id), body: None, ..(*with_body).clone() };
    let unknown = Rejection::DefinitionUnknown { definition: definition.id };
    assert_eq!(cluster.refused(Command::CreateRun(Box::new(bare(2)))), unknown);
    cluster.ok(Command::CreateRun(with_body.clone()));
    cluster.ok(Command::CreateRun(Box::new(bare(2))));
    assert_eq!(
        cluster.refused(Command::CreateRun(Box::new(bare(2)))),
        Rejection::RunExists { run: run_id(2) }
    );
}

#[test]
fn an_idempotency_key_yields_the_first_answer() {
    let mut cluster = Cluster::new();
    let definition = definition(9, three());
    let key = IdempotencyKey([7; 16]);
    let proposal = |id, request| Proposal {
        command: create_run(id, &definition),
        idempotency: Some(Idempotency { key, request }),
    };
    let first = cluster.propose(proposal(1, 1));
    let second = cluster.propose(proposal(2, 1));
    assert_eq!((second.result.clone(), second.rev, second.replayed), (first.result, first.rev, true));
    assert_eq!(cluster.state.runs.len(), 1);
    assert_eq!(cluster.propose(proposal(3, 2)).result, Err(Rejection::IdempotencyKeyReused));
    cluster.clock = cluster.clock + Duration::from_secs(24 * 3600 + 1);
    assert!(!cluster.propose(proposal(4, 1)).replayed, "kept for 24 hours");
}

#[test]
fn restored_answers_expire_as_they_did_before() {
    let mut cluster = Cluster::new();
    let definition = definition(9, three());
    let proposal = |id, key| Proposal {
        command: create_run(id, &definition),
        idempotency: Some(Idempotency { key: IdempotencyKey([key; 16]), request: 1 }),
    };
    cluster.propose(proposal(1, 7));
    cluster.propose(proposal(2, 8));
    cluster.clock = cluster.clock + Duration::from_secs(24 * 3600 + 1);
    assert!(!cluster.propose(proposal(3, 7)).replayed, "the first answer has expired");
    let mut disk = Store::default();
    disk.drain(&mut cluster.state);
    cluster.state = disk.load();
    assert!(!cluster.propose(proposal(4, 8)).replayed, "so has the second, whoever was used again meanwhile");
    assert!(cluster.propose(proposal(5, 7)).replayed);
}

#[test]
fn outputs_are_evaluated_before_the_run_ends() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    let mut definition = (*definition(1, vec![step("one", &[], does("a"))])).clone();
    definition.outputs = vec![("x".into(), "steps.one.outputs.x".into())];
    cluster.ok(create_run(1, &Arc::new(definition)));
    cluster.complete(step_task(1, 0), "{\"x\":1}");
    assert_eq!(cluster.effects, [Effect::Evaluate { run: run_id(1), point: EvalPoint::Outputs }]);
    assert_eq!(cluster.run(1).status, RunStatus::Running);
    let evaluation = Evaluation::Outputs("{\"x\":1}".into());
    cluster.ok(Command::RecordEvaluation { run: run_id(1), point: EvalPoint::Outputs, evaluation });
    assert_eq!(cluster.run(1).outputs, Some("{\"x\":1}".into()));
    assert_eq!(cluster.event_names().iter().filter(|name| *name == "RunEnded").count(), 1);
}

#[test]
fn steps_run_one_at_a_time_where_nothing_runs_at_once_and_go_on_when_that_ends() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    cluster.configure(|config| config.switches.parallel_steps = false);
    cluster
        .start_run(1, vec![step("a", &[], does("a")), step("b", &[], does("a")), step("c", &[], does("a"))]);
    assert_eq!(cluster.steps(1), ["running", "pending", "pending"]);
    cluster.complete(step_task(1, 0), "1");
    assert_eq!(cluster.steps(1), ["completed", "running", "pending"]);
    cluster.configure(|config| config.switches.parallel_steps = true);
    assert_eq!(cluster.steps(1), ["completed", "running", "running"]);
}
