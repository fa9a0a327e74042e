//! Reads: rows in memory and on the disk as one, events from both, news without waiting.
//! Knows nothing of crashes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use orc_domain::{Command, DeadSelection, Event, StateKey, Task, TaskStatus};
use orc_raft::store::{EventsError, Query};

use crate::node::{Node, options, set, task_id};

#[tokio::test]
async fn ended_and_live_tasks_are_one_list() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    for round in 0..100 {
        node.live_a_little(round, 1).await;
        if round.is_multiple_of(30) {
            node.reader.drain().await.unwrap();
        }
    }
    let expected: Vec<_> = (0..200).rev().map(task_id).collect();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let (page, total) = node.reader.list_tasks(Query { after, ..Query::new(7) }).await.unwrap();
        assert_eq!(total, Some(200));
        found.extend(page.rows.iter().map(|task| task.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);
    let filter = Arc::new(|task: &Task| task.status == TaskStatus::Completed);
    let (ended, _) = node.reader.list_tasks(Query { filter, ..Query::new(1_000) }).await.unwrap();
    assert!(ended.rows.len() > 150 && ended.next.is_none());
    let first = node.reader.find_task(task_id(0)).await.unwrap().unwrap();
    assert_eq!(first.status, TaskStatus::Completed);
    assert_eq!(node.reader.task(&task_id(0)), None, "it left memory");
    assert_eq!(node.reader.find_task(task_id(999)).await.unwrap(), None);
    assert_eq!(node.reader.list_runs(Query::new(10)).await.unwrap().0.rows.len(), 0);
}

#[tokio::test]
async fn the_dead_letter_list_is_read_in_pages_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    node.let_die(0..300).await;
    let listed = |node: &Node, limit| {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = node.reader.list_dead(before, limit, |dead| &*dead.action == "train");
            let Some(last) = page.last() else { return found };
            before = Some(last.task);
            found.extend(page.iter().map(|dead| dead.task));
        }
    };
    let expected: Vec<_> = (0..300).rev().map(task_id).collect();
    assert_eq!((listed(&node, 7), listed(&node, 500)), (expected.clone(), expected.clone()));
    assert!(node.reader.list_dead(None, 9, |dead| &*dead.action == "other").is_empty());
    node.reader.drain().await.unwrap();
    drop(node);
    let mut node = Node::open(folder.path()).await;
    assert_eq!(listed(&node, 500), expected);
    assert_eq!(node.reader.dead(&task_id(7)).unwrap().task, task_id(7));
    node.commit(&[Command::DropDeadTasks { which: DeadSelection::Tasks(vec![task_id(7)]) }]).await;
    assert_eq!(node.reader.dead(&task_id(7)), None);
    node.reader.drain().await.unwrap();
    drop(node);
    assert_eq!(listed(&Node::open(folder.path()).await, 500).len(), 299);
}

#[tokio::test]
async fn versions_are_kept_as_many_as_configured() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    for value in 1..=25 {
        node.commit(&[set("a.key", value)]).await;
        if value % 7 == 0 {
            node.reader.drain().await.unwrap();
        }
    }
    let key: StateKey = "a.key".parse().unwrap();
    let kept = usize::try_from(node.reader.config().versions_max).unwrap();
    let page = node.reader.list_versions(key.clone(), None, 100).await.unwrap();
    let versions: Vec<_> = page.rows.iter().map(|version| version.version).collect();
    assert_eq!(versions, (16..=25).rev().collect::<Vec<_>>());
    assert_eq!(versions.len(), kept);
    let older = node.reader.list_versions(key.clone(), Some(20), 2).await.unwrap();
    assert_eq!(older.rows.iter().map(|version| version.version).collect::<Vec<_>>(), [19, 18]);
    let one = node.reader.find_version(key.clone(), 17).await.unwrap().unwrap();
    assert_eq!(one.value.as_ref().unwrap().as_str(), "17");
    assert_eq!(node.reader.find_version(key, 3).await.unwrap(), None);
}

#[tokio::test]
async fn keys_are_found_by_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    let names: Vec<String> = (0..400).map(|number| format!("b.{number:03}")).collect();
    for chunk in names.chunks(100) {
        node.commit(&chunk.iter().map(|name| set(name, 1)).collect::<Vec<_>>()).await;
    }
    node.commit(&[set("a", 1), set("b", 1), set("b-other", 1), set("c.d", 1)]).await;
    let found = |prefix: &str, after: Option<&str>, limit| {
        let after = after.map(|after| after.parse().unwrap());
        let rows = node.reader.keys(prefix, after.as_ref(), limit, |_| true);
        rows.iter().map(|row| row.key.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("b.", None, 1_000), names);
    assert_eq!(found("b.", Some("b.197"), 3), ["b.198", "b.199", "b.200"]);
    assert_eq!(found("", None, 3), ["a", "b", "b-other"]);
    assert_eq!(found("c", None, 3), ["c.d"]);
    assert_eq!(found("", Some("b.398"), 9), ["b.399", "c.d"]);
    assert!(found("x", None, 3).is_empty() && found("ü", None, 3).is_empty());
}

#[tokio::test]
async fn events_come_from_memory_and_disk_without_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    node.live_a_little(0, 20).await;
    node.reader.sync().await.unwrap();
    drop(node);
    let mut node = Node::open(folder.path()).await;
    let mut news = node.reader.events();
    node.live_a_little(20, 5).await;
    let last = node.reader.last_seq();
    assert!(news.recv().await.unwrap()[0].seq > 0);

    let mut found = Vec::new();
    let mut after = 0;
    while after < last {
        let page = node.reader.events_since(after, 33, |_| true).await.unwrap();
        found.extend(page.events.iter().map(|event| event.seq));
        after = page.upto;
    }
    assert_eq!(found, (1..=last).collect::<Vec<_>>());
    let changed = |event: &orc_domain::Recorded| matches!(event.event, Event::StateChanged { .. });
    let page = node.reader.events_since(0, 10_000, changed).await.unwrap();
    assert_eq!((page.events.len(), page.upto, page.more), (50, last, false));
    assert_eq!(node.reader.events_since(last + 7, 10, |_| true).await.unwrap().events, []);
}

#[tokio::test]
async fn old_events_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(1);
    options.events_kept.count = 100;
    let mut node = Node::open_with(folder.path(), options.clone()).await.unwrap();
    for round in 0..40 {
        node.live_a_little(round, 1).await;
        node.reader.drain().await.unwrap();
    }
    let (first, last) = (node.reader.first_seq(), node.reader.last_seq());
    assert!(last > 300 && (last - 250..=last - 90).contains(&first), "{first} of {last}");
    let page = node.reader.events_since(first - 1, 10_000, |_| true).await.unwrap();
    assert_eq!(page.events.len() as u64, last + 1 - first);
    let gone = node.reader.events_since(first - 2, 10, |_| true).await.unwrap_err();
    assert!(matches!(gone, EventsError::Compacted { first_seq } if first_seq == first));
    drop(node);
    let node = Node::open_with(folder.path(), options).await.unwrap();
    assert_eq!(node.reader.first_seq(), first);
}

#[tokio::test]
async fn events_that_go_while_they_are_read_are_not_taken_for_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    for round in 0..40 {
        node.live_a_little(round, 1).await;
        node.reader.sync().await.unwrap();
    }
    drop(node);
    let mut options = options(1);
    options.events_kept.count = 100;
    let mut node = Node::open_with(folder.path(), options).await.unwrap();
    node.live_a_little(40, 1).await;
    let (reader, runtime) = (node.reader.clone(), tokio::runtime::Handle::current());
    let drained = AtomicBool::new(false);
    let drains = move |_: &orc_domain::Recorded| {
        if !drained.swap(true, Ordering::Relaxed) {
            runtime.block_on(reader.drain()).unwrap();
        }
        true
    };
    let page = node.reader.events_since(0, 10_000, drains).await.unwrap();
    let first = node.reader.first_seq();
    assert!(page.upto > 0 && page.upto + 1 < first, "{} before {first}", page.upto);
    assert!(page.more, "there are events after {}", page.upto);
    let gone = node.reader.events_since(page.upto, 10, |_| true).await.unwrap_err();
    assert!(matches!(gone, EventsError::Compacted { first_seq } if first_seq == first));
}

#[tokio::test]
async fn events_go_with_their_age() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(1);
    options.events_kept.age = std::time::Duration::from_millis(1);
    let mut node = Node::open_with(folder.path(), options).await.unwrap();
    let mut kept = Vec::new();
    for round in 0..10 {
        node.live_a_little(round, 1).await;
        node.reader.drain().await.unwrap();
        kept.push(node.reader.last_seq() + 1 - node.reader.first_seq());
    }
    assert!(node.reader.last_seq() > 50, "{kept:?}");
    assert!(kept.iter().all(|count| *count <= 20), "only the latest are young: {kept:?}");
}

#[tokio::test]
async fn whoever_hears_of_an_effect_finds_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    let mut effects = node.reader.effects();
    let reader = node.reader.clone();
    let delivered = tokio::spawn(async move {
        while let Ok(effects) = effects.recv().await {
            for effect in effects.iter() {
                if let orc_domain::Effect::DeliverTask { task, token, .. } = effect {
                    let row = reader.task(task).unwrap();
                    return row.is_current(*token);
                }
            }
        }
        false
    });
    node.live_a_little(0, 1).await;
    assert!(delivered.await.unwrap());
}

#[tokio::test]
async fn what_is_read_is_never_newer_than_the_node_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::open(folder.path()).await;
    let (reader, over) = (node.reader.clone(), Arc::new(AtomicBool::new(false)));
    let ended = over.clone();
    let looking = std::thread::spawn(move || {
        let key: StateKey = "a".parse().unwrap();
        let mut looks = 0u64;
        while !ended.load(Ordering::Relaxed) {
            let read = reader.key(&key).map_or(0, |record| record.rev);
            let newest = reader.newest();
            assert!(read <= newest, "{read} was read where {newest} is the newest");
            looks += 1;
        }
        looks
    });
    for value in 0..2_000 {
        node.commit(&[set("a", value)]).await;
    }
    over.store(true, Ordering::Relaxed);
    assert!(looking.join().expect("nothing newer") > 1_000);
}
