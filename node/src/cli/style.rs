//! Glyphs and colours of statuses; ASCII where the terminal is not UTF-8.
//! Knows words, not where they are printed; `anstream` removes colours where they do not belong.

use std::sync::OnceLock;

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, as `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE` allow.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// Makes it the choice of the whole process.
    pub fn apply(self) {
        let choice = match self {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// A colour by its escape code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Color {
    Green,
    Red,
    Yellow,
    Blue,
    Grey,
    Plain,
}

/// How a status is shown.
pub(super) struct Look {
    glyph: (&'static str, &'static str),
    color: Color,
}

/// The look of a run's, step's, task's, component's or node's status.
pub(super) fn look(status: &str) -> Look {
    let (glyph, color) = match status {
        "completed" | "connected" | "leader" | "follower" | "ok" => (("✓", "+"), Color::Green),
        "failed" | "timed_out" | "down" | "error" => (("✕", "x"), Color::Red),
        "running" | "evaluating" => (("◔", "*"), Color::Blue),
        "retrying" | "draining" | "cancelling" | "lost" | "candidate" => (("▲", "!"), Color::Yellow),
        "paused" | "waiting" => (("‖", "="), Color::Yellow),
        "skipped" | "cancelled" | "disconnected" => (("○", "o"), Color::Grey),
        _ => (("·", "-"), Color::Plain),
    };
    Look { glyph, color }
}

impl Look {
    /// The glyph, in colour.
    pub(super) fn glyph(&self) -> String {
        paint(self.color, if is_utf8() { self.glyph.0 } else { self.glyph.1 })
    }
}

/// A status with its glyph: `✓ completed`.
pub(super) fn status(word: &str) -> String {
    let look = look(word);
    let glyph = if is_utf8() { look.glyph.0 } else { look.glyph.1 };
    paint(look.color, &format!("{glyph} {word}"))
}

/// Text in a colour.
pub(super) fn paint(color: Color, text: &str) -> String {
    let code = match color {
        Color::Green => "32",
        Color::Red => "31",
        Color::Yellow => "33",
        Color::Blue => "34",
        Color::Grey => "90",
        Color::Plain => return text.to_owned(),
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// Bold text.
pub(super) fn bold(text: &str) -> String {
    format!("\u{1b}[1m{text}\u{1b}[0m")
}

/// Whether the locale says that the terminal reads UTF-8.
pub(super) fn is_utf8() -> bool {
    static UTF8: OnceLock<bool> = OnceLock::new();
    *UTF8.get_or_init(|| {
        let set = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| std::env::var(name).ok());
        let first = set.into_iter().find(|value| !value.is_empty());
        // Without a locale (containers, CI) UTF-8 is the better guess than `POSIX`.
        first.is_none_or(|locale| {
            let locale = locale.to_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
    })
}
