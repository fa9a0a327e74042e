//! How far a measurement is, on stderr where that is a terminal.
//! Knows stages and times, not what is measured.

use std::{
    future::Future,
    io::IsTerminal,
    pin::pin,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::interval;

/// The driver shares the machine with the servers, so the bar moves rarely.
const REDRAW: Duration = Duration::from_millis(250);

/// A bar, or nothing.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A bar if it is wanted and somebody can see it.
    pub(super) fn new(wanted: bool) -> Progress {
        let bar = (wanted && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            // The template is a constant; should it not parse, the default bar does.
            if let Ok(style) = ProgressStyle::with_template("[{bar:30}] {elapsed}  {msg}") {
                bar.set_style(style.progress_chars("#>-"));
            }
            bar
        });
        Progress { bar }
    }

    /// Something else is done from now on.
    pub(super) fn stage(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_owned());
            bar.set_position(0);
            bar.tick();
        }
    }

    /// Shows how much of `length` is over while `work` is done.
    pub(super) async fn during<T>(&self, length: Duration, work: impl Future<Output = T>) -> T {
        let Some(bar) = &self.bar else { return work.await };
        let begun = Instant::now();
        let (mut work, mut redraw) = (pin!(work), interval(REDRAW));
        bar.set_length(millis(length));
        loop {
            tokio::select! {
                done = work.as_mut() => return done,
                _ = redraw.tick() => bar.set_position(millis(begun.elapsed()).min(millis(length))),
            }
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
