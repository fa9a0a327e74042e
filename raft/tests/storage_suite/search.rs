//! Searches over live and ended rows against a plain look at all of them; deletions; the index as a function of rows.
//! Knows nothing of crashes.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use orc_domain::{
    Command, CreateRun, DefinitionId, DeleteEnded, Facet, Labels, Listed, Run, RunId, TaskId, Timestamp,
};
use orc_raft::store::{Found, Group, Kept, Order, Query, Reached};
use rocksdb::{DB, IteratorMode, Options};
use uuid::Uuid;

use crate::node::{Node, cancel_run, create_run, task_id};

const RUNS: u128 = 60;

fn id(number: u128) -> RunId {
    RunId(Uuid::from_u128(number))
}

/// A run of one of five workflows with labels that some others have.
fn run(number: u128) -> Command {
    let Command::CreateRun(create) = create_run(number) else { unreachable!("it creates a run") };
    let mut definition = (*create.body.clone().unwrap()).clone();
    definition.id = DefinitionId([number as u8 % 5 + 1; 16]);
    definition.name = format!("flow-{}", number % 5).into();
    let labels: Labels = [
        ("team".into(), format!("team-{}", number % 3).into()),
        ("rare".into(), format!("{}", number % 29 == 7).into()),
    ]
    .into();
    Command::CreateRun(Box::new(CreateRun {
        definition: definition.id,
        body: Some(Arc::new(definition)),
        labels,
        ..*create
    }))
}

/// Live runs and ended ones, of those some on the disk and some not yet.
async fn filled(data: &Path) -> Node {
    let mut node = Node::open(data).await;
    for number in 1..=RUNS {
        node.commit(&[run(number)]).await;
        // Runs end in another order than they begin.
        let ends = if number % 2 == 0 { number / 2 } else { number };
        if number % 7 != 3 {
            node.commit(&[cancel_run(ends)]).await;
        }
        if number == RUNS - 9 {
            node.reader.drain().await.unwrap();
        }
    }
    node
}

/// What a search should find, by looking at every row.
struct Wish {
    order: Order,
    statuses: Vec<&'static str>,
    workflows: Vec<&'static str>,
    labels: Vec<(&'static str, &'static str)>,
    from: Option<u128>,
    before: Option<u128>,
    odd: bool,
}

impl Wish {
    fn new(order: Order) -> Wish {
        let (statuses, workflows, labels) = (vec![], vec![], vec![]);
        Wish { order, statuses, workflows, labels, from: None, before: None, odd: false }
    }

    fn filter(&self) -> impl Fn(&Run) -> bool + Send + Sync + 'static {
        let (workflows, labels, odd) = (self.workflows.clone(), self.labels.clone(), self.odd);
        move |run: &Run| {
            (workflows.is_empty() || workflows.contains(&&*run.workflow))
                && labels.iter().all(|(name, value)| run.labels.get(*name).is_some_and(|of| **of == **value))
                && (!odd || run.id.0.as_u128() % 2 == 1)
        }
    }

    fn query(&self, limit: usize) -> Query<RunId, Run> {
        let number = |word: &&str| Run::STATUSES.iter().position(|known| known == word).unwrap() as u8;
        Query {
            order: self.order,
            statuses: self.statuses.iter().map(number).collect(),
            counted: self.workflows.iter().map(|name| Group::of(&Facet::Workflow((*name).into()))).collect(),
            labels: self
                .labels
                .iter()
                .map(|(name, value)| vec![Group::of(&Facet::Label((*name).into(), (*value).into()))])
                .collect(),
            from: self.from.map(id),
            before: self.before.map(id),
            filter: Arc::new(self.filter()),
            is_plain: !self.odd,
            ..Query::new(limit)
        }
    }

    fn expected(&self, all: &BTreeMap<RunId, Arc<Run>>) -> Vec<u128> {
        let filter = self.filter();
        let mut found: Vec<&Arc<Run>> = all
            .values()
            .filter(|run| filter(run))
            .filter(|run| self.statuses.is_empty() || self.statuses.contains(&run.shown_status()))
            .filter(|run| self.from.is_none_or(|from| run.id >= id(from)))
            .filter(|run| self.before.is_none_or(|before| run.id < id(before)))
            .filter(|run| !self.order.is_by_end() || run.ended_at.is_some())
            .collect();
        if self.order.is_by_end() {
            found.sort_by_key(|run| (run.ended_at, run.id));
        }
        if matches!(self.order, Order::Newest | Order::EndedLast) {
            found.reverse();
        }
        found.iter().map(|run| run.id.0.as_u128()).collect()
    }

    /// Page by page, as callers do.
    async fn found(&self, node: &Node, limit: usize) -> Vec<u128> {
        let mut numbers = Vec::new();
        let mut after = None;
        loop {
            let (found, _): (Found<RunId, Run>, _) =
                node.reader.list_runs(Query { after, ..self.query(limit) }).await.unwrap();
            assert!(found.rows.len() <= limit);
            numbers.extend(found.rows.iter().map(|run| run.id.0.as_u128()));
            after = found.next;
            if after.is_none() {
                return numbers;
            }
        }
    }
}

async fn every_run(node: &Node) -> BTreeMap<RunId, Arc<Run>> {
    let mut all = BTreeMap::new();
    for number in 1..=RUNS {
        if let Some(run) = node.reader.find_run(id(number)).await.unwrap() {
            all.insert(run.id, run);
        }
    }
    all
}

fn wishes() -> Vec<Wish> {
    let mut wishes = Vec::new();
    for order in [Order::Newest, Order::Oldest, Order::EndedLast, Order::EndedFirst] {
        let wish = || Wish::new(order);
        wishes.extend([
            wish(),
            Wish { statuses: vec!["cancelled"], ..wish() },
            Wish { statuses: vec!["cancelled", "failed", "waiting"], workflows: vec!["flow-1"], ..wish() },
            Wish { statuses: vec!["failed"], ..wish() },
            Wish { workflows: vec!["flow-0", "flow-4", "flow-0", "nobody"], ..wish() },
            Wish { labels: vec![("team", "team-1")], ..wish() },
            Wish { labels: vec![("team", "team-1"), ("rare", "true")], ..wish() },
            Wish { labels: vec![("team", "team-2")], workflows: vec!["flow-2"], odd: true, ..wish() },
            Wish { labels: vec![("team", "nobody")], ..wish() },
            Wish { from: Some(10), before: Some(33), ..wish() },
            Wish { from: Some(31), workflows: vec!["flow-3"], odd: true, ..wish() },
            Wish { from: Some(40), before: Some(40), ..wish() },
        ]);
    }
    wishes
}

#[tokio::test]
async fn a_search_finds_what_a_look_at_every_row_finds() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = filled(folder.path()).await;
    for round in 0..3 {
        let all = every_run(&node).await;
        for wish in wishes() {
            for limit in [3, 1_000] {
                let expected = wish.expected(&all);
                assert_eq!(wish.found(&node, limit).await, expected, "round {round}: {:?}", wish.order);
                let (_, total) = node.reader.list_runs(wish.query(limit)).await.unwrap();
                assert!(
                    total.is_none_or(|total| total == expected.len() as u64),
                    "{total:?} {:?}",
                    wish.statuses
                );
                let is_known = wish.labels.is_empty() && wish.from.is_none() && !wish.odd;
                assert_eq!(total.is_some(), is_known);
            }
        }
        // Then with everything on the disk, then from a fresh start.
        node.reader.sync().await.unwrap();
        if round == 1 {
            drop(node);
            node = Node::open(folder.path()).await;
        }
    }
}

#[tokio::test]
async fn deleted_runs_are_gone_at_once_and_leave_nothing_behind() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut node = filled(folder.path()).await;
    let all = every_run(&node).await;
    let ended: Vec<RunId> = all.values().filter(|run| run.status.is_terminal()).map(|run| run.id).collect();
    let (some, rest) = ended.split_at(ended.len() / 2);
    let delete =
        |runs: &[RunId]| Command::DeleteEnded(DeleteEnded { runs: runs.to_vec(), ..DeleteEnded::default() });
    node.commit(&[delete(some)]).await;
    let check = async |node: &Node| {
        for order in [Order::Newest, Order::EndedFirst] {
            let kept: BTreeMap<_, _> =
                all.iter().filter(|(id, _)| !some.contains(id)).map(|(id, run)| (*id, run.clone())).collect();
            assert_eq!(Wish::new(order).found(node, 7).await, Wish::new(order).expected(&kept));
        }
        assert_eq!(node.reader.find_run(some[0]).await.unwrap(), None);
    };
    check(&node).await;
    node.reader.drain().await.unwrap();
    check(&node).await;
    let (_, total) = node.reader.list_runs(Query::new(1)).await.unwrap();
    assert_eq!(total, Some((all.len() - some.len()) as u64));
    node.commit(&[delete(rest)]).await;
    node.reader.sync().await.unwrap();

    // A node that drains after each record comes to the same rows.
    let mut often = Node::open(other.path()).await;
    for entry in openraft::RaftLogReader::try_get_log_entries(&mut node.log, 1..).await.unwrap() {
        openraft::storage::RaftStateMachine::apply(&mut often.machine, [entry]).await.unwrap();
        often.reader.drain().await.unwrap();
    }
    assert_eq!(node.reader.state_hash().await.unwrap(), often.reader.state_hash().await.unwrap());
    drop(node);
    assert_eq!(index_of(folder.path()).len(), 0);
}

#[tokio::test]
async fn an_index_that_is_missing_is_made_of_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let node = filled(folder.path()).await;
    node.reader.sync().await.unwrap();
    drop(node);
    let before = index_of(folder.path());
    assert!(before.len() > 100);
    let db = open_state(folder.path());
    db.delete([0x02]).unwrap();
    for (key, _) in before.iter().skip(10) {
        db.delete(key).unwrap();
    }
    db.put(b"fnothing has this key", []).unwrap();
    drop(db);
    drop(Node::open(folder.path()).await);
    assert_eq!(index_of(folder.path()), before);
}

#[tokio::test]
async fn what_was_kept_long_enough_is_told_oldest_end_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    node.live_a_little(0, 30).await;
    node.reader.drain().await.unwrap();
    let all =
        node.reader.list_tasks(Query { order: Order::EndedFirst, ..Query::new(1_000) }).await.unwrap().0;
    let ends: Vec<(Timestamp, TaskId)> =
        all.rows.iter().map(|task| (task.ended_at.unwrap(), task.id)).collect();
    let ids = |ends: &[(Timestamp, TaskId)]| ends.iter().map(|(_, id)| *id).collect::<Vec<_>>();
    let kept = |ended_since, max| Kept { ended_since, max, now: Timestamp(0) };
    let overdue = async |ended_since: Timestamp, max: u64| {
        node.reader.overdue_tasks(kept(ended_since, max), Reached::default(), 20).await.unwrap()
    };
    let many = u64::MAX;
    assert_eq!(overdue(Timestamp(0), many).await.0, []);
    let young: Vec<_> = ends.iter().filter(|(at, _)| *at < ends[5].0).map(|(_, id)| *id).collect();
    assert_eq!(overdue(ends[5].0, many).await.0, young);
    assert_eq!(overdue(Timestamp(0), ends.len() as u64 - 3).await.0, ids(&ends[..3]));
    let (found, reached) = overdue(Timestamp(u64::MAX), many).await;
    assert_eq!(found, ids(&ends[..20]));
    let all_of_them = kept(Timestamp(u64::MAX), many);
    let (found, _) = node.reader.overdue_tasks(all_of_them, reached, 2).await.unwrap();
    assert_eq!(found, ids(&ends[20..22]), "it goes on where the earlier one had come to");
    assert!(all.rows.iter().all(|task| task.id != task_id(999)));
}

fn open_state(data: &Path) -> DB {
    let group = data.join("group-0");
    let mut folders = std::fs::read_dir(group).unwrap().map(|entry| entry.unwrap().path());
    let is_state =
        |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("state-");
    DB::open(&Options::default(), folders.find(is_state).unwrap()).unwrap()
}

/// Every entry of the indexes.
fn index_of(data: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let db = open_state(data);
    let all = db.iterator(IteratorMode::Start).map(Result::unwrap);
    let all = all.map(|(key, value)| (key.into_vec(), value.into_vec()));
    all.filter(|(key, _)| b"fghFGH".contains(&key[0])).collect()
}
