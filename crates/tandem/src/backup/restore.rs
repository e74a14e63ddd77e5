//! `tandem restore`: an empty directory becomes a node's, with the data of a backup.
//!
//! The data gets a new life (incarnation): to the peer this is not the node that once promised something.
//! What it may do is decided as for any node: it follows a peer that has more, or a person promotes it.
//!
//! With two primaries the log gets one more record, which says that all before it was restored: an empty peer
//! takes a copy of it, one with data is followed, and what either side did since the backup is not done again:
//! ids go on far above. docs/adr/2026-11-29-backups-of-two-writers.md says why.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use tandem_disk::{Disk, DiskFile};
use tandem_fs::{FsDisk, FsFile};
use tandem_log::{
    Appender, LogOptions, NodeState, RecordKind, RecordMeta, RecoverOptions, Recovered,
    SegmentWriter, Verify, cut, recover, save_state,
};
use tandem_node::{generation_name, restored_note, side_of_snapshot};
use tandem_snapshot::SnapshotName;
use tandem_switch::Reign;
use tandem_types::{Incarnation, Lsn, NodeId, PairId};

use crate::backup::archive::{Item, Manifest, Reader};
use crate::backup::verify;
use crate::check::holds_something;
use crate::cli::RestoreOptions;
use crate::{human, out};

pub(crate) fn run(options: &RestoreOptions) -> anyhow::Result<ExitCode> {
    // All of it is checked before anything is written.
    let manifest = verify(&options.file)?;
    let disk = FsDisk::open(&options.data_dir)?;
    if holds_something(&disk)? {
        bail!(
            "{} is not empty; a restore needs an empty directory, so that no data is lost by mistake",
            options.data_dir.display()
        );
    }
    let dir = generation_name(0);
    disk.create_dir(&dir).with_context(|| format!("create {dir}"))?;
    unpack(&options.file, &disk, &dir)?;
    let (header, mut recovered) = bring_to_end(&disk, &dir, &manifest)?;
    let side = side_of_snapshot(&header.beside);
    if let Some(side) = side {
        recovered = mark_restored(&disk, &dir, &header, &recovered, side)?;
    }
    disk.sync_dir("")?;
    // The state file comes last: a directory without it is no node's.
    save_state(&disk, &state(&manifest, &recovered, side)?)?;
    out::line(format_args!(
        "restored pair {} as of {} (record {}, epoch {}) to {}",
        manifest.pair,
        human::time(manifest.taken_ms),
        recovered.tip().end,
        recovered.tip().epoch,
        options.data_dir.display()
    ))?;
    if side.is_some() {
        out::line(format_args!(
            "start it as node {}, beside an empty peer, which takes a copy; from a peer that has data it takes one \
             itself; without a peer, run: tandem promote --force",
            manifest.node
        ))?;
        out::line(
            "ids of sequences go on far above those of the backup; what was sold from bounded counters since it \
             was taken is for sale again",
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    out::line(
        "start the node: it follows a peer that has newer data; if this is the data to go on with, \
         run: tandem promote --force",
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Appends the record that says where the backup ended.
fn mark_restored(
    disk: &FsDisk,
    dir: &str,
    header: &tandem_snapshot::Header,
    recovered: &Recovered,
    side: NodeId,
) -> anyhow::Result<Recovered> {
    let tip = recovered.tip();
    let mut appender = Appender::new(tip);
    let meta = RecordMeta { epoch: tip.epoch, stamp: tip.stamp, seen: 0, origin: side };
    appender.append(RecordKind::Peer, &restored_note(ids_from(human::now_millis())), meta)?;
    let mut batch = appender.take_batch().context("a record was appended")?;
    let mut writer = SegmentWriter::open(disk.clone(), recovered, LogOptions::default());
    writer.prepare()?;
    writer.write(&mut batch)?;
    writer.sync()?;
    writer.mark()?;
    writer.close()?;
    let wanted =
        RecoverOptions { pair: header.pair_id, from: header.start, verify: Verify::Everything };
    Ok(recover(disk, dir, &wanted, &mut |_| Ok(()))?)
}

/// Where ids go on at least: two multiples of 2^40 for each day, so that a backup that is restored again on another
/// day gives other ids, and so do both sides when each begins anew once a day.
fn ids_from(now_ms: u64) -> u64 {
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    /// 2026-01-01.
    const BEGIN_MS: u64 = 1_767_225_600_000;
    // Below 2^53, which JavaScript can count to.
    let days = (now_ms.saturating_sub(BEGIN_MS) / DAY_MS).min(4_000);
    (2 * days) << 40
}

fn unpack(file: &Path, disk: &FsDisk, dir: &str) -> anyhow::Result<()> {
    let opened = File::open(file).with_context(|| format!("open {}", file.display()))?;
    let mut reader = Reader::open(BufReader::new(opened))?;
    let mut open: Option<FsFile> = None;
    while let Some(item) = reader.next()? {
        match item {
            Item::File { name, size } => {
                ensure!(is_plain(name), "the backup names a file {name:?}");
                if let Some(done) = open.take() {
                    done.sync_data().context("sync")?;
                }
                let created = disk.create(&format!("{dir}/{name}"));
                let created = created.with_context(|| format!("create {name}"))?;
                created.set_len(size).with_context(|| format!("make room for {name}"))?;
                open = Some(created);
            }
            Item::Data { offset, bytes } => {
                let file = open.as_ref().context("the backup has data that belongs to no file")?;
                file.write_at(offset, bytes).context("write")?;
            }
        }
    }
    if let Some(done) = open {
        done.sync_data().context("sync")?;
    }
    disk.sync_dir(dir).context("sync the directory")
}

/// A backup may come from anywhere: its names must stay in the directory.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// Cuts the log to where the backup ends, and checks that snapshot and log fit.
fn bring_to_end(
    disk: &FsDisk,
    dir: &str,
    manifest: &Manifest,
) -> anyhow::Result<(tandem_snapshot::Header, Recovered)> {
    let pair = pair_of(manifest)?;
    let name = SnapshotName::parse(&manifest.snapshot).context("the backup names no snapshot")?;
    let finished = tandem_snapshot::read(disk, dir, name, pair, &mut |_| Ok(()))?;
    let wanted = RecoverOptions { pair, from: finished.header.start, verify: Verify::Everything };
    recover(disk, dir, &wanted, &mut |_| Ok(()))?;
    cut(disk, dir, Lsn::new(manifest.log_end))?;
    let recovered = recover(disk, dir, &wanted, &mut |_| Ok(()))?;
    let (oldest, end) = (recovered.oldest(), recovered.tip().end);
    ensure!(
        oldest <= finished.header.start && end >= finished.end && end == Lsn::new(manifest.log_end),
        "the backup's log reaches from {oldest} to {end}, but {} to {} is needed",
        finished.header.start,
        manifest.log_end
    );
    Ok((finished.header, recovered))
}

fn pair_of(manifest: &Manifest) -> anyhow::Result<PairId> {
    let id = u128::from_str_radix(&manifest.pair_id, 16).context("read the id of the pair")?;
    Ok(PairId::new(id))
}

/// A node that has data, belongs to the pair, and has promised nothing.
fn state(
    manifest: &Manifest,
    recovered: &Recovered,
    side: Option<NodeId>,
) -> anyhow::Result<NodeState> {
    let mut random = [0; 8];
    let drawn = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    ensure!(drawn == random.len(), "the system gave too few random bytes");
    let incarnation = Incarnation::new(u64::from_le_bytes(random).max(1));
    let pair = pair_of(manifest)?;
    let history = recovered.history();
    let mut switch = tandem_switch::NodeState::new(incarnation);
    switch.pair_id = pair;
    switch.epoch_seen = history.last_epoch();
    if let (Some(primary), Some(last)) = (side, history.last()) {
        // Each of two primaries reigns over its own log, which begins with that.
        switch.reign = Some(Reign { epoch: last.epoch, fork: last.fork, primary });
    }
    let mut state = NodeState {
        pair,
        incarnation,
        epoch_seen: history.last_epoch(),
        fork_seen: history.last().map(|start| start.fork).unwrap_or_default(),
        history: history.clone(),
        node: side,
        ..NodeState::default()
    };
    switch.encode(&mut state.extra);
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_restore_are_those_of_its_day() {
        let day = |days: u64| 1_767_225_600_000 + days * 86_400_000;
        assert_eq!(ids_from(0), 0);
        assert_eq!(ids_from(day(1)), 2 << 40);
        assert!(ids_from(day(332)) > ids_from(day(331)));
        assert!(ids_from(u64::MAX) < 1 << 53);
    }
}
