//! The action `http`: one request, its answer as the output. Plain `http://` only, and redirects are answers.
//! Knows nothing of the cluster's own HTTP.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use orc_client::wire::Millis;
use orc_client::{TaskCtx, TaskError};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(30);
const BODY_BYTES_MAX: usize = 1024 * 1024;

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.build().expect("a client without TLS needs nothing from its surroundings")
});

/// The payload of `http`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    /// By default `GET`, with a body `POST`.
    #[serde(default)]
    method: Option<String>,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Text is sent as it is, anything else as JSON.
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    timeout: Option<Millis>,
    /// The statuses that are no failure; by default 200 to 299.
    #[serde(default)]
    expect: Vec<u16>,
    /// At most so much is read; at most and by default 1 MiB.
    #[serde(default)]
    max_bytes: Option<usize>,
}

/// The output of `http`.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    /// Read as JSON if its type says so, else text.
    body: Value,
}

/// Makes a request.
pub(crate) async fn http(ctx: TaskCtx, request: Request) -> Result<Answer, TaskError> {
    let timeout = request.timeout.map_or(TIMEOUT, Duration::from);
    let max_bytes = request.max_bytes.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX);
    let expect = request.expect.clone();
    let prepared = prepare(request)?;
    let exchange = async {
        let response = prepared.send().await.map_err(|error| failed(&error))?;
        read(response, max_bytes).await
    };
    let answer = tokio::select! {
        answer = ctx.alive_while(tokio::time::timeout(timeout, exchange)) => answer
            .unwrap_or_else(|_| Err(TaskError::new("HTTP_TIMEOUT", format!("no whole answer within {timeout:?}"))))?,
        () = ctx.cancelled() => return Err(TaskError::cancelled("cancelled while waiting for the answer")),
    };
    check(answer, &expect)
}

fn prepare(request: Request) -> Result<RequestBuilder, TaskError> {
    let invalid = |what: String| TaskError::permanent("INVALID_REQUEST", what);
    if !request.url.starts_with("http://") {
        return Err(invalid(format!("{} is not an http:// address", request.url)));
    }
    let method = request.method.as_deref().unwrap_or(if request.body.is_some() { "POST" } else { "GET" });
    let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes())
        .map_err(|_| invalid(format!("{method} is no method")))?;
    let mut builder = CLIENT.request(method, &request.url);
    let has_type = request.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    builder = match request.body {
        None => builder,
        Some(Value::String(text)) => builder.body(text),
        Some(json) if has_type => builder.body(json.to_string()),
        Some(json) => builder.header(CONTENT_TYPE, "application/json").body(json.to_string()),
    };
    Ok(builder)
}

async fn read(mut response: Response, max_bytes: usize) -> Result<Answer, TaskError> {
    let headers: BTreeMap<String, String> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        if bytes.len() + chunk.len() > max_bytes {
            let message = format!("the answer is larger than {max_bytes} bytes");
            return Err(TaskError::permanent("RESPONSE_TOO_LARGE", message));
        }
        bytes.extend_from_slice(&chunk);
    }
    let text = || Value::from(String::from_utf8_lossy(&bytes).into_owned());
    let is_json = headers.get("content-type").is_some_and(|kind| kind.contains("json"));
    let body = if is_json { serde_json::from_slice(&bytes).unwrap_or_else(|_| text()) } else { text() };
    Ok(Answer { status: response.status().as_u16(), headers, body })
}

fn check(answer: Answer, expect: &[u16]) -> Result<Answer, TaskError> {
    let status = answer.status;
    let expected = if expect.is_empty() { (200..300).contains(&status) } else { expect.contains(&status) };
    if expected {
        return Ok(answer);
    }
    let start: String = answer.body.to_string().chars().take(200).collect();
    let mut error = TaskError::new("UNEXPECTED_STATUS", format!("status {status}: {start}"));
    error.retryable = status == 429 || status >= 500;
    Err(error)
}

fn failed(error: &reqwest::Error) -> TaskError {
    if error.is_builder() {
        return TaskError::permanent("INVALID_REQUEST", error.to_string());
    }
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    TaskError::new("HTTP_FAILED", format!("{error}{cause}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::tests::context;

    /// Serves `answer` once, asks for it, and gives the outcome with what the server read.
    async fn exchange(answer: &'static str, mut payload: Value) -> (Result<Value, TaskError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        payload["url"] = format!("http://{}/path", listener.local_addr().expect("bound")).into();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            let mut request = vec![0; 4096];
            let count = stream.read(&mut request).await.expect("reads");
            stream.write_all(answer.as_bytes()).await.expect("writes");
            if answer.is_empty() {
                // Keeps the connection open until the other side gives up.
                stream.read_to_end(&mut request).await.ok();
            }
            String::from_utf8_lossy(&request[..count]).into_owned()
        });
        let outcome = http(context().0, serde_json::from_value(payload).expect("a payload")).await;
        let outcome = outcome.map(|answer| serde_json::to_value(answer).expect("JSON"));
        (outcome, server.await.expect("no panic"))
    }

    #[tokio::test]
    async fn an_answer_is_the_output() {
        let answer = "HTTP/1.1 201 X\r\ncontent-type: application/json\r\ncontent-length: 7\r\n\r\n{\"a\":1}";
        let (outcome, request) =
            exchange(answer, json!({ "body": { "b": 2 }, "headers": { "X-Mine": "1" } })).await;
        let output = outcome.expect("an answer");
        assert_eq!((&output["status"], &output["body"]), (&json!(201), &json!({ "a": 1 })));
        assert_eq!(output["headers"]["content-length"], "7");
        assert!(
            request.starts_with("POST /path HTTP/1.1\r\n") && request.ends_with("{\"b\":2}"),
            "{request}"
        );
        assert!(
            request.contains("x-mine: 1\r\n") && request.contains("content-type: application/json\r\n"),
            "{request}"
        );

        let redirect = "HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 2\r\n\r\n{}";
        let (outcome, _) = exchange(redirect, json!({ "expect": [302], "method": "get" })).await;
        assert_eq!(outcome.expect("expected")["body"], "{}");
    }

    #[tokio::test]
    async fn failures_have_codes() {
        let code = |(outcome, _): (Result<Value, TaskError>, String)| {
            let error = outcome.expect_err("a failure");
            (error.code, error.retryable)
        };
        let status = |code: &str, retryable| (code.to_owned(), retryable);
        let answer = "HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(code(exchange(answer, json!({})).await), status("UNEXPECTED_STATUS", true));
        let answer = "HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(code(exchange(answer, json!({})).await), status("UNEXPECTED_STATUS", false));
        let answer = "HTTP/1.1 200 X\r\ncontent-length: 5\r\n\r\nabcde";
        assert_eq!(
            code(exchange(answer, json!({ "maxBytes": 4 })).await),
            status("RESPONSE_TOO_LARGE", false)
        );
        assert_eq!(code(exchange("", json!({ "timeout": 20 })).await), status("HTTP_TIMEOUT", true));
        assert_eq!(code(exchange("junk\r\n\r\n", json!({})).await), status("HTTP_FAILED", true));

        let request: Request =
            serde_json::from_value(json!({ "url": "https://127.0.0.1/" })).expect("a payload");
        assert_eq!(http(context().0, request).await.expect_err("no TLS").code, "INVALID_REQUEST");
    }
}
