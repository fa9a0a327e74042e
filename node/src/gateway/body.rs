//! Reads request bodies within their limits: size, encoding, idle and total time.
//! Knows nothing of JSON.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use orc_client::wire::codes;
use tokio::time::{Instant, timeout, timeout_at};
use warp::http::{HeaderMap, header};

use super::{
    budget::{self, Budget, Share},
    problem::Refusal,
};

/// A body as it came.
pub enum Body {
    /// Still arriving.
    Stream(BodyStream),
    /// All there.
    Whole(Bytes),
}

/// A body as it arrives.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

/// What a body may cost.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Its length, in bytes.
    pub length_max: usize,
    /// Time between two pieces.
    pub idle_max: Duration,
    /// Time for all of it.
    pub total_max: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        let (idle_max, total_max) = (Duration::from_secs(10), Duration::from_secs(60));
        BodyLimits { length_max: 1024 * 1024, idle_max, total_max }
    }
}

impl BodyLimits {
    /// Reads a body, or says which limit it broke. What it takes of the budget is held with it.
    pub async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        budget: &Arc<Budget>,
    ) -> Result<(Bytes, Share), Refusal> {
        refuse_encoding(headers)?;
        let mut body = match body {
            Body::Stream(body) => body,
            Body::Whole(body) if body.len() > self.length_max => return Err(self.too_large()),
            Body::Whole(body) => {
                let share = budget.take(body.len()).ok_or_else(budget::refusal)?;
                return Ok((body, share));
            }
        };
        if !headers.contains_key(header::CONTENT_LENGTH) && !headers.contains_key(header::TRANSFER_ENCODING) {
            return Ok((Bytes::new(), budget.nothing()));
        }
        let announced = header_number(headers).unwrap_or(0);
        if announced > self.length_max {
            self.drain(&mut body).await;
            return Err(self.too_large());
        }
        // What was announced may never come: only what has come is counted.
        let mut share = budget.nothing();
        let deadline = Instant::now() + self.total_max;
        // Pages that nothing is written to are not in memory.
        let mut whole = BytesMut::with_capacity(announced);
        loop {
            let until = deadline.min(Instant::now() + self.idle_max);
            let piece = match timeout_at(until, body.next()).await {
                Err(_) => return Err(too_slow()),
                Ok(None) => return Ok((whole.freeze(), share)),
                Ok(Some(Err(error))) => {
                    return Err(Refusal::bad_request(format!("the body broke off: {error}")));
                }
                Ok(Some(Ok(piece))) => piece,
            };
            if whole.len() + piece.len() > self.length_max {
                self.drain(&mut body).await;
                return Err(self.too_large());
            }
            if !share.grow(whole.len() + piece.len()) {
                drop((whole, share));
                self.drain(&mut body).await;
                return Err(budget::refusal());
            }
            whole.extend_from_slice(&piece);
        }
    }

    /// Lets a client that is still sending finish, so that it reads the answer instead of a reset; briefly.
    async fn drain(&self, body: &mut BodyStream) {
        let mut left = 4 * self.length_max;
        let pieces = async {
            while let Some(Ok(piece)) = body.next().await {
                left = left.saturating_sub(piece.len());
                if left == 0 {
                    return;
                }
            }
        };
        let _ = timeout(Duration::from_millis(500), pieces).await;
    }

    fn too_large(&self) -> Refusal {
        let detail = format!("the body is longer than the {} bytes allowed", self.length_max);
        Refusal::new(codes::PAYLOAD_TOO_LARGE, detail)
            .hint("keep large data elsewhere and send a reference to it")
    }
}

fn too_slow() -> Refusal {
    Refusal::bad_request("the body took too long to arrive").status(408)
}

fn refuse_encoding(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(header::CONTENT_ENCODING) {
        None => Ok(()),
        Some(encoding) if encoding.as_bytes().eq_ignore_ascii_case(b"identity") => Ok(()),
        Some(_) => {
            Err(Refusal::new(codes::UNSUPPORTED_MEDIA_TYPE, "bodies with a Content-Encoding are not read")
                .hint("send the body uncompressed"))
        }
    }
}

fn header_number(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    fn limits() -> BodyLimits {
        let (idle_max, total_max) = (Duration::from_millis(20), Duration::from_millis(200));
        BodyLimits { length_max: 10, idle_max, total_max }
    }

    async fn check(pieces: Vec<&'static str>, hangs: bool, expected: Result<&str, u16>) {
        let pieces = stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece))));
        let body: BodyStream =
            if hangs { Box::pin(pieces.chain(stream::pending())) } else { Box::pin(pieces) };
        let mut headers = HeaderMap::new();
        headers.insert(header::TRANSFER_ENCODING, header::HeaderValue::from_static("chunked"));
        let read = limits().read(&headers, Body::Stream(body), &Budget::new(1 << 10)).await;
        let read = read.map(|(body, _)| body);
        let read = read.map_err(|refusal| refusal.into_parts().0.status);
        assert_eq!(read.as_deref().map_err(|status| *status), expected.map(str::as_bytes));
    }

    #[tokio::test]
    async fn bodies_are_limited_while_they_arrive() {
        check(vec!["12345", "67890"], false, Ok("1234567890")).await;
        check(vec!["12345", "67890", "1"], false, Err(413)).await;
        check(vec!["12345"], true, Err(408)).await;
        check(vec![], false, Ok("")).await;
    }

    #[tokio::test]
    async fn announced_lengths_and_encodings_are_refused_at_once() {
        for (name, value, status) in [("content-length", "11", 413), ("content-encoding", "gzip", 415)] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a header value"));
            let body: BodyStream = Box::pin(stream::empty());
            let read = limits().read(&headers, Body::Stream(body), &Budget::new(1 << 10)).await;
            let refusal = read.map(|(body, _)| body).expect_err("refused");
            assert_eq!(refusal.into_parts().0.status, status);
        }
    }
}
