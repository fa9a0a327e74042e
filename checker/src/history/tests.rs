//! Histories survive their way to a file and back, and anything that is none is refused with its line.

use super::*;
use crate::testing::{Folder, compare_and_set, done, read, saw, start, write};

fn of_text(text: &str) -> Result<History> {
    let folder = Folder::new("history");
    folder.write("history.jsonl", text);
    History::read(&[folder.path().join("history.jsonl")])
}

fn recorded() -> Vec<u8> {
    let recorder = Recorder::new(Vec::new());
    let called = |op, at, call: &Call| recorder.called("c1", op, at, ("n2", call)).expect("memory");
    called(1, 10, &write("k", "a"));
    recorder.returned("c1", 1, 20, &done(7, 1)).expect("memory");
    called(2, 30, &read("k"));
    recorder.returned("c1", 2, 40, &saw(7, Some(("a", 1)))).expect("memory");
    called(3, 50, &compare_and_set("k", 1, "b"));
    recorder.returned("c1", 3, 60, &Outcome::Unknown).expect("memory");
    called(4, 70, &start("once"));
    recorder.into_inner()
}

#[test]
fn what_a_recorder_writes_is_read() {
    let text = String::from_utf8(recorded()).expect("JSON");
    let history = of_text(&text).expect("a history");
    let outcomes: Vec<&Outcome> = history.ops.iter().map(|op| &op.outcome).collect();
    assert_eq!(outcomes, [&done(7, 1), &saw(7, Some(("a", 1))), &Outcome::Unknown, &Outcome::Unknown]);
    assert_eq!(history.ops[0].call, write("k", "a"));
    let ends: Vec<Option<u64>> = history.ops.iter().map(Op::returned_at).collect();
    assert_eq!(ends, [Some(20), Some(40), None, None], "an unknown operation may still happen");
    assert_eq!(history.ops[1].called, Place { file: "history.jsonl".into(), line: 3 });
    let mut counts = Counts::default();
    history.count(&mut counts);
    assert_eq!((counts.operations, counts.ok, counts.unknown), (4, 2, 2));
}

#[test]
fn the_form_of_a_line_stays() {
    let text = String::from_utf8(recorded()).expect("JSON");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..2],
        [
            r#"{"process":"c1","op":1,"at":10,"node":"n2","call":{"write":{"key":"k","value":"a"}}}"#,
            r#"{"process":"c1","op":1,"at":20,"outcome":{"ok":{"rev":7,"version":1}}}"#,
        ]
    );
    assert!(
        lines[6].ends_with(r#""call":{"start":{"what":"run","idempotencyKey":"once"}}}"#),
        "{}",
        lines[6]
    );
    assert!(of_text(r#"{"process":"c","op":1,"at":1,"node":"n","call":{"delete":{"key":"k"}}}"#).is_ok());
}

#[test]
fn a_killed_recorder_tears_its_last_line_only() {
    let whole = String::from_utf8(recorded()).expect("JSON");
    let torn = &whole[..whole.len() - 10];
    assert_eq!(of_text(torn).expect("a history").ops.len(), 3, "the last call was never made");
}

#[test]
fn what_is_no_history_is_refused_with_its_line() {
    let called = |op: u64, value: &str| {
        format!(
            "{{\"process\":\"c\",\"op\":{op},\"at\":5,\"node\":\"n\",\"call\":{{\"write\":{{\"key\":\"k\",\"value\":\"{value}\"}}}}}}\n"
        )
    };
    let returned =
        |op: u64, at: u64| format!("{{\"process\":\"c\",\"op\":{op},\"at\":{at},\"outcome\":\"unknown\"}}\n");
    let table = [
        (called(1, "a") + &called(2, "a"), "must be unique"),
        (called(1, "a") + &called(1, "b"), "called a second time"),
        (called(1, "a") + &returned(2, 9), "was not called"),
        (called(1, "a") + &returned(1, 4), "before it was called"),
        (called(1, "a") + "{\"process\":\"c\",\"op\":1,\"at\":4}\n", "either"),
        (called(1, "a") + "{\"process\":\"c\",\"op\":1,\"at\":4,\"oucome\":\"unknown\"}\n", "oucome"),
    ];
    for (text, expected) in table {
        let error = format!("{:#}", of_text(&text).expect_err("it is none"));
        assert!(error.starts_with("history.jsonl:2") && error.contains(expected), "{error}");
    }
}
