//! Secrets of a node by name: from the environment and a file. Their values are shown nowhere.
//! Knows nothing of what they are used for.

use std::{borrow::Cow, collections::BTreeMap, fmt, path::Path};

use orc_domain::Json;
use serde_json::Value;

use super::ConfigErrors;

/// What the names of variables begin with.
const PREFIX: &str = "ORC_SECRET_";
/// The shortest value that is taken out of logs.
const REDACTED_MIN: usize = 4;

/// Secrets by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, Secret>);

#[derive(Clone, PartialEq, Eq)]
struct Secret {
    value: String,
    /// As it stands between the quotes of a JSON text.
    escaped: String,
}

impl Secret {
    fn new(value: String) -> Secret {
        let quoted = Value::from(value.as_str()).to_string();
        Secret { value, escaped: quoted[1..quoted.len() - 1].to_owned() }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Secrets {
    /// From `ORC_SECRET_<NAME>` among the variables and from `NAME=value` lines of a file; a variable wins.
    pub fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Secrets, ConfigErrors> {
        let mut secrets = BTreeMap::new();
        if let Some(path) = file {
            let shown = path.display();
            let text = std::fs::read_to_string(path)
                .map_err(|error| ConfigErrors(vec![format!("secrets-file {shown}: {error}")]))?;
            for (line, content) in (1..).zip(text.lines()) {
                let content = content.trim();
                if content.is_empty() || content.starts_with('#') {
                    continue;
                }
                let (name, value) =
                    content.split_once('=').filter(|(name, _)| !name.trim().is_empty()).ok_or_else(|| {
                        ConfigErrors(vec![format!("secrets-file {shown}:{line}: write NAME=value")])
                    })?;
                secrets.insert(name.trim().to_owned(), value.to_owned());
            }
        }
        secrets.extend(
            variables.filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?.to_owned(), value))),
        );
        Ok(Secrets(secrets.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()))
    }

    /// A text without the values of secrets; short ones are too common to be looked for.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for Secret { value, .. } in self.looked_for() {
            if text.contains(value.as_str()) {
                text = Cow::Owned(text.replace(value.as_str(), "***"));
            }
        }
        text
    }

    /// A JSON text without the values of secrets in its strings.
    pub fn redact_json(&self, json: &str) -> Json {
        // Parsed only where it has to be: results are on the way of every task.
        let is_there = self.looked_for().any(|secret| json.contains(&secret.escaped));
        let parsed = is_there.then(|| serde_json::from_str(json));
        let Some(Ok(mut parsed)) = parsed else { return Json::from(json) };
        self.redact_strings(&mut parsed);
        Json::from(parsed.to_string())
    }

    fn looked_for(&self) -> impl Iterator<Item = &Secret> {
        self.0.values().filter(|secret| secret.value.len() >= REDACTED_MIN)
    }

    fn redact_strings(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.redact(text).into_owned(),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_strings(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.redact_strings(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The value of a secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|secret| secret.value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_file_and_environment_and_are_not_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secrets");
        std::fs::write(&file, "# mine\nA=one\n\n B = two=2 \n").expect("it is written");
        let variable = |name: &str| (name.to_owned(), "from the environment".to_owned());
        let variables = || [variable("ORC_SECRET_A"), variable("ORC_NODE_ID")].into_iter();
        let secrets = Secrets::load(Some(&file), variables()).expect("it is read");
        assert_eq!(secrets.get("A"), Some("from the environment"));
        assert_eq!((secrets.get("B"), secrets.get("NODE_ID")), (Some(" two=2"), None));
        assert_eq!(secrets.redact("it is two=2, ab"), "it is***, ab");
        assert_eq!(secrets.redact("A is from the environment."), "A is ***.");
        let json = r#"{"a":["from the environment!"],"n":1.50}"#;
        assert_eq!(secrets.redact_json(json).as_str(), r#"{"a":["***!"],"n":1.5}"#);
        assert_eq!(secrets.redact_json("{\"n\":1.50}").as_str(), "{\"n\":1.50}");
        assert_eq!(format!("{secrets:?}"), "{\"A\", \"B\"}");
        std::fs::write(&file, "A=1\njust words").expect("it is written");
        let error = Secrets::load(Some(&file), variables()).expect_err("it is refused");
        assert!(error.to_string().ends_with(":2: write NAME=value"), "{error}");
    }
}
