//! Which runs wait to start, which have started, and which concurrency groups have room.
//! Knows nothing of steps; every entry is a function of a run's row.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::Place;
use crate::{
    ids::{RunId, Text},
    planted::{Bug, planted},
    run::{Run, RunStatus},
};

/// A group's name within its workflow's.
type GroupKey = (Text, Text);

/// What admission has of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    run: RunId,
    /// Its place among those that wait; none once it has started.
    place: Option<Place>,
    /// A child takes no place of its own under `maxConcurrentWorkflows`.
    child: bool,
    group: Option<(GroupKey, u32)>,
}

impl Candidate {
    pub(crate) fn of(run: &Run, place: Place) -> Candidate {
        Candidate {
            run: run.id,
            place: (run.status == RunStatus::Queued).then_some(place),
            child: run.parent.is_some(),
            group: run.group.as_ref().map(|group| ((run.workflow.clone(), group.name.clone()), group.limit)),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Group {
    active: BTreeSet<RunId>,
    waiting: BTreeMap<(Place, RunId), (u32, bool)>,
}

impl Group {
    /// The first that waits, if there is room for it.
    fn next(&self) -> Option<(Place, RunId, bool)> {
        let ((place, run), (limit, child)) = self.waiting.first_key_value()?;
        (self.active.len() < *limit as usize + usize::from(planted(Bug::LimitOffByOne)))
            .then_some((*place, *run, *child))
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Admission {
    active: u32,
    queued: u32,
    /// Those that could start if the limit of active runs allowed it.
    open: BTreeSet<(Place, RunId)>,
    /// Children that can start.
    open_children: BTreeSet<(Place, RunId)>,
    groups: BTreeMap<GroupKey, Group>,
}

impl Admission {
    pub(crate) fn enter(&mut self, candidate: Candidate) {
        let Candidate { run, place, child, group } = candidate;
        if !child {
            match place {
                Some(_) => self.queued += 1,
                None => self.active += 1,
            }
        }
        match (group, place) {
            (None, Some(place)) => drop(self.list(child).insert((place, run))),
            (None, None) => {}
            (Some((key, limit)), place) => self.change_group(key, |group| match place {
                Some(place) => drop(group.waiting.insert((place, run), (limit, child))),
                None => drop(group.active.insert(run)),
            }),
        }
    }

    pub(crate) fn leave(&mut self, candidate: &Candidate) {
        let Candidate { run, place, child, group } = candidate;
        if !child {
            match place {
                Some(_) => self.queued -= 1,
                None => self.active -= 1,
            }
        }
        match (group, place) {
            (None, Some(place)) => drop(self.list(*child).remove(&(*place, *run))),
            (None, None) => {}
            (Some((key, _)), place) => self.change_group(key.clone(), |group| match place {
                Some(place) => drop(group.waiting.remove(&(*place, *run))),
                None => drop(group.active.remove(run)),
            }),
        }
    }

    fn list(&mut self, child: bool) -> &mut BTreeSet<(Place, RunId)> {
        if child { &mut self.open_children } else { &mut self.open }
    }

    fn change_group(&mut self, key: GroupKey, change: impl FnOnce(&mut Group)) {
        let group = self.groups.entry(key.clone()).or_default();
        let before = group.next();
        change(group);
        let after = group.next();
        if group.active.is_empty() && group.waiting.is_empty() {
            self.groups.remove(&key);
        }
        if let Some((place, run, child)) = before {
            self.list(child).remove(&(place, run));
        }
        if let Some((place, run, child)) = after {
            self.list(child).insert((place, run));
        }
    }

    /// The next run to start, `limit` being that of active runs.
    pub(crate) fn next(&self, limit: u32) -> Option<RunId> {
        let child = self.open_children.first();
        let whole = self.open.first().filter(|_| self.active < limit);
        child.or(whole).map(|(_, run)| *run)
    }

    pub(crate) fn active(&self) -> u32 {
        self.active
    }

    pub(crate) fn queued(&self) -> u32 {
        self.queued
    }

    /// The runs of a group: those that have started, and those that wait, the first one first.
    pub(crate) fn group(&self, workflow: &Text, name: &Text) -> (Vec<RunId>, Vec<RunId>) {
        let Some(group) = self.groups.get(&(workflow.clone(), name.clone())) else {
            return (Vec::new(), Vec::new());
        };
        let waiting = group.waiting.keys().map(|(_, run)| *run).collect();
        (group.active.iter().copied().collect(), waiting)
    }
}
