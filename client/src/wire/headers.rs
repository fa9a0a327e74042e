//! The names of the HTTP headers that have a meaning here. All are lower case, as HTTP libraries want them.
//! Knows nothing of who sends which one.

/// On every mutation: the same key and body give the same answer, through any node, for 24 h.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// `true` on an answer that was stored by an earlier call with the same key.
pub const IDEMPOTENT_REPLAYED: &str = "idempotent-replayed";
/// The rev (log index) an answer is as new as.
pub const ORC_INDEX: &str = "orc-index";
/// On a read: answer only once the node has applied this index (read your writes on any node).
pub const ORC_MIN_INDEX: &str = "orc-min-index";
/// The term the answering node is in.
pub const ORC_TERM: &str = "orc-term";
/// The leader that the answering node knows.
pub const ORC_LEADER: &str = "orc-leader";
/// The node that answered.
pub const ORC_NODE: &str = "orc-node";
/// How far the answering node may be behind the leader, in milliseconds.
pub const ORC_LAG_MS: &str = "orc-lag-ms";
/// On a decision: who decides, if the body does not say.
pub const ORC_USER: &str = "orc-user";
/// The id of the request, echoed in logs and problems.
pub const REQUEST_ID: &str = "x-request-id";
/// The version of a state key: `"3"`, with the quotes.
pub const ETAG: &str = "etag";
/// Compare and set: act only on this version.
pub const IF_MATCH: &str = "if-match";
/// `*`: create only.
pub const IF_NONE_MATCH: &str = "if-none-match";
/// Seconds to wait before trying again.
pub const RETRY_AFTER: &str = "retry-after";
/// Where an event stream goes on.
pub const LAST_EVENT_ID: &str = "last-event-id";

/// The media type of ordinary bodies.
pub const JSON: &str = "application/json";
/// The media type of a [`super::Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";
/// The media type of JSON documents, one a line.
pub const NDJSON: &str = "application/x-ndjson";
/// The media type of event streams.
pub const EVENT_STREAM: &str = "text/event-stream";

/// A version as an entity tag: `"3"` with its quotes.
#[must_use]
pub fn entity_tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// The version in an entity tag; quotes may be missing.
#[must_use]
pub fn entity_tag_version(tag: &str) -> Option<u64> {
    tag.trim().trim_matches('"').parse().ok()
}
