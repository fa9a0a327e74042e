//! What the disk of the data folder does with a small write, and how much room it has.
//! Knows nothing of what is stored there.

use std::{
    fs::OpenOptions,
    io::{Error, ErrorKind, Result, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::room::{Room, RoomLimits};

/// Written over and over, so that it takes no more than this.
const PROBE_BYTES: usize = 4_096;
const PROBE_FILE: &str = "health.probe";
/// A disk that takes longer is as good as none.
const PROBE_WITHIN: Duration = Duration::from_secs(10);

/// The disk of a data folder.
#[derive(Clone)]
pub struct Disk {
    folder: PathBuf,
    limits: RoomLimits,
    /// A probe that hangs keeps its place: there is never a second one.
    place: Arc<Semaphore>,
}

/// What a probe of the disk found.
#[derive(Debug)]
pub(super) struct Probed {
    /// Time until a small write was on the disk.
    pub(super) sync: Result<Duration>,
    /// The room on it.
    pub(super) room: Result<Room>,
}

impl Disk {
    /// The disk under a folder.
    pub fn new(folder: PathBuf, limits: RoomLimits) -> Disk {
        Disk { folder, limits, place: Arc::new(Semaphore::new(1)) }
    }

    /// Writes and looks, on a thread that may wait for the disk.
    pub(super) async fn probe(&self) -> Probed {
        let Ok(place) = self.place.clone().try_acquire_owned() else { return hangs() };
        let (folder, limits) = (self.folder.clone(), self.limits);
        let probing = orc_runtime::blocking(move || {
            let probed = Probed { sync: write(&folder), room: Room::look(&folder, limits) };
            drop(place);
            probed
        });
        match tokio::time::timeout(PROBE_WITHIN, probing).await {
            Ok(Ok(probed)) => probed,
            Ok(Err(_)) | Err(_) => hangs(),
        }
    }
}

fn hangs() -> Probed {
    let error =
        || Error::new(ErrorKind::TimedOut, format!("the disk did not answer within {PROBE_WITHIN:?}"));
    Probed { sync: Err(error()), room: Err(error()) }
}

fn write(folder: &Path) -> Result<Duration> {
    let path = folder.join(PROBE_FILE);
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    let started = Instant::now();
    file.write_all(&[0; PROBE_BYTES])?;
    file.sync_data()?;
    Ok(started.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_probe_writes_one_small_file_and_measures() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Disk::new(folder.path().to_owned(), RoomLimits::default());
        for _ in 0..3 {
            let probed = disk.probe().await;
            assert!(probed.sync.is_ok_and(|took| took > Duration::ZERO));
            assert!(probed.room.is_ok_and(|room| room.free > 0));
        }
        let length = std::fs::metadata(folder.path().join(PROBE_FILE)).expect("it is there").len();
        assert_eq!(length, 4_096);
    }

    #[tokio::test]
    async fn a_probe_tells_what_failed_and_waits_for_no_other() {
        let disk = Disk::new(PathBuf::from("/dev/null/nowhere"), RoomLimits::default());
        let probed = disk.probe().await;
        assert!(probed.sync.is_err() && probed.room.is_err());
        let _held = disk.place.clone().acquire_owned().await.expect("it is never closed");
        let error = disk.probe().await.sync.expect_err("the earlier probe still runs");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
