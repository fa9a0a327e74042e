//! How many bytes a data folder takes on the disk.
//! Knows nothing of what is in it.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How old an answer may be: each costs a look at every file.
const AGE_MAX: Duration = Duration::from_secs(10);
/// What `st_blocks` counts, whatever the disk's own blocks are.
const BLOCK: u64 = 512;

/// A data folder.
pub(super) struct Storage {
    folder: PathBuf,
    known: Mutex<Option<(Instant, u64)>>,
}

impl Storage {
    pub(super) fn new(folder: PathBuf) -> Self {
        Storage { folder, known: Mutex::default() }
    }

    /// The bytes it takes, as of a few seconds ago.
    pub(super) async fn bytes(&self) -> u64 {
        let known = *self.known.lock();
        if let Some((_, bytes)) = known.filter(|(at, _)| at.elapsed() < AGE_MAX) {
            return bytes;
        }
        let folder = self.folder.clone();
        let looked = orc_runtime::blocking(move || taken(&folder)).await;
        let bytes = looked.unwrap_or_else(|_| known.map_or(0, |(_, bytes)| bytes));
        *self.known.lock() = Some((Instant::now(), bytes));
        bytes
    }
}

/// The blocks of every file below a folder. A file that snapshots share with the state counts once; one that goes
/// meanwhile counts not at all.
fn taken(folder: &Path) -> u64 {
    let (mut open, mut seen, mut bytes) = (vec![folder.to_owned()], BTreeSet::new(), 0);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                open.push(entry.path());
            } else if found.nlink() == 1 || seen.insert((found.dev(), found.ino())) {
                bytes += found.blocks() * BLOCK;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shared_files_count_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let below = folder.path().join("below");
        fs::create_dir(&below).expect("a folder");
        fs::write(below.join("one"), vec![1; 64 * 1024]).expect("it is written");
        fs::hard_link(below.join("one"), folder.path().join("two")).expect("links work");
        let file = fs::File::open(below.join("one")).expect("it is there");
        file.sync_all().expect("it is written");
        let bytes = Storage::new(folder.path().to_owned()).bytes().await;
        assert!((64 * 1024..100 * 1024).contains(&bytes), "{bytes}");
        assert_eq!(Storage::new(folder.path().join("nowhere")).bytes().await, 0);
    }
}
