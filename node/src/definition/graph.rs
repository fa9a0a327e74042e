//! Steps to graph: the flat list, who needs whom, and that nobody waits for itself.
//! Knows nothing of what steps do.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use orc_domain::{StepDef, StepIx, StepKind, Text};

use super::{
    Mode,
    error::{Report, code},
    step::{Body, Draft, slug},
    suggest::did_you_mean,
    tree::Node,
};

/// Steps a definition may have.
const STEPS_MAX: usize = 1_000;

/// The steps in order, children of a group before it; empty if they make no graph, which is reported.
pub(super) fn link(report: &mut Report, drafts: Vec<Draft<'_>>, mode: Mode, root: &Node) -> Vec<StepDef> {
    let mut flat = Flat { mode, nodes: Vec::new() };
    flat.add_all(drafts, &Upstream::default());
    if flat.nodes.len() > STEPS_MAX {
        report.at(
            root,
            code::LIMIT,
            format!("{} steps are more than the {STEPS_MAX} allowed", flat.nodes.len()),
        );
        return Vec::new();
    }
    let places = places_of(report, &flat.nodes);
    let needs: Vec<BTreeSet<usize>> =
        flat.nodes.iter().map(|node| resolve(report, node, &flat.nodes, &places)).collect();
    report_cycles(report, &flat.nodes, &needs);
    if !report.is_clean() {
        return Vec::new();
    }
    assemble(flat.nodes, &needs)
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
}

struct Flat<'n> {
    mode: Mode,
    nodes: Vec<FlatStep<'n>>,
}

impl<'n> Flat<'n> {
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
        self.nodes.push(FlatStep { draft, upstream, children });
        self.nodes.len() - 1
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

fn places_of<'f>(report: &mut Report, nodes: &'f [FlatStep<'_>]) -> HashMap<&'f str, usize> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (place, step) in nodes.iter().enumerate() {
        let first = *places.entry(&step.draft.id).or_insert(place);
        if first == place {
            continue;
        }
        let named =
            step.draft.node.get("id").or_else(|| step.draft.node.get("name")).unwrap_or(step.draft.node);
        let earlier = nodes[first].draft.node.at.map(|at| format!(" (the first one is in line {})", at.line));
        let message = format!("two steps have the id `{}`{}", step.draft.id, earlier.unwrap_or_default());
        report.at(named, code::DUPLICATE_ID, message);
        if step.draft.node.get("id").is_none() {
            report.hint("ids come from names: give one of the steps an `id` of its own");
        }
    }
    places
}

fn resolve(
    report: &mut Report,
    step: &FlatStep<'_>,
    nodes: &[FlatStep<'_>],
    places: &HashMap<&str, usize>,
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
        let by_name = slug(name).filter(|id| places.contains_key(id.as_str()));
        let meant = match &by_name {
            Some(id) => format!(" (did you mean its id, `{id}`?)"),
            None => match did_you_mean(name, nodes.iter().map(|step| step.draft.id.as_str())) {
                meant if meant.is_empty() => String::new(),
                meant => format!(" ({})", meant.trim_start_matches(", ")),
            },
        };
        report.at(
            node,
            code::UNKNOWN_STEP,
            format!("step `{}` needs unknown step `{name}`{meant}", step.draft.id),
        );
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

fn assemble(nodes: Vec<FlatStep<'_>>, needs: &[BTreeSet<usize>]) -> Vec<StepDef> {
    let index = |place: &usize| StepIx::try_from(*place).expect("a definition has at most STEPS_MAX steps");
    let mut followers: Vec<Vec<StepIx>> = vec![Vec::new(); nodes.len()];
    for (place, needs) in needs.iter().enumerate() {
        needs.iter().for_each(|need| followers[*need].push(index(&place)));
    }
    let steps = nodes.into_iter().zip(needs).zip(followers);
    steps
        .map(|((step, needs), followers)| {
            let FlatStep { draft, children, .. } = step;
            let kind = match (draft.body, children) {
                (Body::Single(kind), _) => kind,
                (Body::Group(_), children) => {
                    StepKind::Parallel { children: children.unwrap_or_default().iter().map(index).collect() }
                }
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
                retry: draft.options.retry,
                continue_on_error: draft.options.continue_on_error,
                labels: draft.options.labels,
                priority: draft.options.priority,
                limit: None,
                outputs: Vec::new(),
                compensate: None,
                heartbeat_timeout: None,
                total_timeout: None,
            }
        })
        .collect()
}
