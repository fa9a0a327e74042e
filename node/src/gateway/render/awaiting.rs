//! Why a run or step does not go on that waits for other runs or for people.
//! Knows nothing of tasks or components.

use orc_client::wire::WaitingFor;
use orc_domain::{Definition, Fan, Group, Run, RunId, RunStatus, StepIx, StepKind, Work};

use super::{family::step_id, time, waiting::reason};

/// Why a step that has started and has no task is not done.
pub fn of_work(run: &Run, definition: &Definition, place: StepIx) -> Option<WaitingFor> {
    let step = run.steps.get(usize::from(place))?;
    let found = match step.work.as_deref()? {
        Work::Signal(name) => WaitingFor {
            on: vec![name.to_string()],
            ..reason("signal", format!("it awaits the signal `{name}`"))
        },
        Work::Event(wait) => WaitingFor {
            on: vec![wait.kind.to_string()],
            ..reason("event", format!("it awaits an event `{}`", wait.kind))
        },
        Work::Approval(_) => of_approval(run, definition, place),
        Work::Message(_) => reason("message", "it awaits the reply to its message"),
        Work::Child(child) => {
            WaitingFor { on: vec![child.to_string()], ..reason("children", "the run it has started goes on") }
        }
        Work::Fan(fan) => reason("children", of_fan(fan)),
    };
    Some(WaitingFor { until: step.wakes_at.map(time), ..found })
}

fn of_approval(run: &Run, definition: &Definition, place: StepIx) -> WaitingFor {
    let kind = definition.block(run.block).get(usize::from(place)).map(|def| &def.kind);
    let on: Vec<String> = match kind {
        Some(StepKind::Approval { approvers, .. }) => approvers.iter().map(ToString::to_string).collect(),
        Some(_) | None => Vec::new(),
    };
    let who = if on.is_empty() { "somebody".to_owned() } else { format!("one of {}", on.join(", ")) };
    WaitingFor { on, ..reason("approval", format!("{who} has to approve or reject it")) }
}

fn of_fan(fan: &Fan) -> String {
    let failed = if fan.failed > 0 { format!(", {} of them badly", fan.failed) } else { String::new() };
    format!("{} of {} items are at work, {} have ended{failed}", fan.running, fan.total, fan.ended)
}

/// Why a queued run does not start that would have a place otherwise: its concurrency group is full.
pub fn of_group(group: &Group, holders: &[RunId]) -> Option<WaitingFor> {
    if holders.len() < group.limit as usize {
        return None;
    }
    let (runs, name) = (holders.len(), &group.name);
    let detail = format!("{runs} of {} runs of the concurrency group `{name}` are active", group.limit);
    Some(WaitingFor {
        on: holders.iter().map(ToString::to_string).collect(),
        ..reason("concurrency", detail)
    })
}

/// Why a run goes on after its last step.
pub fn of_handlers(run: &Run, definition: &Definition) -> Option<WaitingFor> {
    let handling = run.handling.as_ref().filter(|_| run.status != RunStatus::Paused)?;
    let current = handling.current?;
    let at_work = handling.started.iter().filter(|(job, _)| *job == current);
    let word = match current {
        orc_domain::Job::Compensate(step) => format!("it undoes `{}`", step_id(run, Some(definition), step)),
        job => format!("its `{}` is at work", job.name()),
    };
    Some(WaitingFor { on: at_work.map(|(_, child)| child.to_string()).collect(), ..reason("handlers", word) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::render::run::tests::{definition, run};
    use orc_domain::{OnConflict, OnTimeout, StepStatus};
    use uuid::Uuid;

    fn check(kind: StepKind, work: Work, status: StepStatus, expected: (&str, &[&str], &str)) {
        let definition = definition(vec![kind]);
        let mut run = run(&definition);
        (run.steps[0].work, run.steps[0].status) = (Some(Box::new(work)), status);
        let waiting = of_work(&run, &definition, 0).expect("it waits");
        let (reason, on, words) = expected;
        assert_eq!((waiting.reason.as_str(), waiting.on.join(" ")), (reason, on.join(" ")));
        assert!(waiting.detail.as_ref().is_some_and(|detail| detail.contains(words)), "{waiting:?}");
    }

    #[test]
    fn a_step_says_whom_or_what_it_awaits() {
        let waiting = StepStatus::Waiting;
        let signal = StepKind::Signal { name: "go".into() };
        check(signal, Work::Signal("go".into()), waiting, ("signal", &["go"], "signal `go`"));
        let approval = |approvers: &[&str]| StepKind::Approval {
            request: "{}".into(),
            templated: false,
            approvers: approvers.iter().map(|one| (*one).into()).collect(),
            on_timeout: OnTimeout::Reject,
        };
        let work = || Work::Approval("{}".into());
        check(approval(&[]), work(), waiting, ("approval", &[], "somebody"));
        check(approval(&["ann", "bob"]), work(), waiting, ("approval", &["ann", "bob"], "one of ann, bob"));
        let fan = Fan { total: 10, next: 5, running: 3, ended: 2, failed: 1 };
        let each = StepKind::ForEach {
            items: "[]".into(),
            block: 1,
            item: "item".into(),
            index: "index".into(),
            key: None,
            parallel_max: 3,
            fail_fast: false,
        };
        let words = "3 of 10 items are at work, 2 have ended, 1 of them badly";
        check(each, Work::Fan(fan), StepStatus::Running, ("children", &[], words));
    }

    #[test]
    fn a_queued_run_says_who_holds_its_group_only_while_that_is_full() {
        let group = Group { name: "prod".into(), limit: 2, on_conflict: OnConflict::Queue };
        let runs = [RunId(Uuid::from_u128(1)), RunId(Uuid::from_u128(2))];
        assert_eq!(of_group(&group, &runs[..1]), None);
        let waiting = of_group(&group, &runs).expect("it is full");
        assert_eq!(waiting.on, runs.map(|run| run.to_string()));
    }
}
