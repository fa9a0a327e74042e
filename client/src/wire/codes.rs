//! The codes of problems and errors: stable words that programs may compare.
//! Knows nothing of when each is given; `docs/problems` says that.

macro_rules! codes {
    ($($name:ident $status:literal)+) => {
        $(#[doc = concat!("Sent with HTTP status ", $status, ".")] pub const $name: &str = stringify!($name);)+

        /// The HTTP status that belongs to a code of this list.
        #[must_use]
        pub fn status(code: &str) -> Option<u16> {
            match code {
                $(stringify!($name) => Some($status),)+
                _ => None,
            }
        }
    };
}

codes! {
    BAD_REQUEST 400
    UNAUTHENTICATED 401
    FORBIDDEN 403
    NOT_FOUND 404
    METHOD_NOT_ALLOWED 405
    INVALID_TRANSITION 409
    IDEMPOTENCY_IN_PROGRESS 409
    STALE_ATTEMPT 409
    CONCURRENCY_CONFLICT 409
    CURSOR_EXPIRED 410
    EVENTS_COMPACTED 410
    STATE_VERSION_CONFLICT 412
    VERSION_CONFLICT 412
    PAYLOAD_TOO_LARGE 413
    UNSUPPORTED_MEDIA_TYPE 415
    VALIDATION_FAILED 422
    IDEMPOTENCY_KEY_REUSED 422
    PRECONDITION_REQUIRED 428
    QUEUE_FULL 429
    LIMIT_EXCEEDED 429
    INTERNAL 500
    NO_LEADER 503
    NOT_READY 503
    OVERLOADED 503
    OUTCOME_UNKNOWN 503
    SHUTTING_DOWN 503
    SECRET_MISSING 503
    COMPONENT_TIMEOUT 504
    INSUFFICIENT_STORAGE 507
}

/// In the error of a run that failed.
pub const WORKFLOW_FAILED: &str = "WORKFLOW_FAILED";
/// In the error of a task that used up its attempts.
pub const TASK_FAILED: &str = "TASK_FAILED";
/// In the error of a task whose dependency did not complete.
pub const DEPENDENCY_FAILED: &str = "DEPENDENCY_FAILED";
/// From a component: the attempt was stopped because the node asked for it.
pub const CANCELLED: &str = "CANCELLED";
/// From a component: the attempt was stopped at its deadline.
pub const TASK_TIMEOUT: &str = "TASK_TIMEOUT";
/// From a component: the handler panicked.
pub const HANDLER_PANIC: &str = "HANDLER_PANIC";
/// From a component: it has no handler for the action.
pub const ACTION_UNKNOWN: &str = "ACTION_UNKNOWN";
/// From a component: the payload is not what the handler takes.
pub const INVALID_PAYLOAD: &str = "INVALID_PAYLOAD";
/// From a component: the handler's result has no JSON form or is not what was agreed.
pub const INVALID_OUTPUT: &str = "INVALID_OUTPUT";
/// From a component: it has no handler for the message's type.
pub const NO_HANDLER: &str = "NO_HANDLER";
/// From a component: too many messages are being handled.
pub const BUSY: &str = "BUSY";
