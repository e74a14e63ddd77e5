//! What a node must remember besides its log: who it is, what it has seen and promised.
//!
//! One small file, replaced as a whole: written under a temporary name, synced, renamed, directory synced.
//! So there is always one complete version; a damaged one is an error, never a fresh start.
//!
//! ```text
//!  0           8        12        14     16       20
//!  | "TANDEMST" | crc32c | version | flags| length | body ...          (docs/formats/state.md)
//! ```

use std::io;

use tandem_disk::{Access, Disk, DiskFile};
use tandem_types::{
    Epoch, EpochHistory, EpochStart, ForkId, Incarnation, Lsn, NodeId, Pair, PairId,
};

use crate::fields::Fields;

/// The file's name in the data directory.
const STATE_NAME: &str = "state";
const TEMPORARY_NAME: &str = "state.tmp";
const MAGIC: &[u8; 8] = b"TANDEMST";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 20;

/// Largest state that is believed.
const STATE_BYTES_MAX: u64 = 32 << 20;

/// The durable facts of one node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeState {
    /// The pair that the data belongs to; [`PairId::NONE`] before it joined one.
    pub pair: PairId,
    /// Which of the two nodes wrote this directory.
    pub node: Option<NodeId>,
    /// Id of this data directory's life.
    pub incarnation: Incarnation,
    /// Highest epoch ever seen, and its fork id.
    pub epoch_seen: Epoch,
    /// Fork id of [`Self::epoch_seen`].
    pub fork_seen: ForkId,
    /// Acknowledges nothing at or below this epoch.
    pub refused_epoch: Epoch,
    /// The epoch in which this node declared itself out of the in-sync set.
    pub resigned: Option<Epoch>,
    /// Members of the in-sync set, as last known.
    pub in_sync: Pair<Option<Incarnation>>,
    /// Every reign, as last known (the log has its own table; this one may be ahead of it).
    pub history: EpochHistory,
    /// Which start of this directory it is: a count and, in the lowest 24 bits, what was drawn at it.
    pub boots: u64,
    /// The directory `gen-<n>` that holds log and snapshots.
    pub generation: u64,
    /// What other parts keep here, in an encoding of their own.
    pub extra: Vec<u8>,
}

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file is there but not readable as a state. Never start as if it were new: get the data from
    /// the peer, or restore the file.
    #[error(
        "the file {STATE_NAME} in the data directory is damaged, so nobody can tell whose data this is; nothing was changed. Restore a backup into an empty directory; or, if the peer was in sync and has all writes, move this data directory away and start again: the node then copies everything from its peer"
    )]
    Damaged,
    /// A version that this program does not know.
    #[error(
        "the file {STATE_NAME} in the data directory has format version {0}, which this program does not know: use the version that wrote it, or a later one"
    )]
    Version(u16),
    /// No space. The state on disk is as it was; it may be saved again, from the beginning, once there is.
    #[error("no space to {op} the state file")]
    Full {
        /// What was being done.
        op: &'static str,
        /// As the system says it.
        source: io::Error,
    },
    /// The disk failed. After a failed write the state on disk is one of the two versions.
    #[error("{op} the state file")]
    Io {
        /// What was being done.
        op: &'static str,
        /// How it failed.
        source: io::Error,
    },
}

impl StateError {
    fn io(op: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { op, source }
    }

    /// Of the temporary file, before it takes the old one's place.
    fn of_new(op: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull => Self::Full { op, source },
            _ => Self::Io { op, source },
        }
    }
}

/// Reads the state; `None` if there is none (a new directory).
///
/// After a failed [`save_state`] this may be the version that did not become durable: save it again (with
/// the boot counter raised) before acting on it.
///
/// # Errors
/// See [`StateError`].
pub fn load_state<D: Disk>(disk: &D) -> Result<Option<NodeState>, StateError> {
    let file = match disk.open(STATE_NAME, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(StateError::io("open"))?,
    };
    let bytes = match file.read_all(STATE_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return Err(StateError::Damaged);
        }
        read => read.map_err(StateError::io("read"))?,
    };
    NodeState::decode(&bytes).map(Some)
}

/// Replaces the state. Durable when this returns `Ok`.
///
/// # Errors
/// [`StateError::Io`]: stop the node. The next start finds either version. [`StateError::Full`]: nothing
/// has changed, and another try writes all of it anew (a sync is never just repeated).
pub fn save_state<D: Disk>(disk: &D, state: &NodeState) -> Result<(), StateError> {
    match disk.remove(TEMPORARY_NAME) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(StateError::io("remove old")(source));
        }
        Ok(()) | Err(_) => {}
    }
    let file = disk.create(TEMPORARY_NAME).map_err(StateError::of_new("create"))?;
    file.write_at(0, &state.encode()).map_err(StateError::of_new("write"))?;
    file.sync_data().map_err(StateError::of_new("sync"))?;
    disk.rename(TEMPORARY_NAME, STATE_NAME).map_err(StateError::io("rename"))?;
    disk.sync_dir("").map_err(StateError::io("sync the directory of"))
}

const NO_NODE: u8 = 0xff;

impl NodeState {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 6]);
        bytes.extend_from_slice(&self.pair.get().to_le_bytes());
        let mut put = |value: u64| bytes.extend_from_slice(&value.to_le_bytes());
        put(self.incarnation.get());
        put(self.epoch_seen.get());
        put(self.fork_seen.get());
        put(self.refused_epoch.get());
        put(self.resigned.map_or(0, Epoch::get));
        put(self.in_sync.a.map_or(0, Incarnation::get));
        put(self.in_sync.b.map_or(0, Incarnation::get));
        put(self.boots);
        put(self.generation);
        bytes.push(self.node.map_or(NO_NODE, NodeId::as_byte));
        bytes.push(
            u8::from(self.resigned.is_some())
                | u8::from(self.in_sync.a.is_some()) << 1
                | u8::from(self.in_sync.b.is_some()) << 2,
        );
        bytes.extend_from_slice(&[0; 2]);
        // Lengths far above what fits into a state fail the bound when it is read back, loudly.
        let epochs = u32::try_from(self.history.starts().len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&epochs.to_le_bytes());
        for start in self.history.starts() {
            for field in [start.epoch.get(), start.fork.get(), start.first.get()] {
                bytes.extend_from_slice(&field.to_le_bytes());
            }
        }
        let extra = u32::try_from(self.extra.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&extra.to_le_bytes());
        bytes.extend_from_slice(&self.extra);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes[16..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let mut fields = Fields(bytes);
        if fields.bytes(8) != Some(MAGIC) {
            return Err(StateError::Damaged);
        }
        let (crc, body) = (fields.u32(), fields.0);
        match fields.u16() {
            Some(VERSION) => {}
            Some(version) => return Err(StateError::Version(version)),
            None => return Err(StateError::Damaged),
        }
        if crc != Some(crc32c::crc32c(body)) {
            return Err(StateError::Damaged);
        }
        Self::decode_body(fields, bytes.len()).ok_or(StateError::Damaged)
    }

    fn decode_body(mut fields: Fields<'_>, total: usize) -> Option<Self> {
        let _flags = fields.u16()?;
        if usize::try_from(fields.u32()?).ok()? != total {
            return None;
        }
        let pair = PairId::new(fields.u128()?);
        let incarnation = Incarnation::new(fields.u64()?);
        let epoch_seen = Epoch::new(fields.u64()?);
        let fork_seen = ForkId::new(fields.u64()?);
        let refused_epoch = Epoch::new(fields.u64()?);
        let resigned = Epoch::new(fields.u64()?);
        let (a, b) = (Incarnation::new(fields.u64()?), Incarnation::new(fields.u64()?));
        let (boots, generation) = (fields.u64()?, fields.u64()?);
        let (node, present, _reserved) = (fields.u8()?, fields.u8()?, fields.u16()?);
        let node = match node {
            NO_NODE => None,
            byte => Some(NodeId::from_byte(byte)?),
        };
        let mut history = EpochHistory::new();
        for _ in 0..fields.u32()? {
            let epoch = Epoch::new(fields.u64()?);
            let fork = ForkId::new(fields.u64()?);
            let first = Lsn::new(fields.u64()?);
            history.push(EpochStart { epoch, fork, first }).ok()?;
        }
        let extra_len = usize::try_from(fields.u32()?).ok()?;
        let extra = fields.bytes(extra_len)?.to_vec();
        let resigned = (present & 1 != 0).then_some(resigned);
        let in_sync =
            Pair { a: (present & 2 != 0).then_some(a), b: (present & 4 != 0).then_some(b) };
        fields.0.is_empty().then_some(Self {
            pair,
            node,
            incarnation,
            epoch_seen,
            fork_seen,
            refused_epoch,
            resigned,
            in_sync,
            history,
            boots,
            generation,
            extra,
        })
    }
}

#[cfg(test)]
mod tests {
    use tandem_disk::{Fault, Keep, SimDisk};

    use super::*;

    fn state(boots: u64) -> NodeState {
        let mut history = EpochHistory::new();
        for number in 1..=boots {
            let (epoch, fork) = (Epoch::new(number), ForkId::new(number * 3));
            history.push(EpochStart { epoch, fork, first: Lsn::new(number * 10) }).unwrap();
        }
        NodeState {
            pair: PairId::new(0x1234_5678_9abc_def0_1111),
            node: Some(NodeId::B),
            incarnation: Incarnation::new(7),
            epoch_seen: Epoch::new(9),
            fork_seen: ForkId::new(99),
            refused_epoch: Epoch::new(8),
            resigned: Some(Epoch::new(3)),
            in_sync: Pair { a: Some(Incarnation::new(5)), b: None },
            history,
            boots,
            generation: 2,
            extra: b"more".to_vec(),
        }
    }

    #[test]
    fn a_new_directory_has_no_state_and_a_saved_one_reads_back() {
        let disk = SimDisk::new(1);
        assert!(load_state(&disk).unwrap().is_none());
        for state in [NodeState::default(), state(3)] {
            save_state(&disk, &state).unwrap();
            disk.crash(Keep::Nothing);
            assert_eq!(load_state(&disk).unwrap(), Some(state));
        }
    }

    #[test]
    fn any_flipped_or_missing_byte_is_an_error() {
        let bytes = state(2).encode();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 0x01;
            NodeState::decode(&bad).unwrap_err();
            NodeState::decode(&bytes[..at]).unwrap_err();
        }
    }

    #[test]
    fn a_crash_or_an_error_anywhere_leaves_the_old_state_or_the_new_one() {
        let (old, new) = (state(1), state(2));
        let start = SimDisk::new(1);
        save_state(&start, &old).unwrap();
        let before = start.operations();
        save_state(&start.fork(), &new).unwrap();
        for step in 0..16 {
            for fault in [None, Some(Fault::Error(io::ErrorKind::Other)), Some(Fault::LostSync)] {
                let disk = start.fork();
                match fault {
                    Some(fault) => disk.plan(before + step, fault),
                    None => disk.power_off_after(Some(before + step)),
                }
                let saved = save_state(&disk, &new).is_ok();
                assert!(disk.pending_units() <= 10, "{} units", disk.pending_units());
                for mask in 0..1 << disk.pending_units() {
                    let copy = disk.fork();
                    copy.crash(Keep::Mask(mask));
                    let found = load_state(&copy).unwrap().unwrap();
                    assert!(found == new || (found == old && !saved), "step {step} mask {mask:b}");
                }
            }
        }
    }
}
