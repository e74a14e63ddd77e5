//! Saving what a log holds past the fork, with what each key was before and after, and cutting it.
//!
//! The state at the fork is made as a start makes it: the newest snapshot that needs nothing past the fork,
//! and the log after it (docs/adr/2026-11-28-saved-on-both-machines.md). It is done while the node is down
//! between two boots, so that there is one key space in memory and not two.

use std::sync::Arc;

use tandem_disk::Disk;
use tandem_log::{RecordKind, RecordView, check_log, cut};
use tandem_snapshot::remove_beyond;
use tandem_store::{SlotLsns, Store};
use tandem_types::{Chain, Lsn, PairId, WallMillis};

use super::Authors;
use super::catalogue::{catalogue, make_dir, make_room, used_bytes};
use super::file::WriteFault;
use super::listing::Lines;
use super::save_error::SaveError;
use super::{DIR, Entry};
use crate::Settings;
use crate::snapshots::load_newest;

/// How the name of a file ends that is being written.
pub(super) const TEMPORARY: &str = ".tmp";

/// Which records clients were told of as done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acked {
    /// Those before this.
    Before(Lsn),
    /// None past the fork: the peer was in sync, and has none of them.
    None,
    /// Only an earlier process knew.
    Unknown,
}

impl Acked {
    pub(super) fn word(self, lsn: Lsn) -> &'static str {
        match self {
            Self::Before(end) if lsn < end => "yes",
            Self::Before(_) | Self::None => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// Where the log left the pair's history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fork {
    /// The common point: the first record that the pair lacks.
    pub to: Lsn,
    /// The primary's running checksum there.
    pub chain: Chain,
    /// What clients were told.
    pub acked: Acked,
    /// Who wrote, as far as this process knows.
    pub clients: Arc<Authors>,
}

/// What was saved.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Saved {
    /// The file, below the data directory; `None`: there was nothing to save.
    pub file: Option<String>,
    /// Records saved.
    pub records: u64,
    /// The state at the fork can be made from snapshot and log.
    pub images: bool,
    /// The same as an entry.
    pub entry: Option<Box<Entry>>,
}

/// Where the log is, and whose.
#[derive(Clone, Copy, Debug)]
pub struct LogPlace<'a> {
    /// The generation's directory.
    pub dir: &'a str,
    /// The pair it belongs to.
    pub pair: PairId,
}

/// Saves the records past the fork, with what each key was before and after; the log stays as it is.
///
/// Where none of them holds anything that a client wrote (a reign was begun, probes were taken), there is no
/// file to wait for: the log is cut at once. The log's writer must be closed.
///
/// # Errors
/// See [`SaveError`].
pub fn save_fork<D: Disk>(
    disk: &D,
    place: LogPlace<'_>,
    settings: &Settings,
    fork: Fork,
    now: WallMillis,
) -> Result<Saved, SaveError> {
    let (store, filter, loaded) =
        load_newest(disk, place.dir, place.pair, fork.to, || Store::new(0))
            .map_err(SaveError::io("read snapshots in", place.dir))?;
    let state = State { store, filter, start: loaded.start, usable: true };
    let (to, chain) = (fork.to, fork.chain);
    let saved = save(disk, place, settings, (fork, Some(chain)), Some(state), now)?;
    if saved.file.is_none() {
        cut_at(disk, place.dir, to, saved.images)?;
    }
    Ok(saved)
}

/// Saves the records from `from` on as they are, without what the keys were; the log stays as it is.
///
/// # Errors
/// See [`SaveError`].
pub fn save_records<D: Disk>(
    disk: &D,
    place: LogPlace<'_>,
    settings: &Settings,
    from: Lsn,
    now: WallMillis,
) -> Result<Saved, SaveError> {
    let (chain, acked) = (Chain::EMPTY, Acked::Unknown);
    let fork = Fork { to: from, chain, acked, clients: Arc::default() };
    save(disk, place, settings, (fork, None), None, now)
}

/// Cuts the log at `to`, if file `id` holds what is cut. The log's writer must be closed.
///
/// Snapshots that reflect anything past `to` are removed first.
///
/// # Errors
/// See [`SaveError`]; unless it is [`SaveError::Cut`], nothing was cut.
pub fn cut_fork<D: Disk>(disk: &D, dir: &str, to: Lsn, id: &str) -> Result<(), SaveError> {
    let entries = catalogue(disk).map_err(SaveError::io("list", DIR))?;
    let covers = |it: &&Entry| it.id == id && it.from == to && it.whole;
    let entry = entries.iter().find(covers).ok_or(SaveError::NotSaved(to))?;
    cut_at(disk, dir, to, entry.images)
}

/// `images`: the state at `to` can be made from snapshot and log.
fn cut_at<D: Disk>(disk: &D, dir: &str, to: Lsn, images: bool) -> Result<(), SaveError> {
    if !images {
        return Err(SaveError::NoState(to));
    }
    remove_beyond(disk, dir, to).map_err(SaveError::io("remove snapshots in", dir))?;
    cut(disk, dir, to)?;
    Ok(())
}

/// The key space, brought to the fork and then record by record past it.
pub(super) struct State {
    pub(super) store: Store,
    filter: SlotLsns,
    start: Lsn,
    /// The log goes back to where the snapshot begins.
    pub(super) usable: bool,
}

impl State {
    pub(super) fn apply(&mut self, record: &RecordView<'_>) -> Result<(), tandem_log::VisitError> {
        if self.usable && record.lsn >= self.start && record.kind == RecordKind::Effects {
            self.store.apply(record.lsn, record.payload, Some(&self.filter))?;
        }
        Ok(())
    }
}

fn save<D: Disk>(
    disk: &D,
    place: LogPlace<'_>,
    settings: &Settings,
    (fork, theirs): (Fork, Option<Chain>),
    mut state: Option<State>,
    now: WallMillis,
) -> Result<Saved, SaveError> {
    make_dir(disk)?;
    let bytes_max = settings.conflicts_bytes_max;
    make_room(disk, 0, bytes_max)?;
    let room = bytes_max.saturating_sub(used_bytes(disk)?);
    let to = fork.to;
    let mut lines = Lines::new(disk, fork, settings, now, room);
    let (mut chain_at, mut trouble, mut first) = (None, None, true);
    let check = check_log(disk, place.dir, place.pair, &mut |record| {
        if std::mem::take(&mut first)
            && let Some(state) = &mut state
        {
            state.usable = record.lsn <= state.start;
        }
        if record.lsn < to {
            return state.as_mut().map_or(Ok(()), |state| state.apply(record));
        }
        lines.chain = *chain_at.get_or_insert(record.chain_before);
        lines.record(record, state.as_mut()).map_err(|error| {
            trouble = Some(error);
            "the lines could not be written".into()
        })
    });
    let ours = chain_at.unwrap_or(check.tip.chain);
    let differs = theirs.filter(|theirs| ours != *theirs && check.tip.end >= to);
    let fault = match (trouble, check.error, differs) {
        (Some(WriteFault::Room { .. }), ..) => Some(SaveError::Room { bytes_max }),
        (Some(WriteFault::Io { name, source }), ..) => {
            Some(SaveError::Io { op: "write", file: name, source })
        }
        (None, Some(error), _) => Some(error.into()),
        (None, None, Some(theirs)) => Some(SaveError::Chain { at: to, ours, theirs }),
        (None, None, None) => None,
    };
    match fault {
        None => lines.finish(check.tip.end, check.tip.chain, state.as_ref()),
        Some(fault) => {
            lines.discard()?;
            Err(fault)
        }
    }
}
