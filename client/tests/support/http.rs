//! A node that answers HTTP requests by a script and remembers them. Knows nothing of what they mean.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A node that does not know call channels: every call becomes a request.
const CALLS: &str = "GET /api/v1/calls";

/// What the node does with a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers with status, header lines and body.
    Answer(u16, &'static str, String),
    /// Answers with a body that ends when the connection does.
    Stream(String),
    /// Begins an answer with these header lines and drops the connection amid its body.
    Cut(&'static str, String),
    /// Reads the request and drops the connection.
    Drop,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET /path?query`
    pub line: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

pub struct FakeHttp {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl FakeHttp {
    /// A node that does `acts` one after another, and the last one for ever.
    pub async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let acts = Arc::new(Mutex::new(acts.into_iter().collect::<VecDeque<_>>()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&acts), Arc::clone(&seen)));
            }
        });
        Self { url, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }

    /// One header of each request.
    pub fn header(&self, name: &str) -> Vec<Option<String>> {
        self.requests().iter().map(|request| request.headers.get(name).cloned()).collect()
    }
}

async fn serve(
    stream: TcpStream,
    acts: Arc<Mutex<VecDeque<Act>>>,
    seen: Arc<Mutex<Vec<Request>>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = read(&mut stream).await?;
        if request.line == CALLS {
            stream.write_all(b"HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n").await.ok()?;
            continue;
        }
        seen.lock().expect("no panic").push(request);
        let act = {
            let mut acts = acts.lock().expect("no panic");
            if acts.len() > 1 { acts.pop_front() } else { acts.front().cloned() }
        };
        match act? {
            Act::Answer(status, headers, body) => {
                let answer =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.ok()?;
            }
            Act::Stream(body) => {
                let answer = format!(
                    "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.ok()?;
                return None;
            }
            Act::Cut(headers, body) => {
                let answer = format!("HTTP/1.1 200 X\r\n{headers}\r\n{body}");
                stream.write_all(answer.as_bytes()).await.ok()?;
                return None;
            }
            Act::Drop => return None,
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let line = lines.first()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: BTreeMap<String, String> = lines
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { line, headers, body: String::from_utf8(body).ok()? })
}
