//! `tandem check`: reads a data directory that no node uses, changes nothing, and says what it holds.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tandem_disk::Disk;
use tandem_fs::FsDisk;
use tandem_log::{LogCheck, NodeState, check_log, load_state};
use tandem_node::{SnapshotCheck, check_snapshots, generation_name, is_kept};

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
    let snapshots = check_snapshots(&disk, &dir, state.pair, &mut |_| true)
        .with_context(|| format!("list {dir}"))?;
    let mut wrong = show_snapshots(&snapshots)?;
    let log = check_log(&disk, &dir, state.pair, &mut |_| Ok(()));
    wrong |= show_log(&log)?;
    wrong |= snapshot_without_log(&snapshots, &log)?;
    show_kept(&disk, &dir)?;
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
        tandem_switch::boot_count(state.boots),
        state.generation
    ))?;
    Ok(())
}

/// Reads every snapshot to its last byte. True if one is damaged.
fn show_snapshots(checks: &[SnapshotCheck]) -> anyhow::Result<bool> {
    let mut wrong = false;
    for SnapshotCheck { name, bytes, read } in checks {
        match read {
            Ok(done) => out::line(format_args!(
                "snapshot {name}: {} in {} chunks, records before {}",
                human::bytes(*bytes),
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
fn snapshot_without_log(snapshots: &[SnapshotCheck], log: &LogCheck) -> anyhow::Result<bool> {
    let usable = |check: &SnapshotCheck| {
        let fits = log.oldest <= check.name.start && check.name.end <= log.tip.end;
        fits && check.read.is_ok()
    };
    if log.oldest.get() == 0 || snapshots.iter().any(usable) {
        return Ok(false);
    }
    out::line(format_args!("no snapshot fits the log, which begins at record {}", log.oldest))?;
    Ok(true)
}

/// What earlier repairs kept is nobody's data any more, and stays until a person removes it.
fn show_kept(disk: &FsDisk, dir: &str) -> anyhow::Result<()> {
    for place in ["", dir] {
        let entries = disk.list(place).with_context(|| format!("list {place}"))?;
        for entry in entries.iter().filter(|entry| is_kept(&entry.name)) {
            let below = if place.is_empty() { String::new() } else { format!("{place}/") };
            out::line(format_args!("kept, found damaged earlier: {below}{}", entry.name))?;
        }
    }
    Ok(())
}

/// Whether the directory of a restore holds anything of a node.
pub(crate) fn holds_something(disk: &impl Disk) -> std::io::Result<bool> {
    Ok(disk.list("")?.iter().any(|entry| entry.name != "LOCK" && entry.name != "lost+found"))
}
