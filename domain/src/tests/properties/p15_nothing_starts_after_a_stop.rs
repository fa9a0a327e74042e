//! P15: once a pause, a cancel or a time-out is acknowledged no attempt of the run or of its children starts, handlers
//! excepted; running ones are told.

use alloc::collections::{BTreeMap, BTreeSet};

use super::*;

#[derive(Default)]
struct NothingStarts {
    paused: BTreeSet<RunId>,
    stopped: BTreeSet<RunId>,
    /// Children that end with their parent: items and child workflows.
    parents: BTreeMap<RunId, (RunId, bool)>,
}

impl NothingStarts {
    /// What holds the run back, by itself or through those around it.
    fn held(&self, run: RunId) -> Option<String> {
        let mut at = run;
        loop {
            if self.paused.contains(&at) {
                return Some(format!("{at} is paused"));
            }
            if self.stopped.contains(&at) {
                return Some(format!("{at} winds down"));
            }
            match self.parents.get(&at) {
                Some((parent, handler)) => {
                    // A handler runs because its parent was stopped; a pause holds it, too.
                    if *handler {
                        return self.paused.contains(parent).then(|| format!("{parent} is paused"));
                    }
                    at = *parent;
                }
                None => return None,
            }
        }
    }
}

impl Property for NothingStarts {
    fn watch(&mut self, happened: &Happened<'_>) -> Result<(), String> {
        // Facts of one entry settle together: what counts is what starts in later ones.
        for recorded in happened.events {
            let Event::TaskAssigned { task, .. } = &recorded.event else { continue };
            let Some((run, _)) = task.step() else { continue };
            let resumes = |event: &Event| matches!(event, Event::RunResumed { .. } | Event::RunCreated(_));
            let resumed = happened.events.iter().any(|recorded| resumes(&recorded.event));
            if let Some(why) = self.held(run).filter(|_| !resumed) {
                return Err(format!("{task} started while {why}"));
            }
        }
        for recorded in happened.events {
            match &recorded.event {
                Event::RunCreated(create) => {
                    self.paused.remove(&create.id);
                    self.stopped.remove(&create.id);
                    self.parents.remove(&create.id);
                    if let Some(parent) = &create.parent {
                        let handler = matches!(parent.role, Role::Handler(_));
                        self.parents.insert(create.id, (parent.run, handler));
                    }
                }
                Event::RunPaused { run } => {
                    self.paused.insert(*run);
                }
                Event::RunResumed { run } => {
                    self.paused.remove(run);
                }
                Event::RunCancelRequested { run, .. } | Event::RunTimedOut { run } => {
                    self.paused.remove(run);
                    self.stopped.insert(*run);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[test]
fn nothing_starts_after_a_pause_or_cancel() {
    holds::<NothingStarts>();
}

#[test]
fn an_attempt_of_a_paused_run_is_noticed() {
    let broken = breaks::<NothingStarts>(|state, _| {
        let held = state.tasks.iter().find(|(_, task)| task.status == TaskStatus::Queued && task.held);
        let free = state.components.iter().find(|(_, component)| component.live_session().is_some());
        let (Some((task, _)), Some((component, _))) = (held, free) else { return Vec::new() };
        let token = Token(state.meta.token.0 + 1);
        let deadline = state.meta.now + Duration::from_secs(1);
        vec![Event::TaskAssigned { task: *task, component: component.clone(), token, deadline }]
    });
    assert!(broken.contains("is paused"), "{broken}");
}
