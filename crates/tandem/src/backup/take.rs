//! Taking a backup beside the running node: the files are read while the node goes on writing.
//!
//! The node has made a snapshot and keeps the log from its start on ([`BackupView`]). Finished files do not
//! change. The newest segment does: it is read *backwards*, so that whenever a place was read with data,
//! all places before it are read later, and so hold theirs: a gap, which recovery would rightly call damage,
//! cannot come about. What is past `log_end`, half-written or not, is cut at restore.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use tandem_admin::{BackupView, StatusView};
use tandem_fs::FsDisk;
use tandem_log::load_state;
use tandem_types::PairId;

use crate::backup::archive::{Manifest, PIECE_BYTES_MAX, Writer};
use crate::human;

const PIECE: u64 = PIECE_BYTES_MAX as u64;

/// Writes the backup of `view` to `to`.
pub(crate) fn write(
    data_dir: &Path,
    view: &BackupView,
    status: &StatusView,
    to: impl Write,
) -> anyhow::Result<()> {
    let folder = data_dir.join(&view.generation);
    let snapshot_path = folder.join(&view.snapshot);
    // Opened first: a newer snapshot may remove the name, but not what is open.
    let snapshot =
        File::open(&snapshot_path).with_context(|| format!("open {}", snapshot_path.display()))?;
    let segments = segments(&folder, view)?;
    let disk = FsDisk::open_to_read(data_dir)?;
    let state = load_state(&disk).context("read the state file")?;
    let pair = state.map_or(PairId::NONE, |state| state.pair);
    let mut writer = Writer::begin(to, &manifest(view, status, pair))?;
    copy_forwards(&mut writer, &snapshot, &view.snapshot)?;
    for (position, name) in segments.iter().enumerate() {
        let path = folder.join(name);
        let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        if position + 1 == segments.len() {
            copy_backwards(&mut writer, &file, name)?;
        } else {
            copy_forwards(&mut writer, &file, name)?;
        }
    }
    writer.finish()?;
    Ok(())
}

fn manifest(view: &BackupView, status: &StatusView, pair: PairId) -> Manifest {
    Manifest {
        pair: status.pair.clone(),
        pair_id: pair.to_string(),
        node: status.node.clone(),
        epoch: status.epoch,
        taken_ms: human::now_millis(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        snapshot: view.snapshot.clone(),
        log_from: view.log_from,
        log_end: view.log_end,
    }
}

/// Names of the segments that hold records from `log_from` up to `log_end`, in order.
fn segments(folder: &Path, view: &BackupView) -> anyhow::Result<Vec<String>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(first) = first_of(&name) {
            firsts.push((first, name));
        }
    }
    firsts.sort();
    let begin = firsts.iter().rposition(|(first, _)| *first <= view.log_from);
    let Some(begin) = begin else {
        bail!("the log no longer reaches back to record {}", view.log_from)
    };
    Ok(firsts
        .into_iter()
        .skip(begin)
        .filter(|(first, _)| *first <= view.log_end)
        .map(|(_, name)| name)
        .collect())
}

/// First record of a segment, by its name (docs/formats/log.md).
fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

fn copy_forwards(writer: &mut Writer<impl Write>, file: &File, name: &str) -> io::Result<()> {
    let size = file.metadata()?.len();
    writer.file(name, size)?;
    let mut offset = 0;
    while offset < size {
        copy_piece(writer, file, offset, PIECE.min(size - offset))?;
        offset += PIECE;
    }
    Ok(())
}

fn copy_backwards(writer: &mut Writer<impl Write>, file: &File, name: &str) -> io::Result<()> {
    let size = file.metadata()?.len();
    writer.file(name, size)?;
    let mut pieces = size.div_ceil(PIECE);
    while pieces > 0 {
        pieces -= 1;
        let offset = pieces * PIECE;
        copy_piece(writer, file, offset, PIECE.min(size - offset))?;
    }
    Ok(())
}

fn copy_piece(
    writer: &mut Writer<impl Write>,
    file: &File,
    offset: u64,
    length: u64,
) -> io::Result<()> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(PIECE_BYTES_MAX)];
    file.read_exact_at(&mut bytes, offset)?;
    writer.data(offset, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_those_that_hold_the_wanted_records() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        for first in [0u64, 100, 200, 300] {
            fs::write(folder.join(format!("{first:020}.log")), b"x").unwrap();
        }
        fs::write(folder.join("spare"), b"").unwrap();
        let wanted = |log_from, log_end| {
            let view = BackupView { log_from, log_end, ..BackupView::default() };
            let names = segments(folder, &view).unwrap();
            names.iter().filter_map(|name| first_of(name)).collect::<Vec<_>>()
        };
        assert_eq!(wanted(150, 250), [100, 200]);
        assert_eq!(wanted(100, 299), [100, 200]);
        assert_eq!(wanted(0, 400), [0, 100, 200, 300]);
    }
}
