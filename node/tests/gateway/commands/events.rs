//! Events: followed, listed by type and time, read one by one and made.

use serde_json::{Value, json};

use super::{NOBODY, UnderWay, json, orc, refused};
use crate::node::{Asked, shared, until};

async fn last(node: &Asked) -> String {
    node.read("/events?limit=1").await.ok(200)["lastSeq"].to_string()
}

#[tokio::test]
async fn an_event_of_ones_own_is_posted_listed_and_read() {
    let node = shared().await;
    let since = last(&node).await;
    let told = orc(&node, &["event", "post", "cli.posted", r#"{"version": "2.0.0"}"#]).await;
    assert!(told.starts_with("cli.posted has happened (rev "), "{told}");
    let rev = orc(&node, &["event", "post", "cli.posted", "only text", "-q"]).await;
    orc(&node, &["event", "post", "cli.other"]).await;

    let list = ["event", "list", "--type", "cli.posted", "--since", &since];
    let lines = orc(&node, &list).await;
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].contains("cli.posted") && lines[0].contains(r#"{"data":{"version":"2.0.0"}}"#),
        "{lines:?}"
    );
    let both =
        orc(&node, &["event", "list", "--type", "cli.posted,cli.other", "--since", &since, "-q"]).await;
    assert_eq!(both.lines().count(), 3, "{both}");
    assert!(both.lines().all(|seq| seq.parse::<u64>().is_ok()), "numbers alone: {both}");
    let page = json(&node, &[&list[..], &["--limit", "1"]].concat()).await;
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{page}");
    let jsonl = orc(&node, &[&list[..], &["-o", "jsonl"]].concat()).await;
    let events: Vec<Value> = jsonl.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((events.len(), &events[1]["rev"]), (2, &json!(rev.parse::<u64>().expect("a number"))));

    let seq = events[1]["seq"].to_string();
    let line = orc(&node, &["event", "get", &seq]).await;
    assert!(line.starts_with(&seq) && line.contains("only text"), "{line}");
    assert_eq!(json(&node, &["event", "get", &seq]).await, events[1]);
    assert_eq!(
        orc(&node, &["event", "list", "--type", "cli.*", "--since", &seq, "-q"]).await.lines().count(),
        1
    );
    let recent = orc(&node, &["event", "list", "--type", "cli.posted", "--since", "10m"]).await;
    assert_eq!(recent.lines().count(), 2, "{recent}");
    assert_eq!(orc(&node, &["event", "list", "--type", "no.such", "--since", "10m"]).await, "");
}

#[tokio::test]
async fn a_tail_goes_on_from_a_number_a_time_or_now() {
    let node = shared().await;
    orc(&node, &["event", "post", "tailed.one", "1"]).await;
    let of_type = ["event", "tail", "--type", "tailed.*"];
    let mut ago = UnderWay::new(&node, &[&of_type[..], &["--since", "10m"]].concat());
    let line = ago.line().await;
    assert!(line.contains("tailed.one") && line.ends_with(r#"{"data":1}"#), "{line}");
    let mut document = UnderWay::new(&node, &[&of_type[..], &["--since", "0", "-o", "jsonl"]].concat());
    let first = document.json().await;
    assert_eq!((&first["type"], &first["data"]), (&json!("tailed.one"), &json!({"data": 1})));
    let seq = first["seq"].to_string();
    let mut after = UnderWay::new(&node, &[&of_type[..], &["--since", &seq]].concat());
    let mut now = UnderWay::new(&node, &of_type);
    let ticking = until(|| async {
        node.post("/events", r#"{"type": "tailed.tick"}"#).await.ok(202);
        None::<()>
    });
    tokio::select! {
        (now, after) = async { (now.line().await, after.line().await) } => {
            assert!(now.contains("tailed.tick") && after.contains("tailed.tick"), "{now}; {after}");
        }
        () = ticking => {}
    }
    assert!(ago.line().await.contains("tailed.tick"));
    assert_eq!(document.json().await["type"], "tailed.tick");
    for following in [ago, document, after, now] {
        following.stop().await;
    }
}

#[tokio::test]
async fn a_tail_ends_when_its_time_is_over() {
    let node = shared().await;
    let told = refused(&node, 124, &["event", "tail", "--type", "no.such", "--timeout", "300ms"]).await;
    assert!(told.contains("error[TIMEOUT]"), "{told}");
}

#[tokio::test]
async fn an_event_that_is_not_there_or_cannot_be_is_told_so() {
    let node = shared().await;
    let told = refused(&node, 5, &["event", "get", "999999999"]).await;
    assert!(told.contains("error[NOT_FOUND]") && told.contains("999999999"), "{told}");
    let told = refused(&node, 2, &["event", "list", "--since", "yesterday"]).await;
    assert!(told.contains("--since yesterday") && told.contains("10m"), "{told}");
    refused(&node, 2, &["event", "tail", "--since", "yesterday"]).await;
    refused(&node, 2, &["event", "get", "x"]).await;
    refused(&node, 2, &["event", "list", "--limit", "0"]).await;
    let told = refused(&node, 2, &["event", "post", "workflow.created"]).await;
    assert!(told.contains("error[VALIDATION_FAILED]") && told.contains("workflow"), "{told}");
    let nobody = Asked::at(NOBODY);
    for arguments in [&["event", "list"][..], &["event", "tail"], &["event", "post", "a.b"]] {
        refused(&nobody, 7, &[arguments, &["--timeout", "1s"]].concat()).await;
    }
}
