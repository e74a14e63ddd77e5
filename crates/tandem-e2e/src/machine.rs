//! What this machine can do, and what its kernel says about a process.

use std::fs;
use std::path::PathBuf;

/// True for root, who alone may mount and use loop devices.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// True if `program` is in the search path.
pub fn has_program(program: &str) -> bool {
    let Some(paths) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// A folder for things that take long to make and may be kept: below the target folder.
pub fn cache_folder() -> PathBuf {
    let folder = target_folder().join("e2e-cache");
    fs::create_dir_all(&folder).expect("the target folder is writable");
    folder
}

/// Cargo's target folder.
pub fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace_folder().join("target"), Into::into)
}

/// The root of the repository.
pub fn workspace_folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    folder.canonicalize().expect("the workspace is where cargo found it")
}

/// Resident memory of a process in bytes; 0 when it is gone.
pub fn resident_bytes(pid: u32) -> u64 {
    let kib = status_field(pid, "VmRSS:").unwrap_or(0);
    kib * 1024
}

/// Open files of a process.
pub fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// True while every thread of a process has a tracer; also once the process is gone.
pub fn is_traced(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    let statuses = threads.flatten().map(|it| fs::read_to_string(it.path().join("status")));
    // A thread that has ended meanwhile has no status any more.
    statuses.flatten().all(|status| !status.contains("TracerPid:\t0\n"))
}

fn status_field(pid: u32, name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
