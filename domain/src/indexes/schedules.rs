//! The entries of schedules: when they are due, and which have instants that nothing holds back.

use super::{Due, Indexes};
use crate::{names::ScheduleId, schedule::Schedule};

impl Indexes {
    pub(crate) fn add_schedule(&mut self, schedule: &Schedule) {
        let id = &schedule.spec.id;
        self.due.extend(schedule.due_at().map(|at| (at, Due::Schedule(id.clone()))));
        if schedule.is_ready() {
            self.schedules_ready.insert(id.clone());
        }
    }

    pub(crate) fn remove_schedule(&mut self, schedule: &Schedule) {
        let id = &schedule.spec.id;
        if let Some(at) = schedule.due_at() {
            self.due.remove(&(at, Due::Schedule(id.clone())));
        }
        self.schedules_ready.remove(id);
    }

    pub(crate) fn first_ready_schedule(&self) -> Option<&ScheduleId> {
        self.schedules_ready.first()
    }
}
