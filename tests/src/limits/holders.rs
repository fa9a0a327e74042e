//! Those who hold connections: readers that stall, that are slow or that keep up, requests that are never whole, answers that
//! nobody takes. Whoever loses its place comes again, so the places are always taken.

use std::{net::IpAddr, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    scene::{Scene, address},
    sockets::{self, connect},
};

/// Two addresses: one has more than its share, the other fills most of what is left. A quarter of them is between two connections.
const PEERS: [(u8, usize); 2] = [(11, 720), (12, 600)];
/// After a place was lost or not given.
const PAUSE: Duration = Duration::from_secs(2);
/// The same for those who send much.
const LONG_PAUSE: Duration = Duration::from_secs(20);
/// Room on the way to somebody who reads little.
const SMALL: u32 = 4 << 10;
/// A reader that stalls takes nothing for so long, in seconds; nodes give it up after 30 s.
const STALLS: std::ops::Range<u64> = 45..95;
/// The system keeps less of a connection.
const KEPT_MAX: usize = 1 << 20;
/// Without even a heartbeat for so long a stream has broken.
const SILENT_MAX: Duration = Duration::from_secs(40);
/// Nobody holds a connection longer, so that all kinds are tried again and again.
const HOLD: Duration = Duration::from_secs(100);

/// Values of about the greatest size are written to keys of this name.
pub const BIG: &str = "big";
/// Small ones to keys of this name.
pub const SMALL_KEYS: &str = "small";

/// The limits of this file and what they answer.
pub const EXPECTED: [(&str, &str); 5] = [
    ("connections of an address", "503 OVERLOADED"),
    ("headers that trickle", "closed"),
    ("bodies that trickle", "408 BAD_REQUEST"),
    ("answers nobody takes", "closed"),
    ("streams nobody reads", "closed"),
];

/// Fills the connections of all nodes.
pub fn hold(scene: &Arc<Scene>, tasks: &mut JoinSet<()>) {
    for node in 0..scene.urls.len() {
        for (peer, count) in PEERS {
            for number in 0..count {
                tasks.spawn(hold_one(scene.clone(), node, address(peer), number));
            }
        }
    }
}

async fn hold_one(scene: Arc<Scene>, node: usize, peer: IpAddr, number: usize) {
    // Not all at the same moment.
    sleep(Duration::from_millis(fastrand::u64(..5_000))).await;
    let url = scene.url(node).to_owned();
    loop {
        let (limit, held) = match number % 20 {
            0..=3 => (EXPECTED[4].0, stall(&url, peer, "/state/watch?pattern=big.**").await),
            4 => (EXPECTED[4].0, stall(&url, peer, "/events/stream").await),
            5..=6 => ("streams read slowly", read(&url, peer, BIG, Some(16 << 10)).await),
            7..=9 => ("streams that keep up", read(&url, peer, SMALL_KEYS, None).await),
            10..=12 => (EXPECTED[1].0, slow_head(&url, peer).await),
            13..=14 => (EXPECTED[2].0, slow_body(&url, peer).await),
            15 => (EXPECTED[3].0, take_nothing(&url, peer).await),
            _ => ("connections without a request", idle(&url, peer).await),
        };
        match held {
            Ok(told) if told == "503 OVERLOADED" => scene.tally.count(EXPECTED[0].0, told),
            Ok(told) => scene.tally.count(limit, told),
            Err(error) => scene.tally.count(limit, format!("{error:#}")),
        }
        sleep(if limit == EXPECTED[2].0 { LONG_PAUSE } else { PAUSE }).await;
    }
}

/// What a connection came to.
type Held = Result<String>;

/// Takes nothing for long, then what the system has kept; says whether the node had ended it by then.
async fn closed(stream: &mut TcpStream) -> Held {
    // They do not all come to it at once.
    sleep(Duration::from_secs(fastrand::u64(STALLS))).await;
    let rest = timeout(Duration::from_secs(5), sockets::take(stream, KEPT_MAX)).await;
    Ok(if matches!(rest, Ok(Ok(false) | Err(_))) { "closed" } else { "held" }.to_owned())
}

/// Asks for a stream and does not read it.
async fn stall(url: &str, peer: IpAddr, path: &str) -> Held {
    let mut stream = connect(url, peer, SMALL).await?;
    match ask(&mut stream, path).await? {
        told if told == "200" => closed(&mut stream).await,
        told => Ok(told),
    }
}

async fn ask(stream: &mut TcpStream, path: &str) -> Held {
    // Whoever is turned away may find the connection closed before all is written.
    let sent = sockets::send(stream, sockets::get(path).as_bytes()).await;
    let told = sockets::answer(stream).await;
    sent.and(told)
}

/// Reads a stream of changes, so many bytes a second or all that comes.
async fn read(url: &str, peer: IpAddr, keys: &str, bytes_per_second: Option<usize>) -> Held {
    let mut stream = connect(url, peer, if bytes_per_second.is_some() { SMALL } else { 64 << 10 }).await?;
    let told = ask(&mut stream, &format!("/state/watch?pattern={keys}.**")).await?;
    if told != "200" {
        return Ok(told);
    }
    let deadline = Instant::now() + HOLD;
    while Instant::now() < deadline {
        // A stream has a heartbeat each 15 s.
        let taken = match bytes_per_second {
            Some(bytes) => {
                sleep(Duration::from_secs(1)).await;
                timeout(SILENT_MAX, sockets::take(&mut stream, bytes)).await
            }
            None => timeout(SILENT_MAX, sockets::take(&mut stream, 1)).await,
        };
        match taken {
            Ok(Ok(true)) => {}
            Ok(Ok(false) | Err(_)) => return Ok("closed".to_owned()),
            Err(_) if bytes_per_second.is_some() => {}
            Err(_) => return Ok("silent".to_owned()),
        }
    }
    Ok("read".to_owned())
}

/// A line of a head a second, without an end.
async fn slow_head(url: &str, peer: IpAddr) -> Held {
    let mut stream = connect(url, peer, SMALL).await?;
    sockets::send(&mut stream, b"GET /healthz HTTP/1.1\r\nhost: x\r\n").await?;
    trickle(&mut stream, b"x-a: b\r\n", Duration::from_secs(1)).await
}

/// Most of a body at once, then a byte in five seconds.
async fn slow_body(url: &str, peer: IpAddr) -> Held {
    let mut stream = connect(url, peer, SMALL).await?;
    let length = 1_000_000;
    let head = format!(
        "PUT /api/v1/state/keys/slow HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    let sent = match sockets::send(&mut stream, head.as_bytes()).await {
        Ok(()) => sockets::send(&mut stream, &vec![b'1'; length - 50_000]).await,
        failed => failed,
    };
    if sent.is_err() {
        return sockets::answer(&mut stream).await;
    }
    trickle(&mut stream, b"1", Duration::from_secs(5)).await
}

/// Sends a little again and again until there is an answer or an end.
async fn trickle(stream: &mut TcpStream, little: &[u8], pause: Duration) -> Held {
    let deadline = Instant::now() + HOLD;
    while Instant::now() < deadline {
        match timeout(pause, sockets::answer(stream)).await {
            Ok(Ok(told)) => return Ok(told),
            Ok(Err(_)) => return Ok("closed".to_owned()),
            Err(_) if stream.write_all(little).await.is_err() => return Ok("closed".to_owned()),
            Err(_) => {}
        }
    }
    Ok("held".to_owned())
}

/// Asks for a great value again and again and reads none.
async fn take_nothing(url: &str, peer: IpAddr) -> Held {
    let mut stream = connect(url, peer, SMALL).await?;
    match ask(&mut stream, &format!("/state/keys/{BIG}.0")).await? {
        told if told == "200" => {
            let more = sockets::get(&format!("/state/keys/{BIG}.0")).repeat(20);
            // More than the node reads ahead is not taken.
            let _ = timeout(PAUSE, stream.write_all(more.as_bytes())).await;
            closed(&mut stream).await
        }
        told => Ok(told),
    }
}

/// A connection on which nothing is asked.
async fn idle(url: &str, peer: IpAddr) -> Held {
    let mut stream = connect(url, peer, SMALL).await?;
    match timeout(HOLD, sockets::answer(&mut stream)).await {
        Ok(Ok(told)) => Ok(told),
        Ok(Err(_)) => Ok("closed".to_owned()),
        Err(_) => bail!("it was not closed"),
    }
}
