//! A worker, and a workflow of three tasks for it.
//! Knows nothing of what is measured with them.

use std::sync::Arc;

use orc_domain::{
    Command, ComponentId, Definition, Json, Labels, NodeId, RegisterComponent, SessionId, StepKind,
};
use uuid::Uuid;

use crate::workflow::in_a_row;

/// Three tasks of one action in a row; `number` tells definitions apart.
pub fn three_tasks(number: u8, action: &str) -> Arc<Definition> {
    let config = Json::from(r#"{"text":"hello","tries":3}"#);
    let kind = StepKind::Task { action: action.into(), config, templated: false };
    in_a_row(number, vec![kind.clone(), kind.clone(), kind])
}

/// The name of a component.
pub fn named(name: &str) -> ComponentId {
    name.parse().expect("a legal name")
}

/// Makes a worker known that takes tasks of one action.
pub fn register(name: &str, action: &str, slots: u32) -> Command {
    Command::RegisterComponent(Box::new(RegisterComponent {
        id: named(name),
        name: name.into(),
        kind: "worker".into(),
        version: "1".into(),
        capabilities: vec![action.into()],
        labels: Labels::new(),
        slots,
        ttl: None,
    }))
}

/// Connects a worker that holds no attempts.
pub fn connect(name: &str, session: Uuid) -> Command {
    let session = SessionId(session);
    Command::ConnectComponent { component: named(name), session, node: NodeId(1), held: Vec::new() }
}
