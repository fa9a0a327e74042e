//! Hooks: signed calls from outside start runs, once for each delivery.

use hmac::{Hmac, Mac};
use reqwest::Method;
use serde_json::json;
use sha2::Sha256;

use crate::node::{Answer, Asked, shared};

pub fn signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(body.as_bytes());
    let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

async fn call(node: &Asked, hook: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    let signed = signature("s3cret", body);
    let mut all = vec![("x-hub-signature-256", signed.as_str()), ("x-github-event", "pull_request")];
    all.retain(|(name, _)| !headers.iter().any(|(own, _)| own == name));
    all.extend(headers);
    node.call_with(Method::POST, &format!("/hooks/{hook}"), body, &all).await
}

async fn hooked(node: &Asked, name: &str, secret: &str) {
    let document = json!({"name": name, "steps": [
        {"name": "Check", "type": "condition", "onFalse": "fail",
         "condition": "trigger.body.number == 7 && trigger.event == 'pull_request' && trigger.type == 'webhook'"}],
        "triggers": {"webhook": [{"id": "github", "secret": secret, "filter": "trigger.body.action in ['opened']"}]}});
    node.post("/workflows", &document.to_string()).await.ok(201);
}

const OPENED: &str = r#"{"action":"opened","number":7}"#;

#[tokio::test]
async fn a_signed_call_starts_a_run_once() {
    let node = shared().await;
    hooked(&node, "Hooked", "TEST_HOOK").await;
    let shown = node.read("/workflows/hooked").await.ok(200);
    assert_eq!(shown["hooks"], json!(["/api/v1/hooks/hooked/github"]));
    let delivery = [("x-github-delivery", "delivery-1")];
    let first = call(&node, "hooked/github", OPENED, &delivery).await;
    let run = first.ok(201)["runId"].as_str().expect("an id").to_owned();
    let again = call(&node, "hooked/github", OPENED, &delivery).await;
    assert_eq!((&again.ok(201)["runId"], again.header("idempotent-replayed")), (&json!(run), "true"));
    let ended = node.read(&format!("/runs/{run}/wait?timeout=20000")).await.ok(200);
    assert_eq!(
        (&ended["conclusion"], &ended["startedBy"]),
        (&json!("success"), &json!("webhook")),
        "{ended}"
    );
    let trigger = &ended["trigger"];
    assert_eq!(
        (&trigger["deliveryId"], &trigger["headers"]["x-github-event"]),
        (&json!("delivery-1"), &json!("pull_request"))
    );
    assert_eq!(
        trigger["headers"]["x-hub-signature-256"],
        serde_json::Value::Null,
        "a signature is nobody's business"
    );
    let other = call(&node, "hooked/github", OPENED, &[("x-github-delivery", "delivery-2")]).await;
    assert_ne!(other.ok(201)["runId"], json!(run));
    let without = node.post("/runs?wait=20000", r#"{"workflow":"hooked"}"#).await.ok(201);
    assert_eq!(without["status"], "failed", "without a trigger its name is unknown");
    assert!(
        without["error"]["message"].as_str().is_some_and(|message| message.contains("trigger")),
        "{without}"
    );
}

#[tokio::test]
async fn a_call_with_a_wrong_signature_starts_nothing() {
    let node = shared().await;
    hooked(&node, "Guarded", "TEST_HOOK").await;
    for signed in [
        signature("other", OPENED),
        signature("s3cret", "{}"),
        signature("s3cret", OPENED).replace("sha256=", "sha1="),
        "sha256=00".to_owned(),
        "sha256=zz".to_owned(),
    ] {
        let answer = call(&node, "guarded/github", OPENED, &[("x-hub-signature-256", signed.as_str())]).await;
        answer.problem(401, "UNAUTHENTICATED");
    }
    node.post("/hooks/guarded/github", OPENED).await.problem(401, "UNAUTHENTICATED");
    let runs = node.read("/runs?workflow=guarded").await.ok(200);
    assert_eq!(runs["items"], json!([]));
}

#[tokio::test]
async fn a_hooks_filter_decides_and_what_is_not_there_is_told() {
    let node = shared().await;
    hooked(&node, "Filtered", "TEST_HOOK").await;
    let closed = call(&node, "filtered/github", r#"{"action":"closed"}"#, &[]).await;
    assert_eq!(closed.ok(200), json!({"started": false}));
    let unfit = call(&node, "filtered/github", r#"{"zen":"ping"}"#, &[]).await;
    assert!(
        unfit.problem(422, "VALIDATION_FAILED")["detail"]
            .as_str()
            .is_some_and(|text| text.contains("action"))
    );
    call(&node, "filtered/github", "not json", &[]).await.problem(400, "BAD_REQUEST");
    call(&node, "filtered/gitlab", OPENED, &[]).await.problem(404, "NOT_FOUND");
    call(&node, "nobody/github", OPENED, &[]).await.problem(404, "NOT_FOUND");
    hooked(&node, "Secretless", "NOBODY_SET_THIS").await;
    let missing = call(&node, "secretless/github", OPENED, &[]).await.problem(503, "SECRET_MISSING");
    assert!(missing["hint"].as_str().is_some_and(|hint| hint.contains("ORC_SECRET_NOBODY_SET_THIS")));
    node.post("/workflows/filtered/pause", "").await.ok(200);
    call(&node, "filtered/github", OPENED, &[]).await.problem(409, "INVALID_TRANSITION");
}
