//! Event streams: no gap and no double over broken connections, and resets that are not hidden.
//! Knows nothing of a real node's rules.

mod support;

use futures::{StreamExt, TryStreamExt};
use orc_client::{Client, Error};
use serde_json::json;
use support::http::{Act, FakeHttp};
use support::soon;

fn events(seqs: impl IntoIterator<Item = u64>) -> String {
    let event = |seq| {
        json!({ "seq": seq, "rev": seq, "type": "state.changed", "at": "2026-01-01T00:00:00.000Z",
        "subject": "k", "data": { "key": "k", "newValue": seq, "version": seq } })
    };
    seqs.into_iter().map(|seq| format!("id: {seq}\r\ndata: {}\r\n\r\n", event(seq))).collect()
}

fn page(last: u64) -> Act {
    Act::Answer(200, "", json!({ "items": [], "firstSeq": 1, "lastSeq": last }).to_string())
}

#[tokio::test]
async fn a_stream_goes_on_without_gap_or_double() {
    let broken = "id: 8\ndata: {\"seq\":8,";
    let first =
        FakeHttp::start([page(5), Act::Stream(format!("retry: 2000\n\n{}{broken}", events([6, 7])))]).await;
    let second = FakeHttp::start([
        Act::Answer(503, "", String::new()),
        Act::Stream(format!(": hi\n\n{}", events([7, 8]))),
        Act::Stream(format!("event: reset\ndata: {{\"firstSeq\":20}}\n\n{}", events([20, 21]))),
    ])
    .await;
    let client = Client::builder().nodes([&first.url, &second.url]).build().expect("nodes");
    let stream = client.events().types(["state.*", "task.*"]).since_now().stream().await.expect("a page");
    let items: Vec<_> = soon("events", stream.take(6).collect()).await;

    let seen: Vec<String> = items
        .iter()
        .map(|item| match item {
            Ok(event) => event.seq.to_string(),
            Err(Error::EventsReset { first_seq }) => format!("reset {first_seq}"),
            Err(other) => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seen, ["6", "7", "8", "reset 20", "20", "21"]);
    assert_eq!(first.requests()[1].line, "GET /api/v1/events/stream?types=state.*%2Ctask.*");
    assert_eq!(first.header("last-event-id")[1].as_deref(), Some("5"));
    let resumed: Vec<_> = second.header("last-event-id").into_iter().flatten().collect();
    assert_eq!(resumed[..3], ["7", "7", "8"]);
}

#[tokio::test]
async fn a_watch_reads_changes() {
    let node = FakeHttp::start([Act::Stream(events([1, 2]))]).await;
    let client = Client::builder().nodes([&node.url]).build().expect("a node");
    let changes = client.state().watch_since("app.*", 0).take(2).try_collect::<Vec<_>>();
    let changes = soon("changes", changes).await.expect("changes");
    assert_eq!((changes[1].event.seq, changes[1].change.version), (2, 2));
    assert_eq!(node.requests()[0].line, "GET /api/v1/state/watch?pattern=app.*");
}

#[tokio::test]
async fn a_watch_from_a_rev_goes_on_after_the_last_event() {
    let node = FakeHttp::start([Act::Stream(events([5])), Act::Stream(events([5, 6]))]).await;
    let client = Client::builder().nodes([&node.url]).build().expect("a node");
    let changes = client.state().watch_from_rev("app.*", 9).take(2).try_collect::<Vec<_>>();
    let changes = soon("changes", changes).await.expect("changes");
    assert_eq!(changes.iter().map(|change| change.event.seq).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(node.requests()[0].line, "GET /api/v1/state/watch?pattern=app.*&rev=9");
    let asked = node.header("last-event-id");
    assert_eq!([asked[0].as_deref(), asked[1].as_deref()], [None, Some("5")]);
}

#[tokio::test]
async fn a_watch_that_sees_no_change_goes_on_after_the_last_sign_of_life() {
    let quiet = Act::Stream(": heartbeat\nid: 40\n\n".to_owned());
    let node = FakeHttp::start([quiet, Act::Stream(events([41]))]).await;
    let client = Client::builder().nodes([&node.url]).build().expect("a node");
    let mut changes = client.state().watch_from_rev("app.*", 9);
    let change = soon("a change", changes.try_next()).await.expect("a change").expect("one");
    assert_eq!(change.event.seq, 41);
    assert_eq!(node.header("last-event-id")[1].as_deref(), Some("40"));
}

#[tokio::test]
async fn a_refused_stream_ends() {
    let problem = json!({ "status": 410, "code": "EVENTS_COMPACTED" }).to_string();
    let node = FakeHttp::start([Act::Answer(410, "", problem)]).await;
    let client = Client::builder().nodes([&node.url]).build().expect("a node");
    let stream = client.events().since(1).stream().await.expect("no call yet");
    let items: Vec<_> = soon("the end", stream.collect()).await;
    assert!(matches!(&items[..], [Err(error)] if error.code() == "EVENTS_COMPACTED"), "{items:?}");
}
