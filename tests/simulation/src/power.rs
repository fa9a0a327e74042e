//! The disks of simulated nodes: folders of which only what was synced survives a power cut. A file has the length of its
//! last sync and perhaps a part of what came after; a name in a folder is there if the folder was synced since; what was
//! renamed or deleted since is back under its old name.
//! Knows nothing of what the files hold. Files must only grow, which RocksDB's and ours do.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use fastrand::Rng;

const DISKS_FOLDER: &str = "disks";

static DISKS: Mutex<Option<Disks>> = Mutex::new(None);

/// What is known of everything below a folder.
struct Disks {
    root: PathBuf,
    /// Files that a synced folder names keep a second name here, so that deleting them can be undone.
    kept: PathBuf,
    /// The length of a file, by its number, when it was last synced.
    lengths: HashMap<u64, u64>,
    /// What a folder, by its number, named when it was last synced.
    folders: HashMap<u64, BTreeMap<String, Entry>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    File(u64),
    Folder(u64),
}

fn disks() -> MutexGuard<'static, Option<Disks>> {
    DISKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every folder directly below this one is a disk from now on.
pub fn begin(root: &Path) -> io::Result<()> {
    let (root, kept) = (root.join(DISKS_FOLDER), root.join("kept"));
    fs::create_dir_all(&root)?;
    fs::create_dir_all(&kept)?;
    *disks() = Some(Disks { root, kept, lengths: HashMap::new(), folders: HashMap::new() });
    Ok(())
}

/// The folder of a disk, relative to the current one; it is there after any power cut.
pub fn disk(name: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(disks().as_ref().expect("begun").root.join(name))?;
    Ok(Path::new(DISKS_FOLDER).join(name))
}

/// A file or folder was synced. Nothing is known of those outside of the disks.
pub fn synced(file: i32) {
    let mut disks = disks();
    let Some(disks) = disks.as_mut() else { return };
    let Ok(path) = fs::read_link(format!("/proc/self/fd/{file}")) else { return };
    if !path.starts_with(&disks.root) {
        return;
    }
    // A file that was deleted meanwhile has no name to be found under.
    let Ok(found) = fs::metadata(format!("/proc/self/fd/{file}")) else { return };
    if found.is_dir() {
        disks.sync_folder(&path, found.ino()).expect("a folder of a simulated disk can be read");
    } else {
        disks.lengths.insert(found.ino(), found.len());
    }
}

/// Takes what was not synced from a disk whose node is down.
pub fn cut(name: &str, seed: u64) -> io::Result<()> {
    let mut disks = disks();
    let disks = disks.as_mut().expect("begun");
    let (disk, after) = (disks.root.join(name), disks.root.join(format!("{name}.after")));
    fs::create_dir_all(&after)?;
    disks.rebuild(fs::metadata(&disk)?.ino(), &after, seed)?;
    fs::remove_dir_all(&disk)?;
    fs::rename(&after, &disk)?;
    disks.settle(&disk)
}

impl Disks {
    fn sync_folder(&mut self, path: &Path, number: u64) -> io::Result<()> {
        let mut entries = BTreeMap::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            match self.keep(&entry) {
                Ok(kept) => drop(entries.insert(entry.file_name().to_string_lossy().into_owned(), kept)),
                // RocksDB deletes what it no longer needs beside whoever syncs.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let before = self.folders.insert(number, entries);
        for entry in before.into_iter().flat_map(BTreeMap::into_values) {
            let named = self.folders.values().any(|names| names.values().any(|other| *other == entry));
            if let Entry::File(number) = entry
                && !named
            {
                fs::remove_file(self.kept.join(number.to_string()))?;
                self.lengths.remove(&number);
            }
        }
        Ok(())
    }

    /// Gives a file a second name.
    fn keep(&self, entry: &fs::DirEntry) -> io::Result<Entry> {
        let found = entry.metadata()?;
        if found.is_dir() {
            return Ok(Entry::Folder(found.ino()));
        }
        let kept = self.kept.join(found.ino().to_string());
        if !kept.exists() {
            fs::hard_link(entry.path(), kept)?;
        }
        Ok(Entry::File(found.ino()))
    }

    /// Makes a folder as it is after the power cut.
    fn rebuild(&self, from: u64, to: &Path, seed: u64) -> io::Result<()> {
        for (name, entry) in self.folders.get(&from).into_iter().flatten() {
            let path = to.join(name);
            match *entry {
                Entry::Folder(number) => {
                    fs::create_dir(&path)?;
                    self.rebuild(number, &path, seed)?;
                }
                Entry::File(number) => {
                    fs::hard_link(self.kept.join(number.to_string()), &path)?;
                    let file = fs::OpenOptions::new().write(true).open(&path)?;
                    let (length, synced) =
                        (file.metadata()?.len(), self.lengths.get(&number).copied().unwrap_or(0));
                    // The torn end of what was being written. RocksDB deletes old files whenever it comes to it, so each
                    // file has luck of its own; its diary differs from run to run.
                    let mut random = Rng::with_seed(
                        name.bytes()
                            .fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))),
                    );
                    let tears = !name.starts_with("LOG") && random.bool();
                    let left = if tears { random.u64(synced..=length.max(synced)) } else { synced };
                    if left < length {
                        file.set_len(left)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What is there after a start is there for good.
    fn settle(&mut self, folder: &Path) -> io::Result<()> {
        self.sync_folder(folder, fs::metadata(folder)?.ino())?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let found = entry.metadata()?;
            if found.is_dir() {
                self.settle(&entry.path())?;
            } else {
                self.lengths.insert(found.ino(), found.len());
            }
        }
        Ok(())
    }
}
