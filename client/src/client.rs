//! The client: which nodes there are, which one worked last, and the way to each group of calls.
//! Knows nothing of how a call is tried; [`crate::http`] does that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::channel::Channel;
use crate::http::Call;
use crate::wire::{SystemStatus, paths};
use crate::{
    Approvals, Batches, Cluster, Components, Error, Events, Runs, Schedules, State, Tasks, Workflows,
};

const TIMEOUT: Duration = Duration::from_secs(30);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Where a node listens unless told otherwise.
const NODE_HERE: &str = "http://127.0.0.1:7420";

/// A client of a cluster; cheap to clone. Calls go to the node that worked last and move on to others by themselves.
///
/// ```no_run
/// # async fn example() -> Result<(), orc_client::Error> {
/// use orc_client::{Client, Workflow};
/// use serde_json::json;
///
/// let orc = Client::builder().nodes(["http://127.0.0.1:7420", "http://127.0.0.1:7421"]).build()?;
/// let workflow = Workflow::definition(json!({ "name": "hello", "steps": [{ "name": "Say", "type": "task" }] }));
/// let run = orc.runs().start(workflow).input("epochs", 3).send().await?;
/// println!("{}: {}", run.id(), run.wait().await?.status());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    nodes: Vec<String>,
    /// One to each node; none if calls are to be plain requests.
    channels: Vec<Channel>,
    /// The node that worked last.
    preferred: AtomicUsize,
    /// The newest index that an answer to a mutation carried: reads must be as new.
    index_seen: AtomicU64,
    timeout: Duration,
    attempt_timeout: Duration,
    retries: bool,
}

/// How a [`Client`] is made.
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    nodes: Vec<String>,
    timeout: Duration,
    attempt_timeout: Duration,
    plain_http: bool,
    retries: bool,
}

impl ClientBuilder {
    /// The nodes' addresses: `http://host:port` or `host:port`.
    #[must_use]
    pub fn nodes<N: Into<String>>(mut self, nodes: impl IntoIterator<Item = N>) -> Self {
        self.nodes.extend(nodes.into_iter().map(Into::into));
        self
    }

    /// How long a call may take with all its attempts (default 30 s).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long one attempt may take (default 5 s); waits get their time on top.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Makes each call an HTTP request of its own, instead of sending all calls to a node over one WebSocket. Where
    /// something between here and a node does not pass WebSockets on, that happens by itself.
    #[must_use]
    pub fn plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Tells of every refusal and failure at once instead of trying again: for callers who shed load or retry themselves.
    #[must_use]
    pub fn without_retries(mut self) -> Self {
        self.retries = false;
        self
    }

    /// Makes the client; it connects when it is used.
    ///
    /// # Errors
    /// [`Error::Usage`] without a node or with an address that is none.
    pub fn build(self) -> Result<Client, Error> {
        let nodes: Vec<String> = self.nodes.iter().map(|node| base_url(node)).collect::<Result<_, _>>()?;
        if nodes.is_empty() {
            return Err(Error::Usage("a client needs the address of at least one node".to_owned()));
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::Usage(format!("no HTTP client could be made: {error}")))?;
        let (timeout, attempt_timeout) = (self.timeout, self.attempt_timeout);
        let (preferred, index_seen) = (AtomicUsize::new(0), AtomicU64::new(0));
        let channels = if self.plain_http { 0 } else { nodes.len() };
        let channels = (0..channels).map(|_| Channel::default()).collect();
        let retries = self.retries;
        let inner = Inner { http, nodes, channels, preferred, index_seen, timeout, attempt_timeout, retries };
        Ok(Client { inner: Arc::new(inner) })
    }
}

/// `host:port` or `http://host:port/` as `http://host:port`.
fn base_url(node: &str) -> Result<String, Error> {
    let node = node.trim();
    let url = if node.contains("://") { node.to_owned() } else { format!("http://{node}") };
    let parsed =
        reqwest::Url::parse(&url).map_err(|error| Error::Usage(format!("{node} is no address: {error}")))?;
    if parsed.scheme() != "http" || !parsed.has_host() {
        return Err(Error::Usage(format!("{node} is no address: only http:// is spoken")));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

impl Client {
    /// A client of the cluster that `ORC_ADDR` names (addresses, separated by commas), else of the node on this machine.
    ///
    /// # Errors
    /// [`Error::Usage`] when an address is none.
    pub fn from_env() -> Result<Self, Error> {
        let nodes = std::env::var("ORC_ADDR").unwrap_or_else(|_| NODE_HERE.to_owned());
        Self::builder().nodes(nodes.split(',')).build()
    }

    /// Begins to make a client.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder {
            nodes: Vec::new(),
            timeout: TIMEOUT,
            attempt_timeout: ATTEMPT_TIMEOUT,
            plain_http: false,
            retries: true,
        }
    }

    /// Runs of workflows.
    #[must_use]
    pub fn runs(&self) -> Runs {
        Runs::new(self.clone())
    }

    /// Batches: one action on many runs.
    #[must_use]
    pub fn batches(&self) -> Batches {
        Batches::new(self.clone())
    }

    /// What awaits somebody's decision.
    #[must_use]
    pub fn approvals(&self) -> Approvals {
        Approvals::new(self.clone())
    }

    /// Tasks without a run, and the results of attempts.
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        Tasks::new(self.clone())
    }

    /// Components and messages to them.
    #[must_use]
    pub fn components(&self) -> Components {
        Components::new(self.clone())
    }

    /// Workflows kept by name.
    #[must_use]
    pub fn workflows(&self) -> Workflows {
        Workflows::new(self.clone())
    }

    /// Schedules.
    #[must_use]
    pub fn schedules(&self) -> Schedules {
        Schedules::new(self.clone())
    }

    /// State keys.
    #[must_use]
    pub fn state(&self) -> State {
        State::new(self.clone())
    }

    /// Events.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.clone())
    }

    /// Nodes and the cluster's configuration.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        Cluster::new(self.clone())
    }

    /// The system in short, as the seed's `getStatus()` has it.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn status(&self) -> Result<SystemStatus, Error> {
        self.call(Call::get(paths::STATUS)).await
    }

    /// The metrics of the node that answers, in Prometheus' text form.
    ///
    /// # Errors
    /// As every call: [`Error`].
    pub async fn metrics(&self) -> Result<String, Error> {
        self.call_text(Call::get(paths::METRICS)).await
    }

    /// The nodes' addresses, as `http://host:port`.
    #[must_use]
    pub fn nodes(&self) -> &[String] {
        &self.inner.nodes
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.inner.http
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.inner.timeout
    }

    pub(crate) fn attempt_timeout(&self) -> Duration {
        self.inner.attempt_timeout
    }

    pub(crate) fn retries(&self) -> bool {
        self.inner.retries
    }

    /// The position of the node that worked last.
    pub(crate) fn preferred(&self) -> usize {
        self.inner.preferred.load(Ordering::Relaxed)
    }

    /// The address at a position, counted round and round.
    pub(crate) fn node(&self, position: usize) -> &str {
        &self.inner.nodes[position % self.inner.nodes.len()]
    }

    /// The channel to the node at a position, if there may be one.
    pub(crate) fn channel(&self, position: usize) -> Option<&Channel> {
        let channels = &self.inner.channels;
        channels.get(position % self.inner.nodes.len()).filter(|channel| !channel.is_not_spoken())
    }

    pub(crate) fn prefer(&self, position: usize) {
        self.inner.preferred.store(position % self.inner.nodes.len(), Ordering::Relaxed);
    }

    pub(crate) fn index_seen(&self) -> u64 {
        self.inner.index_seen.load(Ordering::Relaxed)
    }

    pub(crate) fn saw_index(&self, index: u64) {
        self.inner.index_seen.fetch_max(index, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_when_the_client_is_made() {
        let nodes = |nodes: &[&str]| {
            Client::builder().nodes(nodes.iter().copied()).build().map(|client| client.nodes().to_vec())
        };
        let expected = ["http://127.0.0.1:7420", "http://n2:1"].map(str::to_owned);
        assert_eq!(nodes(&["127.0.0.1:7420", "http://n2:1/"]).expect("good addresses"), expected);
        for wrong in [&[][..], &["https://x"], &["http://"], &["not an address"]] {
            assert!(matches!(nodes(wrong), Err(Error::Usage(_))), "{wrong:?}");
        }
    }
}
