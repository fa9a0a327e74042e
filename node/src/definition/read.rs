//! Reads typed values out of the tree and reports what does not fit.
//! Knows the forms of single values, not which fields a workflow has.

use std::time::Duration;

use orc_domain::{ClusterConfig, Labels, Priority, Retry, Text};

use super::{
    CheckExpression, InputSchema,
    duration::{duration_of_number, parse_duration},
    error::{Report, code},
    names::Use,
    suggest::did_you_mean,
    template,
    tree::{Node, Value},
};

/// The longest word, in bytes.
const WORD_MAX: usize = 128;
/// The longest name, in bytes.
const NAME_MAX: usize = 256;

/// What every reader needs: where mistakes go, the defaults, and who knows expressions.
pub(super) struct Reader<'c> {
    /// Mistakes so far.
    pub(super) report: Report,
    /// Defaults.
    pub(super) config: &'c ClusterConfig,
    /// Says whether a text is an expression.
    pub(super) check: CheckExpression<'c>,
    /// What the workflow accepts.
    pub(super) inputs: InputSchema,
    /// What expressions name since somebody last took it.
    pub(super) named: Vec<Use>,
    /// Names that stand for something at this place: the item of a `foreach`, the output of a step.
    pub(super) bound: Vec<Text>,
    /// The secrets that it declares.
    pub(super) secrets: Vec<String>,
    /// What is read goes to a task.
    pub(super) for_task: bool,
    /// The field whose steps are being read, if they are not the workflow's own.
    pub(super) within: Option<&'static str>,
}

impl Reader<'_> {
    /// Reports every field of a map that is neither known nor planned; false if it is no map.
    pub(super) fn fields(&mut self, node: &Node, what: &str, known: &[&str], later: &[&str]) -> bool {
        let Some(entries) = node.entries() else {
            self.wrong_type(node, what, "a map");
            return false;
        };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            if later.contains(&entry.key.as_str()) {
                self.report.at_key(
                    entry,
                    code::NOT_SUPPORTED,
                    format!("`{}` is not supported yet", entry.key),
                );
                continue;
            }
            let meant = did_you_mean(&entry.key, known.iter().copied());
            self.report.at_key(entry, code::UNKNOWN_FIELD, format!("unknown field `{}`{meant}", entry.key));
        }
        true
    }

    /// A mistake: not of the type that must be.
    pub(super) fn wrong_type(&mut self, node: &Node, what: &str, expected: &str) {
        self.report.at(node, code::WRONG_TYPE, format!("{what} must be {expected}, this is {}", node.kind()));
    }

    /// A text that is not empty.
    pub(super) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match node.text() {
            Some(text) if !text.trim().is_empty() => return Some(text),
            Some(_) => self.report.at(node, code::BAD_VALUE, format!("{what} is empty")),
            None => self.wrong_type(node, what, "a text"),
        }
        None
    }

    /// A field that must be there.
    pub(super) fn needed<'n>(&mut self, parent: &'n Node, key: &str, what: &str) -> Option<&'n Node> {
        let node = parent.get(key);
        if node.is_none() {
            self.report.at(parent, code::MISSING_FIELD, format!("{what} needs `{key}`"));
        }
        node
    }

    /// One word, without expressions.
    pub(super) fn word<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        let text = self.text(node, what)?;
        let legal = text.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '`');
        if text.len() <= WORD_MAX && legal && !template::has_any(text) {
            return Some(text);
        }
        let message = format!("{what} is one word of at most {WORD_MAX} bytes, without expressions");
        self.report.at(node, code::BAD_VALUE, message);
        None
    }

    /// A name that people see.
    pub(super) fn name(&mut self, node: &Node, what: &str) -> Option<Text> {
        let text = self.text(node, what)?;
        if text.len() > NAME_MAX {
            self.report.at(node, code::LIMIT, format!("{what} is longer than {NAME_MAX} bytes"));
            return None;
        }
        Some(Text::from(text))
    }

    /// A text that may be missing.
    pub(super) fn optional_text(&mut self, parent: &Node, key: &str) {
        if let Some(node) = parent.get(key).filter(|node| node.text().is_none() && node.value != Value::Null)
        {
            self.wrong_type(node, &format!("`{key}`"), "a text");
        }
    }

    /// A switch.
    pub(super) fn switch(&mut self, parent: &Node, key: &str) -> Option<bool> {
        let node = parent.get(key)?;
        if let Value::Bool(on) = node.value {
            return Some(on);
        }
        self.wrong_type(node, &format!("`{key}`"), "true or false");
        None
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, parent: &Node, key: &str, words: [(&str, T); 3]) -> Option<T> {
        let node = parent.get(key)?;
        let word = self.text(node, &format!("`{key}`"))?;
        let found = words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let [first, second, third] = words.map(|(known, _)| known);
            let meant = did_you_mean(word, [first, second, third]);
            let message = format!("`{key}` must be `{first}`, `{second}` or `{third}`, not `{word}`{meant}");
            self.report.at(node, code::BAD_VALUE, message);
        }
        found
    }

    /// A whole number within bounds.
    pub(super) fn whole(&mut self, parent: &Node, key: &str, bounds: (u32, u32)) -> Option<u32> {
        let node = parent.get(key)?;
        let Value::Number(number) = &node.value else {
            self.wrong_type(node, &format!("`{key}`"), "a whole number");
            return None;
        };
        let fits = number.as_u64().and_then(|whole| u32::try_from(whole).ok());
        let fits = fits.filter(|whole| (bounds.0..=bounds.1).contains(whole));
        if fits.is_none() {
            let message =
                format!("`{key}` must be a whole number from {} to {}, not {number}", bounds.0, bounds.1);
            self.report.at(node, code::BAD_VALUE, message);
        }
        fits
    }

    /// A duration in a field.
    pub(super) fn duration(&mut self, parent: &Node, key: &str) -> Option<Duration> {
        let node = parent.get(key)?;
        self.duration_at(node, &format!("`{key}`"))
    }

    /// A duration that takes some time at all.
    pub(super) fn time_limit(&mut self, parent: &Node, key: &str) -> Option<Duration> {
        let duration = self.duration(parent, key)?;
        if duration.is_zero() {
            let node = parent.get(key)?;
            self.report.at(node, code::BAD_DURATION, format!("`{key}` must be more than zero"));
            return None;
        }
        Some(duration)
    }

    /// A duration.
    pub(super) fn duration_at(&mut self, node: &Node, what: &str) -> Option<Duration> {
        let read = match &node.value {
            Value::Number(number) => duration_of_number(number),
            Value::Text(text) => parse_duration(text),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                self.wrong_type(node, what, "a duration (milliseconds, or a text like 30s)");
                return None;
            }
        };
        read.map_err(|message| self.report.at(node, code::BAD_DURATION, message)).ok()
    }

    /// Labels: a map of short texts.
    pub(super) fn labels(&mut self, parent: &Node, key: &str) -> Labels {
        let mut labels = Labels::new();
        for (name, value) in self.text_map(parent, key) {
            labels.insert(Text::from(name), Text::from(value));
        }
        labels
    }

    /// A map whose values are texts, numbers or switches, all taken as text.
    pub(super) fn text_map(&mut self, parent: &Node, key: &str) -> Vec<(String, String)> {
        let Some(node) = parent.get(key) else { return Vec::new() };
        let Some(entries) = node.entries() else {
            self.wrong_type(node, &format!("`{key}`"), "a map of texts");
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for entry in entries {
            match &entry.value.value {
                Value::Text(text) => pairs.push((entry.key.clone(), text.clone())),
                Value::Number(number) => pairs.push((entry.key.clone(), number.to_string())),
                Value::Bool(on) => pairs.push((entry.key.clone(), on.to_string())),
                Value::Null | Value::List(_) | Value::Map(_) => {
                    self.wrong_type(&entry.value, &format!("`{key}.{}`", entry.key), "a text");
                }
            }
        }
        pairs
    }

    /// Texts: a list of them, or one.
    pub(super) fn text_list<'n>(&mut self, parent: &'n Node, key: &str) -> Vec<(&'n Node, &'n str)> {
        let Some(node) = parent.get(key) else { return Vec::new() };
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
                std::slice::from_ref(node)
            }
        };
        items
            .iter()
            .filter_map(|item| self.text(item, &format!("`{key}`")).map(|text| (item, text)))
            .collect()
    }

    /// A priority: 1 to 5, or its name.
    pub(super) fn priority(&mut self, parent: &Node) -> Option<Priority> {
        let node = parent.get("priority")?;
        let found = match &node.value {
            Value::Number(number) => number.as_u64().and_then(Priority::from_level),
            Value::Text(text) => Priority::ALL
                .iter()
                .find(|(_, name)| name.eq_ignore_ascii_case(text))
                .map(|(priority, _)| *priority),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        };
        if found.is_none() {
            let message = "`priority` must be 1 to 5, or LOW, NORMAL, HIGH, CRITICAL, URGENT";
            self.report.at(node, code::BAD_VALUE, message);
        }
        found
    }

    /// A retry policy: the fields given over the defaults; a number alone is the limit.
    pub(super) fn retry(&mut self, parent: &Node, base: &Retry) -> Retry {
        let Some(node) = parent.get("retry") else { return base.clone() };
        if matches!(node.value, Value::Number(_)) {
            let limit = self.whole(parent, "retry", (1, 1_000));
            return Retry { limit: limit.unwrap_or(base.limit), ..base.clone() };
        }
        let known = ["limit", "delay", "backoff", "maxDelay", "jitter", "nonRetryable", "maxLost", "on"];
        if !self.fields(node, "`retry`", &known, &[]) {
            return base.clone();
        }
        Retry {
            limit: self.whole(node, "limit", (1, 1_000)).unwrap_or(base.limit),
            delay: self.duration(node, "delay").unwrap_or(base.delay),
            backoff_percent: self.backoff(node).unwrap_or(base.backoff_percent),
            delay_max: self.duration(node, "maxDelay").unwrap_or(base.delay_max),
            jitter: self.switch(node, "jitter").unwrap_or(base.jitter),
            non_retryable: self.codes(node, "nonRetryable").unwrap_or_else(|| base.non_retryable.clone()),
            lost_max: self.whole(node, "maxLost", (0, 1_000)).unwrap_or(base.lost_max),
            on: self.codes(node, "on").unwrap_or_else(|| base.on.clone()),
        }
    }

    /// Failure codes, where they are given.
    fn codes(&mut self, retry: &Node, key: &str) -> Option<Vec<Text>> {
        retry.get(key)?;
        Some(self.text_list(retry, key).into_iter().map(|(_, code)| Text::from(code)).collect())
    }

    /// The factor between pauses, in percent.
    fn backoff(&mut self, retry: &Node) -> Option<u32> {
        let node = retry.get("backoff")?;
        let Value::Number(number) = &node.value else {
            self.wrong_type(node, "`backoff`", "a factor such as 2 or 1.5");
            return None;
        };
        match number.as_f64() {
            Some(factor) if (1.0..=100.0).contains(&factor) => Some((factor * 100.0).round() as u32),
            Some(_) | None => {
                self.report.at(
                    node,
                    code::BAD_VALUE,
                    format!("`backoff` must be a factor from 1 to 100, not {number}"),
                );
                None
            }
        }
    }
}
