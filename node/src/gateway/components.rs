//! Components: registering, reading, draining, forgetting.
//! Knows nothing of sessions or messages.

use std::sync::Arc;

use orc_client::wire::{ComponentView, ComponentsQuery, DrainComponent, RegisterComponent as Body};
use orc_domain::{
    ActionName, Bug, Command, Component, ComponentId, Labels, RegisterComponent, Text, planted,
};

use super::{
    Gateway,
    access::Accepted,
    call::Call,
    paging,
    problem::Refusal,
    render,
    reply::{Answered, Reply},
};

/// Actions that one component may offer.
const CAPABILITIES_MAX: usize = 1_000;
/// Slots that one component may have.
const SLOTS_MAX: u32 = 100_000;

/// `PUT /components/{id}`
pub async fn register(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.component_id()?;
    let body: Body = call.json_or_default()?;
    let mut info = registration(id.clone(), body)?;
    if planted(Bug::NsFromBody)
        && let Ok(named) = info.name.parse()
    {
        info.id = named;
    }
    let accepted = gateway.command(&call, Command::RegisterComponent(Box::new(info))).await?;
    gateway.component_after(&id, accepted).await
}

/// What is registered, within bounds.
pub fn registration(id: ComponentId, body: Body) -> Result<RegisterComponent, Refusal> {
    let text = |field: &str, text: Option<String>, otherwise: &str| match text {
        None => Ok(Text::from(otherwise)),
        Some(text) if text.len() <= 256 => Ok(Text::from(text)),
        Some(_) => Err(Refusal::invalid(format!("/{field}"), format!("`{field}` has at most 256 bytes"))),
    };
    if body.capabilities.len() > CAPABILITIES_MAX {
        return Err(Refusal::invalid(
            "/capabilities",
            format!("a component offers at most {CAPABILITIES_MAX} actions"),
        ));
    }
    let mut capabilities: Vec<ActionName> = Vec::new();
    for (place, action) in body.capabilities.iter().enumerate() {
        if action.is_empty() || action.len() > 256 {
            return Err(Refusal::invalid(format!("/capabilities/{place}"), "an action has 1 to 256 bytes"));
        }
        if !capabilities.iter().any(|known| **known == **action) {
            capabilities.push(Text::from(action.as_str()));
        }
    }
    let slots = body.slots.unwrap_or(u32::from(!capabilities.is_empty()));
    if slots > SLOTS_MAX {
        return Err(Refusal::invalid("/slots", format!("a component has at most {SLOTS_MAX} slots")));
    }
    let labels: Labels = body
        .labels
        .iter()
        .map(|(name, value)| (Text::from(name.as_str()), Text::from(value.as_str())))
        .collect();
    Ok(RegisterComponent {
        name: text("name", body.name, id.as_str())?,
        kind: text("type", body.kind, if slots > 0 { "worker" } else { "component" })?,
        version: text("version", body.version, "")?,
        id,
        capabilities,
        labels,
        slots,
        ttl: body.ttl.map(Into::into),
    })
}

/// `GET /components/{id}`
pub async fn get(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.component_id()?;
    gateway.fresh(&call).await?;
    let row = gateway.cluster.component(&id).ok_or_else(|| unknown(&id))?;
    Ok(Reply::json(&gateway.show_component(&row).await?))
}

/// `GET /components`
pub async fn list(gateway: Arc<Gateway>, call: Call) -> Answered {
    let query: ComponentsQuery = call.query()?;
    let statuses = paging::words(query.status.as_deref());
    gateway.fresh(&call).await?;
    let census = gateway.cluster.census().await?;
    let offers = |row: &Component, action: &str| row.capabilities.iter().any(|offered| **offered == *action);
    let fits = |row: &&Arc<Component>| {
        query.capability.as_deref().is_none_or(|action| offers(row, action))
            && query.kind.as_deref().is_none_or(|kind| *row.kind == *kind)
            && (statuses.is_empty() || statuses.iter().any(|status| status == row.status().name()))
    };
    let rows: Vec<Arc<Component>> = gateway.cluster.components().iter().filter(fits).cloned().collect();
    let show =
        |row: &Arc<Component>| -> ComponentView { render::component::view(row, census.running_on(&row.id)) };
    let mut page = paging::page(&rows, None::<String>, show);
    page.total = u64::try_from(page.items.len()).ok();
    Ok(Reply::json(&page))
}

/// `POST /components/{id}/drain`
pub async fn drain(gateway: Arc<Gateway>, call: Call) -> Answered {
    let component = call.component_id()?;
    let body: DrainComponent = call.json_or_default()?;
    let command =
        Command::DrainComponent { component: component.clone(), within: body.deadline.map(Into::into) };
    let accepted = gateway.command(&call, command).await?;
    gateway.component_after(&component, accepted).await
}

/// `DELETE /components/{id}`
pub async fn deregister(gateway: Arc<Gateway>, call: Call) -> Answered {
    let component = call.component_id()?;
    let accepted = gateway.command(&call, Command::DeregisterComponent { component }).await?;
    Ok(Reply::nothing().rev(accepted.rev).replayed(accepted.replayed))
}

fn unknown(id: &ComponentId) -> Refusal {
    orc_domain::Rejection::ComponentUnknown { component: id.clone() }.into()
}

impl Gateway {
    async fn component_after(&self, id: &ComponentId, accepted: Accepted) -> Answered {
        self.cluster.wait_applied(accepted.rev).await?;
        let row = self.cluster.component(id).ok_or_else(|| unknown(id))?;
        Ok(Reply::json(&self.show_component(&row).await?).rev(accepted.rev).replayed(accepted.replayed))
    }

    async fn show_component(&self, row: &Component) -> Result<ComponentView, Refusal> {
        let census = self.cluster.census().await?;
        Ok(render::component::view(row, census.running_on(&row.id)))
    }
}
