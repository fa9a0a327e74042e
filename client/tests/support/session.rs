//! A node that speaks the component protocol as a test tells it to. Knows nothing of assignment or of a log.

use std::collections::VecDeque;

use futures::{SinkExt, StreamExt};
use orc_client::wire::session::{ComponentMessage, Hello, frame_lines};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::soon;

pub struct FakeNode {
    pub url: String,
    listener: TcpListener,
}

pub struct FakeSession {
    pub hello: Hello,
    socket: WebSocketStream<TcpStream>,
    lines: VecDeque<String>,
}

impl FakeNode {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        Self { url, listener }
    }

    /// Waits for a component, takes its hello and says welcome.
    pub async fn welcome(&self) -> FakeSession {
        let accept = async {
            let (stream, _) = self.listener.accept().await.expect("accepts");
            accept_async(stream).await.expect("upgrades")
        };
        let socket = soon("a session", accept).await;
        let empty = Hello {
            name: String::new(),
            kind: String::new(),
            version: String::new(),
            capabilities: Vec::new(),
            labels: std::collections::BTreeMap::new(),
            slots: 0,
            held: Vec::new(),
            ttl: None,
        };
        let mut session = FakeSession { hello: empty, socket, lines: VecDeque::new() };
        match session.next().await {
            Some(ComponentMessage::Hello(hello)) => session.hello = hello,
            other => panic!("no hello but {other:?}"),
        }
        let welcome =
            r#"{"type":"welcome","componentId":"w","session":"s","node":"n","heartbeatInterval":15000}"#;
        session.send(welcome).await;
        session
    }
}

impl FakeSession {
    /// Sends one frame.
    pub async fn send(&mut self, frame: &str) {
        self.socket.send(Message::text(frame)).await.expect("the component listens");
    }

    pub async fn send_task(&mut self, task: &str, token: u64, action: &str, payload: &str) {
        let order = format!(
            r#"{{"type":"task","taskId":"{task}","token":{token},"attempt":1,"attemptsMax":3,"action":"{action}","payload":{payload}}}"#
        );
        self.send(&order).await;
    }

    pub async fn accept(&mut self, task: &str, token: u64) {
        self.send(&format!(r#"{{"type":"accepted","taskId":"{task}","token":{token}}}"#)).await;
    }

    /// The next message as JSON; heartbeats are passed over. `None`: the component closed the session.
    pub async fn line(&mut self) -> Option<String> {
        loop {
            match self.lines.pop_front() {
                Some(line) if line.contains("\"heartbeat\"") => continue,
                Some(line) => return Some(line),
                None => {}
            }
            match soon("a message", self.socket.next()).await? {
                Ok(Message::Text(text)) => self.lines.extend(frame_lines(&text).map(str::to_owned)),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub async fn next(&mut self) -> Option<ComponentMessage> {
        self.line()
            .await
            .map(|line| ComponentMessage::from_line(&line).expect("the component speaks the protocol"))
    }
}
