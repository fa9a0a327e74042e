//! What follows the last step of a run: `compensate`, `onFailure`, `onCancel`, `finally`.

use super::*;

/// Two steps that can be undone, then `last`; every handler is a task `b`.
fn guarded(last: StepKind) -> Arc<Definition> {
    let mut steps = vec![step("one", &[], does("a")), step("two", &[0], does("a")), step("last", &[1], last)];
    (steps[0].compensate, steps[1].compensate) = (Some(1), Some(2));
    let block = |name: &str| vec![step(name, &[], does("b"))];
    Arc::new(Definition {
        steps: linked(steps),
        blocks: ["undo_one", "undo_two", "failed", "cancelled", "at_last"].map(block).into(),
        handlers: Handlers { on_failure: Some(3), on_cancel: Some(4), finally: Some(5) },
        ..(*definition(7, vec![])).clone()
    })
}

impl Cluster {
    /// Completes what handlers a run starts, one after the other; their names.
    fn handle(&mut self, run: u128) -> Vec<&'static str> {
        let mut names = Vec::new();
        while let Some(child) = self.children(run).first().copied() {
            let parent =
                self.state.runs.get(&child).and_then(|run| run.parent.clone()).expect("it is a child");
            let Role::Handler(job) = parent.role else { panic!("{parent:?}") };
            names.push(job.name());
            self.complete(TaskId::Step(child, 0), "1");
        }
        names
    }
}

#[test]
fn a_failure_undoes_in_reverse_then_tells_then_ends() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    cluster.ok(create_run(1, &guarded(does("a"))));
    cluster.complete(step_task(1, 0), "1");
    cluster.pass(Duration::from_millis(1));
    cluster.complete(step_task(1, 1), "1");
    cluster.fail(step_task(1, 2), "BROKEN");
    assert_eq!(cluster.run(1).status, RunStatus::Running, "handlers are part of the run");
    assert_eq!(cluster.handle(1), ["compensate", "compensate", "onFailure", "finally"]);
    let run = cluster.run(1);
    assert_eq!(
        (run.status, run.error.as_ref().map(|error| &*error.code)),
        (RunStatus::Failed, Some("BROKEN"))
    );
    let started: Vec<Job> = run.handling.as_ref().unwrap().started.iter().map(|(job, _)| *job).collect();
    assert_eq!(started, [Job::Compensate(1), Job::Compensate(0), Job::OnFailure, Job::Finally]);
}

#[test]
fn a_success_runs_what_is_to_run_at_last_and_its_failure_counts() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    for id in [1, 2] {
        cluster.ok(create_run(id, &guarded(does("a"))));
        for place in 0..3 {
            cluster.complete(step_task(id, place), "1");
        }
    }
    assert_eq!(cluster.handle(1), ["finally"]);
    assert_eq!(cluster.run(1).conclusion, Some(Conclusion::Success));
    assert_eq!(cluster.run(1).outputs, Some("1".into()));
    let child = cluster.children(2)[0];
    cluster.fail(TaskId::Step(child, 0), "LOST");
    let run = cluster.run(2);
    assert_eq!((run.status, run.error.as_ref().map(|error| &*error.code)), (RunStatus::Failed, Some("LOST")));
}

#[test]
fn a_cancel_undoes_and_a_second_one_changes_nothing() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    cluster.ok(create_run(1, &guarded(does("a"))));
    cluster.complete(step_task(1, 0), "1");
    let cancel = Command::CancelRun { run: run_id(1), reason: "enough".into() };
    cluster.ok(cancel.clone());
    cluster.fail(step_task(1, 1), "CANCELLED");
    assert_eq!(cluster.run(1).status, RunStatus::Cancelling);
    cluster.ok(cancel);
    assert_eq!(cluster.handle(1), ["compensate", "onCancel", "finally"]);
    assert_eq!(cluster.run(1).status, RunStatus::Cancelled);
}

#[test]
fn a_cancel_while_handlers_run_leaves_those_out_that_have_not_started() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    cluster.ok(create_run(1, &guarded(does("a"))));
    cluster.complete(step_task(1, 0), "1");
    cluster.fail(step_task(1, 1), "BROKEN");
    cluster.ok(Command::CancelRun { run: run_id(1), reason: "enough".into() });
    let undo = cluster.children(1)[0];
    cluster.fail(TaskId::Step(undo, 0), "CANCELLED");
    assert_eq!(cluster.handle(1), ["finally"]);
    assert_eq!(cluster.run(1).status, RunStatus::Cancelled);
}

#[test]
fn a_pause_holds_handlers_back() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 4, vec![]);
    cluster.ok(create_run(1, &guarded(does("a"))));
    cluster.ok(Command::PauseRun { run: run_id(1) });
    cluster.fail(step_task(1, 0), "BROKEN");
    assert!(cluster.children(1).is_empty());
    cluster.ok(Command::ResumeRun { run: run_id(1) });
    assert_eq!(cluster.handle(1), ["onFailure", "finally"]);
    assert_eq!(cluster.run(1).status, RunStatus::Failed);
}

#[test]
fn a_run_whose_time_is_up_is_handled_like_a_failure() {
    let mut cluster = Cluster::new();
    cluster.ok(create_run(1, &guarded(does("a"))));
    cluster.pass(Duration::from_secs(3600));
    cluster.connect(ANN, 4, vec![]);
    assert_eq!(cluster.handle(1), ["onFailure", "finally"]);
    assert_eq!(cluster.run(1).status, RunStatus::TimedOut);
}
