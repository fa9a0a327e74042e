//! Single settings read as what they stand for; what is wrong is collected, so that all of it is told at once.
//! Knows no setting by name.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;

use super::Layers;
use crate::definition::{duration::duration_of_value, suggest::did_you_mean};

/// Reads single settings and collects what is wrong.
pub(super) struct Reader<'l> {
    pub(super) layers: &'l Layers,
    pub(super) errors: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let (value, origin) = self.layers.get(key)?;
        match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                self.errors.push(format!("{origin}: must be a text, not {value}"));
                None
            }
        }
    }

    pub(super) fn word(&mut self, key: &str, known: &[&str]) -> Option<String> {
        let word = self.text(key)?;
        if known.contains(&word.as_str()) {
            return Some(word);
        }
        let (_, origin) = self.layers.get(key)?;
        let meant = did_you_mean(&word, known.iter().copied());
        self.errors.push(format!("{origin}: `{word}` is none of {}{meant}", known.join(", ")));
        None
    }

    pub(super) fn number(&mut self, key: &str, bounds: (u64, u64)) -> Option<u64> {
        let (value, origin) = self.layers.get(key)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let number = number.filter(|number| (bounds.0..=bounds.1).contains(number));
        if number.is_none() {
            self.errors.push(format!(
                "{origin}: must be a whole number from {} to {}, not {value}",
                bounds.0, bounds.1
            ));
        }
        number
    }

    pub(super) fn size(&mut self, key: &str, default: u64, (min, max): (&str, &str)) -> u64 {
        let Some((value, origin)) = self.layers.get(key) else { return default };
        let read = match value {
            Value::String(text) => parse_size(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                value.as_u64()
            }
        };
        let bounds = parse_size(min).unwrap_or(0)..=parse_size(max).unwrap_or(u64::MAX);
        let read = read.filter(|bytes| bounds.contains(bytes));
        if read.is_none() {
            self.errors
                .push(format!("{origin}: must be a size from {min} to {max} such as 1MiB, not {value}"));
        }
        read.unwrap_or(default)
    }

    pub(super) fn duration(&mut self, key: &str, default: Duration) -> Duration {
        let Some((value, origin)) = self.layers.get(key) else { return default };
        match duration_of_value(value) {
            Ok(duration) if !duration.is_zero() => duration,
            Ok(_) => {
                self.errors.push(format!("{origin}: must be more than zero"));
                default
            }
            Err(reason) => {
                self.errors.push(format!("{origin}: {reason}"));
                default
            }
        }
    }

    pub(super) fn duration_from(&mut self, key: &str, min: Duration, default: Duration) -> Duration {
        let duration = self.duration(key, default);
        if let Some((_, origin)) = self.layers.get(key).filter(|_| duration < min) {
            self.errors.push(format!("{origin}: must be at least {} s", min.as_secs()));
        }
        duration
    }

    pub(super) fn address(&mut self, key: &str, default: SocketAddr) -> SocketAddr {
        let Some(text) = self.text(key) else { return default };
        let full = if text.starts_with(':') {
            format!("0.0.0.0{text}")
        } else {
            text.replace("localhost:", "127.0.0.1:")
        };
        full.parse().unwrap_or_else(|_| {
            let origin = self.layers.get(key).map_or(key, |(_, origin)| origin);
            self.errors
                .push(format!("{origin}: `{text}` is not an address such as 127.0.0.1:{}", default.port()));
            default
        })
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(factor)
}
