//! The command line against a node that runs: what each command prints and with what it ends.
//! Knows the binary and an address; what a command does to a cluster is told by other commands.

mod cluster;
mod components;
mod events;
mod facts;
mod snapshots;
mod state;
mod tasks;

use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::node::{Asked, Node, PATIENCE, server, start};

/// An address at which nobody answers: port 1 of loopback.
const NOBODY: &str = "127.0.0.1:1";

fn command(node: &Asked, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orc"));
    command.args(["--addr", &node.base, "--color", "never"]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn ended(node: &Asked, arguments: &[&str]) -> Output {
    command(node, arguments).output().await.expect("the binary starts")
}

/// What a command prints that reads this on stdin; it must succeed.
async fn fed(node: &Asked, input: &str, arguments: &[&str]) -> String {
    let mut child = command(node, arguments).stdin(Stdio::piped()).spawn().expect("the binary starts");
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).await.expect("it reads");
    let output = child.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "orc {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// What a command prints; it must succeed.
async fn orc(node: &Asked, arguments: &[&str]) -> String {
    let output = ended(node, arguments).await;
    assert!(output.status.success(), "orc {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The document that a command prints; it must succeed.
async fn json(node: &Asked, arguments: &[&str]) -> Value {
    let told = orc(node, &[arguments, &["-o", "json"]].concat()).await;
    serde_json::from_str(&told).unwrap_or_else(|error| panic!("orc {arguments:?}: {error}: {told}"))
}

/// What a command says of its failure; it must end with this code.
async fn refused(node: &Asked, code: i32, arguments: &[&str]) -> String {
    let output = ended(node, arguments).await;
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "orc {arguments:?}: {told}");
    told
}

/// The value of a state key, as HTTP tells it.
async fn stored(node: &Asked, key: &str) -> Option<Value> {
    let read = node.read(&format!("/state/keys/{key}")).await;
    (read.status == 200).then(|| read.json()["value"].clone())
}

/// A node with nothing in it but what the test puts there.
async fn own() -> Node {
    let mut command = server(1, None);
    command.args(["--bootstrap", "--preset", "testing"]);
    start(command).await
}

/// A command that goes on until it is told to end.
struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn of(node: &Asked, arguments: &[&str]) -> Following {
        let mut child = command(node, arguments).spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("it is piped");
        Following { child, lines: BufReader::new(stdout).lines() }
    }

    /// The next line that it prints.
    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a line in time");
        line.expect("text").expect("it goes on")
    }

    /// The document in the next line.
    async fn json(&mut self) -> Value {
        let line = self.line().await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Ctrl-C, to which it must give way.
    async fn interrupt(mut self) {
        let id = self.child.id().expect("it runs").to_string();
        let told = Command::new("kill").args(["-INT", &id]).status().await.expect("kill is there");
        assert!(told.success(), "it still runs");
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends in time");
        assert_eq!(status.expect("it ends").code(), Some(130), "its code says why it ended");
    }
}
