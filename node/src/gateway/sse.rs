//! The form of an event stream: fields, comments, and the response around them.
//! Knows nothing of where events come from.

use std::{
    convert::Infallible,
    fmt::Write as _,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::stream;
use orc_client::wire::{self, STREAM_EVENT_RESET, StreamReset, headers};
use warp::{
    Reply as _,
    http::{HeaderValue, header},
};

use super::reply::Reply;

/// When a client comes back after a break.
pub const RETRY: &str = "retry: 2000\n\n";

/// One event; its id is its number, so that any node can go on after it.
pub fn event(text: &mut String, event: &wire::Event) {
    let data = serde_json::to_string(event).expect("an event has string keys and memory does not fail");
    // Writing to a String does not fail.
    let _ = write!(text, "id: {}\ndata: {data}\n\n", event.seq);
}

/// Lines of a log; its id is the place behind them on every node, so that any node can go on after it.
pub fn log_page(page: &wire::LogPage) -> String {
    let data = serde_json::to_string(page).expect("a page has string keys and memory does not fail");
    format!("id: {}\ndata: {data}\n\n", page.next)
}

/// A sign of life with the place up to which everything wanted was sent.
pub fn heartbeat(upto: u64) -> String {
    format!(": heartbeat\nid: {upto}\n\n")
}

/// Says that events were compacted before they could be sent.
pub fn reset(first_seq: u64) -> String {
    let data = serde_json::to_string(&StreamReset { first_seq }).expect("numbers have a JSON form");
    format!("event: {STREAM_EVENT_RESET}\ndata: {data}\n\n")
}

/// The response whose body is what comes.
pub fn response(
    mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<Bytes>> + Send + Sync + 'static,
) -> Reply {
    let body = stream::poll_fn(move |context| next(context).map(|piece| piece.map(Ok::<_, Infallible>)));
    let mut response = warp::reply::stream(body).into_response();
    let map = response.headers_mut();
    map.insert(header::CONTENT_TYPE, HeaderValue::from_static(headers::EVENT_STREAM));
    map.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    map.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Reply::ready(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_data() {
        let data = serde_json::value::RawValue::from_string("{\"a\":\"x\\ny\"}".into()).expect("JSON");
        let at = wire::Timestamp(0);
        let told =
            wire::Event { seq: 7, rev: 9, kind: "state.changed".into(), at, subject: "k".into(), data };
        let mut text = String::new();
        event(&mut text, &told);
        assert!(text.starts_with("id: 7\ndata: {\"seq\":7,") && text.ends_with("}\n\n"), "{text}");
        assert_eq!(text.lines().count(), 3);
        assert_eq!(reset(5), "event: reset\ndata: {\"firstSeq\":5}\n\n");
    }
}
