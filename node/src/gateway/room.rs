//! Which requests add to what is kept: with little room on the disk or in memory they are refused. Whatever ends, frees or
//! reads something is taken as ever. Knows nothing of how the room is measured.

use orc_client::wire::{codes, paths};
use warp::http::Method;

use super::{Gateway, problem::Refusal};
use crate::health::{Memory, Stage};

/// The requests that begin something new.
static GROWING: &[(Method, &str)] = &[
    (Method::POST, paths::RUNS),
    (Method::POST, paths::RUN_RETRY),
    (Method::POST, paths::RUN_RERUN),
    (Method::POST, paths::TASKS),
    (Method::POST, paths::TASK_RETRY),
    (Method::POST, paths::TASKS_DEAD_REQUEUE),
    (Method::PUT, paths::STATE_KEY),
    (Method::POST, paths::STATE_TXN),
    (Method::POST, paths::STATE_RESTORE),
    (Method::POST, paths::SNAPSHOTS),
    (Method::POST, paths::SNAPSHOT_RESTORE),
    (Method::POST, paths::WORKFLOWS),
    (Method::PUT, paths::WORKFLOW),
    (Method::POST, paths::SCHEDULES),
    (Method::PUT, paths::SCHEDULE),
    (Method::POST, paths::SCHEDULE_TRIGGER),
    (Method::POST, paths::HOOK),
    (Method::POST, paths::EVENTS),
];

impl Gateway {
    /// Refuses what begins something new while the disk or the memory has little room.
    pub fn has_room_for(&self, method: &Method, template: &str) -> Result<(), Refusal> {
        match GROWING.iter().any(|(known, path)| known == method && *path == template) {
            true => self.has_room(),
            false => Ok(()),
        }
    }

    /// Refuses while the disk or the memory has little room.
    pub fn has_room(&self) -> Result<(), Refusal> {
        let node = self.cluster.node();
        if let Some(memory) = self.memory().filter(Memory::is_tight) {
            let detail = format!("{node} has little memory left ({memory}): it takes no new work");
            return Err(Refusal::new(codes::INSUFFICIENT_STORAGE, detail).elsewhere().hint(
                "end runs, delete state keys, take messages, or give the nodes more memory (memory.max); what runs goes on",
            ));
        }
        let Some(room) = self.room().filter(|room| room.stage() != Stage::Plenty) else { return Ok(()) };
        let detail = format!("the disk of {node} has little room ({room}): it takes no new work");
        Err(Refusal::new(codes::INSUFFICIENT_STORAGE, detail).elsewhere().hint(format!(
            "ask another node, or make room: above {} MiB {node} takes new work again; what runs goes on",
            room.low >> 20
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::routes::{Found, Router};

    #[test]
    fn every_request_of_the_list_exists() {
        let router = Router::new();
        for (method, template) in GROWING {
            let path = template.replace(['{', '}'], "");
            let found = router.find(method, &path);
            assert!(
                matches!(found, Found::Handler { route, .. } if route.template == *template),
                "{method} {path}"
            );
        }
    }
}
