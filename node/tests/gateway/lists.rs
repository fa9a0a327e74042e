//! Lists of runs and tasks: filters, order, pages, totals; what is deleted, by hand, by retention and by batches.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    hands::{self, start_run},
    node::{Answer, Asked, Node, server, shared, start, until},
};

/// A node of its own, since it counts everything and is configured.
pub async fn alone() -> Node {
    let mut command = server(1, None);
    command.args(["--bootstrap", "--preset", "testing"]);
    start(command).await
}

/// A run that waits for an hour.
pub async fn run(node: &Asked, workflow: &str, labels: Value) -> String {
    let definition = json!({"name": workflow, "steps": [{"id": "wait", "delay": "1h"}]});
    let body = json!({"definition": definition, "labels": labels}).to_string();
    node.post("/runs", &body).await.ok(201)["runId"].as_str().expect("an id").to_owned()
}

async fn cancelled(node: &Asked, workflow: &str, labels: Value) -> String {
    let id = run(node, workflow, labels).await;
    node.post(&format!("/runs/{id}/cancel"), "").await.ok(200);
    id
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("a list");
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

async fn listed(node: &Asked, query: &str) -> Vec<String> {
    ids(&node.read(&format!("/runs?{query}")).await.ok(200))
}

/// Every page, by the links that the answers carry.
async fn all_pages(node: &Asked, query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut path = format!("/runs?{query}");
    loop {
        let answer: Answer = node.read(&path).await;
        let page = answer.ok(200);
        found.extend(ids(&page));
        let link = answer.header("link");
        assert_eq!(link.is_empty(), page["nextCursor"].is_null());
        match link.strip_prefix("</api/v1").and_then(|link| link.strip_suffix(">; rel=\"next\"")) {
            Some(next) => next.clone_into(&mut path),
            None => return found,
        }
    }
}

#[tokio::test]
async fn a_list_has_what_its_filters_say_in_the_order_asked_for() {
    let (node, team) = (shared().await, json!({"team": "ml", "region": "eu"}));
    let mut live = Vec::new();
    let mut ended = Vec::new();
    for round in 0..6 {
        let labels = if round % 2 == 0 { team.clone() } else { json!({"team": "web"}) };
        ended.push(cancelled(&node, "listed", labels.clone()).await);
        live.push(run(&node, "listed", labels).await);
    }
    let newest = |ids: &[&Vec<String>]| {
        let mut all: Vec<String> = ids.iter().flat_map(|ids| (*ids).clone()).collect();
        all.sort_unstable_by(|one, other| other.cmp(one));
        all
    };
    let expected = newest(&[&live, &ended]);
    assert_eq!(listed(&node, "workflow=listed").await, expected);
    assert_eq!(all_pages(&node, "workflow=listed&limit=5").await, expected);
    assert_eq!(all_pages(&node, "workflow=nobody,listed&status=cancelled&limit=4").await, newest(&[&ended]));
    let mut oldest = all_pages(&node, "workflow=listed&sort=createdAt&limit=5").await;
    oldest.reverse();
    assert_eq!(oldest, expected);
    assert_eq!(listed(&node, "workflow=listed&sort=endedAt").await, ended);
    assert_eq!(all_pages(&node, "workflow=listed&sort=-endedAt&limit=4").await, newest(&[&ended]));
    let of_team = [&ended[0], &ended[2], &ended[4]].map(Clone::clone).to_vec();
    let both = listed(&node, "workflow=listed&status=cancelled&label=team:ml,team:x&label=region:eu").await;
    assert_eq!(both, newest(&[&of_team]));
    assert_eq!(listed(&node, "workflow=listed&label=team:ml&label=team:web").await, [""; 0]);
    let last = ended[5].as_str();
    assert_eq!(listed(&node, &format!("workflow=listed&q={}", last.to_lowercase())).await, [last]);
    assert_eq!(listed(&node, "workflow=listed&until=1h").await, [""; 0]);
    assert_eq!(listed(&node, "workflow=listed&since=1h").await, expected);

    let counted = node.read("/runs?workflow=listed&status=cancelled&limit=2").await.ok(200);
    assert_eq!((&counted["total"], &counted["totalIsExact"]), (&json!(6), &json!(true)));
    let searched = node.read("/runs?workflow=listed&q=run&limit=2").await.ok(200);
    assert_eq!((&searched["total"], &searched["totalIsExact"]), (&Value::Null, &json!(false)));
    let whole = node.read("/runs?workflow=listed&label=team:ml").await.ok(200);
    assert_eq!((&whole["total"], &whole["totalIsExact"]), (&json!(6), &json!(true)));
    let sparse = node.read("/runs?workflow=listed&fields=id,status&limit=1").await.ok(200);
    let names: BTreeSet<&String> = sparse["items"][0].as_object().expect("an object").keys().collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["id", "status"]);
    for id in live {
        node.post(&format!("/runs/{id}/cancel"), "").await.ok(200);
    }
}

#[tokio::test]
async fn tasks_are_found_by_action_label_and_run() {
    let node = shared().await;
    let body = json!([
        {"name": "one", "action": "sought", "labels": {"gpu": "a"}},
        {"name": "two", "action": "sought", "labels": {"gpu": "b"}},
    ]);
    let made = node.post("/tasks", &body.to_string()).await.ok(201);
    let id = |place: usize| made["tasks"][place]["taskId"].as_str().expect("an id").to_owned();
    node.post(&format!("/tasks/{}/cancel", id(0)), "").await.ok(200);
    let found = async |query: &str| ids(&node.read(&format!("/tasks?{query}")).await.ok(200));
    assert_eq!(found("action=sought").await, [id(1), id(0)]);
    assert_eq!(found("action=sought&status=cancelled").await, [id(0)]);
    assert_eq!(found("action=sought&label=gpu:b").await, [id(1)]);
    assert_eq!(found("action=sought&sort=endedAt").await, [id(0)]);
    assert_eq!(found("action=sought&q=TWO").await, [id(1)]);
    node.post(&format!("/tasks/{}/cancel", id(1)), "").await.ok(200);

    let definition = json!({"name": "of-tasks", "steps": [{"id": "only", "action": "sought-by-run"}]});
    let run = node.post("/runs", &json!({ "definition": definition }).to_string()).await.ok(201);
    let run = run["runId"].as_str().expect("an id").to_owned();
    let of_run = until(|| async {
        let page = node.read(&format!("/tasks?run={run}")).await.ok(200);
        page["items"].as_array().is_some_and(|items| !items.is_empty()).then_some(page)
    })
    .await;
    assert_eq!(of_run["items"][0]["runId"], run);
    assert_eq!(ids(&of_run).len(), 1);
    node.post(&format!("/runs/{run}/cancel"), "").await.ok(200);
}

#[tokio::test]
async fn a_list_says_what_it_cannot_do() {
    let node = shared().await;
    for (query, words) in [
        ("status=faild", "did you mean `failed`?"),
        ("sort=startedAt", "`sort` cannot be `startedAt`"),
        ("label=ml", "not `name:value`"),
        ("since=tuesday", "neither a time nor a duration"),
        ("fields=id,stat", "there is no field `stat`"),
        ("cursor=abc", "`cursor` is not the `nextCursor`"),
        ("owner=me", "owner"),
    ] {
        let problem = node.read(&format!("/runs?{query}")).await.problem(400, "BAD_REQUEST");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{problem}");
    }
    for _ in 0..2 {
        cancelled(&node, "cursors", json!({})).await;
    }
    let page = node.read("/runs?workflow=cursors&limit=1").await.ok(200);
    let cursor = page["nextCursor"].as_str().expect("there are two");
    assert_eq!(listed(&node, &format!("workflow=cursors&limit=1&cursor={cursor}")).await.len(), 1);
    let other = node.read(&format!("/runs?workflow=others&limit=1&cursor={cursor}")).await;
    assert!(other.problem(400, "BAD_REQUEST")["detail"].to_string().contains("other filters"));
}

#[tokio::test]
async fn an_ended_run_is_deleted_and_a_live_one_is_not() {
    let node = shared().await;
    let id = run(&node, "deleted", json!({})).await;
    let path = format!("/runs/{id}");
    let delete =
        async |key: &str| node.call_with(Method::DELETE, &path, "", &[("idempotency-key", key)]).await;
    let problem = delete("lists-1").await.problem(409, "INVALID_TRANSITION");
    assert!(problem["hint"].to_string().contains("/cancel"), "{problem}");
    node.post(&format!("{path}/cancel"), "").await.ok(200);
    assert_eq!(delete("lists-2").await.status, 204);
    node.read(&path).await.problem(404, "NOT_FOUND");
    assert_eq!(listed(&node, "workflow=deleted").await, [""; 0]);
    let again = delete("lists-2").await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (204, "true"));
    delete("lists-3").await.problem(404, "NOT_FOUND");
    let events = until(|| async {
        let page = node.read("/events?types=workflow.deleted&limit=500").await.ok(200);
        let told =
            page["items"].as_array().is_some_and(|items| items.iter().any(|event| event["subject"] == id));
        told.then_some(page)
    });
    events.await;
}

#[tokio::test]
async fn what_was_kept_long_enough_is_deleted() {
    let node = alone().await;
    let asked = node.ask();
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(cancelled(&asked, "kept", json!({"team": "ml"})).await);
    }
    let stays = run(&asked, "kept", json!({})).await;
    asked.put("/cluster/config", r#"{"workflow": {"maxEndedRuns": 2}}"#).await.ok(200);
    let expected = vec![stays.clone(), all[4].clone(), all[3].clone()];
    until(|| async { (listed(&asked, "workflow=kept").await == expected).then_some(()) }).await;
    until(|| async {
        let page = asked.read("/runs?workflow=kept&status=cancelled").await.ok(200);
        (page["total"] == 2).then_some(())
    })
    .await;
    assert_eq!(listed(&asked, "label=team:ml").await, expected[1..]);
    asked.put("/cluster/config", r#"{"workflow": {"retention": 1}}"#).await.ok(200);
    until(|| async { (listed(&asked, "workflow=kept").await == [stays.clone()]).then_some(()) }).await;
}

#[tokio::test]
async fn a_workflow_may_say_how_long_its_runs_are_kept() {
    let node = alone().await;
    let asked = node.ask();
    let ended = async |name: &str, retention: Value| {
        let definition =
            json!({"name": name, "retention": retention, "steps": [{"id": "a", "delay": "1ms"}]});
        let run = start_run(&asked, &definition).await;
        hands::ended(&asked, &run).await;
        run
    };
    let stays = ended("stays", json!("1h")).await;
    let goes = ended("goes", json!(1)).await;
    until(|| async { (listed(&asked, "").await == [stays.clone()]).then_some(()) }).await;
    asked.read(&format!("/runs/{goes}")).await.problem(404, "NOT_FOUND");
    asked.put("/cluster/config", r#"{"workflow": {"retention": 1}}"#).await.ok(200);
    let plain = cancelled(&asked, "plain", json!({})).await;
    until(|| async { (asked.read(&format!("/runs/{plain}")).await.status == 404).then_some(()) }).await;
    assert_eq!(listed(&asked, "").await, [stays]);
}

#[tokio::test]
async fn a_batch_does_one_thing_to_every_run_that_its_filter_finds() {
    let node = shared().await;
    let mut live = Vec::new();
    for round in 0..4 {
        live.push(run(&node, "batched", json!({"half": (round % 2).to_string()})).await);
    }
    let body = |action: &str, filter: Value, dry: bool| {
        json!({"action": action, "filter": filter, "dryRun": dry, "reason": "because"}).to_string()
    };
    let ended = async |id: &str| {
        until(|| async {
            let batch = node.read(&format!("/batches/{id}")).await.ok(200);
            (batch["status"] != "running").then_some(batch)
        })
        .await
    };
    let filter = json!({"workflow": "batched", "label": "half:0"});
    let dry = node.post("/batches", &body("cancel", filter.clone(), true)).await.ok(200);
    assert_eq!(dry, json!({"matched": 2, "more": false}));
    assert_eq!(listed(&node, "workflow=batched&status=cancelled").await, [""; 0]);
    let started = node.post("/batches", &body("cancel", filter, false)).await;
    let id = started.ok(202)["id"].as_str().expect("an id").to_owned();
    assert_eq!(started.header("location"), format!("/api/v1/batches/{id}"));
    let done = ended(&id).await;
    assert_eq!(
        (&done["status"], &done["changed"], &done["refused"]),
        (&json!("completed"), &json!(2), &json!(0))
    );
    assert_eq!(listed(&node, "workflow=batched&status=cancelled").await, [live[2].clone(), live[0].clone()]);
    let first = node.read(&format!("/runs/{}", live[0])).await.ok(200);
    assert_eq!(first["error"]["message"], "because");

    // Only what can be deleted is.
    let delete = body("delete", json!({"workflow": "batched"}), false);
    let headers = [("idempotency-key", "lists-batch")];
    let started = node.call_with(Method::POST, "/batches", &delete, &headers).await;
    let again = node.call_with(Method::POST, "/batches", &delete, &headers).await;
    assert_eq!(started.ok(202), again.ok(202));
    let done = ended(started.json()["id"].as_str().expect("an id")).await;
    assert_eq!((&done["matched"], &done["changed"]), (&json!(2), &json!(2)));
    assert_eq!(listed(&node, "workflow=batched").await, [live[3].clone(), live[1].clone()]);
    // Those that did not complete are done again.
    let broken =
        json!({"name": "batch-broken", "steps": [{"id": "fails", "condition": "false", "onFalse": "fail"}]});
    let failed = node.post("/runs?wait=20000", &json!({"definition": broken}).to_string()).await.ok(201);
    let retry =
        node.post("/batches", &body("retry", json!({"workflow": "batch-broken"}), false)).await.ok(202);
    let done = ended(retry["id"].as_str().expect("an id")).await;
    assert_eq!((&done["matched"], &done["changed"]), (&json!(1), &json!(1)), "{done}");
    let newest = node.read("/runs?workflow=batch-broken&limit=1").await.ok(200)["items"][0].clone();
    let again = node.read(&format!("/runs/{}", newest["id"].as_str().expect("an id"))).await.ok(200);
    assert_eq!(again["origin"], json!({"runId": failed["id"], "how": "retry"}));
    let known = node.read("/batches").await.ok(200);
    assert!(ids(&known).contains(&id));
    node.post(&format!("/batches/{id}/cancel"), "").await.ok(200);

    node.post("/batches", &body("cancel", json!({}), true)).await.problem(422, "VALIDATION_FAILED");
    let problem = node.post("/batches", &body("cancle", json!({"q": "x"}), true)).await;
    assert!(
        problem.problem(422, "VALIDATION_FAILED")["detail"].to_string().contains("did you mean `cancel`?")
    );
    node.post("/batches", &body("pause", json!({"state": "x"}), true)).await.problem(400, "BAD_REQUEST");
    let problem = node.read("/batches/bat_0-7").await.problem(404, "NOT_FOUND");
    assert!(problem["hint"].to_string().contains("node-7"), "{problem}");
    for run in &live[..] {
        node.post(&format!("/runs/{run}/cancel"), "").await;
    }
}
