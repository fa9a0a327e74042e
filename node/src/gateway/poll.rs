//! The long-poll form of a component's session, for scripts.
//! Knows nothing of how orders wait; the coordinator does.

use std::{sync::Arc, time::Duration};

use orc_actors::{ConnectError, Delivery, expression::fill_secrets};
use orc_client::wire::{
    Poll, Polled, codes,
    session::{CancelOrder, DurableOrder, MessageOrder, TaskOrder},
};
use orc_domain::{Command, Failure, QueuedMessage, Rejection, StepDef, StepKind, TaskId, Token};

use super::{
    Gateway,
    call::Call,
    problem::Refusal,
    render,
    reply::{Answered, Reply},
};

const WAIT: Duration = Duration::from_secs(30);

/// `POST /components/{id}/poll`: at once when there is something, else after `wait`.
pub async fn poll(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.component_id()?;
    let body: Poll = call.json_or_default()?;
    gateway.fresh(&call).await?;
    let row = gateway.cluster.component(&id);
    let row = row.ok_or_else(|| Refusal::from(Rejection::ComponentUnknown { component: id.clone() }))?;
    let max = body.max.unwrap_or(row.slots).max(1) as usize;
    // A poller must be able to come again before it counts as gone.
    let wait_max = gateway.cluster.config().component_timeout / 2;
    let wait = body.wait.map_or(WAIT, Duration::from).min(wait_max);
    let coordinator = gateway.hands()?.coordinator.clone();
    let draining = gateway.draining();
    let polled = tokio::select! {
        polled = coordinator.poll(&id, max, wait) => polled.map_err(refuse)?,
        () = draining => orc_actors::Polled::default(),
    };
    Ok(Reply::json(&gateway.show_polled(polled)))
}

/// `POST /components/{id}/heartbeat`
pub async fn heartbeat(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.component_id()?;
    if gateway.hands()?.coordinator.heartbeat(&id).await {
        return Ok(Reply::nothing());
    }
    gateway.fresh(&call).await?;
    if gateway.cluster.component(&id).is_none() {
        return Err(Rejection::ComponentUnknown { component: id }.into());
    }
    let refusal = Refusal::not_found(format!("component {id} is not connected"));
    Err(refusal.hint(format!("connect it: POST /api/v1/components/{id}/poll")))
}

/// Why a component is not connected.
pub fn refuse(error: ConnectError) -> Refusal {
    match error {
        ConnectError::Rejected(rejection) => rejection.into(),
        ConnectError::Unavailable(unavailable) => unavailable.into(),
    }
}

impl Gateway {
    fn show_polled(&self, polled: orc_actors::Polled) -> Polled {
        Polled {
            tasks: polled.tasks.iter().filter_map(|delivery| self.task_order(delivery)).collect(),
            messages: polled.messages.iter().map(message_order).collect(),
            cancels: polled.cancels.iter().map(cancel_order).collect(),
            durable: polled.durable.iter().filter_map(|message| durable_order(message)).collect(),
        }
    }

    /// An attempt as the component hears of it, with its secrets; none if it has ended, or fails for want of one.
    pub fn task_order(&self, delivery: &Delivery) -> Option<TaskOrder> {
        let (id, place) = (delivery.task.id, self.step_of(delivery.task.id));
        let step = place
            .as_ref()
            .and_then(|(definition, block, step)| definition.block(*block).get(usize::from(*step)));
        let name = step.map(|step| step.id.to_string());
        let mut order = render::task::order(&delivery.task, delivery.token, name)?;
        if let Some(StepDef { kind: StepKind::Task { config, .. }, .. }) = step {
            match fill_secrets(config, &delivery.task.payload, |name| self.secrets.get(name)) {
                Ok(Some(filled)) => order.payload = render::raw(&filled),
                Ok(None) => {}
                Err(secret) => {
                    self.fail_for_secret(id, delivery.token, &secret);
                    return None;
                }
            }
        }
        Some(order)
    }

    /// Ends an attempt that would need a secret that this node does not have. Other nodes may have it: it is retried.
    fn fail_for_secret(&self, task: TaskId, token: Token, secret: &str) {
        let message = format!(
            "node-{} has no secret {secret}: set ORC_SECRET_{secret}, or put {secret}=... into the file of \
             --secrets-file, on every node",
            self.cluster.node().0
        );
        tracing::warn!(%task, "{message}");
        let failure = Failure::new(codes::SECRET_MISSING, message);
        let Ok(hands) = self.hands() else { return };
        let proposer = hands.proposer.clone();
        let command = Command::FailTask { task, token, failure, retryable: true, retry_after: None };
        tokio::spawn(async move {
            if let Err(error) = proposer.propose(command).await {
                tracing::debug!(%task, %error, "the attempt ends by its timeout");
            }
        });
    }
}

/// A cancel as the component hears of it.
pub fn cancel_order(cancel: &orc_actors::Cancel) -> CancelOrder {
    CancelOrder { task_id: cancel.task.to_string(), token: cancel.token.0, reason: cancel.reason.to_string() }
}

/// A message as the component hears of it.
pub fn message_order(message: &orc_actors::Message) -> MessageOrder {
    MessageOrder {
        message_id: message.id.to_string(),
        message_type: message.kind.to_string(),
        payload: render::one_line(&message.payload),
        reply_before: message.reply_before.0,
    }
}

/// A durable message as the component hears of it; none if it is not with a component.
pub fn durable_order(message: &QueuedMessage) -> Option<DurableOrder> {
    let delivery = message.delivery.as_ref()?;
    Some(DurableOrder {
        message_id: message.id.to_string(),
        message_type: message.kind.to_string(),
        payload: render::one_line(&message.payload),
        number: message.number,
        token: delivery.token.0,
        round: delivery.round,
        delivery: message.deliveries,
    })
}
