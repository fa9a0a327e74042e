//! P12: as many attempts as the retry policy says and no more; with one attempt and none to lose, at most one.

use alloc::collections::BTreeMap;

use super::*;

#[derive(Default, Clone, Copy)]
struct Counted {
    started: u32,
    failed: u32,
    lost: u32,
}

#[derive(Default)]
struct Exact {
    counted: BTreeMap<TaskId, Counted>,
    policies: BTreeMap<TaskId, Retry>,
}

impl Property for Exact {
    fn watch(&mut self, happened: &Happened<'_>) -> Result<(), String> {
        for (id, task) in happened.state.tasks.iter() {
            self.policies.entry(*id).or_insert_with(|| task.retry.clone());
        }
        for recorded in happened.events {
            let task = match &recorded.event {
                Event::RunCreated(create) => {
                    let of_run = |task: &TaskId| task.step().is_some_and(|(run, _)| run == create.id);
                    self.counted.retain(|task, _| !of_run(task));
                    self.policies.retain(|task, _| !of_run(task) || happened.state.tasks.contains(task));
                    continue;
                }
                Event::TaskCreated(task) => {
                    self.counted.remove(&task.id);
                    self.policies.insert(task.id, task.retry.clone());
                    continue;
                }
                Event::TaskAssigned { task, .. } => {
                    self.counted.entry(*task).or_default().started += 1;
                    task
                }
                Event::AttemptFailed { task, lost, .. } => {
                    let counted = self.counted.entry(*task).or_default();
                    counted.lost += u32::from(*lost);
                    counted.failed += u32::from(!*lost);
                    task
                }
                _ => continue,
            };
            let (counted, policy) = (self.counted[task], self.policies.get(task));
            let Some(Retry { limit, lost_max, .. }) = policy else { continue };
            let allowed = counted.failed <= *limit
                && counted.lost <= lost_max + 1
                && counted.started <= limit + lost_max;
            if !allowed {
                return Err(format!(
                    "{task}: {} attempts, {} failed, {} lost, with limit {limit} and {lost_max} to lose",
                    counted.started, counted.failed, counted.lost
                ));
            }
        }
        Ok(())
    }
}

#[test]
fn attempts_are_as_many_as_the_policy_says() {
    holds::<Exact>();
}

#[test]
fn an_attempt_too_many_is_noticed() {
    let broken = breaks::<Exact>(|state, _| {
        // A rule that forgets to count: a failed attempt is followed by another one without end.
        let failing = state.tasks.iter().find_map(|(id, task)| Some((*id, task.assignment.as_ref()?.token)));
        let Some((task, token)) = failing else { return Vec::new() };
        let failure = Failure::new("BROKEN", "again");
        vec![Event::AttemptFailed { task, token, failure, lost: false, retry_at: Some(state.meta.now) }]
    });
    assert!(broken.contains("attempts"), "{broken}");
}
