//! Reads a backup file from its beginning to its end, and trusts nothing that does not fit its checksum.
//! Knows nothing of what the files in it hold.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use super::{BackupEnd, BackupError, BackupManifest, BackupPart, MAGIC, end_length, error::file};
use crate::codec::{self, HEADER, Stored};

/// Longer than any manifest: a database has some thousand files.
const ENVELOPE_MAX: u32 = 64 << 20;
const BUFFER_BYTES: usize = 256 << 10;

/// A backup file of which the manifest is read.
pub(super) struct Source {
    path: PathBuf,
    input: BufReader<File>,
    manifest: BackupManifest,
}

/// Reads a whole file and checks every checksum; blocks.
pub fn verify(path: &Path) -> Result<BackupManifest, BackupError> {
    let mut source = Source::open(path)?;
    source.take_files(|_| Ok((io::sink(), PathBuf::new())))?;
    Ok(source.manifest)
}

impl Source {
    /// Reads the manifest, and checks that the file is as long as that says.
    pub(super) fn open(path: &Path) -> Result<Source, BackupError> {
        let wrap = || file(path);
        let input = File::open(path).map_err(wrap())?;
        let found = input.metadata().map_err(wrap())?.len();
        let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
        let mut magic = [0; MAGIC.len()];
        match input.read_exact(&mut magic) {
            Ok(()) if magic == MAGIC => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(wrap()(error)),
            Ok(()) | Err(_) => return Err(BackupError::Foreign { path: path.to_owned() }),
        }
        let (manifest, length) = envelope::<BackupManifest>(&mut input, path, "its manifest", "a newer orc")?;
        check(path, &manifest)?;
        let files = manifest.files.iter().try_fold(0u64, |sum, part| sum.checked_add(part.size));
        let around = MAGIC.len() as u64 + length + end_length(manifest.files.len());
        let expected = files.and_then(|files| files.checked_add(around));
        let expected = expected.ok_or_else(|| BackupError::damaged(path, "its manifest"))?;
        if found < expected {
            return Err(BackupError::Short { path: path.to_owned(), expected, found });
        }
        if found > expected {
            return Err(BackupError::damaged(
                path,
                format!("its end, which {} bytes follow", found - expected),
            ));
        }
        Ok(Source { path: path.to_owned(), input, manifest })
    }

    /// What it says of itself.
    pub(super) fn manifest(&self) -> &BackupManifest {
        &self.manifest
    }

    /// Copies each file to where `open` wants it, then compares the checksums.
    pub(super) fn take_files<W: Write>(
        &mut self,
        mut open: impl FnMut(&BackupPart) -> Result<(W, PathBuf), BackupError>,
    ) -> Result<(), BackupError> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut found = Vec::new();
        for part in &self.manifest.files {
            let (mut out, to) = open(part)?;
            let (mut left, mut checksum) = (part.size, 0);
            while left > 0 {
                let length = usize::try_from(left).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
                let piece = &mut buffer[..length];
                self.input.read_exact(piece).map_err(file(&self.path))?;
                checksum = crc32c::crc32c_append(checksum, piece);
                out.write_all(piece).map_err(file(&to))?;
                left -= length as u64;
            }
            found.push(checksum.to_be_bytes());
        }
        let maker = self.manifest.maker();
        let (BackupEnd { checksums }, _) = envelope(&mut self.input, &self.path, "its end", &maker)?;
        if checksums.len() != found.len() {
            return Err(BackupError::damaged(&self.path, "its end"));
        }
        let wrong = found.iter().zip(&checksums).position(|(found, expected)| found != expected);
        match wrong {
            Some(number) => {
                Err(BackupError::damaged(&self.path, format!("file {}", self.manifest.files[number].name)))
            }
            None => Ok(()),
        }
    }
}

/// Names that are no plain names could leave the folder.
fn check(path: &Path, manifest: &BackupManifest) -> Result<(), BackupError> {
    if manifest.format != crate::identity::FORMAT {
        let version = codec::Why::Version(u8::try_from(manifest.format).unwrap_or(u8::MAX));
        let source = codec::Corrupt { what: codec::Kind::Backup, why: version };
        return Err(BackupError::corrupt(path, "its manifest", &manifest.maker(), source));
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_plain = |name: &str| !name.starts_with('.') && !name.is_empty() && name.bytes().all(legal);
    let mut names = BTreeSet::new();
    if manifest.files.iter().all(|part| is_plain(&part.name) && names.insert(&part.name)) {
        return Ok(());
    }
    Err(BackupError::damaged(path, "its manifest, which has wrong names of files"))
}

/// A value in its envelope, and how long that was.
fn envelope<T: Stored>(
    input: &mut impl Read,
    path: &Path,
    at: &str,
    maker: &str,
) -> Result<(T, u64), BackupError> {
    let short = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => BackupError::damaged(path, format!("{at}, which is cut off")),
        _ => file(path)(error),
    };
    let mut header = [0; HEADER];
    input.read_exact(&mut header).map_err(short)?;
    let length = codec::length_after(&header);
    if length > ENVELOPE_MAX {
        return Err(BackupError::damaged(path, at));
    }
    let mut bytes = header.to_vec();
    let read = input.take(length.into()).read_to_end(&mut bytes).map_err(file(path))?;
    if read as u64 != u64::from(length) {
        return Err(short(io::ErrorKind::UnexpectedEof.into()));
    }
    let value = codec::decode(&bytes).map_err(|error| BackupError::corrupt(path, at, maker, error))?;
    Ok((value, bytes.len() as u64))
}
