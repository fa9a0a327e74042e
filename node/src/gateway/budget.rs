//! Bytes of memory that all connections of a node may hold together: whoever wants some takes a share of them before, and
//! gives it back by dropping it. Knows nothing of what is held.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use orc_domain::Unavailable;

use super::problem::Refusal;

/// When to ask again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// So many bytes, for all together.
#[derive(Debug)]
pub struct Budget {
    free: AtomicI64,
}

impl Budget {
    /// A budget of which nothing is taken.
    pub fn new(bytes: usize) -> Arc<Budget> {
        Arc::new(Budget { free: AtomicI64::new(signed(bytes)) })
    }

    /// A share of so many bytes. Nobody gets more than half of what is left, so there is always room for what is small.
    pub fn take(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let mut share = self.nothing();
        share.grow(bytes).then_some(share)
    }

    /// The same for one who holds so many already: all that it holds is at most a quarter of what is left. So many who are
    /// slow to give back leave room for those who are not.
    pub fn take_more(self: &Arc<Self>, bytes: usize, held: usize) -> Option<Share> {
        if held > 0 && signed(held + bytes) > self.free() / 4 {
            return None;
        }
        self.take(bytes)
    }

    /// A share without any bytes.
    pub fn nothing(self: &Arc<Self>) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }

    /// Below zero where more came than was expected.
    fn free(&self) -> i64 {
        self.free.load(Ordering::Relaxed)
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Bytes that somebody may hold.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    /// How many.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes it one of so many bytes, if there is room for them. One that has some gets more only while all that it has is at
    /// most a quarter of what is left.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let fits = |free: i64| {
            more == 0 || signed(more) <= free / 2 && (self.bytes == 0 || signed(bytes) <= free / 4)
        };
        let less = |free: i64| fits(free).then(|| free - signed(more));
        let taken = self.budget.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        if taken {
            self.bytes += more;
        }
        taken
    }

    /// Makes it one of so many bytes, even where there is no room for them: they are there already.
    pub fn become_of(&mut self, bytes: usize) {
        let more = bytes.saturating_sub(self.bytes);
        self.budget.free.fetch_sub(signed(more), Ordering::Relaxed);
        self.bytes += more;
        self.shrink(bytes);
    }

    /// Gives back what is not needed.
    pub fn shrink(&mut self, bytes: usize) {
        let back = self.bytes.saturating_sub(bytes);
        self.bytes -= back;
        self.budget.free.fetch_add(signed(back), Ordering::Relaxed);
    }

    /// Bytes that hold it until nobody has them any more.
    pub fn with(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Held { bytes, _share: self })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

struct Held {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What somebody hears for whom there is no room.
pub fn refusal() -> Refusal {
    Refusal::from(Unavailable::Overloaded { retry_after: RETRY_AFTER }).hint(
        "this node holds as much of requests and answers as it may: send less at once, or ask another node",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let budget = Budget::new(1000);
        let first = budget.take(500).expect("half of it");
        assert!(budget.take(251).is_none(), "more than half of what is left");
        let mut second = budget.take(50).expect("it is left");
        assert!(second.grow(100) && !second.grow(101), "a quarter of what is left");
        second.shrink(50);
        assert_eq!((budget.free(), second.bytes()), (450, 50));
        second.become_of(800);
        assert!(budget.free() == -300 && budget.take(1).is_none() && budget.take(0).is_some());
        second.become_of(50);
        let bytes = first.with(Bytes::from_static(b"abc"));
        let part = bytes.slice(1..);
        drop(bytes);
        assert_eq!((budget.free(), &part[..]), (450, &b"bc"[..]), "a part of it is held");
        drop((part, second));
        assert_eq!(budget.free(), 1000);
    }

    #[test]
    fn many_who_hold_much_leave_room_for_one_who_holds_nothing() {
        let budget = Budget::new(1 << 20);
        let mut shares: Vec<(usize, Vec<Share>)> = (0..1_000).map(|_| (0, Vec::new())).collect();
        for _ in 0..1_000 {
            for (held, of_one) in &mut shares {
                if let Some(share) = budget.take_more(256, *held) {
                    *held += share.bytes();
                    of_one.push(share);
                }
            }
        }
        assert!(budget.take_more(1 << 10, 0).is_some(), "{} are left", budget.free());
        assert!(shares.iter().all(|(held, _)| *held > 0), "each has some");
    }
}
