//! Runs: reading, listing, waiting, steering.
//! Knows nothing of which change of status is legal; the rules say that.

use std::{sync::Arc, time::Duration};

use orc_client::wire::{Raw, Reason, RunChanged, RunSummary, RunView, RunsQuery, StepView, WaitQuery, codes};
use orc_domain::{Answer, Command, Definition, Json, Run, RunId, RunStatus, Text};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::{
    Gateway,
    access::unexpected,
    call::Call,
    problem::Refusal,
    render::{
        self,
        run::{Shown, summary},
        waiting::Surroundings,
    },
    reply::{Answered, Reply},
    search::Parameters,
    tasks_create::PAYLOAD_MAX,
    waiters::Subject,
};

/// How long a wait lasts if the caller does not say, and at most.
pub const WAIT: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(300));

/// `GET /runs/{id}`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.run_id()?;
    gateway.fresh(&call).await?;
    let run = gateway.run(id).await?;
    Ok(Reply::json(&gateway.show_run(&run).await?))
}

/// `GET /runs/{id}/steps`
pub async fn steps(gateway: Arc<Gateway>, call: Call) -> Answered {
    #[derive(Serialize)]
    struct Steps {
        items: Vec<StepView>,
    }
    let id = call.run_id()?;
    gateway.fresh(&call).await?;
    let run = gateway.run(id).await?;
    Ok(Reply::json(&Steps { items: gateway.show_run(&run).await?.steps }))
}

/// `GET /runs/{id}/wait`: woken by the run's end.
pub async fn wait(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.run_id()?;
    let query: WaitQuery = call.query()?;
    let deadline = Instant::now() + wait_time(query.timeout);
    gateway.reach(&call).await?;
    if gateway.cluster.find_run(id).await?.is_none() {
        gateway.fresh(&call).await?;
    }
    Ok(Reply::json(&gateway.run_at_its_end(&call, id, deadline).await?))
}

/// The time that a caller wants to wait, within bounds.
pub fn wait_time(asked_ms: Option<u64>) -> Duration {
    asked_ms.map_or(WAIT.0, Duration::from_millis).min(WAIT.1)
}

/// `GET /runs`: newest first, unless asked otherwise.
pub async fn list(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: RunsQuery = call.query()?;
    let (parameters, now) = (Parameters::from(&query), gateway.cluster.now());
    parameters.check::<Run>()?;
    let search = parameters.query::<Run>(now)?;
    gateway.fresh(&call).await?;
    let found = gateway.cluster.list_runs(search).await?;
    parameters.page(&call, found, |run| -> RunSummary { summary(run, now) })
}

/// `DELETE /runs/{id}`: for good, once it has ended.
pub async fn delete(gateway: Arc<Gateway>, call: Call) -> Answered {
    let run = call.run_id()?;
    gateway.fresh(&call).await?;
    if let Err(refusal) = gateway.run(run).await {
        // The same call may have deleted it.
        let Some(idempotency) = call.idempotency()? else { return Err(refusal) };
        if !gateway.cluster.was_answered(idempotency).await? {
            return Err(refusal);
        }
    }
    let mut deletion = gateway.cluster.deletion(&[run]).await?;
    let last = deletion.pop().unwrap_or_default();
    for parts in deletion {
        gateway.accepted(&call, gateway.propose(None, Command::DeleteEnded(parts)).await?).await?;
    }
    let accepted = gateway.command(&call, Command::DeleteEnded(last)).await?;
    Ok(Reply::nothing().rev(accepted.rev).replayed(accepted.replayed))
}

/// `POST /runs/{id}/cancel`
pub async fn cancel(gateway: Arc<Gateway>, call: Call) -> Answered {
    let run = call.run_id()?;
    let reason = reason(&call, "cancelled by a user")?;
    gateway.steer(&call, Command::CancelRun { run, reason }).await
}

/// `POST /runs/{id}/pause`
pub async fn pause(gateway: Arc<Gateway>, call: Call) -> Answered {
    let run = call.run_id()?;
    let _: Reason = call.json_or_default()?;
    gateway.steer(&call, Command::PauseRun { run }).await
}

/// `POST /runs/{id}/resume`
pub async fn resume(gateway: Arc<Gateway>, call: Call) -> Answered {
    let run = call.run_id()?;
    let _: Reason = call.json_or_default()?;
    gateway.steer(&call, Command::ResumeRun { run }).await
}

/// `POST /runs/{id}/terminate`
pub async fn terminate(gateway: Arc<Gateway>, call: Call) -> Answered {
    let run = call.run_id()?;
    let reason = reason(&call, "terminated by a user")?;
    gateway.steer(&call, Command::TerminateRun { run, reason }).await
}

/// `POST /runs/{id}/signals/{name}`: the body is what the awaiting step yields.
pub async fn signal(gateway: Arc<Gateway>, call: Call) -> Answered {
    let (run, name) = (call.run_id()?, call.param("name")?);
    let data: Option<Raw> = call.json_or_default()?;
    if name.len() > 128 {
        return Err(Refusal::bad_request("a signal's name has at most 128 bytes"));
    }
    let data = within(data.as_ref().map_or("null", |data| data.get()), "a signal's data")?;
    gateway.steer(&call, Command::SignalRun { run, name: Text::from(name), data }).await
}

/// JSON of a body that goes into the log, if it is not too long.
pub fn within(json: &str, what: &str) -> Result<Json, Refusal> {
    if json.len() > PAYLOAD_MAX {
        let detail = format!("{what} has at most {PAYLOAD_MAX} bytes");
        let refusal = Refusal::new(codes::PAYLOAD_TOO_LARGE, detail);
        return Err(refusal.hint("keep large data elsewhere and send a reference to it"));
    }
    Ok(Json::from(json))
}

/// Why, as the caller says, else the given words.
pub fn reason(call: &Call, otherwise: &str) -> Result<Text, Refusal> {
    let body: Reason = call.json_or_default()?;
    Ok(text_within_bounds(body.reason.as_deref())?.unwrap_or_else(|| otherwise.into()))
}

/// A reason as the caller gave it.
pub fn text_within_bounds(reason: Option<&str>) -> Result<Option<Text>, Refusal> {
    match reason {
        Some(text) if text.len() > 4_096 => {
            Err(Refusal::invalid("/reason", "a reason has at most 4096 bytes"))
        }
        Some(text) => Ok(Some(text.into())),
        None => Ok(None),
    }
}

impl Gateway {
    async fn steer(&self, call: &Call, command: Command) -> Answered {
        let accepted = self.command(call, command).await?;
        let Answer::Run { id, status } = accepted.answer else { return Err(unexpected(&accepted.answer)) };
        let changed = RunChanged { id: id.to_string(), status: render::run_status(status) };
        Ok(Reply::json(&changed).rev(accepted.rev).replayed(accepted.replayed))
    }

    /// A run that is known here, when it has ended; or as it is at the deadline, or when this node stops.
    pub async fn run_at_its_end(
        &self,
        call: &Call,
        id: RunId,
        deadline: Instant,
    ) -> Result<RunView, Refusal> {
        let mut draining = std::pin::pin!(self.draining());
        loop {
            let woken = self.waiters.listen(Subject::Run(id));
            let run = self.run(id).await?;
            if run.status.is_terminal() {
                return self.show_run(&run).await;
            }
            let waits = async {
                tokio::select! {
                    () = woken.heard() => true,
                    () = &mut draining => false,
                }
            };
            if timeout_at(deadline, waits).await != Ok(true) {
                // Its end may not have reached this node.
                self.fresh(call).await?;
                return self.show_run(&*self.run(id).await?).await;
            }
        }
    }

    /// A run, live or ended.
    pub async fn run(&self, id: RunId) -> Result<Arc<Run>, Refusal> {
        let run = self.cluster.find_run(id).await?;
        run.ok_or_else(|| {
            Refusal::not_found(format!("there is no run {id}")).hint("GET /api/v1/runs lists runs")
        })
    }

    /// A run with its steps and why it waits.
    pub async fn show_run(&self, run: &Run) -> Result<RunView, Refusal> {
        let definition = self.cluster.find_definition(run.definition).await?;
        let surroundings = match run.status.is_terminal() {
            true => None,
            false => Some(Surroundings { holders: self.holders(run).await?, ..self.surroundings().await? }),
        };
        let parent = self.parent_of(run).await?;
        let task = |id| self.cluster.task(&id);
        let shown = Shown {
            run,
            definition: definition.as_deref(),
            task: &task,
            surroundings: surroundings.as_ref(),
            now: self.cluster.now(),
            parent: parent.as_ref().map(|(run, definition)| (&**run, definition.as_deref())),
        };
        Ok(shown.view())
    }

    /// Who holds the concurrency group that a run waits for.
    async fn holders(&self, run: &Run) -> Result<Vec<RunId>, Refusal> {
        match run.group.as_ref().filter(|_| run.status == RunStatus::Queued) {
            Some(group) => Ok(self.cluster.holders(run, group).await?),
            None => Ok(Vec::new()),
        }
    }

    async fn parent_of(&self, run: &Run) -> Result<Option<(Arc<Run>, Option<Arc<Definition>>)>, Refusal> {
        let Some(parent) = &run.parent else { return Ok(None) };
        let Some(parent) = self.cluster.find_run(parent.run).await? else { return Ok(None) };
        let definition = self.cluster.find_definition(parent.definition).await?;
        Ok(Some((parent, definition)))
    }

    /// What reasons for waiting are found from.
    pub async fn surroundings(&self) -> Result<Surroundings, Refusal> {
        Ok(Surroundings {
            components: self.cluster.components(),
            census: self.cluster.census().await?,
            config: self.cluster.config(),
            holders: Vec::new(),
        })
    }
}
