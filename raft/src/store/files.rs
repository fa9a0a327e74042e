//! Files that survive a power cut: written beside, synced, renamed, and the folder synced too.
//! Knows nothing of what is in them.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use crate::error::{SnapshotError, StartError};

/// Replaces a file: after a crash there is the old content or the new one.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    let mut file = File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder(parent(path))
}

/// Makes created, renamed and deleted names of a folder durable.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Creates a folder and makes its name durable.
pub fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    create_folder(parent(path))?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    sync_folder(parent(path))
}

/// Deletes a folder and everything in it, if it is there.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The names of the plain files of a folder, in order.
pub fn file_names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name().into_string();
            names.push(
                name.map_err(|name| {
                    io::Error::new(io::ErrorKind::InvalidData, format!("file name {name:?}"))
                })?,
            );
        }
    }
    names.sort();
    Ok(names)
}

/// Fills a new folder with the files of another and syncs them: tables are shared by hard links where the file system can.
pub fn link_folder(from: &Path, to: &Path) -> io::Result<()> {
    create_folder(to)?;
    for name in file_names(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        let shared = Path::new(&name).extension().is_some_and(|extension| extension == "sst");
        if !shared || fs::hard_link(&source, &target).is_err() {
            fs::copy(&source, &target)?;
        }
        File::open(&target)?.sync_all()?;
    }
    sync_folder(to)
}

/// Length and CRC32C of a file.
pub fn measure(path: &Path) -> io::Result<(u64, u32)> {
    let mut file = File::open(path)?;
    let (mut size, mut checksum) = (0, 0);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((size, checksum));
        }
        size += read as u64;
        checksum = crc32c::crc32c_append(checksum, &buffer[..read]);
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Names the file in an error of a start.
pub fn start_error(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> StartError {
    let path = path.into();
    move |source| StartError::File { path, source }
}

/// Names the file in an error of a snapshot.
pub fn snapshot_error(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> SnapshotError {
    let path = path.into();
    move |source| SnapshotError::File { path, source }
}
