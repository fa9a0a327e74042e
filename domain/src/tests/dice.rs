//! What random histories are made of: dice, definitions, commands, and hands that carry out orders well or badly.

use alloc::format;

use super::{
    dice_kept::{random_answer, random_message, random_snapshot, random_state_write},
    dice_runs::{random_definition, random_evaluation, random_outside},
    *,
};

/// splitmix64
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        crate::child::mix(self.0) % sides
    }

    pub(super) fn pick<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        let place = self.roll(items.len().max(1) as u64) as usize;
        items.get(place).cloned()
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

pub(super) fn random_retry(dice: &mut Dice) -> Retry {
    Retry {
        limit: 1 + dice.roll(3) as u32,
        delay: Duration::from_millis(dice.roll(1_500)),
        backoff_percent: 100 + dice.roll(200) as u32,
        jitter: dice.chance(50),
        lost_max: dice.roll(3) as u32,
        on: if dice.chance(20) { vec!["BROKEN".into()] } else { vec![] },
        ..retry()
    }
}

#[expect(clippy::too_many_lines, reason = "a table: one entry for each command")]
pub(super) fn random_command(dice: &mut Dice, state: &State, next: u128) -> Command {
    let runs: Vec<RunId> = state.runs.iter().map(|(id, _)| *id).collect();
    let tasks: Vec<TaskId> = state.tasks.iter().map(|(id, _)| *id).collect();
    let run = dice.pick(&runs).unwrap_or(run_id(u128::from(dice.roll(40))));
    let any_task = dice.pick(&tasks).unwrap_or(TaskId::Single(Uuid::from_u128(u128::from(dice.roll(40)))));
    let name = dice.pick(&[ANN, BOB, "cid", "nobody"]).expect("it is not empty");
    let component: ComponentId = name.parse().expect("a legal name");
    let session = state.components.get(&component).and_then(|c| c.session.as_ref()).map(|session| session.id);
    match dice.roll(38) {
        0 if dice.chance(20) => {
            let used = used_id(dice, next);
            random_run(dice, used, next)
        }
        0..=3 => {
            let number = u128::from(dice.roll(20)) << 64 | next;
            random_run(dice, next, number)
        }
        4 if dice.chance(30) => Command::TerminateRun { run, reason: "now".into() },
        4 => Command::CancelRun { run, reason: "enough".into() },
        5 => Command::PauseRun { run },
        6..=7 => Command::ResumeRun { run },
        8..=9 => Command::CreateTasks { tasks: random_tasks(dice, next, &tasks) },
        10 => Command::CancelTask { task: any_task, reason: "no".into() },
        11 if !name.starts_with('n') => Command::RegisterComponent(Box::new(RegisterComponent {
            id: component,
            name: name.into(),
            kind: "worker".into(),
            version: "1".into(),
            capabilities: if dice.chance(60) { vec!["a".into(), "b".into()] } else { vec!["a".into()] },
            labels: Labels::new(),
            // Never fewer slots than before: a promise already given is not taken back.
            slots: state
                .components
                .get(&name.parse().expect("a legal name"))
                .map_or(2, |known| known.slots + 1),
            ttl: dice.chance(20).then(|| Duration::from_millis(dice.roll(5_000))),
        })),
        11 if dice.chance(30) => Command::ReconnectComponent {
            held: random_held(dice, state, &component),
            component,
            session: session.unwrap_or(SessionId(Uuid::from_u128(next))),
            node: NodeId(1 + dice.roll(3)),
        },
        11..=14 => Command::ConnectComponent {
            held: random_held(dice, state, &component),
            component,
            session: SessionId(Uuid::from_u128(next)),
            node: NodeId(1 + dice.roll(3)),
        },
        15 => Command::EndSession {
            component,
            session: session.unwrap_or(SessionId(Uuid::nil())),
            end: if dice.chance(70) { SessionEnd::Lost } else { SessionEnd::Closed },
        },
        16 => {
            Command::EndNodeSessions { node: NodeId(1 + dice.roll(3)), except: session.into_iter().collect() }
        }
        17 if dice.chance(30) => Command::DeregisterComponent { component },
        17 => Command::DrainComponent {
            component,
            within: dice.chance(50).then(|| Duration::from_millis(dice.roll(2_000))),
        },
        18..=19 => random_state_write(dice),
        20 if dice.chance(20) => Command::Configure(Box::new(ClusterConfig {
            // Limits only rise: one that falls holds for what starts after it.
            runs_active_max: state.config().runs_active_max + dice.roll(2) as u32,
            tasks_running_max: state.config().tasks_running_max + dice.roll(2) as u32,
            head_start: Duration::from_millis(dice.roll(10_000)),
            versions_max: 1 + dice.roll(4) as u32,
            ..ClusterConfig::default()
        })),
        21 if dice.chance(40) => Command::DeleteEnded(DeleteEnded {
            runs: vec![run_id(used_id(dice, next))],
            fans: vec![(run_id(used_id(dice, next)), 0, 0)],
            tasks: vec![TaskId::Single(Uuid::from_u128(used_id(dice, next)))],
        }),
        26..=27 => random_outside(dice, state, run),
        21 => Command::SetTaskPriority {
            task: any_task,
            priority: Priority::from_level(1 + dice.roll(5)).expect("1 to 5"),
        },
        22 => random_pause(dice),
        23 => random_dead(dice, state, next),
        24 => Command::ExpireHeartbeat {
            task: any_task,
            token: state
                .tasks
                .get(&any_task)
                .and_then(|task| task.assignment.as_ref())
                .map_or(Token(1), |assignment| assignment.token),
        },
        25 => random_snapshot(dice, state, next),
        31..=33 => random_message(dice, state, next),
        28 => random_workflow(dice, next),
        29..=30 => random_schedule(dice, next),
        _ => Command::AdvanceTime,
    }
}

fn random_group(dice: &mut Dice) -> Group {
    let policies = [OnConflict::Queue, OnConflict::Queue, OnConflict::CancelRunning, OnConflict::Reject];
    Group {
        name: dice.pick(&["g", "h"]).expect("it is not empty").into(),
        limit: 1 + dice.roll(2) as u32,
        on_conflict: dice.pick(&policies).expect("it is not empty"),
    }
}

fn random_run(dice: &mut Dice, id: u128, number: u128) -> Command {
    let Command::CreateRun(mut create) = create_run(id, &random_definition(dice, number)) else {
        unreachable!("that is what it makes")
    };
    create.dedupe = dice.chance(10).then(|| "single".into());
    create.group = dice.chance(40).then(|| random_group(dice));
    create.priority = Priority::from_level(1 + dice.roll(5)).expect("1 to 5");
    Command::CreateRun(create)
}

fn random_pause(dice: &mut Dice) -> Command {
    let action = dice.pick(&["a", "b"]).expect("it is not empty").into();
    if dice.chance(30) { Command::PauseAction { action } } else { Command::ResumeAction { action } }
}

/// Drops tasks of the dead-letter list, or requeues one; now and then one that is not on it.
fn random_dead(dice: &mut Dice, state: &State, next: u128) -> Command {
    let dead: Vec<TaskId> = state.dead.iter().map(|(task, _)| *task).collect();
    let one = dice.pick(&dead).unwrap_or(TaskId::Single(Uuid::from_u128(7)));
    match dice.roll(4) {
        0 => Command::DropDeadTasks { which: DeadSelection::Action("a".into()) },
        1 => Command::DropDeadTasks { which: DeadSelection::Tasks(vec![one]) },
        _ => Command::CreateTasks {
            tasks: vec![NewTask { requeued_from: Some(one), ..new_task(next, "a", &[]) }],
        },
    }
}

fn random_workflow(dice: &mut Dice, next: u128) -> Command {
    let name: WorkflowName =
        dice.pick(&["deploy", "train"]).expect("it is not empty").parse().expect("a legal name");
    match dice.roll(10) {
        0 => Command::DeleteWorkflow { name, expect: Expect::Any },
        1 => Command::PauseWorkflow { name },
        2..=3 => Command::ResumeWorkflow { name },
        _ => Command::ApplyWorkflow(Box::new(ApplyWorkflow {
            definition: {
                let number = (u128::from(dice.roll(3)) << 64) | (next % 100);
                random_definition(dice, number)
            },
            expect: Expect::Any,
            schedules: (0..dice.roll(3)).map(|own| random_spec(dice, &name, &format!("{own}"))).collect(),
            others: Vec::new(),
            name,
        })),
    }
}

fn random_spec(dice: &mut Dice, workflow: &WorkflowName, own: &str) -> ScheduleSpec {
    let (overlap, _) = dice.pick(&Overlap::ALL).expect("it is not empty");
    ScheduleSpec {
        cron: format!("every {}", 1 + dice.roll(2)).into(),
        overlap,
        jitter: Duration::from_millis(dice.roll(2) * 300),
        group: dice.chance(30).then(|| random_group(dice)),
        ..schedules::spec(&format!("{workflow}.{own}"), workflow.as_str())
    }
}

fn random_schedule(dice: &mut Dice, next: u128) -> Command {
    let workflow: WorkflowName =
        dice.pick(&["deploy", "train"]).expect("it is not empty").parse().expect("a legal name");
    let own = dice.pick(&["0", "1", "hand"]).expect("it is not empty");
    let schedule = ScheduleId::of_workflow(&workflow, own).expect("a legal name");
    match dice.roll(8) {
        0 => Command::DeleteSchedule { schedule },
        1 => Command::PauseSchedule { schedule },
        2..=3 => Command::ResumeSchedule { schedule },
        4 => Command::TriggerSchedule { schedule, run: run_id(next) },
        _ => Command::SetSchedule {
            spec: Box::new(ScheduleSpec { of_file: false, ..random_spec(dice, &workflow, own) }),
            expect: if dice.chance(20) { Expect::Absent } else { Expect::Any },
        },
    }
}

/// An id that an earlier command of this history may have used: live, just ended or long gone.
fn used_id(dice: &mut Dice, next: u128) -> u128 {
    let earlier = u64::try_from((next - 1_000) / 10).expect("a short history");
    1_000 + 10 * u128::from(dice.roll(earlier + 1))
}

fn random_tasks(dice: &mut Dice, next: u128, live: &[TaskId]) -> Vec<NewTask> {
    let count = 1 + u128::from(dice.roll(3));
    (0..count)
        .map(|place| {
            let mut task = new_task(next + place, if dice.chance(70) { "a" } else { "b" }, &[]);
            let known: Vec<TaskId> = live
                .iter()
                .copied()
                .chain((0..place).map(|p| TaskId::Single(Uuid::from_u128(next + p))))
                .collect();
            for _ in 0..dice.roll(3) {
                let unknown = TaskId::Single(Uuid::from_u128(u128::MAX));
                let task_id = match dice.roll(20) {
                    0 => unknown,
                    1..=4 => TaskId::Single(Uuid::from_u128(used_id(dice, next))),
                    _ => dice.pick(&known).unwrap_or(unknown),
                };
                let ended = dice.chance(50).then_some(TaskStatus::Completed);
                task.dependencies.push(Dependency { task: task_id, ended });
            }
            task.priority = Priority::from_level(1 + dice.roll(5)).expect("1 to 5");
            task.timeout = Some(Duration::from_millis(500 + dice.roll(4_000)));
            task.queue_timeout = dice.chance(30).then(|| Duration::from_millis(500 + dice.roll(5_000)));
            task.retry = Some(random_retry(dice));
            task.run_at = dice.chance(20).then(|| Timestamp(1_000_000 + dice.roll(60_000)));
            task.total_timeout = dice.chance(15).then(|| Duration::from_millis(1_000 + dice.roll(8_000)));
            task.heartbeat_timeout = dice.chance(30).then(|| Duration::from_millis(500));
            task
        })
        .collect()
}

fn random_held(dice: &mut Dice, state: &State, component: &ComponentId) -> Vec<HeldAttempt> {
    let running = state.indexes.running_on(component).into_iter();
    let held = running.filter_map(|id| {
        let token = state.tasks.get(&id)?.assignment.as_ref()?.token;
        Some(HeldAttempt { task: id, token: if dice.chance(90) { token } else { Token(1) } })
    });
    let all: Vec<HeldAttempt> = held.collect();
    all.into_iter().filter(|_| dice.chance(70)).collect()
}

/// The hands: one of the orders owed is carried out, well or badly.
pub(super) fn random_hand(dice: &mut Dice, state: &State) -> Option<Command> {
    let owed: Vec<Effect> = outstanding(state).collect();
    Some(match dice.pick(&owed)? {
        Effect::DeliverTask { task, token, .. } | Effect::CancelAttempt { task, token, .. } => {
            let token = if dice.chance(95) { token } else { Token(token.0.saturating_sub(1)) };
            if dice.chance(70) {
                Command::CompleteTask { task, token, output: "1".into() }
            } else {
                let failure = Failure::new("BROKEN", "it broke");
                Command::FailTask { task, token, failure, retryable: dice.chance(80), retry_after: None }
            }
        }
        Effect::Evaluate { run, point } => {
            Command::RecordEvaluation { run, point, evaluation: random_evaluation(dice, state, run, point) }
        }
        Effect::CloseSession { .. } => return None,
        Effect::DeliverMessages { component } => random_answer(dice, state, &component),
        Effect::SendMessage { run, step } => {
            let failure = Failure::new("COMPONENT_TIMEOUT", "no reply");
            let reply = if dice.chance(70) { Ok("{\"ok\":true}".into()) } else { Err(failure) };
            Command::FinishMessage { run, step, reply }
        }
        Effect::PlanSchedule { schedule } => {
            let row = state.schedules.get(&schedule).expect("what is owed is there");
            let stale = u64::from(dice.chance(10));
            let instant = row.after + Duration::from_millis(1 + dice.roll(900));
            Command::PlanSchedule {
                schedule,
                version: row.version + stale,
                after: row.after,
                instant,
                missed: None,
            }
        }
    })
}
