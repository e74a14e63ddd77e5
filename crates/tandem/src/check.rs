//! `tandem check`: reads a data directory that no node uses, changes nothing, and says what it holds.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tandem_disk::Disk;
use tandem_fs::FsDisk;
use tandem_log::{LogCheck, NodeState, check_log, load_state};
use tandem_node::generation_name;
use tandem_snapshot::SnapshotName;

use crate::cli::CheckOptions;
use crate::{human, out};

/// Everything is read; exit status 1 if anything is wrong.
pub(crate) fn run(options: &CheckOptions) -> anyhow::Result<ExitCode> {
    let disk = FsDisk::open_to_read(&options.data_dir)?;
    let Some(state) = load_state(&disk).context("read the state file")? else {
        bail!("{} holds no node's data: there is no state file", options.data_dir.display());
    };
    show_state(&state)?;
    let dir = generation_name(state.generation);
    let mut wrong = check_snapshots(&disk, &dir, &state)?;
    let log = check_log(&disk, &dir, state.pair, &mut |_| Ok(()));
    wrong |= show_log(&log)?;
    wrong |= snapshot_without_log(&disk, &dir, &state, &log)?;
    if wrong {
        out::line("NOT GOOD: see above; copy from the peer, or restore a backup")?;
        return Ok(ExitCode::FAILURE);
    }
    out::line("good: every checksum holds")?;
    Ok(ExitCode::SUCCESS)
}

fn show_state(state: &NodeState) -> anyhow::Result<()> {
    out::line(format_args!(
        "pair {}   node {}   incarnation {}   boots {}   generation {}",
        state.pair,
        state.node.map_or("-".to_owned(), |node| format!("{node:?}")),
        state.incarnation,
        state.boots,
        state.generation
    ))?;
    Ok(())
}

/// Reads every snapshot to its last byte. True if one is damaged.
fn check_snapshots(disk: &FsDisk, dir: &str, state: &NodeState) -> anyhow::Result<bool> {
    let mut wrong = false;
    for name in snapshots(disk, dir)? {
        let mut bytes = 0u64;
        let read = tandem_snapshot::read(disk, dir, name, state.pair, &mut |chunk| {
            bytes += u64::try_from(chunk.bytes.len()).unwrap_or(0);
            Ok(())
        });
        match read {
            Ok(done) => out::line(format_args!(
                "snapshot {name}: {} in {} chunks, records before {}",
                human::bytes(bytes),
                done.chunks,
                done.end
            ))?,
            Err(error) => {
                wrong = true;
                out::line(format_args!("snapshot {name}: DAMAGED: {error}"))?;
            }
        }
    }
    Ok(wrong)
}

fn snapshots(disk: &FsDisk, dir: &str) -> anyhow::Result<Vec<SnapshotName>> {
    tandem_snapshot::list(disk, dir).with_context(|| format!("list {dir}"))
}

/// True if the log is unusable. A torn tail is what a crash leaves, and is cut by the next start.
fn show_log(log: &LogCheck) -> anyhow::Result<bool> {
    out::line(format_args!(
        "log: {} records from {} to {} in {} segments, {}",
        log.records,
        log.oldest,
        log.tip.end,
        log.segments,
        human::bytes(log.bytes)
    ))?;
    for start in log.history.starts() {
        out::line(format_args!(
            "  epoch {} ({}) from record {}",
            start.epoch, start.fork, start.first
        ))?;
    }
    if let Some(torn) = &log.torn {
        let cut = human::bytes(torn.bytes);
        out::line(format_args!("  torn tail, cut by the next start: {} ({cut})", torn.damage))?;
    }
    if let Some(error) = &log.error {
        out::line(format_args!("  DAMAGED: {error}"))?;
    }
    Ok(log.error.is_some())
}

/// A log that does not begin at record 0 needs a snapshot that reaches into it.
fn snapshot_without_log(
    disk: &FsDisk,
    dir: &str,
    state: &NodeState,
    log: &LogCheck,
) -> anyhow::Result<bool> {
    let usable = |name: &SnapshotName| {
        log.oldest <= name.start
            && name.end <= log.tip.end
            && tandem_snapshot::read(disk, dir, *name, state.pair, &mut |_| Ok(())).is_ok()
    };
    if log.oldest.get() == 0 || snapshots(disk, dir)?.iter().any(usable) {
        return Ok(false);
    }
    out::line(format_args!("no snapshot fits the log, which begins at record {}", log.oldest))?;
    Ok(true)
}

/// Whether the directory of a restore holds anything of a node.
pub(crate) fn holds_something(disk: &impl Disk) -> std::io::Result<bool> {
    Ok(disk.list("")?.iter().any(|entry| entry.name != "LOCK" && entry.name != "lost+found"))
}
