//! The stored forms, byte for byte: a change of any of them is a new version with a way up from the old one.
//! Variants of enums are added at the end only, so the last ones are here too.
//! `ORC_WRITE_GOLDEN=1 cargo test -p orc-raft golden` writes the file anew, before the first release.

use std::{collections::BTreeMap, fmt::Write, sync::Arc, time::Duration};

use orc_domain::{
    Answer, AnswerRecord, Assignment, Attempt, ClusterConfig, Command, Component, Conclusion, Concurrency,
    CreateRun, DeadSelection, DeadTask, Definition, DefinitionId, DeleteEnded, Earlier, Event, Expect,
    Failure, Fan, FanChunk, FanItem, Group, Handlers, Handling, Idempotency, IdempotencyKey, Job, Json,
    KeptItems, KeyRecord, Labels, Meta, Missed, NodeId, OnConflict, OnFalse, Origin, Overlap, Parent,
    Priority, Proposal, Recorded, Repeat, Retry, Role, Run, RunId, RunStatus, Schedule, ScheduleEvent,
    ScheduleSpec, Session, SessionId, SkipCause, Started, StartedBy, Step, StepDef, StepKind, StepOutcome,
    Task, TaskId, TaskStatus, Timestamp, Token, Turn, VersionRecord, Work, Workflow, WorkflowRef,
    WorkflowVersion,
};
use uuid::Uuid;

use super::*;
use crate::types::{Batch, LeaderId, LogEntry, LogId, Member, Membership, Payload, StoredMembership, Vote};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/codec/golden.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn stored<T: Stored + PartialEq + std::fmt::Debug>(value: &T) -> String {
    let bytes = encode(value);
    assert_eq!(&decode::<T>(&bytes).unwrap(), value);
    hex(&bytes)
}

fn id(number: u128) -> RunId {
    RunId(Uuid::from_u128(number))
}

fn key() -> orc_domain::StateKey {
    "a.key".parse().unwrap()
}

fn retry() -> Retry {
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

fn labels() -> Labels {
    BTreeMap::from([("zone".into(), "a".into())])
}

fn definition() -> Definition {
    let step = StepDef {
        id: "one".into(),
        name: "One".into(),
        needs: vec![],
        followers: vec![1],
        only_if: Some("true".into()),
        kind: StepKind::Condition { expression: "true".into(), on_false: OnFalse::Fail },
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
    };
    let kind = StepKind::Emit { kind: "a.b".into(), data: Json::null(), templated: false };
    let emit = StepDef { kind, ..step.clone() };
    let delay = StepDef { kind: StepKind::Delay { duration: Duration::from_secs(1) }, ..step.clone() };
    Definition {
        id: DefinitionId([7; 16]),
        name: "flow".into(),
        source: Json::from("{}"),
        steps: vec![step, delay],
        outputs: vec![("out".into(), "1".into())],
        timeout: Duration::from_secs(9),
        blocks: vec![vec![emit]],
        handlers: Handlers { on_failure: Some(1), on_cancel: None, finally: Some(1) },
        concurrency: Some(Concurrency { group: None, limit: 2, on_conflict: OnConflict::Reject }),
    }
}

fn origin() -> Origin {
    let workflow = Some(WorkflowRef { name: "flow".parse().unwrap(), version: 300 });
    Origin { by: StartedBy::Webhook("github".into()), workflow, trigger: Some(Json::from("{}")) }
}

fn spec() -> ScheduleSpec {
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

fn schedule() -> Schedule {
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

fn run() -> Run {
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
        kept: vec![KeptItems { step: 1, items: vec![(2, Json::null(), Json::null())] }],
        origin: origin(),
    }
}

fn task() -> Task {
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

fn fan() -> FanChunk {
    let outcome = Some(StepOutcome::Completed(Json::null()));
    FanChunk { items: vec![FanItem { value: Json::from("1"), run: Some(id(1)), outcome }] }
}

fn component() -> Component {
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
        session: Some(Session {
            id: SessionId(Uuid::from_u128(8)),
            node: NodeId(3),
            connected_at: Timestamp(2),
            lost_until: None,
        }),
    }
}

fn events() -> EventRow {
    let events = [
        Event::DefinitionAdded(Arc::new(definition())),
        Event::RunStarted { run: id(1) },
        Event::StateChanged { key: key(), old: None, value: Some(Json::null()), version: 1, version_min: 1 },
        Event::Configured(Box::default()),
        Event::RunsDeleted { runs: vec![id(1)], fans: vec![(id(1), 2, 3)] },
        Event::TasksDeleted(vec![TaskId::Single(Uuid::from_u128(5))]),
        Event::Emitted { run: id(1), step: 2, kind: "a.b".into(), data: Json::null() },
        Event::DeadTasksDropped { tasks: vec![TaskId::Single(Uuid::from_u128(6))], overflow: true },
        Event::DeadlockResolved("w".into()),
        Event::Schedule(ScheduleEvent::Set(Box::new(spec()))),
        Event::Schedule(ScheduleEvent::Skipped {
            schedule: spec().id,
            instant: Timestamp(5),
            turn: Turn::Hand,
            cause: SkipCause::GroupBusy,
        }),
        Event::Schedule(ScheduleEvent::Queued { schedule: spec().id, instant: Timestamp(5) }),
    ];
    let record = |(seq, event)| Arc::new(Recorded { seq, rev: 300, at: Timestamp(4), event });
    EventRow((1..).zip(events).map(record).collect())
}

fn answers() -> AnswerRow {
    let answers = [
        Answer::Done,
        Answer::Session { component: "c".parse().unwrap(), session: SessionId(Uuid::nil()) },
        Answer::Count(3),
        Answer::Version { version: 2, made: true },
    ];
    let idempotency = Idempotency { key: IdempotencyKey([1; 16]), request: 77 };
    AnswerRow(answers.map(|answer| AnswerRecord { idempotency, rev: 5, at: Timestamp(6), answer }).into())
}

fn proposals() -> Vec<Proposal> {
    let create = CreateRun {
        id: id(1),
        definition: DefinitionId([7; 16]),
        body: Some(Arc::new(definition())),
        inputs: Json::from("{}"),
        labels: labels(),
        priority: Priority::Low,
        block: 0,
        parent: None,
        earlier: None,
        carried: vec![(1, Step::pending())],
        kept: vec![],
        group: None,
        dedupe: None,
        origin: origin(),
    };
    let commands = [
        Command::CreateRun(Box::new(create)),
        Command::SetState { key: key(), value: None, expect: Expect::Version(4) },
        Command::Configure(Box::default()),
        Command::DeleteEnded(DeleteEnded {
            runs: vec![id(1)],
            fans: vec![(id(1), 2, 3)],
            tasks: vec![TaskId::Single(Uuid::from_u128(5))],
        }),
        Command::FinishMessage { run: id(1), step: 2, reply: Ok(Json::null()) },
        Command::DropDeadTasks { which: DeadSelection::Action("train".into()) },
        Command::ReportStuck { found: ["w".into()].into() },
        Command::SetSchedule { spec: Box::new(spec()), expect: Expect::Absent },
        Command::PlanSchedule {
            schedule: spec().id,
            version: 2,
            after: Timestamp(5),
            instant: Timestamp(6),
            missed: Some(Missed { count: 1, last: Timestamp(5) }),
        },
    ];
    commands.map(Proposal::from).into()
}

fn place(index: u64) -> LogId {
    LogId::new(LeaderId::new(2, 3), index)
}

fn membership() -> Membership {
    let member =
        Member { peer_addr: "a:1".into(), http_addr: "http://a:2".into(), incarnation: Uuid::from_u128(4) };
    Membership::new(vec![[1, 2].into(), [2].into()], BTreeMap::from([(1, member.clone()), (2, member)]))
}

fn position() -> Position {
    let mut position = Position::default();
    (position.hash, position.installed) = (42, Some(3));
    position.advance(Some(place(300)), &StoredMembership::new(Some(place(1)), membership()));
    assert_eq!(position.membership(), StoredMembership::new(Some(place(1)), membership()));
    position
}

fn record(payload: Payload) -> LogRecord {
    let entry = LogEntry { log_id: place(300), payload };
    let record = LogRecord::from(&entry);
    assert_eq!(LogEntry::from(record.clone()), entry);
    record
}

fn forms() -> Vec<(&'static str, String)> {
    let encoded: Vec<_> = proposals().iter().map(encode_proposal).collect();
    let batch = Batch::pack(Timestamp(70_000), &encoded).unwrap();
    assert_eq!(batch.unpack().unwrap().proposals, proposals());
    let config = Arc::new(ClusterConfig::default());
    let meta = Meta {
        version: 1,
        now: Timestamp(2),
        rev: 3,
        seq: 4,
        token: Token(5),
        config,
        paused_actions: Arc::new(["train".into()].into()),
        stuck: Arc::new(["w".into()].into()),
        dead_overflowed: 9,
    };
    let dead =
        DeadTask { task: TaskId::Single(Uuid::from_u128(6)), action: "train".into(), at: Timestamp(2) };
    let json = Json::from("[1]");
    let version = VersionRecord { version: 2, value: Some(json.clone()), rev: 7, at: Timestamp(8) };
    let record_of_key =
        KeyRecord { key: key(), value: Some(json), version: 2, version_min: 1, rev: 7, at: Timestamp(8) };
    let file = ManifestFile { name: "000001.sst".into(), size: 9, checksum: 10 };
    let workflow = Workflow {
        name: "flow".parse().unwrap(),
        version: 2,
        definition: DefinitionId([7; 16]),
        paused: true,
        created_at: Timestamp(1),
        applied_at: Timestamp(2),
        rev: 300,
    };
    let workflow_version =
        WorkflowVersion { version: 2, definition: DefinitionId([7; 16]), created_at: Timestamp(2), rev: 300 };
    let vote = Vote::new_committed(4, 2);
    assert_eq!(Vote::from(VoteRow::from(&vote)), vote);
    vec![
        ("log record, blank", stored(&record(Payload::Blank))),
        ("log record, batch", stored(&record(Payload::Normal(batch)))),
        ("log record, membership", stored(&record(Payload::Membership(membership())))),
        ("vote", stored(&VoteRow::from(&vote))),
        ("owner", stored(&Owner(Uuid::from_u128(6)))),
        ("place", stored(&Place::from(place(7)))),
        ("position", stored(&position())),
        ("meta", stored(&meta)),
        ("run", stored(&run())),
        ("task", stored(&task())),
        ("component", stored(&component())),
        ("key", stored(&record_of_key)),
        ("version", stored(&version)),
        ("definition", stored(&definition())),
        ("fan", stored(&fan())),
        ("workflow", stored(&workflow)),
        ("workflow version", stored(&workflow_version)),
        ("schedule", stored(&schedule())),
        ("events", stored(&events())),
        ("answers", stored(&answers())),
        ("dead", stored(&dead)),
        ("manifest", stored(&Manifest::new("snap-1".into(), &position(), vec![file]))),
    ]
}

#[test]
fn golden_bytes_never_change() {
    let found = forms().iter().fold(String::new(), |mut text, (name, hex)| {
        writeln!(text, "{name}: {hex}").unwrap();
        text
    });
    if std::env::var_os("ORC_WRITE_GOLDEN").is_some() {
        std::fs::write(FILE, &found).unwrap();
    }
    let golden = std::fs::read_to_string(FILE).unwrap();
    for (found, golden) in found.lines().zip(golden.lines()) {
        assert_eq!(found, golden);
    }
    assert_eq!(found.lines().count(), golden.lines().count());
}

#[test]
fn every_flipped_bit_is_found() {
    let whole = encode(&Place::from(place(7)));
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(decode::<Place>(&damaged).is_err(), "bit {bit}");
    }
    assert!(decode::<Place>(&whole[..whole.len() - 1]).is_err());
    assert!(decode::<VoteRow>(&whole).is_err(), "another kind");
}
