//! From a request or call that arrived to its answer: routing, body, panics, request id, common headers, metrics.
//! Knows nothing of what handlers do; whatever they do, the client gets an answer.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::FutureExt;
use orc_client::wire::{codes, headers};
use orc_domain::Unavailable;
use tracing::{debug, error, warn};
use uuid::Uuid;
use warp::{
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::{
    Gateway,
    body::Body,
    call::{Call, Effect},
    listen::Slot,
    problem::Refusal,
    reply::{Answered, Reply},
    routes::{Found, Handler},
};

/// A request as the filter takes it apart.
pub struct Arrived {
    /// How.
    pub method: Method,
    /// What, still percent-encoded.
    pub path: String,
    /// Without the `?`.
    pub query: String,
    /// As sent.
    pub headers: HeaderMap,
    /// What a WebSocket needs.
    pub upgrade: Option<warp::ws::Ws>,
    /// Its connection's place.
    pub slot: Option<Arc<Slot>>,
    /// Whether there is room for it; otherwise it is refused at once.
    pub admitted: bool,
    /// What it carries.
    pub body: Body,
}

/// The label of requests for paths that do not exist.
const UNMATCHED: &str = "unmatched";

impl Gateway {
    /// Answers any request.
    pub async fn answer(self: Arc<Self>, arrived: Arrived) -> Response {
        let request_id = request_id(&arrived.headers);
        let reply = self.clone().reply(arrived, &request_id).await;
        let index = reply.index();
        let mut response = reply.into_response();
        self.common_headers(response.headers_mut(), index);
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert(HeaderName::from_static(headers::REQUEST_ID), value);
        }
        response
    }

    /// Answers a call of a channel with the message that is sent back.
    pub async fn answer_call(self: Arc<Self>, id: u64, arrived: Arrived) -> Bytes {
        let (request_id, path) = (request_id(&arrived.headers), arrived.path.clone());
        let reply = self.clone().reply(arrived, &request_id).await;
        let index = reply.index().unwrap_or_else(|| self.cluster.newest());
        let message = reply.to_message(id, index);
        message.unwrap_or_else(|| {
            let refusal =
                Refusal::bad_request("a channel carries no streams").hint("ask for it by plain HTTP");
            let reply = refused(refusal, path, request_id);
            reply.to_message(id, index).expect("a refusal is no stream")
        })
    }

    /// What the route's handler says, good or bad.
    async fn reply(self: Arc<Self>, arrived: Arrived, request_id: &str) -> Reply {
        let started = Instant::now();
        let (method, path) = (arrived.method.clone(), arrived.path.clone());
        let (label, answered) = match self.router.find(&method, &path) {
            Found::Handler { route, handler, params } => {
                let prepared = Prepared { template: route.template, handler, params, request_id };
                (route.template, self.clone().handle(prepared, arrived).await)
            }
            Found::WrongMethod { route, allow } => {
                (route.template, Err(wrong_method(&method, &path, &allow)))
            }
            Found::Nothing => (UNMATCHED, Err(nothing_there(&path))),
        };
        let reply = answered.unwrap_or_else(|refusal| refused(refusal, path, request_id.to_owned()));
        self.metrics.http(label, &method, reply.status_code(), started.elapsed());
        reply
    }

    async fn handle(self: Arc<Self>, prepared: Prepared<'_>, arrived: Arrived) -> Answered {
        if !arrived.admitted {
            return Err(Unavailable::Overloaded { retry_after: Duration::from_secs(1) }.into());
        }
        // Given back when all is done.
        let (body, _held) = self.limits.read(&arrived.headers, arrived.body, &self.calls).await?;
        // Not before the body is read: the connection would be of no use to the next request.
        self.has_room_for(&arrived.method, prepared.template)?;
        let budget = self.calls.clone();
        let reads = [Method::GET, Method::HEAD].contains(&arrived.method);
        let effect = Effect::default();
        let call = Call {
            method: arrived.method,
            path: arrived.path,
            query: arrived.query,
            headers: arrived.headers,
            params: prepared.params,
            body,
            upgrade: arrived.upgrade,
            slot: arrived.slot,
            effect: effect.clone(),
        };
        let handled = AssertUnwindSafe((prepared.handler)(self, call)).catch_unwind().await;
        let answered = handled.unwrap_or_else(|panic| {
            let reason = panic_text(panic.as_ref());
            error!(request = prepared.request_id, reason, "a handler panicked");
            // It may have proposed something and not come to hear the outcome.
            Err(Refusal::new(codes::INTERNAL, "the server made a mistake")
                .maybe_executed()
                .hint("look for the request id in its log"))
        });
        if !reads {
            orc_runtime::fail_point("call.answered");
        }
        // What has had an effect is told, however long.
        let answered = if reads { answered.and_then(|reply| reply.held(&budget)) } else { answered };
        answered.map_err(|refusal| effect.told(refusal))
    }

    /// Who answered, how new the answer is, and whom this node follows.
    fn common_headers(&self, map: &mut HeaderMap, index: Option<u64>) {
        let leadership = self.cluster.leadership();
        let mut put = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                map.insert(HeaderName::from_static(name), value);
            }
        };
        put(headers::ORC_INDEX, index.unwrap_or_else(|| self.cluster.newest()).to_string());
        put(headers::ORC_NODE, self.cluster.node().to_string());
        put(headers::ORC_TERM, leadership.term.to_string());
        if let Some(leader) = leadership.leader {
            put(headers::ORC_LEADER, leader.to_string());
        }
    }
}

struct Prepared<'a> {
    template: &'static str,
    handler: Handler,
    params: Vec<(String, String)>,
    request_id: &'a str,
}

/// The problem that a refusal is to the client.
fn refused(refusal: Refusal, path: String, request_id: String) -> Reply {
    let (mut problem, own) = refusal.into_parts();
    (problem.instance, problem.request_id) = (path, request_id);
    let (request, path) = (&*problem.request_id, &*problem.instance);
    match problem.status {
        500.. if problem.code == codes::INTERNAL => {
            warn!(request, path, detail = problem.detail, "internal error");
        }
        _ => debug!(request, path, status = problem.status, code = problem.code, "refused"),
    }
    let bytes = serde_json::to_vec(&problem).expect("a problem has string keys and memory does not fail");
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reply = Reply::bytes(headers::PROBLEM_JSON, bytes.into()).status(status);
    reply.header(header::CACHE_CONTROL, "no-store").headers(own)
}

/// The client's own id if it is a plain word, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(headers::REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |text: &&str| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
        !text.is_empty() && text.len() <= 128 && text.bytes().all(letter)
    };
    given.filter(plain).map_or_else(|| format!("req_{}", Uuid::now_v7().simple()), str::to_owned)
}

fn wrong_method(method: &Method, path: &str, allow: &str) -> Refusal {
    Refusal::new(codes::METHOD_NOT_ALLOWED, format!("{path} does not take {method}"))
        .hint(format!("it takes {allow}"))
        .header(header::ALLOW, allow)
}

fn nothing_there(path: &str) -> Refusal {
    let refusal = Refusal::not_found(format!("there is nothing at {path}"));
    if path.len() > 1 && path.ends_with('/') {
        return refusal.hint("leave out the slash at the end");
    }
    refusal.hint("the API is under /api/v1")
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}
