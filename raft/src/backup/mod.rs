//! Backups: one file with the state of a node at one log index, and the way from it to the data folder of a new cluster.
//! Knows nothing of Raft's own snapshots, nor of how a file travels. The form of the file, one part after the other:
//! [`MAGIC`]; a [`BackupManifest`] in an envelope; the files of the state's database as the manifest names them; a
//! [`BackupEnd`] in an envelope, with the checksum of each file. Nothing follows.

mod error;
mod make;
mod read;
mod restore;

pub use self::{
    error::BackupError,
    make::Backup,
    read::verify,
    restore::{Restored, restore},
};
pub use crate::codec::{BackupEnd, BackupManifest, BackupPart};

/// What every backup file begins with, in any version of its form.
pub const MAGIC: [u8; 12] = *b"orc backup\r\n";

/// The end of a backup as it would be if every checksum were zero.
fn end_length(files: usize) -> u64 {
    crate::codec::encode(&BackupEnd { checksums: vec![[0; 4]; files] }).len() as u64
}
