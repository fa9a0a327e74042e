//! The agents that a worker knows: each a name and the command that asks it.
//! Knows nothing of how commands are run or of what agents answer.

use std::collections::BTreeMap;
use std::ffi::OsString;

use orc_client::TaskError;

use super::request::{Request, Setting};
use crate::Workdir;

/// The agent that is asked where none is named.
pub(super) const CLAUDE_CODE: &str = "claude-code";

/// The coding agents that [`crate::agent_handler`] may ask, by name. By default it is `claude-code`, which is
/// `claude -p --output-format stream-json --verbose` with the prompt on its standard input.
#[derive(Clone, Debug)]
pub struct Agents {
    providers: BTreeMap<String, Provider>,
    pub(super) workdir: Workdir,
}

impl Default for Agents {
    fn default() -> Self {
        let providers = BTreeMap::from([(CLAUDE_CODE.to_owned(), Provider::claude_code())]);
        Self { providers, workdir: Workdir::default() }
    }
}

impl Agents {
    /// The same and one more, asked by `command` (a program and its arguments); it replaces the one of that name. The
    /// command finds the request in its environment and the prompt on its standard input; see [`crate::agent_handler`].
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, command: Vec<String>) -> Self {
        let arguments = command.into_iter().map(|text| Argument::Text(text.into())).collect();
        self.providers.insert(name.into(), Provider(arguments));
        self
    }

    /// The same, working in a folder of the worker's.
    #[must_use]
    pub fn working_in(mut self, workdir: Workdir) -> Self {
        self.workdir = workdir;
        self
    }

    /// The one of that name.
    pub(super) fn find(&self, name: &str) -> Result<&Provider, TaskError> {
        self.providers.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.providers.keys().map(String::as_str).collect();
            let message = format!("there is no provider {name}, only {}", known.join(", "));
            TaskError::permanent("UNKNOWN_PROVIDER", message)
        })
    }
}

/// The command of an agent.
#[derive(Clone, Debug)]
pub(super) struct Provider(Vec<Argument>);

#[derive(Clone, Debug)]
enum Argument {
    Text(OsString),
    /// A flag and its value; neither is there where the request has none.
    Flag(&'static str, Setting),
}

impl Provider {
    fn claude_code() -> Self {
        let fixed = ["claude", "-p", "--output-format", "stream-json", "--verbose"];
        let flags = [
            Argument::Flag("--allowedTools", Setting::AllowedTools),
            Argument::Flag("--max-turns", Setting::MaxTurns),
            Argument::Flag("--model", Setting::Model),
        ];
        Self(fixed.into_iter().map(|text| Argument::Text(text.into())).chain(flags).collect())
    }

    /// The program and its arguments for a request.
    pub(super) fn argv(&self, request: &Request) -> Result<Vec<OsString>, TaskError> {
        if self.0.is_empty() {
            return Err(TaskError::permanent("SPAWN_FAILED", "the command is empty"));
        }
        let mut argv = Vec::new();
        for argument in &self.0 {
            match argument {
                Argument::Text(text) => argv.push(text.clone()),
                Argument::Flag(flag, setting) => {
                    if let Some(value) = setting.of(request) {
                        argv.extend([(*flag).into(), value.into()]);
                    }
                }
            }
        }
        Ok(argv)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn arguments(agents: &Agents, payload: Value) -> Result<String, TaskError> {
        let request: Request = serde_json::from_value(payload).expect("a request");
        let argv = agents.find(request.provider())?.argv(&request)?;
        Ok(argv.join(" ".as_ref()).to_string_lossy().into_owned())
    }

    #[test]
    fn a_flag_is_there_where_its_setting_is_given() {
        let agents = Agents::default();
        let bare = arguments(&agents, json!({ "prompt": "p" })).expect("a command");
        assert_eq!(bare, "claude -p --output-format stream-json --verbose");
        let full = json!({ "prompt": "p", "allowedTools": ["Read", "Grep"], "maxTurns": 3, "model": "m" });
        let full = arguments(&agents, full).expect("a command");
        assert_eq!(full, format!("{bare} --allowedTools Read,Grep --max-turns 3 --model m"));
    }

    #[test]
    fn providers_are_added_and_replaced() {
        let agents = Agents::default().with("aider", Vec::new());
        let ask = |provider: &str| json!({ "prompt": "p", "provider": provider });
        let unknown = arguments(&agents, ask("codex")).expect_err("unknown");
        assert_eq!((unknown.code.as_str(), unknown.retryable), ("UNKNOWN_PROVIDER", false));
        assert_eq!(unknown.message, "there is no provider codex, only aider, claude-code");
        assert_eq!(arguments(&agents, ask("aider")).expect_err("empty").code, "SPAWN_FAILED");
        let agents = agents.with("claude-code", vec!["mine".to_owned()]);
        assert_eq!(arguments(&agents, ask("claude-code")).as_deref(), Ok("mine"));
    }
}
