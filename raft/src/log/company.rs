//! Whether this node alone is a quorum: the newest membership it has seen says so, appended or told.
//! Knows nothing of records beyond their numbers.

use parking_lot::Mutex;

use crate::types::Membership;

/// Who votes beside this node.
pub struct Company {
    /// This node.
    pub node: u64,
    seen: Mutex<Seen>,
}

/// What the membership of the record at `index` says.
struct Seen {
    index: Option<u64>,
    is_alone: bool,
}

impl Company {
    /// Alone, until a membership says otherwise.
    pub fn new(node: u64) -> Company {
        Company { node, seen: Mutex::new(Seen { index: None, is_alone: true }) }
    }

    /// Learns of a membership; one that is older than what is known says nothing.
    pub fn see(&self, index: Option<u64>, membership: &Membership) {
        let mut seen = self.seen.lock();
        if index >= seen.index {
            let mut configs = membership.get_joint_config().iter();
            let is_alone = configs.all(|voters| voters.iter().all(|voter| *voter == self.node));
            *seen = Seen { index, is_alone };
        }
    }

    /// Whether no other node's answer is needed for a quorum.
    pub fn is_alone(&self) -> bool {
        self.seen.lock().is_alone
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn membership(configs: &[&[u64]]) -> Membership {
        let configs: Vec<BTreeSet<u64>> =
            configs.iter().map(|voters| voters.iter().copied().collect()).collect();
        Membership::new(configs, ())
    }

    #[test]
    fn a_node_is_alone_where_every_quorum_is_itself() {
        for (configs, alone) in [
            (&[&[1][..]][..], true),
            (&[&[1, 2]], false),
            (&[&[2]], false),
            (&[&[1], &[1, 2]], false),
            (&[&[1, 2], &[1]], false),
        ] {
            let company = Company::new(1);
            assert!(company.is_alone(), "until it is known");
            company.see(None, &membership(configs));
            assert_eq!(company.is_alone(), alone, "{configs:?}");
        }
    }

    #[test]
    fn the_newest_membership_counts() {
        let company = Company::new(1);
        company.see(Some(7), &membership(&[&[1]]));
        company.see(Some(3), &membership(&[&[1, 2, 3]]));
        assert!(company.is_alone());
        company.see(Some(9), &membership(&[&[1, 2, 3]]));
        assert!(!company.is_alone());
    }
}
