//! Logs in order are accepted; gaps, falls and nodes that differ are found.

use super::*;
use crate::testing::{Folder, Logged};

fn good() -> Logged {
    let mut logged = Logged::default();
    logged.write(5, "k", 1, "a").write(6, "k", 2, "b").write(6, "l", 1, "c");
    logged
}

fn check_nodes(nodes: &[&str], expected: &[(u8, &str)]) -> Log {
    let (folder, mut paths, mut findings) = (Folder::new("logs"), Vec::new(), Findings::default());
    for (number, text) in nodes.iter().enumerate() {
        let name = format!("events-n{}.jsonl", number + 1);
        folder.write(&name, text);
        paths.push(folder.path().join(name));
    }
    let log = Log::read(&paths, &mut findings).expect("events");
    assert_eq!(findings.broken(), expected);
    log
}

#[test]
fn the_longest_log_of_equal_nodes_is_the_log() {
    let (whole, mut short) = (good(), good());
    short.lines.pop();
    let log = check_nodes(&[&short.text(), &whole.text()], &[]);
    assert_eq!((log.events.len(), log.last_rev()), (3, 6));
    assert_eq!(log.ends, BTreeMap::from([("n1".to_owned(), 2), ("n2".to_owned(), 3)]));
    assert_eq!(log.place(2).to_string(), "events-n2.jsonl:3");
}

#[test]
fn p5_divergent_nodes() {
    let other = good().text().replace("\"c\"", "\"d\"");
    check_nodes(&[&good().text(), &other], &[(5, DIVERGENT.name)]);
    let earlier = good().text().replace("\"rev\":5", "\"rev\":4");
    check_nodes(&[&good().text(), &earlier], &[(5, DIVERGENT.name)]);
}

#[test]
fn names_that_one_node_does_not_find_any_more_are_no_difference() {
    let with = Logged::events(r#"5 workflow.started {"runId":"run_1","workflow":"w"}"#).text();
    let without = Logged::events(r#"5 workflow.started {"runId":"run_1"}"#).text();
    check_nodes(&[&with, &without], &[]);
    check_nodes(&[&with, &with.replace("\"w\"", "\"x\"")], &[(5, DIVERGENT.name)]);
}

#[test]
fn p5_a_gap_or_a_double_in_the_log() {
    let mut gap = good();
    gap.lines.remove(1);
    check_nodes(&[&gap.text()], &[(5, GAP.name)]);
    let mut double = good();
    double.lines.insert(1, double.lines[0].clone());
    check_nodes(&[&double.text()], &[(5, GAP.name)]);
}

#[test]
fn p5_rev_falls_and_p14_time_falls() {
    let mut falls = Logged::default();
    falls.write(6, "k", 1, "a").write(5, "l", 1, "c");
    check_nodes(&[&falls.text()], &[(5, REV_FALLS.name), (14, TIME_FALLS.name)]);
}

#[test]
fn a_log_that_was_compacted_proves_nothing() {
    let mut late = good();
    late.lines.remove(0);
    let mut findings = Findings::default();
    late.read(&mut findings);
    assert!(findings.void[0].contains("begins with event 2"), "{:?}", findings.void);
}

#[test]
fn p5_hashes_at_the_same_rev() {
    let check = |nodes: &[(&str, u64, &str)], broken: usize, void: usize| {
        let hash = |(node, rev, hash): &(&str, u64, &str)| {
            ((*node).to_owned(), StateHash { rev: *rev, hash: (*hash).to_owned() })
        };
        let mut findings = Findings::default();
        check_hashes(&"hashes.json".into(), &nodes.iter().map(hash).collect(), &mut findings);
        assert_eq!((findings.broken().len(), findings.void.len()), (broken, void), "{nodes:?}");
    };
    check(&[("n1", 9, "x"), ("n2", 9, "x"), ("n3", 8, "y")], 0, 0);
    check(&[("n1", 9, "x"), ("n2", 9, "y")], 1, 0);
    check(&[("n1", 9, "x"), ("n2", 8, "y")], 0, 1);
}
