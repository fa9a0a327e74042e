//! Tasks: reading, listing, waiting, cancelling.
//! Knows nothing of how they are created or assigned.

use std::sync::Arc;

use orc_client::wire::{TaskChanged, TaskView, TasksQuery, WaitQuery};
use orc_domain::{Answer, BlockIx, Command, Definition, RunId, StepIx, Task, TaskId};
use tokio::time::{Instant, timeout_at};

use super::{
    Gateway,
    access::unexpected,
    call::Call,
    problem::Refusal,
    render::{self, task::view},
    reply::{Answered, Reply},
    runs::{reason, wait_time},
    search::Parameters,
    waiters::Subject,
};

/// `GET /tasks/{id}`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.task_id()?;
    gateway.fresh(&call).await?;
    let task = gateway.task(id).await?;
    Ok(Reply::json(&gateway.show_task(&task).await?))
}

/// `GET /tasks/{id}/wait`: woken by the task's end.
pub async fn wait(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.task_id()?;
    let query: WaitQuery = call.query()?;
    let deadline = Instant::now() + wait_time(query.timeout);
    gateway.reach(&call).await?;
    if gateway.cluster.find_task(id).await?.is_none() {
        gateway.fresh(&call).await?;
    }
    let mut draining = std::pin::pin!(gateway.draining());
    loop {
        let woken = gateway.waiters.listen(Subject::Task(id));
        let task = gateway.task(id).await?;
        let waits = async {
            tokio::select! {
                () = woken.heard() => true,
                () = &mut draining => false,
            }
        };
        if task.status.is_terminal() {
            return Ok(Reply::json(&gateway.show_task(&task).await?));
        }
        if timeout_at(deadline, waits).await != Ok(true) {
            // Its end may not have reached this node.
            gateway.fresh(&call).await?;
            let task = gateway.task(id).await?;
            return Ok(Reply::json(&gateway.show_task(&task).await?));
        }
    }
}

/// `GET /tasks`: newest first, unless asked otherwise.
pub async fn list(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: TasksQuery = call.query()?;
    let run = query.run_id.as_deref().map(str::parse::<RunId>).transpose();
    let run = run.map_err(|error| Refusal::bad_request(format!("in the query: {error}")))?;
    let parameters = Parameters::from(&query);
    parameters.check::<Task>()?;
    let mut search = parameters.query::<Task>(gateway.cluster.now())?;
    if let Some(run) = run {
        let filter = search.filter;
        let (first, last) = (TaskId::Step(run, 0), TaskId::Step(run, u16::MAX));
        search.from = Some(search.from.map_or(first, |from| from.max(first)));
        search.before = Some(search.before.map_or(last, |before| before.min(last)));
        search.filter = Arc::new(move |task| task.id.step().is_some_and(|(of, _)| of == run) && filter(task));
    }
    gateway.fresh(&call).await?;
    let found = gateway.cluster.list_tasks(search).await?;
    let surroundings = gateway.surroundings().await?;
    parameters.page(&call, found, |task| -> TaskView { view(task, Some(&surroundings), false) })
}

/// `POST /tasks/{id}/cancel`
pub async fn cancel(gateway: Arc<Gateway>, call: Call) -> Answered {
    let task = call.task_id()?;
    let reason = reason(&call, "cancelled by a user")?;
    let accepted = gateway.command(&call, Command::CancelTask { task, reason }).await?;
    let Answer::Tasks(tasks) = &accepted.answer else { return Err(unexpected(&accepted.answer)) };
    let Some((id, status)) = tasks.first() else { return Err(unexpected(&accepted.answer)) };
    let changed = TaskChanged { id: id.to_string(), status: render::task_status(*status) };
    Ok(Reply::json(&changed).rev(accepted.rev).replayed(accepted.replayed))
}

impl Gateway {
    /// A task, live or ended; a step's task that has ended is gone, its step keeps the result.
    pub async fn task(&self, id: TaskId) -> Result<Arc<Task>, Refusal> {
        if let Some(task) = self.cluster.find_task(id).await? {
            return Ok(task);
        }
        let refusal = Refusal::not_found(format!("there is no task {id}"));
        Err(match id.step() {
            Some((run, _)) => {
                refusal.hint(format!("a step's task ends with its step: GET /api/v1/runs/{run}"))
            }
            None => refusal.hint("GET /api/v1/tasks lists tasks"),
        })
    }

    pub(super) async fn show_task(&self, task: &Task) -> Result<TaskView, Refusal> {
        let surroundings = if task.status.is_terminal() { None } else { Some(self.surroundings().await?) };
        let mut view = view(task, surroundings.as_ref(), true);
        view.step_id = self.step_name(task.id);
        view.dead_at = self.cluster.dead(&task.id).map(|dead| render::time(dead.at));
        Ok(view)
    }

    /// What a task's run executes, and where in it the step is that the task stands for.
    pub fn step_of(&self, task: TaskId) -> Option<(Arc<Definition>, BlockIx, StepIx)> {
        let (run, step) = task.step()?;
        let run = self.cluster.run(&run)?;
        Some((self.cluster.definition(&run.definition)?, run.block, step))
    }

    /// The id of the step that a task stands for.
    pub fn step_name(&self, task: TaskId) -> Option<String> {
        let (definition, block, step) = self.step_of(task)?;
        definition.block(block).get(usize::from(step)).map(|step| step.id.to_string())
    }
}
