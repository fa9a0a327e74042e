//! Two mistakes made on purpose: a leader shows what records would lead to before they are committed, as one that applies
//! them early does. The state itself is spared, so that nothing else is wrong.
//! Knows nothing of who sees it.

use orc_domain::{Bug, Effect, State, planted};

use super::{
    apply::{Applier, Job, Led, Record, lead},
    drain::Drainer,
    machine::record,
};
use crate::types::{LogEntry, LogId};

/// The state as it will be once a record is committed.
pub struct Presumed {
    state: State,
    upto: LogId,
}

impl Drainer {
    /// Has the apply thread show what records would lead to.
    pub(crate) async fn presume(&self, entries: Vec<LogEntry>) {
        let records: Result<Vec<Record>, _> = entries.into_iter().map(record).collect();
        if let Ok(records) = records {
            // The node is stopping: nobody sees anything.
            let _ = self.core.jobs().send(Job::Presume(records)).await;
        }
    }
}

impl Applier {
    pub(super) fn presume(&mut self, records: Vec<Record>) {
        for Record { id, content } in records {
            let follows = |before: LogId| before.index + 1 == id.index;
            let mut state = match (self.presumed.take(), self.standing.applied) {
                (_, Some(applied)) if follows(applied) => self.state.clone(),
                (Some(presumed), _) if follows(presumed.upto) => presumed.state,
                (_, _) => return,
            };
            let Led { news, effects, .. } = lead(&mut state, id, content);
            if planted(Bug::PublishUncommitted) && !news.is_empty() {
                // Nobody listens: nobody is misled.
                let _ = self.published.events.send(news.into());
            }
            if planted(Bug::DispatchBeforeCommit) {
                self.dispatch(&state, effects);
            }
            self.presumed = Some(Presumed { state, upto: id });
        }
    }

    fn dispatch(&self, state: &State, mut effects: Vec<Effect>) {
        effects.retain(|effect| matches!(effect, Effect::DeliverTask { .. }));
        for effect in &effects {
            if let Effect::DeliverTask { task, .. } = effect {
                self.published.view.tasks.set(vec![(*task, state.tasks.share(task))]);
            }
        }
        if !effects.is_empty() {
            let _ = self.published.effects.send(effects.into());
        }
    }
}
