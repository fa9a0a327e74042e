//! What every part of the pressure shares: the nodes, the tally, and what was acknowledged.
//! Knows nothing of how the pressure is made.

use std::{
    net::IpAddr,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use orc_client::Client;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::tally::Tally;

/// Calls of the pressure are given up after so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The nodes under pressure, and what is known of them.
pub struct Scene {
    /// Addresses of the nodes.
    pub urls: Vec<String>,
    /// What was refused.
    pub tally: Tally,
    /// Runs whose start was acknowledged.
    pub runs: Accepted,
    /// Tasks that were acknowledged.
    pub tasks: Accepted,
    /// Durable messages that were acknowledged.
    pub messages: Accepted,
    /// A run that stays in the queue to the end.
    pub queued: OnceLock<String>,
    http: reqwest::Client,
}

/// Ids of what was acknowledged.
#[derive(Default)]
pub struct Accepted(Mutex<Vec<String>>);

impl Accepted {
    /// One more.
    pub fn add(&self, id: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }

    /// All so far.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one that came last.
    pub fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }
}

impl Scene {
    /// Nothing has happened yet.
    pub fn new(urls: Vec<String>) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(PATIENCE).build()?;
        let (runs, tasks, messages) = Default::default();
        Ok(Scene { urls, tally: Tally::default(), runs, tasks, messages, queued: OnceLock::new(), http })
    }

    /// The node that has this turn.
    pub fn url(&self, turn: usize) -> &str {
        &self.urls[turn % self.urls.len()]
    }

    /// A request to a path below `/api/v1` of the node that has this turn.
    pub fn request(&self, method: Method, turn: usize, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/api/v1{path}", self.url(turn)))
    }

    /// A client of all nodes that tells of refusals and does not try again.
    pub fn client(&self) -> Result<Client> {
        let long = Duration::from_secs(400);
        let builder = Client::builder().nodes(self.urls.clone()).timeout(long).attempt_timeout(long);
        Ok(builder.without_retries().build()?)
    }
}

/// What came of a call: its status with the code of a problem, and what it says.
pub async fn answer(request: RequestBuilder) -> (String, Value) {
    match request.send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            let body: Value = response.json().await.unwrap_or_default();
            let code = body["code"].as_str().filter(|_| status >= 400).unwrap_or_default();
            (format!("{status} {code}").trim_end().to_owned(), body)
        }
        Err(error) if error.is_timeout() => ("no answer".to_owned(), Value::Null),
        Err(error) if error.is_connect() => ("no connection".to_owned(), Value::Null),
        Err(_) => ("broken off".to_owned(), Value::Null),
    }
}

/// The same for a call of the client library that failed.
pub fn refusal(error: &orc_client::Error) -> String {
    match error.problem() {
        Some(problem) => format!("{} {}", problem.status, problem.code),
        None => "no answer".to_owned(),
    }
}

/// One of the addresses of this machine, so that the nodes see several peers.
pub fn address(number: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, number])
}

/// `host:port` of a node's address.
pub fn socket_of(url: &str) -> Result<std::net::SocketAddr> {
    let text = url.strip_prefix("http://").context("an address begins with http://")?;
    Ok(text.parse()?)
}
