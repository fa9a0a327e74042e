//! A backup comes from the first node that can send one, and half of one is an error.
//! Knows nothing of what is in it.

mod support;

use orc_client::{Client, Error};
use serde_json::json;
use support::http::{Act, FakeHttp};
use support::soon;

fn refusal(status: u16, code: &str) -> Act {
    Act::Answer(status, "", json!({ "status": status, "code": code }).to_string())
}

#[tokio::test]
async fn a_backup_comes_from_the_first_node_that_sends_one() {
    let first = FakeHttp::start([Act::Drop, refusal(503, "NO_LEADER")]).await;
    let whole = Act::Answer(200, "orc-index: 7\r\n", "a whole backup".to_owned());
    let second = FakeHttp::start([refusal(429, "LIMIT_EXCEEDED"), whole]).await;
    let client = Client::builder().nodes([&first.url, &second.url]).build().expect("nodes");
    let mut backup = soon("a backup", client.cluster().backup()).await.expect("it begins");
    assert_eq!((backup.rev(), backup.size()), (7, 14));
    let mut file = Vec::new();
    assert_eq!(backup.write_to(&mut file).await.expect("all of it"), 14);
    assert_eq!(file, b"a whole backup");
    assert_eq!(second.requests()[1].line, "GET /api/v1/cluster/backup");
}

#[tokio::test]
async fn a_refusal_that_does_not_pass_is_told_at_once() {
    let node = FakeHttp::start([refusal(403, "FORBIDDEN")]).await;
    let client = Client::builder().nodes([&node.url]).build().expect("a node");
    let refused = soon("an answer", client.cluster().backup_stale()).await;
    assert!(matches!(refused, Err(Error::Problem(problem)) if problem.code == "FORBIDDEN"));
    assert_eq!(node.requests()[0].line, "GET /api/v1/cluster/backup?consistency=stale");
}

#[tokio::test]
async fn half_a_backup_is_an_error() {
    let node =
        FakeHttp::start([Act::Cut("orc-index: 7\r\ncontent-length: 100\r\n", "half".to_owned())]).await;
    let client = Client::builder().nodes([&node.url]).build().expect("a node");
    let mut backup = soon("a backup", client.cluster().backup()).await.expect("it begins");
    let error = soon("the end", backup.write_to(&mut Vec::new())).await.expect_err("half");
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}
