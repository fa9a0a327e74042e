//! The picture of a run under way, on stderr: lines redrawn in place on a terminal, a line per change elsewhere.
//! Knows nothing of where the run's states come from.

use std::{
    collections::HashMap,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use orc_client::wire::{RunView, StepStatus, StepView};
use serde_json::Value;

use super::{
    output::note,
    style::{Color, is_utf8, look, paint},
    values::{self, short_json},
};
use crate::definition::duration::format_duration;

/// Steps under way that are shown at once.
const LINES_MAX: usize = 16;
const NAME_MIN: usize = 18;
const DETAIL_MAX: usize = 70;

/// Draws a run.
pub(super) struct Progress {
    begun: Instant,
    screen: Option<Screen>,
    /// What was told of each step.
    told: HashMap<String, (StepStatus, u32)>,
    run_told: Option<String>,
    name_width: usize,
    quiet: bool,
    plain: bool,
}

/// What is redrawn in place.
struct Screen {
    all: MultiProgress,
    total: ProgressBar,
    steps: HashMap<String, ProgressBar>,
}

impl Progress {
    /// A picture; `quiet` draws nothing.
    pub(super) fn new(quiet: bool) -> Progress {
        // The screen is not drawn through `anstream`, so it asks itself whether there may be colours.
        let plain = anstream::AutoStream::choice(&std::io::stderr()) == anstream::ColorChoice::Never;
        let screen = (!quiet && std::io::stderr().is_terminal()).then(|| Screen::new(plain));
        Progress {
            begun: Instant::now(),
            screen,
            told: HashMap::new(),
            run_told: None,
            name_width: NAME_MIN,
            quiet,
            plain,
        }
    }

    /// Shows the run as it was `age` ago.
    pub(super) fn draw(&mut self, run: &RunView, age: Duration) {
        if self.quiet {
            return;
        }
        let longest = run.steps.iter().map(|step| title(step).chars().count()).max().unwrap_or(0);
        self.name_width = longest.clamp(NAME_MIN, 40);
        for step in &run.steps {
            self.draw_step(step, age);
        }
        self.draw_run(run);
    }

    /// Removes what was redrawn in place; what is final stays.
    pub(super) fn finish(&mut self) {
        if let Some(screen) = self.screen.take() {
            screen.steps.values().for_each(ProgressBar::finish_and_clear);
            screen.total.finish_and_clear();
        }
    }

    fn draw_step(&mut self, step: &StepView, age: Duration) {
        let now = (step.status.clone(), step.attempts);
        let changed = self.told.get(&step.id) != Some(&now);
        let line = self.line(step, age);
        match (&mut self.screen, step.status.is_terminal(), is_under_way(&step.status)) {
            (Some(screen), true, _) if changed => screen.over(&step.id, &line),
            (Some(screen), false, true) => screen.under_way(&step.id, line),
            (Some(_), ..) => {}
            (None, true, _) | (None, _, true) if changed => note(&line),
            (None, ..) => {}
        }
        self.told.insert(step.id.clone(), now);
    }

    fn draw_run(&mut self, run: &RunView) {
        let done = run.steps.iter().filter(|step| step.status.is_terminal()).count();
        let status = run.status.to_string();
        let waits = run.waiting_for.as_ref().and_then(|waiting| waiting.detail.clone());
        match &self.screen {
            Some(screen) => {
                let shown = if status == "running" { String::new() } else { format!("  {status}") };
                let why = waits.map(|why| format!(": {why}")).unwrap_or_default();
                screen.total.set_length(run.steps.len() as u64);
                screen.total.set_position(done as u64);
                screen.total.set_message(format!("{}{shown}{why}", format_duration(self.begun.elapsed())));
            }
            None => {
                let holds_up = matches!(status.as_str(), "queued" | "paused" | "waiting" | "cancelling");
                let told = self.run_told.replace(status.clone());
                if holds_up && told.as_deref() != Some(&status) {
                    let why = waits.map(|why| format!(": {why}")).unwrap_or_default();
                    note(&format!("{} run is {status}{why}", look(&status).glyph()));
                }
            }
        }
    }

    fn line(&self, step: &StepView, age: Duration) -> String {
        let duration = match step.duration_ms.map(Duration::from_millis) {
            Some(duration) if step.status.is_terminal() => format_duration(duration),
            Some(duration) => format_duration(duration + age),
            None => String::new(),
        };
        let name: String = title(step).chars().take(self.name_width).collect();
        let width = self.name_width;
        let line =
            format!("{} {name:width$}  {duration:>8}   {}", look(step.status.as_str()).glyph(), detail(step));
        let line = line.trim_end();
        if self.plain { anstream::adapter::strip_str(line).to_string() } else { line.to_owned() }
    }
}

impl Screen {
    fn new(plain: bool) -> Screen {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let total = all.add(ProgressBar::new(0));
        let (chars, bar) = match (is_utf8(), plain) {
            (true, false) => ("━╸━", "{bar:46.green/black.bright}"),
            (true, true) => ("━╸ ", "{bar:46}"),
            (false, _) => ("#>-", "[{bar:46}]"),
        };
        // The template is a constant; should it not parse, the default bar does.
        if let Ok(style) = ProgressStyle::with_template(&format!("{bar}  {{pos}}/{{len}}   {{msg}}")) {
            total.set_style(style.progress_chars(chars));
        }
        Screen { all, total, steps: HashMap::new() }
    }

    fn under_way(&mut self, id: &str, line: String) {
        if self.steps.len() >= LINES_MAX && !self.steps.contains_key(id) {
            return;
        }
        let (all, total) = (&self.all, &self.total);
        let bar = self.steps.entry(id.to_owned()).or_insert_with(|| {
            let bar = all.insert_before(total, ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            bar
        });
        bar.set_message(line);
        bar.tick();
    }

    /// A step that is over leaves the redrawn lines and stays above them.
    fn over(&mut self, id: &str, line: &str) {
        if let Some(bar) = self.steps.remove(id) {
            bar.finish_and_clear();
        }
        // Without a terminal to write to there is nobody to tell.
        self.all.println(line).ok();
    }
}

fn title(step: &StepView) -> &str {
    if step.name.is_empty() { &step.id } else { &step.name }
}

fn is_under_way(status: &StepStatus) -> bool {
    use StepStatus::{Evaluating, Retrying, Running, Waiting};
    matches!(status, Evaluating | Retrying | Running | Waiting)
}

/// What there is to say of a step beside its name: its result, its worker, or why it failed.
fn detail(step: &StepView) -> String {
    // While an attempt runs, the error is that of the one before.
    if let Some(error) = step.error.as_ref().filter(|_| step.status != StepStatus::Running) {
        return paint(Color::Red, &cut(&format!("{}: {}", error.code, error.message)));
    }
    if let Some(decision) = step.decision {
        return format!("{} {decision}", if is_utf8() { "→" } else { "->" });
    }
    if step.status.is_terminal() {
        return if step.status == StepStatus::Completed { result(step) } else { step.status.to_string() };
    }
    let mut parts = Vec::new();
    parts.extend(step.component.as_ref().map(|component| format!("worker {component}")));
    parts.extend((step.attempts > 1).then(|| format!("attempt {}", step.attempts)));
    parts.extend(match &step.items {
        Some(items) => Some(values::items(items)),
        None => step.waiting_for.as_ref().and_then(|waiting| waiting.detail.clone()),
    });
    parts.extend((step.status != StepStatus::Running).then(|| step.status.to_string()));
    cut(&parts.join(" · "))
}

/// The plain values of an output: `accuracy=0.91 rows=10`.
fn result(step: &StepView) -> String {
    let output = step.output.as_deref().and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    match output {
        Some(Value::Object(map)) => {
            let plain = map.iter().filter(|(_, value)| {
                value.is_number() || value.is_boolean() || value.as_str().is_some_and(|text| !text.is_empty())
            });
            let parts: Vec<String> = plain
                .map(|(name, value)| {
                    format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                })
                .filter(|part| part.chars().count() <= 30 && !part.contains('\n'))
                .take(3)
                .collect();
            cut(&parts.join(" "))
        }
        Some(_) | None => short_json(step.output.as_ref(), 40),
    }
}

fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let short: String = line.chars().take(DETAIL_MAX).collect();
    if short.len() < text.trim_end().len() { format!("{short}…") } else { short }
}
