//! Damage to files, as disks do it: a bit that flips, bytes that are gone, a page of zeros, a write that was cut short.
//! Knows nothing of what is in them.

use std::{
    fs::{self, File},
    io::Write,
    ops::Range,
    os::unix::fs::FileExt,
    path::Path,
};

use anyhow::Result;
use fastrand::Rng;

const PAGE: usize = 4096;

/// What happens to a file; it stays the same file for whoever has it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rot {
    /// One bit is another.
    Flip,
    /// Some bytes are missing.
    Cut,
    /// A page reads as zeros.
    Zeros,
}

/// All of them.
pub const ROTS: [Rot; 3] = [Rot::Flip, Rot::Cut, Rot::Zeros];

impl Rot {
    /// Lets it happen somewhere within these tenths of a file; whether anything is different then.
    pub fn happen(self, path: &Path, tenths: Range<usize>, rng: &mut Rng) -> Result<bool> {
        let before = fs::read(path)?;
        let (first, end) = (before.len() * tenths.start / 10, before.len() * tenths.end / 10);
        let at = rng.usize(first..end.max(first + 1));
        let after = self.damaged(&before, at);
        let file = File::options().write(true).open(path)?;
        file.write_all_at(&after, 0)?;
        file.set_len(after.len() as u64)?;
        file.sync_all()?;
        Ok(before != after)
    }

    fn damaged(self, bytes: &[u8], at: usize) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Rot::Flip => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x10),
            Rot::Cut => drop(bytes.drain(at..(at + 37).min(bytes.len()))),
            Rot::Zeros => {
                let page = at / PAGE * PAGE;
                bytes.iter_mut().skip(page).take(PAGE).for_each(|byte| *byte = 0);
            }
        }
        bytes
    }
}

/// Appends the beginning of a record of RocksDB's log that was never written whole.
pub fn tear(path: &Path, rng: &mut Rng) -> Result<()> {
    let mut torn: Vec<u8> = (0..rng.usize(1..200)).map(|_| rng.u8(..)).collect();
    // Longer than what follows, and the kind of a whole record.
    for (place, byte) in [(4, 0), (5, 2), (6, 1)] {
        if let Some(found) = torn.get_mut(place) {
            *found = byte;
        }
    }
    let mut file = File::options().append(true).open(path)?;
    file.write_all(&torn)?;
    Ok(file.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_does_what_it_says() {
        let whole: Vec<u8> = (0..10_000).map(|number| (number % 251 + 1) as u8).collect();
        let differ = |damaged: &[u8]| whole.iter().zip(damaged).filter(|(one, other)| one != other).count();
        assert_eq!(differ(&Rot::Flip.damaged(&whole, 5000)), 1);
        assert_eq!(differ(&Rot::Zeros.damaged(&whole, 5000)), PAGE);
        assert_eq!(Rot::Cut.damaged(&whole, 5000).len(), whole.len() - 37);
        assert_eq!(Rot::Cut.damaged(&whole, 5000)[5000..], whole[5037..]);
    }
}
