//! Why something waits or how it came to its end, in sentences made of its public form.
//! Knows nothing of where that comes from.

use orc_client::wire::{
    AttemptView, ErrorBody, Explanation, RunView, StepStatus, StepView, TaskView, WaitingFor,
};

/// Steps that the explanation of a run names.
const STEPS_MAX: usize = 20;

/// A task; `because` are the dependencies that matter.
pub fn task(view: &TaskView, because: Vec<Explanation>) -> Explanation {
    let attempts = Attempts { started: view.attempts, lost: view.lost, of: &view.history };
    let mut unblock: Vec<String> =
        view.waiting_for.iter().map(|waiting| remedy(waiting, &view.action)).collect();
    if view.dead_at.is_some() {
        unblock.push(format!(
            "it is on the dead-letter list: `orc task retry {}` makes a new task of it",
            view.id
        ));
    }
    Explanation {
        id: view.id.clone(),
        name: view.name.clone(),
        status: view.status.to_string(),
        summary: summary(
            view.status.as_str(),
            view.waiting_for.as_ref(),
            view.error.as_ref(),
            (&attempts, view.component.as_deref()),
        ),
        waiting_for: view.waiting_for.clone(),
        error: view.error.clone(),
        unblock,
        history: view.history.clone(),
        because,
    }
}

/// A run; the steps that wait or did not end well are its reasons.
pub fn run(view: &RunView) -> Explanation {
    let matters = |step: &&StepView| {
        let ended_badly = matches!(step.status, StepStatus::Failed | StepStatus::TimedOut);
        let waits = step.waiting_for.as_ref().is_some_and(|waiting| waiting.reason != "dependencies");
        ended_badly || (waits && !view.status.is_terminal()) || step.status == StepStatus::Running
    };
    let because: Vec<Explanation> = view.steps.iter().filter(matters).take(STEPS_MAX).map(step).collect();
    let mut unblock: Vec<String> = view.waiting_for.iter().map(|waiting| remedy(waiting, "")).collect();
    if !because.is_empty() {
        unblock = because.iter().flat_map(|step| step.unblock.clone()).collect();
        unblock.dedup();
    }
    let none = Attempts { started: 0, lost: 0, of: &[] };
    let summary = match view.conclusion.as_deref() {
        Some("gated") => "it completed: a condition was false, what followed it was skipped".to_owned(),
        _ => summary(view.status.as_str(), view.waiting_for.as_ref(), view.error.as_ref(), (&none, None)),
    };
    Explanation {
        id: view.id.clone(),
        name: view.workflow.clone(),
        status: view.status.to_string(),
        summary,
        waiting_for: view.waiting_for.clone(),
        error: view.error.clone(),
        unblock,
        history: Vec::new(),
        because,
    }
}

fn step(view: &StepView) -> Explanation {
    let lost = view.history.iter().filter(|attempt| attempt.lost).count();
    let attempts =
        Attempts { started: view.attempts, lost: u32::try_from(lost).unwrap_or(u32::MAX), of: &view.history };
    Explanation {
        id: view.id.clone(),
        name: view.name.clone(),
        status: view.status.to_string(),
        summary: summary(
            view.status.as_str(),
            view.waiting_for.as_ref(),
            view.error.as_ref(),
            (&attempts, view.component.as_deref()),
        ),
        waiting_for: view.waiting_for.clone(),
        error: view.error.clone(),
        unblock: view.waiting_for.iter().map(|waiting| remedy(waiting, "")).collect(),
        history: view.history.clone(),
        because: Vec::new(),
    }
}

struct Attempts<'a> {
    started: u32,
    lost: u32,
    of: &'a [AttemptView],
}

impl Attempts<'_> {
    fn count(&self) -> String {
        let attempts = match self.started {
            0 => return "without an attempt".to_owned(),
            1 => "after 1 attempt".to_owned(),
            many => format!("after {many} attempts"),
        };
        match self.lost {
            0 => attempts,
            1 => format!("{attempts}, 1 of them lost"),
            lost => format!("{attempts}, {lost} of them lost"),
        }
    }
}

/// One sentence, without a full stop.
fn summary(
    status: &str,
    waiting: Option<&WaitingFor>,
    error: Option<&ErrorBody>,
    (attempts, component): (&Attempts<'_>, Option<&str>),
) -> String {
    let why = error.map(|error| format!(": {}: {}", error.code, error.message)).unwrap_or_default();
    if let Some(waiting) = waiting {
        return format!("it waits: {}", waiting.detail.as_ref().unwrap_or(&waiting.reason));
    }
    match status {
        "completed" => match attempts.of.last() {
            Some(last) => format!("it completed on {} {}", last.component, attempts.count()),
            None => "it completed".to_owned(),
        },
        "failed" | "timed_out" if attempts.started > 0 => {
            let word = if status == "failed" { "failed" } else { "timed out" };
            format!("it {word} {}{why}", attempts.count())
        }
        "failed" => format!("it failed{why}"),
        "timed_out" => format!("it timed out{why}"),
        "cancelled" => format!("it was cancelled{why}"),
        "running" => match component {
            Some(component) => format!("attempt {} runs on {component}", attempts.started),
            None => "it is at work".to_owned(),
        },
        other => format!("it is {other}"),
    }
}

/// What would let it go on.
fn remedy(waiting: &WaitingFor, action: &str) -> String {
    let on = waiting.on.first().map_or("", String::as_str);
    let action = if action.is_empty() { "its action" } else { action };
    match waiting.reason.as_str() {
        "dependencies" => format!("{} must complete first", waiting.on.join(", ")),
        "component" if on.is_empty() => format!("start a worker that offers {action}"),
        "component" => {
            format!("connect {}, or start another worker that offers {action}", waiting.on.join(", "))
        }
        "labels" => format!("start a worker that offers {action} and has these labels"),
        "slot" => {
            format!("it starts when {} has a free slot; more slots or workers help", waiting.on.join(" or "))
        }
        "limit" => {
            let holders = match waiting.on.get(1..).unwrap_or_default() {
                [] => "its holders".to_owned(),
                some => some.join(", "),
            };
            format!("it starts when one of {holders} ends; PUT /api/v1/cluster/config raises {on}")
        }
        "timer" => match waiting.until {
            Some(until) => format!("it goes on by itself at {until}"),
            None => "it goes on by itself".to_owned(),
        },
        "pause" if on.starts_with("run_") => format!("`orc runs resume {on}`"),
        "pause" if !on.is_empty() => format!("`orc task backlog resume {on}`"),
        "pause" => "`orc runs resume` lets it go on".to_owned(),
        "signal" => format!("`orc runs signal` with `{on}` lets it go on"),
        "approval" if on.is_empty() => "somebody decides: `orc approval list`".to_owned(),
        "approval" => format!("{} decides: `orc approval list`", waiting.on.join(" or ")),
        "message" => "it goes on with the component's reply".to_owned(),
        "children" if on.is_empty() => "it goes on when its items have ended".to_owned(),
        "children" => format!("it goes on when {on} has ended"),
        "concurrency" => format!("it starts when one of {} ends", waiting.on.join(", ")),
        "handlers" => format!("it ends after {on}"),
        "evaluation" => "the leader answers within moments".to_owned(),
        other => format!("it waits for: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(reason: &str, on: &[&str]) -> WaitingFor {
        let on = on.iter().map(ToString::to_string).collect();
        WaitingFor { reason: reason.to_owned(), detail: None, on, until: None }
    }

    #[test]
    fn every_reason_has_a_remedy_that_names_what_it_can() {
        let check = |waiting: WaitingFor, expected: &str| {
            let remedy = remedy(&waiting, "train");
            assert!(remedy.contains(expected), "{expected:?} is not in {remedy:?}");
        };
        check(waiting("dependencies", &["task_1", "task_2"]), "task_1, task_2 must complete");
        check(waiting("component", &[]), "offers train");
        check(waiting("component", &["ann"]), "connect ann");
        check(waiting("limit", &["maxConcurrentTasks", "task_9"]), "one of task_9 ends");
        check(waiting("pause", &["run_1"]), "orc runs resume run_1");
        check(waiting("pause", &["train"]), "orc task backlog resume train");
        check(waiting("signal", &["go"]), "`go`");
        check(waiting("approval", &["ann", "bob"]), "ann or bob decides");
        check(waiting("concurrency", &["run_1", "run_2"]), "one of run_1, run_2 ends");
        check(waiting("something new", &[]), "something new");
    }

    #[test]
    fn an_end_is_told_with_its_attempts() {
        let error = ErrorBody::new("FLAKY", "it broke");
        let told = |status, started, lost| {
            summary(status, None, Some(&error), (&Attempts { started, lost, of: &[] }, None))
        };
        assert_eq!(told("failed", 3, 1), "it failed after 3 attempts, 1 of them lost: FLAKY: it broke");
        assert_eq!(told("timed_out", 0, 0), "it timed out: FLAKY: it broke");
        assert_eq!(told("cancelled", 0, 0), "it was cancelled: FLAKY: it broke");
    }
}
