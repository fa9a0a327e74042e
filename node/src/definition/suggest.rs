//! "Did you mean": the nearest known word to one that is not known.
//! Knows nothing of where the words come from.

/// The known word nearest to `word`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lowered = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lowered, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance <= tolerance(&lowered, candidate) && *distance < candidate.chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `, did you mean `x`?` or nothing, to end a sentence with.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|candidate| format!(", did you mean `{candidate}`?")).unwrap_or_default()
}

/// Letters that may differ: a third of the longer word, at least one.
fn tolerance(word: &str, candidate: &str) -> usize {
    (word.chars().count().max(candidate.chars().count()) / 3).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, known: &[&str], expected: Option<&str>) {
        assert_eq!(nearest(word, known.iter().copied()), expected, "of {word}");
    }

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        check("typ", &["type", "steps"], Some("type"));
        check("evalute", &["deploy", "evaluate"], Some("evaluate"));
        check("Needs", &["needs", "name"], Some("needs"));
        check("conditon", &["config", "condition"], Some("condition"));
        check("queuetimeout", &["timeout", "queueTimeout"], Some("queueTimeout"));
        check("zebra", &["type", "steps"], None);
        check("x", &["if", "p"], None);
    }

    #[test]
    fn the_sentence_ends_with_the_suggestion() {
        assert_eq!(did_you_mean("stpes", ["steps"]), ", did you mean `steps`?");
        assert_eq!(did_you_mean("zebra", ["steps"]), "");
    }
}
