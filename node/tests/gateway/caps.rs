//! What a connection may cost: whoever takes more than its share, or is too slow to give or take, is turned away or given up.

use std::time::Duration;

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, interval, timeout},
};

use crate::node::{Asked, Node, PATIENCE, server, shared, start, until};

/// A node with further settings.
async fn with(settings: &[&str]) -> Node {
    let mut command = server(1, None);
    command.args(["--bootstrap", "--preset", "testing"]);
    command.args(settings.iter().map(|setting| format!("--set={setting}")));
    start(command).await
}

/// A connection from an address of this machine that nobody else uses.
async fn connect(node: &Asked) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.2:0".parse().expect("an address")).expect("all of 127 is this machine");
    let address = node.base.trim_start_matches("http://").parse().expect("an address");
    socket.connect(address).await.expect("a connection")
}

/// What comes until the other side ends, which it must.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("it ends");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn answered(node: &Asked, request: &str) -> String {
    let mut stream = connect(node).await;
    // What is refused may be closed before all of it is written.
    let _ = stream.write_all(request.as_bytes()).await;
    rest(&mut stream).await
}

#[tokio::test]
async fn one_address_has_its_share_and_whoever_takes_nothing_loses_its_place() {
    let own = with(&["limits.connections-per-peer=3", "limits.write-timeout=500ms"]).await;
    let node = own.ask();
    let long = format!("{{\"value\":\"{}\"}}", "a".repeat(900 * 1024));
    node.put("/state/keys/long", &long).await.ok(200);
    let mut greedy = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(&node).await;
        // More than all buffers between the two hold.
        let requests = "GET /api/v1/state/keys/long HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50);
        stream.write_all(requests.as_bytes()).await.expect("they are taken");
        greedy.push(stream);
    }
    let told = rest(&mut connect(&node).await).await;
    assert!(told.starts_with("HTTP/1.1 503") && told.contains("too many connections"), "{told}");
    node.read("/state/keys/long").await.ok(200);
    // They are never read, so nothing but the node's patience ends them.
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    until(|| async { answered(&node, request).await.starts_with("HTTP/1.1 200").then_some(()) }).await;
    drop(greedy);
}

#[tokio::test]
async fn too_many_headers_and_too_long_ones_are_refused() {
    let node = shared().await;
    let request =
        |headers: &str| format!("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    let many = |count: usize| (0..count).map(|number| format!("X-{number}: y\r\n")).collect::<String>();
    let long = |bytes: usize| format!("X: {}\r\n", "y".repeat(bytes));
    for (headers, status) in
        [(many(60), "200"), (many(63), "431"), (long(10 << 10), "200"), (long(150 << 10), "431")]
    {
        let told = answered(&node, &request(&headers)).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{} bytes: {told}", headers.len());
    }
}

#[tokio::test]
async fn a_body_that_trickles_has_a_time_in_all() {
    let own = with(&["limits.body-timeout=1s"]).await;
    let mut stream = connect(&own.ask()).await;
    let head = "PUT /api/v1/state/keys/slow HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 1000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("it is taken");
    let (mut reader, mut writer) = stream.split();
    let (started, mut tick, mut told) = (Instant::now(), interval(Duration::from_millis(50)), [0; 12]);
    loop {
        tokio::select! {
            read = reader.read_exact(&mut told) => break assert!(read.is_ok(), "an answer comes: {read:?}"),
            _ = tick.tick() => writer.write_all(b"1").await.expect("it is taken"),
        }
        assert!(started.elapsed() < PATIENCE, "it goes on for ever");
    }
    assert_eq!(&told, b"HTTP/1.1 408");
}

#[tokio::test]
async fn bodies_that_are_never_whole_take_a_bounded_part_of_memory_and_leave_room() {
    let own = with(&[]).await;
    let node = own.ask();
    let long = "1".repeat(950_000);
    let head = "PUT /api/v1/state/keys/slow HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 1000000\r\n\r\n";
    let mut answers = FuturesUnordered::new();
    // Three times as many as there is room for.
    for _ in 0..200 {
        let mut stream = connect(&node).await;
        // What is refused may be closed before all of it is written.
        let _ = stream.write_all(format!("{head}{long}").as_bytes()).await;
        answers.push(async move {
            let mut told = [0; 12];
            stream.read_exact(&mut told).await.map(|_| (told, stream))
        });
    }
    for number in 0..64 {
        let answer = timeout(PATIENCE, answers.next()).await.expect("an answer").expect("some are left");
        let (told, _) = answer.expect("it is whole");
        assert_eq!(&told, b"HTTP/1.1 429", "number {number}");
    }
    let body = format!("{{\"value\":\"{}\"}}", "v".repeat(500_000));
    node.put("/state/keys/whole", &body).await.ok(200);
    node.read("/state/keys/whole").await.ok(200);
}
