//! Secrets in templates: `${{ secrets.NAME }}`, alone in a text or between fixed text. Evaluation leaves such a text empty, so
//! that no value is ever replicated; the node that delivers the task fills it in.
//! Knows nothing of where secrets are kept.

use orc_domain::Json;
use serde_json::Value;

use super::{
    scope::parsed,
    template::{self, Part, Template},
};

/// The name of the secret that an expression stands for, if it is nothing else.
fn name_of(expression: &str) -> Option<&str> {
    let name = expression.strip_prefix("secrets.")?;
    let legal = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    (!name.is_empty() && name.chars().all(legal)).then_some(name)
}

/// Whether the text has secrets and nothing else to evaluate.
pub(super) fn is_left(template: &Template<'_>) -> bool {
    let mut expressions = template.expressions().peekable();
    expressions.peek().is_some() && expressions.all(|expression| name_of(expression).is_some())
}

/// The payload of a task with the secrets that the step's config names; none where it names none.
///
/// # Errors
/// The name of a secret that `secret` does not know.
pub fn fill_secrets<'s>(
    config: &Json,
    payload: &Json,
    secret: impl Fn(&str) -> Option<&'s str>,
) -> Result<Option<Json>, String> {
    if !config.as_str().contains("secrets.") {
        return Ok(None);
    }
    let mut texts = Vec::new();
    template::visit(&parsed(config), &mut |pointer, text| {
        let Some(template) = Template::parse(text).ok().filter(is_left) else { return Ok::<(), String>(()) };
        let mut filled = String::new();
        for part in template.parts() {
            match part {
                Part::Text(piece) => filled.push_str(piece),
                Part::Expression(expression) => {
                    let name = name_of(expression).unwrap_or_default();
                    filled.push_str(secret(name).ok_or_else(|| name.to_owned())?);
                }
            }
        }
        texts.push((pointer.to_owned(), filled));
        Ok(())
    })?;
    if texts.is_empty() {
        return Ok(None);
    }
    let mut payload = parsed(payload);
    for (pointer, text) in texts {
        if let Some(place) = payload.pointer_mut(&pointer) {
            *place = Value::String(text);
        }
    }
    Ok(Some(Json::from(payload.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str) -> Option<&'static str> {
        (name == "TOKEN").then_some("t0p")
    }

    #[test]
    fn secrets_are_filled_in_where_the_config_names_them_and_nowhere_else() {
        let config = r#"{"env":{"T":"${{ secrets.TOKEN }}","X":"${{ inputs.x }}"},"headers":["Bearer ${{secrets.TOKEN}}"]}"#;
        let payload = r#"{"env":{"T":null,"X":"${{ secrets.TOKEN }}"},"headers":[null]}"#;
        let filled = fill_secrets(&Json::from(config), &Json::from(payload), secret).expect("it is known");
        let expected = r#"{"env":{"T":"t0p","X":"${{ secrets.TOKEN }}"},"headers":["Bearer t0p"]}"#;
        assert_eq!(filled, Some(Json::from(expected)));
        assert_eq!(fill_secrets(&Json::from("{\"a\":1}"), &Json::from("{}"), secret), Ok(None));
    }

    #[test]
    fn an_unknown_secret_is_named() {
        let config = Json::from(r#"{"a":"${{ secrets.OTHER }}"}"#);
        assert_eq!(fill_secrets(&config, &Json::from("{\"a\":null}"), secret), Err("OTHER".to_owned()));
    }

    #[test]
    fn a_text_with_anything_else_is_evaluated() {
        let left = |text: &str| is_left(&Template::parse(text).expect("it reads"));
        assert!(left("${{ secrets.A }}") && left("${{secrets.A}}:${{ secrets.B }}"));
        assert!(!left("${{ secrets.A }} ${{ x }}") && !left("${{ secrets.A + 'x' }}") && !left("plain"));
    }
}
