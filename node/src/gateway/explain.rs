//! `GET /tasks/{id}/explain` and `GET /runs/{id}/explain`: finds what the explanation is made of.
//! Knows no sentences.

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use orc_client::wire::Explanation;
use orc_domain::{Task, TaskStatus};

use super::{
    Gateway,
    call::Call,
    problem::Refusal,
    render::explain,
    reply::{Answered, Reply},
};

/// Dependencies that one task's explanation goes into, and how deep.
const DEPENDENCIES_MAX: usize = 10;
const DEPTH_MAX: usize = 3;

/// `GET /tasks/{id}/explain`
pub async fn task(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.task_id()?;
    gateway.fresh(&call).await?;
    let task = gateway.task(id).await?;
    Ok(Reply::json(&gateway.explain_task(task, DEPTH_MAX).await?))
}

/// `GET /runs/{id}/explain`
pub async fn run(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.run_id()?;
    gateway.fresh(&call).await?;
    let run = gateway.run(id).await?;
    Ok(Reply::json(&explain::run(&gateway.show_run(&run).await?)))
}

impl Gateway {
    /// A task with the dependencies that hold it back, or that made it fail.
    fn explain_task(&self, task: Arc<Task>, depth: usize) -> BoxFuture<'_, Result<Explanation, Refusal>> {
        async move {
            let mut because = Vec::new();
            let concerns = !matches!(task.status, TaskStatus::Completed | TaskStatus::Running);
            let asked = task.dependencies.iter().filter(|_| concerns && depth > 0);
            for dependency in asked.take(DEPENDENCIES_MAX) {
                // A step's task that has ended is gone.
                let Some(other) = self.cluster.find_task(*dependency).await? else { continue };
                if other.status != TaskStatus::Completed {
                    because.push(self.explain_task(other, depth - 1).await?);
                }
            }
            Ok(explain::task(&self.show_task(&task).await?, because))
        }
        .boxed()
    }
}
