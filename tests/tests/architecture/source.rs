//! Rust text without what the rules do not mean: comments, the insides of literals, and tests.
//! Line numbers stay as they were. Knows Rust's tokens, not its grammar.

use std::collections::BTreeSet;

/// The text with comments and the insides of string and character literals blanked.
pub fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let kept = match (chars[at], chars.get(at + 1)) {
            ('/', Some('/')) => 0..line_end(&chars, at),
            ('/', Some('*')) => 0..block_comment_end(&chars, at),
            ('"', _) => 1..string_end(&chars, at + 1),
            ('r', Some('"' | '#')) if !follows_name(&chars, at) => match raw_string_end(&chars, at) {
                Some(end) => 1..end,
                None => 1..at + 1,
            },
            ('\'', _) => 1..character_end(&chars, at),
            _ => 1..at + 1,
        };
        out.extend(&chars[at..at + kept.start]);
        let blanked = chars[at + kept.start..kept.end].iter();
        out.extend(blanked.map(|&c| if c == '\n' { '\n' } else { ' ' }));
        at = kept.end;
    }
    out
}

/// `code` with every item under `#[cfg(test)]` blanked.
pub fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut out = String::with_capacity(code.len());
    if code.contains("#![cfg(test)]") {
        return "\n".repeat(code.lines().count());
    }
    while let Some((before, item)) = rest.split_once(TEST_MARK) {
        out.push_str(before);
        let end = item_end(item);
        out.extend(item[..end].chars().filter(|&c| c == '\n'));
        rest = &item[end..];
    }
    out.push_str(rest);
    out
}

/// Of these files, those that only tests see: `#[cfg(test)] mod name;` in a neighbour, and all below it.
pub fn test_files<'a>(files: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, text) in files.clone() {
        for module in test_modules(&code(text)) {
            let folder = module_folder(path);
            let below = format!("{folder}{module}/");
            let file = format!("{folder}{module}.rs");
            let all = files.clone().map(|(path, _)| path);
            found.extend(all.filter(|path| **path == file || path.starts_with(&below)).map(str::to_owned));
        }
    }
    found
}

const TEST_MARK: &str = "#[cfg(test)]";

fn test_modules(code: &str) -> Vec<String> {
    let items = code.split(TEST_MARK).skip(1);
    let declared = items.filter_map(|item| item[..item_end(item)].trim().strip_suffix(';'));
    declared.filter_map(|item| item.rsplit_once("mod ").map(|(_, name)| name.trim().to_owned())).collect()
}

/// Where the modules of the file at `path` lie.
fn module_folder(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => format!("{folder}/"),
        _ => format!("{}/", path.trim_end_matches(".rs")),
    }
}

/// Just after the item's closing brace or semicolon.
fn item_end(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|&c| c == '\n').map_or(chars.len(), |length| at + length)
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0_usize, start);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) if depth == 1 => return at + 2,
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    chars.len()
}

/// After the closing quote.
fn string_end(chars: &[char], start: usize) -> usize {
    let mut at = start;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn follows_name(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() && chars[at - 1] != 'b' || chars[at - 1] == '_')
}

/// After `r"…"` or `r##"…"##`; none where it is a raw name such as `r#type`.
fn raw_string_end(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start + 1..].iter().take_while(|&&c| c == '#').count();
    let open = start + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes = |at: usize| {
        chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes
    };
    Some((open + 1..chars.len()).find(|&at| closes(at)).map_or(chars.len(), |at| at + 1 + hashes))
}

/// After a character literal; just after the quote where it begins a lifetime.
fn character_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            let close = chars.iter().skip(at + 3).position(|&c| c == '\'');
            close.map_or(chars.len(), |length| at + 4 + length)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_code(text: &str, expected: &str) {
        let squeezed: Vec<String> = code(text).split_whitespace().map(str::to_owned).collect();
        assert_eq!(squeezed.join(" "), expected, "of {text}");
        assert_eq!(code(text).lines().count(), text.lines().count(), "lines move in {text}");
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        check_code("a // f64\nb", "a b");
        check_code("a /* f64 /* x */ y */ b", "a b");
        check_code("a(\"f64\\\" // \", b)", "a(\" , b)");
        check_code("a(r#\"f64\"x\"#, b)", "a(r , b)");
        check_code("a(br\"f64\", b)", "a(br , b)");
        check_code("r#type + for_r", "r#type + for_r");
        check_code("f(b'\"', x)", "f(b' , x)");
        check_code("f('\\'', '\\u{7f}', x)", "f(' , ' , x)");
        check_code("fn f<'a>(x: &'a str) -> &'static f64", "fn f<'a>(x: &'a str) -> &'static f64");
    }

    #[test]
    fn tests_are_not_code() {
        let kept = |text: &str| without_tests(&code(text)).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(kept("a;\n#[cfg(test)]\nmod tests { f64; { x } }\nb;"), "a; b;");
        assert_eq!(kept("#[cfg(test)]\nmod tests;\nf64;"), "f64;");
        assert_eq!(kept("#[cfg(test)]\n#[allow(x)]\nfn f() { '}' }\nf64;"), "f64;");
        assert_eq!(kept("#![cfg(test)]\nf64;"), "");
        assert_eq!(kept("// #[cfg(test)]\nf64;"), "f64;");
    }

    #[test]
    fn files_of_tests_are_known() {
        let files = [
            ("domain/src/lib.rs", "mod a;\n#[cfg(test)]\nmod histories;"),
            ("domain/src/a.rs", "#[cfg(test)]\n#[allow(x)]\nmod samples;\nmod b;"),
            ("domain/src/a/samples.rs", ""),
            ("domain/src/a/b.rs", ""),
            ("domain/src/histories.rs", ""),
            ("domain/src/histories/model.rs", ""),
        ];
        let found: Vec<String> = test_files(files.into_iter()).into_iter().collect();
        assert_eq!(
            found,
            ["domain/src/a/samples.rs", "domain/src/histories.rs", "domain/src/histories/model.rs"]
        );
    }
}
