//! Children: items of a `foreach` and child workflows, rule by rule.

use super::*;

/// A `foreach` over a body of these steps, and a step after it.
fn fan(parallel_max: u32, fail_fast: bool, body: Vec<StepDef>) -> Definition {
    let each = each("inputs.list", parallel_max, fail_fast);
    let steps = linked(vec![step("each", &[], each), step("after", &[0], does("b"))]);
    Definition { steps, blocks: vec![linked(body)], ..(*definition(7, vec![])).clone() }
}

fn work() -> Vec<StepDef> {
    vec![step("work", &[], does("a"))]
}

impl Cluster {
    fn start(&mut self, id: u128, definition: Definition) {
        self.ok(create_run(id, &Arc::new(definition)));
    }

    fn give(&mut self, run: u128, count: usize) {
        let items = (0..count).map(|number| Item::new(alloc::format!("{number}"))).collect();
        self.evaluated(run, 0, Evaluation::Items(items));
    }

    pub(super) fn evaluated(&mut self, run: u128, step: StepIx, evaluation: Evaluation) {
        let point = EvalPoint::Step(step);
        self.ok(Command::RecordEvaluation { run: run_id(run), point, evaluation });
    }

    /// The live children of a run, oldest first.
    pub(super) fn children(&self, run: u128) -> Vec<RunId> {
        let of = |child: &&Run| child.parent.as_ref().is_some_and(|parent| parent.run == run_id(run));
        let mut children: Vec<&Run> = self.state.runs.iter().map(|(_, run)| run).filter(of).collect();
        children.sort_by_key(|child| child.parent.as_ref().map(|parent| parent.role));
        children.into_iter().map(|child| child.id).collect()
    }

    fn complete_child(&mut self, child: RunId, output: &str) {
        self.complete_child_step(child, 0, output);
    }

    fn complete_child_step(&mut self, child: RunId, step: StepIx, output: &str) {
        self.complete(TaskId::Step(child, step), output);
    }

    fn output(&self, run: u128, step: usize) -> Option<&str> {
        self.run(run).steps[step].output.as_ref().map(Json::as_str)
    }
}

#[test]
fn items_run_so_many_at_once_and_yield_their_outputs_in_order() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    cluster.start(1, fan(2, true, work()));
    cluster.give(1, 3);
    let first = cluster.children(1);
    assert_eq!(first.len(), 2, "no more than maxParallel at once");
    let values = |id: &RunId| cluster.state.runs.get(id).and_then(|run| run.parent.clone()).unwrap().item;
    assert_eq!(first.iter().map(values).collect::<Vec<_>>(), [Some("0".into()), Some("1".into())]);
    cluster.complete_child(first[1], "\"b\"");
    let next = cluster.children(1);
    assert_eq!(next.len(), 2, "the place of one that ended is taken at once");
    cluster.complete_child(next[1], "\"c\"");
    cluster.complete_child(first[0], "\"a\"");
    assert_eq!(cluster.output(1, 0), Some("[\"a\",\"b\",\"c\"]"));
    assert!(cluster.state.fans.is_empty(), "items of an ended foreach leave memory");
    cluster.complete(step_task(1, 1), "1");
    assert_eq!(cluster.run(1).status, RunStatus::Completed);
}

#[test]
fn children_have_no_copy_of_what_the_whole_run_was_given() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    let definition = Arc::new(fan(2, true, work()));
    let origin = Origin { trigger: Some("{\"large\":1}".into()), ..Origin::default() };
    let given =
        CreateRun { inputs: "{\"large\":2}".into(), origin, ..CreateRun::new(run_id(1), definition.id) };
    cluster.ok(Command::CreateRun(Box::new(CreateRun { body: Some(definition), ..given })));
    cluster.give(1, 2);
    for child in cluster.children(1) {
        let child = cluster.state.runs.get(&child).expect("it lives");
        assert_eq!((child.inputs.as_str(), &child.origin.trigger), ("{}", &None));
    }
}

#[test]
fn no_items_are_an_empty_list() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.start(1, fan(2, true, work()));
    cluster.give(1, 0);
    assert_eq!((cluster.output(1, 0), cluster.steps(1)), (Some("[]"), vec!["completed", "running"]));
}

#[test]
fn the_first_failure_ends_the_others_where_failing_is_fast() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    cluster.start(1, fan(2, true, work()));
    cluster.give(1, 5);
    let items = cluster.children(1);
    cluster.fail(TaskId::Step(items[0], 0), "BROKEN");
    assert_eq!(cluster.steps(1), ["running", "pending"], "the other item winds down first");
    assert!(matches!(cluster.effects[..], [Effect::CancelAttempt { .. }]));
    cluster.fail(TaskId::Step(items[1], 0), "CANCELLED");
    assert_eq!(cluster.steps(1), ["failed", "skipped"]);
    assert_eq!(cluster.run(1).error.as_ref().map(|error| &*error.code), Some("ITEM_FAILED"));
}

#[test]
fn without_fast_failing_every_item_ends_and_the_outputs_stay() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    cluster.start(1, fan(5, false, work()));
    cluster.give(1, 3);
    let items = cluster.children(1);
    cluster.fail(TaskId::Step(items[1], 0), "BROKEN");
    cluster.complete_child(items[0], "0");
    cluster.complete_child(items[2], "2");
    assert_eq!(cluster.steps(1), ["failed", "skipped"]);
    assert_eq!(cluster.output(1, 0), Some("[0,null,2]"));
    let message = cluster.run(1).error.as_ref().map(|error| error.message.to_string());
    assert_eq!(message.as_deref(), Some("1 of 3 items failed, the first is item 1: it broke"));
}

#[test]
fn outputs_too_large_together_fail_the_step() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    cluster.start(1, fan(5, false, work()));
    cluster.give(1, 3);
    let large = alloc::format!("\"{}\"", "x".repeat(100 * 1024));
    for item in cluster.children(1) {
        cluster.complete_child(item, &large);
    }
    assert_eq!(cluster.run(1).error.as_ref().map(|error| &*error.code), Some("RESULT_TOO_LARGE"));
}

#[test]
fn a_pause_holds_items_and_a_cancel_ends_them() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    cluster.start(1, fan(2, true, work()));
    cluster.give(1, 4);
    let items = cluster.children(1);
    cluster.ok(Command::PauseRun { run: run_id(1) });
    cluster.complete_child(items[0], "0");
    assert!(cluster.effects.is_empty(), "the other item's task keeps its place");
    assert_eq!(cluster.children(1), items[1..], "no further item starts");
    cluster.ok(Command::ResumeRun { run: run_id(1) });
    assert_eq!(cluster.children(1).len(), 2);
    cluster.ok(Command::CancelRun { run: run_id(1), reason: "enough".into() });
    assert_eq!(cluster.run(1).status, RunStatus::Cancelling);
    cluster.pass(Duration::from_secs(10));
    assert_eq!(cluster.run(1).status, RunStatus::Cancelled);
    assert!(cluster.state.runs.is_empty() && cluster.state.tasks.is_empty() && cluster.state.fans.is_empty());
}

#[test]
fn a_step_that_takes_longer_than_its_limit_ends_its_children() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    let mut definition = fan(2, true, work());
    definition.steps[0].limit = Some(Duration::from_secs(5));
    cluster.start(1, definition);
    cluster.give(1, 4);
    cluster.pass(Duration::from_secs(5));
    assert_eq!(cluster.steps(1), ["running", "pending"]);
    cluster.pass(Duration::from_secs(10));
    assert_eq!(cluster.steps(1), ["timed_out", "skipped"]);
    assert_eq!(cluster.run(1).status, RunStatus::Failed);
}

#[test]
fn items_kept_of_an_earlier_run_are_not_run_again() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    let definition = Arc::new(fan(5, true, work()));
    let kept = |index, value: &str| (index, Item::new(value), Json::from("\"kept\""));
    let create = CreateRun {
        body: Some(definition.clone()),
        earlier: Some(Earlier { run: run_id(9), how: Repeat::Retry }),
        kept: vec![KeptItems { step: 0, items: vec![kept(0, "0"), kept(1, "another"), kept(2, "2")] }],
        ..CreateRun::new(run_id(1), definition.id)
    };
    cluster.ok(Command::CreateRun(Box::new(create)));
    cluster.give(1, 3);
    let items = cluster.children(1);
    assert_eq!(items.len(), 1, "only the item whose value is another one");
    cluster.complete_child(items[0], "\"new\"");
    assert_eq!(cluster.output(1, 0), Some("[\"kept\",\"new\",\"kept\"]"));
}

#[test]
fn an_item_with_a_key_is_kept_wherever_it_stands_and_whatever_its_value() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    let definition = Arc::new(fan(5, true, work()));
    let item = |value: &str, key: &str| Item { key: Some(key.into()), ..Item::new(value) };
    let kept = |index, key: &str| (index, item("0", key), Json::from(alloc::format!("\"old {key}\"")));
    let create = CreateRun {
        body: Some(definition.clone()),
        kept: vec![KeptItems { step: 0, items: vec![kept(0, "a"), kept(1, "b"), kept(2, "gone")] }],
        ..CreateRun::new(run_id(1), definition.id)
    };
    cluster.ok(Command::CreateRun(Box::new(create)));
    cluster.evaluated(1, 0, Evaluation::Items(vec![item("5", "b"), item("6", "new"), item("7", "a")]));
    let items = cluster.children(1);
    assert_eq!(items.len(), 1, "only the item whose key is new");
    cluster.complete_child(items[0], "6");
    assert_eq!(cluster.output(1, 0), Some("[\"old b\",6,\"old a\"]"));
}

#[test]
fn a_body_that_ends_with_a_group_yields_what_its_members_do() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    let group = StepKind::Parallel { children: vec![0, 1] };
    let body = vec![step("one", &[], does("a")), step("two", &[], does("a")), step("both", &[0, 1], group)];
    cluster.start(1, fan(1, true, body));
    cluster.give(1, 1);
    let item = cluster.children(1)[0];
    cluster.complete_child_step(item, 0, "1");
    cluster.complete_child_step(item, 1, "[2]");
    assert_eq!(cluster.output(1, 0), Some("[{\"one\":1,\"two\":[2]}]"));
}

#[test]
fn steps_carried_over_from_an_earlier_run_stay_as_they_ended() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    let definition = definition(7, vec![step("one", &[], does("a")), step("two", &[0], does("a"))]);
    let done = Step { status: StepStatus::Completed, output: Some("1".into()), ..Step::pending() };
    let create = CreateRun {
        body: Some(definition.clone()),
        carried: vec![(0, done)],
        ..CreateRun::new(run_id(1), definition.id)
    };
    cluster.ok(Command::CreateRun(Box::new(create)));
    assert_eq!(cluster.steps(1), ["completed", "running"]);
    cluster.complete(step_task(1, 1), "2");
    assert_eq!(cluster.run(1).status, RunStatus::Completed);
}

fn calls(detach: bool) -> (Definition, Evaluation) {
    let kind = StepKind::Workflow { name: "other".into(), version: None, inputs: "{}".into(), detach };
    let whole = (*definition(7, vec![step("call", &[], kind), step("after", &[0], does("b"))])).clone();
    let other = definition(8, vec![step("work", &[], does("a"))]);
    let start = ChildStart {
        workflow: WorkflowRef { name: "other".parse().expect("a legal name"), version: 1 },
        definition: other.id,
        body: Some(other),
        inputs: "{\"x\":1}".into(),
        labels: Labels::new(),
        group: None,
    };
    (whole, Evaluation::Child(Box::new(start)))
}

#[test]
fn a_child_workflow_yields_its_outputs_and_needs_no_place_of_its_own() {
    let mut cluster = Cluster::new();
    cluster.configure(|config| config.runs_active_max = 1);
    cluster.connect(ANN, 10, vec![]);
    let (whole, start) = calls(false);
    cluster.start(1, whole);
    cluster.evaluated(1, 0, start);
    let child = cluster.children(1)[0];
    assert_eq!(cluster.state.runs.get(&child).map(|run| run.inputs.clone()), Some("{\"x\":1}".into()));
    cluster.complete_child(child, "{\"y\":2}");
    assert_eq!(cluster.output(1, 0), Some("{\"y\":2}"));
    assert_eq!(cluster.steps(1), ["completed", "running"]);
}

#[test]
fn a_child_workflow_ends_with_its_parent_and_a_failed_one_fails_it() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    for id in [1, 2, 3] {
        let (whole, start) = calls(false);
        cluster.start(id, whole);
        cluster.evaluated(id, 0, start);
    }
    cluster.ok(Command::CancelRun { run: run_id(1), reason: "enough".into() });
    cluster.fail(TaskId::Step(cluster.children(1)[0], 0), "CANCELLED");
    assert_eq!((cluster.run(1).status, cluster.steps(1)), (RunStatus::Cancelled, vec!["cancelled"; 2]));
    cluster.fail(TaskId::Step(cluster.children(2)[0], 0), "BROKEN");
    assert_eq!(cluster.run(2).error.as_ref().map(|error| &*error.code), Some("BROKEN"));
    let child = cluster.children(3)[0];
    cluster.ok(Command::TerminateRun { run: child, reason: "by itself".into() });
    assert_eq!(cluster.run(3).error.as_ref().map(|error| &*error.code), Some("CHILD_CANCELLED"));
}

#[test]
fn a_detached_workflow_goes_on_by_itself() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    let (whole, start) = calls(true);
    cluster.start(1, whole);
    cluster.evaluated(1, 0, start);
    assert_eq!(cluster.steps(1), ["completed", "running"]);
    let detached = cluster.state.runs.iter().find(|(id, _)| **id != run_id(1)).map(|(_, run)| run);
    let detached = detached.expect("it was started");
    assert_eq!(detached.earlier, Some(Earlier { run: run_id(1), how: Repeat::Detached }));
    assert_eq!(cluster.output(1, 0), Some(&*alloc::format!("{{\"runId\":\"{}\"}}", detached.id)));
    let child = detached.id;
    cluster.ok(Command::TerminateRun { run: run_id(1), reason: "now".into() });
    assert!(cluster.state.runs.contains(&child));
}

#[test]
fn a_termination_ends_a_run_and_its_children_in_one_entry() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 10, vec![]);
    cluster.start(1, fan(2, true, work()));
    cluster.give(1, 4);
    cluster.ok(Command::TerminateRun { run: run_id(1), reason: "now".into() });
    assert!(cluster.state.runs.is_empty() && cluster.state.tasks.is_empty() && cluster.state.fans.is_empty());
    assert_eq!(cluster.effects.len(), 2, "both attempts are told");
    assert_eq!(cluster.run(1).error.as_ref().map(|error| &*error.code), Some("TERMINATED"));
}
