//! The runs that a run has started, and its steps as a graph.
//! Knows nothing of when children start.

use std::{collections::BTreeMap, sync::Arc};

use orc_client::wire::{ChildView, GraphEdge, GraphNode, Page, PageQuery, RunGraph};
use orc_domain::{CHUNK_ITEMS, Role, Run, RunId, Work};

use super::{
    Gateway,
    call::Call,
    paging,
    problem::Refusal,
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
    let children = gateway.children_of(&run).await?;
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
    Ok(Reply::json(&Page { items, next_cursor, total: None }))
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

impl Gateway {
    /// Every run that a run has started, with what it is to it, in the order of time.
    async fn children_of(&self, run: &Run) -> Result<BTreeMap<RunId, Role>, Refusal> {
        let handlers = run.handling.iter().flat_map(|handling| &handling.started);
        let mut children: BTreeMap<RunId, Role> =
            handlers.map(|(job, child)| (*child, Role::Handler(*job))).collect();
        for (step, state) in (0..).zip(&run.steps) {
            match state.work.as_deref() {
                Some(Work::Child(child)) => {
                    children.insert(*child, Role::Step(step));
                }
                Some(Work::Fan(fan)) => {
                    for number in 0..fan.total.div_ceil(CHUNK_ITEMS) {
                        let Some(chunk) = self.chunk(run.id, step, number).await? else { break };
                        let items = (number * CHUNK_ITEMS..).zip(&chunk.items);
                        let started = items.filter_map(|(index, item)| Some((index, item.run?)));
                        children.extend(started.map(|(index, child)| (child, Role::Item { step, index })));
                    }
                }
                Some(Work::Signal(_) | Work::Approval(_) | Work::Message(_)) | None => {}
            }
        }
        Ok(children)
    }
}
