//! The stored forms, byte for byte: a change of any of them is a new version with a way up from the old one.
//! Variants of enums are added at the end only, so the last ones are here too.
//! `ORC_WRITE_GOLDEN=1 cargo test -p orc-raft golden` writes the file anew, before the first release.

use std::{collections::BTreeMap, fmt::Write, sync::Arc, time::Duration};

use orc_domain::{
    Answer, AnswerRecord, CacheEvent, CacheKey, ChangeOrigin, ClusterConfig, Command, CreateRun, DeadMessage,
    DeadMessages, DeadSelection, DeadTask, DefinitionId, DeleteEnded, Event, Expect, Followed, Idempotency,
    IdempotencyKey, Json, KeyWrite, MessageCommand, MessageEvent, Meta, Missed, NewMessage, NewSnapshot,
    NoStart, NodeId, Origin, Priority, Proposal, Recorded, RestoreSnapshot, SavedKey, ScheduleEvent,
    SessionId, SkipCause, SkippedStarts, SnapshotEvent, StartedBy, Step, TaskId, Timestamp, Token,
    Transaction, TroubleEvent, Turn, VersionRecord, Workflow, WorkflowEvent, WorkflowVersion,
};
use uuid::Uuid;

use super::*;
use crate::types::{Batch, LeaderId, LogEntry, LogId, Member, Membership, Payload, StoredMembership, Vote};
use rows::*;

mod rows;

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

fn events() -> EventRow {
    let events = [
        Event::DefinitionAdded(Arc::new(definition())),
        Event::RunStarted { run: id(1) },
        Event::StateChanged(change()),
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
        Event::Cache(CacheEvent::Kept { run: id(1), step: 2, key: CacheKey([3; 16]) }),
        Event::EventAwaited { run: id(1), step: 2, kind: "a.*".into() },
        Event::Workflow(WorkflowEvent::StartsSkipped(skipped())),
        Event::Snapshot(SnapshotEvent::Created(snapshot())),
        Event::Snapshot(SnapshotEvent::Deleted { snapshot: snapshot().id, number: 3, overflow: true }),
        Event::Message(MessageEvent::Queued(Box::new(message()))),
        Event::Message(MessageEvent::Dropped { messages: vec![message().id], overflow: false }),
        Event::Trouble(trouble()),
        Event::Trouble(TroubleEvent::HealthChecked(health())),
    ];
    let record = |(seq, event)| Arc::new(Recorded { seq, rev: 300, at: Timestamp(4), event });
    EventRow((1..).zip(events).map(record).collect())
}

fn skipped() -> SkippedStarts {
    let (workflow, trigger) = ("flow".parse().unwrap(), "event-1".into());
    SkippedStarts { workflow, trigger, seq: 300, count: 2, cause: NoStart::Refused, detail: "why".into() }
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

fn new_message() -> NewMessage {
    let component = "c".parse().unwrap();
    NewMessage { id: message().id, component, kind: "note".into(), payload: Json::null() }
}

fn reconnection() -> Command {
    let (component, session) = ("c".parse().unwrap(), SessionId(Uuid::nil()));
    Command::ReconnectComponent { component, session, node: NodeId(300), held: Vec::new() }
}

pub(super) fn proposals() -> Vec<Proposal> {
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
    let ended = Origin { by: StartedBy::Ended("workflow-1".into()), ..origin() };
    let after = CreateRun { body: None, origin: ended, ..create.clone() };
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
        Command::CreateRun(Box::new(after)),
        Command::GiveEvent { run: id(1), step: 2, seq: 300, event: Ok(Json::null()) },
        Command::FollowEvents { upto: Followed { seq: 300, rev: 9 }, skipped: vec![skipped()] },
        Command::Transact(Box::new(Transaction {
            compare: vec![(key(), Expect::Absent)],
            writes: vec![KeyWrite {
                ttl: Some(Duration::from_secs(1)),
                restores: Some(300),
                ..KeyWrite::new(key(), Some(Json::null()), Expect::Any)
            }],
        })),
        Command::CreateSnapshot(Box::new(NewSnapshot {
            id: snapshot().id,
            name: Some("n".into()),
            metadata: Json::from("{}"),
            automatic: true,
        })),
        Command::RestoreSnapshot(Box::new(RestoreSnapshot {
            snapshot: snapshot().id,
            prefix: Some("a.".into()),
            keep_new: true,
        })),
        Command::Message(MessageCommand::Send(vec![new_message()])),
        Command::Message(MessageCommand::Drop(DeadMessages::All)),
        Command::Report(Box::new(trouble())),
        Command::BeginAnew { token_min: Token(300) },
        reconnection(),
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

fn log_record(payload: Payload) -> LogRecord {
    let entry = LogEntry { log_id: place(300), payload };
    let record = LogRecord::from(&entry);
    assert_eq!(LogEntry::from(record.clone()), entry);
    record
}

fn backup() -> BackupManifest {
    let mut backup = BackupManifest::new(Uuid::from_u128(9), 2, 70_000, &position()).unwrap();
    assert!(backup.describes(&position()));
    backup.version = "0.1.0".into();
    backup.files = vec![BackupPart { name: "000001.sst".into(), size: 300 }];
    backup
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
        followed: Followed { seq: 4, rev: 3 },
        messages_sent: 300,
        snapshots_made: 7,
    };
    let dead =
        DeadTask { task: TaskId::Single(Uuid::from_u128(6)), action: "train".into(), at: Timestamp(2) };
    let json = Json::from("[1]");
    let origin = ChangeOrigin::Version(1);
    let version = VersionRecord { version: 2, value: Some(json), rev: 7, at: Timestamp(8), origin };
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
        ("log record, blank", stored(&log_record(Payload::Blank))),
        ("log record, batch", stored(&log_record(Payload::Normal(batch)))),
        ("log record, membership", stored(&log_record(Payload::Membership(membership())))),
        ("vote", stored(&VoteRow::from(&vote))),
        ("owner", stored(&Owner(Uuid::from_u128(6)))),
        ("gone", stored(&Gone([2, 300].into()))),
        ("place", stored(&Place::from(place(7)))),
        ("position", stored(&position())),
        ("meta", stored(&meta)),
        ("run", stored(&run())),
        ("task", stored(&task())),
        ("component", stored(&component())),
        ("key", stored(&record())),
        ("version", stored(&version)),
        ("definition", stored(&definition())),
        ("fan", stored(&fan())),
        ("workflow", stored(&workflow)),
        ("workflow version", stored(&workflow_version)),
        ("schedule", stored(&schedule())),
        ("output", stored(&output())),
        ("snapshot", stored(&snapshot())),
        ("saved", stored(&SavedKey { key: key(), record: Some(record()) })),
        ("message", stored(&message())),
        ("dead message", stored(&DeadMessage { message: message(), failure: failure(), at: Timestamp(9) })),
        ("events", stored(&events())),
        ("answers", stored(&answers())),
        ("dead", stored(&dead)),
        ("manifest", stored(&Manifest::new("snap-1".into(), &position(), vec![file]))),
        ("backup", stored(&backup())),
        ("backup end", stored(&BackupEnd { checksums: vec![[1, 2, 3, 4], [251; 4]] })),
    ]
}

/// A row of each kind.
pub(super) fn rows() -> Vec<Vec<u8>> {
    let byte = |hex: &[u8]| u8::from_str_radix(str::from_utf8(hex).unwrap(), 16).unwrap();
    forms().iter().map(|(_, hex)| hex.as_bytes().chunks(2).map(byte).collect()).collect()
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
