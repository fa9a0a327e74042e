//! The rules of the house that a machine can check, over the text of this repository:
//! who may know whom, how long a file may be, how it begins, and words that have one place or none.
//! Knows no crate of ours; the checking functions and their own tests are in `architecture/`.

#[path = "architecture/manifest.rs"]
mod manifest;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;
#[path = "architecture/tree.rs"]
mod tree;

use tree::{File, crate_of, root, rust_files, text_files};

/// Crate folder, the workspace packages it may depend on, and those that only its tests may.
const MAY_KNOW: [(&str, &[&str], &[&str]); 10] = [
    ("domain", &[], &[]),
    ("runtime", &[], &[]),
    ("raft", &["orc-domain", "orc-runtime"], &[]),
    ("actors", &["orc-domain", "orc-runtime"], &[]),
    ("client", &["orc-domain"], &[]),
    ("executors", &["orc-client"], &[]),
    ("node", &["orc-runtime", "orc-raft", "orc-actors", "orc-client", "orc-executors", "orc-domain"], &[]),
    ("tests", &["orc-client", "orc-check"], &["orc-domain", "orc-actors"]),
    ("benches", &["orc-client", "orc-tests"], &["orc-domain", "orc-raft"]),
    ("checker", &[], &[]),
];

/// Foreign packages with one home, and the crate folders that may depend on them.
const HOME_OF: [(&str, &[&str]); 6] = [
    ("openraft", &["raft"]),
    ("rocksdb", &["raft"]),
    ("bincode", &["raft"]),
    ("actix", &["actors", "node"]),
    ("cel", &["actors"]),
    ("warp", &["node"]),
];

/// The seed's promises and their tests.
const SEED: &str = "docs/seed.md";

const LINES_MAX: usize = 400;
const HEADER_LINES_MAX: usize = 8;

#[test]
fn every_crate_has_a_row_in_the_table() {
    let root_manifest =
        std::fs::read_to_string(root().join("Cargo.toml")).expect("the root manifest is there");
    let mut members = manifest::members(&root_manifest);
    let mut rows: Vec<String> = MAY_KNOW.iter().map(|(folder, ..)| (*folder).to_owned()).collect();
    members.sort();
    rows.sort();
    assert_eq!(members, rows, "a new crate is a new row in MAY_KNOW");
}

#[test]
fn crates_know_only_whom_they_may() {
    let mut wrong = Vec::new();
    for (folder, may, tests_may) in MAY_KNOW {
        let text =
            std::fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest per crate");
        let dependencies = manifest::dependencies(&text);
        wrong.extend(manifest::forbidden_edges(folder, &dependencies, may, tests_may));
        wrong.extend(manifest::away_from_home(folder, &dependencies, &HOME_OF));
    }
    assert_none(&wrong);
}

#[test]
fn files_are_short() {
    assert_none(&over(rust_files(), |file| rules::too_long(&file.text, LINES_MAX)));
}

#[test]
fn files_say_what_they_own() {
    assert_none(&over(rust_files(), |file| rules::bad_header(&file.text, HEADER_LINES_MAX)));
}

#[test]
fn the_domain_is_no_std() {
    let lib = std::fs::read_to_string(root().join("domain/src/lib.rs")).expect("the domain has a lib.rs");
    assert!(rules::is_no_std(&lib), "domain/src/lib.rs must say #![no_std]");
}

#[test]
fn the_domain_cannot_differ_between_replicas() {
    let files: Vec<File> =
        rust_files().into_iter().filter(|file| file.path.starts_with("domain/src/")).collect();
    let test_files = source::test_files(files.iter().map(|file| (file.path.as_str(), file.text.as_str())));
    let checked = files.into_iter().filter(|file| !test_files.contains(&file.path));
    assert_none(&over(checked, |file| {
        let code = source::without_tests(&source::code(&file.text));
        rules::mentions(&code, &["f32", "f64", "HashMap", "HashSet", "std::"])
    }));
}

#[test]
fn bincode_is_named_only_in_the_codec() {
    let elsewhere = rust_files().into_iter().filter(|file| file.path != "raft/src/codec.rs");
    assert_none(&over(elsewhere, |file| rules::mentions(&source::code(&file.text), &["bincode"])));
}

#[test]
fn openraft_is_given_its_types_in_one_place() {
    let elsewhere = rust_files().into_iter().filter(|file| file.path != "raft/src/types.rs");
    assert_none(&over(elsewhere, |file| rules::mentions(&source::code(&file.text), &["declare_raft_types"])));
}

#[test]
fn only_raft_names_the_disk() {
    let elsewhere = rust_files().into_iter().filter(|file| crate_of(&file.path) != "raft");
    assert_none(&over(elsewhere, |file| {
        rules::mentions(&source::code(&file.text), &["rocksdb", "openraft"])
    }));
}

#[test]
fn nothing_is_left_for_later() {
    let words = ["todo!(", "unimplemented!(", "#[ignore", ".do_send("];
    assert_none(&over(rust_files(), |file| rules::mentions(&source::code(&file.text), &words)));
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    let places = [concat!("/ro", "ot/"), concat!("/wo", "rk/")];
    assert_none(&over(text_files(), |file| rules::mentions(&file.text, &places)));
}

#[test]
fn every_test_that_the_docs_name_is_there() {
    let sources: Vec<File> = rust_files();
    let is_there = |name: &str| sources.iter().any(|file| file.text.contains(&format!("fn {name}(")));
    let maps = |file: &File| {
        let others = [SEED, "docs/reliability.md", "tests/README.md"];
        others.contains(&&*file.path) || file.path.starts_with("docs/semantics-")
    };
    let docs = text_files().into_iter().filter(maps);
    let mut named = 0;
    let missing = over(docs, |file| {
        let names = rules::test_names(&file.text);
        named += names.len();
        names
            .into_iter()
            .filter(|name| !is_there(name))
            .map(|name| format!(" no test is called {name}"))
            .collect()
    });
    assert_none(&missing);
    assert!(named > 100, "only {named} names were found");
}

#[test]
fn every_promise_that_is_tested_is_told_of() {
    let told = std::fs::read_to_string(root().join(SEED)).expect("the seed has its page");
    let promises = rust_files().into_iter().filter(|file| file.path.starts_with("tests/tests/seed/"));
    let mut named = 0;
    let untold = over(promises, |file| {
        let names = rules::promises(&file.text);
        named += names.len();
        let is_untold = |name: &&str| !told.contains(&format!("`{name}`"));
        names.into_iter().filter(is_untold).map(|name| format!(" {SEED} does not tell of {name}")).collect()
    });
    assert_none(&untold);
    assert!(named > 50, "only {named} promises were found");
}

#[test]
fn the_tree_is_seen() {
    let paths: Vec<String> = text_files().into_iter().map(|file| file.path).collect();
    for expected in ["Cargo.toml", "domain/src/lib.rs", "tests/tests/architecture.rs", ".config/nextest.toml"]
    {
        assert!(paths.iter().any(|path| path == expected), "{expected} is not among the files looked at");
    }
}

/// Every finding of `check`, each with its file.
fn over(files: impl IntoIterator<Item = File>, mut check: impl FnMut(&File) -> Vec<String>) -> Vec<String> {
    let with_path =
        |file: File| check(&file).into_iter().map(move |finding| format!("{}:{finding}", file.path));
    files.into_iter().flat_map(with_path).collect()
}

fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}
