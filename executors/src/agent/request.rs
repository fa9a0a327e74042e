//! What is asked of an agent, and how it is told: the prompt, its settings, its environment.
//! Knows nothing of which agents there are.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use orc_client::wire::Millis;
use serde::Deserialize;
use serde_json::Value;

use super::providers::CLAUDE_CODE;

/// What of the worker's environment an agent gets, beyond what any program gets: its keys and settings.
const PASSED: [&str; 3] = ["ANTHROPIC_", "CLAUDE_", "OPENAI_"];
/// A longer setting is no variable: Linux takes 128 KiB for one, with its name, and none with a NUL.
const VARIABLE_BYTES_MAX: usize = 64 * 1024;

/// The payload of `agent`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    provider: Option<String>,
    prompt: String,
    /// Where it works; by default in a fresh folder.
    pub(super) workdir: Option<PathBuf>,
    allowed_tools: Option<Vec<String>>,
    max_turns: Option<u32>,
    model: Option<String>,
    /// A JSON Schema that the answer must fit.
    pub(super) output_schema: Option<Value>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    pub(super) timeout: Option<Millis>,
}

impl Request {
    /// The name of the agent that is asked.
    pub(super) fn provider(&self) -> &str {
        self.provider.as_deref().unwrap_or(CLAUDE_CODE)
    }

    /// The prompt and, if the answer must have a shape, which.
    pub(super) fn full_prompt(&self) -> String {
        let Some(schema) = &self.output_schema else { return self.prompt.clone() };
        format!(
            "{}\n\nEnd your answer with one fenced ```json block that holds one JSON value and nothing else. The value must \
             be valid against this JSON Schema:\n{schema}\n",
            self.prompt
        )
    }

    /// The variables that the agent gets: keys out of those of the worker, those of the request, and its settings.
    pub(super) fn environment(
        &self,
        worker: impl Iterator<Item = (OsString, OsString)>,
    ) -> Vec<(OsString, OsString)> {
        let is_passed = |name: &OsString| {
            let name = name.to_string_lossy();
            PASSED.iter().any(|prefix| name.starts_with(prefix))
        };
        let fits = |value: &String| value.len() <= VARIABLE_BYTES_MAX && !value.contains('\0');
        let own = self.env.iter().map(|(name, value)| (name.into(), value.into()));
        let settings = Setting::ALL
            .into_iter()
            .filter_map(|setting| Some((setting.variable().into(), setting.of(self).filter(fits)?.into())));
        worker.filter(|(name, _)| is_passed(name)).chain(own).chain(settings).collect()
    }
}

/// A part of a request that an agent can be told by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Setting {
    Prompt,
    Model,
    MaxTurns,
    AllowedTools,
    OutputSchema,
}

impl Setting {
    const ALL: [Self; 5] =
        [Self::Prompt, Self::Model, Self::MaxTurns, Self::AllowedTools, Self::OutputSchema];

    fn variable(self) -> &'static str {
        match self {
            Self::Prompt => "ORC_AGENT_PROMPT",
            Self::Model => "ORC_AGENT_MODEL",
            Self::MaxTurns => "ORC_AGENT_MAX_TURNS",
            Self::AllowedTools => "ORC_AGENT_ALLOWED_TOOLS",
            Self::OutputSchema => "ORC_AGENT_OUTPUT_SCHEMA",
        }
    }

    /// What the request says, unless it says nothing.
    pub(super) fn of(self, request: &Request) -> Option<String> {
        let text = match self {
            Self::Prompt => Some(request.full_prompt()),
            Self::Model => request.model.clone(),
            Self::MaxTurns => request.max_turns.map(|turns| turns.to_string()),
            Self::AllowedTools => request.allowed_tools.as_ref().map(|tools| tools.join(",")),
            Self::OutputSchema => request.output_schema.as_ref().map(Value::to_string),
        };
        text.filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn environment(payload: Value, worker: &[(&str, &str)]) -> Vec<String> {
        let request: Request = serde_json::from_value(payload).expect("a request");
        let worker = worker.iter().map(|&(name, value)| (name.into(), value.into()));
        let text = |(name, value): (OsString, OsString)| {
            format!("{}={}", name.to_string_lossy(), value.to_string_lossy())
        };
        request.environment(worker).into_iter().map(text).collect()
    }

    #[test]
    fn the_keys_of_agents_pass_and_other_secrets_do_not() {
        let worker = [
            ("ANTHROPIC_API_KEY", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("CLAUDE_CONFIG_DIR", "c"),
            ("MY_OPENAI_KEY", "d"),
            ("OPENAI_API_KEY", "e"),
        ];
        let given =
            environment(json!({ "prompt": "p", "env": { "MINE": "1", "OPENAI_API_KEY": "f" } }), &worker);
        // The last one of a name counts.
        let expected = [
            "ANTHROPIC_API_KEY=a",
            "CLAUDE_CONFIG_DIR=c",
            "OPENAI_API_KEY=e",
            "MINE=1",
            "OPENAI_API_KEY=f",
            "ORC_AGENT_PROMPT=p",
        ];
        assert_eq!(given, expected);
    }

    #[test]
    fn settings_are_variables_where_they_are_given_and_fit() {
        let given = environment(
            json!({ "prompt": "x".repeat(VARIABLE_BYTES_MAX + 1), "model": "m", "maxTurns": 3, "allowedTools": ["a", "b"] }),
            &[],
        );
        assert_eq!(given, ["ORC_AGENT_MODEL=m", "ORC_AGENT_MAX_TURNS=3", "ORC_AGENT_ALLOWED_TOOLS=a,b"]);
        let given = environment(json!({ "prompt": "a\0b", "model": "", "allowedTools": [] }), &[]);
        assert_eq!(given, [""; 0]);
    }
}
