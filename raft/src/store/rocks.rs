//! How we open RocksDB: nothing recycled, nothing reordered, everything verified.
//! Knows nothing of what is stored.

use std::path::{Path, PathBuf};

use orc_runtime::SIMULATED;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRecoveryMode, ErrorKind, LogLevel, Options,
    WaitForCompactOptions,
};

use crate::error::StartError;

/// What both databases have in common. Settings that trade safety for speed keep their safe defaults: no recycled,
/// pipelined, unordered or manually flushed write-ahead log.
fn base(recovery: DBRecoveryMode, cache_bytes: usize) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_bloom_filter(10.0, false);
    blocks.set_block_cache(&Cache::new_lru_cache(cache_bytes));
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(recovery);
    options.set_recycle_log_file_num(0);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_max_background_jobs(2);
    options.set_write_buffer_size(32 << 20);
    options.set_keep_log_file_num(4);
    options.set_log_level(LogLevel::Warn);
    options.set_max_total_wal_size(256 << 20);
    options
}

/// For the log: everything synced must be there. The default recovery opens "ok" without half of it after one flipped
/// bit; this one refuses, and still takes the torn tail of a write nobody was told of.
pub fn log_options() -> Options {
    let mut options = base(DBRecoveryMode::TolerateCorruptedTailRecords, 8 << 20);
    options.set_track_and_verify_wals_in_manifest(true);
    options
}

/// For the state: it says itself where it stands, so a consistent prefix is enough after a power cut.
pub fn state_options() -> Options {
    base(DBRecoveryMode::PointInTime, 64 << 20)
}

/// In a simulation, lets RocksDB's own threads come to the end of what they began, so that which files there are does not
/// depend on how fast they are.
pub fn settle(db: &DB) -> Result<(), rocksdb::Error> {
    if !SIMULATED {
        return Ok(());
    }
    let mut options = WaitForCompactOptions::default();
    options.set_flush(true);
    db.wait_for_compact(&options)
}

/// Why a database does not open; `damaged` makes the error for one whose data cannot be trusted.
pub fn open_error(
    source: rocksdb::Error,
    path: &Path,
    damaged: impl FnOnce(PathBuf, rocksdb::Error) -> StartError,
) -> StartError {
    let lock = path.join("LOCK");
    let path = path.to_owned();
    if source.kind() != ErrorKind::IOError {
        return damaged(path, source);
    }
    if source.as_ref().contains(&*lock.to_string_lossy()) {
        return StartError::InUse { path };
    }
    StartError::Database { path, source }
}
