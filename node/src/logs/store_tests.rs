//! What a store promises: bounds that say what they cost, lines that are there after a restart, readers that wait.
//! Knows nothing of other nodes.

use orc_client::wire::LogStream;
use orc_domain::{RunId, StepIx};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::logs::{Found, Owner, Record, Wanted};

const RUN: Owner = Owner::Run(RunId(Uuid::from_u128(1)));
const OTHER: Owner = Owner::Run(RunId(Uuid::from_u128(2)));

fn limits(owner_bytes: u64, total_bytes: u64) -> LogLimits {
    LogLimits { owner_bytes, total_bytes, ..LogLimits::default() }
}

fn store(folder: &TempDir, limits: LogLimits) -> Arc<LogStore> {
    LogStore::open(folder.path().join("logs"), limits).expect("a folder")
}

fn record(at: u64, step: StepIx, text: &str) -> Record {
    Record { at, step: Some(step), task: None, attempt: 1, stream: LogStream::Stdout, text: text.to_owned() }
}

fn append(store: &LogStore, owner: Owner, texts: &[&str]) {
    let records = texts.iter().map(|text| record(5, 0, text)).collect();
    store.append(Batch { owner, records }).expect("room");
}

fn wanted(limit: usize) -> Wanted {
    Wanted { child: None, steps: None, text: None, limit, tail: false }
}

async fn found(store: &Arc<LogStore>, after: u64, wanted: Wanted) -> (Vec<Found>, u64, bool) {
    let request = Request { after: vec![(RUN, after)], wanted, wait: Duration::ZERO };
    match store.read(request).await {
        Answer::Lines { lines, upto, more } => (lines, upto[0].1, more),
        Answer::Failed => panic!("it cannot be read"),
    }
}

async fn texts(store: &Arc<LogStore>, after: u64, wanted: Wanted) -> Vec<String> {
    found(store, after, wanted).await.0.into_iter().map(|found| found.record.text).collect()
}

#[tokio::test]
async fn what_was_taken_can_be_read_at_once_and_page_by_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder, LogLimits::default());
    append(&store, RUN, &["a", "b"]);
    append(&store, OTHER, &["elsewhere"]);
    append(&store, RUN, &["c"]);
    let (first, _, more) = found(&store, 0, wanted(2)).await;
    assert!(more && first.len() == 2);
    let (rest, upto, more) = found(&store, first[1].to, wanted(2)).await;
    assert_eq!((rest[0].record.text.as_str(), rest[0].to, more), ("c", upto, false));
    assert_eq!(texts(&store, upto, wanted(2)).await, [""; 0]);
    assert_eq!(texts(&store, 0, Wanted { tail: true, ..wanted(2) }).await, ["b", "c"]);
}

#[tokio::test]
async fn a_read_waits_for_what_was_taken_before_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder, LogLimits::default());
    for number in 0..50 {
        append(&store, RUN, &vec!["many of them"; 1000]);
        append(&store, RUN, &[&format!("the last of {number}")]);
        let last = texts(&store, 0, Wanted { tail: true, ..wanted(1) }).await;
        assert_eq!(last, [format!("the last of {number}")]);
    }
}

#[tokio::test]
async fn lines_are_chosen_by_step_and_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder, LogLimits::default());
    let records = vec![record(1, 0, "load"), record(2, 1, "train"), record(3, 1, "loss 0.5")];
    store.append(Batch { owner: RUN, records }).expect("room");
    assert_eq!(texts(&store, 0, Wanted { steps: Some(vec![1]), ..wanted(9) }).await, ["train", "loss 0.5"]);
    assert_eq!(texts(&store, 0, Wanted { text: Some("lo".into()), ..wanted(9) }).await, ["load", "loss 0.5"]);
    let (_, upto, more) = found(&store, 0, Wanted { text: Some("nowhere".into()), ..wanted(1) }).await;
    assert_eq!((texts(&store, upto, wanted(9)).await, more), (vec![], false), "it was looked at to the end");
}

#[tokio::test]
async fn a_long_log_loses_its_oldest_lines_and_says_how_many() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder, limits(20_000, 1 << 30));
    for number in 0..1000 {
        append(&store, RUN, &[&format!("line {number}")]);
        append(&store, OTHER, &["x"]);
    }
    let kept = texts(&store, 0, wanted(9999)).await;
    let dropped = 1000 - (kept.len() - 1);
    assert!(kept[0].starts_with(&format!("{dropped} lines were dropped here")), "{}", kept[0]);
    assert_eq!((&*kept[1], kept.last()), (&*format!("line {dropped}"), Some(&"line 999".to_owned())));
    let on_disk: u64 = std::fs::read_dir(folder.path().join("logs"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").metadata().expect("metadata").len())
        .sum();
    assert!((10_000..2 * 20_000).contains(&on_disk), "{on_disk} bytes of two logs");
    assert!(
        texts(&store, 100, wanted(1)).await[0].contains("were dropped"),
        "a reader that stayed behind is told"
    );
    assert_eq!(texts(&store, 0, Wanted { tail: true, ..wanted(1) }).await, ["line 999"]);
}

#[tokio::test]
async fn all_logs_together_are_bounded_and_so_is_their_age() {
    let folder = tempfile::tempdir().expect("a folder");
    let opened = store(&folder, limits(1 << 20, 8 * 4096));
    append(&opened, RUN, &["the first"]);
    opened.flush().await;
    for number in 10..30 {
        append(&opened, Owner::Run(RunId(Uuid::from_u128(number))), &["x"]);
        opened.flush().await;
    }
    let files = || std::fs::read_dir(folder.path().join("logs")).expect("the folder").count();
    append(&opened, OTHER, &["the last"]);
    opened.flush().await;
    // The thread removes files after a burst of lines.
    let removed = async {
        while files() > 8 {
            opened.flush().await;
        }
    };
    timeout(Duration::from_secs(20), removed).await.expect("it becomes less");
    assert!(files() > 0);
    assert_eq!(texts(&opened, 0, wanted(9)).await, [""; 0], "the oldest log is gone");
    drop(opened);
    for entry in std::fs::read_dir(folder.path().join("logs")).expect("the folder") {
        let file = std::fs::File::options().append(true).open(entry.expect("an entry").path());
        file.expect("a log").set_modified(std::time::UNIX_EPOCH).expect("an old log");
    }
    let again = store(&folder, LogLimits::default());
    again.flush().await;
    assert_eq!(files(), 0, "all are too old");
}

#[tokio::test]
async fn a_restart_keeps_the_lines_and_what_a_crash_cut_is_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = store(&folder, limits(8_000, 1 << 30));
    append(&before, RUN, &["a", "b"]);
    before.flush().await;
    let (_, upto, _) = found(&before, 0, wanted(9)).await;
    drop(before);
    let name = std::fs::read_dir(folder.path().join("logs")).expect("the folder").next().expect("a file");
    let path = name.expect("an entry").path();
    let mut text = std::fs::read(&path).expect("the log");
    text.extend(br#"{"at":9,"att"#);
    std::fs::write(&path, &text).expect("written");

    let after = store(&folder, limits(8_000, 1 << 30));
    assert_eq!(texts(&after, 0, wanted(9)).await, ["a", "b"]);
    append(&after, RUN, &["c"]);
    assert_eq!(texts(&after, 0, wanted(9)).await, ["a", "b", "c"]);
    assert_eq!(texts(&after, upto, wanted(9)).await, ["c"], "places outlive a restart");
    for number in 0..200 {
        append(&after, RUN, &[&format!("more {number}")]);
    }
    let kept = texts(&after, 0, wanted(999)).await;
    assert!(kept[0].contains("were dropped"), "lines of both lives are counted: {}", kept[0]);
    assert_eq!(
        texts(&after, u64::MAX, wanted(1)).await,
        kept[..1],
        "a place that never was is the beginning"
    );
}

#[tokio::test]
async fn a_reader_waits_for_the_next_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder, LogLimits::default());
    let request =
        Request { after: vec![(RUN, 0), (OTHER, 0)], wanted: wanted(9), wait: Duration::from_secs(20) };
    let waits = tokio::spawn({
        let store = store.clone();
        async move { store.read(request).await }
    });
    tokio::task::yield_now().await;
    append(&store, OTHER, &["there"]);
    match waits.await.expect("no panic") {
        Answer::Lines { lines, .. } => assert_eq!(lines[0].record.text, "there"),
        Answer::Failed => panic!("it cannot be read"),
    }
}

#[tokio::test]
async fn what_cannot_be_written_in_time_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(&folder, LogLimits::default());
    let records = || vec![record(1, 0, &"x".repeat(QUEUE_BYTES_MAX))];
    assert_eq!(store.append(Batch { owner: RUN, records: records() }), Err(Overloaded));
    assert_eq!(store.queued.load(Ordering::Acquire), 0, "the room is given back");
    append(&store, RUN, &["small"]);
    assert_eq!(texts(&store, 0, wanted(9)).await, ["small"]);
}
