//! Calls about what waits and what gave up: backlogs, priorities, the dead-letter list, explanations.
//! Knows nothing of how tasks are assigned.

use reqwest::Method;

use crate::http::Call;
use crate::wire::{
    ActionBacklog, ActionChanged, ChangeTask, DeadQuery, Explanation, Page, Priority, Reason, SelectDead,
    TaskChanged, TaskRequeued, TaskStatus, TaskView, TasksDropped, TasksRequeued, paths,
};
use crate::{Error, Tasks};

impl Tasks {
    /// Why a task waits, or how it came to its end.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn explain(&self, id: &str) -> Result<Explanation, Error> {
        self.client.call(Call::get(paths::fill(paths::TASK_EXPLAIN, id))).await
    }

    /// Gives a task that does not run another priority.
    ///
    /// # Errors
    /// As every call: [`Error`]; with code `INVALID_TRANSITION` when it runs or has ended.
    pub async fn set_priority(&self, id: &str, priority: Priority) -> Result<TaskStatus, Error> {
        let call =
            Call::mutation(Method::PATCH, paths::fill(paths::TASK, id)).json(&ChangeTask { priority })?;
        let changed: TaskChanged = self.client.call(call).await?;
        Ok(changed.status)
    }

    /// What waits and runs, per action.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn backlog(&self) -> Result<Page<ActionBacklog>, Error> {
        self.client.call(Call::get(paths::TASKS_BACKLOG)).await
    }

    /// Lets no tasks of an action be assigned; running attempts go on.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn pause_action(&self, action: &str) -> Result<ActionChanged, Error> {
        let path = paths::fill(paths::ACTION_PAUSE, action);
        self.client.call(Call::post(path, &Reason::default())?).await
    }

    /// Lets tasks of an action be assigned again.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn resume_action(&self, action: &str) -> Result<ActionChanged, Error> {
        let path = paths::fill(paths::ACTION_RESUME, action);
        self.client.call(Call::post(path, &Reason::default())?).await
    }

    /// A page of the dead-letter list: tasks of their own that gave up, newest first.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn dead(&self, query: &DeadQuery) -> Result<Page<TaskView>, Error> {
        self.client.call(Call::get(paths::TASKS_DEAD).query(query)).await
    }

    /// Makes a new task in place of one of the dead-letter list.
    ///
    /// # Errors
    /// As every call: [`Error`]; with code `INVALID_TRANSITION` when it is not on the list.
    pub async fn retry(&self, id: &str) -> Result<TaskRequeued, Error> {
        self.client.call(Call::post(paths::fill(paths::TASK_RETRY, id), &Reason::default())?).await
    }

    /// Makes new tasks in place of some of the dead-letter list. One call takes a limited number: call again while some remain.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn requeue_dead(&self, which: &SelectDead) -> Result<TasksRequeued, Error> {
        self.client.call(Call::post(paths::TASKS_DEAD_REQUEUE, which)?).await
    }

    /// Takes tasks off the dead-letter list for good; the tasks themselves stay.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn drop_dead(&self, which: &SelectDead) -> Result<TasksDropped, Error> {
        self.client.call(Call::post(paths::TASKS_DEAD_DROP, which)?).await
    }
}
