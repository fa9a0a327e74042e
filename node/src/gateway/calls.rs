//! `GET /calls`: many calls over one WebSocket, answered as they are done and written together.
//! Knows nothing of what is called; a call is answered as the same HTTP request would be.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    FutureExt, SinkExt, StreamExt,
    stream::{FuturesUnordered, SplitSink, SplitStream},
};
use orc_client::wire::calls::{CALLS_MAX, CallHead, Headers, MESSAGE_MAX, split};
use tokio::time::{Instant, sleep_until, timeout};
use warp::{
    Reply as _,
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    ws::{Message, WebSocket},
};

use super::{
    Gateway,
    body::Body,
    call::Call,
    dispatch::Arrived,
    listen::Slot,
    reply::{Answered, Reply},
    session::upgrade_of,
};

/// A client that takes nothing for this long is cut.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// Refused calls whose answers the client has not taken yet; with more of them nothing is read.
const REFUSALS_MAX: usize = 1_024;
/// A channel without calls is closed after this long; clients close theirs sooner.
const IDLE_MAX: Duration = Duration::from_secs(120);

/// Turns the connection into a channel.
pub async fn connect(gateway: Arc<Gateway>, call: Call) -> Answered {
    let upgrade = upgrade_of(call.upgrade, "calls can be made one by one, too")?;
    let slot = call.slot;
    let upgrade = upgrade.max_frame_size(MESSAGE_MAX).max_message_size(MESSAGE_MAX);
    let response = upgrade.on_upgrade(move |socket| serve(gateway, socket, slot));
    Ok(Reply::ready(response.into_response()))
}

/// The client is gone, takes nothing, or broke the protocol.
struct Gone;

/// Answers until the client is gone, or the gateway closes and what is under way is answered.
async fn serve(gateway: Arc<Gateway>, socket: WebSocket, slot: Option<Arc<Slot>>) {
    let (mut sink, mut messages) = socket.split();
    let mut under_way = FuturesUnordered::new();
    let mut closed = std::pin::pin!(gateway.closed());
    let (mut open, mut idle_at) = (true, Instant::now() + IDLE_MAX);
    while open || !under_way.is_empty() {
        let served = tokio::select! {
            message = next(&mut messages), if open && under_way.len() < CALLS_MAX + REFUSALS_MAX => match message {
                Some(message) => {
                    let admitted = under_way.len() < CALLS_MAX;
                    begin(&gateway, &message, slot.as_ref(), admitted).map(|call| under_way.push(call))
                }
                None => Err(Gone),
            },
            Some(answer) = under_way.next() => tell(&mut sink, answer, &mut under_way).await,
            () = &mut closed, if open => {
                open = false;
                Ok(())
            }
            () = sleep_until(idle_at), if under_way.is_empty() => Err(Gone),
        };
        if let Err(Gone) = served {
            return;
        }
        idle_at = Instant::now() + IDLE_MAX;
    }
    // Whoever does not take the close frame is gone already.
    let _ = timeout(WRITE_PATIENCE, sink.close()).await;
}

async fn next(messages: &mut SplitStream<WebSocket>) -> Option<Bytes> {
    loop {
        let message = messages.next().await?.ok()?;
        if message.is_close() {
            return None;
        }
        // Pings are answered by the library; text means nothing.
        if message.is_binary() {
            return Some(message.into_bytes());
        }
    }
}

/// Begins a call; its future yields the message to be sent back.
fn begin(
    gateway: &Arc<Gateway>,
    message: &Bytes,
    slot: Option<&Arc<Slot>>,
    admitted: bool,
) -> Result<impl Future<Output = Bytes> + use<>, Gone> {
    let (CallHead { id, method, target, headers }, body) = split(message).map_err(|_| Gone)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let arrived = Arrived {
        method: Method::from_bytes(method.as_bytes()).map_err(|_| Gone)?,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: header_map(&headers)?,
        upgrade: None,
        slot: slot.cloned(),
        admitted,
        body: Body::Whole(body),
    };
    Ok(gateway.clone().answer_call(id, arrived))
}

fn header_map(headers: &Headers<'_>) -> Result<HeaderMap, Gone> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Gone)?;
        map.insert(name, HeaderValue::from_str(value).map_err(|_| Gone)?);
    }
    Ok(map)
}

/// Writes an answer and those that are ready once everybody who is about to has gone on: often one record answers many.
async fn tell<C: Future<Output = Bytes>>(
    sink: &mut SplitSink<WebSocket, Message>,
    first: Bytes,
    under_way: &mut FuturesUnordered<C>,
) -> Result<(), Gone> {
    if !under_way.is_empty() {
        tokio::task::yield_now().await;
    }
    let written = async {
        let mut ready = Some(first);
        while let Some(answer) = ready {
            sink.feed(Message::binary(answer)).await?;
            ready = under_way.next().now_or_never().flatten();
        }
        sink.flush().await
    };
    match timeout(WRITE_PATIENCE, written).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Gone),
    }
}
