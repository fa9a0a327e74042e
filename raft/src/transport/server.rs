//! The listening side: takes connections up to a cap, checks the greeting, hands requests to the service
//! in the order of their arrival and writes the answers as they come.
//! Knows nothing of what the service does.

use std::{collections::BTreeSet, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use orc_runtime::net::{TcpListener, TcpStream};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::{JoinHandle, JoinSet},
};

use super::{
    Hello, Local, Refusal,
    frame::{Frame, Kind, flush, gather},
    hello::{listen, reply},
    message::{Request, Response, decode, encode},
    socket::{Reader, Writer, split},
};

/// Connections taken at once: three of each peer, and a few that are being opened or have just broken.
const CONNECTIONS_MAX: usize = 256;
/// Requests of one connection that are being worked on; more are not read until an answer is out.
const IN_WORK_MAX: usize = 1024;
const COALESCE: usize = 64;
/// Refusals that the log names once.
const SAID_MAX: usize = 64;

/// A boxed future, as a service gives it.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the requests of other nodes are for; tests give their own.
pub trait Service: Send + Sync + 'static {
    /// Whether what is known of the members allows this caller.
    fn admit(&self, hello: &Hello) -> Result<(), Refusal>;
    /// Takes a request in the order of its arrival; what takes long goes into the future.
    fn serve(&self, from: &Hello, request: Request) -> BoxFuture<Response>;
}

/// A port with a service behind it; dropping it closes every connection.
pub struct Server {
    task: JoinHandle<()>,
}

impl Server {
    /// Starts to serve on a socket that is already bound.
    pub fn start(listener: TcpListener, local: Local, service: Arc<dyn Service>) -> Server {
        let door = Arc::new(Door { local, service, said: Mutex::default() });
        Server { task: tokio::spawn(accept(listener, door)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Door {
    local: Local,
    service: Arc<dyn Service>,
    said: Mutex<BTreeSet<(u64, Refusal)>>,
}

async fn accept(listener: TcpListener, door: Arc<Door>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let place = places.clone().try_acquire_owned().ok();
                    connections.spawn(take(stream, address, door.clone(), place));
                }
                Err(error) => {
                    tracing::warn!(%error, "a peer connection could not be taken");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn take(stream: TcpStream, address: SocketAddr, door: Arc<Door>, place: Option<OwnedSemaphorePermit>) {
    if place.is_none() {
        tracing::debug!(%address, "too many peer connections");
        return;
    }
    if let Err(error) = converse(stream, &door).await {
        tracing::debug!(%address, %error, "peer connection ended");
    }
}

async fn converse(stream: TcpStream, door: &Door) -> io::Result<()> {
    let (mut reader, mut writer) = split(stream)?;
    let greeting = listen(&mut reader).await?;
    let verdict = greeting.and_then(|hello| {
        hello.check(door.local).and_then(|()| door.service.admit(&hello)).inspect_err(|refusal| {
            let mut said = door.said.lock();
            if said.len() < SAID_MAX && said.insert((hello.node, *refusal)) {
                tracing::warn!(peer = hello.node, class = ?hello.class, ?refusal, "peer refused");
            }
        })?;
        Ok(hello)
    });
    reply(&mut writer, verdict.map(|_| ())).await?;
    let Ok(hello) = verdict else { return Ok(()) };
    let (answers, outgoing) = mpsc::channel(IN_WORK_MAX);
    tokio::select! {
        end = read_requests(reader, &hello, door, answers) => end,
        end = write_answers(writer, outgoing) => end,
    }
}

async fn read_requests(
    mut reader: Reader,
    hello: &Hello,
    door: &Door,
    answers: mpsc::Sender<Frame>,
) -> io::Result<()> {
    loop {
        let frame = Frame::read(&mut reader).await?;
        let place = answers.clone().reserve_owned().await.map_err(|_| io::ErrorKind::BrokenPipe)?;
        let id = frame.id;
        match frame.kind {
            Kind::Ping => {
                place.send(Frame { kind: Kind::Pong, id, body: Bytes::new() });
            }
            Kind::Request => {
                let request: Option<Request> = decode(&frame.body);
                let Some(request) = request.filter(|request| request.class() == hello.class) else {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a request that cannot be read"));
                };
                let work = door.service.serve(hello, request);
                tokio::spawn(async move {
                    let body = encode(&work.await);
                    place.send(Frame { kind: Kind::Response, id, body });
                });
            }
            Kind::Response | Kind::Pong => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer to nothing"));
            }
        }
    }
}

async fn write_answers(mut writer: Writer, mut answers: mpsc::Receiver<Frame>) -> io::Result<()> {
    let mut batch = Vec::with_capacity(COALESCE);
    let (mut buffer, mut busy) = (BytesMut::new(), false);
    while gather(&mut answers, &mut batch, COALESCE, &mut busy).await > 0 {
        for frame in batch.drain(..) {
            frame.put(&mut buffer);
        }
        flush(&mut writer, &mut buffer).await?;
    }
    Ok(())
}
