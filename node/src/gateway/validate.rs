//! `POST /workflows/validate`: every mistake of a document, and its graph. Nothing is stored.
//! Knows nothing of runs.

use std::{collections::BTreeMap, sync::Arc};

use orc_client::wire::ProblemError;
use serde::Serialize;

use super::{
    Gateway,
    call::Call,
    problem::definition_errors,
    reply::{Answered, Reply},
};
use crate::definition::{
    Compiled, Compiler,
    outline::{self, StepOutline},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Validated<'c> {
    valid: bool,
    errors: Vec<ProblemError>,
    warnings: &'c [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    graph: Option<Vec<StepOutline<'c>>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    handlers: BTreeMap<&'static str, Vec<StepOutline<'c>>>,
}

/// Checks a document, JSON or YAML: 200 with `valid` and the mistakes.
pub async fn validate(gateway: Arc<Gateway>, call: Call) -> Answered {
    let text = call.document()?;
    Ok(match Compiler::new(&gateway.cluster.config()).text(text) {
        Ok(compiled) => Reply::json(&valid(&compiled)),
        Err(errors) => Reply::json(&Validated {
            valid: false,
            errors: definition_errors(errors),
            warnings: &[],
            workflow: None,
            mode: None,
            graph: None,
            handlers: BTreeMap::new(),
        }),
    })
}

fn valid(compiled: &Compiled) -> Validated<'_> {
    Validated {
        valid: true,
        errors: Vec::new(),
        warnings: &compiled.warnings,
        workflow: Some(&compiled.workflow),
        mode: Some(compiled.mode.name()),
        graph: Some(outline::steps(&compiled.definition)),
        handlers: outline::handlers(&compiled.definition),
    }
}
