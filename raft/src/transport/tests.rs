//! Two ends of the transport with a small service between them.
//! Knows nothing of consensus.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    sync::Semaphore,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{
    BoxFuture, CallError, Hello, Local, Peers, Refusal, Server, Service,
    message::{Request, Response},
};

const PATIENCE: Duration = Duration::from_secs(20);
const US: u64 = 1;
const THEM: u64 = 2;

fn local(node: u64) -> Local {
    Local { node, incarnation: Uuid::from_u128(u128::from(node)), cluster: Some(Uuid::from_u128(99)) }
}

/// Echoes; a request `slow` waits until the gate has a permit.
#[derive(Default)]
struct Echo {
    served: AtomicUsize,
    gate: Option<Arc<Semaphore>>,
}

impl Service for Echo {
    fn admit(&self, hello: &Hello) -> Result<(), Refusal> {
        if hello.node == US { Ok(()) } else { Err(Refusal::WrongIncarnation) }
    }

    fn serve(&self, _from: &Hello, request: Request) -> BoxFuture<Response> {
        self.served.fetch_add(1, Ordering::Relaxed);
        let gate = self.gate.clone();
        Box::pin(async move {
            match (request, gate) {
                (Request::Ask(text), Some(gate)) if text == "slow" => {
                    gate.acquire().await.unwrap().forget();
                    Response::Ask(text)
                }
                (Request::Ask(text), _) => Response::Ask(text),
                (request, _) => Response::Unable(format!("{:?} is not for the echo", request.class())),
            }
        })
    }
}

async fn served_by(service: Arc<Echo>) -> (Server, Peers, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::start(listener, local(THEM), service);
    let peers = Peers::new(local(US));
    peers.place(THEM, &address);
    (server, peers, address)
}

fn ask(text: &'static str) -> Request {
    Request::Ask(Bytes::from_static(text.as_bytes()))
}

async fn echo(peers: &Peers, text: &'static str) -> Result<String, CallError> {
    match peers.call(THEM, &ask(text), PATIENCE).await? {
        Response::Ask(answer) => Ok(String::from_utf8(answer.into()).unwrap()),
        other => panic!("not an echo: {other:?}"),
    }
}

#[tokio::test]
async fn answers_find_their_requests_in_any_order() {
    let gate = Arc::new(Semaphore::new(0));
    let service = Arc::new(Echo { gate: Some(gate.clone()), ..Echo::default() });
    let (_server, peers, _) = served_by(service).await;
    let slow = peers.send(THEM, &ask("slow")).unwrap();
    assert_eq!(echo(&peers, "quick").await, Ok("quick".into()));
    assert!(peers.silent_for(THEM).is_some_and(|silent| silent < PATIENCE));
    // Longer than a silent peer is borne: pings tell that somebody is there.
    sleep(Duration::from_secs(4)).await;
    gate.add_permits(1);
    assert!(matches!(slow.within(PATIENCE).await, Ok(Response::Ask(text)) if text == "slow"));
    assert!(peers.ping(THEM, PATIENCE).await);
}

#[tokio::test]
async fn what_was_not_sent_is_told_from_what_may_have_arrived() {
    let service = Arc::new(Echo { gate: Some(Arc::new(Semaphore::new(0))), ..Echo::default() });
    let (server, peers, address) = served_by(service.clone()).await;
    let lost = peers.send(THEM, &ask("slow")).unwrap();
    assert_eq!(echo(&peers, "first").await, Ok("first".into()));
    drop(server);
    assert_eq!(lost.within(PATIENCE).await.err(), Some(CallError::Lost { node: THEM }));
    let refused = echo(&peers, "second").await.unwrap_err();
    assert!(refused.is_certainly_not_sent(), "{refused}");
    assert!(echo(&Peers::new(local(US)), "third").await.unwrap_err().is_certainly_not_sent());

    let listener = TcpListener::bind(&address).await.unwrap();
    let _server = Server::start(listener, local(THEM), service);
    let until = Instant::now() + PATIENCE;
    while echo(&peers, "again").await.is_err() {
        assert!(Instant::now() < until, "the connection is opened again");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_peer_that_takes_requests_and_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peers = Peers::new(local(US));
    peers.place(THEM, &listener.local_addr().unwrap().to_string());
    let silent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut reader, mut writer) = stream.split();
        super::hello::listen(&mut reader).await.unwrap().unwrap();
        super::hello::reply(&mut writer, Ok(())).await.unwrap();
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).await.unwrap();
        rest.len()
    });
    assert_eq!(echo(&peers, "hello?").await, Err(CallError::Lost { node: THEM }));
    assert!(silent.await.unwrap() > 0, "the connection was closed after requests and pings");
}

#[tokio::test]
async fn refusals_are_typed_and_requests_stay_in_their_class() {
    let service = Arc::new(Echo::default());
    let (_server, _, address) = served_by(service.clone()).await;
    let refused = async |local: Local, node: u64| {
        let peers = Peers::new(local);
        peers.place(node, &address);
        match peers.call(node, &ask("x"), PATIENCE).await {
            Err(CallError::Refused { refusal, .. }) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    };
    assert_eq!(refused(local(3), THEM).await, Refusal::WrongIncarnation);
    assert_eq!(refused(local(US), 5).await, Refusal::WrongNode(THEM));
    let foreign = Local { cluster: Some(Uuid::nil()), ..local(US) };
    assert_eq!(refused(foreign, THEM).await, Refusal::ForeignCluster);
    assert_eq!(service.served.load(Ordering::Relaxed), 0, "nobody who was refused is served");
    let long = Request::Ask(Bytes::from(vec![0; super::FRAME_MAX + 1]));
    let peers = Peers::new(local(US));
    peers.place(THEM, &address);
    assert!(matches!(peers.send(THEM, &long), Err(CallError::TooLong { .. })));
}
