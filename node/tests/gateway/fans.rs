//! Runs of runs: the items of a `foreach`, handlers, and what a repeated run takes over of them.

use serde_json::{Value, json};

use crate::{
    hands::{Hand, ended, id_of, start_run, start_with},
    logs::post_lines,
    node::{Asked, shared},
};

fn fan(action: &str) -> Value {
    json!({"name": action, "steps": [
        {"id": "each", "foreach": {"items": "[10, 11, 12]", "maxParallel": 1, "failFast": false},
            "type": "task", "config": {"action": action, "v": "${{ item }}"}},
        {"id": "sum", "type": "task", "config": {"action": action, "all": "${{ steps.each.outputs }}"}}]})
}

async fn items(node: &Asked, run: &str, query: &str) -> Value {
    node.read(&format!("/runs/{run}/steps/each/items{query}")).await.ok(200)
}

#[tokio::test]
async fn a_foreach_runs_its_items_and_shows_each() {
    let node = shared().await;
    let hand = Hand::new(&node, "fanner", &["fanned"]).await;
    let run = start_run(&node, &fan("fanned")).await;
    let first = hand.complete(json!("a")).await;
    assert_eq!(first["payload"]["v"], 10);
    let child = first["runId"].as_str().expect("a run of its own").to_owned();
    let second = hand.take().await;
    let view = node.read(&format!("/runs/{run}")).await.ok(200);
    let counts = json!({"total": 3, "running": 1, "ended": 1, "failed": 0});
    assert_eq!((&view["steps"][0]["items"], &view["waitingFor"]["reason"]), (&counts, &json!("children")));
    let page = items(&node, &run, "?limit=2").await;
    assert_eq!(
        (&page["items"][0]["output"], &page["items"][0]["runId"]),
        (&json!("a"), &json!(child)),
        "{page}"
    );
    assert_eq!((&page["items"][1]["status"], &page["nextCursor"]), (&json!("running"), &json!("1")));
    assert_eq!(items(&node, &run, "?cursor=1").await["items"][0]["value"], 12);
    assert_eq!(items(&node, &run, "?status=pending").await["items"][0]["index"], 2);

    let part = node.read(&format!("/runs/{child}")).await.ok(200);
    assert_eq!(part["parent"], json!({"runId": run, "step": "each", "index": 0}));
    let list = node.read("/runs?workflow=fanned").await.ok(200);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "children are left out: {list}");
    let children = node.read(&format!("/runs/{run}/children?limit=1")).await.ok(200);
    assert_eq!((&children["items"][0]["index"], &children["items"][0]["step"]), (&json!(1), &json!("each")));
    let cursor = children["nextCursor"].as_str().expect("there is one more");
    let rest = node.read(&format!("/runs/{run}/children?cursor={cursor}")).await.ok(200);
    assert_eq!((&rest["items"][0]["id"], rest["items"].as_array().map(Vec::len)), (&json!(child), Some(1)));
    node.post(&format!("/runs/{child}/retry"), "").await.problem(409, "INVALID_TRANSITION");

    hand.finish(&second, json!("b")).await;
    hand.complete(json!("c")).await;
    assert_eq!(hand.complete(json!(1)).await["payload"]["all"], json!(["a", "b", "c"]));
    assert_eq!(ended(&node, &run).await["status"], "completed");
    assert_eq!(items(&node, &run, "").await["items"][2]["output"], "c", "the rows outlive the step");
}

#[tokio::test]
async fn items_with_keys_are_kept_though_the_list_is_another_one() {
    let node = shared().await;
    let hand = Hand::new(&node, "key-keeper", &["keyed"]).await;
    let definition = json!({"name": "keyed", "inputs": {"rows": "list"}, "steps": [
        {"id": "each", "foreach": {"items": "inputs.rows", "as": "row", "index": "at", "key": "row.id", "maxParallel": 1},
            "type": "task", "config": {"action": "keyed", "v": "${{ row.v }}", "at": "${{ at }}"}}]});
    let rows = json!([{"id": "a", "v": 1}, {"id": "b", "v": 2}]);
    let run = start_with(&node, &json!({"definition": definition, "inputs": {"rows": rows}})).await;
    assert_eq!(hand.complete(json!("A")).await["payload"], json!({"action": "keyed", "v": 1, "at": 0}));
    hand.complete(json!("B")).await;
    ended(&node, &run).await;
    assert_eq!(items(&node, &run, "").await["items"][1]["key"], "b");

    let rows = json!([{"id": "new", "v": 3}, {"id": "b", "v": 4}, {"id": "a", "v": 5}]);
    let again = json!({"fromStep": "each[0]", "inputs": {"rows": rows}}).to_string();
    let second = id_of(&node.post(&format!("/runs/{run}/rerun"), &again).await.ok(201));
    assert_eq!(hand.complete(json!("N")).await["payload"]["v"], 3, "the key is new");
    assert_eq!(hand.complete(json!("A2")).await["payload"]["v"], 5, "it was asked for anew");
    assert_eq!(ended(&node, &second).await["outputs"], json!(["N", "B", "A2"]));
}

#[tokio::test]
async fn a_foreach_of_groups_yields_what_their_members_do() {
    let node = shared().await;
    let hand = Hand::new(&node, "grouper", &["grouped"]).await;
    let steps = json!([{"id": "each", "foreach": {"items": [1, 2], "maxParallel": 1}, "parallel": [
        {"id": "one", "action": "grouped"}, {"id": "two", "action": "grouped"}]}]);
    let run = start_run(&node, &json!({"name": "groups", "steps": steps})).await;
    for output in 1..=4 {
        hand.complete(json!(output)).await;
    }
    let expected = json!([{"one": 1, "two": 2}, {"one": 3, "two": 4}]);
    assert_eq!(ended(&node, &run).await["outputs"], expected);
}

#[tokio::test]
async fn a_retry_keeps_the_items_that_completed_and_a_rerun_does_one_item_again() {
    let node = shared().await;
    let hand = Hand::new(&node, "keeper", &["kept"]).await;
    let run = start_run(&node, &fan("kept")).await;
    hand.complete(json!("a")).await;
    hand.fail().await;
    hand.complete(json!("c")).await;
    let view = ended(&node, &run).await;
    assert_eq!(
        (&view["status"], &view["steps"][0]["error"]["code"]),
        (&json!("failed"), &json!("ITEM_FAILED"))
    );
    assert_eq!(items(&node, &run, "?status=failed").await["items"][0]["error"]["code"], "BROKEN");

    let second = id_of(&node.post(&format!("/runs/{run}/retry"), "").await.ok(201));
    assert_eq!(hand.complete(json!("B")).await["payload"]["v"], 11, "the one that failed");
    assert_eq!(hand.complete(json!(1)).await["payload"]["all"], json!(["a", "B", "c"]));
    assert_eq!(ended(&node, &second).await["status"], "completed");

    let third = node.post(&format!("/runs/{second}/rerun"), r#"{"fromStep":"each[2]"}"#).await;
    let third = id_of(&third.ok(201));
    assert_eq!(hand.complete(json!("C")).await["payload"]["v"], 12);
    assert_eq!(hand.complete(json!(2)).await["payload"]["all"], json!(["a", "B", "C"]));
    ended(&node, &third).await;

    // What was taken over twice is still found where it was done.
    let fourth = id_of(&node.post(&format!("/runs/{third}/rerun"), r#"{"fromStep":"sum"}"#).await.ok(201));
    hand.complete(json!(3)).await;
    ended(&node, &fourth).await;
    assert_eq!(items(&node, &fourth, "").await["items"][2]["output"], "C");
    let fifth =
        id_of(&node.post(&format!("/runs/{fourth}/rerun"), r#"{"fromStep":"each[0]"}"#).await.ok(201));
    assert_eq!(hand.complete(json!("A")).await["payload"]["v"], 10);
    assert_eq!(hand.complete(json!(4)).await["payload"]["all"], json!(["A", "B", "C"]));
    ended(&node, &fifth).await;
    let missing = node.post(&format!("/runs/{fifth}/rerun"), r#"{"fromStep":"each[3]"}"#).await;
    assert_eq!(missing.problem(422, "VALIDATION_FAILED")["errors"][0]["pointer"], "/fromStep");
}

#[tokio::test]
async fn what_was_undone_is_done_again_by_a_retry() {
    let node = shared().await;
    let hand = Hand::new(&node, "undoer", &["undone"]).await;
    let task = |id: &str| json!({"id": id, "type": "task", "config": {"action": "undone", "step": id}});
    let mut first = task("reserve");
    first["compensate"] = json!({"type": "task", "config": {"action": "undone", "step": "release"}});
    let definition = json!({"name": "undone", "steps": [first, task("pay")],
        "finally": [{"id": "tell", "type": "task", "config": {"action": "undone", "step": "tell"}}]});
    let run = start_run(&node, &definition).await;
    hand.complete(json!({})).await;
    hand.fail().await;
    assert_eq!(hand.complete(json!({})).await["payload"]["step"], "release");
    let tell = hand.take().await;
    let view = node.read(&format!("/runs/{run}")).await.ok(200);
    assert_eq!(view["waitingFor"]["reason"], "handlers", "{view}");
    let kinds: Vec<&Value> =
        view["handlers"].as_array().expect("a list").iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["compensate", "finally"]);
    assert_eq!(view["handlers"][0]["step"], "reserve");
    hand.finish(&tell, json!({})).await;
    ended(&node, &run).await;
    let second = id_of(&node.post(&format!("/runs/{run}/retry"), "").await.ok(201));
    assert_eq!(hand.complete(json!({})).await["payload"]["step"], "reserve");
    node.post(&format!("/runs/{second}/terminate"), "").await.ok(200);
}

#[tokio::test]
async fn what_items_and_handlers_log_is_in_the_log_of_the_whole_run_and_goes_with_it() {
    let node = shared().await;
    let hand = Hand::new(&node, "logger", &["logged-item"]).await;
    let definition = json!({"name": "logged-items", "steps": [
        {"id": "each", "foreach": {"items": "[1, 2]", "maxParallel": 1}, "action": "logged-item"},
        {"id": "last", "action": "logged-item"}],
        "finally": [{"id": "clean", "action": "logged-item"}]});
    let run = start_run(&node, &definition).await;
    let mut tasks = Vec::new();
    for text in ["first", "second", "third", "cleaned"] {
        let task = hand.take().await;
        let (id, token) = (task["taskId"].as_str().expect("an id"), task["token"].as_u64().expect("a token"));
        assert!(post_lines(&node, id, token, &json!({ "text": text }).to_string()).await.status < 300);
        hand.finish(&task, json!({})).await;
        tasks.push(task);
    }
    ended(&node, &run).await;
    let texts = async |path: String| -> Vec<String> {
        let page = node.read(&path).await.ok(200);
        let lines = page["items"].as_array().expect("a list").iter();
        lines.map(|line| line["text"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(texts(format!("/runs/{run}/logs")).await, ["first", "second", "third", "cleaned"]);
    assert_eq!(texts(format!("/runs/{run}/logs?step=each")).await, ["first", "second"]);
    let (item, of) = (&tasks[1]["taskId"], &tasks[1]["runId"]);
    assert_eq!(texts(format!("/tasks/{}/logs", item.as_str().expect("an id"))).await, ["second"]);
    let child = of.as_str().expect("an id").to_owned();
    assert_eq!(texts(format!("/runs/{child}/logs")).await, ["second"]);
    let line = node.read(&format!("/runs/{run}/logs")).await.ok(200)["items"][1].clone();
    assert_eq!((&line["stepId"], &line["taskId"], &line["runId"]), (&json!("each"), item, of));

    assert_eq!(node.call(reqwest::Method::DELETE, &format!("/runs/{run}"), "").await.status, 204);
    for gone in [&run, &child] {
        node.read(&format!("/runs/{gone}")).await.problem(404, "NOT_FOUND");
    }
}
