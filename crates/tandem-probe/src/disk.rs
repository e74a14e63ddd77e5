//! Whether this node's own disk takes a write: a small file beside the log, written, synced, removed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::OFlags;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::Input;

/// Never a name of the log or of a snapshot; what a crash leaves is written over.
const NAME: &str = "probe.tmp";

/// This node's own disk.
#[derive(Debug)]
pub(crate) struct OwnDisk {
    folder: PathBuf,
    /// A write that takes longer has failed.
    patience: Duration,
    /// A write hangs: another one would only hang beside it.
    busy: Arc<AtomicBool>,
}

impl OwnDisk {
    pub(crate) fn new(folder: PathBuf, patience: Duration) -> Self {
        Self { folder, patience, busy: Arc::default() }
    }

    /// Tries it, and tells.
    pub(crate) fn begin(&mut self, ended: UnboundedSender<Input>) {
        let (folder, patience, busy) = (self.folder.clone(), self.patience, Arc::clone(&self.busy));
        tokio::spawn(async move {
            let works = !busy.swap(true, Ordering::Relaxed) && {
                let write = spawn_blocking(move || {
                    let written = write(&folder);
                    busy.store(false, Ordering::Relaxed);
                    written
                });
                match timeout(patience, write).await {
                    Ok(Ok(Ok(()))) => true,
                    Ok(Ok(Err(error))) => {
                        tracing::warn!("this node's own disk takes no write: {error}");
                        false
                    }
                    Ok(Err(_)) | Err(_) => false,
                }
            };
            // The prober may have ended.
            ended.send(Input::DiskTried { works }).ok();
        });
    }
}

fn write(folder: &Path) -> io::Result<()> {
    let path = folder.join(NAME);
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).map_err(io::Error::other)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(&path)?;
    file.write_all(b"probe")?;
    file.sync_data()?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_a_write_and_keeps_nothing_and_one_that_is_gone_does_not() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(write(&folder.path().join("gone")).is_err());
    }
}
