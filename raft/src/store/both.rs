//! How the disk is read: by few threads, or by one that may take its time; and reads that take rows in memory and on the disk as
//! one, though an installed snapshot replaces both, one after the other. Knows nothing of what is read.

use std::sync::Arc;

use super::{Core, disk::StateDisk, reader::StateReader};
use crate::error::{Fatal, ReadError};

impl StateReader {
    /// Reads in its turn, and waits for nobody while it does.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Core, &StateDisk) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let found = orc_runtime::reading(self.look(read)).await;
        self.checked(found.map_err(|_| ReadError::Stopped)?)
    }

    /// Reads on a thread of its own, and may wait for those who take what is read.
    pub(super) async fn at_leisure<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Core, &StateDisk) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let found = orc_runtime::blocking(self.look(read)).await;
        self.checked(found.map_err(|_| ReadError::Stopped)?)
    }

    fn look<T, R: FnOnce(&Core, &StateDisk) -> Result<T, ReadError>>(
        &self,
        read: R,
    ) -> impl FnOnce() -> Result<T, ReadError> + use<T, R> {
        let core = self.core.clone();
        move || {
            let disk = core.disk.read().clone();
            read(&core, &disk)
        }
    }

    /// A disk that cannot be read or shows damage ends the node: nobody is answered from it.
    fn checked<T>(&self, read: Result<T, ReadError>) -> Result<T, ReadError> {
        read.map_err(|error| {
            if let Some(fatal) = Fatal::of(error) {
                (self.core.fatal)(&fatal);
            }
            ReadError::Stopped
        })
    }

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
