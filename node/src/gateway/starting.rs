//! What a node answers before it has a state: it lives, and it cannot serve yet. Joining or reading a long log takes a
//! while, and whoever asks meanwhile should not hang.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use orc_client::wire::{Problem, codes, headers, paths};
use orc_runtime::net::TcpListener;
use tokio::task::JoinSet;
use warp::http::{HeaderValue, StatusCode, header};

/// Connections at once.
const CONNECTIONS_MAX: usize = 64;

/// Answers until it is dropped; every answer ends its connection.
pub async fn answer(socket: &TcpListener, header_timeout: Duration) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
            continue;
        }
        let stream = tokio::select! {
            accepted = socket.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = stream else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service_fn(respond));
        // A connection that breaks is its client's affair.
        connections.spawn(async move { connection.await.is_ok() });
    }
}

async fn respond(request: Request<Incoming>) -> Result<Response<http_body_util::Full<Bytes>>, Infallible> {
    if request.uri().path() == paths::HEALTHZ {
        return Ok(Response::new(Bytes::from_static(b"ok\n").into()));
    }
    let mut problem = Problem::new(codes::NO_LEADER, "this node is still starting");
    (problem.retryable, problem.executed) = (true, Some(false));
    problem.instance = request.uri().path().to_owned();
    let body = serde_json::to_vec(&problem).expect("a problem has string keys and memory does not fail");
    let mut response = Response::new(Bytes::from(body).into());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(headers::PROBLEM_JSON));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    Ok(response)
}
