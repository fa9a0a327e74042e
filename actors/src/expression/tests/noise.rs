//! Texts that nobody meant: whatever they are, they are refused or run within the limits, and soon.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::*;
use crate::calendar::Calendar;

const ROUNDS: u64 = 5_000;
/// A machine that is busy with other tests takes a second.
const WITHIN: Duration = Duration::from_secs(60);

/// Texts of so many pieces at most, the same ones each time.
fn try_all(pieces: &[&str], most: usize, read: impl Fn(&str)) {
    let started = Instant::now();
    for round in 0..ROUNDS {
        let mut rng = Rng::with_seed(round);
        let count = rng.usize(1..most);
        let text: String = (0..count).map(|_| *rng.choice(pieces).expect("there are some")).collect();
        read(&text);
    }
    assert!(started.elapsed() < WITHIN, "{:?}", started.elapsed());
}

#[test]
fn no_text_ends_who_reads_it_as_an_expression() {
    let pieces = [
        "a",
        "steps.train.outputs.x",
        "inputs",
        "item",
        "1",
        "0x",
        "1e999",
        "9223372036854775807",
        "-",
        "1u",
        "true",
        "null",
        "'",
        "\"",
        "'x'",
        "b'\\xff'",
        "r'",
        "\\",
        "\\u",
        "\\U0010ffff",
        "é",
        "\u{0}",
        "\n",
        "//",
        " ",
        ".",
        "..",
        ",",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "?",
        ":",
        "==",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        "!",
        "+",
        "*",
        "/",
        "%",
        " in ",
        "size(",
        ".map(x, ",
        ".filter(",
        ".all(",
        "has(",
        "matches('(",
        "success()",
        "state('k')",
        "duration('",
        "timestamp(",
        "${{",
        "}}",
    ];
    try_all(&pieces, 30, |text| {
        let _ = names(text);
        let _ = check(text).map(|()| value_of(text));
    });
}

#[test]
fn no_text_ends_who_reads_it_as_a_cron_pattern() {
    let pieces = [
        "*",
        "*/",
        "0",
        "1",
        "5",
        "59",
        "60",
        "99999999999999999999",
        "-",
        ",",
        "/",
        "#",
        "L",
        "W",
        "?",
        "MON",
        "sun",
        "JAN",
        "31",
        "2",
        "29",
        " ",
        " ",
        " ",
        " ",
        "@daily",
        "@",
        "é",
        "\u{0}",
        "+",
        "\t",
    ];
    try_all(&pieces, 16, |text| {
        if let Ok(calendar) = Calendar::new(text, "Europe/Berlin") {
            let _ = calendar.after(Timestamp(u64::MAX));
            let _ = calendar.after(Timestamp(1_774_747_800_000));
        }
    });
}

/// What `make fuzz` begins with, and what it found before it was mended.
#[test]
fn nothing_that_fuzzing_found_ends_who_reads_it() {
    let kept = |target: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/");
        let files = std::fs::read_dir(format!("{folder}{target}")).expect("the corpus is there");
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap_or_default());
        let texts: Vec<String> = texts.collect();
        assert!(!texts.is_empty(), "{target}");
        texts
    };
    for text in kept("expression") {
        let _ = names(&text);
        let _ = check(&text).map(|()| value_of(&text));
    }
    for text in kept("cron") {
        let _ = Calendar::new(&text, "Europe/Berlin").map(|calendar| calendar.after(Timestamp(u64::MAX)));
    }
}
