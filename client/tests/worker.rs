//! The worker runtime against a fake node: results, cancellation, broken sessions, draining.
//! Knows nothing of a real node's rules.

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures::future::pending;
use orc_client::wire::session::ComponentMessage;
use orc_client::{Client, TaskCtx, TaskError, Worker, WorkerError};
use serde_json::{Value, json};
use support::session::{FakeNode, FakeSession};
use support::soon;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

struct Rig {
    node: FakeNode,
    other: FakeNode,
    run: JoinHandle<Result<(), WorkerError>>,
    shutdown: oneshot::Sender<()>,
    /// Lets `gated` attempts end, one per permit.
    gate: Arc<Semaphore>,
    /// Gets a permit when a `gated` or a `stubborn` attempt begins.
    begun: Arc<Semaphore>,
    /// Gets a permit when a `stubborn` attempt is dropped.
    dropped: Arc<Semaphore>,
}

/// A worker between two nodes, with its first session.
async fn rig() -> (Rig, FakeSession) {
    let (node, other) = (FakeNode::start().await, FakeNode::start().await);
    let client = Client::builder().nodes([&node.url, &other.url]).build().expect("two nodes");
    let [gate, begun, dropped] = [0; 3].map(|permits| Arc::new(Semaphore::new(permits)));
    let (opened, begins, there, gone) =
        (Arc::clone(&gate), Arc::clone(&begun), Arc::clone(&begun), Arc::clone(&dropped));
    let (shutdown, asked) = oneshot::channel::<()>();
    let worker = Worker::new(client)
        .id("w")
        .slots(3)
        .label("gpu", "true")
        .cancel_grace(Duration::from_millis(50))
        .task_fn("double", |_: TaskCtx, n: u64| async move { Ok(n * 2) })
        .task_fn("gated", move |ctx: TaskCtx, _: Value| {
            begins.add_permits(1);
            let opened = Arc::clone(&opened);
            async move {
                opened.acquire().await.expect("never closed").forget();
                Ok(json!({ "token": ctx.token() }))
            }
        })
        .task_fn("talker", |ctx: TaskCtx, lines: u64| async move {
            (0..lines).for_each(|number| ctx.log(format!("line {number}")));
            Ok(lines)
        })
        .task_fn("stubborn", move |_: TaskCtx, _: Value| {
            there.add_permits(1);
            let guard = AddOnDrop(Arc::clone(&gone));
            async move {
                let _guard = guard;
                pending::<Result<Value, TaskError>>().await
            }
        })
        .on_message("add", |n: u64| async move { Ok(n + 1) });
    let run = tokio::spawn(worker.run(async move {
        asked.await.ok();
    }));
    let session = node.welcome().await;
    (Rig { node, other, run, shutdown, gate, begun, dropped }, session)
}

struct AddOnDrop(Arc<Semaphore>);

impl Drop for AddOnDrop {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

async fn take(permits: &Semaphore) {
    soon("a permit", permits.acquire()).await.expect("never closed").forget();
}

#[tokio::test]
async fn results_and_replies_come_back() {
    let (_rig, mut session) = rig().await;
    let hello = &session.hello;
    assert_eq!((hello.name.as_str(), hello.kind.as_str(), hello.slots), ("w", "worker", 3));
    assert_eq!(hello.capabilities, ["double", "gated", "stubborn", "talker"]);

    let cases = [
        (
            r#""action":"double","payload":21"#,
            r#"{"type":"complete","taskId":"t","token":TOKEN,"output":42}"#,
        ),
        (r#""action":"nope""#, "ACTION_UNKNOWN"),
        (r#""action":"double","payload":"x""#, "INVALID_PAYLOAD"),
    ];
    for (token, (order, expected)) in cases.into_iter().enumerate() {
        session.send(&format!(r#"{{"type":"task","taskId":"t","token":{token},{order}}}"#)).await;
        let line = session.line().await.expect("a result");
        assert!(line.contains(&expected.replace("TOKEN", &token.to_string())), "{line}");
        session.accept("t", token as u64).await;
    }
    let message = |id: &str, kind: &str| {
        format!(
            r#"{{"type":"message","messageId":"{id}","messageType":"{kind}","payload":4,"replyBefore":99999999999999}}"#
        )
    };
    session
        .send(&[message("1", "ping"), "junk".into(), message("2", "add"), message("3", "nope")].join("\n"))
        .await;
    let mut replies = Vec::new();
    for _ in 0..3 {
        replies.push(session.line().await.expect("a reply"));
    }
    replies.sort_unstable();
    assert_eq!(replies[0], r#"{"type":"reply","messageId":"1","payload":4}"#);
    assert_eq!(replies[1], r#"{"type":"reply","messageId":"2","payload":5}"#);
    assert!(replies[2].contains("NO_HANDLER"), "{}", replies[2]);
}

#[tokio::test]
async fn a_cancelled_attempt_is_dropped_after_its_grace() {
    let (rig, mut session) = rig().await;
    session.send_task("t", 1, "stubborn", "{}").await;
    take(&rig.begun).await;
    let cancel = |task| format!(r#"{{"type":"cancel","taskId":"{task}","token":1,"reason":"enough"}}"#);
    session.send(&cancel("t")).await;
    let line = session.line().await.expect("a result");
    assert!(line.contains("CANCELLED") && line.contains("enough"), "{line}");
    take(&rig.dropped).await;
    session.accept("t", 1).await;

    session.send(&cancel("unknown")).await;
    let line = session.line().await.expect("an answer for an attempt that is not held");
    assert!(line.contains("CANCELLED") && line.contains("unknown"), "{line}");
}

#[tokio::test]
async fn what_an_attempt_logged_comes_before_its_result() {
    let (_rig, mut session) = rig().await;
    session.send_task("t", 5, "talker", "3").await;
    let mut lines = Vec::new();
    loop {
        match session.next().await.expect("the session is open") {
            ComponentMessage::Log(log) => {
                assert_eq!((log.task_id.as_str(), log.token), ("t", 5));
                lines.extend(log.lines.into_iter().map(|line| line.text));
            }
            ComponentMessage::Complete(_) => break,
            other => panic!("neither lines nor a result: {other:?}"),
        }
    }
    assert_eq!(lines, ["line 0", "line 1", "line 2"]);
}

#[tokio::test]
async fn a_broken_session_loses_neither_attempts_nor_results() {
    let (rig, mut session) = rig().await;
    session.send_task("t", 7, "gated", "{}").await;
    session.send_task("u", 8, "double", "4").await;
    assert!(session.line().await.is_some_and(|line| line.contains(r#""output":8"#)));
    drop(session);

    let mut session = rig.other.welcome().await;
    let held: Vec<_> = session.hello.held.iter().map(|held| (held.task_id.as_str(), held.token)).collect();
    assert_eq!(held, [("t", 7), ("u", 8)]);
    assert!(session.line().await.is_some_and(|line| line.contains(r#""output":8"#)), "sent again");
    session.accept("u", 8).await;
    rig.gate.add_permits(1);
    let result = session.line().await.expect("a result");
    assert_eq!(result, r#"{"type":"complete","taskId":"t","token":7,"output":{"token":7}}"#);
    session.send(r#"{"type":"retry","taskId":"t","token":7,"retryAfter":1}"#).await;
    assert_eq!(session.line().await.as_ref(), Some(&result), "sent again when asked to");
    drop(session);

    let mut session = rig.node.welcome().await;
    assert_eq!(session.hello.held.len(), 1);
    assert_eq!(session.line().await.as_ref(), Some(&result), "sent again until accepted");
    session.accept("t", 7).await;
    session.send(r#"{"type":"bye","reason":"shutdown"}"#).await;
    assert!(rig.other.welcome().await.hello.held.is_empty());
}

#[tokio::test]
async fn an_attempt_that_counts_for_nothing_is_dropped_at_once() {
    let (rig, mut session) = rig().await;
    session.send_task("t", 1, "stubborn", "{}").await;
    take(&rig.begun).await;
    session.send_task("t", 1, "stubborn", "{}").await;
    session.send_task("t", 2, "stubborn", "{}").await;
    take(&rig.dropped).await;
    take(&rig.begun).await;
    session.send(r#"{"type":"refused","taskId":"t","token":2,"code":"STALE_ATTEMPT"}"#).await;
    take(&rig.dropped).await;
    assert_eq!(rig.dropped.available_permits(), 0);
}

#[tokio::test]
async fn draining_waits_for_the_last_result() {
    let (rig, mut session) = rig().await;
    session.send_task("t", 1, "gated", "{}").await;
    take(&rig.begun).await;
    rig.shutdown.send(()).expect("the worker listens");
    assert_eq!(session.line().await.as_deref(), Some(r#"{"type":"drain"}"#));
    drop(session);

    let mut session = rig.other.welcome().await;
    assert_eq!(session.line().await.as_deref(), Some(r#"{"type":"drain"}"#), "said again on a new session");
    rig.gate.add_permits(1);
    assert!(session.line().await.is_some_and(|line| line.contains("complete")));
    assert!(!rig.run.is_finished());
    session.accept("t", 1).await;
    session.send(r#"{"type":"bye","reason":"drained"}"#).await;
    soon("the end", rig.run).await.expect("no panic").expect("drained");
}

#[tokio::test]
async fn a_superseded_worker_stops() {
    let (rig, mut session) = rig().await;
    session.send_task("t", 1, "stubborn", "{}").await;
    take(&rig.begun).await;
    session.send(r#"{"type":"bye","reason":"superseded"}"#).await;
    let end = soon("the end", rig.run).await.expect("no panic");
    assert!(matches!(end, Err(WorkerError::Superseded)), "{end:?}");
    take(&rig.dropped).await;
}

#[tokio::test]
async fn a_refused_worker_stops() {
    use support::http::{Act, FakeHttp};
    let problem = r#"{"status":422,"code":"VALIDATION_FAILED","detail":"bad id"}"#;
    let node = FakeHttp::start([Act::Answer(422, "", problem.to_owned())]).await;
    let client = Client::builder().nodes([&node.url]).build().expect("a node");
    let end = soon("the end", Worker::new(client).run(pending())).await;
    assert!(matches!(&end, Err(WorkerError::Refused(problem)) if problem.detail == "bad id"), "{end:?}");
}

#[tokio::test]
async fn a_worker_in_the_background_says_when_it_is_connected_and_why_it_ended() {
    let node = FakeNode::start().await;
    let worker = || Worker::new(Client::builder().nodes([&node.url]).build().expect("a node")).id("w");
    let (connected, mut session) = tokio::join!(worker().start().connected(), node.welcome());
    let connected = connected.expect("there is a session");
    session.send(r#"{"type":"bye","reason":"superseded"}"#).await;
    assert!(matches!(soon("its end", connected.stop()).await, Err(WorkerError::Superseded)));

    let (connected, mut session) = tokio::join!(worker().start().connected(), node.welcome());
    drop(connected.expect("there is a session"));
    assert!(matches!(session.next().await, Some(ComponentMessage::Drain(_))), "dropped, it drains");
}
