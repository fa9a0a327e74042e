//! The accept loop: bounds connections, times out headers, and hands every request to one warp filter.
//! Knows nothing of routes. warp's own server has no timer and no bound, so it is not used.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use orc_runtime::net::{TcpListener, TcpStream};
use parking_lot::Mutex;
use tokio::{
    io::AsyncWriteExt,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tracing::{debug, warn};

use super::{Gateway, filter::everything, patience::Patient};

/// Bytes of a connection that the system keeps while the client does not take them; left alone it would keep 4 MiB.
const UNSENT_MAX: u32 = 256 << 10;

/// What connections may cost.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Open at once.
    pub total_max: usize,
    /// Open at once from one address; none: as many as in all.
    pub per_peer_max: Option<usize>,
    /// Time for a request's headers, and between two requests.
    pub header_timeout: Duration,
    /// How long a client may take nothing of what is written to it.
    pub write_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        let (header_timeout, write_timeout) = (Duration::from_secs(5), Duration::from_secs(30));
        ConnectionLimits { total_max: 1024, per_peer_max: None, header_timeout, write_timeout }
    }
}

/// A connection's place among those allowed; given back when the last holder drops it.
pub struct Slot {
    _permit: OwnedSemaphorePermit,
    peer: IpAddr,
    peers: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut peers = self.peers.lock();
        if let Some(count) = peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

struct Slots {
    limits: ConnectionLimits,
    total: Arc<Semaphore>,
    peers: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Slots {
    fn new(limits: ConnectionLimits) -> Slots {
        Slots { limits, total: Arc::new(Semaphore::new(limits.total_max)), peers: Arc::default() }
    }

    /// Waits until every place was given back.
    async fn all_back(&self) {
        let all = u32::try_from(self.limits.total_max).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let _ = self.total.acquire_many(all).await;
    }

    fn take(&self, peer: IpAddr) -> Option<Arc<Slot>> {
        let permit = self.total.clone().try_acquire_owned().ok()?;
        let mut peers = self.peers.lock();
        let count = peers.entry(peer).or_default();
        *count += 1;
        let fits = self.limits.per_peer_max.is_none_or(|most| *count <= most);
        drop(peers);
        let slot = Arc::new(Slot { _permit: permit, peer, peers: self.peers.clone() });
        fits.then_some(slot)
    }
}

/// Accepts until the gateway closes, then lets open requests end; the caller bounds how long.
pub async fn serve(socket: TcpListener, gateway: Arc<Gateway>, limits: ConnectionLimits) {
    let slots = Slots::new(limits);
    let service = warp::service(everything(gateway.clone()));
    let mut closing = std::pin::pin!(gateway.closed());
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = &mut closing => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: others must close first.
                warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(slot) = slots.take(peer.ip()) else {
            debug!(%peer, "too many connections");
            tokio::spawn(turn_away(stream));
            continue;
        };
        let service = TowerToHyperService::new(service.clone());
        let closed = gateway.closed();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let handler = service_fn(move |mut request| {
                request.extensions_mut().insert(slot.clone());
                hyper::service::Service::call(&service, request)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.header_timeout)
                .max_buf_size(64 * 1024)
                .max_headers(64)
                .serve_connection(TokioIo::new(Patient::new(stream, limits.write_timeout)), handler)
                .with_upgrades();
            let mut connection = std::pin::pin!(connection);
            let served = tokio::select! {
                served = connection.as_mut() => served,
                () = closed => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = served {
                debug!(%peer, %error, "a connection broke");
            }
        });
    }
    drop(socket);
    slots.all_back().await;
}

/// The answer to a connection beyond the limit.
const TURNED_AWAY: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n",
    "connection: close\r\ncontent-length: 156\r\n\r\n",
    "{\"type\":\"/docs/problems/overloaded\",\"title\":\"Overloaded\",\"status\":503,\"code\":\"OVERLOADED\",",
    "\"detail\":\"too many connections\",\"retryable\":true,\"executed\":false}"
);

async fn turn_away(mut stream: TcpStream) {
    let answer = async {
        stream.write_all(TURNED_AWAY.as_bytes()).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), answer).await;
}

/// Binds the address that clients use.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    orc_runtime::net::listen(address, UNSENT_MAX).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(total_max: usize, per_peer_max: Option<usize>) -> Slots {
        let limits = ConnectionLimits { total_max, per_peer_max, ..ConnectionLimits::default() };
        Slots::new(limits)
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let slots = slots(2, Some(1));
        let first = slots.take(one).expect("there is room");
        assert!(slots.take(one).is_none(), "one address has its share");
        let second = slots.take(other).expect("there is room for another");
        assert!(slots.take(other).is_none(), "all places are taken");
        drop((first, second));
        assert!(slots.take(one).is_some() && slots.peers.lock().is_empty());
    }

    #[test]
    fn whoever_is_turned_away_gets_a_whole_answer() {
        let (head, body) = TURNED_AWAY.split_once("\r\n\r\n").expect("head and body");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        assert!(serde_json::from_str::<orc_client::wire::Problem>(body).is_ok());
    }

    #[tokio::test]
    async fn the_system_keeps_little_of_what_a_client_does_not_take() {
        let listener = bind(([127, 0, 0, 1], 0).into()).await.expect("a free port");
        let client =
            TcpStream::connect(listener.local_addr().expect("an address")).await.expect("it listens");
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let piece = [0; 64 << 10];
        let mut taken = 0;
        while let Ok(Ok(count)) = tokio::time::timeout(Duration::from_millis(500), stream.write(&piece)).await
        {
            taken += count;
            assert!(taken < 2 << 20, "{taken} bytes");
        }
        drop(client);
    }
}
