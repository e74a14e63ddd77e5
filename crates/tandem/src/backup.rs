//! `tandem backup` and `tandem restore`: one file that holds a snapshot and the log after it.

pub(crate) mod archive;
mod restore;
pub(crate) mod take;

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::admin_client::AdminClient;
use crate::backup::archive::{Item, Reader};
use crate::cli::{AdminOptions, BackupOptions};
use crate::{human, out};

pub(crate) use restore::run as restore;

const COPY_BYTES: usize = 256 << 10;

/// Fetches a backup from a running node. The file appears under its name only when it is whole.
pub(crate) fn run(admin: &AdminOptions, options: &BackupOptions) -> anyhow::Result<ExitCode> {
    let target = &options.file;
    if target.exists() {
        bail!("{} exists already; give another name, or remove it", target.display());
    }
    let mut answer = AdminClient::new(admin)?.stream("/api/v1/backup")?;
    let part = part_of(target);
    let written = fetch(&mut answer, &part).and_then(|bytes| {
        let manifest = verify(&part)?;
        fs::rename(&part, target).with_context(|| format!("rename to {}", target.display()))?;
        sync_folder(target)?;
        Ok((bytes, manifest))
    });
    match written {
        Ok((bytes, manifest)) => {
            out::line(format_args!(
                "{}: {} of pair {}, up to record {} ({} of them as log behind the snapshot), checked",
                target.display(),
                human::bytes(bytes),
                manifest.pair,
                manifest.log_end,
                manifest.log_end - manifest.log_from
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            // A part of a backup is of no use; if it cannot be removed, its name says what it is.
            let _removed = fs::remove_file(&part);
            Err(error)
        }
    }
}

fn part_of(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn fetch(from: &mut impl std::io::Read, part: &Path) -> anyhow::Result<u64> {
    // All data is in it: for nobody else's eyes, as the data directory.
    let file = File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(part)
        .with_context(|| format!("create {}", part.display()))?;
    let mut to = BufWriter::with_capacity(COPY_BYTES, file);
    let mut buffer = vec![0; COPY_BYTES];
    let mut total = 0u64;
    loop {
        let count = from.read(&mut buffer).context("the node broke off; see its log")?;
        if count == 0 {
            break;
        }
        let piece = buffer.get(..count).unwrap_or_default();
        to.write_all(piece).with_context(|| format!("write {}", part.display()))?;
        total += u64::try_from(count)?;
    }
    let file = to.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.sync_all().with_context(|| format!("sync {}", part.display()))?;
    Ok(total)
}

/// Reads the whole file back: every checksum, and that nothing is missing.
fn verify(path: &Path) -> anyhow::Result<archive::Manifest> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut reader = Reader::open(file).with_context(|| format!("check {}", path.display()))?;
    while let Some(item) = reader.next().with_context(|| format!("check {}", path.display()))? {
        match item {
            Item::File { .. } | Item::Data { .. } => {}
        }
    }
    Ok(reader.into_manifest())
}

fn sync_folder(file: &Path) -> anyhow::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder)?.sync_all().with_context(|| format!("sync {}", folder.display()))
}
