//! `POST /hooks/{workflow}/{hook}`: a signed call from outside that may start a run of a workflow.
//! Knows the signature's form and which headers a run may see; the secret stays here.

use std::sync::Arc;

use hmac::{Hmac, Mac};
use orc_client::wire::{HookAnswered, codes, paths};
use orc_domain::{Answer, Idempotency, IdempotencyKey, Json, StartedBy, WorkflowName};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    Gateway,
    access::unexpected,
    call::Call,
    problem::Refusal,
    reply::{Answered, Reply},
    runs_start::Wanted,
};
use crate::definition::triggers::WebhookTrigger;

const SIGNATURE: &str = "x-hub-signature-256";
/// Headers that name a delivery, so that one that is sent again starts nothing.
const DELIVERY: [&str; 4] = ["x-github-delivery", "webhook-id", "x-delivery-id", "idempotency-key"];
/// Headers that say what happened.
const EVENT: [&str; 3] = ["x-github-event", "x-gitlab-event", "x-event"];
/// Parts of the names of headers that no run may see.
const HIDDEN: [&str; 5] = ["signature", "token", "secret", "auth", "key"];

/// Starts a run with the call as its `trigger`, unless the hook's filter says no.
pub async fn receive(gateway: Arc<Gateway>, call: Call) -> Answered {
    let (workflow, hook) = (call.param("workflow")?, call.param("hook")?);
    let unknown = || Refusal::not_found(format!("there is no hook {workflow}/{hook}"));
    let name: WorkflowName = workflow.parse().map_err(|_| unknown())?;
    gateway.fresh(&call).await?;
    if gateway.cluster.workflow(&name).is_none() {
        return Err(unknown());
    }
    let stored = gateway.stored(&name, None).await?;
    let found = stored.compiled.triggers.webhooks.iter().find(|known| known.id == hook);
    let hook = found.ok_or_else(unknown)?;
    gateway.verify(&call, hook)?;
    let trigger = trigger(&call, hook)?;
    if let Some(filter) = &hook.filter {
        let passes = orc_actors::expression::filter(filter, &trigger).map_err(|error| {
            Refusal::new(
                codes::VALIDATION_FAILED,
                format!("the hook's filter does not fit this call: {error}"),
            )
            .hint("where a field may be missing, ask first: has(trigger.body.action) && ...")
        })?;
        if !passes {
            return Ok(Reply::json(&HookAnswered { started: false, run_id: None }));
        }
    }
    let wanted = Wanted {
        workflow: Some((name.clone(), stored.version)),
        by: StartedBy::Webhook(hook.id.as_str().into()),
        trigger: Some(Json::from(Value::Object(trigger).to_string())),
        ..Wanted::default()
    };
    let create = wanted.create(&stored.compiled, &stored.definition)?;
    let idempotency = delivery(&call).map(|id| idempotency(&name, hook, id, &call.body));
    let accepted = gateway.create_run(&call, idempotency, create, &stored.definition).await?;
    let Answer::Run { id, .. } = accepted.answer else { return Err(unexpected(&accepted.answer)) };
    let answered = HookAnswered { started: true, run_id: Some(id.to_string()) };
    let reply = Reply::json(&answered).created(&paths::fill(paths::RUN, &id.to_string()));
    Ok(reply.rev(accepted.rev).replayed(accepted.replayed))
}

impl Gateway {
    fn verify(&self, call: &Call, hook: &WebhookTrigger) -> Result<(), Refusal> {
        let name = &hook.secret;
        let secret = self.secrets.get(name).filter(|secret| !secret.is_empty()).ok_or_else(|| {
            Refusal::new(
                codes::SECRET_MISSING,
                format!("this node has no secret {name}, which the hook is signed with"),
            )
            .hint(format!(
                "set ORC_SECRET_{name}, or put {name}=... into the file of --secrets-file, on every node"
            ))
        })?;
        let signature = call.headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
        let bytes = signature.and_then(|text| bytes_of(text.trim().strip_prefix("sha256=")?));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key may have any length");
        mac.update(&call.body);
        // Compares in constant time.
        if bytes.is_some_and(|bytes| mac.verify_slice(&bytes).is_ok()) {
            return Ok(());
        }
        let detail = match signature {
            Some(_) => format!("the signature in {SIGNATURE} does not fit the body"),
            None => format!("the call has no signature in {SIGNATURE}"),
        };
        Err(Refusal::new(codes::UNAUTHENTICATED, detail)
            .hint("sign the body with the hook's secret: sha256=<HMAC-SHA256 in hexadecimal digits>"))
    }
}

/// What a run sees of the call as `trigger`.
fn trigger(call: &Call, hook: &WebhookTrigger) -> Result<Map<String, Value>, Refusal> {
    let body: Value = call.json()?;
    let shown = |name: &str| {
        let chosen = name.starts_with("x-") || name == "content-type" || name == "user-agent";
        chosen && !HIDDEN.iter().any(|part| name.contains(part))
    };
    let headers: Map<String, Value> = call
        .headers
        .iter()
        .filter(|(name, _)| shown(name.as_str()))
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), Value::from(value.to_str().ok()?))))
        .collect();
    let event = EVENT.iter().find_map(|name| call.headers.get(*name)?.to_str().ok());
    let trigger = json!({"type": "webhook", "hook": hook.id, "event": event, "deliveryId": delivery(call),
                         "headers": headers, "body": body});
    match trigger {
        Value::Object(trigger) => Ok(trigger),
        _ => unreachable!("it was written as an object"),
    }
}

fn delivery(call: &Call) -> Option<&str> {
    let named = DELIVERY.iter().find_map(|name| call.headers.get(*name)?.to_str().ok());
    named.filter(|id| (1..=255).contains(&id.len()))
}

fn idempotency(workflow: &WorkflowName, hook: &WebhookTrigger, delivery: &str, body: &[u8]) -> Idempotency {
    let (key, request) =
        (Sha256::digest(format!("hook\0{workflow}\0{}\0{delivery}", hook.id)), Sha256::digest(body));
    Idempotency {
        key: IdempotencyKey(std::array::from_fn(|place| key[place])),
        request: u64::from_be_bytes(std::array::from_fn(|place| request[place])),
    }
}

/// The bytes of hexadecimal digits.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..32).map(|place| u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()).collect()
}
