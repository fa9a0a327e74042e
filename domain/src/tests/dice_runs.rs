//! Random workflows of every kind of step, what their expressions yield, and what comes to them from outside.

use alloc::format;

use super::{
    dice::{Dice, random_retry},
    *,
};

pub(super) fn random_definition(dice: &mut Dice, number: u128) -> Arc<Definition> {
    let count = 1 + dice.roll(6) as StepIx;
    random_definition_of(dice, number, count)
}

pub(super) fn random_definition_of(dice: &mut Dice, number: u128, count: StepIx) -> Arc<Definition> {
    let bodies = dice.roll(3) as BlockIx;
    let mut blocks: Vec<Vec<StepDef>> = Vec::new();
    for earlier in 0..bodies {
        let count = 1 + dice.roll(2) as StepIx;
        let steps = random_steps(dice, count, earlier);
        blocks.push(linked(steps));
    }
    let mut steps = linked(random_steps(dice, count, bodies));
    let mut block = || (bodies > 0 && dice.chance(25)).then(|| 1 + dice.roll(u64::from(bodies)) as BlockIx);
    let handlers = Handlers { on_failure: block(), on_cancel: block(), finally: block() };
    for step in &mut steps {
        step.compensate = block();
    }
    let seconds = if dice.chance(30) { 1 + dice.roll(20) } else { 3_600 };
    let timeout = Duration::from_secs(seconds);
    let definition = definition(number, Vec::new());
    Arc::new(Definition { steps, blocks, handlers, timeout, ..(*definition).clone() })
}

/// Steps that may use the blocks 1 to `blocks`.
fn random_steps(dice: &mut Dice, count: StepIx, blocks: BlockIx) -> Vec<StepDef> {
    let mut steps = Vec::new();
    for place in 0..count {
        let needs: Vec<StepIx> = (0..place).filter(|_| dice.chance(40)).take(6).collect();
        let kind = random_kind(dice, &needs, blocks);
        let mut step = step("s", &needs, kind);
        step.continue_on_error = dice.chance(15);
        step.timeout = Duration::from_millis(500 + dice.roll(4_000));
        step.limit = dice.chance(40).then(|| Duration::from_millis(500 + dice.roll(6_000)));
        step.queue_timeout = dice.chance(20).then(|| Duration::from_millis(500 + dice.roll(5_000)));
        step.total_timeout = dice.chance(15).then(|| Duration::from_millis(1_000 + dice.roll(8_000)));
        step.heartbeat_timeout = dice.chance(30).then(|| Duration::from_millis(500));
        step.retry = random_retry(dice);
        step.only_if = match dice.roll(6) {
            0 => Some("inputs.x".into()),
            1 => Some("always()".into()),
            _ => None,
        };
        if matches!(step.kind, StepKind::Task { .. }) && dice.chance(15) {
            step.cache = Some(Cache { key: "k".into(), age_max: None });
        }
        if dice.chance(15) {
            step.outputs = vec![("x".into(), "output".into())];
        }
        steps.push(step);
    }
    steps
}

fn random_kind(dice: &mut Dice, needs: &[StepIx], blocks: BlockIx) -> StepKind {
    let templated = dice.chance(50);
    match dice.roll(20) {
        0 => StepKind::Delay { duration: Duration::from_millis(dice.roll(3_000)) },
        1 => StepKind::Condition {
            expression: "x".into(),
            on_false: match dice.roll(3) {
                0 => OnFalse::Skip,
                1 => OnFalse::Fail,
                _ => OnFalse::Goto(needs.len() as StepIx + 2),
            },
        },
        2 if !needs.is_empty() => StepKind::Parallel { children: needs.to_vec() },
        3 => StepKind::Task { action: "a".into(), config: "{}".into(), templated: true },
        4 => StepKind::Until { expression: "x".into() },
        5 => StepKind::Signal { name: dice.pick(&["go", "stop"]).expect("it is not empty").into() },
        6 => StepKind::Approval {
            request: "{}".into(),
            templated,
            approvers: if dice.chance(30) { vec!["amy".into()] } else { vec![] },
            on_timeout: dice
                .pick(&[OnTimeout::Reject, OnTimeout::Approve, OnTimeout::Fail])
                .expect("it is not empty"),
        },
        7..=9 if blocks > 0 => StepKind::ForEach {
            items: "x".into(),
            block: 1 + dice.roll(u64::from(blocks)) as BlockIx,
            item: "item".into(),
            index: "index".into(),
            key: dice.chance(30).then(|| "item".into()),
            parallel_max: 1 + dice.roll(3) as u32,
            fail_fast: dice.chance(50),
        },
        10 => StepKind::Workflow {
            name: "other".into(),
            version: None,
            inputs: "{}".into(),
            detach: dice.chance(20),
        },
        11 => StepKind::State {
            writes: vec![("app.a".parse().expect("a legal key"), "1".into())],
            templated,
            reads: vec!["app.b".parse().expect("a legal key")],
            if_version: dice.chance(30).then(|| dice.roll(3)),
            deletes: if dice.chance(30) { vec!["d".parse().expect("a legal key")] } else { vec![] },
            snapshot: dice.chance(10).then(|| "{}".into()),
        },
        12 => StepKind::Message { request: "{}".into(), templated },
        14 => StepKind::Event { kind: "user.*".into(), filter: None },
        13 => StepKind::Emit { kind: "user.event".into(), data: "{}".into(), templated },
        _ => does(if dice.chance(70) { "a" } else { "b" }),
    }
}

pub(super) fn random_evaluation(dice: &mut Dice, state: &State, id: RunId, point: EvalPoint) -> Evaluation {
    if dice.chance(10) {
        return Evaluation::Failed(Failure::new("EXPRESSION_FAILED", "unknown name"));
    }
    let EvalPoint::Step(place) = point else { return Evaluation::Outputs("{}".into()) };
    let decision = Decision { value: dice.chance(60), inputs: "{}".into() };
    let run = state.runs.get(&id).expect("what is outstanding is of live runs");
    let definition = state.definitions.get(&run.definition).expect("a live run's definition is in memory");
    let step = &definition.block(run.block)[usize::from(place)];
    match &step.kind {
        _ if step.only_if.is_some() && dice.chance(40) => {
            Evaluation::Skip(Decision { value: false, ..decision })
        }
        StepKind::Condition { .. } => Evaluation::Condition(decision),
        StepKind::Task { .. } if step.cache.is_some() => {
            Evaluation::Cacheable { key: CacheKey([dice.roll(20) as u8; 16]), config: None }
        }
        StepKind::ForEach { key, .. } => {
            let count = if dice.chance(2) { 130 } else { dice.roll(6) };
            let item = |number: u64| {
                let value = format!("{number}");
                Item { key: key.is_some().then(|| value.as_str().into()), ..Item::new(value) }
            };
            Evaluation::Items((0..count).map(item).collect())
        }
        StepKind::Until { .. } => {
            Evaluation::Until(Timestamp(state.meta.now.0.saturating_sub(500) + dice.roll(3_000)))
        }
        StepKind::State { writes, templated: true, .. } => {
            Evaluation::Values(writes.iter().map(|_| Json::from("7")).collect())
        }
        StepKind::Workflow { .. } => {
            let number = u128::from(dice.roll(30)) << 64 | u128::from(dice.roll(1_000));
            let definition = random_definition_of(dice, number, 2);
            // A group that only children of whole runs are in: nobody waits in it for its own parent.
            let group = (run.parent.is_none() && dice.chance(40)).then(|| Group {
                name: "child".into(),
                limit: 1,
                on_conflict: OnConflict::Queue,
            });
            Evaluation::Child(Box::new(ChildStart {
                workflow: WorkflowRef { name: "other".parse().expect("a legal name"), version: 1 },
                definition: definition.id,
                body: Some(definition),
                inputs: "{}".into(),
                labels: Labels::new(),
                group,
            }))
        }
        StepKind::Task { .. }
        | StepKind::Parallel { .. }
        | StepKind::Delay { .. }
        | StepKind::Signal { .. }
        | StepKind::Event { .. }
        | StepKind::Approval { .. }
        | StepKind::State { .. }
        | StepKind::Message { .. }
        | StepKind::Emit { .. } => Evaluation::Proceed { config: None },
    }
}

/// A signal to a run, or a decision on what one of its steps awaits.
pub(super) fn random_outside(dice: &mut Dice, state: &State, run: RunId) -> Command {
    let by = dice.pick(&["amy", "bob"]).expect("it is not empty").into();
    let approvals: Vec<(RunId, StepIx)> = state.approvals((run_id(0), 0), 1_000);
    let awaited = state.following().awaited;
    if let Some(AwaitedEvent { run, step, .. }) = dice.pick(&awaited).filter(|_| dice.chance(40)) {
        let failed = || Failure::new("EXPRESSION_FAILED", "unknown name");
        let event = if dice.chance(90) { Ok("{}".into()) } else { Err(failed()) };
        return Command::GiveEvent { run, step, seq: state.meta.seq.saturating_sub(dice.roll(20)), event };
    }
    match dice.pick(&approvals) {
        Some((run, step)) if dice.chance(60) => Command::DecideApproval {
            run,
            step,
            approved: dice.chance(70),
            by,
            comment: dice.chance(50).then(|| "because".into()),
            output: "{\"approved\":true}".into(),
        },
        _ => Command::SignalRun {
            run,
            name: dice.pick(&["go", "stop"]).expect("it is not empty").into(),
            data: "{}".into(),
        },
    }
}

/// The first signal or decision that a step waits for.
pub(super) fn awaited_from_outside(state: &State) -> Option<Command> {
    state.runs.iter().find_map(|(id, run)| {
        (0..).zip(&run.steps).find_map(|(place, step)| {
            let work = step.work.as_deref().filter(|_| step.status == StepStatus::Waiting)?;
            match work {
                Work::Signal(name) => {
                    Some(Command::SignalRun { run: *id, name: name.clone(), data: "{}".into() })
                }
                Work::Approval(_) => Some(Command::DecideApproval {
                    run: *id,
                    step: place,
                    approved: true,
                    by: "amy".into(),
                    comment: None,
                    output: "{}".into(),
                }),
                Work::Event(wait) if wait.since < state.meta.seq => {
                    let (seq, event) = (state.meta.seq, Ok("{}".into()));
                    Some(Command::GiveEvent { run: *id, step: place, seq, event })
                }
                Work::Event(_) | Work::Message(_) | Work::Child(_) | Work::Fan(_) => None,
            }
        })
    })
}
