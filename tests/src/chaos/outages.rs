//! Times without an acknowledged write, as the history tells them. Knows nothing of what caused one.

use std::time::Duration;

use orc_check::{guards::Injection, history::History};

/// A time from one acknowledgement to the next, in nanoseconds.
type Gap = (u64, u64);

/// All of them, in order.
pub struct Outages {
    gaps: Vec<Gap>,
}

impl Outages {
    /// Those of a history. What is recorded after the last acknowledged write is a time without one, too.
    pub fn of(history: &History) -> Self {
        let writes = history.ops.iter().filter(|op| !op.call.is_read() && op.ok().is_some());
        let mut done: Vec<u64> = writes.filter_map(|op| op.returned_at()).collect();
        let ends = history.ops.iter().filter_map(|op| op.returned.as_ref().map(|(at, _)| *at));
        done.extend(history.ops.iter().map(|op| op.called_at).chain(ends).max());
        done.sort_unstable();
        Outages { gaps: done.windows(2).map(|gap| (gap[0], gap[1])).collect() }
    }

    /// Those between writes that were acknowledged at these times, in milliseconds.
    #[cfg(test)]
    pub fn of_times(times: &[u64]) -> Self {
        Outages { gaps: times.windows(2).map(|gap| (gap[0] * 1_000_000, gap[1] * 1_000_000)).collect() }
    }

    /// The longest one around each fault.
    pub fn around(&self, injections: &[Injection]) -> Vec<Duration> {
        let mut faults: Vec<(u64, u64)> =
            injections.iter().map(|fault| (fault.at, fault.end.unwrap_or(fault.at))).collect();
        faults.dedup();
        let longest = |(at, end): (u64, u64)| {
            let around = self.gaps.iter().filter(|gap| gap.1 > at && gap.0 < end);
            Duration::from_nanos(around.map(|gap| gap.1 - gap.0).max().unwrap_or(0))
        };
        faults.into_iter().map(longest).collect()
    }

    /// How much of a time belongs to those that are longer than `least`.
    pub fn within(&self, (from, to): (u64, u64), least: Duration) -> Duration {
        let least = u64::try_from(least.as_nanos()).unwrap_or(u64::MAX);
        let first = self.gaps.partition_point(|gap| gap.1 <= from);
        let then = self.gaps[first..].iter().take_while(|gap| gap.0 < to);
        let long = then.filter(|gap| gap.1 - gap.0 > least);
        Duration::from_nanos(long.map(|gap| gap.1.min(to) - gap.0.max(from)).sum())
    }
}

#[cfg(test)]
mod tests {
    use orc_check::history::{Answer, Call, Outcome, Recorder};

    use super::*;
    use crate::process::TempDir;

    /// Writes that were acknowledged at these times, and a last read that had no answer until then.
    fn outages(acknowledged: &[u64], last: u64) -> Outages {
        let recorder = Recorder::new(Vec::new());
        let write = |key: u64| Call::Write { key: key.to_string(), value: key.into() };
        for (op, at) in (1..).zip(acknowledged) {
            recorder.called("c", op, at - 1, ("n", &write(op))).expect("memory");
            let answer = Answer { rev: op, ..Answer::default() };
            recorder.returned("c", op, *at, &Outcome::Ok(answer)).expect("memory");
        }
        recorder.called("d", 1, last - 1, ("n", &write(0))).expect("memory");
        recorder.returned("d", 1, last, &Outcome::Unknown).expect("memory");
        let folder = TempDir::new("outages").expect("a folder");
        let path = folder.path().join("history.jsonl");
        std::fs::write(&path, recorder.into_inner()).expect("a file");
        Outages::of(&History::read(&[path]).expect("a history"))
    }

    fn fault(at: u64, end: u64) -> Injection {
        Injection { at, fault: "kill".to_owned(), node: None, end: Some(end) }
    }

    fn nanos(times: &[u64]) -> Vec<Duration> {
        times.iter().map(|time| Duration::from_nanos(*time)).collect()
    }

    #[test]
    fn the_longest_time_around_each_fault_is_told_once() {
        let outages = outages(&[10, 20, 60, 70, 100], 101);
        assert_eq!(outages.around(&[fault(25, 30), fault(25, 30), fault(65, 72)]), nanos(&[40, 30]));
    }

    #[test]
    fn an_outage_that_lasts_to_the_end_is_one() {
        assert_eq!(outages(&[10, 20], 500).around(&[fault(25, 30)]), nanos(&[480]));
    }

    #[test]
    fn of_a_time_only_what_is_within_long_ones_counts() {
        let outages = outages(&[10, 20, 60, 70, 100], 101);
        let within = |time| outages.within(time, Duration::from_nanos(15));
        assert_eq!(
            [within((0, 30)), within((15, 80)), within((62, 68))],
            [10, 50, 0].map(Duration::from_nanos)
        );
    }
}
