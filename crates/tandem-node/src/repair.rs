//! A data directory that is found damaged: set aside as a whole, and begun anew from the peer.
//!
//! ```text
//!  note written --> empty generation n+1 --> state names it, new incarnation --> gen-n renamed damaged-n
//! ```
//! Each step is durable before the next, and a start that finds the note goes on where it was broken off.
//! The note stays until the full copy is whole: until then the node is `joining`, has nothing, and says why.
//!
//! Invariant: what is set aside is never removed by the node. The directory counts as an emptied one from then
//! on: a new incarnation, in nobody's in-sync set. Only its pair, the epochs that it has seen and refused, and
//! the fact that it is no new directory are kept.
//! Invariant: a node that alone held acknowledged writes is not repaired from its peer, which lacks them.
//!
//! **Not here:** the copy itself (`tandem-replication`), who finds damage later (`scrub`).

use std::io;

use tandem_disk::{Access, Disk, DiskFile};
use tandem_log::{DamageKind, RecoverError, Tip, create_log, load_state, save_state};
use tandem_switch::Acknowledge;
use tandem_types::{EpochHistory, Incarnation, Pair, PairId};

use crate::generation::{DAMAGED_PREFIX, damaged_name, generation_name};
use crate::node::BootError;
use crate::{Seeds, Settings};

const NOTE_NAME: &str = "repair";
const TEMPORARY_NAME: &str = "repair.tmp";
const FIRST_LINE: &str = "tandem repair 1";
/// Bytes of a note that are believed.
const NOTE_BYTES_MAX: u64 = 64 << 10;

/// What was set aside, and why; kept on disk until the full copy that replaces it is whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RepairNote {
    /// The generation that was damaged.
    pub generation: u64,
    /// What is wrong with it: file, byte, record.
    pub reason: String,
}

impl RepairNote {
    /// The directory in which the damaged files are kept.
    pub fn aside(&self) -> String {
        damaged_name(self.generation)
    }

    fn encode(&self) -> String {
        let reason = self.reason.replace('\n', " ");
        format!("{FIRST_LINE}\ngeneration {}\nreason {reason}\n", self.generation)
    }

    fn decode(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return None;
        }
        let generation = lines.next()?.strip_prefix("generation ")?.parse().ok()?;
        Some(Self { generation, reason: lines.next()?.strip_prefix("reason ")?.to_owned() })
    }
}

impl BootError {
    /// Whether a start that failed so can be helped by the peer's data.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Log(RecoverError::Damaged(damage)) => !matches!(
                damage.what,
                // A later program's files, or another pair's, are not damaged.
                DamageKind::Version(_) | DamageKind::Foreign { .. } | DamageKind::NotAFile
            ),
            Self::Log(RecoverError::Missing { .. })
            | Self::NoSnapshot { .. }
            | Self::Mixed { .. } => true,
            _ => false,
        }
    }
}

/// Why the data is set aside.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a> {
    /// What is wrong with it, for people.
    pub reason: &'a str,
    /// The peer has said that it holds every acknowledged record: what the own disk tells does not count.
    pub peer_has_all: bool,
}

/// Sets the generation in use aside and begins an empty one in its place; the next [`crate::boot`] finds it.
///
/// # Errors
/// [`BootError::OnlyCopy`], [`BootError::OneOfTwo`]: perhaps nobody else has what was acknowledged here; nothing
/// was changed. Otherwise the disk failed, and the next start goes on with it.
pub fn set_aside<D: Disk>(
    disk: &D,
    settings: &Settings,
    seeds: Seeds,
    cause: Cause<'_>,
) -> Result<RepairNote, BootError> {
    let Cause { reason, peer_has_all } = cause;
    let mut state = load_state(disk)?.unwrap_or_default();
    let old = crate::node::switch_state(&state)?;
    let two_writers = settings.topology == crate::Topology::PrimaryPrimary;
    let vouched = peer_has_all && !two_writers && old.attempt.is_none();
    if !vouched && holds_alone(settings, &old) {
        let (reason, peer) = (reason.to_owned(), settings.peer_name().to_owned());
        return Err(if two_writers {
            BootError::OneOfTwo { reason, peer }
        } else {
            BootError::OnlyCopy { reason, peer }
        });
    }
    let note = RepairNote { generation: state.generation, reason: reason.to_owned() };
    save_note(disk, &note).map_err(BootError::io("write", NOTE_NAME))?;
    state.generation += 1;
    let dir = generation_name(state.generation);
    crate::node::remove_generation(disk, &dir)?;
    disk.create_dir(&dir).map_err(BootError::io("create", &dir))?;
    create_log(disk, &dir, PairId::NONE, Tip::EMPTY, &EpochHistory::new())?;
    disk.sync_dir("").map_err(BootError::io("sync", "the data directory"))?;
    let incarnation = Incarnation::new(seeds.incarnation.max(1));
    let fresh = tandem_switch::NodeState {
        pair_id: old.pair_id,
        boot: old.boot,
        epoch_seen: old.epoch_seen,
        refused_epoch: old.refused_epoch,
        pauses: old.pauses,
        ..tandem_switch::NodeState::new(incarnation)
    };
    state.incarnation = incarnation;
    state.resigned = None;
    state.in_sync = Pair::default();
    state.history = EpochHistory::new();
    state.extra.clear();
    fresh.encode(&mut state.extra);
    save_state(disk, &state)?;
    finish_setting_aside(disk, &note)?;
    Ok(note)
}

/// Whether the peer may lack writes that this node acknowledged, as far as its own disk tells.
fn holds_alone(settings: &Settings, state: &tandem_switch::NodeState) -> bool {
    if settings.topology == crate::Topology::PrimaryPrimary {
        return true; // Both write; what the peer has of it, only the exchange can tell.
    }
    if state.attempt.is_some() {
        return true; // It may have become primary, and nobody else would know what it answered.
    }
    let was_primary = state.reign.is_some_and(|reign| reign.primary == settings.node);
    let shared =
        state.in_sync.is_some_and(|set| set.is_both() && set.strength != Acknowledge::Local);
    was_primary && !shared
}

/// The note, if one was left; a damaged generation that still has its old name gets its new one.
///
/// # Errors
/// The disk failed, or the note cannot be read.
pub(crate) fn find_note<D: Disk>(disk: &D) -> Result<Option<RepairNote>, BootError> {
    let file = match disk.open(NOTE_NAME, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(BootError::io("open", NOTE_NAME))?,
    };
    let bytes = file.read_all(NOTE_BYTES_MAX).map_err(BootError::io("read", NOTE_NAME))?;
    let note = String::from_utf8(bytes).ok().and_then(|text| RepairNote::decode(&text));
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "it is no repair note");
    Ok(Some(note.ok_or_else(unreadable).map_err(BootError::io("read", NOTE_NAME))?))
}

/// Renames the damaged generation, unless that was done. The state on disk names a later one.
pub(crate) fn finish_setting_aside<D: Disk>(disk: &D, note: &RepairNote) -> Result<(), BootError> {
    let (from, to) = (generation_name(note.generation), note.aside());
    match disk.rename(&from, &to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(BootError::io("set aside", &from)(error));
        }
        Ok(()) | Err(_) => {}
    }
    disk.sync_dir("").map_err(BootError::io("sync", "the data directory"))
}

/// The full copy is whole, or was never needed: nothing waits any more.
///
/// # Errors
/// The disk failed.
pub fn remove_note<D: Disk>(disk: &D) -> io::Result<()> {
    match disk.remove(NOTE_NAME) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| disk.sync_dir("")),
    }
}

/// What earlier repairs kept, by name.
pub(crate) fn kept<D: Disk>(disk: &D) -> io::Result<Vec<String>> {
    let entries = disk.list("")?.into_iter().map(|entry| entry.name);
    Ok(entries.filter(|name| name.starts_with(DAMAGED_PREFIX)).collect())
}

fn save_note<D: Disk>(disk: &D, note: &RepairNote) -> io::Result<()> {
    match disk.remove(TEMPORARY_NAME) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = disk.create(TEMPORARY_NAME)?;
    file.write_at(0, note.encode().as_bytes())?;
    file.sync_data()?;
    drop(file);
    disk.rename(TEMPORARY_NAME, NOTE_NAME)?;
    disk.sync_dir("")
}

#[cfg(test)]
mod tests;
