//! Values that tell, when they are seen elsewhere, how long they took to get there.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::time::Instant;

use crate::{Figures, Seen};

const SIZE: usize = 256;
const DIGITS: usize = 12;
/// The first values warm up and are not counted.
const WARM_UP: usize = 50;

/// Numbered values of 256 bytes, each sent once and seen once. Clones share their table.
#[derive(Clone, Default)]
pub struct Stamps(Arc<Mutex<Vec<Stamp>>>);

struct Stamp {
    sent: Instant,
    took: Option<Duration>,
}

impl Stamps {
    /// The next value; its time begins now.
    pub fn send(&self) -> String {
        let mut stamps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stamps.push(Stamp { sent: Instant::now(), took: None });
        format!("{:0DIGITS$}{}", stamps.len() - 1, "v".repeat(SIZE - DIGITS))
    }

    /// The time of this value ends now.
    ///
    /// # Errors
    /// When the value is not one of ours.
    pub fn see(&self, value: &[u8]) -> Result<()> {
        let now = Instant::now();
        let digits = value.get(..DIGITS).and_then(|digits| std::str::from_utf8(digits).ok());
        let number =
            digits.and_then(|digits| digits.parse::<usize>().ok()).context("a value without a number")?;
        let mut stamps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamps.get_mut(number).context("a value that was never sent")?;
        stamp.took.get_or_insert(now - stamp.sent);
        Ok(())
    }

    /// Latencies from sent to seen after the warm-up; values that were not seen count as errors.
    ///
    /// # Errors
    /// When none was seen.
    pub fn figures(&self, seconds: f64) -> Result<Figures> {
        let stamps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let errors = stamps.iter().filter(|stamp| stamp.took.is_none()).count() as u64;
        let latencies = stamps.iter().skip(WARM_UP).filter_map(|stamp| stamp.took).collect();
        let first_error = (errors > 0).then(|| "an event did not arrive".to_owned());
        Figures::new(Seen { latencies, errors, first_error }, 1, seconds)
    }
}
