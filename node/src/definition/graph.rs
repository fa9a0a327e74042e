//! Steps to graphs: flat lists, who needs whom, that nobody waits for itself, and which block runs where.
//! Knows nothing of what steps do.

use std::collections::{BTreeMap, BTreeSet};

use orc_domain::{BlockIx, OnFalse, StepDef, StepIx, StepKind, Text};

use super::{
    Mode,
    error::{Report, code},
    names::{Ids, Sight, View},
    read::Reader,
    step::{Body, Draft, slug},
    suggest::did_you_mean,
    tree::Node,
};

/// Steps a definition may have, all blocks together.
pub(super) const STEPS_MAX: usize = 1_000;

/// Makes steps of drafts: the workflow's own list, and a block of each list inside or beside it.
pub(super) struct Linker<'r, 'c> {
    /// Where mistakes go.
    pub(super) reader: &'r mut Reader<'c>,
    /// All steps there are.
    pub(super) ids: Ids,
    /// The blocks made so far; a block's number is its place from 1.
    pub(super) blocks: Vec<Vec<StepDef>>,
}

impl Linker<'_, '_> {
    /// The workflow's own steps in order, children of a group before it, and what is seen once they have ended.
    pub(super) fn steps(&mut self, drafts: Vec<Draft<'_>>, mode: Mode) -> (Vec<StepDef>, Sight) {
        let mut list = List::of(&mut self.reader.report, &self.ids, drafts, mode);
        let around = Sight::default();
        let all: Vec<&Draft<'_>> = list.nodes.iter().map(|node| &node.draft).collect();
        let sight = around.with(&all);
        self.look_inside(&mut list, &around, Some(&sight));
        (list.assemble(), sight)
    }

    /// A block of steps that see what is around them.
    pub(super) fn block(&mut self, drafts: Vec<Draft<'_>>, around: &Sight) -> BlockIx {
        let mode = Mode::of(&drafts);
        let mut list = List::of(&mut self.reader.report, &self.ids, drafts, mode);
        self.look_inside(&mut list, around, None);
        self.blocks.push(list.assemble());
        BlockIx::try_from(self.blocks.len()).expect("there are fewer blocks than steps")
    }

    /// Checks what the expressions of a list name, and makes blocks of the lists inside it.
    fn look_inside(&mut self, list: &mut List<'_>, around: &Sight, at_the_end: Option<&Sight>) {
        for place in 0..list.nodes.len() {
            let draft = &list.nodes[place].draft;
            let before =
                if draft.uses.is_empty() && draft.each.is_none() { Vec::new() } else { list.before(place) };
            let view = View { before, around };
            view.check(self.reader, &draft.uses, &self.ids);
            let inner = draft.each.is_some().then(|| around.with(&view.before));
            let draft = &mut list.nodes[place].draft;
            if let (Some(each), Some(sight)) = (draft.each.take(), inner) {
                let made = self.block(vec![*each], &sight);
                if let Body::Single(StepKind::ForEach { block, .. }) = &mut draft.body {
                    *block = made;
                }
            }
            if let (Some(undo), Some(sight)) = (draft.compensate.take(), at_the_end) {
                draft.options.compensate = Some(self.block(vec![*undo], sight));
            }
        }
    }
}

impl Mode {
    /// One after another, unless a step has `needs`.
    pub(super) fn of(drafts: &[Draft<'_>]) -> Mode {
        if any_needs(drafts) { Mode::Graph } else { Mode::Sequence }
    }
}

fn any_needs(drafts: &[Draft<'_>]) -> bool {
    drafts
        .iter()
        .any(|draft| draft.has_needs || matches!(&draft.body, Body::Group(children) if any_needs(children)))
}

/// What a step waits for, by the words of the file and by places in the list.
#[derive(Default, Clone)]
struct Upstream<'n> {
    named: Vec<(&'n Node, &'n str)>,
    places: Vec<usize>,
    only_if: Option<Text>,
}

struct FlatStep<'n> {
    draft: Draft<'n>,
    upstream: Upstream<'n>,
    children: Option<Vec<usize>>,
    /// The place that the run goes on at where it is a condition and false.
    goes_to: Option<usize>,
}

/// A list of steps with what each needs, by place.
struct List<'n> {
    mode: Mode,
    nodes: Vec<FlatStep<'n>>,
    needs: Vec<BTreeSet<usize>>,
}

impl<'n> List<'n> {
    fn of(report: &mut Report, ids: &Ids, drafts: Vec<Draft<'n>>, mode: Mode) -> List<'n> {
        let mut list = List { mode, nodes: Vec::new(), needs: Vec::new() };
        list.add_all(drafts, &Upstream::default());
        let places: BTreeMap<&str, usize> =
            list.nodes.iter().enumerate().map(|(place, step)| (step.draft.id.as_str(), place)).collect();
        list.needs = list.nodes.iter().map(|node| resolve(report, ids, node, &places)).collect();
        report_cycles(report, &list.nodes, &list.needs);
        let goes_to: Vec<_> =
            (0..list.nodes.len()).map(|place| list.goes_to(report, place, &places)).collect();
        list.nodes.iter_mut().zip(goes_to).for_each(|(node, goes_to)| node.goes_to = goes_to);
        list
    }

    /// The steps that end before a step starts, its children left out.
    fn before(&self, place: usize) -> Vec<&Draft<'n>> {
        let mut seen = vec![false; self.nodes.len()];
        let children = self.nodes[place].children.as_deref().unwrap_or_default();
        let mut open: Vec<usize> =
            self.needs[place].iter().copied().filter(|need| !children.contains(need)).collect();
        while let Some(place) = open.pop() {
            if !std::mem::replace(&mut seen[place], true) {
                open.extend(&self.needs[place]);
            }
        }
        self.nodes.iter().zip(seen).filter(|(_, seen)| *seen).map(|(node, _)| &node.draft).collect()
    }

    /// Where a false condition has the run go on: at a step after it.
    fn goes_to(&self, report: &mut Report, place: usize, places: &BTreeMap<&str, usize>) -> Option<usize> {
        let Draft { id, goto, .. } = &self.nodes[place].draft;
        let (node, name) = (*goto)?;
        let Some(target) = places.get(name).copied() else {
            let meant = did_you_mean(name, places.keys().copied());
            let message =
                format!("step `{id}` goes to `{name}`, which is not in the same list of steps{meant}");
            report.at(node, code::UNKNOWN_STEP, message);
            return None;
        };
        if !self.before(target).iter().any(|before| before.id == *id) {
            let message = format!("step `{id}` goes to `{name}`, which does not come after it");
            report.at(node, code::CONFLICT, message);
            report.hint(format!("`{name}` comes after `{id}` if it `needs` it, directly or through others"));
            return None;
        }
        Some(target)
    }

    /// Adds steps one after another, or, in a graph or a group, side by side.
    fn add_all(&mut self, drafts: Vec<Draft<'n>>, upstream: &Upstream<'n>) {
        let mut before = None;
        for draft in drafts {
            let mut upstream = upstream.clone();
            upstream.places.extend(before);
            let place = self.add(draft, upstream);
            before = (self.mode == Mode::Sequence).then_some(place);
        }
    }

    /// Adds a step, its children before it; its place.
    fn add(&mut self, mut draft: Draft<'n>, mut upstream: Upstream<'n>) -> usize {
        upstream.named.append(&mut draft.needs);
        draft.only_if = both(upstream.only_if.take(), draft.only_if);
        let children = match std::mem::replace(&mut draft.body, Body::Group(Vec::new())) {
            Body::Single(kind) => {
                draft.body = Body::Single(kind);
                None
            }
            Body::Group(children) => {
                let inherited = Upstream { only_if: draft.only_if.clone(), ..upstream.clone() };
                let places = children.into_iter().map(|child| self.add(child, inherited.clone())).collect();
                // The children ask the status of what stands before the group; for the group, that would be theirs.
                draft.only_if = draft.only_if.filter(|expression| !asks_status(expression));
                Some(places)
            }
        };
        self.nodes.push(FlatStep { draft, upstream, children, goes_to: None });
        self.nodes.len() - 1
    }

    fn assemble(self) -> Vec<StepDef> {
        let index =
            |place: &usize| StepIx::try_from(*place).expect("a definition has at most STEPS_MAX steps");
        let mut followers: Vec<Vec<StepIx>> = vec![Vec::new(); self.nodes.len()];
        for (place, needs) in self.needs.iter().enumerate() {
            needs.iter().for_each(|need| followers[*need].push(index(&place)));
        }
        let steps = self.nodes.into_iter().zip(self.needs).zip(followers);
        steps
            .map(|((step, needs), followers)| {
                let FlatStep { draft, children, goes_to, .. } = step;
                let kind = match (draft.body, children) {
                    (Body::Single(StepKind::Condition { expression, on_false }), _) => {
                        let on_false = goes_to.map_or(on_false, |target| OnFalse::Goto(index(&target)));
                        StepKind::Condition { expression, on_false }
                    }
                    (Body::Single(kind), _) => kind,
                    (Body::Group(_), children) => StepKind::Parallel {
                        children: children.unwrap_or_default().iter().map(index).collect(),
                    },
                };
                StepDef {
                    id: Text::from(draft.id),
                    name: draft.name,
                    needs: needs.iter().map(index).collect(),
                    followers,
                    only_if: draft.only_if,
                    kind,
                    timeout: draft.options.timeout,
                    queue_timeout: draft.options.queue_timeout,
                    heartbeat_timeout: draft.options.heartbeat_timeout,
                    total_timeout: draft.options.total_timeout,
                    retry: draft.options.retry,
                    continue_on_error: draft.options.continue_on_error,
                    labels: draft.options.labels,
                    priority: draft.options.priority,
                    limit: draft.options.limit,
                    outputs: draft.outputs,
                    compensate: draft.options.compensate,
                    cache: draft.options.cache,
                }
            })
            .collect()
    }
}

/// The `if` of a group holds for its children as well.
fn both(group: Option<Text>, own: Option<Text>) -> Option<Text> {
    match (group, own) {
        (Some(group), Some(own)) => Some(Text::from(format!("({group}) && ({own})"))),
        (one, None) | (None, one) => one,
    }
}

fn asks_status(expression: &str) -> bool {
    ["success(", "failure(", "always("].iter().any(|call| expression.contains(call))
}

fn resolve(
    report: &mut Report,
    ids: &Ids,
    step: &FlatStep<'_>,
    places: &BTreeMap<&str, usize>,
) -> BTreeSet<usize> {
    let mut needs: BTreeSet<usize> = step.upstream.places.iter().copied().collect();
    needs.extend(step.children.iter().flatten().copied());
    let own = step.draft.node.get("needs").map(|needs| needs.pointer.as_str());
    for (node, name) in &step.upstream.named {
        if let Some(place) = places.get(name) {
            needs.insert(*place);
            continue;
        }
        // Children repeat what their group needs: one mistake, said once.
        if !own.is_some_and(|own| node.pointer.starts_with(own)) {
            continue;
        }
        let id = &step.draft.id;
        if ids.contains(name) {
            let message = format!("step `{id}` needs `{name}`, which is not in the same list of steps");
            report.at(node, code::UNKNOWN_STEP, message);
            continue;
        }
        let by_name = slug(name).filter(|id| places.contains_key(id.as_str()));
        let meant = match &by_name {
            Some(id) => format!(" (did you mean its id, `{id}`?)"),
            None => match did_you_mean(name, places.keys().copied()) {
                meant if meant.is_empty() => String::new(),
                meant => format!(" ({})", meant.trim_start_matches(", ")),
            },
        };
        report.at(node, code::UNKNOWN_STEP, format!("step `{id}` needs unknown step `{name}`{meant}"));
    }
    needs
}

/// Reports each cycle once, with its path, at a `needs` that closes it.
fn report_cycles(report: &mut Report, nodes: &[FlatStep<'_>], needs: &[BTreeSet<usize>]) {
    let mut stuck = stuck_steps(needs);
    while let Some(start) = stuck.iter().next().copied() {
        let mut path: Vec<usize> = Vec::new();
        let mut at = start;
        while !path.contains(&at) {
            path.push(at);
            match needs[at].iter().find(|need| stuck.contains(need)) {
                Some(next) => at = *next,
                None => break,
            }
        }
        let begin = path.iter().position(|place| *place == at).unwrap_or(0);
        let cycle = &path[begin..];
        if needs[*cycle.last().unwrap_or(&at)].contains(&at) {
            report_cycle(report, nodes, cycle);
        }
        path.iter().for_each(|place| {
            stuck.remove(place);
        });
    }
}

/// What is left when every step whose needs are met is taken away, again and again.
fn stuck_steps(needs: &[BTreeSet<usize>]) -> BTreeSet<usize> {
    let mut followers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut missing: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    for (place, needs) in needs.iter().enumerate() {
        needs.iter().for_each(|need| followers.entry(*need).or_default().push(place));
    }
    let mut stuck: BTreeSet<usize> = (0..needs.len()).collect();
    let mut free: Vec<usize> = stuck.iter().copied().filter(|place| missing[*place] == 0).collect();
    while let Some(place) = free.pop() {
        stuck.remove(&place);
        for follower in followers.get(&place).into_iter().flatten() {
            missing[*follower] -= 1;
            if missing[*follower] == 0 {
                free.push(*follower);
            }
        }
    }
    stuck
}

fn report_cycle(report: &mut Report, nodes: &[FlatStep<'_>], cycle: &[usize]) {
    let ids: Vec<&str> =
        cycle.iter().chain(cycle.first()).map(|place| nodes[*place].draft.id.as_str()).collect();
    let path = ids.join(" → ");
    let with_needs = cycle.iter().find_map(|place| nodes[*place].draft.node.get("needs"));
    let node = with_needs.unwrap_or(nodes[cycle[0]].draft.node);
    let message = match cycle {
        [only] => format!("step `{}` needs itself", nodes[*only].draft.id),
        _ => format!("these steps wait for each other: {path}"),
    };
    report.at(node, code::CYCLE, message);
}
