//! Streams that keep the promise pass; each that does not is caught and named after what it does.

use super::*;
use crate::testing::{Folder, Logged};

fn logged() -> Logged {
    let mut logged = Logged::default();
    logged.write(5, "a.x", 1, "1").write(6, "b", 1, "2").write(6, "a.y", 1, "3");
    logged.event(7, "workflow.started", r#"{"runId":"run_1"}"#);
    logged.write(8, "a.x", 2, "4");
    logged
}

/// A watch: `open ...`, numbers of events, `bookmark n`, `reset n`, or lines as they are.
fn check_watch(lines: &[&str], broken: &[(u8, &str)]) {
    check_until(false, lines, broken);
}

fn check_until(to_the_end: bool, lines: &[&str], broken: &[(u8, &str)]) {
    let (folder, logged) = (Folder::new("watch"), logged());
    let line = |line: &&str| match line.split_once(' ') {
        Some(("open", what)) => format!("{{\"open\":{{\"node\":\"n1\"{what}}}}}"),
        Some((word @ ("bookmark" | "reset"), number)) => format!("{{\"{word}\":{number}}}"),
        _ => match line.parse::<usize>() {
            Ok(number) => format!("{{\"event\":{}}}", logged.lines[number - 1]),
            Err(_) => (*line).to_owned(),
        },
    };
    folder.write("watch-1.jsonl", &lines.iter().map(line).collect::<Vec<_>>().join("\n"));
    let mut findings = Findings::default();
    let path = folder.path().join("watch-1.jsonl");
    check(&path, (&logged.log(), to_the_end), &mut findings).expect("a watch");
    assert_eq!(findings.broken(), broken, "{}", findings.report());
}

fn caught(lines: &[&str], rule: Rule) {
    check_watch(lines, &[(17, rule.name)]);
}

const ALL: &str = "open ,\"since\":0";
const KEYS: &str = r#"open ,"since":0,"key":"a.*""#;

#[test]
fn good_streams_pass() {
    check_watch(&[ALL, "1", "2", "3", "4", "bookmark 4", "5", "bookmark 5", "bookmark 5"], &[]);
    check_watch(&[KEYS, "1", "3", "bookmark 4", "5"], &[]);
    check_watch(&[r#"open ,"rev":5"#, "2", "3"], &[]);
    check_watch(&[r#"open ,"rev":0"#, "1"], &[]);
    check_watch(&[r#"open ,"rev":7"#, "bookmark 2", "bookmark 4", "5"], &[]);
    check_watch(&["open ", "3", "4"], &[]);
    check_watch(&[r#"open ,"since":0,"types":["workflow.*"]"#, "4", "bookmark 5"], &[]);
    check_watch(&[r#"open ,"since":0,"types":["*"],"key":"b""#, "2", "4"], &[]);
    check_watch(&[KEYS, "1", "reset 3", "3", "bookmark 4", "5"], &[]);
}

#[test]
fn a_stream_resumes_on_another_connection() {
    check_watch(&[ALL, "1", "2", r#"open ,"since":2"#, "3", "4", "5"], &[]);
    check_watch(&[ALL, "1", "2", r#"open ,"since":1"#, "2", "3"], &[]);
    caught(&[ALL, "1", "2", r#"open ,"since":2"#, "4"], GAP);
    caught(&[ALL, "1", "2", r#"open ,"since":2"#, "2"], TWICE);
}

#[test]
fn p17_watch_gap() {
    caught(&[ALL, "1", "3"], GAP);
    caught(&[ALL, "2"], GAP);
    caught(&[KEYS, "1", "5"], GAP);
    caught(&[KEYS, "1", "bookmark 4"], GAP);
    caught(&[ALL, "1", "2", "3", "bookmark 5"], GAP);
    caught(&[r#"open ,"rev":5"#, "3"], GAP);
    caught(&[r#"open ,"rev":5"#, "2", "3", "bookmark 5"], GAP);
}

#[test]
fn p17_a_reset_excuses_nothing_that_the_log_has() {
    caught(&[ALL, "reset 4", "4", "5"], GAP);
    caught(&[KEYS, "1", "reset 4", "5"], GAP);
    caught(&[ALL, "1", "2", "reset 2"], REORDERED);
}

#[test]
fn p17_watch_duplicate() {
    caught(&[ALL, "1", "1"], TWICE);
    caught(&[ALL, "1", "2", "3", "bookmark 3", "3"], TWICE);
}

#[test]
fn p17_watch_reorder() {
    caught(&[KEYS, "1", "3", "1"], REORDERED);
    caught(&[ALL, "1", "2", "3", "4", "bookmark 3"], REORDERED);
}

#[test]
fn p17_what_was_never_committed() {
    let never = r#"{"event":{"seq":6,"rev":9,"type":"x","at":"2026-01-01T00:00:09.000Z","data":{}}}"#;
    caught(&[ALL, "1", never], NOT_IN_THE_LOG);
    let other = r#"{"event":{"seq":1,"rev":9,"type":"x","at":"2026-01-01T00:00:09.000Z","data":{}}}"#;
    caught(&[ALL, other], UNLIKE_THE_LOG);
}

#[test]
fn p17_what_was_not_asked_for() {
    caught(&[KEYS, "1", "2"], NOT_ASKED_FOR);
    caught(&[KEYS, "1", "3", "4"], NOT_ASKED_FOR);
    caught(&[r#"open ,"rev":5"#, "1"], NOT_ASKED_FOR);
}

#[test]
fn p17_a_stream_that_stops_before_the_end_or_is_silent() {
    let short = [(17, STOPPED_SHORT.name)];
    check_until(true, &[KEYS, "1", "3", "5"], &[]);
    check_until(true, &[KEYS, "1", "3", r#"open ,"since":3,"key":"a.*""#, "5"], &[]);
    check_until(true, &[KEYS, "1", "3"], &short);
    check_until(true, &[KEYS], &short);
    check_until(true, &[KEYS, "1", "3", "5", r#"open ,"since":5,"key":"a.*""#], &[]);
    check_until(true, &[ALL, "1", "2", "3", "4", "bookmark 4"], &short);
    check_until(true, &[ALL, "1", "2", "3", "4", "5"], &[]);
}

#[test]
fn p17_a_rev_torn_apart() {
    caught(&[ALL, "1", "2", "bookmark 2", "3"], TORN_APART);
    check_watch(&[r#"open ,"since":0,"key":"b""#, "2", "bookmark 2"], &[]);
}

#[test]
fn a_watch_begins_with_its_opening() {
    let folder = Folder::new("watch");
    folder.write("watch-1.jsonl", "{\"bookmark\":1}\n");
    let path = folder.path().join("watch-1.jsonl");
    let checked = check(&path, (&logged().log(), false), &mut Findings::default());
    assert!(format!("{:#}", checked.expect_err("it does not")).starts_with("watch-1.jsonl:1"));
}
