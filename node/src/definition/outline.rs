//! A definition as others show it: its steps with what each needs, the steps inside them, the handlers.
//! Knows nothing of how it is shown.

use std::collections::BTreeMap;

use orc_domain::{BlockIx, Definition, StepDef, StepKind};
use serde::Serialize;

/// A step and what is inside it.
#[derive(Debug, Serialize)]
pub struct StepOutline<'d> {
    /// Its name in expressions.
    pub id: &'d str,
    /// Its name for people.
    pub name: &'d str,
    /// The word of the workflow file.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The ids of the steps before it.
    pub needs: Vec<&'d str>,
    /// The id of the step that a false condition goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goto: Option<&'d str>,
    /// What a `foreach` does with each item.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub each: Vec<StepOutline<'d>>,
    /// What undoes it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compensate: Vec<StepOutline<'d>>,
    /// The step itself.
    #[serde(skip)]
    pub step: &'d StepDef,
}

/// The workflow's own steps.
pub fn steps(definition: &Definition) -> Vec<StepOutline<'_>> {
    block(definition, 0)
}

/// The steps of each handler, by the word of the workflow file.
pub fn handlers(definition: &Definition) -> BTreeMap<&'static str, Vec<StepOutline<'_>>> {
    let handlers = &definition.handlers;
    let all =
        [("onFailure", handlers.on_failure), ("onCancel", handlers.on_cancel), ("finally", handlers.finally)];
    all.into_iter().filter_map(|(word, place)| Some((word, block(definition, place?)))).collect()
}

fn block<'d>(definition: &'d Definition, place: BlockIx) -> Vec<StepOutline<'d>> {
    let steps = definition.block(place);
    let outline = |step: &'d StepDef| {
        let StepDef { id, name, needs, kind, compensate, .. } = step;
        let each = if let StepKind::ForEach { block, .. } = kind { Some(*block) } else { None };
        let inside = |place: Option<BlockIx>| place.map(|place| block(definition, place)).unwrap_or_default();
        let goto = step.goes_to().and_then(|place| steps.get(usize::from(place))).map(|step| &*step.id);
        StepOutline {
            id,
            name,
            kind: kind.name(),
            needs: needs
                .iter()
                .filter_map(|need| steps.get(usize::from(*need)))
                .map(|step| &*step.id)
                .collect(),
            goto,
            each: inside(each),
            compensate: inside(*compensate),
            step,
        }
    };
    steps.iter().map(outline).collect()
}
