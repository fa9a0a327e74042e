//! Which logs are kept in which files, in memory. A log is at most two files, one after the other; a file's name says whose
//! it is, at which byte of the log it begins and how many lines were before it. Knows nothing of what is in the files.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::Owner;

/// Even a short file takes a block of the disk.
const BLOCK_BYTES: u64 = 4096;

/// All logs of a node.
#[derive(Debug, Default)]
pub(super) struct Index {
    logs: BTreeMap<Owner, Log>,
    bytes: u64,
}

#[derive(Debug)]
struct Log {
    /// The oldest first.
    files: Vec<LogFile>,
    written_at: u64,
}

/// One file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogFile {
    /// The byte of the log at which it begins.
    pub(super) start: u64,
    /// Its bytes.
    pub(super) length: u64,
    /// Lines of the log before it.
    pub(super) lines_before: u64,
    /// Its lines, once they were counted.
    pub(super) lines: Option<u64>,
}

impl LogFile {
    pub(super) fn end(&self) -> u64 {
        self.start + self.length
    }

    pub(super) fn path(&self, folder: &Path, owner: Owner) -> PathBuf {
        folder.join(format!("{owner}.{:x}.{:x}.log", self.start, self.lines_before))
    }

    fn of_name(name: &str) -> Option<(Owner, LogFile)> {
        let mut parts = name.strip_suffix(".log")?.split('.');
        let (owner, start, before) = (parts.next()?, parts.next()?, parts.next()?);
        let number = |text| u64::from_str_radix(text, 16).ok();
        let file = LogFile { start: number(start)?, length: 0, lines_before: number(before)?, lines: None };
        Some((owner.parse().ok()?, file))
    }

    fn cost(&self) -> u64 {
        self.length.next_multiple_of(BLOCK_BYTES)
    }
}

impl Index {
    /// What is in a folder; it is created where it is missing. Files with other names are left alone.
    pub(super) fn open(folder: &Path) -> io::Result<Index> {
        fs::create_dir_all(folder)?;
        let mut index = Index::default();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Some((owner, mut file)) = entry.file_name().to_str().and_then(LogFile::of_name) else {
                continue;
            };
            let metadata = entry.metadata()?;
            file.length = metadata.len();
            let written = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let written_at = written.map_or(0, |at| u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
            index.put(owner, file, written_at);
        }
        Ok(index)
    }

    /// The files of a log, the oldest first.
    pub(super) fn files(&self, owner: Owner) -> Vec<LogFile> {
        self.logs.get(&owner).map(|log| log.files.clone()).unwrap_or_default()
    }

    /// Where a log ends.
    pub(super) fn end(&self, owner: Owner) -> u64 {
        self.logs.get(&owner).and_then(|log| log.files.last()).map_or(0, LogFile::end)
    }

    /// Puts a file in, in place of the one with the same start.
    pub(super) fn put(&mut self, owner: Owner, file: LogFile, written_at: u64) {
        let log = self.logs.entry(owner).or_insert_with(|| Log { files: Vec::new(), written_at });
        log.written_at = log.written_at.max(written_at);
        self.bytes += file.cost();
        match log.files.binary_search_by_key(&file.start, |known| known.start) {
            Ok(place) => self.bytes -= std::mem::replace(&mut log.files[place], file).cost(),
            Err(place) => log.files.insert(place, file),
        }
    }

    /// Takes the oldest file of a log out, if it has more than `keep`.
    pub(super) fn take_oldest(&mut self, owner: Owner, keep: usize) -> Option<LogFile> {
        let log = self.logs.get_mut(&owner).filter(|log| log.files.len() > keep)?;
        let file = log.files.remove(0);
        self.bytes -= file.cost();
        Some(file)
    }

    /// Takes the logs out that were last written to before a time, and those written to the longest ago if all are more
    /// than `bytes_max`: then as many as make room for a while.
    pub(super) fn take_old(&mut self, before: u64, bytes_max: u64) -> Vec<(Owner, LogFile)> {
        let mut by_age: Vec<(u64, Owner)> =
            self.logs.iter().map(|(owner, log)| (log.written_at, *owner)).collect();
        by_age.sort_unstable();
        let room = if self.bytes > bytes_max { bytes_max / 10 * 9 } else { bytes_max };
        let mut taken = Vec::new();
        for (written_at, owner) in by_age {
            if written_at >= before && self.bytes <= room {
                break;
            }
            let files = self.logs.remove(&owner).map(|log| log.files).unwrap_or_default();
            self.bytes -= files.iter().map(LogFile::cost).sum::<u64>();
            taken.extend(files.into_iter().map(|file| (owner, file)));
        }
        taken
    }

    /// What all files take on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Now, in milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orc_domain::{RunId, TaskId};
    use uuid::Uuid;

    fn owner(number: u128) -> Owner {
        Owner::Run(RunId(Uuid::from_u128(number)))
    }

    fn file(start: u64, length: u64) -> LogFile {
        LogFile { start, length, lines_before: 7, lines: Some(1) }
    }

    #[test]
    fn a_name_says_it_all() {
        for owner in [owner(5), Owner::from(TaskId::Single(Uuid::from_u128(9)))] {
            let path = file(4711, 0).path(Path::new("folder"), owner);
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            let expected = LogFile { lines: None, ..file(4711, 0) };
            assert_eq!(LogFile::of_name(name), Some((owner, expected)), "{name}");
        }
        assert_eq!(LogFile::of_name("notes.txt"), None);
        assert_eq!(LogFile::of_name("run_x.0.0.log"), None);
    }

    #[test]
    fn the_oldest_logs_make_room() {
        let mut index = Index::default();
        for number in 1..=10 {
            index.put(owner(number), file(0, 4000), u64::try_from(number).expect("small"));
        }
        index.put(owner(10), file(0, 4096), 10);
        assert_eq!(index.bytes(), 10 * BLOCK_BYTES, "a file that grew counts once, and as a whole block");
        assert_eq!(index.take_old(3, u64::MAX).len(), 2, "by age");
        assert_eq!(index.take_old(0, 8 * BLOCK_BYTES), [], "no more than fits");
        let gone = index.take_old(0, 7 * BLOCK_BYTES);
        assert_eq!(gone.iter().map(|(owner, _)| *owner).collect::<Vec<_>>(), [owner(3), owner(4)]);
        assert_eq!((index.bytes(), index.end(owner(4)), index.end(owner(5))), (6 * BLOCK_BYTES, 0, 4000));
    }

    #[test]
    fn a_log_keeps_its_newest_files() {
        let mut index = Index::default();
        for start in [20, 0, 10] {
            index.put(owner(1), file(start, 10), 1);
        }
        assert_eq!(index.take_oldest(owner(1), 2).map(|file| file.start), Some(0));
        assert_eq!(index.take_oldest(owner(1), 2), None);
        assert_eq!(index.files(owner(1)).iter().map(|file| file.start).collect::<Vec<_>>(), [10, 20]);
        assert_eq!(index.end(owner(1)), 30);
    }
}
