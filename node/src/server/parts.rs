//! The runs that a run has started, and all that goes with a run when it is deleted.
//! Knows nothing of who deletes what, or why.

use std::collections::BTreeMap;

use orc_domain::{CHUNK_ITEMS, DeleteEnded, FanKey, Role, Run, RunId, Work};
use orc_raft::error::ReadError;

use super::Cluster;

/// A row that is deleted.
enum Doomed {
    Run(RunId),
    Fan(FanKey),
}

impl Cluster {
    /// Every run that a run has started, with what it is to it, in the order of time. What a step that was taken over has
    /// started belongs to the earlier run; it is not told apart here.
    pub async fn children_of(&self, run: &Run) -> Result<BTreeMap<RunId, Role>, ReadError> {
        let handlers = run.handling.iter().flat_map(|handling| &handling.started);
        let mut children: BTreeMap<RunId, Role> =
            handlers.map(|(job, child)| (*child, Role::Handler(*job))).collect();
        for (step, state) in (0..).zip(&run.steps) {
            if let Some(Work::Child(child)) = state.work.as_deref() {
                children.insert(*child, Role::Step(step));
            }
        }
        for key in fans(run) {
            let (_, step, number) = key;
            let Some(chunk) = self.find_fan(key).await? else { continue };
            let items = (u32::from(number) * CHUNK_ITEMS..).zip(&chunk.items);
            let started = items.filter_map(|(index, item)| Some((index, item.run?)));
            children.extend(started.map(|(index, child)| (child, Role::Item { step, index })));
        }
        Ok(children)
    }

    /// The commands that delete ended runs with their parts, to be proposed one after the other: parts go before what leads
    /// to them, so that a deletion that was broken off can be begun again.
    pub async fn deletion(&self, runs: &[RunId]) -> Result<Vec<DeleteEnded>, ReadError> {
        let (mut doomed, mut open) = (Vec::new(), runs.to_vec());
        while let Some(id) = open.pop() {
            doomed.push(Doomed::Run(id));
            let Some(run) = self.find_run(id).await? else { continue };
            doomed.extend(fans(&run).map(Doomed::Fan));
            for child in self.children_of(&run).await?.into_keys() {
                let own = |child: &Run| child.parent.as_ref().is_some_and(|parent| parent.run == id);
                if self.find_run(child).await?.is_some_and(|child| own(&child)) {
                    open.push(child);
                }
            }
        }
        doomed.reverse();
        let mut commands = Vec::new();
        for rows in doomed.chunks(DeleteEnded::MAX) {
            let mut command = DeleteEnded::default();
            for row in rows {
                match row {
                    Doomed::Run(run) => command.runs.push(*run),
                    Doomed::Fan(fan) => command.fans.push(*fan),
                }
            }
            commands.push(command);
        }
        Ok(commands)
    }
}

/// The rows of items of a run's steps.
fn fans(run: &Run) -> impl Iterator<Item = FanKey> {
    (0..).zip(&run.steps).flat_map(move |(step, state)| {
        let total = if let Some(Work::Fan(fan)) = state.work.as_deref() { fan.total } else { 0 };
        let rows = u16::try_from(total.div_ceil(CHUNK_ITEMS)).unwrap_or(u16::MAX);
        (0..rows).map(move |number| (run.id, step, number))
    })
}
