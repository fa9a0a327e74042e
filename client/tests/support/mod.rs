//! Fake nodes for the client's tests: one that speaks HTTP by a script, one that speaks the component protocol.
//! Knows no rules: each test says what the node answers.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod http;
pub mod session;

use std::time::Duration;

/// Nothing in these tests takes longer; whoever waits for something that never comes fails here.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), work).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
