//! A toy log of effects that cannot be applied twice, and the key space they give.

use std::collections::BTreeMap;

use tandem_types::{Chain, DbIndex, Epoch, EpochHistory, EpochStart, ForkId, Lsn, SlotId};

use crate::rng::Rng;

/// Bytes of one record.
pub(crate) const RECORD_BYTES: usize = 20;

/// The slots that are ever used: first, last, around a border, and many between, so that a copy takes
/// longer than a window.
pub(crate) const SLOTS_USED: [u32; 150] = {
    let mut slots = [0; 150];
    let mut at = 0u32;
    while at < 150 {
        slots[at as usize] = at * 437;
        at += 1;
    }
    slots[1] = 4095;
    slots[2] = 4096;
    slots[149] = 65_535;
    slots
};

/// "Multiply the slot by 31 and add": order, omission and repetition all show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rec {
    pub(crate) epoch: u32,
    pub(crate) slot: u32,
    pub(crate) value: u64,
    pub(crate) salt: u32,
}

impl Rec {
    pub(crate) fn draw(rng: &mut Rng, epoch: u32) -> Self {
        let slot = SLOTS_USED[usize::try_from(rng.below(SLOTS_USED.len() as u64)).unwrap()];
        Self { epoch, slot, value: rng.next(), salt: u32::try_from(rng.below(1 << 30)).unwrap() }
    }

    pub(crate) fn bytes(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..4].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.slot.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.value.to_le_bytes());
        bytes[16..].copy_from_slice(&self.salt.to_le_bytes());
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Self {
        Self {
            epoch: u32::from_le_bytes(bytes[..4].try_into().unwrap()),
            slot: u32::from_le_bytes(bytes[4..8].try_into().unwrap()),
            value: u64::from_le_bytes(bytes[8..16].try_into().unwrap()),
            salt: u32::from_le_bytes(bytes[16..20].try_into().unwrap()),
        }
    }

    pub(crate) fn slot_id(self) -> SlotId {
        let db = DbIndex::new(u8::try_from(self.slot / 4096).unwrap()).unwrap();
        SlotId { db, slot: u16::try_from(self.slot % 4096).unwrap() }
    }
}

/// Records from `base` on, with the checksum before each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) base: usize,
    pub(crate) records: Vec<Rec>,
    chains: Vec<Chain>,
    pub(crate) history: EpochHistory,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self::from(0, Chain::EMPTY, EpochHistory::new())
    }

    pub(crate) fn from(base: usize, chain: Chain, history: EpochHistory) -> Self {
        Self { base, records: Vec::new(), chains: vec![chain], history }
    }

    pub(crate) fn end(&self) -> usize {
        self.base + self.records.len()
    }

    pub(crate) fn chain_at(&self, at: usize) -> Chain {
        self.chains[at - self.base]
    }

    pub(crate) fn chain(&self) -> Chain {
        self.chain_at(self.end())
    }

    pub(crate) fn push(&mut self, record: Rec) {
        let epoch = Epoch::new(u64::from(record.epoch));
        if self.history.last_epoch() < epoch {
            let fork = ForkId::new(u64::from(record.salt));
            self.history.push(EpochStart { epoch, fork, first: lsn(self.end()) }).unwrap();
        }
        let chain = self.chain().after(record.salt ^ record.slot);
        self.chains.push(chain);
        self.records.push(record);
    }

    pub(crate) fn cut(&mut self, to: usize) {
        self.records.truncate(to - self.base);
        self.chains.truncate(to - self.base + 1);
        self.history.cut(lsn(to));
    }

    pub(crate) fn range(&self, from: usize, end: usize) -> &[Rec] {
        &self.records[from - self.base..end - self.base]
    }
}

/// Slots that were written.
pub(crate) type Space = BTreeMap<SlotId, u64>;

pub(crate) fn apply(space: &mut Space, record: Rec) {
    let slot = space.entry(record.slot_id()).or_default();
    *slot = slot.wrapping_mul(31).wrapping_add(record.value);
}

pub(crate) fn lsn(count: usize) -> Lsn {
    Lsn::new(u64::try_from(count).unwrap())
}

pub(crate) fn count(lsn: Lsn) -> usize {
    usize::try_from(lsn.get()).unwrap()
}
