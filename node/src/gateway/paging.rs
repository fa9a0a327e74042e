//! Pages of lists: limits, cursors, and the page that follows.
//! Knows nothing of what is listed. A cursor is the key of the last row of the page before.

use std::str::FromStr;

use orc_client::wire::Page;

use super::problem::Refusal;

/// How many rows a page may have.
pub fn limit(asked: Option<u32>) -> Result<usize, Refusal> {
    match asked {
        None => Ok(50),
        Some(limit @ 1..=500) => Ok(limit as usize),
        Some(other) => Err(Refusal::bad_request(format!("in the query: `limit` must be 1 to 500, not {other}"))),
    }
}

/// The key after which a page begins.
pub fn cursor<K: FromStr>(text: Option<&str>) -> Result<Option<K>, Refusal> {
    let wrong = |_| Refusal::bad_request("in the query: `cursor` is not the `nextCursor` of a page");
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

/// The page of some rows; `next` is the key of the last row, if there may be more.
pub fn page<T, V, K: ToString>(rows: &[T], next: Option<K>, show: impl Fn(&T) -> V) -> Page<V> {
    Page { items: rows.iter().map(show).collect(), next_cursor: next.map(|key| key.to_string()), total: None }
}

/// The words of a filter, separated by commas.
pub fn words(text: Option<&str>) -> Vec<String> {
    let parts = text.unwrap_or_default().split(',').map(str::trim);
    parts.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
