//! `GET /components/{id}/connect`: frames and JSON of a component's session.
//! The coordinator owns the session; results go straight to the proposer (`session_results`). Nothing waits unbounded.

use std::{sync::Arc, time::Duration};

use futures::{SinkExt, StreamExt, stream::SplitSink};
use orc_actors::{ConnectError, Goodbye, Order, SessionHandle, SessionLink};
use orc_client::wire::{
    self,
    session::{
        AttemptRef, Bye, ByeReason, ComponentMessage, Hello, NodeMessage, Welcome, encode_frame, frame_lines,
    },
};
use orc_domain::{BadId, ComponentId, HeldAttempt, RegisterComponent, Token, Unavailable};
use tokio::{sync::mpsc, time::timeout};
use warp::{
    Reply as _,
    http::header,
    ws::{Message, WebSocket, Ws},
};

use super::{
    Gateway,
    call::Call,
    components::registration,
    listen::Slot,
    logs_take::Intake,
    messages::component_reply,
    poll::{cancel_order, durable_order, message_order},
    problem::Refusal,
    reply::{Answered, Reply},
    session_results::Results,
};

/// The longest frame a component may send.
const FRAME_MAX: usize = 1024 * 1024;
/// Time for the first message.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// A component that takes nothing for this long is cut.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// Messages in one frame, and after how many bytes it is closed.
const COALESCE_MAX: usize = 64;
const FRAME_BYTES: usize = 256 * 1024;
/// Orders that may wait beyond a task and a cancel for each slot.
const ORDERS_SPARE: usize = 256;
/// Answers that may wait for the writer.
const ANSWERS_MAX: usize = 256;

/// Turns the connection into a session.
pub async fn connect(gateway: Arc<Gateway>, call: Call) -> Answered {
    let id = call.component_id()?;
    gateway.hands()?;
    let upgrade = upgrade_of(call.upgrade, "scripts use POST /components/{id}/poll")?;
    let slot = call.slot;
    let upgrade = upgrade.max_frame_size(FRAME_MAX).max_message_size(FRAME_MAX);
    let response = upgrade.on_upgrade(move |socket| serve(gateway, id, socket, slot));
    Ok(Reply::ready(response.into_response()))
}

/// What is needed to turn the connection into a WebSocket; `otherwise` says how to do without.
pub fn upgrade_of(upgrade: Option<Ws>, otherwise: &str) -> Result<Ws, Refusal> {
    let missing = || {
        let refusal = Refusal::bad_request("this is a WebSocket: ask for an upgrade").status(426);
        refusal.header(header::UPGRADE, "websocket").hint(otherwise)
    };
    upgrade.ok_or_else(missing)
}

type Sink = SplitSink<WebSocket, Message>;

/// A session from hello to bye; the connection's place is held as long.
async fn serve(gateway: Arc<Gateway>, id: ComponentId, socket: WebSocket, slot: Option<Arc<Slot>>) {
    let (sink, mut frames) = socket.split();
    let mut writer = Writer { sink };
    let first = match timeout(HELLO_WITHIN, next_text(&mut frames)).await {
        Ok(Some(text)) => text,
        Ok(None) => return,
        Err(_) => return writer.bye(ByeReason::Protocol).await,
    };
    let mut lines = frame_lines(&first);
    let hello = match lines.next().map(ComponentMessage::from_line) {
        Some(Ok(ComponentMessage::Hello(hello))) => hello,
        _ => return writer.bye(ByeReason::Protocol).await,
    };
    let session = match open(&gateway, &id, hello).await {
        Ok(session) => session,
        Err(reason) => return writer.bye(reason).await,
    };
    let link = session.link();
    if writer.send(&[welcome(&gateway, &id, &link)]).await.is_err() {
        return;
    }
    let (answers, answered) = mpsc::channel(ANSWERS_MAX);
    let results = Results::new(gateway.clone(), answers.clone());
    let mut reader = Reader { link, results, answers, logs: Intake::new(gateway.clone()) };
    let read = async {
        for line in lines {
            reader.take(line).await?;
        }
        while let Some(text) = next_text(&mut frames).await {
            for line in frame_lines(&text) {
                reader.take(line).await?;
            }
        }
        Ok::<(), Broken>(())
    };
    tokio::select! {
        broken = read => if broken.is_err() { writer.bye(ByeReason::Protocol).await },
        () = writer.run(&gateway, session, answered) => {}
    }
    drop(slot);
}

/// The component broke the protocol.
struct Broken;

async fn next_text(
    frames: &mut (impl StreamExt<Item = Result<Message, warp::Error>> + Unpin),
) -> Option<String> {
    loop {
        let message = frames.next().await?.ok()?;
        if message.is_close() {
            return None;
        }
        // Pings are answered by the library; binary frames mean nothing.
        if message.is_text() {
            return Some(message.to_str().ok()?.to_owned());
        }
    }
}

async fn open(gateway: &Gateway, id: &ComponentId, hello: Hello) -> Result<SessionHandle, ByeReason> {
    let held = held(&hello.held).map_err(|Broken| ByeReason::Protocol)?;
    let info = of_hello(id.clone(), hello).map_err(|refusal| {
        tracing::info!(component = %id, detail = refusal.detail(), "a hello is refused");
        ByeReason::Protocol
    })?;
    let orders_max = 2 * info.slots as usize + ORDERS_SPARE;
    let coordinator = match gateway.hands() {
        Ok(hands) => hands.coordinator.clone(),
        Err(_) => return Err(ByeReason::Shutdown),
    };
    coordinator.connect(info, held, orders_max).await.map_err(|error| {
        tracing::info!(component = %id, %error, "a component is not connected");
        match error {
            ConnectError::Rejected(_) => ByeReason::Protocol,
            ConnectError::Unavailable(Unavailable::ShuttingDown) => ByeReason::Shutdown,
            ConnectError::Unavailable(_) => ByeReason::from("unavailable"),
        }
    })
}

fn held(attempts: &[AttemptRef]) -> Result<Vec<HeldAttempt>, Broken> {
    let attempt = |attempt: &AttemptRef| {
        let task = attempt.task_id.parse().map_err(|_: BadId| Broken)?;
        Ok(HeldAttempt { task, token: Token(attempt.token) })
    };
    attempts.iter().map(attempt).collect()
}

fn of_hello(id: ComponentId, hello: Hello) -> Result<RegisterComponent, Refusal> {
    let given = |text: String| (!text.is_empty()).then_some(text);
    let body = wire::RegisterComponent {
        name: given(hello.name),
        kind: given(hello.kind),
        version: given(hello.version),
        capabilities: hello.capabilities,
        labels: hello.labels,
        slots: Some(hello.slots),
        ttl: hello.ttl,
    };
    registration(id, body)
}

fn welcome(gateway: &Gateway, id: &ComponentId, link: &SessionLink) -> NodeMessage {
    let interval = gateway.cluster.config().heartbeat_interval.as_millis();
    NodeMessage::Welcome(Welcome {
        component_id: id.to_string(),
        session: link.id().0.to_string(),
        node: gateway.cluster.node().to_string(),
        heartbeat_interval: u64::try_from(interval).unwrap_or(u64::MAX),
    })
}

/// What the component sends.
struct Reader {
    link: SessionLink,
    results: Results,
    answers: mpsc::Sender<NodeMessage>,
    logs: Intake,
}

impl Reader {
    /// Takes one message; waits while too many results are under way.
    async fn take(&mut self, line: &str) -> Result<(), Broken> {
        self.link.heartbeat();
        match ComponentMessage::from_line(line).map_err(|_| Broken)? {
            ComponentMessage::Hello(_) => return Err(Broken),
            ComponentMessage::Complete(complete) => self.results.complete(complete).await,
            ComponentMessage::Fail(fail) => self.results.fail(fail).await,
            ComponentMessage::Log(log) => self.logs.take(log),
            ComponentMessage::Heartbeat(beat) => {
                held(&beat.attempts)?.iter().for_each(|attempt| self.link.attempt_heartbeat(attempt));
            }
            ComponentMessage::Unknown(_) => {}
            ComponentMessage::Reply(reply) => {
                let said = component_reply(reply.payload.as_deref().map(|raw| raw.get()), reply.error);
                let told = reply.message_id.parse().map(|message| self.link.reply(message, said));
                if !matches!(told, Ok(Ok(()))) {
                    tracing::debug!(component = %self.link.component(), "a reply came too late");
                }
            }
            ComponentMessage::Ack(ack) => self.results.acknowledge(ack).await,
            ComponentMessage::Nack(nack) => self.results.give_back(nack).await,
            ComponentMessage::Drain(_) => {
                let (link, answers) = (self.link.clone(), self.answers.clone());
                tokio::spawn(async move { drain(&link, &answers).await });
            }
        }
        Ok(())
    }
}

/// Drains until somebody decides it or the session is over.
async fn drain(link: &SessionLink, answers: &mpsc::Sender<NodeMessage>) {
    while !answers.is_closed() {
        match link.drain().await {
            Ok(_) | Err(Unavailable::ShuttingDown) => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// What the component is told.
struct Writer {
    sink: Sink,
}

/// The connection is gone, or the component does not read.
struct Gone;

impl Writer {
    /// Sends orders and answers, those that wait in one frame, until the session is over.
    async fn run(
        &mut self,
        gateway: &Gateway,
        mut session: SessionHandle,
        mut answers: mpsc::Receiver<NodeMessage>,
    ) {
        let mut busy = false;
        loop {
            let first = tokio::select! {
                order = session.next() => match order {
                    Some(order) => told(gateway, order),
                    None => return,
                },
                Some(answer) = answers.recv() => Some(answer),
            };
            if busy {
                // One record often answers and orders many: whoever is about to say something goes first.
                tokio::task::yield_now().await;
            }
            let mut frame: Vec<NodeMessage> = first.into_iter().collect();
            let mut over = frame.iter().any(is_bye);
            while !over && frame.len() < COALESCE_MAX && size(&frame) < FRAME_BYTES {
                let next = session.try_next().and_then(|order| told(gateway, order));
                let Some(next) = next.or_else(|| answers.try_recv().ok()) else { break };
                over = is_bye(&next);
                frame.push(next);
            }
            busy = frame.len() > 1;
            if self.send(&frame).await.is_err() {
                tracing::debug!(component = %session.link().component(), "a component takes nothing");
                return;
            }
            if over {
                // Whoever does not take the close frame is gone already.
                let _ = timeout(WRITE_PATIENCE, self.sink.close()).await;
                return;
            }
        }
    }

    async fn send(&mut self, messages: &[NodeMessage]) -> Result<(), Gone> {
        if messages.is_empty() {
            return Ok(());
        }
        let sent = timeout(WRITE_PATIENCE, self.sink.send(Message::text(encode_frame(messages)))).await;
        if matches!(sent, Ok(Ok(()))) { Ok(()) } else { Err(Gone) }
    }

    /// Ends the session with a reason.
    async fn bye(&mut self, reason: ByeReason) {
        if self.send(&[NodeMessage::Bye(Bye { reason })]).await.is_ok() {
            // Whoever does not take the close frame is gone already.
            let _ = timeout(WRITE_PATIENCE, self.sink.close()).await;
        }
    }
}

fn is_bye(message: &NodeMessage) -> bool {
    matches!(message, NodeMessage::Bye(_))
}

/// Bytes of payload in a frame, roughly.
fn size(frame: &[NodeMessage]) -> usize {
    let payload = |message: &NodeMessage| {
        if let NodeMessage::Task(order) = message {
            return order.payload.get().len();
        }
        match message {
            NodeMessage::Message(order) => order.payload.get().len(),
            NodeMessage::Durable(order) => order.payload.get().len(),
            _ => 0,
        }
    };
    frame.iter().map(|message| 256 + payload(message)).sum()
}

/// An order as the component reads it; none for an attempt that has ended meanwhile.
fn told(gateway: &Gateway, order: Order) -> Option<NodeMessage> {
    Some(match order {
        Order::Task(delivery) => NodeMessage::Task(gateway.task_order(&delivery)?),
        Order::Cancel(cancel) => NodeMessage::Cancel(cancel_order(&cancel)),
        Order::Message(message) => NodeMessage::Message(message_order(&message)),
        Order::Durable(message) => NodeMessage::Durable(durable_order(&message)?),
        Order::Bye(why) => NodeMessage::Bye(Bye {
            reason: match why {
                Goodbye::Superseded => ByeReason::Superseded,
                Goodbye::Shutdown => ByeReason::Shutdown,
                Goodbye::Drained => ByeReason::Drained,
                Goodbye::Deregistered => ByeReason::from(why.name()),
            },
        }),
    })
}
