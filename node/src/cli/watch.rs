//! `--watch`: shows something again and again; redrawn in place on a terminal, one line per change elsewhere.
//! Knows nothing of what is shown.

use std::{future::Future, io::IsTerminal, io::Write, time::Duration};

use super::{Failure, Out, connect::interrupted, output::note};

const PAUSE: Duration = Duration::from_secs(1);

/// One state of what is watched.
pub(super) struct Frame {
    /// All of it, for a terminal.
    pub(super) full: String,
    /// What matters, in a line.
    pub(super) line: String,
    /// For programs.
    pub(super) json: serde_json::Value,
}

/// Shows frames until Ctrl-C. A failure ends it only before the first frame: afterwards the cluster may come back.
pub(super) async fn watch<F, Work>(out: &Out, mut next: F) -> Result<(), Failure>
where
    F: FnMut() -> Work,
    Work: Future<Output = Result<Frame, Failure>>,
{
    let redraw = std::io::stdout().is_terminal() && !out.is_structured();
    let mut shown: Option<(String, usize)> = None;
    let mut stop = std::pin::pin!(interrupted());
    loop {
        let frame = tokio::select! {
            frame = next() => frame,
            () = &mut stop => return Err(Failure::Interrupted),
        };
        match frame {
            Ok(frame) if redraw => {
                rewind(shown.as_ref().map_or(0, |(_, lines)| *lines))?;
                out.text(&frame.full)?;
                shown = Some((String::new(), frame.full.lines().count()));
            }
            Ok(frame) => {
                if shown.as_ref().is_none_or(|(line, _)| *line != frame.line) {
                    if out.is_structured() { out.json_line(&frame.json)? } else { out.line(&frame.line)? }
                }
                shown = Some((frame.line, 0));
            }
            Err(failure) if shown.is_none() => return Err(failure),
            Err(failure) => {
                if let Some((_, lines)) = &mut shown {
                    *lines = 0;
                }
                note(&format!("waiting for the cluster: {failure}"));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = &mut stop => return Err(Failure::Interrupted),
        }
    }
}

/// Moves the cursor up and clears what is below.
fn rewind(lines: usize) -> Result<(), Failure> {
    if lines == 0 {
        return Ok(());
    }
    // Not through `anstream`: it would take the movement for a colour.
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "\u{1b}[{lines}A\u{1b}[J").and_then(|()| stdout.flush()).map_err(|_| Failure::ReaderGone)
}
