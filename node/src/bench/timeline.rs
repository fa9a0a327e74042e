//! The arithmetic of a crash: how long no write was acknowledged, when the rate was back, what was lost.
//! Knows times and numbers, nothing of nodes.

use std::time::Duration;

/// Rates are counted in windows of this length.
const WINDOW: Duration = Duration::from_millis(100);
/// So many windows together make a rate.
const SMOOTHED: usize = 3;
/// The part of the rate before at which it counts as back.
const BACK: f64 = 0.8;

/// Acknowledgements around a crash; all times count from the same moment.
pub(super) struct Timeline<'a> {
    /// In order.
    pub(super) acknowledged: &'a [Duration],
    /// When the leader died.
    pub(super) killed: Duration,
    /// When the load ended.
    pub(super) ended: Duration,
}

impl Timeline<'_> {
    /// Writes a second from the beginning to the crash.
    pub(super) fn rate_before(&self) -> f64 {
        let before = self.acknowledged.iter().take_while(|at| **at < self.killed).count();
        if self.killed.is_zero() { 0.0 } else { before as f64 / self.killed.as_secs_f64() }
    }

    /// The longest time after the crash without an acknowledgement: when it began and when it ended.
    pub(super) fn silence(&self) -> (Duration, Duration) {
        let mut longest = (self.killed, self.killed);
        let mut last = self.killed;
        for at in self.after().chain([self.ended]) {
            if at.saturating_sub(last) > longest.1 - longest.0 {
                longest = (last, at);
            }
            last = at;
        }
        longest
    }

    /// From the crash to the end of the first window, not before the silence ended, in which the rate is back.
    pub(super) fn back(&self) -> Option<Duration> {
        let whole = self.ended.saturating_sub(self.killed).as_nanos() / WINDOW.as_nanos();
        let mut windows = vec![0_u32; usize::try_from(whole).unwrap_or_default()];
        for at in self.after() {
            let window = (at - self.killed).as_nanos() / WINDOW.as_nanos();
            // What ended in a window that is not whole does not count.
            if let Some(count) = usize::try_from(window).ok().and_then(|window| windows.get_mut(window)) {
                *count += 1;
            }
        }
        let wanted = BACK * self.rate_before() * WINDOW.as_secs_f64() * SMOOTHED as f64;
        let silence_ended = self.silence().1 - self.killed;
        let ends = (SMOOTHED..).map(|count| WINDOW * u32::try_from(count).unwrap_or(u32::MAX));
        windows
            .windows(SMOOTHED)
            .zip(ends)
            .find(|(windows, end)| *end >= silence_ended && f64::from(windows.iter().sum::<u32>()) >= wanted)
            .map(|(_, end)| end)
    }

    fn after(&self) -> impl Iterator<Item = Duration> {
        self.acknowledged.iter().copied().skip_while(|at| *at < self.killed).take_while(|at| *at < self.ended)
    }
}

/// How many acknowledged writes of one key are lost. Both lists are versions with the number that was written;
/// `kept` are those that are there, of which only the oldest may have been dropped.
pub(super) fn lost(acknowledged: &[(u64, u64)], kept: &[(u64, Option<u64>)]) -> usize {
    let oldest = kept.iter().map(|(version, _)| *version).min().unwrap_or(u64::MAX);
    let newest = kept.iter().map(|(version, _)| *version).max().unwrap_or(0);
    let is_lost = |(version, number): &&(u64, u64)| {
        if *version > newest || *version >= oldest {
            return !kept.contains(&(*version, Some(*number)));
        }
        acknowledged.iter().any(|(other, written)| other == version && written != number)
    };
    acknowledged.iter().filter(is_lost).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(times: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        times.into_iter().map(Duration::from_millis).collect()
    }

    /// Silence and return, in milliseconds after a crash at 1 s with 100 writes a second before it and an end at 3 s.
    fn crash(after: impl IntoIterator<Item = u64>) -> (u128, Option<u128>) {
        let acknowledged = millis((0..1_000).step_by(10).chain(after));
        let (killed, ended) = (Duration::from_secs(1), Duration::from_secs(3));
        let timeline = Timeline { acknowledged: &acknowledged, killed, ended };
        assert!((timeline.rate_before() - 100.0).abs() < 1e-9);
        let (from, to) = timeline.silence();
        ((to - from).as_millis(), timeline.back().map(|back| back.as_millis()))
    }

    #[test]
    fn the_rate_is_back_when_three_windows_together_are() {
        assert_eq!(crash((1_500..3_000).step_by(10)), (500, Some(800)));
        // The window in which the silence ends counts, too, when it is full enough.
        assert_eq!(crash((1_520..3_000).step_by(10)), (520, Some(800)));
        // A straggler just after the crash does not end it.
        assert_eq!(crash([1_003].into_iter().chain((1_700..3_000).step_by(10))), (697, Some(1_000)));
    }

    #[test]
    fn a_rate_that_stays_low_is_not_back() {
        assert_eq!(crash((1_500..3_000).step_by(20)), (500, None));
        assert_eq!(crash([]), (2_000, None));
        assert_eq!(crash((1_000..3_000).step_by(10)).1, Some(300));
    }

    #[test]
    fn what_was_acknowledged_is_there_or_lost() {
        let kept = [(5, Some(50)), (4, Some(40)), (3, Some(30))];
        for (acknowledged, expected) in [
            (&[(3, 30), (5, 50)][..], 0),
            // Dropped as too old.
            (&[(1, 10), (2, 20)], 0),
            (&[(4, 41)], 1),
            (&[(6, 60)], 1),
            // Two writes cannot both have made a version.
            (&[(2, 20), (2, 21)], 2),
        ] {
            assert_eq!(lost(acknowledged, &kept), expected, "{acknowledged:?}");
        }
        assert_eq!(lost(&[(1, 10)], &[]), 1);
    }
}
