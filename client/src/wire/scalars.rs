//! The small values with a form of their own on the wire: times, durations, priorities.
//! Knows neither clocks nor time zones: a time is milliseconds since 1970 in UTC.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const DAY_MS: u64 = 86_400_000;

/// A point in time, RFC 3339 in UTC with milliseconds on the wire: `2026-11-22T04:11:08.250Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub u64,
);

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0 / DAY_MS);
        let ms = self.0 % DAY_MS;
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "expected a time like 2026-11-22T04:11:08.250Z";
        let (date, time) = text.strip_suffix('Z').and_then(|text| text.split_once('T')).ok_or(WRONG)?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [year, month, day] = numbers(date, '-').ok_or(WRONG)?;
        let [hour, minute, second] = numbers(time, ':').ok_or(WRONG)?;
        let in_range = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
        if !in_range
            || hour > 23
            || minute > 59
            || second > 60
            || !fraction.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(WRONG);
        }
        let ms: u64 =
            format!("{fraction:0<3}").get(..3).and_then(|digits| digits.parse().ok()).ok_or(WRONG)?;
        Ok(Self(
            days_from_civil(year, month, day) * DAY_MS
                + hour * 3_600_000
                + minute * 60_000
                + second * 1000
                + ms,
        ))
    }
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let numbers: Option<Vec<u64>> = text.split(separator).map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// Days since 1970 to (year, month, day); the calendar is split into eras of 400 years that begin on 1 March.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A duration: milliseconds as a number, read also as text with a unit (`"250ms"`, `"30s"`, `"20m"`, `"1h"`, `"2d"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(
    /// Milliseconds.
    pub u64,
);

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Millis> for Duration {
    fn from(millis: Millis) -> Self {
        Self::from_millis(millis.0)
    }
}

impl std::str::FromStr for Millis {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "expected milliseconds or a number with a unit: ms, s, m, h, d";
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = match unit.trim_start() {
            "" | "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => DAY_MS,
            _ => return Err(WRONG),
        };
        let number: u64 = number.parse().map_err(|_| WRONG)?;
        number.checked_mul(factor).map(Self).ok_or("the duration is too long")
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MillisVisitor)
    }
}

struct MillisVisitor;

impl Visitor<'_> for MillisVisitor {
    type Value = Millis;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a duration: milliseconds, or text such as \"30s\"")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Millis, E> {
        Ok(Millis(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Millis, E> {
        value.parse().map_err(E::custom)
    }
}

/// A time to wait for: RFC 3339 in UTC, or a duration from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At this time.
    At(Timestamp),
    /// So long after the request.
    In(Millis),
}

impl std::str::FromStr for When {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = text.parse().map(Self::At);
        at.or_else(|_| text.parse().map(Self::In)).map_err(
            |_| "expected a time like 2026-11-22T04:11:08Z, or a duration from now: 250ms, 30s, 20m, 1h, 2d",
        )
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(at) => at.serialize(serializer),
            Self::In(millis) => millis.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WhenVisitor)
    }
}

struct WhenVisitor;

impl Visitor<'_> for WhenVisitor {
    type Value = When;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a time such as \"2026-11-22T04:11:08Z\", or a duration from now")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<When, E> {
        Ok(When::In(Millis(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<When, E> {
        value.parse().map_err(E::custom)
    }
}

/// How urgent a run or a task is: a number on the wire, read also as a word (`"HIGH"`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Priority {
    /// 1
    Low = 1,
    /// 2, the default
    #[default]
    Normal = 2,
    /// 3
    High = 3,
    /// 4
    Critical = 4,
    /// 5
    Urgent = 5,
}

impl Priority {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Low, "LOW"),
        (Self::Normal, "NORMAL"),
        (Self::High, "HIGH"),
        (Self::Critical, "CRITICAL"),
        (Self::Urgent, "URGENT"),
    ];

    /// 1 to 5.
    #[must_use]
    pub const fn level(self) -> u8 {
        self as u8
    }

    /// The priority of a level from 1 to 5.
    #[must_use]
    pub fn from_level(level: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .map(|(priority, _)| priority)
            .find(|priority| u64::from(priority.level()) == level)
    }
}

impl std::str::FromStr for Priority {
    type Err = &'static str;

    /// Reads a level or a word, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = Self::ALL.into_iter().find(|(_, word)| word.eq_ignore_ascii_case(text));
        let level = || text.parse().ok().and_then(Self::from_level);
        word.map(|(priority, _)| priority)
            .or_else(level)
            .ok_or("expected LOW, NORMAL, HIGH, CRITICAL, URGENT or 1 to 5")
    }
}

impl Serialize for Priority {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.level())
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PriorityVisitor)
    }
}

struct PriorityVisitor;

impl Visitor<'_> for PriorityVisitor {
    type Value = Priority;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a priority: 1 to 5, or LOW, NORMAL, HIGH, CRITICAL, URGENT")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Priority, E> {
        Priority::from_level(value).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(value), &self))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Priority, E> {
        value.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_they_are_written() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_001, "2000-02-29T00:00:00.001Z"),
            (1_735_689_599_999, "2024-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp(ms).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(ms)));
        }
        assert_eq!("1970-01-01T00:00:01Z".parse(), Ok(Timestamp(1000)));
        for wrong in
            ["", "1970-01-01", "1970-13-01T00:00:00Z", "1970-01-01T00:00:00.é1Z", "1970-01-01T00:00:00+01:00"]
        {
            assert!(wrong.parse::<Timestamp>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_to_wait_for_is_a_time_or_a_duration() {
        let when = |json| serde_json::from_str::<When>(json).ok();
        assert_eq!(when("\"1970-01-01T00:00:01Z\""), Some(When::At(Timestamp(1000))));
        assert_eq!(["1500", "\"1500ms\""].map(when), [Some(When::In(Millis(1500))); 2]);
        assert_eq!(["-1", "\"tomorrow\"", "\"1970-01-01\"", "null"].map(when), [None; 4]);
        let written = |when: When| serde_json::to_string(&when).ok();
        assert_eq!(written(When::At(Timestamp(0))).as_deref(), Some("\"1970-01-01T00:00:00.000Z\""));
        assert_eq!(written(When::In(Millis(5))).as_deref(), Some("5"));
    }

    #[test]
    fn durations_and_priorities_read_numbers_and_words() {
        let millis = |json| serde_json::from_str::<Millis>(json).ok().map(|millis| millis.0);
        assert_eq!(
            ["5", "\"5\"", "\"250ms\"", "\"30s\"", "\"1h\""].map(millis),
            [5, 5, 250, 30_000, 3_600_000].map(Some)
        );
        assert_eq!(["-1", "\"h\"", "\"1w\"", "\"99999999999999999999d\""].map(millis), [None; 4]);

        let priority = |json| serde_json::from_str::<Priority>(json).ok();
        assert_eq!(["3", "\"HIGH\"", "\"high\"", "\"3\""].map(priority), [Some(Priority::High); 4]);
        assert_eq!(["0", "6", "\"SOON\""].map(priority), [None; 3]);
        assert_eq!(serde_json::to_string(&Priority::Urgent).ok().as_deref(), Some("5"));
    }
}
