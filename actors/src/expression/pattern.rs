//! How much work a regular expression may be: the crate behind `matches` takes time in proportion to states times text,
//! which is most of a minute for 20 bytes of pattern on 256 KiB. Estimated from the pattern's text, and bounded.

/// States times bytes that one match may take, about two seconds' worth.
const WORK_MAX: u64 = 100_000_000;
/// States of a class such as `\w`, which knows all of Unicode.
const CLASS_STATES: u64 = 100;

/// Too much work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a regular expression with so many repetitions needs a shorter text")]
pub(super) struct TooMuchWork;

pub(super) fn check(regex: &str, text: &str) -> Result<(), TooMuchWork> {
    let work = states(regex).saturating_mul(text.len() as u64);
    if work > WORK_MAX { Err(TooMuchWork) } else { Ok(()) }
}

/// About how many states it has: its length, times every counted repetition as if each were inside the others.
fn states(regex: &str) -> u64 {
    let classes = regex.matches('\\').count() as u64;
    let repetitions = regex.split('{').skip(1).filter_map(|rest| {
        let (counts, _) = rest.split_once('}')?;
        counts.split(',').filter_map(|count| count.trim().parse::<u64>().ok()).max()
    });
    let length = (regex.len() as u64).saturating_add(classes.saturating_mul(CLASS_STATES));
    repetitions.fold(length, |states, count| states.saturating_mul(count.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_long_is_refused() {
        let (word, page, book) = ("x".repeat(20), "x".repeat(5_000), "x".repeat(256 * 1024));
        for regex in [r"^\d{4}-\d{2}-\d{2}$", "a.*b", r"^[\w.]+@[\w.]+\.\w{2,20}$", "(a|b){1,30}"] {
            assert_eq!(check(regex, &word), Ok(()), "{regex}");
            assert_eq!(check(regex, &page), Ok(()), "{regex}");
        }
        assert_eq!(check("^ab+c", &book), Ok(()));
        for regex in
            ["[ab]{0,5000}c", "(?:[ab]{1,100}){1,100}c", r"\w{0,100}z", "a{99999999999}{99999999999}"]
        {
            assert_eq!(check(regex, &book), Err(TooMuchWork), "{regex}");
        }
    }
}
