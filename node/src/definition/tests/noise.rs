//! Documents that nobody meant, made of some that somebody did: each is refused or compiles, and soon.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::*;

const ROUNDS: u64 = 1_000;
/// A machine that is busy with other tests takes some seconds.
const WITHIN: Duration = Duration::from_secs(60);

const SEEDS: [&str; 3] = [
    include_str!("../../../../examples/pr-pipeline.yaml"),
    include_str!("../../../../examples/nightly-eval.yaml"),
    r#"{"name": "x", "steps": [{"id": "a", "foreach": {"items": "[1]"}, "run": "true"}, {"id": "b", "needs": ["a"], "wait": "1s"}]}"#,
];
const PIECES: [&str; 24] = [
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "---\n",
    "...",
    "? ",
    ": ",
    "- ",
    "\n",
    "\t",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "#",
    "%",
    "${{ ",
    "é",
    "99999999999999999999",
];

#[test]
fn no_text_ends_who_reads_it_as_a_workflow() {
    let started = Instant::now();
    for round in 0..ROUNDS {
        let mut rng = Rng::with_seed(round);
        let mut text = rng.choice(SEEDS).expect("there are some").to_owned();
        for _ in 0..rng.u8(1..5) {
            let at = text.floor_char_boundary(rng.usize(..=text.len()));
            let to = text.floor_char_boundary((at + rng.usize(..8)).min(text.len()));
            text.replace_range(at..to, rng.choice(PIECES).expect("there are some"));
        }
        let _ = compile(&text);
    }
    assert!(started.elapsed() < WITHIN, "{:?}", started.elapsed());
}

#[test]
fn a_document_that_multiplies_itself_is_refused() {
    let mut text = "name: x\nlabels:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for depth in 1..12 {
        let before = vec![format!("*a{}", depth - 1); 9].join(", ");
        text.push_str(&format!("  a{depth}: &a{depth} [{before}]\n"));
    }
    let started = Instant::now();
    assert!(compile(&text).is_err());
    assert!(started.elapsed() < WITHIN, "{:?}", started.elapsed());
}

/// What `make fuzz` begins with, and what it found before it was mended.
#[test]
fn nothing_that_fuzzing_found_ends_who_reads_it() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/");
    let kept = |target: &str| {
        let files = std::fs::read_dir(format!("{folder}{target}")).expect("the corpus is there");
        let files: Vec<_> = files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        assert!(!files.is_empty(), "{target}");
        files
    };
    for bytes in kept("workflow") {
        let _ = str::from_utf8(&bytes).map(compile);
    }
    for bytes in kept("body") {
        let _ = crate::gateway::read_body::<orc_client::wire::StartRun>(&bytes);
    }
}
