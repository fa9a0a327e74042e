//! The search for an order: a linked list of calls and returns, a stack of what was placed, and a cache of sets of placed
//! operations with the state they led to, so that no state is tried twice. Bounded in time and memory.
//! Knows nothing of histories.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::register::{Action, Register};

/// Steps between two looks at the clock.
const STEPS_PER_LOOK: u64 = 4096;
/// What an entry of the cache holds besides its words.
const ENTRY_BYTES: usize = 64;

/// An operation as the search knows it.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    /// What it did.
    pub action: Action,
    /// When it was called.
    pub called_at: u64,
    /// When it had taken effect at the latest; none: perhaps never.
    pub returned_at: Option<u64>,
    /// 0 if it changes nothing, 1 if its end is known; of the others those that help least elsewhere come first.
    pub rank: u8,
    /// One that does the same and was called before, of which neither the end is known: that one goes first.
    pub twin: Option<usize>,
}

/// The last of all ranks.
pub const RANK_MAX: u8 = 5;

/// What a search may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// On the wall.
    pub time: Duration,
    /// About what the cache holds.
    pub cache_bytes: usize,
}

/// Whether there is an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is.
    Valid,
    /// There is none.
    Invalid(Stuck),
    /// A limit was reached, for this reason: no pass.
    Undecided(&'static str),
}

/// How far the best try came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stuck {
    /// The operation that had to be placed and could not.
    pub op: usize,
    /// The one that was placed last.
    pub after: Option<usize>,
    /// How many were placed.
    pub placed: usize,
}

/// Looks for an order of operations, which are in the order of their calls. Lower ranks are tried first.
pub fn search(ops: &[Interval], limits: Limits) -> Verdict {
    let mut search = Search::new(ops);
    let (mut steps, started) = (0_u64, Instant::now());
    while search.list.open_returns > 0 {
        steps += 1;
        if steps.is_multiple_of(STEPS_PER_LOOK) && started.elapsed() > limits.time {
            return Verdict::Undecided("the time was up");
        }
        if search.cache.bytes > limits.cache_bytes {
            return Verdict::Undecided("the memory was used up");
        }
        if !search.step() {
            return Verdict::Invalid(search.best);
        }
    }
    Verdict::Valid
}

struct Search<'a> {
    ops: &'a [Interval],
    list: List,
    cache: Cache,
    /// What answers tell each version to be: no other operation makes it.
    told: HashMap<u64, Option<u32>>,
    /// Operations that are placed, each with the state before it.
    placed: Vec<(usize, Register)>,
    state: Register,
    /// Where the search is in the list, and which rank it tries.
    at: usize,
    rank: u8,
    best: Stuck,
}

impl<'a> Search<'a> {
    fn new(ops: &'a [Interval]) -> Search<'a> {
        let list = List::new(ops);
        Search {
            ops,
            cache: Cache::new(ops),
            told: ops.iter().filter_map(|one| one.action.told()).collect(),
            placed: Vec::new(),
            state: Register::default(),
            at: list.first(),
            rank: 0,
            best: Stuck::default(),
            list,
        }
    }

    /// Places an operation, passes one over, or takes some back; false: there is nothing left to try.
    fn step(&mut self) -> bool {
        let Entry { op, is_return } = self.list.entries[self.at];
        if !is_return {
            match self.after(op) {
                Some(next) if self.cache.place(op, self.state, next) => {
                    self.placed.push((op, self.state));
                    self.state = next;
                    self.list.lift(op);
                    (self.at, self.rank) = (self.list.first(), 0);
                }
                // It changes nothing, so that it may as well be here: without it there is no order either.
                Some(next) if next == self.state => return self.take_back(),
                Some(_) | None => self.at = self.list.next[self.at],
            }
            return true;
        }
        if self.rank < RANK_MAX {
            (self.at, self.rank) = (self.list.first(), self.rank + 1);
            return true;
        }
        if self.placed.len() >= self.best.placed {
            let after = self.placed.last().map(|(op, _)| *op);
            self.best = Stuck { op, after, placed: self.placed.len() };
        }
        self.take_back()
    }

    /// The state after an operation that may be next.
    fn after(&self, op: usize) -> Option<Register> {
        let Interval { action, rank, twin, .. } = self.ops[op];
        if rank != self.rank || twin.is_some_and(|twin| !self.cache.covers(twin)) {
            return None;
        }
        let next = self.state.after(action)?;
        let changes = next != self.state;
        let contradicts = changes && self.told.get(&next.version).is_some_and(|value| *value != next.value);
        (!contradicts).then_some(next)
    }

    /// Takes back what was placed since the last change, and that: something else is tried instead of the change.
    fn take_back(&mut self) -> bool {
        while let Some((op, before)) = self.placed.pop() {
            self.cache.take_back(op, before, self.state);
            self.list.put_back(op);
            let changed = before != self.state;
            self.state = before;
            if changed {
                (self.at, self.rank) = (self.list.next[self.list.call_of(op)], self.ops[op].rank);
                return true;
            }
        }
        false
    }
}

#[derive(Clone, Copy)]
struct Entry {
    op: usize,
    is_return: bool,
}

/// Calls and returns that are not placed, in the order of time; entry 0 is the head.
struct List {
    entries: Vec<Entry>,
    next: Vec<usize>,
    previous: Vec<usize>,
    /// Entries of each operation: its call and, if it has one, its return.
    of_op: Vec<(usize, Option<usize>)>,
    open_returns: usize,
}

impl List {
    fn new(ops: &[Interval]) -> List {
        let calls = ops.iter().enumerate().map(|(op, one)| (one.called_at, false, op));
        let ends = ops.iter().enumerate().filter_map(|(op, one)| Some((one.returned_at?, true, op)));
        let mut times: Vec<(u64, bool, usize)> = calls.chain(ends).collect();
        // What ends and begins at the same time overlaps.
        times.sort_unstable();
        let mut of_op = vec![(0, None); ops.len()];
        let mut entries = vec![Entry { op: usize::MAX, is_return: false }];
        for (_, is_return, op) in times {
            match is_return {
                false => of_op[op].0 = entries.len(),
                true => of_op[op].1 = Some(entries.len()),
            }
            entries.push(Entry { op, is_return });
        }
        let length = entries.len();
        let open_returns = of_op.iter().filter(|(_, end)| end.is_some()).count();
        let next = (1..=length).collect();
        let previous = (0..length).map(|at| at.saturating_sub(1)).chain([length - 1]).collect();
        List { entries, next, previous, of_op, open_returns }
    }

    fn first(&self) -> usize {
        self.next[0]
    }

    fn call_of(&self, op: usize) -> usize {
        self.of_op[op].0
    }

    /// Takes an operation out.
    fn lift(&mut self, op: usize) {
        let (call, end) = self.of_op[op];
        self.unlink(call);
        if let Some(end) = end {
            self.unlink(end);
            self.open_returns -= 1;
        }
    }

    /// Takes back the last `lift`.
    fn put_back(&mut self, op: usize) {
        let (call, end) = self.of_op[op];
        if let Some(end) = end {
            self.link(end);
            self.open_returns += 1;
        }
        self.link(call);
    }

    fn unlink(&mut self, at: usize) {
        let (previous, next) = (self.previous[at], self.next[at]);
        self.next[previous] = next;
        self.previous[next] = previous;
    }

    fn link(&mut self, at: usize) {
        let (previous, next) = (self.previous[at], self.next[at]);
        self.next[previous] = at;
        self.previous[next] = at;
    }
}

/// Sets of placed operations that were tried, each with its state. A set is kept without the full words before its first
/// open operation and without the empty ones at its end: most are a few words long, however long the history.
struct Cache {
    /// Operations that are placed, and those that cannot take effect any more because their version has passed: whether
    /// such a one did makes no difference to what may follow.
    covered: Vec<u64>,
    /// Those that cannot take effect once this version has passed.
    bound_to: HashMap<u64, Vec<usize>>,
    /// Words before this one are full.
    full: usize,
    tried: HashSet<(u32, Box<[u64]>, Register)>,
    bytes: usize,
}

impl Cache {
    fn new(ops: &[Interval]) -> Cache {
        let mut bound_to: HashMap<u64, Vec<usize>> = HashMap::new();
        for (op, one) in ops.iter().enumerate().filter(|(_, one)| one.returned_at.is_none()) {
            match one.action {
                Action::CompareAndSet { expected, .. } if expected > 0 => {
                    bound_to.entry(expected).or_default().push(op)
                }
                _ => {}
            }
        }
        let covered = vec![0; ops.len().div_ceil(64)];
        Cache { covered, bound_to, full: 0, tried: HashSet::new(), bytes: 0 }
    }

    fn covers(&self, op: usize) -> bool {
        self.covered[op / 64] & (1 << (op % 64)) != 0
    }

    /// Places an operation that leads from one state to the next; false, and nothing is placed, where that was tried before.
    fn place(&mut self, op: usize, state: Register, next: Register) -> bool {
        self.cover(op);
        if next.version > state.version {
            for passed in self.bound_to.get(&state.version).cloned().unwrap_or_default() {
                self.cover(passed);
            }
        }
        while self.covered.get(self.full) == Some(&u64::MAX) {
            self.full += 1;
        }
        let words = &self.covered[self.full..];
        let length = words.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
        let start = u32::try_from(self.full).unwrap_or(u32::MAX);
        let fresh = self.tried.insert((start, words[..length].into(), next));
        if fresh {
            self.bytes += ENTRY_BYTES + 8 * length;
        } else {
            self.take_back(op, state, next);
        }
        fresh
    }

    fn take_back(&mut self, op: usize, state: Register, next: Register) {
        self.uncover(op);
        if next.version > state.version {
            for open in self.bound_to.get(&state.version).cloned().unwrap_or_default() {
                self.uncover(open);
            }
        }
    }

    fn cover(&mut self, op: usize) {
        self.covered[op / 64] |= 1 << (op % 64);
    }

    fn uncover(&mut self, op: usize) {
        self.covered[op / 64] &= !(1 << (op % 64));
        self.full = self.full.min(op / 64);
    }
}
