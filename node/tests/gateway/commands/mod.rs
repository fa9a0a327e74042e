//! The command line against a node that runs: what each command prints and with what it ends.
//! Knows the binary and an address; what a command does to a cluster is told by other commands.

mod approvals;
mod batches;
mod cluster;
mod components;
mod events;
mod facts;
mod facts_runs;
mod logs;
mod repeats;
mod runs;
mod schedules;
mod snapshots;
mod starts;
mod state;
mod tasks;
mod watches;
mod workflows;

use std::{
    path::Path,
    process::{Output, Stdio},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

use crate::node::{Asked, Node, PATIENCE, server, start};

/// An address at which nobody answers: port 1 of loopback.
const NOBODY: &str = "127.0.0.1:1";

fn spawned(node: &Asked, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orc"));
    command.args(["--addr", &node.base, "--color", "never"]).args(arguments);
    piped(command)
}

fn piped(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.env("LC_ALL", "C.UTF-8").spawn().expect("the binary starts")
}

async fn ended(node: &Asked, arguments: &[&str]) -> Output {
    fed(node, "", arguments).await
}

/// A command at its end that found this on stdin.
async fn fed(node: &Asked, input: &str, arguments: &[&str]) -> Output {
    let mut child = spawned(node, arguments);
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // A command that reads nothing may have closed it.
    stdin.write_all(input.as_bytes()).await.ok();
    drop(stdin);
    let output = timeout(PATIENCE, child.wait_with_output()).await;
    output.unwrap_or_else(|_| panic!("orc {arguments:?} does not end")).expect("it ends")
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

/// What a command prints that finds this on stdin; it must succeed.
async fn orc_fed(node: &Asked, input: &str, arguments: &[&str]) -> String {
    let output = fed(node, input, arguments).await;
    assert!(output.status.success(), "orc {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What a command says of its failure; it must end with this code.
async fn refused(node: &Asked, code: i32, arguments: &[&str]) -> String {
    let output = ended(node, arguments).await;
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "orc {arguments:?}: {told}");
    told
}

/// What a command says beside its result; it must succeed.
async fn beside(node: &Asked, arguments: &[&str]) -> String {
    let output = ended(node, arguments).await;
    assert!(output.status.success(), "orc {arguments:?}: {}", text(&output.stderr));
    text(&output.stderr)
}

/// Expects all these parts in what was told.
#[track_caller]
fn has(told: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(told.contains(part), "{part:?} is not in {told}"));
}

/// The documents of lines of JSON.
#[track_caller]
fn documents(told: &str) -> Vec<Value> {
    let document = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {told}"));
    told.lines().map(document).collect()
}

/// A file with this text in a folder; its path.
fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path: &Path = &folder.path().join(name);
    std::fs::write(path, text).expect("a file");
    path.to_str().expect("UTF-8").to_owned()
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

/// A command under way.
struct UnderWay {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
}

impl UnderWay {
    fn new(node: &Asked, arguments: &[&str]) -> UnderWay {
        UnderWay::of(spawned(node, arguments))
    }

    /// On a terminal, whose screen is stdout; `script` makes it.
    fn on_terminal(node: &Asked, arguments: &[&str]) -> UnderWay {
        let (orc, arguments) = (env!("CARGO_BIN_EXE_orc"), arguments.join(" "));
        let line = format!("stty rows 40 cols 120 && {orc} --addr {} {arguments}", node.base);
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]);
        UnderWay::of(piped(command))
    }

    fn of(mut child: Child) -> UnderWay {
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        UnderWay { child, stdout, stderr }
    }

    /// Waits until a line on stderr has this part.
    async fn says(&mut self, part: &str) {
        wait_for(&mut self.stderr, part).await;
    }

    /// Waits until a line on stdout has this part.
    async fn prints(&mut self, part: &str) {
        wait_for(&mut self.stdout, part).await;
    }

    /// Waits until the screen has shown this part, and gives all that it has shown since.
    async fn shows(&mut self, part: &str) -> String {
        let mut bytes = Vec::new();
        loop {
            // A piece may end within a character.
            let told = String::from_utf8_lossy(&bytes).into_owned();
            if told.contains(part) {
                return told;
            }
            let read = timeout(PATIENCE, self.stdout.read_buf(&mut bytes)).await;
            let read = read.unwrap_or_else(|_| panic!("no {part:?}: {told}")).expect("text");
            assert!(read > 0, "it ended without {part:?}: {told}");
        }
    }

    /// The next line that it prints.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.stdout.read_line(&mut line)).await.expect("a line in time");
        assert!(read.expect("text") > 0, "it ended");
        line.trim_end().to_owned()
    }

    /// The document in the next line.
    async fn json(&mut self) -> Value {
        let line = self.line().await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// As Ctrl-C does, to which it must give way.
    async fn stop(self) {
        self.interrupt().await;
        assert_eq!(self.end().await.0, Some(130), "its code says why it ended");
    }

    /// As Ctrl-C does.
    async fn interrupt(&self) {
        let id = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().await.expect("kill is there").success());
    }

    /// Its exit code, and the rest of what is on stdout and on stderr.
    async fn end(mut self) -> (Option<i32>, String, String) {
        let (mut printed, mut said) = (String::new(), String::new());
        let read = async {
            self.stderr.read_to_string(&mut said).await.expect("text");
            self.stdout.read_to_string(&mut printed).await.expect("text");
            self.child.wait().await.expect("it ends").code()
        };
        let code = timeout(PATIENCE, read).await.expect("it ends in time");
        (code, printed.trim().to_owned(), said)
    }
}

async fn wait_for(lines: &mut (impl AsyncBufRead + Unpin), part: &str) {
    let mut told = String::new();
    while !told.contains(part) {
        let mut line = String::new();
        let read = timeout(PATIENCE, lines.read_line(&mut line)).await;
        let read = read.unwrap_or_else(|_| panic!("no {part:?}: {told}")).expect("text");
        assert!(read > 0, "it ended without {part:?}: {told}");
        told.push_str(&line);
    }
}
