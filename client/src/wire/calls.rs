//! The messages of a call channel (`docs/protocol.md`): many calls over one WebSocket, answered in any order.
//! A message is a head, one line of JSON, and what follows the first line break is the body as HTTP would carry it.
//! Knows nothing of sockets.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Calls of one channel that a node works on at once; it refuses those beyond with `OVERLOADED`.
pub const CALLS_MAX: usize = 4_096;
/// The longest message: a body of 1 MiB and a generous head.
pub const MESSAGE_MAX: usize = (1 << 20) + (64 << 10);

/// Header names in lower case with their values.
pub type Headers<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// What is called. The body is JSON, if there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallHead<'a> {
    /// The caller's number for the call; its answer carries it.
    pub id: u64,
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: Cow<'a, str>,
    /// Path and query.
    pub target: Cow<'a, str>,
    /// Its headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Headers<'a>,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerHead<'a> {
    /// The call's number.
    pub id: u64,
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Headers<'a>,
}

/// A message of a head and a body.
pub fn join<H: Serialize>(head: &H, body: &[u8]) -> Bytes {
    let mut message = Vec::with_capacity(256 + body.len());
    serde_json::to_writer(&mut message, head).expect("heads have a JSON form and memory does not fail");
    if !body.is_empty() {
        message.push(b'\n');
        message.extend_from_slice(body);
    }
    message.into()
}

/// The head and the body of a message.
///
/// # Errors
/// When the first line is no head.
pub fn split<H: for<'de> Deserialize<'de>>(message: &Bytes) -> Result<(H, Bytes), serde_json::Error> {
    let end = message.iter().position(|byte| *byte == b'\n').unwrap_or(message.len());
    let head = serde_json::from_slice(&message[..end])?;
    Ok((head, message.slice((end + 1).min(message.len())..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_bodies_come_back_as_they_were() {
        for body in ["", "{}", "{\n \"a\": 1\n}\n"] {
            let headers = vec![("if-match".into(), "\"3\"".into())];
            let head = CallHead { id: 7, method: "PUT".into(), target: "/a?b=\"c\"".into(), headers };
            let message = join(&head, body.as_bytes());
            assert_eq!(split(&message).expect("a message"), (head, Bytes::from(body)));
        }
        let head = AnswerHead { id: 1, status: 204, headers: Vec::new() };
        assert_eq!(join(&head, b""), r#"{"id":1,"status":204}"#);
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for text in
            ["", "{}", "\n{}", r#"{"id":1,"method":"GET"}"#, r#"{"id":-1,"method":"GET","target":"/"}"#]
        {
            assert!(split::<CallHead<'static>>(&Bytes::from(text)).is_err(), "{text}");
        }
    }
}
