//! `POST /workflows/validate`: every mistake of a document, and its graph. Nothing is stored.
//! Knows nothing of runs.

use std::sync::Arc;

use orc_client::wire::{GraphNode, ProblemError};
use serde::Serialize;

use super::{
    Gateway,
    call::Call,
    definitions::compile,
    problem::definition_errors,
    render::workflow::graph,
    reply::{Answered, Reply},
};
use crate::definition::Compiled;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Validated {
    valid: bool,
    errors: Vec<ProblemError>,
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    graph: Option<Vec<GraphNode>>,
}

/// Checks a document, JSON or YAML: 200 with `valid` and the mistakes.
pub async fn validate(gateway: Arc<Gateway>, call: Call) -> Answered {
    let text = call.document()?;
    Ok(Reply::json(&match compile(text, &gateway.cluster.config()) {
        Ok(compiled) => valid(compiled),
        Err(errors) => Validated {
            valid: false,
            errors: definition_errors(errors),
            warnings: Vec::new(),
            workflow: None,
            mode: None,
            graph: None,
        },
    }))
}

fn valid(compiled: Compiled) -> Validated {
    Validated {
        valid: true,
        errors: Vec::new(),
        warnings: compiled.warnings,
        workflow: Some(compiled.workflow),
        mode: Some(compiled.mode.name()),
        graph: Some(graph(&compiled.definition)),
    }
}
