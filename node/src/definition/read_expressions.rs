//! Reads expressions and texts with `${{ … }}`, and notes what they name.
//! Knows nothing of what a name stands for; `names` checks that.

use orc_domain::Text;

use super::{
    error::code,
    names::Use,
    read::Reader,
    suggest::did_you_mean,
    template,
    tree::{Entry, Node, Value},
};

/// The longest expression, in bytes.
const EXPRESSION_MAX: usize = 4 * 1024;

/// Whether an expression may be a secret at this place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrets {
    Allowed,
    Refused,
}

impl Reader<'_> {
    /// A bare expression; `${{ … }}` around the whole of it is allowed.
    pub(super) fn expression(&mut self, node: &Node, what: &str) -> Option<Text> {
        if let Value::Bool(on) = node.value {
            return Some(Text::from(if on { "true" } else { "false" }));
        }
        let text = self.text(node, what)?.trim();
        let bare = template::unwrap_whole(text).unwrap_or(text);
        self.check_expression(node, what, bare).then(|| Text::from(bare))
    }

    /// A map of names and expressions.
    pub(super) fn expressions(&mut self, node: &Node, what: &str) -> Vec<(Text, Text)> {
        let Some(entries) = node.entries() else {
            self.wrong_type(node, what, "a map of names and expressions");
            return Vec::new();
        };
        let read = |entry: &Entry| {
            let expression = self.expression(&entry.value, &format!("output `{}`", entry.key))?;
            Some((Text::from(entry.key.as_str()), expression))
        };
        entries.iter().filter_map(read).collect()
    }

    /// Reads what is inside a field, where some names stand for something.
    pub(super) fn inside<T>(
        &mut self,
        field: Option<&'static str>,
        names: &[Text],
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let (within, bound) = (std::mem::replace(&mut self.within, field), self.bound.len());
        self.bound.extend_from_slice(names);
        let value = read(self);
        self.bound.truncate(bound);
        self.within = within;
        value
    }

    /// Checks the texts of what a task is given: they may hold secrets, too.
    pub(super) fn task_templates(&mut self, node: &Node) -> bool {
        self.for_task = true;
        let any = self.templates(node);
        self.for_task = false;
        any
    }

    /// Checks every `${{ … }}` in the texts of a value; whether evaluation changes it.
    pub(super) fn templates(&mut self, node: &Node) -> bool {
        let (mut found, mut any) = (Vec::new(), false);
        node.texts(&mut |node, text| {
            any |= template::has_any(text);
            // A text with secrets is filled in at delivery, where nothing is evaluated any more.
            let fixed = template::expressions(text).flatten().all(|text| text.starts_with("secrets."));
            found.extend(template::expressions(text).map(|found| (node, fixed, found)));
        });
        for (node, fixed, expression) in found {
            match expression {
                Ok(expression) => {
                    let place = if fixed && self.for_task { Secrets::Allowed } else { Secrets::Refused };
                    self.check_named(node, "the expression", expression, place);
                }
                Err(message) => self.report.at(node, code::BAD_EXPRESSION, message),
            }
        }
        any
    }

    /// Checks an expression and notes what it names; whether it holds.
    pub(super) fn check_expression(&mut self, node: &Node, what: &str, text: &str) -> bool {
        self.check_named(node, what, text, Secrets::Refused)
    }

    fn check_named(&mut self, node: &Node, what: &str, text: &str, secrets: Secrets) -> bool {
        if text.len() > EXPRESSION_MAX {
            self.report.at(node, code::LIMIT, format!("{what} is longer than {EXPRESSION_MAX} bytes"));
            return false;
        }
        let checked = (self.check)(text);
        match checked {
            Ok(paths) => {
                if let Some(path) = paths.iter().find(|path| path[0] == "secrets") {
                    self.check_secret(node, text, path.get(1), secrets);
                }
                let free = paths.into_iter().filter(|path| !self.bound.iter().any(|name| **name == *path[0]));
                let place = || Node { value: Value::Null, at: node.at, pointer: node.pointer.clone() };
                self.named.extend(free.map(|path| Use { path, node: place() }));
                true
            }
            Err(message) => {
                let shown: String = text.chars().take(60).collect();
                let message = message.trim().replace('\n', " ");
                self.report.at(
                    node,
                    code::BAD_EXPRESSION,
                    format!("{what} `{shown}` is not a valid expression: {message}"),
                );
                false
            }
        }
    }

    /// A secret is declared, and nothing is done with it before the task has it.
    fn check_secret(&mut self, node: &Node, text: &str, name: Option<&String>, secrets: Secrets) {
        let Some(name) = name.filter(|name| secrets == Secrets::Allowed && text == format!("secrets.{name}"))
        else {
            let message = "a secret reaches tasks only, alone or between fixed text";
            self.report.at(node, code::BAD_EXPRESSION, message);
            return self.report.hint("write `${{ secrets.NAME }}` in `config`, `env` or `http` of a task");
        };
        if !self.secrets.contains(name) {
            let meant = did_you_mean(name, self.secrets.iter().map(String::as_str));
            let message = format!("the expression names the secret `{name}`, which is not declared{meant}");
            self.report.at(node, code::UNKNOWN_NAME, message);
            self.report.hint(format!("declare it at the top: secrets: [{name}]"));
        }
    }
}
