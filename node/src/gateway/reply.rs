//! What a handler answers, and how it becomes an HTTP response or a message of a call channel.
//! Knows nothing of routes or of why something was refused.

use std::sync::Arc;

use bytes::Bytes;
use orc_client::wire::{
    calls::{AnswerHead, Headers, join},
    headers,
};
use serde::Serialize;
use warp::{
    Reply as _,
    http::{HeaderName, HeaderValue, StatusCode, header},
    reply::Response,
};

use super::{
    budget::{self, Budget},
    problem::Refusal,
};

/// Shorter bodies are not counted.
const SHORT: usize = 16 << 10;

/// A handler's result.
pub type Answered = Result<Reply, Refusal>;

/// A successful answer.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    body: Body,
    headers: Vec<(HeaderName, HeaderValue)>,
    rev: Option<u64>,
}

#[derive(Debug)]
enum Body {
    Bytes { media_type: &'static str, bytes: Bytes },
    Ready(Response),
    Nothing,
}

impl Reply {
    /// 200 and a JSON body.
    pub fn json<T: Serialize>(value: &T) -> Reply {
        let bytes = serde_json::to_vec(value).expect("bodies have string keys and memory does not fail");
        Reply::bytes(headers::JSON, bytes.into())
    }

    /// 200 and bytes of some type.
    pub fn bytes(media_type: &'static str, bytes: Bytes) -> Reply {
        Reply {
            status: StatusCode::OK,
            body: Body::Bytes { media_type, bytes },
            headers: Vec::new(),
            rev: None,
        }
    }

    /// 204.
    pub fn nothing() -> Reply {
        Reply { status: StatusCode::NO_CONTENT, body: Body::Nothing, headers: Vec::new(), rev: None }
    }

    /// A response that is made already: a stream or an upgrade.
    pub fn ready(response: Response) -> Reply {
        Reply { status: response.status(), body: Body::Ready(response), headers: Vec::new(), rev: None }
    }

    /// With another status.
    pub fn status(mut self, status: StatusCode) -> Reply {
        self.status = status;
        self
    }

    /// 201, and where what was made is found.
    pub fn created(self, location: &str) -> Reply {
        self.status(StatusCode::CREATED).header(header::LOCATION, location)
    }

    /// Adds a header; what is no header value is left out.
    pub fn header(mut self, name: HeaderName, value: &str) -> Reply {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Adds headers.
    pub fn headers(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Reply {
        self.headers.extend(headers);
        self
    }

    /// The log index that the answer is about; else it is the one applied here.
    pub fn rev(mut self, rev: u64) -> Reply {
        self.rev = Some(rev);
        self
    }

    /// The same, with a long body counted until it is written; refused where there is no room for it.
    pub fn held(mut self, budget: &Arc<Budget>) -> Answered {
        if let Body::Bytes { bytes, .. } = &mut self.body
            && bytes.len() > SHORT
        {
            let share = budget.take(bytes.len()).ok_or_else(budget::refusal)?;
            *bytes = share.with(std::mem::take(bytes));
        }
        Ok(self)
    }

    /// Says that an earlier call with the same key got this answer.
    pub fn replayed(self, replayed: bool) -> Reply {
        match replayed {
            true => self.header(HeaderName::from_static(headers::IDEMPOTENT_REPLAYED), "true"),
            false => self,
        }
    }

    /// The log index that the answer is about.
    pub fn index(&self) -> Option<u64> {
        self.rev
    }

    /// Its status.
    pub fn status_code(&self) -> u16 {
        self.status.as_u16()
    }

    /// The message of a call channel; none if the answer is a stream or an upgrade.
    pub fn to_message(&self, id: u64, index: u64) -> Option<Bytes> {
        let mut own: Headers<'_> = vec![(headers::ORC_INDEX.into(), index.to_string().into())];
        let bytes: &[u8] = match &self.body {
            Body::Bytes { media_type, bytes } => {
                if *media_type != headers::JSON {
                    own.push((header::CONTENT_TYPE.as_str().into(), (*media_type).into()));
                }
                bytes
            }
            Body::Nothing => &[],
            Body::Ready(_) => return None,
        };
        for (name, value) in &self.headers {
            own.extend(value.to_str().ok().map(|value| (name.as_str().into(), value.into())));
        }
        Some(join(&AnswerHead { id, status: self.status_code(), headers: own }, bytes))
    }

    /// The response.
    pub fn into_response(self) -> Response {
        let mut response = match self.body {
            Body::Bytes { media_type, bytes } => {
                let mut response = Response::new(bytes.into());
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
                response
            }
            Body::Ready(response) => response,
            Body::Nothing => warp::reply().into_response(),
        };
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}
