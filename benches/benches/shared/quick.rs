//! How long every bench takes: short enough that the whole set is run before a commit.
//! Knows nothing of what is measured; the command line (`--measurement-time 5`) has the last word.

use std::time::Duration;

use criterion::Criterion;

/// Criterion with our times.
pub fn criterion() -> Criterion {
    let (warm_up, measurement) = (Duration::from_millis(500), Duration::from_millis(1_500));
    Criterion::default().warm_up_time(warm_up).measurement_time(measurement).configure_from_args()
}
