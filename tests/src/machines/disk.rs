//! A disk as a file with a file system in it, mounted by loop: its power can fail, so that what was not synced is gone.
//! Knows nothing of networks.

use std::{
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use super::run;

/// What is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// With its defaults.
    Ext4,
    /// With its defaults.
    Xfs,
}

impl fmt::Display for FileSystem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "XFS",
        })
    }
}

/// A mounted image.
pub struct Disk {
    /// What is on it.
    pub file_system: FileSystem,
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// Makes and mounts a disk of so many MiB.
    pub fn new(folder: &Path, name: &str, file_system: FileSystem, mebibytes: u64) -> Result<Self> {
        let image = folder.join(format!("{name}.img"));
        let disk = Disk { file_system, image, mount: folder.join(name) };
        fs::create_dir(&disk.mount)?;
        File::create(&disk.image)?.set_len(mebibytes << 20)?;
        let image = text(&disk.image)?;
        match file_system {
            FileSystem::Ext4 => run("mkfs.ext4", &["-q", "-F", image])?,
            FileSystem::Xfs => run("mkfs.xfs", &["-q", image])?,
        };
        disk.on()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// The kernel's number of it.
    pub fn number(&self) -> Result<String> {
        Ok(run("mountpoint", &["-d", text(&self.mount)?])?.trim().to_owned())
    }

    /// Mounts it.
    pub fn on(&self) -> Result<()> {
        run("mount", &["-o", "loop", text(&self.image)?, text(&self.mount)?]).map(drop)
    }

    /// Cuts its power: from now on every write fails, and what was not synced is gone.
    pub fn power_off(&self) -> Result<()> {
        run("xfs_io", &["-x", "-c", "shutdown", text(&self.mount)?]).map(drop)
    }

    /// Takes it away; nobody may use it any more.
    pub fn off(&self) -> Result<()> {
        run("umount", &[text(&self.mount)?]).map(drop)
    }

    /// Lets every write wait, until what is returned is dropped: however a test ends, whoever waits for the disk must be able to
    /// end before it is unmounted.
    pub fn freeze(&self) -> Result<Frozen<'_>> {
        run("fsfreeze", &["-f", text(&self.mount)?])?;
        Ok(Frozen(self))
    }

    /// Fills it until nothing more fits, or makes the room free again.
    pub fn fill(&self, full: bool) -> Result<()> {
        let filler = self.mount.join("filler");
        if !full {
            return Ok(fs::remove_file(&filler)?);
        }
        let to = format!("of={}", text(&filler)?);
        // It ends when there is no room any more.
        let filled = run("dd", &["if=/dev/zero", &to, "bs=4k", "status=none"]);
        ensure!(filled.is_err(), "the disk has room without end");
        Ok(())
    }
}

/// A disk that takes nothing.
#[must_use = "it takes everything again once this is dropped"]
pub struct Frozen<'a>(&'a Disk);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let thawed = text(&self.0.mount).and_then(|mount| run("fsfreeze", &["-u", mount]));
        if let Err(error) = thawed {
            eprintln!("could not thaw {}: {error}", self.0.mount.display());
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = self.off() {
            eprintln!("could not unmount {}: {error}", self.mount.display());
        }
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}
