//! What the hands owe the world: orders that follow from events, and again from the state alone.
//! Effects are a hint, the state is the truth: each may be given twice.

use alloc::boxed::Box;

use crate::{
    ids::{ComponentId, RunId, SessionId, TaskId, Text, Token},
    names::ScheduleId,
    run::{EvalPoint, RunStatus, StepStatus},
    state::State,
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
        let steps = run.steps.iter().enumerate();
        let evaluating = steps.filter(|(_, step)| step.status == StepStatus::Evaluating);
        let points =
            evaluating.map(|(place, _)| EvalPoint::Step(u16::try_from(place).expect("at most 1,000 steps")));
        let outputs = (run.finishing && run.status != RunStatus::Queued).then_some(EvalPoint::Outputs);
        points.chain(outputs).map(|point| Effect::Evaluate { run: *id, point })
    });
    let schedules = state.schedules.iter().filter(|(_, schedule)| schedule.awaits_plan());
    let plans = schedules.map(|(id, _)| Effect::PlanSchedule { schedule: id.clone() });
    Box::new(attempts.chain(evaluations).chain(plans))
}
