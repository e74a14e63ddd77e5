//! `TANDEM PP VERIFY`: whether both nodes hold the same, proven slot by slot while they go on serving.
//!
//! A stretch of slots is compared when both nodes have merged all that the other has written: then every
//! digest has to be the same. Under load that instant is waited for, stretch by stretch.

use std::time::Duration;

use tandem_types::{Lsn, Monotonic, Pair, SLOT_COUNT, SlotId};

use super::message::{Digests, Said};
use super::{Node, Phase};
use crate::ConnId;

/// Slots compared at a time.
pub(super) const STRETCH: u16 = 256;
/// Until the same stretch is asked for again, if one of the nodes was ahead.
const AGAIN_AFTER: Duration = Duration::from_millis(10);
/// Until it is given up.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Slots named in an answer, at most.
const NAMED_MAX: usize = 8;

const _: () = assert!(SLOT_COUNT.is_multiple_of(STRETCH));

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Verifying {
    conn: ConnId,
    first: SlotId,
    /// What was asked, if the answer is not here.
    asked: Option<(u64, Pair<Lsn>)>,
    next_try: Monotonic,
    until: Monotonic,
    differing: Vec<SlotId>,
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
            first: SlotId::FIRST,
            asked: None,
            next_try: now,
            until: now.plus(TIME_MAX),
            differing: Vec::new(),
        });
        self.tend_verify();
    }

    /// When the comparison needs time to pass.
    pub(in crate::node) fn verify_deadline(&self) -> Option<Monotonic> {
        let verifying = self.exchange.verifying.as_ref()?;
        Some(if verifying.asked.is_some() { verifying.until } else { verifying.next_try })
    }

    /// Asks for the next stretch, if it is time and all is quiet here.
    pub(in crate::node) fn tend_verify(&mut self) {
        let now = self.core.now.mono;
        let Some(verifying) = &mut self.exchange.verifying else { return };
        let streaming = self.exchange.phase == Phase::Streaming && !self.exchange.awaits_copy;
        if !streaming || now >= verifying.until {
            let text = if streaming {
                "PPBUSY the nodes were not at rest for long enough to compare all slots: try again when less is written"
            } else {
                "ERR the peer is not there: nothing can be compared"
            };
            return self.end_verify(Err(text));
        }
        if verifying.asked.is_some() || now < verifying.next_try {
            return;
        }
        let vector = self.core.vector();
        self.exchange.verify_token += 1;
        let token = self.exchange.verify_token;
        verifying.asked = Some((token, vector));
        let first = verifying.first;
        self.say_to_writer(&Said::VerifyAsk { token, first, vector });
    }

    fn end_verify(&mut self, answer: Result<&str, &str>) {
        if let Some(verifying) = self.exchange.verifying.take() {
            self.clients.answer(&mut self.core, verifying.conn, answer);
        }
    }

    /// The peer wants to compare.
    pub(super) fn asked_to_verify(&mut self, token: u64, first: SlotId, vector: Pair<Lsn>) {
        let same = self.core.vector() == vector;
        let digests = same.then(|| self.digests(first));
        self.say_to_writer(&Said::VerifyAnswer { token, digests });
    }

    fn digests(&self, first: SlotId) -> Digests {
        let slots = (first.slot..first.slot.saturating_add(STRETCH).min(SLOT_COUNT))
            .map(|slot| self.core.store.digest(SlotId { db: first.db, slot }))
            .collect();
        Digests { slots, beside: self.core.store.digest_beside() }
    }

    pub(super) fn verify_answered(&mut self, token: u64, theirs: Option<&Digests>) {
        let again = self.core.now.mono.plus(AGAIN_AFTER);
        let vector = self.core.vector();
        let Some(verifying) = &mut self.exchange.verifying else { return };
        let Some((asked, at)) = verifying.asked else { return };
        if asked != token {
            return;
        }
        verifying.asked = None;
        let first = verifying.first;
        let Some(theirs) = theirs.filter(|_| vector == at) else {
            verifying.next_try = again;
            return;
        };
        let ours = self.digests(first);
        let Some(verifying) = &mut self.exchange.verifying else { return };
        let pairs = ours.slots.iter().zip(&theirs.slots);
        for (slot, (own, other)) in (first.slot..).zip(pairs) {
            if own != other {
                verifying.differing.push(SlotId { db: first.db, slot });
            }
        }
        if ours.beside != theirs.beside || ours.slots.len() != theirs.slots.len() {
            verifying.differing.push(first);
        }
        let last = SlotId { db: first.db, slot: first.slot + (STRETCH - 1) };
        match last.next() {
            Some(next) => {
                verifying.first = next;
                self.tend_verify();
            }
            None => self.verified(vector),
        }
    }

    fn verified(&mut self, vector: Pair<Lsn>) {
        let Some(verifying) = &mut self.exchange.verifying else { return };
        verifying.differing.dedup();
        let differing = std::mem::take(&mut verifying.differing);
        if differing.is_empty() {
            let text =
                format!("OK all slots are equal, after {} and {} records", vector.a, vector.b);
            return self.end_verify(Ok(&text));
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
