//! Facts about state keys, snapshots, durable messages and errors, in their public form.
//! Knows nothing of other facts.

use orc_domain::{
    ChangeOrigin, Concerned, Event, KeyChange, MessageEvent, MessageId, MessagePlace, SnapshotEvent,
    SnapshotId, TroubleEvent,
};

use super::{
    data::Data,
    event::{Names, Told, of_cluster, of_component, of_run, of_task},
    time,
};

/// The name of what happened to a snapshot.
pub(super) fn snapshot_kind(event: &SnapshotEvent) -> &'static str {
    match event {
        SnapshotEvent::Created(_) => "snapshot.created",
        SnapshotEvent::Restored { .. } => "snapshot.restored",
        SnapshotEvent::Deleted { .. } => "snapshot.deleted",
    }
}

/// The name of what happened to a durable message.
pub(super) fn message_kind(event: &MessageEvent) -> &'static str {
    match event {
        MessageEvent::Queued(_) => "message.queued",
        MessageEvent::Delivered { .. } => "message.delivered",
        MessageEvent::Acknowledged { .. } => "message.acknowledged",
        MessageEvent::Returned { .. } => "message.returned",
        MessageEvent::Ready { .. } => "message.ready",
        MessageEvent::DeadLettered { .. } => "message.deadLettered",
        MessageEvent::Requeued(_) => "message.requeued",
        MessageEvent::Dropped { .. } => "message.dropped",
    }
}

/// The name of an error, a recovery or a health check; the seed's names are these in camel case.
pub(super) fn trouble_kind(event: &TroubleEvent) -> &'static str {
    match event {
        TroubleEvent::Raised { .. } => "error",
        TroubleEvent::Recovered { .. } => "error.recovered",
        TroubleEvent::RecoveryFailed { .. } => "error.recoveryFailed",
        TroubleEvent::HealthChecked(report) if report.unhealthy.is_empty() => "health.checkPassed",
        TroubleEvent::HealthChecked(_) => "health.checkFailed",
    }
}

/// Subject and data of a change of a state key.
pub(super) fn tell_change(change: &KeyChange) -> Told {
    let KeyChange { key, old, value, version, version_min: _, expires_at, origin } = change;
    let data = Data::default().text("key", key).with("version", *version);
    let data = data.maybe("expiresAt", expires_at.map(|at| time(at).to_string()));
    let data = match origin {
        ChangeOrigin::Write => data,
        ChangeOrigin::Version(version) => data.with("restoredFrom", *version),
        ChangeOrigin::Snapshot(snapshot) => data.text("restoredFrom", snapshot),
        ChangeOrigin::Expiry => data.with("expired", true),
    };
    Told(key.to_string(), data.carry("oldValue", old.as_ref()).carry("newValue", value.as_ref()))
}

fn of_snapshot(id: SnapshotId) -> Told {
    Told(id.to_string(), Data::default().text("snapshotId", id))
}

/// Subject and data of what happened to a snapshot.
pub(super) fn tell_snapshot(event: &SnapshotEvent) -> Told {
    match event {
        SnapshotEvent::Created(snapshot) => of_snapshot(snapshot.id).and(|data| {
            let data = data.maybe("name", snapshot.name.as_deref()).with("keys", snapshot.keys);
            data.with("automatic", snapshot.automatic).carry("metadata", Some(&snapshot.metadata))
        }),
        SnapshotEvent::Restored { restore, keys } => of_snapshot(restore.snapshot).and(|data| {
            data.maybe("prefix", restore.prefix.as_deref())
                .with("keepNew", restore.keep_new)
                .with("keys", *keys)
        }),
        SnapshotEvent::Deleted { snapshot, overflow, .. } => {
            of_snapshot(*snapshot).and(|data| data.with("overflow", *overflow))
        }
    }
}

fn of_message(id: MessageId, place: &MessagePlace) -> Told {
    let data = Data::default().text("messageId", id).text("componentId", &place.0);
    Told(id.to_string(), data.with("number", place.1))
}

/// Subject and data of what happened to a durable message.
pub(super) fn tell_message(event: &MessageEvent) -> Told {
    match event {
        MessageEvent::Queued(message) => of_message(message.id, &message.place())
            .and(|data| data.text("messageType", &message.kind).carry("payload", Some(&message.payload))),
        MessageEvent::Delivered { place, message, delivery } => {
            of_message(*message, place).and(|data| data.with("token", delivery.token.0))
        }
        MessageEvent::Acknowledged { place, message } | MessageEvent::Ready { place, message } => {
            of_message(*message, place)
        }
        MessageEvent::Returned { place, message, failure, retry_at } => {
            of_message(*message, place).and(|data| {
                data.maybe("retryAt", retry_at.map(|at| time(at).to_string())).error(failure.as_ref())
            })
        }
        MessageEvent::DeadLettered { place, message, failure } => {
            of_message(*message, place).and(|data| data.error(Some(failure)))
        }
        MessageEvent::Requeued(id) => Told(id.to_string(), Data::default().text("messageId", id)),
        MessageEvent::Dropped { messages, overflow } => of_cluster().and(|data| {
            let ids: Vec<String> = messages.iter().map(ToString::to_string).collect();
            data.with("messageIds", ids).with("overflow", *overflow)
        }),
    }
}

fn of_concerned(concerned: &Concerned, names: &dyn Names) -> Told {
    let told = match (concerned.run, concerned.task, &concerned.component) {
        (_, Some(task), _) => of_task(task, names),
        (Some(run), None, _) => of_run(run, names),
        (None, None, Some(component)) => return of_component(component),
        (None, None, None) => of_cluster(),
    };
    told.and(|data| data.maybe("componentId", concerned.component.as_ref().map(ToString::to_string)))
}

/// Subject and data of an error, a recovery or a health check.
pub(super) fn tell_trouble(event: &TroubleEvent, names: &dyn Names) -> Told {
    match event {
        TroubleEvent::Raised { code, message, concerned, count } => {
            of_concerned(concerned, names).and(|data| {
                // The seed calls a run's id so.
                let data = data.maybe("workflowId", concerned.run.map(|run| run.to_string()));
                data.text("code", code).text("message", message).with("count", *count)
            })
        }
        TroubleEvent::Recovered { task, failure, attempts } => of_task(*task, names).and(|data| {
            let data = data.text("code", &failure.code).text("message", &failure.message);
            data.with("attempts", *attempts)
        }),
        TroubleEvent::RecoveryFailed { task, original, failure, attempts } => {
            of_task(*task, names).and(|data| {
                let error = |failure| serde_json::to_value(super::error(failure)).ok();
                let data =
                    data.maybe("originalError", error(original)).maybe("recoveryError", error(failure));
                data.with("attempts", *attempts)
            })
        }
        TroubleEvent::HealthChecked(report) => of_cluster().and(|data| {
            let unhealthy: Vec<String> = report.unhealthy.iter().map(ToString::to_string).collect();
            let data = data.text("node", report.node).with("unhealthyComponents", unhealthy);
            data.carry("measured", Some(&report.measured))
        }),
    }
}

/// The component that a fact is about.
pub fn component_of(event: &Event) -> Option<&orc_domain::ComponentId> {
    match event {
        Event::ComponentRegistered(info) => Some(&info.id),
        Event::ComponentConnected { component, .. }
        | Event::SessionEnded { component, .. }
        | Event::ComponentDisconnected(component)
        | Event::ComponentDraining(component, _)
        | Event::DrainTimedOut(component)
        | Event::ComponentDeregistered(component)
        | Event::TaskAssigned { component, .. } => Some(component),
        Event::Message(
            MessageEvent::Delivered { place, .. }
            | MessageEvent::Acknowledged { place, .. }
            | MessageEvent::Ready { place, .. }
            | MessageEvent::Returned { place, .. }
            | MessageEvent::DeadLettered { place, .. },
        ) => Some(&place.0),
        Event::Message(MessageEvent::Queued(message)) => Some(&message.component),
        Event::Trouble(TroubleEvent::Raised { concerned, .. }) => concerned.component.as_ref(),
        _ => None,
    }
}
