//! A node as a process of its own, shared by the tests of this binary, and short ways to ask it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use reqwest::{Method, RequestBuilder, Response, header::HeaderMap};
use serde_json::Value;
use tokio::sync::OnceCell;

/// How long anything may take before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A node that ends when this is dropped, or with the test's process.
pub struct Node {
    pub address: String,
    pub child: Child,
    pub _stdin: Option<ChildStdin>,
}

/// The node that the tests share; it has no data of its own, and short limits for what tests wait for.
pub async fn shared() -> Asked {
    static NODE: OnceCell<Node> = OnceCell::const_new();
    let node = NODE
        .get_or_init(|| async {
            let mut command = server(1, None);
            command.args(["--bootstrap", "--preset", "testing", "--set", "limits.header-timeout=1s"]);
            command.env("ORC_SECRET_TEST_HOOK", "s3cret");
            start(command).await
        })
        .await;
    node.ask()
}

/// The command line of a node on free ports.
pub fn server(id: u64, data: Option<&Path>) -> Command {
    server_at("127.0.0.1:0", id, data)
}

/// The command line of a node that clients reach at an address.
pub fn server_at(address: &str, id: u64, data: Option<&Path>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orc"));
    command.args(["server", "--node-id", &id.to_string(), "--exit-with-stdin"]);
    command.args(["--listen", address, "--peer-listen", "127.0.0.1:0"]);
    // Whether the machine that runs the tests has little room is its own affair.
    command.args(
        ["disk.low-percent=0", "disk.low-bytes=0", "disk.full-percent=0"].map(|text| format!("--set={text}")),
    );
    if let Some(data) = data {
        command.arg("--data-dir").arg(data);
    }
    command.env_remove("RUST_LOG").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Where coverage is written, for a process that is given nothing else.
pub fn coverage() -> impl Iterator<Item = (String, String)> {
    std::env::vars().filter(|(name, _)| name == "LLVM_PROFILE_FILE")
}

/// Starts a node and waits until it is ready.
pub async fn start(mut command: Command) -> Node {
    let mut child = command.spawn().expect("the binary starts");
    let stdin = child.stdin.take();
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("stdout is piped"))
        .read_line(&mut line)
        .expect("it says where it is");
    let address = line
        .split_once("http://")
        .and_then(|(_, rest)| rest.split_once(','))
        .expect("an address")
        .0
        .to_owned();
    let node = Node { address, child, _stdin: stdin };
    let asked = node.ask();
    until(|| async { (asked.get("/readyz").await.status() == 200).then_some(()) }).await;
    node
}

impl Node {
    /// A way to ask it.
    pub fn ask(&self) -> Asked {
        Asked::at(&self.address)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until there is something.
pub async fn until<T, F: Future<Output = Option<T>>>(look: impl Fn() -> F) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("it happens in time")
}

/// A way to ask a node.
#[derive(Clone)]
pub struct Asked {
    pub base: String,
    pub http: reqwest::Client,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(response: Response) -> Answer {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, text: response.text().await.expect("a whole answer") }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// Expects a problem with this status and code, and gives it.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!((self.status, problem["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["requestId"], self.header("x-request-id"));
        problem
    }

    /// Expects success with this status, and gives the body.
    #[track_caller]
    pub fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }
}

impl Asked {
    pub fn at(address: &str) -> Asked {
        Asked { base: format!("http://{address}"), http: reqwest::Client::new() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).timeout(PATIENCE)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.expect("an answer")
    }

    /// `GET` below `/api/v1`.
    pub async fn read(&self, path: &str) -> Answer {
        Answer::of(self.get(&format!("/api/v1{path}")).await).await
    }

    /// A call below `/api/v1` with a JSON body.
    pub async fn call(&self, method: Method, path: &str, body: &str) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    /// A call below `/api/v1` with a JSON body and headers.
    pub async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.request(method, &format!("/api/v1{path}"));
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.expect("an answer")).await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.call(Method::POST, path, body).await
    }

    pub async fn put(&self, path: &str, body: &str) -> Answer {
        self.call(Method::PUT, path, body).await
    }
}
