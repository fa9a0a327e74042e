//! Pauses between attempts: they double from 50 ms to 1 s and are spread at random.
//! Knows nothing of what is tried.

use std::time::Duration;

use uuid::Uuid;

const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause between two attempts.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The pause after the `failures`-th failure in a row, counted from 0: between half and all of its doubled length.
pub(crate) fn pause(failures: u32) -> Duration {
    let full = PAUSE_MIN.saturating_mul(2_u32.saturating_pow(failures.min(10))).min(PAUSE_MAX);
    let spread = u32::try_from(Uuid::now_v7().as_u128() & 0xffff).expect("16 bits fit");
    full / 2 + (full / 2) * spread / 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        for failures in [0, 1, 4, 5, 31, u32::MAX] {
            let full = if failures < 5 { PAUSE_MIN * (1 << failures) } else { PAUSE_MAX };
            let pause = pause(failures);
            assert!(pause >= full / 2 && pause <= full, "{failures}: {pause:?}");
        }
    }
}
