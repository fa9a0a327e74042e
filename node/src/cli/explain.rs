//! Explanations and attempts for people: why something waits, or how it came to its end.
//! Knows nothing of what is explained.

use orc_client::wire::{AttemptView, Explanation};

use super::{Out, style, values};

/// An explanation with what it is because of, indented.
pub(super) fn text(out: &Out, told: &Explanation) -> String {
    let mut lines = Vec::new();
    write(out, told, 0, &mut lines);
    lines.join("\n")
}

fn write(out: &Out, told: &Explanation, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let name = if told.name == told.id { String::new() } else { format!("  {}", told.name) };
    lines.push(format!("{indent}{}{name}  {}", style::bold(&told.id), style::status(&told.status)));
    lines.push(format!("{indent}  {}", told.summary));
    lines.extend(attempts(out, &told.history).into_iter().map(|line| format!("{indent}  {line}")));
    // What a part says of itself is not repeated above it.
    let own = |what: &&String| !told.because.iter().any(|part| part.unblock.contains(what));
    lines.extend(told.unblock.iter().filter(own).map(|what| format!("{indent}  → {what}")));
    for part in &told.because {
        write(out, part, depth + 1, lines);
    }
}

/// One line for each attempt that has ended.
pub(super) fn attempts(out: &Out, history: &[AttemptView]) -> Vec<String> {
    let line = |attempt: &AttemptView| {
        let took = attempt.ended_at.0.saturating_sub(attempt.started_at.0);
        let how = match &attempt.error {
            Some(error) => format!("{}: {}", error.code, error.message.lines().next().unwrap_or_default()),
            None => "completed".to_owned(),
        };
        format!(
            "attempt on {} {} for {}: {how}",
            attempt.component,
            values::time(Some(attempt.started_at), out),
            values::millis(Some(took))
        )
    };
    history.iter().map(line).collect()
}
