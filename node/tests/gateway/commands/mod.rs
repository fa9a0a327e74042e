//! The command line against a node that runs: what each command prints and with what it ends.
//! Knows the binary and an address; what a command does to a cluster is told by other commands.

mod tasks;

use std::process::{Command, Output};

use serde_json::Value;

use crate::node::Asked;

async fn ended(node: &Asked, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orc"));
    command.args(["--addr", &node.base, "--color", "never"]).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    output.expect("the binary starts")
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
