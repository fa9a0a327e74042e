//! Patterns of dotted names: `*` is one part or a piece of one, `**` any number of parts.
//! Knows nothing of what is named.

/// Whether a name matches a pattern.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), name.split('.').collect());
    parts_match(&pattern, &name)
}

fn parts_match(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, first) => first.is_none(),
        (Some((&"**", rest)), _) => (0..=name.len()).any(|skipped| parts_match(rest, &name[skipped..])),
        (Some(_), None) => false,
        (Some((part, rest)), Some((first, others))) => part_matches(part, first) && parts_match(rest, others),
    }
}

fn part_matches(part: &str, text: &str) -> bool {
    match part.split_once('*') {
        None => part == text,
        Some((before, rest)) => text.strip_prefix(before).is_some_and(|text| {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            { ends }.any(|at| part_matches(rest, &text[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("app.version", &["app.version"], &["app", "app.version.x", "app.versions"]),
            ("app.*", &["app.version"], &["app", "app.db.url", "apps.x"]),
            ("*", &["app"], &["app.version"]),
            ("app.**", &["app", "app.db", "app.db.url"], &["apps.db"]),
            ("a.**.z", &["a.z", "a.b.z", "a.b.c.z"], &["a.b", "z"]),
            ("job-*.state", &["job-1.state", "job-.state"], &["job.state", "job-1.2.state"]),
            ("a*b*c", &["abc", "aXbYc", "abbc"], &["ab", "acb", "bc"]),
        ];
        for (pattern, yes, no) in table {
            for name in *yes {
                assert!(matches(pattern, name), "{pattern} and {name}");
            }
            for name in *no {
                assert!(!matches(pattern, name), "{pattern} and {name}");
            }
        }
    }
}
