//! `tandem restore`: an empty directory becomes a node's, with the data of a backup.
//!
//! The data gets a new life (incarnation): to the peer this is not the node that once promised something.
//! What it may do is decided as for any node: it follows a peer that has more, or a person promotes it.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use tandem_disk::{Disk, DiskFile};
use tandem_fs::{FsDisk, FsFile};
use tandem_log::{NodeState, RecoverOptions, Recovered, Verify, cut, recover, save_state};
use tandem_node::generation_name;
use tandem_snapshot::SnapshotName;
use tandem_types::{Incarnation, Lsn, PairId};

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
    let recovered = bring_to_end(&disk, &dir, &manifest)?;
    disk.sync_dir("")?;
    // The state file comes last: a directory without it is no node's.
    save_state(&disk, &state(&manifest, &recovered)?)?;
    out::line(format_args!(
        "restored pair {} as of {} (record {}, epoch {}) to {}",
        manifest.pair,
        human::time(manifest.taken_ms),
        recovered.tip().end,
        recovered.tip().epoch,
        options.data_dir.display()
    ))?;
    out::line(
        "start the node: it follows a peer that has newer data; if this is the data to go on with, \
         run: tandem promote --force",
    )?;
    Ok(ExitCode::SUCCESS)
}

fn unpack(file: &Path, disk: &FsDisk, dir: &str) -> anyhow::Result<()> {
    let mut reader = Reader::open(BufReader::new(File::open(file)?))?;
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
fn bring_to_end(disk: &FsDisk, dir: &str, manifest: &Manifest) -> anyhow::Result<Recovered> {
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
    Ok(recovered)
}

fn pair_of(manifest: &Manifest) -> anyhow::Result<PairId> {
    let id = u128::from_str_radix(&manifest.pair_id, 16).context("read the id of the pair")?;
    Ok(PairId::new(id))
}

/// A node that has data, belongs to the pair, and has promised nothing.
fn state(manifest: &Manifest, recovered: &Recovered) -> anyhow::Result<NodeState> {
    let mut random = [0; 8];
    let drawn = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    ensure!(drawn == random.len(), "the system gave too few random bytes");
    let incarnation = Incarnation::new(u64::from_le_bytes(random).max(1));
    let pair = pair_of(manifest)?;
    let history = recovered.history();
    let mut switch = tandem_switch::NodeState::new(incarnation);
    switch.pair_id = pair;
    switch.epoch_seen = history.last_epoch();
    let mut state = NodeState {
        pair,
        incarnation,
        epoch_seen: history.last_epoch(),
        fork_seen: history.last().map(|start| start.fork).unwrap_or_default(),
        history: history.clone(),
        ..NodeState::default()
    };
    switch.encode(&mut state.extra);
    Ok(state)
}
