//! Steps that wait for an event, and how far events were followed.

use super::*;

fn awaits() -> StepKind {
    StepKind::Event { kind: "eval.*".into(), filter: None }
}

fn give(run: u128, step: StepIx, seq: u64, event: Result<Json, Failure>) -> Command {
    Command::GiveEvent { run: run_id(run), step, seq, event }
}

impl Cluster {
    /// Something happens; its number.
    fn happens(&mut self) -> u64 {
        self.ok(Command::SetState {
            key: "a".parse().unwrap(),
            value: Some("1".into()),
            expect: Expect::Any,
        });
        self.state.meta.seq
    }
}

#[test]
fn an_event_ends_the_wait_that_began_before_it_and_no_other() {
    let mut cluster = Cluster::new();
    cluster.connect(ANN, 1, vec![]);
    let before = cluster.happens();
    cluster.start_run(1, vec![step("wait", &[], awaits()), step("work", &[0], does("a"))]);
    assert_eq!((cluster.steps(1), cluster.run(1).shown_status()), (vec!["waiting", "pending"], "waiting"));
    let [awaited] = cluster.state.following().awaited.try_into().expect("one step waits");
    assert_eq!((awaited.run, awaited.step, &*awaited.wait.kind), (run_id(1), 0, "eval.*"));
    assert_eq!(awaited.wait.since, cluster.state.meta.seq, "the wait begins with the event that says so");
    let none = |step| Rejection::EventNotAwaited { run: run_id(1), step };
    let since = awaited.wait.since;
    for (step, seq) in [(0, before), (0, since), (0, since + 1), (1, since), (9, since)] {
        assert_eq!(cluster.refused(give(1, step, seq, Ok("1".into()))), none(step), "{step}, {seq}");
    }
    let seq = cluster.happens();
    cluster.ok(give(1, 0, seq, Ok("{\"seq\":7}".into())));
    assert_eq!(cluster.run(1).steps[0].output, Some("{\"seq\":7}".into()));
    assert_eq!(cluster.steps(1), ["completed", "running"]);
    assert!(cluster.state.following().awaited.is_empty());
    assert_eq!(cluster.refused(give(1, 0, seq, Ok("1".into()))), none(0), "once");
    assert_eq!(cluster.refused(give(2, 0, seq, Ok("1".into()))), Rejection::RunNotLive { run: run_id(2) });
}

#[test]
fn an_event_that_does_not_come_in_time_ends_the_step() {
    let mut cluster = Cluster::new();
    let mut waits = step("wait", &[], awaits());
    waits.limit = Some(Duration::from_secs(3));
    cluster.start_run(1, vec![waits]);
    cluster.pass(Duration::from_millis(2_999));
    assert_eq!(cluster.steps(1), ["waiting"]);
    cluster.pass(Duration::from_millis(1));
    let error = cluster.run(1).error.clone().expect("it failed");
    assert_eq!((&*error.code, &*error.message), ("EVENT_TIMEOUT", "no event `eval.*` came in time"));
    assert_eq!(cluster.steps(1), ["timed_out"]);
}

#[test]
fn a_filter_that_does_not_work_fails_the_step_and_a_cancel_ends_it() {
    let mut cluster = Cluster::new();
    for run in [1, 2] {
        cluster.start_run(run, vec![step("wait", &[], awaits())]);
    }
    let seq = cluster.happens();
    cluster.ok(give(1, 0, seq, Err(Failure::new("EXPRESSION_FAILED", "unknown name"))));
    assert_eq!(cluster.run(1).error.as_ref().map(|error| &*error.code), Some("EXPRESSION_FAILED"));
    cluster.ok(Command::CancelRun { run: run_id(2), reason: "enough".into() });
    assert_eq!(cluster.steps(2), ["cancelled"]);
    assert!(cluster.state.following().awaited.is_empty());
}

fn skipped(seq: u64) -> SkippedStarts {
    let (workflow, trigger) = ("flow".parse().unwrap(), "event-1".into());
    SkippedStarts { workflow, trigger, seq, count: 2, cause: NoStart::GroupBusy, detail: "full".into() }
}

#[test]
fn events_are_followed_forward_only_and_what_was_skipped_is_told_once() {
    let mut cluster = Cluster::new();
    let (seq, rev) = (cluster.happens(), cluster.rev);
    let follow = |seq, rev, skipped: Vec<SkippedStarts>| Command::FollowEvents {
        upto: Followed { seq, rev },
        skipped,
    };
    let too_far = cluster.refused(follow(seq + 1, rev, vec![]));
    assert!(matches!(too_far, Rejection::Invalid(_)), "{too_far}");
    cluster.ok(follow(seq, rev, vec![]));
    assert_eq!(cluster.state.meta.followed, Followed { seq, rev });
    assert_eq!(cluster.state.meta.seq, seq, "to follow is no fact, or there would be no end of it");
    let (next, rev) = (cluster.happens(), cluster.rev);
    cluster.ok(follow(next, rev, vec![skipped(next)]));
    cluster.ok(follow(next, rev, vec![skipped(next)]));
    cluster.ok(follow(seq, 1, vec![skipped(seq)]));
    assert_eq!(cluster.state.meta.followed, Followed { seq: next, rev });
    let told = cluster.state.journal.events.iter().filter(|recorded| {
        matches!(&recorded.event, Event::Workflow(WorkflowEvent::StartsSkipped(told)) if *told == skipped(next))
    });
    assert_eq!((told.count(), cluster.state.meta.seq), (1, next + 1));
}
