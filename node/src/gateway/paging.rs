//! Pages of lists: limits, cursors, and the page that follows.
//! Knows nothing of what is listed. A cursor is the key of the last row of the page before.

use std::str::FromStr;

use orc_client::wire::Page;

use super::problem::Refusal;

/// Bytes of values in a page.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// How many rows a page may have.
pub fn limit(asked: Option<u32>) -> Result<usize, Refusal> {
    match asked {
        None => Ok(50),
        Some(limit @ 1..=500) => Ok(limit as usize),
        Some(other) => {
            Err(Refusal::bad_request(format!("in the query: `limit` must be 1 to 500, not {other}")))
        }
    }
}

/// The key after which a page begins.
pub fn cursor<K: FromStr>(text: Option<&str>) -> Result<Option<K>, Refusal> {
    let wrong = |_| Refusal::bad_request("in the query: `cursor` is not the `nextCursor` of a page");
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

/// The page of some rows; `next` is the key of the last row, if there may be more.
pub fn page<T, V, K: ToString>(rows: &[T], next: Option<K>, show: impl Fn(&T) -> V) -> Page<V> {
    let (items, next_cursor) = (rows.iter().map(show).collect(), next.map(|key| key.to_string()));
    Page { items, next_cursor, total: None, total_is_exact: None }
}

/// The first items that fit into a page, at least one: values may be large, so a page may be shorter than asked for.
pub fn within_bytes<T>(items: impl Iterator<Item = T>, size: impl Fn(&T) -> usize) -> Vec<T> {
    let mut bytes = 0;
    let fits = |item: &T| {
        let first = bytes == 0;
        bytes += 1 + size(item);
        first || bytes <= PAGE_BYTES
    };
    items.take_while(fits).collect()
}

/// The words of a filter, separated by commas.
pub fn words(text: Option<&str>) -> Vec<String> {
    let parts = text.unwrap_or_default().split(',').map(str::trim);
    parts.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_large_values_is_shorter() {
        let within = |sizes: &[usize]| within_bytes(sizes.iter().copied(), |size| *size).len();
        assert_eq!(within(&[1, 2, 3]), 3);
        assert_eq!(within(&[PAGE_BYTES, 1]), 1);
        assert_eq!(within(&[2 * PAGE_BYTES, 1]), 1, "one is always there, so that a reader gets on");
    }

    #[test]
    fn limits_and_cursors_are_checked() {
        assert!(limit(Some(0)).is_err() && limit(Some(501)).is_err() && limit(None).is_ok());
        assert!(cursor::<orc_domain::RunId>(Some("x")).is_err());
        assert_eq!(words(Some("a, b,,")), ["a", "b"]);
    }
}
