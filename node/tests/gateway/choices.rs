//! Which steps of a run do their work: conditions, failures, outputs of earlier runs.

use serde_json::json;

use crate::{
    hands::{Hand, ended, id_of, start_run, start_with},
    node::shared,
    steps::{at_its_end, check, step, workflow},
};

#[tokio::test]
async fn a_condition_gates_or_fails_what_follows() {
    let node = shared().await;
    let steps = |on_false: &str| {
        json!([{"id": "measure", "condition": "2 > 1"},
               {"id": "gate", "condition": "1 > 2", "onFalse": on_false}, {"id": "after", "delay": "1ms"}])
    };
    let gated = at_its_end(&node, &workflow("gate", steps("skip"))).await;
    check(&gated, "completed", &[("measure", "completed"), ("gate", "completed"), ("after", "skipped")]);
    assert_eq!((&gated["conclusion"], &step(&gated, "gate")["decision"]), (&json!("gated"), &json!(false)));
    let failed = at_its_end(&node, &workflow("gate", steps("fail"))).await;
    check(&failed, "failed", &[("gate", "failed"), ("after", "skipped")]);
    assert_eq!(failed["conclusion"], "failure");
}

#[tokio::test]
async fn a_false_condition_goes_to_a_later_step() {
    let node = shared().await;
    let steps = json!([
        {"id": "check", "condition": "inputs.ok == true", "onFalse": {"goto": "tidy"}},
        {"id": "deploy", "delay": "1ms"}, {"id": "tidy", "if": "success()", "delay": "1ms"}, {"id": "last", "delay": "1ms"}]);
    for (ok, deploy) in [(true, "completed"), (false, "skipped")] {
        let run =
            start_with(&node, &json!({"definition": workflow("goto", steps.clone()), "inputs": {"ok": ok}}))
                .await;
        let run = ended(&node, &run).await;
        check(&run, "completed", &[("deploy", deploy), ("tidy", "completed"), ("last", "completed")]);
        assert_eq!(run["conclusion"], "success");
    }
}

#[tokio::test]
async fn a_cached_output_is_taken_over_until_the_key_or_the_step_changes() {
    let node = shared().await;
    let hand = Hand::new(&node, "builder", &["build"]).await;
    let definition = |image: &str| {
        let cache = json!({"key": "${{ inputs.sha }}", "maxAge": "1h"});
        workflow(
            "cached",
            json!([{"id": "build", "action": "build", "config": {"image": image}, "cache": cache}]),
        )
    };
    let start = async |image: &str, sha: &str| {
        start_with(&node, &json!({"definition": definition(image), "inputs": {"sha": sha}})).await
    };
    let first = start("a", "1").await;
    hand.complete(json!("built 1")).await;
    ended(&node, &first).await;
    let second = start("a", "1").await;
    let view = ended(&node, &second).await;
    assert_eq!((&view["outputs"], &view["steps"][0]["cachedFrom"]), (&json!("built 1"), &json!(first)));
    assert_eq!(view["steps"][0]["attempts"], 0);
    let events = node.read(&format!("/events?run={second}&types=step.*")).await.ok(200);
    let hit =
        events["items"].as_array().expect("a list").iter().find(|event| event["type"] == "step.cacheHit");
    assert_eq!(hit.expect("it is told")["data"]["fromRunId"], first);

    for (image, sha) in [("a", "2"), ("b", "1")] {
        let other = start(image, sha).await;
        assert_eq!(hand.complete(json!("new")).await["payload"]["image"], image);
        ended(&node, &other).await;
    }
    let again = id_of(&node.post(&format!("/runs/{second}/rerun"), "{}").await.ok(201));
    hand.complete(json!("built again")).await;
    ended(&node, &again).await;
    let last = start("a", "1").await;
    assert_eq!(ended(&node, &last).await["outputs"], "built again");
}

#[tokio::test]
async fn a_failure_skips_what_needs_it_but_what_asks_for_it() {
    let node = shared().await;
    let hand = Hand::new(&node, "breaker", &["break-it"]).await;
    let definition = workflow(
        "broken",
        json!([
            {"id": "first", "action": "break-it"},
            {"id": "next", "needs": ["first"], "delay": "1ms"},
            {"id": "rescue", "needs": ["first"], "if": "failure()", "delay": "1ms"},
            {"id": "always", "needs": ["next"], "if": "always()", "delay": "1ms"},
            {"id": "own", "if": "false", "delay": "1ms"},
            {"id": "after_own", "needs": ["own"], "delay": "1ms"}]),
    );
    let run = start_run(&node, &definition).await;
    hand.fail().await;
    let view = ended(&node, &run).await;
    let statuses = [
        ("next", "skipped"),
        ("rescue", "completed"),
        ("always", "completed"),
        ("own", "skipped"),
        ("after_own", "completed"),
    ];
    check(&view, "failed", &statuses);

    let tolerant = workflow(
        "tolerant",
        json!([{"id": "first", "action": "break-it", "continueOnError": true}, {"id": "next", "delay": "1ms"}]),
    );
    let run = start_run(&node, &tolerant).await;
    hand.fail().await;
    check(&ended(&node, &run).await, "completed", &[("first", "failed"), ("next", "completed")]);
}
