//! Secrets of a node by name: from the environment and a file. Their values are shown nowhere.
//! Knows nothing of what they are used for.

use std::{collections::BTreeMap, fmt, path::Path};

use super::ConfigErrors;

/// What the names of variables begin with.
const PREFIX: &str = "ORC_SECRET_";
/// The shortest value that is taken out of logs.
const REDACTED_MIN: usize = 4;

/// Secrets by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, String>);

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
        Ok(Secrets(secrets))
    }

    /// A text without the values of secrets; short ones are too common to be looked for.
    pub fn redact(&self, mut text: String) -> String {
        for value in self.0.values().filter(|value| value.len() >= REDACTED_MIN) {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), "***");
            }
        }
        text
    }

    /// The value of a secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
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
        assert_eq!(secrets.redact("it is two=2, ab".to_owned()), "it is***, ab");
        assert_eq!(secrets.redact("A is from the environment.".to_owned()), "A is ***.");
        assert_eq!(format!("{secrets:?}"), "{\"A\", \"B\"}");
        std::fs::write(&file, "A=1\njust words").expect("it is written");
        let error = Secrets::load(Some(&file), variables()).expect_err("it is refused");
        assert!(error.to_string().ends_with(":2: write NAME=value"), "{error}");
    }
}
