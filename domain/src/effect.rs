//! What the hands owe the world: orders that follow from events, and again from the state alone.
//! Effects are a hint, the state is the truth: each may be given twice.

use alloc::boxed::Box;

use crate::{
    ids::{ComponentId, RunId, SessionId, StepIx, TaskId, Text, Token},
    names::ScheduleId,
    run::RunStatus,
    state::State,
    step::{EvalPoint, Step, StepStatus, Work},
};

/// An order to the hands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// The node that holds the component's session hands it the task.
    DeliverTask {
        /// To whom.
        component: ComponentId,
        /// What.
        task: TaskId,
        /// Which attempt.
        token: Token,
    },
    /// The node that holds the component's session tells it to stop an attempt.
    CancelAttempt {
        /// Whom.
        component: ComponentId,
        /// Which task.
        task: TaskId,
        /// Which attempt.
        token: Token,
        /// Why.
        reason: Text,
    },
    /// The leader evaluates expressions and proposes what they are.
    Evaluate {
        /// Which run.
        run: RunId,
        /// Which expressions.
        point: EvalPoint,
    },
    /// The node that holds this session closes it: a newer one took over or the component is forgotten.
    CloseSession {
        /// Whose.
        component: ComponentId,
        /// Which.
        session: SessionId,
    },
    /// The leader sends a step's message and proposes what became of it.
    SendMessage {
        /// Which run.
        run: RunId,
        /// Which step.
        step: StepIx,
    },
    /// The node that holds the component's session hands it the durable messages that are with it, in order.
    DeliverMessages {
        /// To whom.
        component: ComponentId,
    },
    /// The leader computes the next instant of a schedule and proposes it.
    PlanSchedule {
        /// Which.
        schedule: ScheduleId,
    },
}

/// What the hands still owe the world, from the state alone (closing old sessions excepted: nobody waits for that).
pub fn outstanding(state: &State) -> Box<dyn Iterator<Item = Effect> + '_> {
    let attempts = state.tasks.iter().filter_map(|(id, task)| {
        let assignment = task.assignment.as_ref()?;
        let (component, task_id, token) = (assignment.component.clone(), *id, assignment.token);
        Some(match &task.cancel {
            None => Effect::DeliverTask { component, task: task_id, token },
            Some(cancel) => {
                Effect::CancelAttempt { component, task: task_id, token, reason: cancel.reason.clone() }
            }
        })
    });
    let evaluations = state.runs.iter().flat_map(|(id, run)| {
        let steps = (0..).zip(&run.steps).filter_map(|(place, step)| of_step(*id, place, step));
        let outputs = (run.finishing && run.status != RunStatus::Queued)
            .then_some(Effect::Evaluate { run: *id, point: EvalPoint::Outputs });
        steps.chain(outputs)
    });
    let schedules = state.schedules.iter().filter(|(_, schedule)| schedule.awaits_plan());
    let plans = schedules.map(|(id, _)| Effect::PlanSchedule { schedule: id.clone() });
    let queues = state.indexes.messages.with_components();
    let messages = queues.map(|component| Effect::DeliverMessages { component: component.clone() });
    Box::new(attempts.chain(evaluations).chain(plans).chain(messages))
}

/// What is owed for a step by itself.
fn of_step(run: RunId, place: StepIx, step: &Step) -> Option<Effect> {
    match step.status {
        StepStatus::Evaluating => {
            // Its work is done, so what is left are its outputs.
            let returned = step.output.is_some();
            let point = if returned { EvalPoint::StepOutputs(place) } else { EvalPoint::Step(place) };
            Some(Effect::Evaluate { run, point })
        }
        StepStatus::Running => match step.work.as_deref() {
            Some(Work::Message(_)) => Some(Effect::SendMessage { run, step: place }),
            Some(Work::Signal(_) | Work::Approval(_) | Work::Child(_) | Work::Fan(_) | Work::Event(_))
            | None => None,
        },
        StepStatus::Pending
        | StepStatus::Waiting
        | StepStatus::Completed
        | StepStatus::Failed
        | StepStatus::Skipped
        | StepStatus::Cancelled
        | StepStatus::TimedOut => None,
    }
}
