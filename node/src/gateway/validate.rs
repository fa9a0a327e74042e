//! `POST /workflows/validate`: every mistake of a document, and its graph. Nothing is stored.
//! Knows nothing of runs.

use std::sync::Arc;

use orc_client::wire::{ProblemError, codes, headers};
use orc_domain::Definition;
use serde::Serialize;

use super::{
    Gateway,
    call::Call,
    definitions::compile,
    problem::{Refusal, definition_errors},
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
    graph: Option<Vec<Node>>,
}

/// A step of the graph.
#[derive(Serialize)]
struct Node {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    needs: Vec<String>,
}

/// Checks a document, JSON or YAML: 200 with `valid` and the mistakes.
pub async fn validate(gateway: Arc<Gateway>, call: Call) -> Answered {
    match call.media_type().as_deref() {
        None
        | Some("application/yaml" | "application/x-yaml" | "text/yaml" | "text/plain" | headers::JSON) => {}
        Some(other) => {
            let detail = format!("the body is `{other}`, expected application/json or application/yaml");
            return Err(Refusal::new(codes::UNSUPPORTED_MEDIA_TYPE, detail));
        }
    }
    let text = std::str::from_utf8(&call.body).map_err(|_| Refusal::bad_request("the body is not UTF-8"))?;
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

fn graph(definition: &Definition) -> Vec<Node> {
    let id = |place: &u16| definition.steps[usize::from(*place)].id.to_string();
    let node = |step: &orc_domain::StepDef| Node {
        id: step.id.to_string(),
        name: step.name.to_string(),
        kind: step.kind.name(),
        needs: step.needs.iter().map(id).collect(),
    };
    definition.steps.iter().map(node).collect()
}
