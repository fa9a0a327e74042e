//! Transactions, times to live, restored versions and snapshots of state keys.

use super::*;

fn key(name: &str) -> StateKey {
    name.parse().expect("a legal key")
}

fn write(name: &str, value: &str) -> KeyWrite {
    KeyWrite::new(key(name), Some(value.into()), Expect::Any)
}

impl Cluster {
    fn set(&mut self, name: &str, value: &str) {
        self.ok(Command::Transact(Box::new(write(name, value).into())));
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.state.keys.get(&key(name))?.value.as_ref().map(Json::as_str)
    }

    fn snapshot(&mut self, number: u128, automatic: bool) -> SnapshotId {
        let id = SnapshotId(Uuid::from_u128(number));
        let new = NewSnapshot { id, name: None, metadata: "{}".into(), automatic };
        self.ok(Command::CreateSnapshot(new.into()));
        id
    }

    fn restore(&mut self, snapshot: SnapshotId, prefix: Option<&str>, keep_new: bool) -> Answer {
        let restore = RestoreSnapshot { snapshot, prefix: prefix.map(Text::from), keep_new };
        self.ok(Command::RestoreSnapshot(restore.into()))
    }
}

#[test]
fn a_transaction_writes_all_or_nothing() {
    let mut cluster = Cluster::new();
    cluster.set("a", "1");
    let both = |expect| Transaction {
        compare: vec![(key("a"), expect)],
        writes: vec![write("b", "2"), write("c", "3")],
    };
    let stale = Command::Transact(both(Expect::Version(7)).into());
    assert!(matches!(cluster.refused(stale), Rejection::StateVersionConflict { version: 1, .. }));
    assert_eq!((cluster.value("b"), cluster.value("c")), (None, None));
    let rev = cluster.rev + 1;
    assert_eq!(cluster.ok(Command::Transact(both(Expect::Version(1)).into())), Answer::Keys(vec![1, 1]));
    assert_eq!((cluster.value("b"), cluster.value("c")), (Some("2"), Some("3")));
    assert_eq!(cluster.state.keys.get(&key("c")).map(|record| record.rev), Some(rev), "in one entry");
    let twice = Transaction { compare: vec![], writes: vec![write("b", "2"), write("b", "3")] };
    assert!(matches!(cluster.refused(Command::Transact(twice.into())), Rejection::Invalid(_)));
    let nothing = Command::Transact(Transaction::default().into());
    assert!(matches!(cluster.refused(nothing), Rejection::Invalid(_)));
}

#[test]
fn a_value_with_a_time_to_live_goes_away_by_itself() {
    let mut cluster = Cluster::new();
    let lease = |ttl| KeyWrite { ttl, ..write("lease", "1") };
    cluster.ok(Command::Transact(Box::new(lease(Some(Duration::from_secs(5))).into())));
    cluster.pass(Duration::from_millis(4_999));
    assert_eq!(cluster.value("lease"), Some("1"));
    cluster.pass(Duration::from_millis(1));
    assert_eq!(cluster.value("lease"), None);
    let Some(Event::StateChanged(change)) = cluster.state.journal.events.last().map(|fact| &fact.event)
    else {
        panic!("it is told");
    };
    assert_eq!((change.version, change.origin), (2, ChangeOrigin::Expiry));
    cluster.ok(Command::Transact(Box::new(lease(Some(Duration::from_secs(5))).into())));
    cluster.ok(Command::Transact(Box::new(lease(None).into())));
    cluster.pass(Duration::from_secs(60));
    assert_eq!(cluster.value("lease"), Some("1"), "a write without a time to live is for good");
}

#[test]
fn a_restored_version_is_a_new_one() {
    let mut cluster = Cluster::new();
    cluster.set("a", "1");
    cluster.set("a", "2");
    let back = KeyWrite { restores: Some(1), ..write("a", "1") };
    assert_eq!(cluster.ok(Command::Transact(Box::new(back.into()))), Answer::Keys(vec![3]));
    let record = cluster.state.versions.latest(&(key("a"), 3)).map(|version| version.origin);
    assert_eq!(record, Some(ChangeOrigin::Version(1)));
}

#[test]
fn a_snapshot_costs_one_row_and_keeps_what_changes_after_it() {
    let mut cluster = Cluster::new();
    for number in 0..100 {
        cluster.set(&format!("k{number}"), "1");
    }
    let first = cluster.snapshot(1, false);
    assert_eq!((cluster.state.snapshots.len(), cluster.state.saved.len()), (1, 0));
    assert_eq!(cluster.state.snapshot(first).map(|snapshot| snapshot.keys), Some(100));
    cluster.set("k7", "2");
    cluster.set("k7", "3");
    cluster.set("new", "1");
    assert_eq!(cluster.state.saved.len(), 2, "once each");
    assert_eq!(cluster.restore(first, None, false), Answer::Count(2));
    assert_eq!((cluster.value("k7"), cluster.value("new")), (Some("1"), None));
    assert_eq!(cluster.restore(first, None, false), Answer::Count(0), "it is so already");
}

#[test]
fn a_restore_may_be_of_a_part_and_may_keep_what_is_new() {
    let mut cluster = Cluster::new();
    cluster.set("app.a", "1");
    cluster.set("b", "1");
    let snapshot = cluster.snapshot(1, false);
    cluster.set("app.a", "2");
    cluster.set("app.new", "2");
    cluster.set("b", "2");
    assert_eq!(cluster.restore(snapshot, Some("app."), true), Answer::Count(1));
    assert_eq!(cluster.value("app.a"), Some("1"));
    assert_eq!((cluster.value("app.new"), cluster.value("b")), (Some("2"), Some("2")));
}

#[test]
fn an_older_snapshot_outlives_the_one_after_it() {
    let mut cluster = Cluster::new();
    cluster.set("a", "1");
    cluster.set("b", "1");
    let first = cluster.snapshot(1, false);
    cluster.set("a", "2");
    let second = cluster.snapshot(2, false);
    cluster.set("a", "3");
    cluster.set("b", "3");
    cluster.ok(Command::DeleteSnapshot { snapshot: second });
    assert!(matches!(
        cluster.refused(Command::DeleteSnapshot { snapshot: second }),
        Rejection::SnapshotUnknown { .. }
    ));
    cluster.restore(first, None, false);
    assert_eq!((cluster.value("a"), cluster.value("b")), (Some("1"), Some("1")));
    cluster.ok(Command::DeleteSnapshot { snapshot: first });
    assert_eq!(cluster.state.saved.len(), 0, "nothing is kept for nobody");
}

#[test]
fn automatic_snapshots_make_room_and_named_ones_stay() {
    let mut cluster = Cluster::new();
    cluster.configure(|config| (config.snapshots_kept, config.snapshots_max) = (2, 3));
    let own = cluster.snapshot(1, false);
    for number in 2..6 {
        cluster.snapshot(number, true);
    }
    let kept: Vec<u128> =
        cluster.state.snapshots.iter().map(|(_, snapshot)| snapshot.id.0.as_u128()).collect();
    assert_eq!(kept, [1, 4, 5]);
    let more = NewSnapshot {
        id: SnapshotId(Uuid::from_u128(9)),
        name: None,
        metadata: "{}".into(),
        automatic: false,
    };
    let refused = cluster.refused(Command::CreateSnapshot(more.clone().into()));
    assert!(matches!(refused, Rejection::LimitExceeded { what: Limited::Snapshots, limit: 3 }));
    cluster.ok(Command::DeleteSnapshot { snapshot: own });
    let named = NewSnapshot { name: Some("n".into()), ..more };
    cluster.ok(Command::CreateSnapshot(named.clone().into()));
    let same = NewSnapshot { id: SnapshotId(Uuid::from_u128(10)), automatic: true, ..named };
    assert!(matches!(
        cluster.refused(Command::CreateSnapshot(same.into())),
        Rejection::SnapshotNameTaken { .. }
    ));
}
