//! Durations as people write them: a number is milliseconds, `30s`, `5m`, `1h`, `1d`, `250ms`, `1h30m`.
//! Knows nothing of which durations make sense where.

use std::time::Duration;

use serde_json::{Number, Value};

/// The longest duration anything may take: a year.
pub const DURATION_MAX: Duration = Duration::from_secs(365 * 86_400);

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a duration from text; a bare number is milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    if let Ok(millis) = trimmed.parse::<u64>() {
        return bounded(Duration::from_millis(millis));
    }
    let mut rest = trimmed;
    let mut millis = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let amount: f64 = rest[..digits].parse().map_err(|_| not_a_duration(text))?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit =
            UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or_else(|| not_a_duration(text))?;
        millis += amount * unit.1 as f64;
        rest = rest[letters..].trim_start();
    }
    if trimmed.is_empty() {
        return Err(not_a_duration(text));
    }
    bounded(Duration::try_from_secs_f64(millis / 1_000.0).map_err(|_| too_long())?)
}

/// Reads a duration from a JSON number of milliseconds.
pub fn duration_of_number(number: &Number) -> Result<Duration, String> {
    if let Some(millis) = number.as_u64() {
        return bounded(Duration::from_millis(millis));
    }
    match number.as_f64() {
        Some(millis) if millis >= 0.0 && millis.is_finite() => {
            bounded(Duration::try_from_secs_f64(millis / 1_000.0).map_err(|_| too_long())?)
        }
        Some(_) | None => Err(format!("`{number}` is not a duration: it is negative")),
    }
}

/// Reads a duration from a JSON number or string.
pub fn duration_of_value(value: &Value) -> Result<Duration, String> {
    match value {
        Value::Number(number) => duration_of_number(number),
        Value::String(text) => parse_duration(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(not_a_duration(&value.to_string()))
        }
    }
}

/// A duration in the largest units that say it exactly: `1h`, `1m 46s`, `12.0s`, `250ms`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..=59 => format!("{:.1}s", duration.as_secs_f64()),
        60..=3_599 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
        86_400.. => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

fn bounded(duration: Duration) -> Result<Duration, String> {
    if duration > DURATION_MAX { Err(too_long()) } else { Ok(duration) }
}

fn too_long() -> String {
    "a duration is at most 365 days".to_owned()
}

fn not_a_duration(text: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    format!("`{shown}` is not a duration: write milliseconds as a number, or 250ms, 30s, 5m, 1h, 1d")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let cases: [(&str, Option<u64>); 17] = [
            ("0", Some(0)),
            ("1500", Some(1_500)),
            ("250ms", Some(250)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("1d", Some(86_400_000)),
            ("1.5s", Some(1_500)),
            ("1h30m", Some(5_400_000)),
            ("1h 30m", Some(5_400_000)),
            (" 2s ", Some(2_000)),
            ("", None),
            ("s", None),
            ("5 parsecs", None),
            ("-5s", None),
            ("1.2.3s", None),
            ("400d", None),
        ];
        for (text, expected) in cases {
            let read = parse_duration(text).ok();
            assert_eq!(read, expected.map(Duration::from_millis), "of {text:?}");
        }
    }

    #[test]
    fn numbers_are_milliseconds() {
        let read = |json: &str| duration_of_value(&serde_json::from_str(json).expect("valid JSON")).ok();
        assert_eq!(read("3600000"), Some(Duration::from_secs(3_600)));
        assert_eq!(read("0.5"), Some(Duration::from_micros(500)));
        assert_eq!(read("\"5m\""), Some(Duration::from_secs(300)));
        for bad in ["-1", "1e300", "true", "null", "[]"] {
            assert_eq!(read(bad), None, "of {bad}");
        }
    }

    #[test]
    fn durations_are_shown() {
        let show = |millis| format_duration(Duration::from_millis(millis));
        assert_eq!(show(2), "2ms");
        assert_eq!(show(12_000), "12.0s");
        assert_eq!(show(106_000), "1m 46s");
        assert_eq!(show(25_080_000), "6h 58m");
        assert_eq!(show(90_000_000), "1d 01h");
    }
}
