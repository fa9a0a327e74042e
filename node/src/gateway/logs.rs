//! `GET /runs/{id}/logs` and `GET /tasks/{id}/logs`: what was logged on all nodes, page by page.
//! Knows nothing of files or of how nodes are asked.

use std::{collections::BTreeMap, sync::Arc};

use orc_client::wire::{LogLine, LogPage, LogsQuery};
use orc_domain::{Definition, NodeId, Run, RunId, StepDef, StepIx, StepStatus, TaskId};

use super::{
    Gateway,
    call::Call,
    problem::Refusal,
    render,
    reply::{Answered, Reply},
    waiters::Subject,
};
use crate::{
    definition::suggest::did_you_mean,
    logs::{Found, Gathered, Owner, Places, Wanted, gather},
};

/// Lines of a page.
const PAGE_MAX: u32 = 5_000;
const PAGE: u32 = 500;
/// Bytes of the text that is searched for.
const SEARCH_MAX: usize = 1_024;

/// `GET /runs/{id}/logs`
pub async fn of_run(gateway: Arc<Gateway>, call: Call) -> Answered {
    let (log, wanted, places) = gateway.log_of_run(&call).await?;
    gateway.log_page(&log, &wanted, places).await
}

/// `GET /tasks/{id}/logs`
pub async fn of_task(gateway: Arc<Gateway>, call: Call) -> Answered {
    let (log, wanted, places) = gateway.log_of_task(&call).await?;
    gateway.log_page(&log, &wanted, places).await
}

/// A log, as it is kept on all nodes.
pub struct Log {
    /// Whose lines are in it.
    pub owners: Vec<Owner>,
    /// Whose end is its end.
    pub subject: Subject,
    /// What the steps of its runs are called.
    definitions: BTreeMap<RunId, Arc<Definition>>,
}

/// A log, which of its lines are wanted, and after which place.
pub type Asked = (Log, Wanted, Places);

impl Gateway {
    /// What a call wants of a run's log.
    pub async fn log_of_run(&self, call: &Call) -> Result<Asked, Refusal> {
        let id = call.run_id()?;
        let query: LogsQuery = call.query()?;
        let (mut wanted, places) = wanted(&query)?;
        self.fresh(call).await?;
        let run = self.run(id).await?;
        let definition = self.cluster.find_definition(run.definition).await?;
        if let Some(step) = &query.step {
            let steps = definition.as_deref().map_or(&[][..], |definition| definition.block(run.block));
            wanted.steps = Some(vec![step_named(step, steps)?]);
        }
        if query.failed == Some(true) {
            let failed = failed_steps(&run);
            let both = |steps: Vec<StepIx>| steps.into_iter().filter(|step| failed.contains(step)).collect();
            wanted.steps = Some(wanted.steps.map_or_else(|| failed.clone(), both));
        }
        let home = self.log_home(&run).await?;
        wanted.child = (home != id).then_some(id);
        let definitions = definition.map(|definition| (home, definition)).into_iter().collect();
        Ok((Log { owners: vec![Owner::Run(home)], subject: Subject::Run(id), definitions }, wanted, places))
    }

    /// What a call wants of a task's log; a step's task may have ended.
    pub async fn log_of_task(&self, call: &Call) -> Result<Asked, Refusal> {
        let id = call.task_id()?;
        let query: LogsQuery = call.query()?;
        if query.step.is_some() || query.failed.is_some() {
            let refusal = Refusal::bad_request("in the query: `step` and `failed` are about runs");
            return Err(refusal.hint("leave them out: a task is one step at most"));
        }
        let (mut wanted, places) = wanted(&query)?;
        self.fresh(call).await?;
        let (mut owner, mut definitions) = (Owner::from(id), BTreeMap::new());
        match id {
            TaskId::Single(_) => drop(self.task(id).await?),
            TaskId::Step(run, step) => {
                let found = self.run(run).await?;
                if usize::from(step) >= found.steps.len() {
                    return Err(Refusal::not_found(format!(
                        "there is no task {id}: its run has no such step"
                    )));
                }
                wanted.steps = Some(vec![step]);
                let definition = self.cluster.find_definition(found.definition).await?;
                let home = self.log_home(&found).await?;
                (owner, wanted.child) = (Owner::Run(home), (home != run).then_some(run));
                definitions.extend(definition.map(|definition| (home, definition)));
            }
        }
        let log = Log { owners: vec![owner], subject: Subject::Task(id), definitions };
        Ok((log, wanted, places))
    }

    /// The run that has the lines of a run's tasks in its log: children of the same definition are parts of it.
    async fn log_home(&self, run: &Arc<Run>) -> Result<RunId, Refusal> {
        let mut at = run.clone();
        while let Some(parent) = at.parent.as_ref().filter(|_| at.block > 0).map(|parent| parent.run) {
            let Some(row) = self.cluster.find_run(parent).await? else { return Ok(parent) };
            at = row;
        }
        Ok(at.id)
    }

    /// Whether nothing more is logged but what is on its way.
    pub async fn log_has_ended(&self, log: &Log) -> Result<bool, Refusal> {
        Ok(match log.subject {
            Subject::Run(run) => self.run(run).await?.status.is_terminal(),
            Subject::Task(TaskId::Step(run, step)) => {
                let run = self.run(run).await?;
                run.steps.get(usize::from(step)).is_none_or(|step| step.status.is_terminal())
            }
            Subject::Task(task @ TaskId::Single(_)) => self.task(task).await?.status.is_terminal(),
        })
    }

    async fn log_page(&self, log: &Log, wanted: &Wanted, mut places: Places) -> Answered {
        // Looked at first: what is logged after the look is not what the end is about.
        let ended = self.log_has_ended(log).await?;
        let gathered = gather(&self.cluster, &self.logs, &log.owners, wanted, &mut places).await;
        Ok(Reply::json(&log.show(&gathered, &places, ended)))
    }
}

impl Log {
    /// Lines in their public form.
    pub fn show(&self, gathered: &Gathered, places: &Places, ended: bool) -> LogPage {
        LogPage {
            items: gathered.lines.iter().map(|(node, found)| self.line(*node, found)).collect(),
            next: places.to_string(),
            more: gathered.more,
            ended: ended && !gathered.more,
            missing: gathered.missing.iter().map(ToString::to_string).collect(),
        }
    }

    fn line(&self, node: NodeId, found: &Found) -> LogLine {
        let record = &found.record;
        let task = record.task.or_else(|| found.owner.task(record.step));
        let home = match found.owner {
            Owner::Run(run) => Some(run),
            Owner::Task(_) => None,
        };
        let run = task.and_then(TaskId::step).map(|(run, _)| run).or(home);
        let step = record.step.and_then(|step| self.definitions.get(&home?)?.steps.get(usize::from(step)));
        LogLine {
            at: render::time(orc_domain::Timestamp(record.at)),
            node: node.to_string(),
            task_id: task.map(|task| task.to_string()),
            run_id: run.map(|run| run.to_string()),
            step_id: step.map(|step| step.id.to_string()),
            attempt: record.attempt,
            stream: record.stream.clone(),
            text: record.text.clone(),
        }
    }
}

/// Which lines a query wants, but for their steps, and after which place.
fn wanted(query: &LogsQuery) -> Result<(Wanted, Places), Refusal> {
    let bad = |detail: &str| Refusal::bad_request(format!("in the query: {detail}"));
    let count = |name: &str, asked: Option<u32>| match asked {
        Some(count) if !(1..=PAGE_MAX).contains(&count) => {
            Err(bad(&format!("`{name}` must be 1 to {PAGE_MAX}, not {count}")))
        }
        asked => Ok(asked),
    };
    let (limit, tail) = (count("limit", query.limit)?, count("tail", query.tail)?);
    if tail.is_some() && (query.from.is_some() || limit.is_some()) {
        return Err(bad("`tail` excludes `from` and `limit`: it is the end, and a page of its own"));
    }
    if query.q.as_ref().is_some_and(|text| text.len() > SEARCH_MAX) {
        return Err(bad(&format!("`q` has at most {SEARCH_MAX} bytes")));
    }
    let lines = tail.or(limit).unwrap_or(PAGE);
    let text = query.q.clone().filter(|text| !text.is_empty());
    let wanted = Wanted { child: None, steps: None, text, limit: lines as usize, tail: tail.is_some() };
    let places = query.from.as_deref().unwrap_or_default().parse();
    Ok((wanted, places.map_err(|()| bad("`from` is not the `next` of a page"))?))
}

fn step_named(name: &str, steps: &[StepDef]) -> Result<StepIx, Refusal> {
    let place = steps.iter().position(|step| *step.id == *name);
    place.and_then(|place| StepIx::try_from(place).ok()).ok_or_else(|| {
        let known: Vec<&str> = steps.iter().map(|step| &*step.id).collect();
        let meant = did_you_mean(name, known.iter().copied());
        Refusal::bad_request(format!("in the query: the run has no step `{name}`{meant}"))
            .hint(format!("its steps are {}", known.join(", ")))
    })
}

fn failed_steps(run: &Run) -> Vec<StepIx> {
    let failed = |status: StepStatus| matches!(status, StepStatus::Failed | StepStatus::TimedOut);
    let places = run.steps.iter().enumerate().filter(|(_, step)| failed(step.status));
    places.filter_map(|(place, _)| StepIx::try_from(place).ok()).collect()
}
