//! Instants of a cron pattern in a time zone.
//! Knows nothing of schedules. Where clocks change, a fixed time that does not exist comes right after the gap and one
//! that exists twice comes once; patterns with `*` or steps in the minute or hour follow the clock on the wall.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use orc_domain::Timestamp;

/// The instants of a pattern.
#[derive(Debug, Clone)]
pub struct Calendar {
    cron: Cron,
    zone: Tz,
}

/// Why there are no instants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// Not five fields, or one of them is wrong.
    #[error("`{pattern}` is no cron pattern: {reason}")]
    Pattern {
        /// As given.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// Nobody knows the zone.
    #[error("`{zone}` is no time zone: write one such as Europe/Berlin or UTC")]
    Zone {
        /// As given.
        zone: String,
    },
    /// Such as the 30th of February.
    #[error("`{pattern}` never comes")]
    Never {
        /// As given.
        pattern: String,
    },
}

impl Calendar {
    /// The calendar of a pattern of five fields and a zone of the IANA database.
    pub fn new(pattern: &str, zone: &str) -> Result<Calendar, CalendarError> {
        let named = |text: &str| text.chars().take(80).collect::<String>();
        let wrong = |reason: String| CalendarError::Pattern { pattern: named(pattern), reason };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(pattern).map_err(|error| wrong(error.to_string()))?;
        let zone = Tz::from_str(zone).map_err(|_| CalendarError::Zone { zone: named(zone) })?;
        let calendar = Calendar { cron, zone };
        // A year before the next leap year.
        match calendar.after(Timestamp(1_672_531_200_000)) {
            Some(_) => Ok(calendar),
            None => Err(CalendarError::Never { pattern: named(pattern) }),
        }
    }

    /// The first instant after a time.
    pub fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let from = DateTime::<Utc>::from_timestamp_millis(i64::try_from(time.0).ok()?)?;
        let next = self.cron.find_next_occurrence(&from.with_timezone(&self.zone), false).ok()?;
        u64::try_from(next.timestamp_millis()).ok().map(Timestamp).filter(|next| *next > time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, zone: &str, from: &str, expected: &[&str]) {
        let calendar = Calendar::new(pattern, zone).expect("a legal pattern");
        let millis =
            |text: &str| DateTime::parse_from_rfc3339(text).expect("a time").timestamp_millis() as u64;
        let mut time = Timestamp(millis(from));
        for expected in expected {
            time = calendar.after(time).expect("it goes on");
            assert_eq!(time, Timestamp(millis(expected)), "`{pattern}` in {zone}: not {expected}");
        }
    }

    #[test]
    fn instants_are_those_of_the_zone() {
        let berlin = ["2026-07-01T01:00:00Z", "2026-07-02T01:00:00Z"];
        check("0 3 * * *", "Europe/Berlin", "2026-06-30T12:00:00Z", &berlin);
        check("0 3 * * *", "UTC", "2026-06-30T12:00:00Z", &["2026-07-01T03:00:00Z"]);
        check(
            "*/15 9 * * MON",
            "UTC",
            "2026-06-29T09:20:00Z",
            &["2026-06-29T09:30:00Z", "2026-06-29T09:45:00Z"],
        );
        check("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", &["2028-02-29T00:00:00Z"]);
        check("@hourly", "UTC", "2026-01-01T00:00:00Z", &["2026-01-01T01:00:00Z"]);
    }

    #[test]
    fn where_a_time_does_not_exist_it_comes_right_after() {
        let fixed = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
        check("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", &fixed);
        let half_hours = ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"];
        check("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", &half_hours);
    }

    #[test]
    fn where_a_time_exists_twice_it_comes_once() {
        let fixed = ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        check("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", &fixed);
        let hours = ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"];
        check("0 * * * *", "Europe/Berlin", "2026-10-24T23:00:00Z", &hours);
    }

    #[test]
    fn what_has_no_instants_is_refused() {
        for (pattern, zone) in [
            ("0 3 * *", "UTC"),
            ("0 0 3 * * *", "UTC"),
            ("61 * * * *", "UTC"),
            ("", "UTC"),
            ("0 0 30 2 *", "UTC"),
            ("0 3 * * *", "Berlin"),
        ] {
            assert!(Calendar::new(pattern, zone).is_err(), "{pattern} in {zone}");
        }
    }
}
