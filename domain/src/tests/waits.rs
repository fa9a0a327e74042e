//! What steps wait for beside tasks, and what they do by themselves: times, signals, approvals, messages, state, events.

use super::*;

fn only(kind: StepKind) -> Arc<Definition> {
    definition(7, vec![step("wait", &[], kind)])
}

fn signal(run: u128, name: &str, data: &str) -> Command {
    Command::SignalRun { run: run_id(run), name: name.into(), data: data.into() }
}

fn awaits(name: &str) -> StepKind {
    StepKind::Signal { name: name.into() }
}

#[test]
fn a_signal_ends_the_step_that_awaits_it_and_no_other() {
    let mut cluster = Cluster::new();
    cluster.ok(create_run(1, &only(awaits("go"))));
    assert_eq!((cluster.steps(1), cluster.run(1).shown_status()), (vec!["waiting"], "waiting"));
    cluster.ok(signal(1, "stop", "1"));
    assert_eq!(cluster.steps(1), ["waiting"]);
    cluster.ok(signal(1, "go", "{\"x\":1}"));
    assert_eq!(cluster.run(1).outputs, Some("{\"x\":1}".into()));
}

#[test]
fn a_signal_sent_before_the_wait_counts_once_and_the_oldest_first() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    let steps =
        vec![step("one", &[], does("a")), step("two", &[0], awaits("go")), step("three", &[1], awaits("go"))];
    cluster.start_run(1, steps);
    cluster.ok(signal(1, "go", "1"));
    cluster.ok(signal(1, "go", "2"));
    cluster.complete(step_task(1, 0), "0");
    assert_eq!(cluster.steps(1), ["completed"; 3]);
    assert_eq!(cluster.run(1).outputs, Some("2".into()));
    assert_eq!(cluster.run(1).steps[1].output, Some("1".into()));
}

#[test]
fn a_signal_to_a_run_reaches_its_items() {
    let each = each("x", 5, true);
    let whole = Definition { blocks: vec![vec![step("wait", &[], awaits("go"))]], ..(*only(each)).clone() };
    let mut cluster = Cluster::new();
    cluster.ok(create_run(1, &Arc::new(whole)));
    cluster.ok(signal(1, "go", "\"early\""));
    cluster.evaluated(1, 0, Evaluation::Items(vec![Item::new("1"), Item::new("2")]));
    assert_eq!(cluster.children(1).len(), 1, "one item has taken the signal that was kept");
    cluster.ok(signal(1, "go", "\"late\""));
    assert_eq!(cluster.run(1).outputs, Some("[\"early\",\"late\"]".into()));
}

#[test]
fn signals_that_nobody_takes_are_bounded() {
    let mut cluster = Cluster::new();
    cluster.ok(create_run(1, &only(awaits("go"))));
    for _ in 0..100 {
        cluster.ok(signal(1, "other", "1"));
    }
    let full = Rejection::LimitExceeded { what: Limited::Signals, limit: 100 };
    assert_eq!(cluster.refused(signal(1, "other", "1")), full);
    assert_eq!(cluster.refused(signal(2, "go", "1")), Rejection::RunNotLive { run: run_id(2) });
}

#[test]
fn a_signal_that_does_not_come_in_time_ends_the_step() {
    let mut cluster = Cluster::new();
    let mut waits = step("wait", &[], awaits("go"));
    waits.limit = Some(Duration::from_secs(3));
    cluster.start_run(1, vec![waits]);
    cluster.pass(Duration::from_millis(2_999));
    assert_eq!(cluster.steps(1), ["waiting"]);
    cluster.pass(Duration::from_millis(1));
    assert_eq!(cluster.run(1).error.as_ref().map(|error| &*error.code), Some("SIGNAL_TIMEOUT"));
}

#[test]
fn a_wait_until_a_time_ends_then_and_one_in_the_past_at_once() {
    let mut cluster = Cluster::new();
    for id in [1, 2] {
        cluster.ok(create_run(id, &only(StepKind::Until { expression: "x".into() })));
    }
    let until = cluster.clock + Duration::from_secs(5);
    cluster.evaluated(1, 0, Evaluation::Until(until));
    cluster.evaluated(2, 0, Evaluation::Until(Timestamp(5)));
    cluster.pass(Duration::from_millis(4_999));
    assert_eq!((cluster.steps(1), cluster.steps(2)), (vec!["waiting"], vec!["completed"]));
    cluster.pass(Duration::from_millis(1));
    assert_eq!(cluster.run(1).status, RunStatus::Completed);
}

fn approval(approvers: &[&str], on_timeout: OnTimeout) -> Arc<Definition> {
    let approvers = approvers.iter().map(|name| Text::from(*name)).collect();
    let request = "{\"prompt\":\"Deploy?\"}".into();
    let kind = StepKind::Approval { request, templated: false, approvers, on_timeout };
    let mut asks = step("ask", &[], kind);
    asks.limit = Some(Duration::from_secs(60));
    definition(7, vec![asks])
}

fn decide(run: u128, by: &str, approved: bool) -> Command {
    let (by, output) = (by.into(), "{\"approved\":true}".into());
    Command::DecideApproval { run: run_id(run), step: 0, approved, by, comment: Some("no".into()), output }
}

#[test]
fn an_approval_goes_on_and_a_rejection_fails_the_step() {
    let mut cluster = Cluster::new();
    for id in [1, 2] {
        cluster.ok(create_run(id, &approval(&[], OnTimeout::Reject)));
    }
    assert_eq!(cluster.state.approvals((run_id(0), 0), 9), [(run_id(1), 0), (run_id(2), 0)]);
    cluster.ok(decide(1, "ann", true));
    assert_eq!(cluster.run(1).outputs, Some("{\"approved\":true}".into()));
    cluster.ok(decide(2, "ann", false));
    let error = cluster.run(2).error.clone().expect("it failed");
    assert_eq!((&*error.code, &*error.message), ("APPROVAL_REJECTED", "ann: no"));
    assert!(cluster.state.approvals((run_id(0), 0), 9).is_empty());
    assert_eq!(cluster.refused(decide(2, "ann", true)), Rejection::RunNotLive { run: run_id(2) });
}

#[test]
fn only_approvers_decide() {
    let mut cluster = Cluster::new();
    cluster.ok(create_run(1, &approval(&["amy"], OnTimeout::Reject)));
    assert_eq!(cluster.refused(decide(1, "bob", true)), Rejection::NotAnApprover { by: "bob".into() });
    cluster.ok(decide(1, "amy", true));
    cluster.start_run(2, vec![step("one", &[], does("a"))]);
    let none = Rejection::ApprovalNotAwaited { run: run_id(2), step: 0 };
    assert_eq!(cluster.refused(decide(2, "amy", true)), none);
}

#[test]
fn the_time_limit_of_an_approval_means_what_its_workflow_says() {
    let mut cluster = Cluster::new();
    for (id, on_timeout) in [(1, OnTimeout::Reject), (2, OnTimeout::Approve), (3, OnTimeout::Fail)] {
        let definition =
            Definition { id: DefinitionId([id as u8; 16]), ..(*approval(&[], on_timeout)).clone() };
        cluster.ok(create_run(id, &Arc::new(definition)));
    }
    cluster.pass(Duration::from_secs(60));
    let steps: Vec<_> = [1, 2, 3].map(|id| cluster.steps(id)[0]).into();
    assert_eq!(steps, ["failed", "completed", "timed_out"]);
}

#[test]
fn a_message_is_ordered_from_the_hands_and_its_reply_is_the_output() {
    let mut cluster = Cluster::new();
    let request: Json = "{\"component\":\"c\"}".into();
    for id in [1, 2, 3] {
        let kind = StepKind::Message { request: request.clone(), templated: false };
        let mut sends = step("send", &[], kind);
        sends.limit = Some(Duration::from_secs(30));
        cluster.start_run(id, vec![sends]);
        assert_eq!(cluster.effects, [Effect::SendMessage { run: run_id(id), step: 0 }]);
    }
    let reply = |id, reply| Command::FinishMessage { run: run_id(id), step: 0, reply };
    cluster.ok(reply(1, Ok("{\"ok\":true}".into())));
    assert_eq!(cluster.run(1).outputs, Some("{\"ok\":true}".into()));
    cluster.ok(reply(2, Err(Failure::new("COMPONENT_UNKNOWN", "nobody"))));
    assert_eq!(cluster.run(2).error.as_ref().map(|error| &*error.code), Some("COMPONENT_UNKNOWN"));
    cluster.pass(Duration::from_secs(30));
    assert_eq!(cluster.run(3).error.as_ref().map(|error| &*error.code), Some("COMPONENT_TIMEOUT"));
}

fn writes(if_version: Option<u64>) -> StepKind {
    StepKind::State {
        writes: vec![("app.a".parse().unwrap(), "7".into())],
        templated: false,
        reads: vec!["app.a".parse().unwrap(), "app.b".parse().unwrap()],
        if_version,
        deletes: vec![],
        snapshot: None,
    }
}

#[test]
fn a_state_step_writes_and_reads_in_the_entry_that_completes_it() {
    let mut cluster = Cluster::new();
    let before = cluster.rev;
    cluster.start_run(1, vec![step("write", &[], writes(Some(0)))]);
    assert_eq!(cluster.rev - before, 1);
    let output = "{\"versions\":{\"app.a\":1},\"values\":{\"app.a\":7,\"app.b\":null}}";
    assert_eq!(cluster.run(1).outputs, Some(output.into()));
    assert_eq!(
        cluster.state.keys.get(&"app.a".parse().unwrap()).and_then(|key| key.value.clone()),
        Some("7".into())
    );
    cluster.start_run(2, vec![step("write", &[], writes(Some(5)))]);
    assert_eq!(cluster.run(2).error.as_ref().map(|error| &*error.code), Some("STATE_VERSION_CONFLICT"));
    cluster.start_run(3, vec![step("write", &[], writes(Some(1)))]);
    assert_eq!(cluster.run(3).status, RunStatus::Completed);
}

#[test]
fn steps_that_write_one_key_at_once_write_one_after_another() {
    let writes = |value: &str| StepKind::State {
        writes: vec![("app.a".parse().expect("a legal key"), value.into())],
        templated: false,
        reads: vec![],
        if_version: None,
        deletes: vec![],
        snapshot: None,
    };
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    let all = vec![
        step("one", &[], writes("1")),
        step("two", &[], writes("2")),
        step("three", &[], does("a")),
        step("four", &[2], writes("4")),
        step("five", &[2], writes("5")),
        step("six", &[3, 4], does("a")),
    ];
    cluster.start_run(1, all);
    cluster.complete(step_task(1, 2), "1");
    cluster.complete(step_task(1, 5), "1");
    assert_eq!(cluster.steps(1), ["completed"; 6]);
    let output = |place: usize| cluster.run(1).steps[place].output.clone().expect("it has one");
    let versions: Vec<Json> = [0, 1, 3, 4].map(output).into();
    let expected = [1, 2, 3, 4].map(|version| {
        Json::from(alloc::format!("{{\"versions\":{{\"app.a\":{version}}},\"values\":{{}}}}"))
    });
    assert_eq!(versions, expected);
}

#[test]
fn an_emit_step_makes_an_event_of_the_users_own() {
    let mut cluster = Cluster::new();
    let kind = StepKind::Emit { kind: "eval.finished".into(), data: "{\"x\":1}".into(), templated: false };
    cluster.start_run(1, vec![step("tell", &[], kind)]);
    let told = cluster.state.journal.events.iter().any(|recorded| {
        matches!(&recorded.event, Event::Emitted { kind, data, .. } if &**kind == "eval.finished" && data.as_str() == "{\"x\":1}")
    });
    assert!(told && cluster.run(1).status == RunStatus::Completed);
}

#[test]
fn outputs_of_a_step_are_evaluated_once_its_work_is_done() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    let mut work = step("work", &[], does("a"));
    work.outputs = vec![("y".into(), "output.x * 2".into())];
    cluster.start_run(1, vec![work, step("after", &[0], does("a"))]);
    cluster.complete(step_task(1, 0), "{\"x\":1}");
    let point = EvalPoint::StepOutputs(0);
    assert_eq!(cluster.effects, [Effect::Evaluate { run: run_id(1), point }]);
    assert_eq!(cluster.steps(1), ["evaluating", "pending"]);
    assert!(cluster.state.tasks.is_empty(), "the slot is free while the leader evaluates");
    let evaluation = Evaluation::Outputs("{\"y\":2}".into());
    cluster.ok(Command::RecordEvaluation { run: run_id(1), point, evaluation });
    assert_eq!(cluster.run(1).steps[0].output, Some("{\"y\":2}".into()));
    assert_eq!(cluster.steps(1), ["completed", "running"]);
}

#[test]
fn a_state_step_makes_a_snapshot_before_it_writes_and_deletes() {
    let mut cluster = Cluster::new();
    let key = |name: &str| -> StateKey { name.parse().expect("a legal key") };
    cluster.ok(Command::SetState { key: key("old"), value: Some("1".into()), expect: Expect::Any });
    let kind = StepKind::State {
        writes: vec![(key("new"), "2".into())],
        templated: false,
        reads: vec![key("old"), key("new")],
        if_version: None,
        deletes: vec![key("old"), key("never")],
        snapshot: Some("{}".into()),
    };
    cluster.start_run(1, vec![step("s", &[], kind)]);
    let value =
        |cluster: &Cluster, name| cluster.state.keys.get(&key(name)).and_then(|record| record.value.clone());
    assert_eq!((value(&cluster, "old"), value(&cluster, "new")), (None, Some("2".into())));
    let (_, snapshot) = cluster.state.snapshots.iter().next().expect("it was made");
    let (id, keys) = (snapshot.id, snapshot.keys);
    assert_eq!(keys, 1);
    let output = cluster.run(1).steps[0].output.clone().expect("it has one");
    let expected = format!(
        "{{\"versions\":{{\"new\":1,\"old\":2}},\"values\":{{\"old\":null,\"new\":2}},\"snapshot\":\"{id}\"}}"
    );
    assert_eq!(output.as_str(), expected);
    let restore = RestoreSnapshot { snapshot: id, prefix: None, keep_new: false };
    cluster.ok(Command::RestoreSnapshot(restore.into()));
    assert_eq!((value(&cluster, "old"), value(&cluster, "new")), (Some("1".into()), None));
}
