//! Whole folders: valid, violated, void, undecided, and what cannot be read.

use super::*;
use crate::{
    history::{Outcome, Recorder},
    testing::{self, Logged, done, read, saw, write},
    verdict::Verdict,
};

fn recorded(ops: &[(u64, &str, crate::history::Call, Outcome)]) -> String {
    let recorder = Recorder::new(Vec::new());
    for (number, (at, node, call, outcome)) in (0..).zip(ops) {
        recorder.called("c1", number, *at, (node, call)).expect("memory");
        recorder.returned("c1", number, at + 5, outcome).expect("memory");
    }
    String::from_utf8(recorder.into_inner()).expect("JSON")
}

fn good() -> testing::Folder {
    let folder = testing::Folder::new("replay");
    let ops = [
        (10, "n1", write("k", "a"), done(5, 1)),
        (30, "n2", read("k"), saw(5, Some(("a", 1)))),
        (50, "n1", write("k", "b"), done(6, 2)),
        (70, "n2", read("k"), saw(6, Some(("b", 2)))),
    ];
    let log = Logged::default().write(5, "k", 1, "a").write(6, "k", 2, "b").text();
    folder.write("history-1.jsonl", &recorded(&ops));
    folder.write("events-n1.jsonl", &log);
    folder.write("events-n2.jsonl", &log);
    let line = log.lines().next().expect("an event");
    let watch = format!("{{\"open\":{{\"node\":\"n1\",\"since\":0}}}}\n{{\"event\":{line}}}\n");
    folder.write("watch-1.jsonl", &watch);
    folder.write("injections.jsonl", "{\"at\":20,\"fault\":\"kill\",\"node\":\"n2\",\"end\":40}\n");
    folder.write(
        "guards.json",
        r#"{"operationsMin":{"before":1,"during":1,"after":2},"faults":["kill"],"everythingEnded":true}"#,
    );
    folder.write("hashes.json", r#"{"n1":{"rev":6,"hash":"x"},"n2":{"rev":6,"hash":"x"}}"#);
    folder.write("plans.json", r#"{"w":{"b":{"needs":["a"],"attemptsMax":3,"lostMax":5}}}"#);
    folder.write("stdout.log", "not ours");
    folder
}

fn judge(folder: &testing::Folder) -> Result<Report> {
    Folder::look(folder.path())?.judge(Limits::default())
}

fn check(folder: &testing::Folder, verdict: Verdict) -> Report {
    let report = judge(folder).expect("it can be read");
    assert_eq!(report.verdict, verdict, "{report}");
    report
}

#[test]
fn a_good_folder_is_valid() {
    let report = check(&good(), Verdict::Valid);
    let counts = report.counts;
    assert_eq!((counts.operations, counts.ok, counts.events, counts.watched), (4, 4, 2, 1));
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!((&json["verdict"], &json["counts"]["lost"]), (&"valid".into(), &0.into()));
}

#[test]
fn a_lost_write_is_a_violation_with_its_lines() {
    let folder = good();
    for node in ["events-n1.jsonl", "events-n2.jsonl"] {
        folder.write(node, &Logged::default().write(5, "k", 1, "a").text());
    }
    let report = check(&folder, Verdict::Violated);
    let text = report.to_string();
    assert!(
        text.contains("1 lost") && text.contains("P1 lost write: \"b\", acknowledged at rev 6"),
        "{text}"
    );
    assert!(text.contains("history-1.jsonl:5: {\"process\":\"c1\",\"op\":2,\"at\":50"), "{text}");
}

#[test]
fn hashes_that_differed_once_are_a_violation() {
    let folder = good();
    folder.write("hashes-7.json", r#"{"n1":{"rev":5,"hash":"x"},"n2":{"rev":5,"hash":"y"}}"#);
    let text = check(&folder, Verdict::Violated).to_string();
    assert!(text.contains("P5 state hashes differ") && text.contains("hashes-7.json"), "{text}");
}

#[test]
fn what_proves_nothing_is_void() {
    let folder = good();
    folder.write("injections.jsonl", "");
    assert!(check(&folder, Verdict::Void).to_string().contains("`kill` was never injected"));
    check(&testing::Folder::new("empty"), Verdict::Void);
}

#[test]
fn a_round_that_failed_before_its_end_is_void() {
    let without = |name: &str, why: &str| {
        let folder = good();
        std::fs::remove_file(folder.path().join(name)).expect("it was there");
        let report = check(&folder, Verdict::Void).to_string();
        assert!(report.contains(why), "{report}");
    };
    without("guards.json", "guards.json is missing");
    without("hashes.json", "no hashes.json tells the state of n1");
    without("events-n2.jsonl", "only one node exported its log");
    let folder = good();
    folder.write("hashes.json", r#"{"n1":{"rev":6,"hash":"x"}}"#);
    assert!(check(&folder, Verdict::Void).to_string().contains("no hashes.json tells the state of n2"));
}

#[test]
fn a_log_that_is_cut_off_is_a_violation() {
    let short = Logged::default().write(5, "k", 1, "a").text();
    for text in [&*short, ""] {
        let folder = good();
        folder.write("events-n2.jsonl", text);
        let report = check(&folder, Verdict::Violated).to_string();
        assert!(report.contains("n2 is at rev 6 and tells nothing after event"), "{report}");
    }
    let folder = good();
    folder.write("events-n2.jsonl", &Logged::default().write(5, "k", 1, "a").write(6, "k", 2, "b").lines[1]);
    let report = check(&folder, Verdict::Void).to_string();
    assert!(report.contains("events-n2.jsonl begins with event 2"), "{report}");
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    let folder = good();
    folder.write("events-n2.jsonl", "{}\n");
    let error = format!("{:#}", judge(&folder).expect_err("it is no event"));
    assert!(error.starts_with("events-n2.jsonl:1"), "{error}");
    assert!(Folder::look(Path::new("nowhere")).is_err());
}

#[test]
fn keys_that_others_change_are_left_to_the_witness() {
    let folder = good();
    let mut log = Logged::default();
    log.write(5, "k", 1, "a").write(6, "k", 2, "b");
    log.event(7, "state.changed", r#"{"key":"k","version":3,"oldValue":"b","expired":true}"#);
    for node in ["events-n1.jsonl", "events-n2.jsonl"] {
        folder.write(node, &log.text());
    }
    let ops = [
        (10, "n2", write("k", "a"), done(5, 1)),
        (30, "n1", write("k", "b"), done(6, 2)),
        (50, "n1", read("k"), saw(7, None)),
        (70, "n2", read("k"), saw(7, None)),
    ];
    folder.write("history-1.jsonl", &recorded(&ops));
    check(&folder, Verdict::Valid);
}
