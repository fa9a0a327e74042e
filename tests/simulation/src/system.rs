//! What the simulation answers in the system's place: the time, random numbers, and what a sync of a file means. Only the
//! thread that simulates gets them; the threads of RocksDB go on with the system's.
//! Knows nothing of clusters. The one place with `unsafe`: these are functions of libc, replaced when the program is linked.

#![allow(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    time::{Duration, Instant},
};

use fastrand::Rng;
use libc::{c_int, c_uint, c_void, clockid_t, size_t, ssize_t, timespec};
use tokio::runtime::{Handle, Id};

use crate::power;

/// The simulated time at the beginning, in seconds since 1970.
const BEGINNING: Duration = Duration::from_secs(1_790_000_000);

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
    /// Whether a question for the time is being answered: what answers it may ask again.
    static ANSWERING: Cell<bool> = const { Cell::new(false) };
    static ZERO: Cell<Option<Instant>> = const { Cell::new(None) };
    static LAST: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static RANDOM: RefCell<Option<Rng>> = const { RefCell::new(None) };
    static SKEWS: RefCell<Option<HashMap<Id, i64>>> = const { RefCell::new(None) };
    static LEAPS: RefCell<Option<HashMap<Id, Duration>>> = const { RefCell::new(None) };
}

/// From now on this thread lives in simulated time, with random numbers that follow from the seed.
pub fn begin(seed: u64) {
    RANDOM.set(Some(Rng::with_seed(seed)));
    ON.set(true);
    // Not before: the keys of all hash maps of this thread are drawn for the first of them.
    SKEWS.set(Some(HashMap::new()));
    LEAPS.set(Some(HashMap::new()));
    // The clock says zero outside of any runtime.
    ZERO.set(Some(Instant::now()));
}

/// Sets the wall clock of the node whose runtime this is, in milliseconds off the truth.
pub fn skew(runtime: Id, millis: i64) {
    SKEWS.with_borrow_mut(|skews| skews.as_mut().map(|skews| skews.insert(runtime, millis)));
}

/// Lets the monotonic clock of the node whose runtime this is leap; what waits for a time to pass goes on waiting.
pub fn leap(runtime: Id, by: Duration) {
    LEAPS.with_borrow_mut(|leaps| *leaps.get_or_insert_default().entry(runtime).or_default() += by);
}

/// Time since a runtime began, on its own clock.
fn since_boot() -> Duration {
    let Some(zero) = ZERO.get() else { return Duration::ZERO };
    let Ok(runtime) = Handle::try_current() else { return Duration::ZERO };
    let leapt = LEAPS.with_borrow(|leaps| leaps.as_ref().and_then(|leaps| leaps.get(&runtime.id()).copied()));
    tokio::time::Instant::now().into_std().saturating_duration_since(zero) + leapt.unwrap_or_default()
}

/// Simulated time since the beginning; between two steps that of the last look.
pub fn elapsed() -> Duration {
    let elapsed = turmoil::sim_elapsed().unwrap_or_else(|| LAST.get());
    LAST.set(elapsed);
    elapsed
}

fn wall() -> Duration {
    let elapsed = elapsed();
    let skew = Handle::try_current().ok().and_then(|runtime| {
        SKEWS.with_borrow(|skews| skews.as_ref().and_then(|skews| skews.get(&runtime.id()).copied()))
    });
    let millis = Duration::from_millis(skew.unwrap_or(0).unsigned_abs());
    if skew.unwrap_or(0) < 0 { BEGINNING + elapsed - millis } else { BEGINNING + elapsed + millis }
}

/// The time; see clock_gettime(2).
///
/// # Safety
/// `to` points to a `timespec`, as every caller of the system's function promises.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, to: *mut timespec) -> c_int {
    if !ON.get() {
        // SAFETY: the system's own function with the caller's arguments.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, to) as c_int };
    }
    let now = if ANSWERING.replace(true) {
        Duration::ZERO
    } else {
        let now = match clock {
            libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => wall(),
            _ => since_boot(),
        };
        ANSWERING.set(false);
        now
    };
    // SAFETY: `to` is the caller's to write.
    unsafe { to.write(timespec { tv_sec: now.as_secs() as i64, tv_nsec: i64::from(now.subsec_nanos()) }) };
    0
}

/// Random bytes; see getrandom(2).
///
/// # Safety
/// `to` points to `length` bytes, as every caller of the system's function promises.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(to: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    if !ON.get() {
        // SAFETY: the system's own function with the caller's arguments.
        return unsafe { libc::syscall(libc::SYS_getrandom, to, length, flags) as ssize_t };
    }
    // SAFETY: the caller's bytes, which nobody else has while this runs.
    let bytes = unsafe { std::slice::from_raw_parts_mut(to.cast::<u8>(), length) };
    RANDOM.with_borrow_mut(|random| random.as_mut().expect("set before it was switched on").fill(bytes));
    length as ssize_t
}

/// Random bytes; see getentropy(3).
///
/// # Safety
/// `to` points to `length` bytes, as every caller of the system's function promises.
#[unsafe(no_mangle)]
unsafe extern "C" fn getentropy(to: *mut c_void, length: size_t) -> c_int {
    // SAFETY: passed on as it came.
    if unsafe { getrandom(to, length, 0) } == length as ssize_t { 0 } else { -1 }
}

/// Syncs a file; see fsync(2). On a simulated disk it is written down what now survives a power cut.
#[unsafe(no_mangle)]
extern "C" fn fsync(file: c_int) -> c_int {
    power::synced(file);
    0
}

/// Syncs a file's content; see fdatasync(2).
#[unsafe(no_mangle)]
extern "C" fn fdatasync(file: c_int) -> c_int {
    power::synced(file);
    0
}
