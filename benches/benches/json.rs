//! JSON in and out, by the wire types alone: bodies as the gateway reads them, answers as it writes them and as a client
//! reads them. The gateway's own functions (checks of depth, compiling a definition, rendering rows) are in a program, not
//! in a library, and cannot be called from here: what they cost comes on top.

#[path = "shared/quick.rs"]
mod quick;

use std::{collections::BTreeMap, hint::black_box};

use criterion::{Criterion, Throughput};
use orc_client::wire::{
    Priority, Raw, RunStarted, RunStatus, RunView, ScheduleTasks, SetState, StartRun, StateEntry, StepStatus,
    StepView, TaskScheduled, TaskStatus, Timestamp,
};
use orc_tests::three_echo_steps;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{json, value::to_raw_value};

const RUN: &str = "run_01JD8QZ4X5Y6Z7A8B9C0D1E2F3";

fn main() {
    let mut criterion = quick::criterion();
    bodies(&mut criterion);
    answers(&mut criterion);
    criterion.final_summary();
}

fn bodies(criterion: &mut Criterion) {
    let labels = json!({"team": "data", "env": "test"});
    let run = json!({"definition": three_echo_steps(), "inputs": {"version": "1.2.3"}, "labels": labels, "priority": 3});
    let task = json!({"name": "Train", "action": "train", "payload": {"epochs": 10, "data": "s3://bucket/key"},
        "priority": "HIGH", "timeout": "30s", "retry": {"limit": 3, "delay": "5s"}, "labels": {"gpu": "yes"}});
    reads::<StartRun>(criterion, "start_run", &run.to_string());
    reads::<ScheduleTasks>(criterion, "create_task", &task.to_string());
    reads::<SetState>(criterion, "put_state", &json!({"value": "v".repeat(254)}).to_string());
}

fn answers(criterion: &mut Criterion) {
    let started = RunStarted {
        run_id: RUN.into(),
        workflow_id: RUN.into(),
        status: RunStatus::Running,
        deduplicated: false,
        origin: None,
    };
    let task = format!("{}-0", RUN.replace("run_", "task_"));
    let scheduled = TaskScheduled { task_id: task, status: TaskStatus::Queued };
    let value = raw(&"v".repeat(254));
    let entry =
        StateEntry { key: "app.release.version".into(), value, version: 17, rev: 123_456, expires_at: None };
    writes(criterion, "run_started", &started);
    writes(criterion, "task_scheduled", &scheduled);
    writes(criterion, "state_entry", &entry);
    let run = run();
    writes(criterion, "run_of_3_steps", &run);
    let text = serde_json::to_string(&run).expect("it can be written");
    reads::<RunView>(criterion, "run_of_3_steps", &text);
}

fn reads<T: DeserializeOwned>(criterion: &mut Criterion, name: &str, text: &str) {
    let mut group = criterion.benchmark_group("json_in");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| serde_json::from_slice::<T>(black_box(text.as_bytes())).expect("it is one"));
    });
}

fn writes<T: Serialize>(criterion: &mut Criterion, name: &str, answer: &T) {
    let mut group = criterion.benchmark_group("json_out");
    let length = serde_json::to_vec(answer).expect("it can be written").len();
    group.throughput(Throughput::Bytes(length as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| serde_json::to_vec(black_box(answer)).expect("it can be written"));
    });
}

fn raw<T: Serialize>(value: &T) -> Raw {
    to_raw_value(value).expect("it can be written")
}

/// A run that has completed.
fn run() -> RunView {
    let (began, ended) = (Timestamp(1_700_000_000_000), Timestamp(1_700_000_004_321));
    let step = |name: &str| StepView {
        id: name.into(),
        name: name.into(),
        kind: "task".into(),
        status: StepStatus::Completed,
        output: Some(raw(&json!({"text": "hello", "length": 5}))),
        error: None,
        attempts: 1,
        component: Some("worker-1".into()),
        started_at: Some(began),
        ended_at: Some(ended),
        duration_ms: Some(1_234),
        waiting_for: None,
        decision: None,
        progress: None,
        items: None,
        child_run_id: None,
        cached_from: None,
        signal: None,
        event: None,
        approval_id: None,
        request: None,
        history: Vec::new(),
    };
    RunView {
        id: RUN.into(),
        workflow: "three steps".into(),
        status: RunStatus::Completed,
        conclusion: Some("success".into()),
        inputs: Some(raw(&json!({"version": "1.2.3"}))),
        outputs: Some(raw(&json!({"text": "hello", "length": 5}))),
        error: None,
        priority: Priority::High,
        labels: BTreeMap::from([("team".into(), "data".into()), ("env".into(), "test".into())]),
        created_at: began,
        started_at: Some(began),
        ended_at: Some(ended),
        duration_ms: Some(4_321),
        waiting_for: None,
        rev: 123_456,
        steps: ["one", "two", "three"].map(step).into(),
        parent: None,
        origin: None,
        handlers: Vec::new(),
        signals: 0,
        group: None,
        dedupe: None,
        workflow_version: None,
        started_by: "api".into(),
        trigger: None,
    }
}
