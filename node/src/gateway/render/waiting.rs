//! Why something does not go on, and what would wake it: nothing waits without a reason.
//! Knows nothing of bodies around the reason.

use std::sync::Arc;

use orc_client::wire::WaitingFor;
use orc_domain::{
    ClusterConfig, Component, Definition, Run, RunId, RunStatus, StepIx, StepStatus, Task, TaskStatus,
};

use super::{awaiting, time};
use crate::server::Census;

/// What reasons are found from.
pub struct Surroundings {
    /// Every registered component.
    pub components: Vec<Arc<Component>>,
    /// How much there is of what.
    pub census: Arc<Census>,
    /// The limits.
    pub config: Arc<ClusterConfig>,
    /// The runs that hold the places of the concurrency group that is looked at.
    pub holders: Vec<RunId>,
}

pub(super) fn reason(reason: &str, detail: impl Into<String>) -> WaitingFor {
    WaitingFor { reason: reason.to_owned(), detail: Some(detail.into()), on: Vec::new(), until: None }
}

/// A limit and some of those who hold it.
fn held_by<T: ToString>(limit: &str, holders: &[T]) -> Vec<String> {
    [limit.to_owned()].into_iter().chain(holders.iter().map(ToString::to_string)).collect()
}

impl Surroundings {
    /// Why a task is not running.
    pub fn of_task(&self, task: &Task) -> Option<WaitingFor> {
        match task.status {
            TaskStatus::Blocked if task.waits_for.is_empty() => {
                let until = task.run_at.map(time);
                Some(WaitingFor { until, ..reason("timer", "it is to start at a later time") })
            }
            TaskStatus::Blocked => {
                let on: Vec<String> = task.waits_for.iter().map(ToString::to_string).collect();
                let tasks = if on.len() == 1 { "a task" } else { "tasks" };
                Some(WaitingFor {
                    on,
                    ..reason("dependencies", format!("it depends on {tasks} that must complete first"))
                })
            }
            TaskStatus::Queued if task.held => {
                let on = task.id.step().map(|(run, _)| run.to_string()).into_iter().collect();
                Some(WaitingFor { on, ..reason("pause", "its run is paused") })
            }
            TaskStatus::Queued => Some(self.of_queued(task)),
            TaskStatus::Retrying => {
                let until = task.retry_at.map(time);
                let detail = format!("attempt {} failed; the next one starts after a pause", task.attempts);
                Some(WaitingFor { until, ..reason("timer", detail) })
            }
            TaskStatus::Running
            | TaskStatus::Completed
            | TaskStatus::Failed
            | TaskStatus::Cancelled
            | TaskStatus::TimedOut => None,
        }
    }

    fn of_queued(&self, task: &Task) -> WaitingFor {
        let action = &task.action;
        let offers = |component: &&Arc<Component>| component.capabilities.contains(action);
        let able = |component: &&Arc<Component>| component.live_session().is_some() && !component.draining;
        let known: Vec<_> = self.components.iter().filter(offers).collect();
        let connected: Vec<_> = known.iter().copied().filter(able).filter(|one| one.slots > 0).collect();
        let fitting: Vec<_> = connected.iter().filter(|one| one.has_labels(&task.labels)).collect();
        let limit = self.config.tasks_running_max;
        if self.census.paused_actions.contains(action) {
            let detail = format!("the action `{action}` is paused until somebody resumes it");
            return WaitingFor { on: vec![action.to_string()], ..reason("pause", detail) };
        }
        if connected.is_empty() {
            let on = known.iter().map(|component| component.id.to_string()).collect();
            return WaitingFor {
                on,
                ..reason("component", format!("no connected component offers `{action}`"))
            };
        }
        if fitting.is_empty() {
            let wanted: Vec<String> =
                task.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let detail = format!("no component that offers `{action}` has the labels {}", wanted.join(", "));
            let on = connected.iter().map(|component| component.id.to_string()).collect();
            return WaitingFor { on, ..reason("labels", detail) };
        }
        if self.census.counts.tasks_running >= limit as usize {
            let on = held_by("maxConcurrentTasks", &self.census.tasks_running);
            return WaitingFor {
                on,
                ..reason("limit", format!("{limit} tasks run, which is maxConcurrentTasks"))
            };
        }
        let on = fitting.iter().map(|component| component.id.to_string()).collect();
        WaitingFor { on, ..reason("slot", format!("every component that offers `{action}` is busy")) }
    }

    /// Why a step is not running; `task` is its task, if it has one now.
    pub fn of_step(
        &self,
        (run, definition): (&Run, &Definition),
        place: StepIx,
        task: Option<&Task>,
    ) -> Option<WaitingFor> {
        let step = run.steps.get(usize::from(place))?;
        match step.status {
            StepStatus::Pending if run.status.is_terminal() => None,
            StepStatus::Pending => self.of_pending(run, definition, place),
            StepStatus::Evaluating => Some(reason("evaluation", "the leader evaluates its expressions")),
            StepStatus::Waiting | StepStatus::Running if step.work.is_some() => {
                awaiting::of_work(run, definition, place)
            }
            StepStatus::Waiting => {
                let until = step.wakes_at.map(time);
                Some(WaitingFor { until, ..reason("timer", "its delay is not over") })
            }
            StepStatus::Running => task.and_then(|task| self.of_task(task)),
            StepStatus::Completed
            | StepStatus::Failed
            | StepStatus::Skipped
            | StepStatus::Cancelled
            | StepStatus::TimedOut => None,
        }
    }

    fn of_pending(&self, run: &Run, definition: &Definition, place: StepIx) -> Option<WaitingFor> {
        let steps = definition.block(run.block);
        let needs = &steps.get(usize::from(place))?.needs;
        let open = needs.iter().filter(|need| !run.steps[usize::from(**need)].status.is_terminal());
        let on: Vec<String> = open.map(|need| steps[usize::from(*need)].id.to_string()).collect();
        if !on.is_empty() {
            return Some(WaitingFor { on, ..reason("dependencies", "steps before it have not ended") });
        }
        self.of_whole(run)
    }

    /// Why no step of a run goes on; none while one is at work.
    pub fn of_run(&self, run: &Run, steps: &[Option<WaitingFor>], working: bool) -> Option<WaitingFor> {
        if run.status.is_terminal() {
            return None;
        }
        self.of_whole(run).or_else(|| match working {
            true => None,
            false => steps.iter().flatten().find(|waiting| waiting.reason != "dependencies").cloned(),
        })
    }

    /// Reasons that concern a whole run.
    fn of_whole(&self, run: &Run) -> Option<WaitingFor> {
        match run.status {
            RunStatus::Queued => {
                let grouped = run.group.as_ref().and_then(|group| awaiting::of_group(group, &self.holders));
                if grouped.is_some() {
                    return grouped;
                }
                let limit = self.config.runs_active_max;
                let on = held_by("maxConcurrentWorkflows", &self.census.runs_active);
                Some(WaitingFor {
                    on,
                    ..reason("limit", format!("{limit} runs are active, which is maxConcurrentWorkflows"))
                })
            }
            RunStatus::Paused => {
                let detail = "the run is paused until somebody resumes it";
                Some(WaitingFor { on: vec![run.id.to_string()], ..reason("pause", detail) })
            }
            RunStatus::Running if run.finishing => {
                Some(reason("evaluation", "the leader evaluates the run's outputs"))
            }
            RunStatus::Running
            | RunStatus::Cancelling
            | RunStatus::Completed
            | RunStatus::Failed
            | RunStatus::Cancelled
            | RunStatus::TimedOut => None,
        }
    }
}
