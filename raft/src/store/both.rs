//! Reads that take rows in memory and on the disk as one, though an installed snapshot replaces both, one after the other.
//! Knows nothing of what is read.

use std::sync::Arc;

use super::{Core, disk::StateDisk, reader::StateReader};
use crate::error::ReadError;

impl StateReader {
    /// Reads memory and disk as one: again where another disk took the place of this one meanwhile, since rows in memory may
    /// have gone over to that.
    pub(super) async fn both<T: Send + 'static>(
        &self,
        read: impl Fn(&Core, &StateDisk) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let read_settled = move |core: &Core, _: &StateDisk| {
            loop {
                let disk = core.disk.read().clone();
                let found = read(core, &disk);
                // Each round more takes another whole snapshot.
                if Arc::ptr_eq(&disk, &core.disk.read()) {
                    return found;
                }
            }
        };
        self.blocking(read_settled).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::{OpenOptions, open};
    use super::*;

    #[tokio::test]
    async fn what_was_read_of_a_disk_that_was_replaced_meanwhile_is_read_again() {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let opened = open(folders[0].path(), OpenOptions::new(1)).unwrap();
        let snapshot = Arc::new(StateDisk::open(folders[1].path()).unwrap());
        let path = snapshot.path.clone();
        let read = move |core: &Core, disk: &StateDisk| {
            *core.disk.write() = snapshot.clone();
            Ok(disk.path.clone())
        };
        assert_eq!(opened.reader.both(read).await.unwrap(), path);
    }
}
