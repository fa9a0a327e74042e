//! A step that awaits somebody's decision, in its public form, and its id.
//! Knows nothing of who decides.

use std::{fmt, str::FromStr};

use orc_client::wire::ApprovalView;
use orc_domain::{BadId, Definition, Run, RunId, StepIx, StepKind, StepStatus, TaskId, Work};

use super::{raw, time};

/// Names an approval as tasks of steps are named: `appr_` and the run's 26 characters, then the step's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalId(pub RunId, pub StepIx);

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&TaskId::Step(self.0, self.1).to_string().replacen("task_", "appr_", 1))
    }
}

impl FromStr for ApprovalId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let task = text.strip_prefix("appr_").and_then(|rest| format!("task_{rest}").parse::<TaskId>().ok());
        task.and_then(TaskId::step).map(|(run, step)| ApprovalId(run, step)).ok_or_else(|| BadId {
            text: text.to_owned(),
            expected: "an approval's id (appr_, 26 characters, - and a number)",
        })
    }
}

/// A step that awaits somebody's decision, if it still does.
pub fn approval(run: &Run, definition: &Definition, place: StepIx) -> Option<ApprovalView> {
    let step = run.steps.get(usize::from(place)).filter(|step| step.status == StepStatus::Waiting)?;
    let Some(Work::Approval(request)) = step.work.as_deref() else { return None };
    let def = definition.block(run.block).get(usize::from(place))?;
    let StepKind::Approval { approvers, .. } = &def.kind else { return None };
    Some(ApprovalView {
        id: ApprovalId(run.id, place).to_string(),
        run_id: run.id.to_string(),
        workflow: run.workflow.to_string(),
        step: def.id.to_string(),
        step_name: def.name.to_string(),
        request: raw(request),
        approvers: approvers.iter().map(ToString::to_string).collect(),
        since: step.started_at.map(time),
        until: step.wakes_at.map(time),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn ids_survive_their_text_form_and_others_are_none() {
        let run = RunId(Uuid::from_u128(77));
        let id = ApprovalId(run, 3);
        assert_eq!(id.to_string(), format!("{}-3", run.to_string().replace("run_", "appr_")));
        assert_eq!(id.to_string().parse(), Ok(id));
        let whole = run.to_string().replace("run_", "appr_");
        for other in [whole.as_str(), "appr_x-1", &TaskId::Step(run, 3).to_string()] {
            assert!(other.parse::<ApprovalId>().is_err(), "{other}");
        }
    }
}
