//! A peer that is given up for good, and what happens when it comes back.
//!
//! ```text
//!  survivor: FORGET --> note in the log: index, tail, rights of the peer are gone; nobody is the partner
//!     it comes back --> Said::GivenUp --> that one serves no more (noted in its log), and hands over
//!  survivor: chunks --> kept in memory --> SALVAGE LIST | APPLY --> note, own record, conflicts
//! ```
//! **Not here:** what is written again (`writer/salvage`).

use std::borrow::Cow;

use tandem_merge::escrow::Forget;
use tandem_merge::handshake::Greeting;
use tandem_merge::{Chunk, Record};
use tandem_types::Lsn;

use super::message::{Said, Seen};
use super::send::Sending;
use super::{Node, Phase};
use crate::writer::{NOBODY, PeerNote, RESTORED, note_bytes};
use crate::{ConnId, Severity};

/// Bytes of a forgotten peer's writes that are kept.
const SALVAGE_BYTES_MAX: usize = 16 << 20;

/// What a peer that was given up wrote, and nobody has dealt with.
#[derive(Debug, Default)]
pub(super) struct Salvaged {
    records: Vec<Record>,
    bytes: usize,
    /// Its records before this have come.
    end: Lsn,
    /// The end of all that it has; `None`: it has not come back.
    until: Option<Lsn>,
    /// There was more than is kept.
    too_much: bool,
}

impl Node {
    /// A person gives the peer up.
    pub(in crate::node) fn forget_peer(
        &mut self,
        conn: ConnId,
        incarnation: &str,
        rights: Option<Forget>,
    ) {
        match self.try_to_forget(incarnation, rights) {
            Ok(line) => {
                let wait = self.core.positions.appended_end;
                self.clients.answer_after(&mut self.core, conn, wait, &line);
            }
            Err(text) => self.clients.answer(&mut self.core, conn, Err(&text)),
        }
    }

    fn try_to_forget(&mut self, said: &str, rights: Option<Forget>) -> Result<String, String> {
        let peer = self.core.settings.peer_name().to_owned();
        let side = self.core.settings.node.peer();
        let (linked, serving) = (self.link.is_up(), self.switch.is_serving());
        let no_peer =
            || format!("ERR {peer} is not known here, or was given up: nothing to forget");
        let writer = self.core.writer.as_ref().ok_or_else(no_peer)?;
        let known =
            writer.met.filter(|met| ![NOBODY, RESTORED].contains(met)).ok_or_else(no_peer)?;
        if !known.to_string().eq_ignore_ascii_case(said) {
            return Err(format!(
                "ERR {peer} is incarnation {known}: name it, so that no other one is given up"
            ));
        }
        if linked {
            return Err(format!(
                "ERR the link to {peer} is up: only a node that is gone for good is given up"
            ));
        }
        if !serving || writer.copying.is_some() {
            return Err("ERR this node does not serve: it gives nobody up".into());
        }
        let ledger = self.core.store.ledger();
        let counters = ledger.into_iter().flat_map(tandem_merge::Ledger::counters);
        let held: Vec<u64> = counters.map(|(_, it)| it.rights(side)).filter(|it| *it > 0).collect();
        let (held, sum) = (held.len(), held.iter().fold(0u64, |sum, it| sum.saturating_add(*it)));
        if held > 0 && rights.is_none() {
            return Err(format!(
                "ERR {peer} holds {sum} rights of {held} bounded counters: say RIGHTS destroy (they are gone, nothing is oversold) or RIGHTS claim (at most {sum} may be oversold)"
            ));
        }
        self.begin_snapshot_again();
        let note = PeerNote::Forgotten { incarnation: known, rights };
        self.core.heed(&note).map_err(|fault| format!("ERR {fault}"))?;
        if let Some(writer) = &mut self.core.writer {
            let own_end = writer.site.own_end();
            writer.places.confirmed(own_end);
        }
        self.core.peer_confirmed();
        self.update_commit();
        self.retain_log();
        self.refresh_view();
        let became = match rights {
            Some(Forget::Destroy) => format!("{sum} rights of {held} counters are destroyed"),
            Some(Forget::Claim) => format!(
                "{sum} rights of {held} counters are claimed: at most {sum} may be oversold"
            ),
            None => "it held no rights".into(),
        };
        let text = format!("{peer} is given up as incarnation {known}; {became}");
        self.event(Severity::Warn, text.clone());
        Ok(format!("OK {text}"))
    }

    /// The peer that greets was given up: it hears so. `false`: it is another one.
    pub(super) fn meet_forgotten(&mut self, theirs: &Greeting) -> bool {
        let Some(forgotten) = self.core.writer.as_ref().and_then(|it| it.forgotten.as_ref()) else {
            return false;
        };
        if forgotten.incarnation != theirs.incarnation {
            return false;
        }
        let has = forgotten.has;
        self.exchange.salvaged =
            Salvaged { end: has, until: Some(theirs.own_end), ..Salvaged::default() };
        let peer = self.core.settings.peer_name().to_owned();
        let lacks = theirs.own_end.records_since(has).unwrap_or(0);
        self.stay_apart(format!(
            "{peer} was given up and is back with {lacks} records that nobody else has (TANDEM PP SALVAGE LIST): empty its data directory once they are dealt with"
        ));
        self.say_to_writer(&Said::GivenUp { has });
        true
    }

    /// The peer has another partner in this node's place, for good.
    pub(super) fn stop_as_given_up(&mut self) {
        self.switch_step(tandem_switch::Input::Exchange(tandem_switch::Exchange::GivenUp));
        self.refresh_view();
    }

    /// Something was said although the two do not work together.
    pub(super) fn said_apart(&mut self, said: &Said<'_>, bytes: usize) {
        match (said, self.exchange.phase) {
            (Said::GivenUp { has }, Phase::Apart) => self.hand_over(*has),
            (Said::Chunks(payloads), Phase::Apart) => self.keep_salvaged(payloads, bytes),
            (Said::Seen(seen), Phase::HandingOver) => {
                if seen.taken > self.exchange.sending.sent() {
                    return self.violated("it says that it has more than was ever sent to it");
                }
                self.exchange.sending.heard = *seen;
                self.send_records();
            }
            _ => {}
        }
    }

    /// This node was given up. It never serves again, and hands over what the other one does not have.
    fn hand_over(&mut self, has: Lsn) {
        let Some(writer) = &self.core.writer else { return };
        let own_end = writer.site.own_end();
        if has > own_end {
            return self.violated("it says that it has more than there is");
        }
        if writer.given_up != Some(has)
            && let Err(fault) = self.core.heed(&PeerNote::GivenUp { has })
        {
            return self.reboot(fault.to_string());
        }
        self.stop_as_given_up();
        let Some(writer) = &self.core.writer else { return };
        if has < writer.places.oldest_own() {
            return;
        }
        let place = writer.places.find(has);
        self.exchange.settled_end = self.core.positions.appended_end;
        self.exchange.phase = Phase::HandingOver;
        self.exchange.sending = Sending::from(has, place, own_end);
        let peer = self.core.settings.peer_name();
        let text = format!(
            "{peer} gave this node up: it serves no more; {} records go to {peer} to be looked at",
            own_end.records_since(has).unwrap_or(0)
        );
        self.event(Severity::Error, text);
        self.send_records();
    }

    fn keep_salvaged(&mut self, payloads: &[Cow<'_, [u8]>], bytes: usize) {
        if self.exchange.salvaged.until.is_none() {
            return;
        }
        if let Err(why) = payloads.iter().try_for_each(|payload| self.keep_chunk(payload)) {
            return self.violated(why);
        }
        self.exchange.received += u64::try_from(bytes).unwrap_or(u64::MAX);
        let taken = self.exchange.received;
        self.say_to_writer(&Said::Seen(Seen { taken, ..Seen::default() }));
    }

    fn keep_chunk(&mut self, payload: &[u8]) -> Result<(), &'static str> {
        let peer = self.core.settings.node.peer();
        let salvaged = &mut self.exchange.salvaged;
        let chunk = Chunk::decode(payload).map_err(|_| "what it hands over cannot be read")?;
        if chunk.from != salvaged.end || chunk.records.iter().any(|it| it.origin.side != peer) {
            return Err("what it hands over does not fit");
        }
        salvaged.end = chunk.end();
        salvaged.bytes += payload.len();
        salvaged.too_much |= salvaged.bytes > SALVAGE_BYTES_MAX;
        if !salvaged.too_much {
            salvaged.records.extend(chunk.records);
        }
        Ok(())
    }

    /// A person wants to see what a forgotten peer wrote, or to have done of it what can be.
    pub(in crate::node) fn salvage(&mut self, conn: ConnId, apply: bool) {
        match self.try_to_salvage(apply) {
            Ok(lines) if apply => {
                let wait = self.core.positions.appended_end;
                self.clients.answer_lines_after(&mut self.core, conn, wait, &lines);
            }
            Ok(lines) => self.clients.answer_lines(&mut self.core, conn, &lines),
            Err(text) => self.clients.answer(&mut self.core, conn, Err(&text)),
        }
    }

    fn try_to_salvage(&mut self, apply: bool) -> Result<Vec<String>, String> {
        let peer = self.core.settings.peer_name().to_owned();
        let serving = self.switch.is_serving();
        let Self { core, exchange, .. } = self;
        let salvaged = &exchange.salvaged;
        let Some(writer) = core.writer.as_ref().filter(|it| it.forgotten.is_some()) else {
            return Err("ERR nobody was given up here".into());
        };
        let Some(until) = salvaged.until else {
            return Err(format!(
                "ERR {peer} is not back: start it, so that it hands over what it has"
            ));
        };
        if salvaged.too_much {
            return Err(format!(
                "ERR {peer} has more than 16 MiB that nobody else has: it stays there"
            ));
        }
        if salvaged.end < until {
            return Err(format!("ERR {peer} is still handing over: try again in a moment"));
        }
        if !serving {
            return Err("ERR this node does not serve".into());
        }
        let mut salvage = writer.sort_salvage(&salvaged.records, &mut core.store);
        if !apply || salvaged.records.is_empty() {
            return Ok(salvage.lines);
        }
        self.begin_snapshot_again();
        let (own, lost) = (self.core.settings.node, self.core.settings.node.peer());
        let note = PeerNote::Salvaged {
            upto: until,
            again: Cow::Owned(note_bytes(own, salvage.again.clone())),
            rest: Cow::Owned(note_bytes(lost, std::mem::take(&mut salvage.rest))),
        };
        self.core.heed(&note).map_err(|fault| format!("ERR {fault}"))?;
        self.core.write_salvaged(salvage.again);
        self.exchange.salvaged.records.clear();
        self.event(
            Severity::Note,
            format!("what {peer} wrote alone is dealt with, before record {until}"),
        );
        Ok(salvage.lines)
    }
}
