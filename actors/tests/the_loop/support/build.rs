//! Definitions, tasks and components for the tests, by what matters about them.

use std::{sync::Arc, time::Duration};

use orc_domain::{
    Command, ComponentId, CreateRun, Definition, DefinitionId, Json, NewTask, OnFalse, Priority,
    RegisterComponent, Retry, RunId, StepDef, StepKind, TaskId,
};
use uuid::Uuid;

pub(crate) fn retry() -> Retry {
    Retry {
        limit: 2,
        delay: Duration::from_millis(60),
        backoff_percent: 100,
        delay_max: Duration::from_secs(1),
        jitter: false,
        non_retryable: Vec::new(),
        lost_max: 10,
        on: Vec::new(),
    }
}

fn step(id: &str, kind: StepKind) -> StepDef {
    StepDef { timeout: Duration::from_secs(60), ..StepDef::new(id, kind, retry()) }
}

/// A step that asks for `echo` with this config.
pub(crate) fn task_step(id: &str, config: &str) -> StepDef {
    let templated = config.contains("${{");
    step(id, StepKind::Task { action: "echo".into(), config: Json::from(config), templated })
}

pub(crate) fn condition(id: &str, expression: &str) -> StepDef {
    step(id, StepKind::Condition { expression: expression.into(), on_false: OnFalse::Skip })
}

/// Steps one after another.
pub(crate) fn definition(mut steps: Vec<StepDef>) -> Definition {
    let last = u16::try_from(steps.len()).expect("few steps") - 1;
    for (place, step) in (0..).zip(&mut steps) {
        step.needs = if place > 0 { vec![place - 1] } else { Vec::new() };
        step.followers = if place < last { vec![place + 1] } else { Vec::new() };
    }
    let id = DefinitionId(*Uuid::new_v4().as_bytes());
    Definition { timeout: Duration::from_secs(600), ..Definition::new(id, "test", steps) }
}

/// A run of a definition.
pub(crate) fn run_of(definition: &Definition, inputs: &str) -> (RunId, Command) {
    let id = RunId(Uuid::new_v4());
    let create = CreateRun {
        body: Some(Arc::new(definition.clone())),
        inputs: Json::from(inputs),
        ..CreateRun::new(id, definition.id)
    };
    (id, Command::CreateRun(Box::new(create)))
}

/// A task of its own for `echo`.
pub(crate) fn single_task(payload: &str) -> (TaskId, Command) {
    let id = TaskId::Single(Uuid::new_v4());
    let task = NewTask {
        id,
        name: "task".into(),
        action: "echo".into(),
        payload: Json::from(payload),
        priority: Priority::Normal,
        labels: Default::default(),
        dependencies: Vec::new(),
        timeout: None,
        queue_timeout: None,
        retry: Some(retry()),
        run_at: None,
        total_timeout: None,
        heartbeat_timeout: None,
        requeued_from: None,
    };
    (id, Command::CreateTasks { tasks: vec![task] })
}

pub(crate) fn component_id(id: &str) -> ComponentId {
    id.parse().expect("a component id")
}

pub(crate) fn component(id: &str, slots: u32) -> RegisterComponent {
    RegisterComponent {
        id: component_id(id),
        name: id.into(),
        kind: "worker".into(),
        version: "1".into(),
        capabilities: vec!["echo".into()],
        labels: Default::default(),
        slots,
        ttl: None,
    }
}
