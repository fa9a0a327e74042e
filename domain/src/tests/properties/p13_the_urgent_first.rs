//! P13: of tasks that want the same, none is passed over: who was queued all along with a better place (more urgent, or
//! as urgent and earlier) goes first.

use alloc::collections::BTreeMap;

use super::*;

type Want = (ActionName, Labels);

#[derive(Default)]
struct UrgentFirst {
    /// Those that waited when the last command was done.
    waiting: BTreeMap<TaskId, (Want, u64)>,
    head_start: Duration,
}

fn place(task: &Task, head_start: Duration) -> u64 {
    let start = u64::try_from(head_start.as_millis()).unwrap_or(u64::MAX);
    task.ready_at.0 + start * u64::from(5 - task.priority.level())
}

impl Property for UrgentFirst {
    fn watch(&mut self, happened: &Happened<'_>) -> Result<(), String> {
        let head_start = happened.state.config().head_start;
        let same_rules = head_start == self.head_start;
        let still = |id: &TaskId| {
            let task = happened.state.tasks.get(id);
            task.is_some_and(|task| task.status == TaskStatus::Queued && !task.held)
        };
        for recorded in happened.events.iter().filter(|_| same_rules) {
            let Event::TaskAssigned { task, .. } = &recorded.event else { continue };
            let Some(assigned) = happened.state.tasks.get(task) else { continue };
            let (want, at) =
                ((assigned.action.clone(), assigned.labels.clone()), place(assigned, head_start));
            let passed = self
                .waiting
                .iter()
                .find(|(id, (other, better))| *other == want && (*better, **id) < (at, *task) && still(id));
            if let Some((id, _)) = passed {
                return Err(format!("{task} went before {id}"));
            }
        }
        self.head_start = head_start;
        let queued = happened.state.tasks.iter().filter(|(id, _)| still(id));
        let entry = |(id, task): (&TaskId, &Task)| {
            (*id, ((task.action.clone(), task.labels.clone()), place(task, head_start)))
        };
        self.waiting = queued.map(entry).collect();
        Ok(())
    }
}

#[test]
fn nobody_is_passed_over() {
    holds::<UrgentFirst>();
}

#[test]
fn a_task_that_jumps_the_queue_is_noticed() {
    let broken = breaks::<UrgentFirst>(|state, _| {
        let queued = state.tasks.iter().filter(|(_, task)| task.status == TaskStatus::Queued && !task.held);
        let last = queued.max_by_key(|(_, task)| place(task, state.config().head_start));
        let free = state.components.iter().find(|(_, component)| component.live_session().is_some());
        let (Some((task, _)), Some((component, _))) = (last, free) else { return Vec::new() };
        let token = Token(state.meta.token.0 + 1);
        let deadline = state.meta.now + Duration::from_secs(1);
        vec![Event::TaskAssigned { task: *task, component: component.clone(), token, deadline }]
    });
    assert!(broken.contains("went before"), "{broken}");
}
