//! The room on the disk of the data folder, in three stages: plenty, low, where no new work is taken, and out of it, where
//! the node ends before a write fails. Knows nothing of who acts on that.

use std::{
    fmt,
    io::Result,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{sync::watch, time::sleep};

/// Between two looks: a disk that is written at 300 MiB/s loses less than the lowest stage has on most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where the stages begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomLimits {
    /// With less of the disk than this, in percent, or
    pub low_percent: u64,
    /// with less than so many bytes, room is low.
    pub low_bytes: u64,
    /// With less of the disk than this, in percent, there is none.
    pub out_percent: u64,
}

impl Default for RoomLimits {
    /// The write-ahead logs of both databases may grow to 256 MiB each before they shrink.
    fn default() -> Self {
        RoomLimits { low_percent: 10, low_bytes: 512 << 20, out_percent: 3 }
    }
}

/// How much room there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Enough.
    #[default]
    Plenty,
    /// Enough to end what has begun.
    Low,
    /// Too little to go on.
    Out,
}

/// The room on a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes that this process may still write.
    pub free: u64,
    /// Bytes of the disk.
    pub total: u64,
    /// Below so many new work is refused.
    pub low: u64,
    /// Below so many the node ends.
    pub out: u64,
}

impl Room {
    /// Of a disk with so many bytes, of which so many are free.
    pub fn new(free: u64, total: u64, limits: RoomLimits) -> Room {
        let percent = |percent: u64| (total / 100).saturating_mul(percent);
        let low = percent(limits.low_percent).max(limits.low_bytes);
        Room { free, total, low, out: percent(limits.out_percent) }
    }

    /// Of the disk under a folder; blocks.
    pub fn look(folder: &Path, limits: RoomLimits) -> Result<Room> {
        let found = rustix::fs::statvfs(folder)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Room::new(bytes(found.f_bavail), bytes(found.f_blocks), limits))
    }

    /// Which stage that is.
    pub fn stage(&self) -> Stage {
        match self.free {
            free if free < self.out => Stage::Out,
            free if free < self.low => Stage::Low,
            _ => Stage::Plenty,
        }
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} MiB are free", self.free >> 20, self.total >> 20)
    }
}

/// Looks again and again for as long as anybody wants to know; the first look is done. What cannot be seen stays as it was.
pub async fn follow(folder: PathBuf, limits: RoomLimits) -> watch::Receiver<Room> {
    let (told, room) = watch::channel(Room::default());
    look(&told, &folder, limits).await;
    tokio::spawn(async move {
        while !told.is_closed() {
            sleep(LOOK_EVERY).await;
            look(&told, &folder, limits).await;
        }
    });
    room
}

async fn look(told: &watch::Sender<Room>, folder: &Path, limits: RoomLimits) {
    let folder = folder.to_owned();
    // A disk that hangs holds this up, and nothing else: there is never a second look.
    let looking = orc_runtime::blocking(move || Room::look(existing(&folder), limits));
    let Ok(Ok(found)) = looking.await else { return };
    let (before, now) = (told.borrow().stage(), found.stage());
    match now {
        _ if now == before => {}
        Stage::Plenty => tracing::info!(room = %found, "the disk has room again"),
        Stage::Low => tracing::warn!(room = %found, "the disk has little room: new work is refused"),
        Stage::Out => tracing::error!(room = %found, "the disk has no room to go on"),
    }
    told.send_if_modified(|known| std::mem::replace(known, found) != found);
}

/// The folder itself, or what it will be made in.
fn existing(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[track_caller]
    fn check(free: u64, total: u64, expected: Stage) {
        assert_eq!(
            Room::new(free * MIB, total * MIB, RoomLimits::default()).stage(),
            expected,
            "{free} of {total}"
        );
    }

    #[test]
    fn the_greater_of_ten_percent_and_512_mib_is_low_and_three_percent_is_out() {
        check(10_000, 100_000, Stage::Plenty);
        check(9_999, 100_000, Stage::Low);
        check(3_000, 100_000, Stage::Low);
        check(2_999, 100_000, Stage::Out);
        check(512, 1_000, Stage::Plenty);
        check(511, 1_000, Stage::Low);
        check(29, 1_000, Stage::Out);
        check(0, 1, Stage::Out);
    }

    #[tokio::test]
    async fn the_disk_under_a_folder_that_is_yet_to_be_made_is_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        let room = *follow(folder.path().join("a/b"), RoomLimits::default()).await.borrow();
        assert!(room.free > 0 && room.free <= room.total, "{room:?}");
    }
}
