//! The runs that a run has started, and its steps as a graph.
//! Knows nothing of when children start.

use std::sync::Arc;

use orc_client::wire::{ChildView, GraphEdge, GraphNode, Page, PageQuery, RunGraph};
use orc_domain::{Run, RunId};

use super::{
    Gateway,
    call::Call,
    paging,
    render::{family::role, run::summary},
    reply::{Answered, Reply},
};

/// `GET /runs/{id}/children`: newest first.
pub async fn children(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.run_id()?;
    let query: PageQuery = call.query()?;
    let limit = paging::limit(query.limit)?;
    let cursor = paging::cursor::<RunId>(query.cursor.as_deref())?;
    gateway.fresh(&call).await?;
    let run = gateway.run(id).await?;
    let definition = gateway.cluster.find_definition(run.definition).await?;
    let children = gateway.cluster.children_of(&run).await?;
    let mut items = Vec::new();
    let mut next_cursor = None;
    for (child, as_what) in children.into_iter().rev() {
        if cursor.is_some_and(|cursor| child >= cursor) {
            continue;
        }
        if items.len() == limit {
            next_cursor = items.last().map(|last: &ChildView| last.run.id.clone());
            break;
        }
        // What a step that was taken over has started belongs to the earlier run.
        let of_this = |child: &Arc<Run>| {
            let parent = child.parent.as_ref().map(|parent| parent.run);
            parent.or(child.earlier.map(|earlier| earlier.run)) == Some(id)
        };
        if let Some(child) = gateway.cluster.find_run(child).await?.filter(of_this) {
            let role = role(as_what, &run, definition.as_deref());
            items.push(ChildView { run: summary(&child, gateway.cluster.now()), role });
        }
    }
    Ok(Reply::json(&Page { items, next_cursor, total: None, total_is_exact: None }))
}

/// `GET /runs/{id}/graph`
pub async fn graph(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.run_id()?;
    gateway.fresh(&call).await?;
    let run = gateway.run(id).await?;
    let definition = gateway.cluster.find_definition(run.definition).await?;
    let steps = definition.as_deref().map_or(&[][..], |definition| definition.block(run.block));
    let mut edges = Vec::new();
    for step in steps {
        let needed = step.needs.iter().map(|need| steps[usize::from(*need)].id.to_string());
        edges.extend(needed.map(|from| GraphEdge { from, to: step.id.to_string() }));
    }
    let nodes = gateway.show_run(&run).await?.steps.into_iter().map(|step| GraphNode {
        id: step.id,
        name: step.name,
        kind: step.kind,
        status: step.status,
    });
    Ok(Reply::json(&RunGraph { nodes: nodes.collect(), edges }))
}
