//! The order of a batch: members that others depend on come first; cycles are refused with their path.
//! Knows nothing of tasks that are not in the batch.

use std::collections::HashMap;

use orc_client::wire::ScheduleTask;
use orc_domain::TaskId;
use uuid::Uuid;

use super::problem::Refusal;

/// A task of a request, named and put in order.
#[derive(Debug)]
pub struct Planned {
    /// Where it stands in the request.
    pub place: usize,
    /// Its id.
    pub id: TaskId,
    /// What must complete first, in the order of the request.
    pub dependencies: Vec<TaskId>,
}

impl Planned {
    /// A JSON pointer to a field of this task.
    pub fn pointer(&self, batch: bool, field: &str) -> String {
        pointer(batch.then_some(self.place), field)
    }
}

fn pointer(place: Option<usize>, field: &str) -> String {
    match place {
        Some(place) => format!("/{place}/{field}"),
        None => format!("/{field}"),
    }
}

/// Names the tasks of a request and orders them so that each comes after those it depends on.
pub fn plan(asked: &[ScheduleTask], batch: bool) -> Result<Vec<Planned>, Refusal> {
    let names = references(asked)?;
    let ids: Vec<TaskId> = asked.iter().map(|_| TaskId::Single(Uuid::now_v7())).collect();
    let mut planned = Vec::new();
    let mut inside: Vec<Vec<usize>> = Vec::new();
    for (place, task) in asked.iter().enumerate() {
        let mut members = Vec::new();
        let mut dependencies = Vec::new();
        for (number, name) in task.dependencies.iter().enumerate() {
            let id = match names.get(name.as_str()) {
                Some(member) => {
                    members.push(*member);
                    ids[*member]
                }
                None => name.parse().map_err(|error| {
                    let pointer = pointer(batch.then_some(place), &format!("dependencies/{number}"));
                    let or = if batch { ", nor the `ref` of another task of the batch" } else { "" };
                    Refusal::invalid(pointer, format!("{error}{or}"))
                })?,
            };
            if !dependencies.contains(&id) {
                dependencies.push(id);
            }
        }
        inside.push(members);
        planned.push(Planned { place, id: ids[place], dependencies });
    }
    let order = sort(&inside).map_err(|cycle| refuse_cycle(&cycle, asked))?;
    let mut rank = vec![0; order.len()];
    for (position, place) in order.into_iter().enumerate() {
        rank[place] = position;
    }
    planned.sort_by_key(|planned| rank[planned.place]);
    Ok(planned)
}

fn references(asked: &[ScheduleTask]) -> Result<HashMap<&str, usize>, Refusal> {
    let mut names = HashMap::new();
    for (place, task) in asked.iter().enumerate() {
        let Some(name) = task.reference.as_deref() else { continue };
        if let Some(first) = names.insert(name, place) {
            let detail = format!("task {first} of the batch has the `ref` `{name}` already");
            return Err(Refusal::invalid(pointer(Some(place), "ref"), detail));
        }
    }
    Ok(names)
}

/// Places in an order that follows the dependencies, stable otherwise; or a cycle.
fn sort(inside: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; inside.len()];
    let mut order = Vec::new();
    for start in 0..inside.len() {
        // Places on the way, each with how many of its dependencies were looked at: no recursion, so no deep stack.
        let mut way = vec![(start, 0)];
        while let Some((place, looked_at)) = way.pop() {
            if marks[place] == Mark::Done {
                continue;
            }
            marks[place] = Mark::Open;
            let Some(next) = inside[place].get(looked_at) else {
                marks[place] = Mark::Done;
                order.push(place);
                continue;
            };
            way.push((place, looked_at + 1));
            match marks[*next] {
                Mark::New => way.push((*next, 0)),
                Mark::Done => {}
                Mark::Open => {
                    let from = way.iter().position(|(on_way, _)| on_way == next).unwrap_or(0);
                    let mut cycle: Vec<usize> = way[from..].iter().map(|(on_way, _)| *on_way).collect();
                    cycle.push(*next);
                    return Err(cycle);
                }
            }
        }
    }
    Ok(order)
}

fn refuse_cycle(cycle: &[usize], asked: &[ScheduleTask]) -> Refusal {
    let name = |place: &usize| asked[*place].reference.clone().unwrap_or_else(|| place.to_string());
    let path: Vec<String> = cycle.iter().map(name).collect();
    let place = cycle.first().copied();
    Refusal::invalid(
        pointer(place, "dependencies"),
        format!("the tasks wait for each other: {}", path.join(" → ")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(tasks: &[(&str, &[&str])]) -> Vec<ScheduleTask> {
        let task = |(name, needs): &(&str, &[&str])| ScheduleTask {
            name: (*name).into(),
            reference: Some((*name).into()),
            dependencies: needs.iter().map(|need| (*need).into()).collect(),
            ..ScheduleTask::default()
        };
        tasks.iter().map(task).collect()
    }

    fn check(tasks: &[(&str, &[&str])], expected: Result<&[usize], &str>) {
        let found = plan(&batch(tasks), true);
        match (found, expected) {
            (Ok(planned), Ok(order)) => {
                assert_eq!(planned.iter().map(|task| task.place).collect::<Vec<_>>(), order);
            }
            (Err(refusal), Err(words)) => assert!(refusal.detail().contains(words), "{}", refusal.detail()),
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn members_come_after_what_they_depend_on() {
        check(&[("a", &[]), ("b", &[])], Ok(&[0, 1]));
        check(&[("a", &["c"]), ("b", &["a"]), ("c", &[])], Ok(&[2, 0, 1]));
        check(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])], Ok(&[2, 1, 0]));
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        check(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])], Err("b → c → b"));
        check(&[("a", &["a"])], Err("a → a"));
        check(&[("a", &[]), ("a", &[])], Err("already"));
        check(&[("a", &["z"])], Err("nor the `ref`"));
    }
}
