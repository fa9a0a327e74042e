//! The form of an approval: a JSON schema that the data of a yes must fit.
//! Knows nothing of who decides.

use jsonschema::PatternOptions;
use orc_client::wire::{ProblemError, Raw, codes};
use orc_domain::Json;
use serde_json::Value;

use super::problem::Refusal;

/// Mistakes that are told at once.
const MISTAKES_MAX: usize = 20;

/// Checks data against the `form` of a request, if it has one. A form that is no schema takes anything: who has to decide
/// cannot mend it.
pub fn check(request: &Json, data: Option<&Raw>) -> Result<(), Refusal> {
    let request: Value = serde_json::from_str(request.as_str()).unwrap_or_default();
    let Some(form) = request.get("form") else { return Ok(()) };
    // Patterns in linear time: forms come from users.
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    let Ok(validator) = options.build(form) else { return Ok(()) };
    let data = data.map_or(Ok(Value::Null), |data| serde_json::from_str(data.get()));
    let data = data.map_err(|error| Refusal::bad_request(error.to_string()))?;
    let mistakes: Vec<ProblemError> = validator
        .iter_errors(&data)
        .take(MISTAKES_MAX)
        .map(|mistake| ProblemError {
            pointer: format!("/data{}", mistake.instance_path()),
            line: None,
            column: None,
            detail: mistake.to_string(),
        })
        .collect();
    if mistakes.is_empty() {
        return Ok(());
    }
    let refusal = Refusal::new(codes::VALIDATION_FAILED, "the data does not fit the form of the approval");
    Err(refusal.errors(mistakes).hint("GET /api/v1/approvals shows the form as `request.form`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_must_fit_the_form_if_there_is_one() {
        let raw = |text: &str| orc_client::wire::raw(&serde_json::from_str::<Value>(text).expect("JSON"));
        let pointers = |request: &str, data: Option<&str>| -> Vec<String> {
            let data = data.map(|text| raw(text).expect("it has a JSON form"));
            match check(&Json::from(request), data.as_ref()) {
                Ok(()) => Vec::new(),
                Err(refusal) => {
                    refusal.into_parts().0.errors.into_iter().map(|error| error.pointer).collect()
                }
            }
        };
        let form = r#"{"prompt":"?","form":{"type":"object","required":["version"],
            "properties":{"version":{"type":"string","pattern":"^[0-9.]+$"}}}}"#;
        assert_eq!(pointers(form, Some(r#"{"version":"1.2"}"#)), [""; 0]);
        assert_eq!(pointers(form, Some(r#"{"version":7}"#)), ["/data/version"]);
        assert_eq!(pointers(form, Some(r#"{"version":"x"}"#)), ["/data/version"]);
        assert_eq!(pointers(form, None), ["/data"]);
        assert_eq!(pointers(r#"{"prompt":"?"}"#, None), [""; 0]);
        assert_eq!(pointers(r#"{"form":{"type":"nonsense"}}"#, Some("1")), [""; 0], "no schema");
    }
}
