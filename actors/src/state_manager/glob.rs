//! Patterns for state keys: exact, or with `*` for one part and `**` for any number of them. `app.*` matches
//! `app.version`, `app.**` also `app.db.url` and `app` itself; `*` may be a piece of a part: `job-*.state`.

use std::str::FromStr;

/// The longest pattern, in bytes.
const LENGTH_MAX: usize = 512;
/// `**` in one pattern: each multiplies the ways a key may match.
const ANY_MAX: usize = 4;

/// A pattern for state keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Any number of parts.
    Any,
    /// One part, made of these pieces with anything between them.
    One(Vec<String>),
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a pattern: {reason}")]
pub struct BadPattern {
    /// The text, cut if long.
    pub pattern: String,
    /// Why not.
    pub reason: &'static str,
}

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let bad = |reason| Err(BadPattern { pattern: text.chars().take(80).collect(), reason });
        if text.is_empty() || text.len() > LENGTH_MAX {
            return bad("it must have 1 to 512 bytes");
        }
        let mut parts: Vec<Part> = Vec::new();
        for part in text.split('.') {
            match part {
                "" => return bad("a part is empty"),
                "**" if parts.last() == Some(&Part::Any) => {}
                "**" => parts.push(Part::Any),
                _ if part.contains("**") => return bad("`**` must be a part of its own"),
                _ => parts.push(Part::One(part.split('*').map(str::to_owned).collect())),
            }
        }
        if parts.iter().filter(|part| **part == Part::Any).count() > ANY_MAX {
            return bad("it has too many `**`");
        }
        Ok(Pattern { parts })
    }
}

impl Pattern {
    /// Whether a key matches.
    pub fn matches(&self, key: &str) -> bool {
        let key: Vec<&str> = key.split('.').collect();
        parts_match(&self.parts, &key)
    }
}

fn parts_match(parts: &[Part], key: &[&str]) -> bool {
    match (parts.split_first(), key.split_first()) {
        (None, first) => first.is_none(),
        (Some((Part::Any, rest)), _) => (0..=key.len()).any(|skipped| parts_match(rest, &key[skipped..])),
        (Some((Part::One(_), _)), None) => false,
        (Some((Part::One(pieces), rest)), Some((first, others))) => {
            pieces_match(pieces, first) && parts_match(rest, others)
        }
    }
}

fn pieces_match(pieces: &[String], text: &str) -> bool {
    let Some((first, others)) = pieces.split_first() else { return false };
    let Some((last, between)) = others.split_last() else { return text == first };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for piece in between {
        match rest.find(piece.as_str()) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_keys() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("app.version", &["app.version"], &["app", "app.version.x", "app.versions"]),
            ("app.*", &["app.version", "app.x"], &["app", "app.db.url", "apps.x"]),
            ("*", &["app"], &["app.version"]),
            ("**", &["app", "app.db.url"], &[]),
            ("app.**", &["app", "app.db", "app.db.url"], &["apps.db"]),
            ("**.url", &["url", "app.db.url"], &["app.url.x", "curl"]),
            ("a.**.z", &["a.z", "a.b.z", "a.b.c.z"], &["a.b", "z"]),
            ("a.**.**.z", &["a.z", "a.b.z"], &["a"]),
            ("*.db.*", &["app.db.url"], &["app.db", "db.url"]),
            ("job-*.state", &["job-1.state", "job-.state"], &["job.state", "job-1.2.state"]),
            ("a*b*c", &["abc", "aXbYc", "abbc", "abcbc"], &["ab", "acb", "bc"]),
            ("a*a", &["aa", "aba"], &["a"]),
        ];
        for (pattern, yes, no) in table {
            let parsed: Pattern = pattern.parse().expect(pattern);
            for key in *yes {
                assert!(parsed.matches(key), "{pattern} should match {key}");
            }
            for key in *no {
                assert!(!parsed.matches(key), "{pattern} should not match {key}");
            }
        }
    }

    #[test]
    fn nonsense_is_no_pattern() {
        for text in ["", ".", "a..b", "a.", "a**", "**.a.**.b.**.c.**.d.**", &"x".repeat(600)] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
