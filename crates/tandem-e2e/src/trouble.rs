//! Disks and system calls that misbehave on demand; each fault ends with its value.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::machine::{self, has_program, is_root};
use crate::wait;

/// Until strace has attached itself to all threads of a process.
const ATTACHED: Duration = Duration::from_secs(20);

/// System calls of a running process that fail or are slow, by `strace`.
#[derive(Debug)]
pub struct Injection {
    strace: Child,
}

impl Injection {
    /// Whether it can be done here; the error says what is missing.
    pub fn possible() -> Result<(), String> {
        if has_program("strace") { Ok(()) } else { Err("strace is not installed".to_owned()) }
    }

    /// `call` of `pid` and all its threads gets `fault`, such as `error=EIO`.
    pub fn start(pid: u32, call: &str, fault: &str) -> Result<Self, String> {
        Self::possible()?;
        let strace = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-p", &pid.to_string()])
            .args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:{fault}")])
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("strace: {error}"))?;
        let injection = Self { strace };
        wait::until_true("strace holds every thread", ATTACHED, || machine::is_traced(pid));
        Ok(injection)
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        // SIGTERM, not SIGKILL: strace lets go of what it traces before it ends.
        crate::family::signal(self.strace.id(), rustix::process::Signal::TERM);
        self.strace.wait().ok();
    }
}

/// A tmpfs of its own; unmounted with the value.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one of `size` as `mount` understands it.
    pub fn mount(size: &str) -> Result<Self, String> {
        if !is_root() {
            return Err("needs root to mount a tmpfs".to_owned());
        }
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if mounted { Ok(Self { folder }) } else { Err("no tmpfs can be mounted here".to_owned()) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Somebody else takes all of it but `left` bytes; the file to remove.
    pub fn fill(&self, left: usize) -> PathBuf {
        let ballast = self.path().join("ballast");
        let space = rustix::fs::statvfs(self.path()).expect("a file system");
        let free = usize::try_from(space.f_bavail * space.f_frsize).expect("it is small");
        std::fs::write(&ballast, vec![0; free.saturating_sub(left)]).expect("written");
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a failed test may still have files open.
        Command::new("umount").arg("-l").arg(self.folder.path()).output().ok();
    }
}

/// A mounted file system on which nothing can be written: whoever tries waits until this value goes.
#[derive(Debug)]
pub struct FrozenDisk {
    mount_point: PathBuf,
}

impl FrozenDisk {
    /// Freezes what is mounted at `mount_point`.
    #[track_caller]
    pub fn freeze(mount_point: &Path) -> Self {
        let output = Command::new("fsfreeze").arg("-f").arg(mount_point).output();
        let output = output.expect("fsfreeze starts");
        assert!(output.status.success(), "fsfreeze: {output:?}");
        Self { mount_point: mount_point.to_owned() }
    }
}

impl Drop for FrozenDisk {
    fn drop(&mut self) {
        Command::new("fsfreeze").arg("-u").arg(&self.mount_point).output().ok();
    }
}
