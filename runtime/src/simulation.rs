//! What a simulation is told by the nodes in it, and tells them. In any other program these do nothing.
//! Knows nothing of consensus beyond that a vote is a promise, and a place in the log has one record.

#[cfg(feature = "simulation")]
mod told {
    use std::{cell::RefCell, collections::BTreeMap, time::Duration};

    use tokio::runtime::{Handle, Id};

    thread_local! {
        static VOTES: RefCell<BTreeMap<u64, (u64, u64)>> = const { RefCell::new(BTreeMap::new()) };
        static GIVEN: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
        static RECORDS: RefCell<BTreeMap<u64, (u64, u64)>> = const { RefCell::new(BTreeMap::new()) };
        static BROKEN: RefCell<Option<String>> = const { RefCell::new(None) };
        static DISK: RefCell<Option<Box<dyn Fn(Id) -> Duration>>> = const { RefCell::new(None) };
    }

    /// A node told another one that it has its vote in this term.
    pub fn vote_given(node: u64, term: u64, candidate: u64) {
        VOTES.with_borrow_mut(|votes| votes.insert(node, (term, candidate)));
        GIVEN.with_borrow_mut(|given| given.push(node));
    }

    /// A node that starts found this vote on its disk.
    ///
    /// # Panics
    /// When it forgot one that it gave.
    pub fn vote_found(node: u64, found: Option<(u64, u64)>) {
        let given = VOTES.with_borrow(|votes| votes.get(&node).copied());
        assert!(found >= given, "P1: node-{node} gave its vote {given:?} and remembers {found:?}");
    }

    /// The nodes that gave a vote since the last call.
    pub fn votes_given() -> Vec<u64> {
        GIVEN.take()
    }

    /// A node applied the record of this leader, a term and a node, at this place in the log.
    pub fn applied(index: u64, leader: (u64, u64)) {
        let first = RECORDS.with_borrow_mut(|records| *records.entry(index).or_insert(leader));
        if first != leader {
            BROKEN.set(Some(format!(
                "P5: at {index} one node applied a record of {first:?}, one of {leader:?}"
            )));
        }
    }

    /// What must never be, if it was since the last call.
    pub fn broken() -> Option<String> {
        BROKEN.take()
    }

    /// Decides how long a write of the node that runs on a runtime takes.
    pub fn slow_disks(delay: impl Fn(Id) -> Duration + 'static) {
        DISK.set(Some(Box::new(delay)));
    }

    /// Waits for as long as a write takes.
    pub async fn disk_write() {
        let id = Handle::current().id();
        let delay = DISK.with_borrow(|disk| disk.as_ref().map_or(Duration::ZERO, |delay| delay(id)));
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

#[cfg(not(feature = "simulation"))]
mod told {
    /// A node told another one that it has its vote in this term.
    pub fn vote_given(_node: u64, _term: u64, _candidate: u64) {}

    /// A node that starts found this vote on its disk.
    pub fn vote_found(_node: u64, _found: Option<(u64, u64)>) {}

    /// A node applied the record of this leader, a term and a node, at this place in the log.
    pub fn applied(_index: u64, _leader: (u64, u64)) {}

    /// Waits for as long as a write takes.
    pub async fn disk_write() {}
}

pub use told::*;
