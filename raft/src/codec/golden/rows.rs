//! One row of every kind, with something in every field.

use std::{collections::BTreeMap, time::Duration};

use orc_domain::{
    Assignment, Attempt, Cache, CacheKey, CachedOutput, ChangeOrigin, Component, Concerned, Conclusion,
    Concurrency, Definition, DefinitionId, Earlier, EventWait, Failure, Fan, FanChunk, FanItem, Group,
    Handlers, Handling, HealthReport, Item, Job, Json, KeptItems, KeyChange, KeyRecord, Labels,
    MessageDelivery, MessageId, NodeId, OnConflict, OnFalse, Origin, Overlap, Parent, Priority,
    QueuedMessage, Repeat, Retry, Role, Run, RunId, RunStatus, Schedule, ScheduleSpec, Session, SessionId,
    Snapshot, SnapshotId, Started, StartedBy, Step, StepCache, StepDef, StepKind, StepOutcome, Task, TaskId,
    TaskStatus, Timestamp, Token, TroubleEvent, Work, WorkflowRef,
};
use uuid::Uuid;

pub(super) fn id(number: u128) -> RunId {
    RunId(Uuid::from_u128(number))
}

pub(super) fn key() -> orc_domain::StateKey {
    "a.key".parse().unwrap()
}

pub(super) fn retry() -> Retry {
    Retry {
        limit: 3,
        delay: Duration::from_millis(1_500),
        backoff_percent: 200,
        delay_max: Duration::from_secs(60),
        jitter: true,
        non_retryable: vec!["BAD".into()],
        lost_max: 10,
        on: vec!["ON".into()],
    }
}

pub(super) fn labels() -> Labels {
    BTreeMap::from([("zone".into(), "a".into())])
}

pub(super) fn definition() -> Definition {
    let step = StepDef {
        id: "one".into(),
        name: "One".into(),
        needs: vec![],
        followers: vec![1],
        only_if: Some("true".into()),
        kind: StepKind::Condition { expression: "true".into(), on_false: OnFalse::Goto(1) },
        timeout: Duration::from_secs(5),
        queue_timeout: Some(Duration::from_secs(6)),
        retry: retry(),
        continue_on_error: true,
        labels: labels(),
        priority: Some(Priority::Urgent),
        limit: Some(Duration::from_secs(7)),
        outputs: vec![("x".into(), "output.x".into())],
        compensate: Some(1),
        heartbeat_timeout: Some(Duration::from_secs(7)),
        total_timeout: Some(Duration::from_secs(8)),
        cache: Some(Cache { key: "k".into(), age_max: Some(Duration::from_secs(9)) }),
    };
    let kind = StepKind::Emit { kind: "a.b".into(), data: Json::null(), templated: false };
    let emit = StepDef { kind, ..step.clone() };
    let kind = StepKind::Event { kind: "a.*".into(), filter: Some("true".into()) };
    let awaits = StepDef { kind, ..step.clone() };
    let delay = StepDef { kind: StepKind::Delay { duration: Duration::from_secs(1) }, ..step.clone() };
    Definition {
        id: DefinitionId([7; 16]),
        name: "flow".into(),
        source: Json::from("{}"),
        steps: vec![step, delay],
        outputs: vec![("out".into(), "1".into())],
        timeout: Duration::from_secs(9),
        blocks: vec![vec![emit, awaits]],
        handlers: Handlers { on_failure: Some(1), on_cancel: None, finally: Some(1) },
        concurrency: Some(Concurrency { group: None, limit: 2, on_conflict: OnConflict::Reject }),
        priority: Priority::High,
        retention: Some(Duration::from_secs(9)),
    }
}

pub(super) fn origin() -> Origin {
    let workflow = Some(WorkflowRef { name: "flow".parse().unwrap(), version: 300 });
    Origin { by: StartedBy::Webhook("github".into()), workflow, trigger: Some(Json::from("{}")) }
}

pub(super) fn spec() -> ScheduleSpec {
    ScheduleSpec {
        id: "flow.nightly".parse().unwrap(),
        workflow: "flow".parse().unwrap(),
        of_file: true,
        cron: "0 3 * * *".into(),
        timezone: "Europe/Berlin".into(),
        overlap: Overlap::CancelRunning,
        catch_up: Duration::from_secs(600),
        jitter: Duration::from_millis(1_500),
        given: Json::from("{}"),
        inputs: Json::from("{}"),
        group: Some(Group { name: "g".into(), limit: 1, on_conflict: OnConflict::Queue }),
    }
}

pub(super) fn schedule() -> Schedule {
    Schedule {
        spec: spec(),
        paused: false,
        version: 3,
        created_at: Timestamp(1),
        after: Timestamp(2),
        next: Some(Timestamp(70_000)),
        running: vec![id(1)],
        waiting: vec![Timestamp(2)],
        last: Some(Started { run: id(1), instant: Timestamp(2), at: Timestamp(3) }),
        started: 1,
        skipped: 2,
        missed: 3,
    }
}

pub(super) fn run() -> Run {
    Run {
        id: id(1),
        definition: DefinitionId([7; 16]),
        workflow: "flow".into(),
        status: RunStatus::TimedOut,
        conclusion: None,
        inputs: Json::from("{}"),
        labels: labels(),
        priority: Priority::High,
        created_rev: 300,
        created_at: Timestamp(1),
        started_at: Some(Timestamp(2)),
        ended_at: None,
        deadline: Some(Timestamp(70_000)),
        steps: vec![
            Step::pending(),
            Step {
                work: Some(Box::new(Work::Fan(Fan { total: 9, next: 3, running: 2, ended: 1, failed: 0 }))),
                stopping: Some(Box::new(StepOutcome::Cancelled("why".into()))),
                cache: Some(Box::new(StepCache::Missed(CacheKey([3; 16])))),
                ..Step::pending()
            },
            Step {
                work: Some(Box::new(Work::Event(EventWait { kind: "a.*".into(), since: 300 }))),
                ..Step::pending()
            },
        ],
        open_steps: 1,
        error: None,
        cancelling: Some("why".into()),
        timing_out: false,
        gated: true,
        finishing: false,
        outputs: None,
        block: 1,
        parent: Some(Box::new(Parent { run: id(2), role: Role::Handler(Job::Finally), item: None })),
        earlier: Some(Earlier { run: id(3), how: Repeat::Detached }),
        handling: Some(Box::new(Handling {
            conclusion: Conclusion::Failure,
            waiting: vec![Job::Compensate(1)],
            current: None,
            started: vec![(Job::OnCancel, id(4))],
        })),
        signals: vec![("go".into(), Json::null())],
        group: Some(Group { name: "g".into(), limit: 1, on_conflict: OnConflict::Queue }),
        dedupe: Some("word".into()),
        kept: vec![KeptItems { step: 1, items: vec![(2, Item::new("1"), Json::null())] }],
        origin: origin(),
        retention: Some(Duration::from_secs(8)),
    }
}

pub(super) fn task() -> Task {
    Task {
        id: TaskId::Step(id(1), 2),
        name: "Train".into(),
        action: "train".into(),
        payload: Json::null(),
        priority: Priority::Normal,
        labels: labels(),
        dependencies: vec![TaskId::Single(Uuid::from_u128(5))],
        waits_for: [TaskId::Single(Uuid::from_u128(5))].into(),
        timeout: Duration::from_secs(5),
        queue_timeout: None,
        retry: retry(),
        status: TaskStatus::TimedOut,
        held: false,
        attempts: 2,
        failures: 1,
        lost: 0,
        created_at: Timestamp(1),
        ready_at: Timestamp(2),
        queued_at: Timestamp(2),
        started_at: None,
        ended_at: None,
        assignment: Some(Assignment {
            component: "worker-1".parse().unwrap(),
            token: Token(9),
            assigned_at: Timestamp(3),
            deadline: Timestamp(4),
        }),
        retry_at: None,
        cancel: None,
        output: None,
        error: None,
        run_at: Some(Timestamp(5)),
        total_timeout: Some(Duration::from_secs(6)),
        heartbeat_timeout: Some(Duration::from_secs(7)),
        requeued_from: Some(TaskId::Single(Uuid::from_u128(6))),
        history: vec![Attempt {
            component: "worker-1".parse().unwrap(),
            token: Token(8),
            started_at: Timestamp(1),
            ended_at: Timestamp(2),
            failure: Some(Failure::new("BAD", "it broke")),
            lost: true,
        }],
    }
}

pub(super) fn output() -> CachedOutput {
    CachedOutput { output: Json::from("1"), run: id(1), at: Timestamp(2), rev: 300 }
}

pub(super) fn fan() -> FanChunk {
    let outcome = Some(StepOutcome::Completed(Json::null()));
    FanChunk {
        items: vec![FanItem {
            given: Item { value: Json::from("1"), key: Some("one".into()) },
            run: Some(id(1)),
            outcome,
        }],
    }
}

pub(super) fn record() -> KeyRecord {
    KeyRecord {
        key: key(),
        value: Some(Json::null()),
        version: 300,
        version_min: 2,
        rev: 5,
        at: Timestamp(1),
        expires_at: Some(Timestamp(2)),
    }
}

pub(super) fn change() -> KeyChange {
    let origin = ChangeOrigin::Snapshot(snapshot().id);
    let (old, value) = (None, Some(Json::null()));
    KeyChange { key: key(), old, value, version: 1, version_min: 1, expires_at: Some(Timestamp(2)), origin }
}

pub(super) fn snapshot() -> Snapshot {
    Snapshot {
        id: SnapshotId(Uuid::from_u128(9)),
        number: 3,
        name: Some("n".into()),
        metadata: Json::from("{}"),
        automatic: false,
        rev: 300,
        at: Timestamp(1),
        keys: 7,
    }
}

pub(super) fn failure() -> Failure {
    Failure::new("BAD", "it broke")
}

pub(super) fn message() -> QueuedMessage {
    QueuedMessage {
        id: MessageId(Uuid::from_u128(9)),
        component: "c".parse().unwrap(),
        number: 300,
        kind: "note".into(),
        payload: Json::null(),
        sent_at: Timestamp(1),
        deliveries: 2,
        delivery: Some(MessageDelivery {
            session: SessionId(Uuid::from_u128(8)),
            token: Token(9),
            round: 300,
            deadline: Some(Timestamp(3)),
        }),
        retry_at: Some(Timestamp(4)),
        failure: Some(failure()),
    }
}

pub(super) fn trouble() -> TroubleEvent {
    let concerned =
        Concerned { run: Some(id(1)), task: Some(task().id), component: Some("c".parse().unwrap()) };
    TroubleEvent::Raised { code: "TASK_FAILED".into(), message: "why".into(), concerned, count: 2 }
}

pub(super) fn health() -> HealthReport {
    HealthReport { node: NodeId(3), unhealthy: vec!["disk".into()], measured: Json::from("{}") }
}

pub(super) fn component() -> Component {
    Component {
        id: "worker-1".parse().unwrap(),
        name: "Worker".into(),
        kind: "worker".into(),
        version: "1".into(),
        capabilities: vec!["train".into()],
        labels: labels(),
        slots: 2,
        registered_at: Timestamp(1),
        draining: false,
        drain_until: Some(Timestamp(9)),
        session: Some(Session {
            id: SessionId(Uuid::from_u128(8)),
            node: NodeId(3),
            connected_at: Timestamp(2),
            lost_until: None,
        }),
        ttl: Some(Duration::from_secs(9)),
        idle_since: Some(Timestamp(9)),
        rounds: 3,
    }
}
