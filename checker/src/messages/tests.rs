//! Messages that come as they should pass; each mistake of the cluster is caught and named after what it does.

use super::*;
use crate::{
    receipts,
    testing::{Folder, Logged, REJECTED, began, history, op, send},
};

const GOOD: &str = r#"
3 message.queued {"messageId":"msg_1","componentId":"c","number":1,"messageType":"n","payload":"a"}
4 message.queued {"messageId":"msg_2","componentId":"c","number":2,"messageType":"n","payload":"b"}
5 message.delivered {"messageId":"msg_1","componentId":"c","number":1,"token":7}
6 message.acknowledged {"messageId":"msg_1","componentId":"c","number":1}
7 message.acknowledged {"messageId":"msg_2","componentId":"c","number":2}
"#;

fn ops() -> Vec<Op> {
    let one = op("s", (10, 20), send("c", "a"), began(3, "msg_1"));
    vec![one, op("s", (30, 40), send("c", "b"), began(4, "msg_2"))]
}

fn judged(log: &str, ops: Vec<Op>, got: &[&str]) -> Findings {
    let (mut findings, folder) = (Findings::default(), Folder::new("messages"));
    let line = |mark: &&str| {
        format!("{{\"component\":\"c\",\"at\":50,\"got\":{{\"message\":{{\"mark\":\"{mark}\"}}}}}}\n")
    };
    folder.write("receipts.jsonl", &got.iter().map(line).collect::<String>());
    let receipts = receipts::read(&[folder.path().join("receipts.jsonl")]).expect("receipts");
    let log = Logged::events(log).log();
    check((&history(ops), &receipts), (&log, true), &mut findings).expect("events");
    findings
}

fn caught(log: &str, ops: Vec<Op>, got: &[&str], rule: Rule) {
    let findings = judged(log, ops, got);
    assert_eq!(findings.broken(), [(rule.promise, rule.name)], "{}", findings.report());
}

#[test]
fn messages_that_come_in_order_pass_and_so_do_those_that_come_again() {
    let findings = judged(GOOD, ops(), &["a", "b", "a", "b"]);
    assert_eq!(findings.broken(), [], "{}", findings.report());
    assert_eq!((findings.counts.messages, findings.counts.redelivered), (2, 2));
}

#[test]
fn p1_a_message_that_is_acknowledged_and_gone() {
    let without: String =
        GOOD.lines().filter(|line| !line.contains("msg_2")).map(|line| format!("{line}\n")).collect();
    caught(&without, ops(), &["a"], LOST_MESSAGE);
    let elsewhere = GOOD.replace("4 message.queued", "5 message.queued");
    let elsewhere = elsewhere.replace("5 message.delivered", "5 message.ready");
    caught(&elsewhere, ops(), &["a", "b"], LOST_MESSAGE);
}

#[test]
fn p3_a_rejected_message_appears() {
    let mut ops = ops();
    ops[1].outcome = REJECTED;
    caught(GOOD, ops, &["a", "b"], REJECTED_MESSAGE);
}

#[test]
fn p4_a_message_is_there_twice() {
    let twice = format!(
        "{GOOD}8 message.queued {{\"messageId\":\"msg_3\",\"componentId\":\"c\",\"number\":3,\"payload\":\"b\"}}\n"
    );
    caught(&twice, ops(), &["a", "b", "b"], DOUBLED_MESSAGE);
}

#[test]
fn p18_a_message_that_its_component_never_got() {
    caught(GOOD, ops(), &["a"], NEVER_DELIVERED);
    let left = GOOD.replace("7 message.acknowledged", "7 message.returned");
    caught(&left, ops(), &["a"], NEVER_DELIVERED);
    let given_up = GOOD.replace("7 message.acknowledged", "7 message.deadLettered");
    assert_eq!(judged(&given_up, ops(), &["a"]).broken(), [], "it was given up with a reason");
}

#[test]
fn p18_messages_out_of_order() {
    caught(GOOD, ops(), &["b", "a"], OUT_OF_ORDER);
    caught(GOOD, ops(), &["b", "a", "b"], OUT_OF_ORDER);
}

#[test]
fn p18_a_message_that_nobody_sent() {
    caught(GOOD, ops(), &["a", "b", "c"], NEVER_SENT);
}
