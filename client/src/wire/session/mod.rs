//! The messages of a component session (`docs/protocol.md`): JSON, one a line, tagged by `type`.
//! Payloads and outputs stay raw. Knows nothing of sockets, sessions' life or who holds what.

mod bodies;

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};

pub use bodies::*;

/// Serde's internally tagged enums buffer what they read, which raw JSON does not survive; so the tag is read first and
/// the line is then read as what it names.
macro_rules! tagged_messages {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $tag:literal => $variant:ident($body:ty),)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub enum $name {
            $($(#[$variant_meta])* $variant($body),)+
            /// A type that this version does not know; to be ignored.
            Unknown(String),
        }

        impl $name {
            /// Reads one line.
            ///
            /// # Errors
            /// When the line is not a JSON object with a `type`, or lacks a field of that type.
            pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
                match tag(line)?.as_ref() {
                    $($tag => serde_json::from_str(line).map(Self::$variant),)+
                    other => Ok(Self::Unknown(other.to_owned())),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(body) => Tagged { tag: $tag, body }.serialize(serializer),)+
                    Self::Unknown(tag) => Tagged { tag, body: &Empty {} }.serialize(serializer),
                }
            }
        }

        $(impl From<$body> for $name {
            fn from(body: $body) -> Self {
                Self::$variant(body)
            }
        })+
    };
}

#[derive(Serialize)]
struct Tagged<'a, T> {
    #[serde(rename = "type")]
    tag: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Serialize)]
struct Empty {}

/// The `type` of a line: at its beginning, where both sides write it, else found by a scan.
fn tag(line: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Tag<'a> {
        #[serde(rename = "type", borrow)]
        tag: Cow<'a, str>,
    }
    let at_the_beginning = line.strip_prefix(r#"{"type":""#).and_then(|rest| rest.split_once('"'));
    match at_the_beginning {
        Some((tag, _)) if !tag.contains('\\') => Ok(Cow::Borrowed(tag)),
        _ => serde_json::from_str::<Tag<'_>>(line).map(|found| found.tag),
    }
}

tagged_messages! {
    /// What a node says to a component.
    NodeMessage {
        /// The session is in the replicated state.
        "welcome" => Welcome(Welcome),
        /// Start an attempt.
        "task" => Task(TaskOrder),
        /// Stop an attempt, then answer `fail` with code `CANCELLED`.
        "cancel" => Cancel(CancelOrder),
        /// Answer a message with `reply`.
        "message" => Message(MessageOrder),
        /// Take a durable message, then answer `ack` or `nack`.
        "durable" => Durable(DurableOrder),
        /// What became of an `ack` or `nack`.
        "settled" => Settled(Settled),
        /// A result is in the replicated state.
        "accepted" => Accepted(Accepted),
        /// A result counts for nothing; forget the attempt.
        "refused" => Refused(Refused),
        /// Nobody could say; send the result again.
        "retry" => Retry(RetryResult),
        /// The node closes the session.
        "bye" => Bye(Bye),
    }
}

tagged_messages! {
    /// What a component says to a node.
    ComponentMessage {
        /// The first message of a session.
        "hello" => Hello(Hello),
        /// An attempt succeeded.
        "complete" => Complete(Complete),
        /// An attempt failed.
        "fail" => Fail(Fail),
        /// The component lives.
        "heartbeat" => Heartbeat(Heartbeat),
        /// The answer to a message.
        "reply" => Reply(Reply),
        /// A durable message is done with.
        "ack" => Ack(Ack),
        /// A durable message could not be dealt with.
        "nack" => Nack(Nack),
        /// No new tasks, please.
        "drain" => Drain(Drain),
        /// Lines that an attempt logged.
        "log" => Log(Log),
    }
}

/// Writes messages as one frame, one a line.
pub fn encode_frame<'a, M: Serialize + 'a>(messages: impl IntoIterator<Item = &'a M>) -> String {
    let mut frame = Vec::new();
    for message in messages {
        if !frame.is_empty() {
            frame.push(b'\n');
        }
        serde_json::to_writer(&mut frame, message)
            .expect("session messages have string keys and memory does not fail");
    }
    String::from_utf8(frame).expect("JSON is UTF-8")
}

/// The lines of a frame that hold something.
pub fn frame_lines(frame: &str) -> impl Iterator<Item = &str> {
    frame.split('\n').map(str::trim).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `line`, writes it again and expects `written`.
    fn check_node(line: &str, written: &str) {
        let message = NodeMessage::from_line(line).expect("reads");
        assert_eq!(encode_frame([&message]), written);
    }

    #[test]
    fn messages_round_trip_with_raw_payloads() {
        let line = r#"{"type":"task","taskId":"t","token":17,"attempt":1,"attemptsMax":3,"action":"a","name":"n","payload":{"x" : [1.0, "\u00e9"]},"deadline":5,"runId":"r"}"#;
        check_node(line, line);
        let line =
            r#"{"type":"message","messageId":"m","messageType":"ping","payload":null,"replyBefore":9}"#;
        check_node(line, line);
        check_node(r#"{"reason":"superseded", "type":"bye"}"#, r#"{"type":"bye","reason":"superseded"}"#);
        check_node(
            r#"{"type":"accepted","taskId":"t","token":1,"new":{}}"#,
            r#"{"type":"accepted","taskId":"t","token":1}"#,
        );
        check_node(r#"{"type":"confetti","colour":1}"#, r#"{"type":"confetti"}"#);
        check_node(
            r#"{"t\u0079pe":"retry","taskId":"t","token":1,"retryAfter":5}"#,
            r#"{"type":"retry","taskId":"t","token":1,"retryAfter":5}"#,
        );
    }

    #[test]
    fn a_frame_is_messages_by_line() {
        let output = serde_json::from_str("{\"a\" :1}").expect("reads");
        let messages: [ComponentMessage; 3] = [
            Heartbeat::default().into(),
            Complete { task_id: "t\n".into(), token: 2, output }.into(),
            Drain {}.into(),
        ];
        let frame = encode_frame(&messages);
        let lines: Vec<&str> = frame_lines(&frame).collect();
        assert_eq!(
            lines,
            [
                r#"{"type":"heartbeat"}"#,
                r#"{"type":"complete","taskId":"t\n","token":2,"output":{"a" :1}}"#,
                r#"{"type":"drain"}"#
            ]
        );
        assert!(
            matches!(ComponentMessage::from_line(lines[1]), Ok(ComponentMessage::Complete(read)) if read.task_id == "t\n")
        );
    }

    #[test]
    fn what_is_not_a_message_is_an_error() {
        for line in [
            "",
            "[]",
            "{}",
            r#"{"type":"task"}"#,
            r#"{"type":"cancel","taskId":"t","token":-1}"#,
            r#"{"type":"#,
        ] {
            assert!(NodeMessage::from_line(line).is_err(), "{line}");
        }
    }
}
