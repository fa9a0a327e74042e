//! `foreach`: over which items a step does its work, how many at once, and what an item is called.
//! Knows nothing of that work.

use std::time::Duration;

use orc_domain::{StepKind, Text};

use super::{
    error::code,
    names::ROOTS,
    read::Reader,
    step::is_name,
    template,
    tree::{Node, Value},
};

/// `foreach` inside `foreach`, so deep.
const DEPTH_MAX: usize = 8;
/// Items at work at once unless the file says otherwise.
const PARALLEL: u32 = 10;
/// The place of an item, in expressions.
const INDEX: &str = "index";

/// What a step does with a list.
pub(super) struct Fan {
    /// [`StepKind::ForEach`], its block still unknown.
    pub(super) kind: StepKind,
    /// The item and its place, in expressions.
    pub(super) names: [Text; 2],
    /// Time for all items together.
    pub(super) limit: Option<Duration>,
}

/// Reads a step's `foreach`.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Fan {
    if reader.bound.len() >= 2 * DEPTH_MAX {
        reader.report.at(node, code::LIMIT, format!("`foreach` nests more than {DEPTH_MAX} deep"));
    }
    let known = ["items", "as", "index", "maxParallel", "failFast", "timeout"];
    let is_map = reader.fields(node, "`foreach`", &known, &["key"]);
    let items = match node.get("items") {
        Some(items) => read_items(reader, items),
        None => {
            if is_map {
                reader.report.at(node, code::MISSING_FIELD, "`foreach` needs `items`, an expression");
            }
            None
        }
    };
    let item = node.get("as").and_then(|name| read_name(reader, name)).unwrap_or_else(|| Text::from("item"));
    if let Some(name) = node.get("index").filter(|name| name.text() != Some(INDEX)) {
        reader.report.at(name, code::BAD_VALUE, "the place of an item is always called `index`");
    }
    let kind = StepKind::ForEach {
        items: items.unwrap_or_else(|| Text::from("[]")),
        block: 0,
        item: item.clone(),
        parallel_max: reader.whole(node, "maxParallel", (1, 1_000)).unwrap_or(PARALLEL),
        fail_fast: reader.switch(node, "failFast").unwrap_or(true),
    };
    Fan { kind, names: [item, Text::from(INDEX)], limit: reader.time_limit(node, "timeout") }
}

/// An expression, or a list as it is.
fn read_items(reader: &mut Reader<'_>, node: &Node) -> Option<Text> {
    let Value::List(_) = node.value else { return reader.expression(node, "`items`") };
    let text = node.to_json().to_string();
    if template::has_any(&text) {
        let message = "a list of `items` holds no `${{ }}`: write the whole list as one expression";
        reader.report.at(node, code::BAD_VALUE, message);
        return None;
    }
    reader.check_expression(node, "`items`", &text).then(|| Text::from(text))
}

fn read_name(reader: &mut Reader<'_>, node: &Node) -> Option<Text> {
    let name = reader.text(node, "`as`")?;
    if !is_name(name) {
        let message = format!("`{name}` cannot be an item's name: letters, digits and `_` only");
        reader.report.at(node, code::BAD_VALUE, message);
        return None;
    }
    if ROOTS.contains(&name) || [INDEX, "output"].contains(&name) {
        let message = format!("`{name}` cannot be an item's name: it stands for something else");
        reader.report.at(node, code::BAD_VALUE, message);
        return None;
    }
    Some(Text::from(name))
}
