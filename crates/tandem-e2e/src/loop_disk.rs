//! A file system of its own in a file, whose power can be cut.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::machine;

/// Kinds that are tried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FileSystem {
    /// Debian's default.
    Ext4,
    /// The usual choice for databases.
    Xfs,
}

/// A loop-mounted file system; unmounted and removed with the value.
#[derive(Debug)]
pub struct LoopDisk {
    kind: FileSystem,
    image: PathBuf,
    mount_point: PathBuf,
    mounted: bool,
    // Last: removed after the unmount in `drop`.
    _folder: TempDir,
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{program} {}: {}: {words}", arguments.join(" "), output.status))
}

impl LoopDisk {
    /// Makes and mounts one; the error says what this machine lacks.
    pub fn create(kind: FileSystem) -> Result<Self, String> {
        if !machine::is_root() {
            return Err("needs root".to_owned());
        }
        let make = match kind {
            FileSystem::Ext4 => "mkfs.ext4",
            FileSystem::Xfs => "mkfs.xfs",
        };
        for program in [make, "xfs_io", "mount", "umount"] {
            if !machine::has_program(program) && !Path::new("/usr/sbin").join(program).is_file() {
                return Err(format!("{program} is not installed"));
            }
        }
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let image = folder.path().join("disk.img");
        let mount_point = folder.path().join("mnt");
        std::fs::create_dir(&mount_point).map_err(|error| error.to_string())?;
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        // Sparse; the smallest that mkfs.xfs takes is 300 MiB.
        file.set_len(512 << 20).map_err(|error| error.to_string())?;
        drop(file);
        let path = image.display().to_string();
        match kind {
            FileSystem::Ext4 => run(make, &["-q", "-F", &path])?,
            FileSystem::Xfs => run(make, &["-q", &path])?,
        }
        let mut disk = Self { kind, image, mount_point, mounted: false, _folder: folder };
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount_point
    }

    /// Mounts it again after [`Self::unmount`]; the journal is replayed as after a power cut.
    pub fn mount(&mut self) -> Result<(), String> {
        let (image, point) = (self.image.display(), self.mount_point.display());
        let kind = match self.kind {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
        };
        run("mount", &["-t", kind, "-o", "loop", &image.to_string(), &point.to_string()])?;
        self.mounted = true;
        Ok(())
    }

    /// Cuts the power: nothing that is not on the disk now will ever get there.
    pub fn cut_power(&self) -> Result<(), String> {
        run("xfs_io", &["-x", "-c", "shutdown", &self.mount_point.display().to_string()])
    }

    /// Unmounts it; every process that used it must be gone.
    pub fn unmount(&mut self) -> Result<(), String> {
        run("umount", &[&self.mount_point.display().to_string()])?;
        self.mounted = false;
        Ok(())
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily, so that a test that failed with files open does not leave a mount behind.
            run("umount", &["-l", &self.mount_point.display().to_string()]).ok();
        }
    }
}
