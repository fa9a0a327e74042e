//! What one evaluation may use: iterations, bytes made, time. The crate `cel` has no limits of its own, so the rewritten
//! expression reports here. An evaluation runs on one thread from start to end, so the account is the thread's.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use cel::ExecutionError;

/// Elements that all comprehensions of an evaluation may visit together.
const ITERATIONS_MAX: u64 = 100_000;
/// Bytes that an evaluation may copy or make, about.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Time that an evaluation may take.
const TIME_MAX: Duration = Duration::from_secs(2);

struct Account {
    iterations: u64,
    bytes: u64,
    until: Instant,
    exhausted: Option<&'static str>,
}

thread_local! {
    static ACCOUNT: RefCell<Option<Account>> = const { RefCell::new(None) };
}

/// Runs an evaluation on a fresh account; the error names what it used up, even where an operator swallowed that.
pub(super) fn limited<T>(evaluate: impl FnOnce() -> T) -> Result<T, &'static str> {
    let account = Account { iterations: 0, bytes: 0, until: Instant::now() + TIME_MAX, exhausted: None };
    ACCOUNT.set(Some(account));
    let value = evaluate();
    match ACCOUNT.take().and_then(|account| account.exhausted) {
        Some(limit) => Err(limit),
        None => Ok(value),
    }
}

/// Charges for a call.
pub(super) fn tick() -> Result<(), ExecutionError> {
    charge(0, 0)
}

/// Charges for a comprehension over this many elements of this many bytes.
pub(super) fn iterate(elements: u64, bytes: u64) -> Result<(), ExecutionError> {
    charge(elements, bytes)
}

/// Charges for a value copied or made.
pub(super) fn weigh(bytes: u64) -> Result<(), ExecutionError> {
    charge(0, bytes)
}

fn charge(iterations: u64, bytes: u64) -> Result<(), ExecutionError> {
    ACCOUNT.with_borrow_mut(|account| {
        let Some(account) = account else { return Ok(()) };
        account.iterations = account.iterations.saturating_add(iterations);
        account.bytes = account.bytes.saturating_add(bytes);
        if account.iterations > ITERATIONS_MAX {
            account.exhausted.get_or_insert("100,000 iterations");
        } else if account.bytes > BYTES_MAX {
            account.exhausted.get_or_insert("16 MiB");
        } else if Instant::now() > account.until {
            account.exhausted.get_or_insert("2 seconds");
        }
        match account.exhausted {
            Some(limit) => Err(ExecutionError::function_error("limit", limit)),
            None => Ok(()),
        }
    })
}
