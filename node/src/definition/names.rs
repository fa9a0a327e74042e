//! What expressions may name at a place of a workflow: inputs, the steps before it, and what those yield.
//! Knows nothing of values: a name that somebody may yield is let through.

use std::collections::{BTreeMap, BTreeSet};

use orc_domain::StepKind;

use super::{
    error::{Report, code},
    read::Reader,
    step::{Body, Draft},
    suggest::did_you_mean,
    tree::{Node, Place},
};

/// Names that always stand for something.
pub(super) const ROOTS: [&str; 6] = ["inputs", "steps", "run", "trigger", "env", "secrets"];

/// A piece of data that an expression names, and what a mistake would carry.
pub(super) struct Use {
    /// `steps`, `train`, `outputs`.
    pub(super) path: Vec<String>,
    /// Where the expression stands.
    pub(super) node: Node,
}

/// Every step of a workflow by its id, with the place of the first that has it.
#[derive(Default)]
pub(super) struct Ids {
    places: BTreeMap<String, Option<Place>>,
    /// Steps in all; the body of a `foreach` is one beside it and has its id.
    pub(super) count: usize,
}

impl Ids {
    /// Adds a list of steps with all that is inside them, and reports an id that is there twice.
    pub(super) fn add_all<'d, 'n: 'd>(
        &mut self,
        report: &mut Report,
        drafts: impl IntoIterator<Item = &'d Draft<'n>>,
    ) {
        for draft in drafts {
            self.add(report, draft);
        }
    }

    /// Whether a step of the workflow has this id.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.places.contains_key(id)
    }

    fn add(&mut self, report: &mut Report, draft: &Draft<'_>) {
        match self.places.get(&draft.id) {
            None => {
                self.places.insert(draft.id.clone(), draft.node.at);
            }
            Some(first) => {
                let earlier = first.map(|at| format!(" (the first one is in line {})", at.line));
                let message = format!("two steps have the id `{}`{}", draft.id, earlier.unwrap_or_default());
                let named = draft.node.get("id").or_else(|| draft.node.get("name")).unwrap_or(draft.node);
                report.at(named, code::DUPLICATE_ID, message);
                if draft.node.get("id").is_none() {
                    report.hint("ids come from names: give one of the steps an `id` of its own");
                }
            }
        }
        self.add_inside(report, draft);
    }

    fn add_inside(&mut self, report: &mut Report, draft: &Draft<'_>) {
        self.count += 1;
        if let Body::Group(children) = &draft.body {
            self.add_all(report, children);
        }
        if let Some(each) = draft.each.as_deref() {
            self.add_inside(report, each);
        }
        self.add_all(report, draft.compensate.as_deref());
    }
}

/// What the steps of a list see of the steps around it.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight {
    steps: BTreeSet<String>,
    names: BTreeSet<String>,
    any_name: bool,
}

impl Sight {
    /// The same and these steps.
    pub(super) fn with(&self, steps: &[&Draft<'_>]) -> Sight {
        let mut sight = self.clone();
        for step in steps {
            sight.steps.insert(step.id.clone());
            match yields(step) {
                Yield::Anything => sight.any_name = true,
                Yield::Names(names) => sight.names.extend(names.into_iter().map(str::to_owned)),
            }
        }
        sight
    }
}

/// Names that the output of a step has.
enum Yield<'d> {
    Anything,
    Names(Vec<&'d str>),
}

fn yields<'d>(step: &'d Draft<'_>) -> Yield<'d> {
    if !step.outputs.is_empty() {
        return Yield::Names(step.outputs.iter().map(|(name, _)| &**name).collect());
    }
    let Body::Single(kind) = &step.body else { return Yield::Names(Vec::new()) };
    match kind {
        StepKind::Task { .. }
        | StepKind::Signal { .. }
        | StepKind::Event { .. }
        | StepKind::Approval { .. }
        | StepKind::Workflow { .. }
        | StepKind::Message { .. } => Yield::Anything,
        StepKind::Condition { .. } => Yield::Names(vec!["result"]),
        StepKind::State { snapshot: Some(_), .. } => Yield::Names(vec!["versions", "values", "snapshot"]),
        StepKind::State { .. } => Yield::Names(vec!["versions", "values"]),
        StepKind::Parallel { .. }
        | StepKind::Delay { .. }
        | StepKind::Until { .. }
        | StepKind::ForEach { .. }
        | StepKind::Emit { .. } => Yield::Names(Vec::new()),
    }
}

/// The place of an expression.
pub(super) struct View<'v> {
    /// Steps before it in its own list.
    pub(super) before: Vec<&'v Draft<'v>>,
    /// What is seen of the others.
    pub(super) around: &'v Sight,
}

impl View<'_> {
    /// Reports what is named and cannot be.
    pub(super) fn check(&self, reader: &mut Reader<'_>, uses: &[Use], ids: &Ids) {
        for Use { path, node } in uses {
            match (path[0].as_str(), path.get(1)) {
                ("inputs", Some(name)) => check_input(reader, node, name),
                ("steps", Some(id)) => self.check_step(&mut reader.report, node, id, ids),
                (root, _) if ROOTS.contains(&root) => {}
                (name, _) => self.check_bare(reader, node, name),
            }
        }
    }

    fn check_step(&self, report: &mut Report, node: &Node, id: &str, ids: &Ids) {
        if self.around.steps.contains(id) || self.before.iter().any(|step| step.id == id) {
            return;
        }
        if ids.contains(id) {
            let message = format!("the expression names step `{id}`, which is not before this step");
            report.at(node, code::NOT_BEFORE, message);
            report.hint("a step is before another that `needs` it, directly or through others");
            return;
        }
        let meant = did_you_mean(id, ids.places.keys().map(String::as_str));
        report.at(node, code::UNKNOWN_STEP, format!("the expression names unknown step `{id}`{meant}"));
    }

    /// A bare name is an output of a step before, or an input.
    fn check_bare(&self, reader: &mut Reader<'_>, node: &Node, name: &str) {
        let Some(inputs) = reader.inputs.names() else { return };
        let mut known: BTreeSet<&str> = inputs.into_iter().collect();
        known.extend(self.around.names.iter().map(String::as_str));
        for step in &self.before {
            match yields(step) {
                Yield::Anything => return,
                Yield::Names(names) => known.extend(names),
            }
        }
        if self.around.any_name || known.contains(name) {
            return;
        }
        let meant = did_you_mean(name, known.into_iter().chain(ROOTS));
        let message = format!("the expression names unknown `{name}`{meant}");
        reader.report.at(node, code::UNKNOWN_NAME, message);
        reader.report.hint("a name alone is an output of a step before, or an input");
    }
}

fn check_input(reader: &mut Reader<'_>, node: &Node, name: &str) {
    let Some(inputs) = reader.inputs.names().filter(|inputs| !inputs.contains(&name)) else { return };
    let meant = did_you_mean(name, inputs);
    let message = format!("the expression names unknown input `{name}`{meant}");
    reader.report.at(node, code::UNKNOWN_INPUT, message);
}
