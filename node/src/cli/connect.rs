//! The client that commands use, and the time that a command may take.
//! Knows nothing of what is called.

use std::{future::Future, time::Duration};

use orc_client::Client;

use super::{Failure, Global};

/// How long a call may take with all its attempts: longer than the election of a new leader.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A client for the nodes of `--addr`.
pub(super) fn client(global: &Global) -> Result<Client, Failure> {
    client_of(global, &global.addr)
}

/// A client for certain nodes.
pub(super) fn client_of(global: &Global, nodes: &[String]) -> Result<Client, Failure> {
    // A little less than `--timeout`: a cluster that cannot be reached is told as that, not as a time-out.
    let timeout = global.timeout.map_or(CALL_TIMEOUT, |timeout| timeout.mul_f64(0.9).min(CALL_TIMEOUT));
    Ok(Client::builder().nodes(nodes.iter().cloned()).timeout(timeout).build()?)
}

/// Does something within `--timeout`.
pub(super) async fn in_time<T>(
    global: &Global,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match global.timeout {
        Some(timeout) => tokio::time::timeout(timeout, work).await.unwrap_or(Err(Failure::Timeout(timeout))),
        None => work.await,
    }
}

/// Returns on Ctrl-C or SIGTERM.
pub(super) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        }
        // Without signal handlers the process ends the default way.
        (Err(_), _) | (_, Err(_)) => std::future::pending().await,
    }
}
