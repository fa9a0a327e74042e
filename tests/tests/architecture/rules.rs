//! One function per rule about a file's text; a finding begins with its line number.
//! Knows nothing of folders or crates.

/// More lines than a file may have.
pub fn too_long(text: &str, lines_max: usize) -> Vec<String> {
    let lines = text.lines().count();
    if lines > lines_max { vec![format!("{lines}: more than {lines_max} lines")] } else { Vec::new() }
}

/// The first thing in a file is a `//!` header of a few lines.
pub fn bad_header(text: &str, lines_max: usize) -> Vec<String> {
    let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
    let says_something = header.iter().any(|line| line.trim_start_matches("//!").trim().len() > 10);
    match header.len() {
        0 => vec!["1: begins without a //! header".to_owned()],
        _ if !says_something => vec!["1: the //! header says nothing".to_owned()],
        lines if lines > lines_max => {
            vec![format!("{lines}: the //! header has more than {lines_max} lines")]
        }
        _ => Vec::new(),
    }
}

/// The crate does without the standard library, at least outside tests.
pub fn is_no_std(lib: &str) -> bool {
    let forms = ["#![no_std]", "#![cfg_attr(not(test), no_std)]"];
    lib.lines().any(|line| forms.contains(&line.trim()))
}

/// Lines with one of the words, each as a whole: `f64` is not in `of64`, `std::` not in `my_std::`.
pub fn mentions(text: &str, words: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let named = words.iter().filter(|word| has_word(line, word));
        findings.extend(named.map(|word| format!("{}: names `{word}`", index + 1)));
    }
    findings
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let goes_on_before = word.starts_with(is_part) && line[..at].ends_with(is_part);
        let goes_on_after = word.ends_with(is_part) && line[at + word.len()..].starts_with(is_part);
        !goes_on_before && !goes_on_after
    })
}

/// The words between backticks of a document that can only be names of tests.
pub fn test_names(text: &str) -> Vec<&str> {
    let is_name = |word: &&str| {
        word.matches('_').count() > 1
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).filter(is_name).collect()
}

/// The names in the lists of `keeps!(scene; …)`.
pub fn promises(text: &str) -> Vec<&str> {
    let lists = text.split("keeps!(").skip(1).filter_map(|rest| rest.split(");").next());
    let names = lists.filter_map(|list| list.split_once(';')).flat_map(|(_, names)| names.split(','));
    names.map(str::trim).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted() {
        assert_eq!(too_long("a\nb\n", 2), [""; 0]);
        assert_eq!(too_long("a\nb\nc\n", 2), ["3: more than 2 lines"]);
    }

    #[test]
    fn headers_are_there_and_short() {
        assert_eq!(bad_header("//! Owns the codec of entries.\n\nuse x;", 2), [""; 0]);
        assert_eq!(bad_header("use x;\n//! Owns the codec.", 2).len(), 1);
        assert_eq!(bad_header("", 2).len(), 1);
        assert_eq!(bad_header("//! stub\n", 2).len(), 1);
        assert_eq!(bad_header("//! One line of it.\n//! two\n//! three\n", 2).len(), 1);
    }

    #[test]
    fn promises_are_those_that_are_kept() {
        let text =
            "keeps!(&scene;\n    one_is,\n    two_is,\n);\nkeeps!(&mut scene; three_is);\nother(four);";
        assert_eq!(promises(text), ["one_is", "two_is", "three_is"]);
    }

    #[test]
    fn no_std_is_an_attribute_of_its_own() {
        assert!(is_no_std("//! x\n#![no_std]\n"));
        assert!(is_no_std("#![cfg_attr(not(test), no_std)]"));
        assert!(!is_no_std("// #![no_std]"));
        assert!(!is_no_std("#![cfg_attr(feature = \"bare\", no_std)]"));
    }

    #[test]
    fn names_of_tests_stand_between_backticks() {
        let text = "| `on_failure` and `a_run_ends_once`, not_this_one_here |\n`It_is_none`";
        assert_eq!(test_names(text), ["a_run_ends_once"]);
    }

    #[test]
    fn words_are_found_whole() {
        assert_eq!(mentions("let x: f64 = 1;\nlet of64 = f64x;", &["f64"]), ["1: names `f64`"]);
        assert_eq!(mentions("use std::mem;\nuse my_std::x;", &["std::"]), ["1: names `std::`"]);
        assert_eq!(mentions("a.do_send(1);\nb.do_sending(1)", &[".do_send("]).len(), 1);
        assert_eq!(mentions("#[ignore = \"slow\"]\n#[ignored]", &["#[ignore"]).len(), 1);
        assert_eq!(mentions("use bincode;\nfn bincoder() {}", &["bincode"]).len(), 1);
    }
}
