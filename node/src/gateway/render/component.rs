//! A component in its public form.
//! Knows nothing of sessions beyond what the row says.

use orc_client::wire::{self, ComponentView};
use orc_domain::{Component, ComponentStatus};

use super::{labels, time};

/// A component; `running` is how many tasks it works on.
pub fn view(component: &Component, running: u32) -> ComponentView {
    let session = component.session.as_ref();
    ComponentView {
        id: component.id.to_string(),
        name: component.name.to_string(),
        kind: component.kind.to_string(),
        version: component.version.to_string(),
        capabilities: component.capabilities.iter().map(ToString::to_string).collect(),
        labels: labels(&component.labels),
        slots: component.slots,
        running,
        status: status(component.status()),
        node: session.map(|session| session.node.to_string()),
        connected_at: session.map(|session| time(session.connected_at)),
    }
}

fn status(status: ComponentStatus) -> wire::ComponentStatus {
    match status {
        ComponentStatus::Disconnected => wire::ComponentStatus::Disconnected,
        ComponentStatus::Lost => wire::ComponentStatus::Lost,
        ComponentStatus::Connected => wire::ComponentStatus::Connected,
        ComponentStatus::Draining => wire::ComponentStatus::Draining,
    }
}
