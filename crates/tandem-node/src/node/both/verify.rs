//! `TANDEM PP VERIFY`: whether both nodes hold the same, proven slot by slot while they go on serving.
//!
//! A slot is compared when neither node has written to it what the other may lack: what it holds then was made
//! by the same writes on both, so the digests have to be the same. A slot that is in use is asked for again, until
//! it is not for the few milliseconds that this takes.
//!
//! ```text
//! asker: last write to the slot <= all own records before here are on the peer's disk, when it asked and still
//! peer:  last write to the slot <= all own records before here are on the asker's disk, when it answers
//! ```
//! A difference counts once it was seen [`TRIES`] times. What stands beside the slots (values of a second type, totals
//! of scores that are added to) is not stamped: it is compared when both nodes hold exactly as much of one another,
//! or have nothing there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tandem_types::{Lsn, Monotonic, Pair, SLOT_COUNT, SlotId};

use super::message::{Digests, Said};
use super::{Node, Phase};
use crate::ConnId;

/// Bytes that one answer looks at, about: a few milliseconds' work.
const ANSWER_COST_MAX: usize = 2 << 20;
/// Until slots that were in use are asked for again.
const AGAIN_AFTER: Duration = Duration::from_millis(10);
/// A slot differs if it did so often, with nothing written to it in between that was not on both.
const TRIES: u8 = 3;
/// Until it is given up.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Slots named in an answer, at most.
const NAMED_MAX: usize = 8;

/// What was asked, and how this node was then.
#[derive(Clone, Copy, Debug)]
struct Asked {
    token: u64,
    vector: Pair<Lsn>,
    /// Own records that end before this in the log are on the peer's disk.
    confirmed: Lsn,
}

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Verifying {
    conn: ConnId,
    /// The slot to compare from; `None` in the end.
    first: Option<SlotId>,
    /// The answer is not here.
    asked: Option<Asked>,
    next_try: Monotonic,
    until: Monotonic,
    /// Every slot was asked for once.
    seen_all: bool,
    /// Slots to be asked for again.
    left: BTreeSet<SlotId>,
    /// How often a slot differed.
    suspects: BTreeMap<SlotId, u8>,
    beside_left: bool,
    differing: Vec<SlotId>,
}

impl Verifying {
    /// Whether a slot has to be asked for again; `same`: whether it was equal, if it was compared.
    fn is_left(&mut self, slot: SlotId, same: Option<bool>) -> bool {
        match same {
            None => true,
            Some(true) => false,
            Some(false) => {
                let count = self.suspects.entry(slot).or_default();
                *count += 1;
                let certain = *count >= TRIES;
                if certain {
                    self.differing.push(slot);
                }
                !certain
            }
        }
    }
}

impl Node {
    /// A client wants to know whether both nodes hold the same.
    pub(in crate::node) fn verify_writers(&mut self, conn: ConnId) {
        if self.exchange.verifying.is_some() {
            let text = "ERR a comparison is under way already: try again in a moment";
            return self.clients.answer(&mut self.core, conn, Err(text));
        }
        let now = self.core.now.mono;
        self.exchange.verifying = Some(Verifying {
            conn,
            first: Some(SlotId::FIRST),
            asked: None,
            next_try: now,
            until: now.plus(TIME_MAX),
            seen_all: false,
            left: BTreeSet::new(),
            suspects: BTreeMap::new(),
            beside_left: true,
            differing: Vec::new(),
        });
        self.tend_verify();
    }

    /// When the comparison needs time to pass.
    pub(in crate::node) fn verify_deadline(&self) -> Option<Monotonic> {
        let verifying = self.exchange.verifying.as_ref()?;
        Some(if verifying.asked.is_some() { verifying.until } else { verifying.next_try })
    }

    /// Asks for the next slots, if it is time.
    pub(in crate::node) fn tend_verify(&mut self) {
        let now = self.core.now.mono;
        let Some(verifying) = &self.exchange.verifying else { return };
        if self.exchange.phase != Phase::Streaming || self.exchange.awaits_copy {
            return self.end_verify(Err("ERR the peer is not there: nothing can be compared"));
        }
        if now >= verifying.until {
            return self.verified();
        }
        if verifying.asked.is_some() || now < verifying.next_try {
            return;
        }
        let Some(first) = verifying.first else { return self.verified() };
        let (vector, confirmed) = (self.core.vector(), self.confirmed_end());
        self.exchange.verify_token += 1;
        let token = self.exchange.verify_token;
        if let Some(verifying) = &mut self.exchange.verifying {
            verifying.asked = Some(Asked { token, vector, confirmed });
        }
        self.say_to_writer(&Said::VerifyAsk { token, first, vector });
    }

    fn end_verify(&mut self, answer: Result<&str, &str>) {
        if let Some(verifying) = self.exchange.verifying.take() {
            self.clients.answer(&mut self.core, verifying.conn, answer);
        }
    }

    /// All own records that end at or before this in the log are on the peer's disk.
    fn confirmed_end(&self) -> Lsn {
        let writer = self.core.writer.as_ref();
        let first_missing = writer.and_then(|writer| writer.places.confirmed_end());
        first_missing.unwrap_or(self.core.positions.appended_end)
    }

    /// The peer wants to compare.
    pub(super) fn asked_to_verify(&mut self, token: u64, first: SlotId, vector: Pair<Lsn>) {
        let confirmed = self.confirmed_end();
        let store = &self.core.store;
        let (mut slots, mut cost) = (Vec::new(), 0);
        for slot in rest_of_database(first) {
            let clean = store.last_write_end(slot) <= confirmed;
            slots.push(clean.then(|| {
                let (digest, bytes) = store.digest_with_cost(slot);
                cost += bytes;
                digest
            }));
            if cost > ANSWER_COST_MAX {
                break;
            }
        }
        let comparable = store.has_nothing_beside() || self.core.vector() == vector;
        let beside = comparable.then(|| store.digest_beside());
        let digests = Digests { slots, beside };
        self.say_to_writer(&Said::VerifyAnswer { token, digests });
    }

    pub(super) fn verify_answered(&mut self, token: u64, theirs: &Digests) {
        let again = self.core.now.mono.plus(AGAIN_AFTER);
        let same_vector = self.core.vector();
        let store = &self.core.store;
        let Some(verifying) = &mut self.exchange.verifying else { return };
        let Some(asked) = verifying.asked.take_if(|asked| asked.token == token) else { return };
        let Some(first) = verifying.first else { return };
        let mut last = first;
        for (slot, digest) in rest_of_database(first).zip(&theirs.slots) {
            last = slot;
            if verifying.seen_all && !verifying.left.contains(&slot) {
                continue;
            }
            let clean = store.last_write_end(slot) <= asked.confirmed;
            let same = digest.filter(|_| clean).map(|digest| digest == store.digest(slot));
            if verifying.is_left(slot, same) {
                verifying.left.insert(slot);
            } else {
                verifying.left.remove(&slot);
            }
        }
        let comparable = store.has_nothing_beside() || same_vector == asked.vector;
        if let Some(beside) = theirs.beside.filter(|_| comparable && verifying.beside_left) {
            verifying.beside_left = false;
            if beside != store.digest_beside() {
                verifying.differing.push(first);
            }
        }
        let mut next = last.next();
        if verifying.seen_all {
            next = next.and_then(|next| verifying.left.range(next..).next().copied());
        }
        if next.is_none() {
            // Round again, for those that are left.
            verifying.seen_all = true;
            verifying.next_try = again;
            let beside = verifying.beside_left.then_some(SlotId::FIRST);
            next = verifying.left.first().copied().or(beside);
        }
        verifying.first = next;
        self.tend_verify();
        if self.exchange.verifying.as_ref().is_some_and(|verifying| verifying.first.is_none()) {
            self.verified();
        }
    }

    /// All was compared, or the time is over.
    fn verified(&mut self) {
        let vector = self.core.vector();
        let Some(verifying) = &mut self.exchange.verifying else { return };
        verifying.differing.dedup();
        let differing = std::mem::take(&mut verifying.differing);
        let in_use =
            if verifying.seen_all { verifying.left.len() } else { usize::from(SLOT_COUNT) };
        let beside_left = verifying.beside_left;
        if differing.is_empty() && in_use == 0 && !beside_left {
            let text =
                format!("OK all slots are equal, after {} and {} records", vector.a, vector.b);
            return self.end_verify(Ok(&text));
        }
        if differing.is_empty() && in_use == 0 {
            let text = "PPBUSY all slots are equal; totals of scores and values of a second type were never at rest, and were not compared: try again when less is written";
            return self.end_verify(Err(text));
        }
        if differing.is_empty() {
            let text = format!(
                "PPBUSY {in_use} slots were written to all the time and were not compared, all others are equal: try again when less is written"
            );
            return self.end_verify(Err(&text));
        }
        let named: Vec<String> = differing
            .iter()
            .take(NAMED_MAX)
            .map(|slot| format!("{}/{}", slot.db.get(), slot.slot))
            .collect();
        let text = format!(
            "PPDIFFERS {} slots are not equal (database/slot): {}",
            differing.len(),
            named.join(" ")
        );
        self.event(crate::Severity::Error, text.clone());
        self.end_verify(Err(&text));
    }
}

/// The slots of one database from `first` on.
fn rest_of_database(first: SlotId) -> impl Iterator<Item = SlotId> {
    (first.slot..SLOT_COUNT).map(move |slot| SlotId { db: first.db, slot })
}
