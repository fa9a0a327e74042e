//! Finds `${{ expression }}` in texts; `$${{` is a `${{` that stays.
//! Knows where an expression ends, not what it means.

/// Every expression in a text, trimmed; or why one has no end.
pub(super) fn expressions(text: &str) -> impl Iterator<Item = Result<&str, String>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (mut before, mut after) = rest?.split_once("${{")?;
        while before.ends_with('$') {
            (before, after) = after.split_once("${{")?;
        }
        match end_of(after) {
            Some(end) => {
                rest = Some(&after[end + 2..]);
                let expression = after[..end].trim();
                Some(if expression.is_empty() {
                    Err("`${{ }}` holds no expression".to_owned())
                } else {
                    Ok(expression)
                })
            }
            None => {
                rest = None;
                Some(Err("`${{` has no matching `}}`".to_owned()))
            }
        }
    })
}

/// Whether evaluation changes a text at all.
pub(super) fn has_any(text: &str) -> bool {
    text.contains("${{")
}

/// The expression of a text that is nothing but one `${{ … }}`.
pub(super) fn unwrap_whole(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("${{")?;
    let end = end_of(inside)?;
    (end + 2 == inside.len()).then(|| inside[..end].trim())
}

/// The place of the `}}` that ends an expression: not within quotes, not the end of its own braces.
fn end_of(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut braces = 0usize;
    let mut quote = None;
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
            (None, b'{') => braces += 1,
            (None, b'}') if braces > 0 => braces -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, _) => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[Result<&str, ()>]) {
        let found: Vec<_> = expressions(text).map(|found| found.map_err(|_| ())).collect();
        assert_eq!(found, expected, "of {text}");
    }

    #[test]
    fn expressions_are_found() {
        check("no expression", &[]);
        check("${{ inputs.epochs }}", &[Ok("inputs.epochs")]);
        check("a ${{ x }} b ${{y}}", &[Ok("x"), Ok("y")]);
        check("${{ {'a': {'b': 1}} }}", &[Ok("{'a': {'b': 1}}")]);
        check("${{ '}}' + \"}}\\\"\" }}", &[Ok("'}}' + \"}}\\\"\"")]);
        check("${{ x", &[Err(())]);
        check("${{ }}", &[Err(())]);
        check("$${ {x}}", &[]);
        check("$${{ kept }} ${{ x }}", &[Ok("x")]);
    }

    #[test]
    fn a_whole_expression_is_unwrapped() {
        assert_eq!(unwrap_whole("${{ a > 1 }}"), Some("a > 1"));
        assert_eq!(unwrap_whole("${{ a }} and ${{ b }}"), None);
        assert_eq!(unwrap_whole("a > 1"), None);
    }
}
