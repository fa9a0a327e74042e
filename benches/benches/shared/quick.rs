//! What every bench has: times short enough that the whole set is run before a commit, and the allocator of the binary.
//! Knows nothing of what is measured; the command line (`--measurement-time 5`) has the last word.

use std::time::Duration;

use criterion::Criterion;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Criterion with our times.
pub fn criterion() -> Criterion {
    let (warm_up, measurement) = (Duration::from_millis(500), Duration::from_millis(1_500));
    Criterion::default().warm_up_time(warm_up).measurement_time(measurement).configure_from_args()
}
