//! Decisions: what a command leads to on the state as it is, or why not.
//! Everything here only reads; the facts returned are written by `evolve`.

mod begin;
mod child;
mod component;
mod dead;
mod following;
mod handler;
mod key;
mod message;
mod queue;
mod run;
mod schedule;
mod signal;
mod step;
mod task;
mod trouble;
mod workflow;

use alloc::{format, vec, vec::Vec};

use crate::{
    command::Command,
    event::Event,
    indexes::Due,
    key::KeyWrite,
    react::FollowUp,
    rejection::Rejection,
    request::{DeleteEnded, Expect},
    state::State,
};

pub(crate) use message::deliver;
pub(crate) use run::alive_twin;
pub(crate) use task::{ENDED_BY_US, scatter};

type Decided = Result<Vec<Event>, Rejection>;

/// A wish may be refused.
#[expect(clippy::too_many_lines, reason = "a table: one entry for each command")]
pub(crate) fn decide(state: &State, command: &Command) -> Decided {
    match command {
        Command::CreateRun(create) => run::create(state, create),
        Command::CancelRun { run, reason } => run::cancel(state, *run, reason),
        Command::PauseRun { run } => run::pause(state, *run),
        Command::ResumeRun { run } => run::resume(state, *run),
        Command::TerminateRun { run, reason } => run::terminate(state, *run, reason),
        Command::SignalRun { run, name, data } => signal::signal(state, *run, name, data),
        Command::DecideApproval { run, step, approved, by, comment, output } => {
            let verdict = signal::Verdict { approved: *approved, by, comment: comment.as_ref(), output };
            signal::decide_approval(state, *run, *step, &verdict)
        }
        Command::FinishMessage { run, step, reply } => signal::finish_message(state, *run, *step, reply),
        Command::GiveEvent { run, step, seq, event } => following::give(state, *run, *step, (*seq, event)),
        Command::FollowEvents { upto, skipped } => following::follow(state, *upto, skipped),
        Command::CreateTasks { tasks } => task::create(state, tasks),
        Command::CancelTask { task, reason } => task::cancel(state, *task, reason),
        Command::CompleteTask { task, token, output } => task::complete(state, *task, *token, output),
        Command::FailTask { task, token, failure, retryable, retry_after } => {
            let failed = task::Failed { failure, retryable: *retryable, retry_after: *retry_after };
            task::fail(state, *task, *token, &failed)
        }
        Command::RegisterComponent(info) => component::register(state, info),
        Command::ConnectComponent { component, session, node, held } => {
            component::connect(state, component, (*session, *node), held)
        }
        Command::ReconnectComponent { component, session, node, held } => {
            component::reconnect(state, component, (*session, *node), held)
        }
        Command::EndSession { component, session, end } => {
            Ok(component::end_session(state, component, *session, *end))
        }
        Command::BeginAnew { .. } => Ok(component::end_all_sessions(state)),
        Command::EndNodeSessions { node, except } => Ok(component::end_node_sessions(state, *node, except)),
        Command::DrainComponent { component, within } => component::drain(state, component, *within),
        Command::DeregisterComponent { component } => component::deregister(state, component),
        Command::RecordEvaluation { run, point, evaluation } => {
            step::record_evaluation(state, *run, *point, evaluation)
        }
        Command::AdvanceTime => Ok(Vec::new()),
        Command::SetState { key, value, expect } => {
            key::set(state, KeyWrite::new(key.clone(), value.clone(), *expect))
        }
        Command::Transact(transaction) => key::transact(state, transaction),
        Command::CreateSnapshot(new) => key::create_snapshot(state, new),
        Command::RestoreSnapshot(restore) => key::restore_snapshot(state, restore),
        Command::DeleteSnapshot { snapshot } => key::delete_snapshot(state, *snapshot),
        Command::Message(command) => message::decide(state, command),
        Command::PostEvent { kind, data } => Ok(vec![Event::Posted(kind.clone(), data.clone())]),
        Command::Report(report) => Ok(trouble::report(state, report)),
        Command::Configure(config) => match config.validate() {
            Ok(()) => Ok(vec![Event::Configured(config.clone())]),
            Err(error) => Err(Rejection::BadConfig(error)),
        },
        Command::DeleteEnded(delete) => delete_ended(state, delete),
        Command::ExpireHeartbeat { task, token } => task::expire_heartbeat(state, *task, *token),
        Command::SetTaskPriority { task, priority } => queue::set_priority(state, *task, *priority),
        Command::PauseAction { action } => queue::pause(state, action),
        Command::ResumeAction { action } => Ok(queue::resume(state, action)),
        Command::DropDeadTasks { which } => dead::drop_dead(state, which),
        Command::ReportStuck { found } => Ok(queue::report_stuck(state, found)),
        Command::ApplyWorkflow(apply) => workflow::apply(state, apply),
        Command::DeleteWorkflow { name, expect } => workflow::delete(state, name, *expect),
        Command::PauseWorkflow { name } => workflow::pause(state, name),
        Command::ResumeWorkflow { name } => workflow::resume(state, name),
        Command::SetSchedule { spec, expect } => schedule::set(state, spec, *expect),
        Command::DeleteSchedule { schedule } => schedule::delete(state, schedule),
        Command::PauseSchedule { schedule } => schedule::pause(state, schedule),
        Command::ResumeSchedule { schedule } => schedule::resume(state, schedule),
        Command::TriggerSchedule { schedule, run } => schedule::trigger(state, schedule, *run),
        Command::PlanSchedule { schedule, version, after, instant, missed } => {
            let plan = schedule::Plan { instant: *instant, missed: missed.as_ref() };
            schedule::plan(state, schedule, (*version, *after), &plan)
        }
    }
}

/// Whenever this, then that: never refused; nothing is an answer.
pub(crate) fn follow(state: &State, follow_up: &FollowUp) -> Vec<Event> {
    match follow_up {
        FollowUp::StartSteps(run) => step::start_all(state, *run),
        FollowUp::StartEverything => {
            state.runs.iter().flat_map(|(run, _)| step::start_all(state, *run)).collect()
        }
        FollowUp::AfterStep(run, step) => step::after(state, *run, *step),
        FollowUp::WindDown(run) => step::wind_down(state, *run),
        FollowUp::FeedItems(run, step) => child::feed(state, *run, *step),
        FollowUp::FeedAll(run) => child::feed_all(state, *run),
        FollowUp::AfterChild(parent, outcome) => child::after(state, parent, outcome),
        FollowUp::PauseChildren(run, pause) => child::pause_all(state, *run, *pause),
        FollowUp::NextHandler(run) => handler::next(state, *run),
        FollowUp::HandOverSignals(run) => signal::hand_over(state, *run),
        FollowUp::AfterTask { task, completed } => task::after(state, *task, *completed),
        FollowUp::LoseAttempts { component, held } => task::lose(state, component, held),
        FollowUp::TrimDead => [dead::trim(state), message::trim(state)].concat(),
        FollowUp::ReturnMessages(component) => message::give_back(state, component),
        FollowUp::ReportRun(run, failure) => trouble::run_failed(*run, failure),
        FollowUp::ReleaseSchedules => schedule::release(state),
    }
}

/// What the earliest deadline that has passed leads to; none if none has.
pub(crate) fn due(state: &State) -> Option<Vec<Event>> {
    Some(match state.indexes.first_due(state.meta.now)? {
        Due::Run(run) => vec![Event::RunTimedOut { run }],
        Due::Step(run, step) => step::due(state, run, step),
        Due::Task(task) => task::due(state, task),
        Due::Component(component) => component::due(state, &component),
        Due::Key(key) => key::expire(state, &key),
        Due::Message(place) => message::due(state, &place),
        Due::Schedule(schedule) => schedule::due(state, &schedule),
    })
}

fn delete_ended(state: &State, delete: &DeleteEnded) -> Decided {
    let DeleteEnded { runs, fans, tasks } = delete;
    if delete.rows() > DeleteEnded::MAX {
        return Err(Rejection::Invalid(format!("at most {} are deleted at once", DeleteEnded::MAX)));
    }
    let of_fans = fans.iter().map(|(run, ..)| run);
    if let Some(run) = runs.iter().chain(of_fans).find_map(|run| state.runs.get(run)) {
        return Err(Rejection::RunNotEnded { run: run.id, status: run.status });
    }
    if let Some(task) = tasks.iter().find_map(|task| state.tasks.get(task)) {
        return Err(Rejection::TaskNotEnded { task: task.id, status: task.status });
    }
    let mut events = Vec::new();
    if !runs.is_empty() || !fans.is_empty() {
        events.push(Event::RunsDeleted { runs: runs.clone(), fans: fans.clone() });
    }
    if !tasks.is_empty() {
        events.push(Event::TasksDeleted(tasks.clone()));
    }
    Ok(events)
}

/// Whether something that stands at a version, if it is there, stands as expected.
fn holds(expect: Expect, version: Option<u64>) -> bool {
    match expect {
        Expect::Any => true,
        Expect::Absent => version.is_none(),
        Expect::Present => version.is_some(),
        Expect::Version(expected) => version == Some(expected),
    }
}
