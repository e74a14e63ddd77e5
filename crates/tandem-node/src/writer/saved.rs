//! One of two writers in a snapshot: what stands at its beginning, and what goes with each stretch of slots.
//!
//! ```text
//!  header: side, met, positions, places, ledger  - at the start
//!  chunk:  slots | beside them, of a and of b | own writes that the peer may lack | conflicts (last chunk)
//! ```
//! As with one writer each chunk is as of its own position, and what the log did to it before is skipped
//! when it is replayed ([`super::Replayed`]): a merge looks at nothing but one key, what is noted of it, and
//! positions. The conflicts are as of the end; they are named by positions, so none is told twice.

use tandem_merge::{SKEW_MS_MAX, Site};
use tandem_replication::message::SlotPieces;
use tandem_store::Store;
use tandem_types::{Incarnation, Lsn, NodeId, Pair, SlotId, WallMillis};

use super::beside::{beside_bytes, saved_ledger};
use super::note::{NoteError, Rest, put_bytes};
use super::places::{SavedPlaces, Unconfirmed};
use super::{CopyFault, Ends, Forgotten, PeerNote, Places, Writer};

/// First byte of what stands at the beginning.
const VERSION: u8 = 1;

/// Which side a snapshot is of, by what stands at its beginning; `None`: it is of a pair with one primary.
pub fn side_of_snapshot(beside: &[u8]) -> Option<NodeId> {
    match beside {
        [VERSION, side, ..] => NodeId::from_byte(*side),
        _ => None,
    }
}

/// The payload of the record ([`tandem_log::RecordKind::Peer`]) that makes a log one of a backup: what stands
/// before it is taken up by a new pair, whose ids go on at `ids_from` or above.
pub fn restored_note(ids_from: u64) -> Vec<u8> {
    PeerNote::Restored { ids_from }.to_bytes()
}

impl Writer {
    /// What a snapshot says of it that begins where the log ends at `log_end`.
    pub(crate) fn save(&self, store: &Store, log_end: Lsn) -> Vec<u8> {
        let mut out = vec![VERSION, self.site.side().as_byte(), u8::from(self.met.is_some())];
        out.extend(self.met.unwrap_or_default().get().to_le_bytes());
        let mut site = Vec::new();
        self.site.encode(&mut site);
        put_bytes(&mut out, &site);
        put_places(&mut out, &self.places.save(log_end));
        let ledger = saved_ledger(store, self.site.side());
        put_bytes(&mut out, &ledger.a);
        put_bytes(&mut out, &ledger.b);
        out.push(u8::from(self.forgotten.is_some()));
        if let Some(forgotten) = &self.forgotten {
            forgotten.encode(&mut out);
        }
        out.push(u8::from(self.given_up.is_some()));
        out.extend(self.given_up.unwrap_or_default().get().to_le_bytes());
        out
    }

    /// The writer of a snapshot; its ledger goes to `store`, which is empty and hears that it is being loaded.
    ///
    /// # Errors
    /// Bytes that say nothing, or another side.
    pub(crate) fn load_head(
        side: NodeId,
        bytes: &[u8],
        store: &mut Store,
        log_end: Lsn,
    ) -> Result<Self, CopyFault> {
        let head = Head::read(bytes)
            .map_err(|_| CopyFault("what it says of two writers cannot be read".into()))?;
        if head.side != side {
            return Err(CopyFault("it is of the other node".into()));
        }
        let site = Site::decode(side, SKEW_MS_MAX, head.site);
        let site = site.map_err(|error| CopyFault(error.to_string()))?;
        let ends = Ends { own: site.own_end(), seen: site.seen_end() };
        let places = Places::load(head.places, log_end, ends);
        let noted = site.stable_end();
        let mut writer = Self {
            site,
            met: head.met,
            copying: None,
            places,
            noted,
            waits: true,
            forgotten: head.forgotten,
            given_up: head.given_up,
            payload: Vec::new(),
        };
        store.begin_copy();
        writer.load_beside(head.ledger, store, log_end)?;
        Ok(writer)
    }

    /// A chunk of a snapshot: these slots, serialised, and what goes with them. The last one holds what was
    /// decided for people.
    pub(crate) fn save_slots(
        &self,
        store: &mut Store,
        (first, last): (SlotId, SlotId),
        slots: &[u8],
    ) -> Vec<u8> {
        let beside = beside_bytes(store, first, last);
        let mut noted = Vec::new();
        self.site.encode_slots(first, last, &mut noted);
        let conflicts = if last == SlotId::LAST { store.conflict_bytes() } else { Vec::new() };
        let mut out = Vec::with_capacity(slots.len() + noted.len() + 64);
        for bytes in [slots, &beside.a, &beside.b, &noted, &conflicts] {
            put_bytes(&mut out, bytes);
        }
        out
    }

    /// Takes it over; it was taken at `lsn`.
    ///
    /// # Errors
    /// Bytes that say nothing.
    pub(crate) fn load_slots(
        &mut self,
        bytes: &[u8],
        store: &mut Store,
        lsn: Lsn,
    ) -> Result<(), CopyFault> {
        let fault = |error: &dyn std::fmt::Display| CopyFault(error.to_string());
        let [slots, a, b, noted, conflicts] = parts(bytes).map_err(|error| fault(&error))?;
        for slot in SlotPieces::new(slots) {
            let (slot, content) = slot.map_err(|error| fault(&error))?;
            store.load_slot(slot, lsn, content).map_err(|error| fault(&error))?;
        }
        self.load_beside(Pair { a, b }, store, lsn)?;
        self.site.load_slots(noted).map_err(|error| fault(&error))?;
        store.load_conflicts(conflicts).map_err(|error| fault(&error))
    }
}

/// The five parts of a chunk.
fn parts(bytes: &[u8]) -> Result<[&[u8]; 5], NoteError> {
    let mut rest = Rest(bytes);
    let mut parts = [&[][..]; 5];
    for part in &mut parts {
        *part = rest.bytes()?;
    }
    if rest.0.is_empty() { Ok(parts) } else { Err(NoteError) }
}

/// What stands at the beginning.
struct Head<'a> {
    side: NodeId,
    met: Option<Incarnation>,
    site: &'a [u8],
    places: SavedPlaces,
    ledger: Pair<&'a [u8]>,
    forgotten: Option<Forgotten>,
    given_up: Option<Lsn>,
}

impl<'a> Head<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, NoteError> {
        let mut rest = Rest(bytes);
        if rest.byte()? != VERSION {
            return Err(NoteError);
        }
        let side = NodeId::from_byte(rest.byte()?).ok_or(NoteError)?;
        let met = rest.byte()? != 0;
        let incarnation = Incarnation::new(rest.u64()?);
        let head = Self {
            side,
            met: met.then_some(incarnation),
            site: rest.bytes()?,
            places: read_places(&mut rest)?,
            ledger: Pair { a: rest.bytes()?, b: rest.bytes()? },
            forgotten: match rest.byte()? {
                0 => None,
                _ => Some(Forgotten::read(&mut rest)?),
            },
            given_up: {
                let given_up = rest.byte()? != 0;
                let has = Lsn::new(rest.u64()?);
                given_up.then_some(has)
            },
        };
        if rest.0.is_empty() { Ok(head) } else { Err(NoteError) }
    }
}

fn put_places(out: &mut Vec<u8>, places: &SavedPlaces) {
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let mut put = |word: u64| out.extend(word.to_le_bytes());
    put(places.confirmed.get());
    put(wide(places.marks.len()));
    for (own, place) in &places.marks {
        put(own.get());
        put(place.get());
    }
    put(wide(places.unconfirmed.len()));
    for it in &places.unconfirmed {
        for word in [it.own_end.get(), it.place.get(), u64::from(it.bytes), it.written.get()] {
            put(word);
        }
    }
}

fn read_places(rest: &mut Rest<'_>) -> Result<SavedPlaces, NoteError> {
    let mut places = SavedPlaces { confirmed: Lsn::new(rest.u64()?), ..SavedPlaces::default() };
    for _ in 0..rest.u64()? {
        places.marks.push((Lsn::new(rest.u64()?), Lsn::new(rest.u64()?)));
    }
    for _ in 0..rest.u64()? {
        places.unconfirmed.push(Unconfirmed {
            own_end: Lsn::new(rest.u64()?),
            place: Lsn::new(rest.u64()?),
            bytes: u32::try_from(rest.u64()?).map_err(|_| NoteError)?,
            written: WallMillis::new(rest.u64()?),
        });
    }
    Ok(places)
}
