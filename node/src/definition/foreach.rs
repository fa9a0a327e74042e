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
    let known = ["items", "as", "index", "key", "maxParallel", "failFast", "timeout"];
    let is_map = reader.fields(node, "`foreach`", &known, &[]);
    let items = match node.get("items") {
        Some(items) => read_items(reader, items),
        None => {
            if is_map {
                reader.report.at(node, code::MISSING_FIELD, "`foreach` needs `items`, an expression");
            }
            None
        }
    };
    let name = |reader: &mut Reader<'_>, field: &str, usual: &str| {
        let given = node.get(field).and_then(|name| read_name(reader, name, field));
        given.unwrap_or_else(|| Text::from(usual))
    };
    let names = [name(reader, "as", "item"), name(reader, "index", "index")];
    if let Some(index) = node.get("index").filter(|_| names[0] == names[1]) {
        let message = format!("an item and its place cannot both be called `{}`", names[0]);
        reader.report.at(index, code::CONFLICT, message);
    }
    let key = node
        .get("key")
        .and_then(|key| reader.inside(reader.within, &names, |reader| reader.expression(key, "`key`")));
    let [item, index] = names.clone();
    let kind = StepKind::ForEach {
        items: items.unwrap_or_else(|| Text::from("[]")),
        block: 0,
        item,
        index,
        key,
        parallel_max: reader.whole(node, "maxParallel", (1, 1_000)).unwrap_or(PARALLEL),
        fail_fast: reader.switch(node, "failFast").unwrap_or(true),
    };
    Fan { kind, names, limit: reader.time_limit(node, "timeout") }
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

fn read_name(reader: &mut Reader<'_>, node: &Node, field: &str) -> Option<Text> {
    let name = reader.text(node, &format!("`{field}`"))?;
    if !is_name(name) {
        let message =
            format!("`{name}` cannot be the name of an item or its place: letters, digits and `_` only");
        reader.report.at(node, code::BAD_VALUE, message);
        return None;
    }
    if ROOTS.contains(&name) || name == "output" || (field == "as" && name == "index") {
        let message =
            format!("`{name}` cannot be the name of an item or its place: it stands for something else");
        reader.report.at(node, code::BAD_VALUE, message);
        return None;
    }
    Some(Text::from(name))
}
