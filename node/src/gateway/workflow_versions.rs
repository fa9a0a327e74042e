//! Versions of workflows: list, read, compare, draw; and the schema of their files.
//! Knows nothing of writes.

use std::sync::Arc;

use orc_client::wire::{GraphQuery, WorkflowDiff, WorkflowsQuery, headers};
use orc_domain::{Definition, WorkflowVersion};
use similar::TextDiff;
use warp::http::{StatusCode, header};

use super::{
    Gateway,
    call::Call,
    paging,
    problem::Refusal,
    render::workflow as render,
    reply::{Answered, Reply},
};
use crate::definition::{
    SCHEMA,
    drawing::{Drawing, draw},
    suggest::did_you_mean,
};

/// `GET /workflows/{name}/versions`: newest first.
pub async fn list(gateway: Arc<Gateway>, call: Call) -> Answered {
    let name = call.workflow_name()?;
    let query: WorkflowsQuery = call.query()?;
    let limit = paging::limit(query.limit)?;
    let before = paging::cursor::<u64>(query.cursor.as_deref())?;
    gateway.fresh(&call).await?;
    gateway.workflow(&name)?;
    let found = gateway.cluster.workflow_versions(name, before, limit + 1).await?;
    let more = found.len() > limit;
    let rows = &found[..found.len().min(limit)];
    let next = rows.last().filter(|_| more).map(|row| row.version);
    Ok(Reply::json(&paging::page(rows, next, |row: &Arc<WorkflowVersion>| render::version(row, None))))
}

/// `GET /workflows/{name}/versions/{version}`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    let (name, number) = (call.workflow_name()?, number(&call, "version")?);
    gateway.fresh(&call).await?;
    let tag = headers::entity_tag(number);
    let known = call.text_header(headers::IF_NONE_MATCH)?;
    let definition = gateway.stored(&name, Some(number)).await?.definition;
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
        return Ok(Reply::nothing().status(StatusCode::NOT_MODIFIED).header(header::ETAG, &tag));
    }
    let row = gateway.cluster.find_workflow_version(name.clone(), number).await?;
    let row = row.ok_or_else(|| Refusal::not_found(format!("workflow {name} has no version {number}")))?;
    Ok(Reply::json(&render::version(&row, Some(&definition))).header(header::ETAG, &tag))
}

/// `GET /workflows/{name}/versions/{version}/diff/{other}`
pub async fn diff(gateway: Arc<Gateway>, call: Call) -> Answered {
    let name = call.workflow_name()?;
    let (from, to) = (number(&call, "version")?, number(&call, "other")?);
    gateway.fresh(&call).await?;
    let before = yaml(&gateway.stored(&name, Some(from)).await?.definition);
    let after = yaml(&gateway.stored(&name, Some(to)).await?.definition);
    let text = TextDiff::from_lines(&before, &after);
    let titles = (format!("{name}@{from}"), format!("{name}@{to}"));
    let diff = text.unified_diff().header(&titles.0, &titles.1).to_string();
    let same = before == after;
    Ok(Reply::json(&WorkflowDiff { name: name.to_string(), from, to, same, diff }))
}

/// `GET /workflows/{name}/graph`
pub async fn graph(gateway: Arc<Gateway>, call: Call) -> Answered {
    let name = call.workflow_name()?;
    let query: GraphQuery = call.query()?;
    let (how, media_type) = match query.format.as_deref() {
        None | Some("json") => (None, headers::JSON),
        Some("mermaid") => (Some(Drawing::Mermaid), "text/vnd.mermaid"),
        Some("dot") => (Some(Drawing::Dot), "text/vnd.graphviz"),
        Some("text") => (Some(Drawing::Text), "text/plain; charset=utf-8"),
        Some(other) => {
            let meant = did_you_mean(other, ["json", "mermaid", "dot", "text"]);
            let detail =
                format!("in the query: `format` must be json, mermaid, dot or text, not `{other}`{meant}");
            return Err(Refusal::bad_request(detail));
        }
    };
    gateway.fresh(&call).await?;
    let stored = gateway.stored(&name, query.version).await?;
    Ok(match how {
        Some(how) => Reply::bytes(media_type, draw(&stored.definition, how).into()),
        None => Reply::json(&render::graph(&name, stored.version, &stored.definition)),
    })
}

/// `GET /schemas/workflow.json`
pub async fn schema(_: Arc<Gateway>, _: Call) -> Answered {
    Ok(Reply::bytes("application/schema+json", SCHEMA.into()))
}

fn number(call: &Call, name: &str) -> Result<u64, Refusal> {
    let text = call.param(name)?;
    text.parse().map_err(|_| Refusal::bad_request(format!("`{text}` is not a version")))
}

/// What a definition says, a line for each thing.
fn yaml(definition: &Definition) -> String {
    let value: serde_json::Value = serde_json::from_str(definition.source.as_str()).unwrap_or_default();
    serde_saphyr::to_string(&value).unwrap_or_else(|_| definition.source.as_str().to_owned())
}
