//! Tells a record of the log that a crash cut short from one whose length was damaged: RocksDB drops both, with whatever comes
//! after, and only the first may go. Nothing can follow a record that was never written whole.
//! Knows RocksDB's record format (blocks of 32 KiB; checksum, length and kind before each record) and nothing of records.

use std::{fs, path::Path};

const BLOCK: usize = 32 * 1024;
const HEADER: usize = 7;
/// Kinds of records: whole, first, middle and last part of one.
const KINDS: std::ops::RangeInclusive<u8> = 1..=4;

/// Where in a file of the log a record begins whose length is damaged, if there is one.
pub fn damaged_length(file: &Path) -> std::io::Result<Option<usize>> {
    Ok(find(&fs::read(file)?))
}

fn find(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while bytes.len() - at >= HEADER {
        let block_end = (at / BLOCK + 1) * BLOCK;
        if block_end - at < HEADER {
            at = block_end.min(bytes.len());
            continue;
        }
        let length = length_of(bytes, at);
        if length == 0 && bytes[at + 6] == 0 {
            return None; // space that was set aside
        }
        let end = at + HEADER + length;
        if end > block_end.min(bytes.len()) {
            return follows(bytes, at + 1).then_some(at);
        }
        at = end;
    }
    None
}

fn length_of(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]))
}

/// Whether a whole record begins anywhere from a place on.
fn follows(bytes: &[u8], from: usize) -> bool {
    (from..bytes.len().saturating_sub(HEADER)).any(|at| {
        let end = at + HEADER + length_of(bytes, at);
        let fits = KINDS.contains(&bytes[at + 6]) && end > at + HEADER && end <= bytes.len();
        fits && stored_checksum(bytes, at) == checksum(&bytes[at + 6..end])
    })
}

fn stored_checksum(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Over kind and content, in the form that is stored.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(out: &mut Vec<u8>, content: &[u8]) {
        let body = [&[1], content].concat();
        out.extend_from_slice(&checksum(&body).to_le_bytes());
        out.extend_from_slice(&u16::try_from(content.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&body);
    }

    fn log() -> Vec<u8> {
        let mut log = Vec::new();
        (1..=4).for_each(|size| record(&mut log, &vec![7; size * 100]));
        log
    }

    #[test]
    fn a_whole_log_and_one_cut_anywhere_are_no_damage() {
        let log = log();
        for length in 0..=log.len() {
            assert_eq!(find(&log[..length]), None, "cut at {length}");
        }
        assert_eq!(find(&[log, vec![0; 500]].concat()), None);
    }

    #[test]
    fn a_longer_length_before_whole_records_is_damage() {
        let mut log = log();
        log[5] ^= 0x10;
        assert_eq!(find(&log), Some(0));
    }
}
