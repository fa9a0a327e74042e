//! The one warp filter: it takes any request apart and hands it to the gateway.
//! Knows nothing of routes; it never rejects.

use std::sync::Arc;

use bytes::Buf;
use futures::StreamExt;
use warp::{Filter, Rejection, path::FullPath, reply::Response};

use super::{
    Gateway,
    body::{Body, BodyStream},
    dispatch::Arrived,
    listen::Slot,
};

/// Matches every request.
pub fn everything(
    gateway: Arc<Gateway>,
) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone + Send + Sync + 'static {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let upgrade = warp::ws().map(Some).or(warp::any().map(|| None)).unify();
    warp::any()
        .and(warp::method())
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(upgrade)
        .and(warp::ext::optional::<Arc<Slot>>())
        .and(warp::body::stream())
        .then(move |method, path: FullPath, query, headers, upgrade, slot, body| {
            let gateway = gateway.clone();
            let path = path.as_str().to_owned();
            let body = Body::Stream(pieces(body));
            let arrived = Arrived { method, path, query, headers, upgrade, slot, admitted: true, body };
            async move { gateway.answer(arrived).await }
        })
}

fn pieces<B: Buf>(body: impl futures::Stream<Item = Result<B, warp::Error>> + Send + 'static) -> BodyStream {
    Box::pin(body.map(|piece| piece.map(|mut piece| piece.copy_to_bytes(piece.remaining()))))
}
