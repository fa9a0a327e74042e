//! One call to one node over plain HTTP, and what became of it: done, certainly not, or nobody knows.
//! Knows nothing of what a call is about; the client library would try again by itself, and this must not.

use std::time::Duration;

use anyhow::Result;
use orc_check::history::{Answer, Outcome};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(3);
const TO_CONNECT: Duration = Duration::from_secs(1);

/// A process of the history: its calls share connections.
#[derive(Clone)]
pub struct Asker {
    http: reqwest::Client,
}

impl Asker {
    /// One without connections yet.
    pub fn new() -> Result<Self> {
        let http = reqwest::Client::builder().timeout(PATIENCE).connect_timeout(TO_CONNECT).build()?;
        Ok(Asker { http })
    }

    /// A request to a path below `/api/v1` of a node.
    pub fn request(&self, method: Method, url: &str, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{url}/api/v1{path}"))
    }
}

/// Sends a request; `answer` reads the body of a success. That there is nothing is an answer, too, to one who reads.
pub async fn outcome(
    request: RequestBuilder,
    reads: bool,
    answer: impl Fn(Answer, &Value) -> Answer,
) -> Outcome {
    match request.send().await {
        Ok(response) => read(response, reads, answer).await,
        Err(error) if error.is_connect() => Outcome::Rejected { conflict: false },
        Err(_) => Outcome::Unknown,
    }
}

async fn read(response: Response, reads: bool, answer: impl Fn(Answer, &Value) -> Answer) -> Outcome {
    let status = response.status();
    let rev = response.headers().get("orc-index").and_then(|value| value.to_str().ok()?.parse().ok());
    let Ok(body) = response.json::<Value>().await else { return Outcome::Unknown };
    match (status.is_success(), rev) {
        (true, Some(rev)) => Outcome::Ok(answer(Answer { rev, ..Answer::default() }, &body)),
        (false, Some(rev)) if reads && status == StatusCode::NOT_FOUND => {
            Outcome::Ok(Answer { rev, ..Answer::default() })
        }
        (true, None) => Outcome::Unknown,
        (false, _) if body["executed"] == false => Outcome::Rejected { conflict: is_conflict(status) },
        (false, _) => Outcome::Unknown,
    }
}

fn is_conflict(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED)
}
