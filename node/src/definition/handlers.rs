//! What a workflow says beside its steps: the steps that follow its end, and how many of its runs go on at once.
//! Knows nothing of when a run ends or waits.

use orc_domain::{BlockIx, Concurrency, Handlers, OnConflict, Text};

use super::{
    error::code,
    graph::Linker,
    names::{Ids, ROOTS, Sight, View},
    read::Reader,
    step::{Defaults, Draft, Unnamed, read_list, read_step},
    tree::Node,
};

/// Runs of a group that may be active at once, at most.
const LIMIT_MAX: u32 = 100_000;
/// What the expression of a group may name.
const GROUP_ROOTS: [&str; 2] = ["inputs", "trigger"];

/// The steps of each handler.
pub(super) struct HandlerDrafts<'n> {
    on_failure: Vec<Draft<'n>>,
    on_cancel: Vec<Draft<'n>>,
    finally: Vec<Draft<'n>>,
}

impl<'n> HandlerDrafts<'n> {
    /// Reads `onFailure`, `onCancel` and `finally`.
    pub(super) fn read(reader: &mut Reader<'_>, root: &'n Node, defaults: &Defaults) -> Self {
        HandlerDrafts {
            on_failure: read_handler(reader, root, ("onFailure", "on_failure"), defaults),
            on_cancel: read_handler(reader, root, ("onCancel", "on_cancel"), defaults),
            finally: read_handler(reader, root, ("finally", "finally"), defaults),
        }
    }

    /// All steps of all handlers.
    pub(super) fn all(&self) -> impl Iterator<Item = &Draft<'n>> {
        self.on_failure.iter().chain(&self.on_cancel).chain(&self.finally)
    }

    /// Makes a block of each; they see how the workflow's own steps ended.
    pub(super) fn link(self, linker: &mut Linker<'_, '_>, ended: &Sight) -> Handlers {
        let mut block = |drafts: Vec<Draft<'n>>| -> Option<BlockIx> {
            (!drafts.is_empty()).then(|| linker.block(drafts, ended))
        };
        Handlers {
            on_failure: block(self.on_failure),
            on_cancel: block(self.on_cancel),
            finally: block(self.finally),
        }
    }
}

/// The steps of one handler; they need no names.
fn read_handler<'n>(
    reader: &mut Reader<'_>,
    root: &'n Node,
    (field, id): (&'static str, &str),
    defaults: &Defaults,
) -> Vec<Draft<'n>> {
    let Some(node) = root.get(field) else { return Vec::new() };
    let unnamed = |number: usize| Unnamed { id: format!("{id}_{number}"), allowed: true };
    reader.inside(Some(field), &[], |reader| {
        read_list(reader, node, &format!("`{field}`"), &mut |reader, step, number| {
            read_step(reader, step, &unnamed(number), defaults)
        })
    })
}

/// Reads `concurrency`.
pub(super) fn concurrency(reader: &mut Reader<'_>, root: &Node) -> Option<Concurrency> {
    let node = root.get("concurrency")?;
    if !reader.fields(node, "`concurrency`", &["group", "limit", "onConflict"], &[]) {
        return None;
    }
    let group = node.get("group").and_then(|group| read_group(reader, group));
    let limit = reader.whole(node, "limit", (1, LIMIT_MAX)).unwrap_or(1);
    let on_conflict = reader.choice(
        node,
        "onConflict",
        [
            ("queue", OnConflict::Queue),
            ("cancelRunning", OnConflict::CancelRunning),
            ("reject", OnConflict::Reject),
        ],
    );
    Some(Concurrency { group, limit, on_conflict: on_conflict.unwrap_or_default() })
}

/// A text with expressions over what is known before a run.
fn read_group(reader: &mut Reader<'_>, node: &Node) -> Option<Text> {
    let text = reader.text(node, "`group`")?;
    let around = std::mem::take(&mut reader.named);
    reader.templates(node);
    let uses = std::mem::replace(&mut reader.named, around);
    let (early, late): (Vec<_>, Vec<_>) = uses.into_iter().partition(|of| {
        let root = of.path[0].as_str();
        GROUP_ROOTS.contains(&root) || !ROOTS.contains(&root)
    });
    View { before: Vec::new(), around: &Sight::default() }.check(reader, &early, &Ids::default());
    for of in late {
        let message = format!(
            "the group of a run is found before it starts: there is no `{}` yet, name `inputs` or `trigger`",
            of.path[0]
        );
        reader.report.at(&of.node, code::NOT_BEFORE, message);
    }
    Some(Text::from(text))
}
