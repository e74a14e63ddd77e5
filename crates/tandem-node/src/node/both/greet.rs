//! The first words of a connection, and what follows from them.

use std::borrow::Cow;

use tandem_log::{NodeState, Tip};
use tandem_merge::handshake::{Greeting, Plan, plan};
use tandem_replication::Message;
use tandem_types::{EpochHistory, Incarnation, Lsn, PairId};

use super::message::Said;
use super::send::{Giving, Sending};
use super::{Node, Phase};
use crate::node::SavedFor;
use crate::writer::{PeerNote, RESTORED};
use crate::{LogCommand, Output, Severity};

/// More than any log holds: said to a peer whose directory is an older copy of itself.
const WENT_BACK: Lsn = Lsn::new(u64::MAX);

impl Node {
    pub(super) fn say_to_writer(&mut self, said: &Said<'_>) {
        let bytes = said.to_bytes();
        self.send(&Message::Exchange(Cow::Owned(bytes)));
    }

    /// Says how this node stands, once that is on disk.
    pub(super) fn greet(&mut self) {
        let at = &self.core.positions;
        let settled = at.durable_end >= self.exchange.settled_end;
        let met = self.exchange.met;
        let due = self.exchange.phase == Phase::Greeting
            && self.exchange.ours.is_none()
            && met.peer == met.durable;
        let Some(writer) = self.core.writer.as_ref().filter(|_| due && settled) else { return };
        // The reign is the first record of a log: nothing is learnt of the peer before it.
        if self.exchange.leaving || self.history.last().is_none() {
            return;
        }
        let ends = writer.places.durable_ends();
        let ours = Greeting {
            side: self.core.settings.node,
            incarnation: self.switch_state.incarnation,
            own_end: ends.own,
            peer: writer.met,
            // Whatever the numbers say: it has lost what its later processes wrote.
            seen_end: if met.went_back { WENT_BACK } else { ends.seen },
            has_data: writer.has_data(&self.core.store),
        };
        self.exchange.ours = Some(ours);
        self.say_to_writer(&Said::Greeting(ours));
        self.meet();
    }

    pub(super) fn greeted(&mut self, theirs: Greeting) {
        if self.exchange.phase == Phase::Greeting && self.exchange.theirs.is_none() {
            self.exchange.theirs = Some(theirs);
            self.meet();
        }
    }

    /// Both have said how they stand: does what follows.
    fn meet(&mut self) {
        let (Some(ours), Some(theirs)) = (self.exchange.ours, self.exchange.theirs) else { return };
        let peer = self.core.settings.peer_name().to_owned();
        let writer = self.core.writer.as_ref();
        let oldest = writer.map_or(Lsn::ZERO, |writer| writer.places.oldest_own());
        match plan(&ours, &theirs, oldest) {
            Plan::Stream { from } => self.stream(from, &theirs),
            Plan::GiveCopy => self.give_copy(&theirs),
            Plan::TakeCopy => {
                if self.switch.is_serving() {
                    // By a person's word, and nothing was written: what the peer has comes first.
                    return self.begin_anew(&format!("{peer} has data"), false);
                }
                // It begins when the peer says so.
                self.exchange.awaits_copy = true;
                self.exchange.phase = Phase::Streaming;
                self.exchange.sending = Sending::from(Lsn::ZERO, (Lsn::ZERO, Lsn::ZERO), Lsn::ZERO);
            }
            Plan::StartOver => {
                let text = if theirs.seen_end == WENT_BACK {
                    format!(
                        "{peer} has met later processes of this data directory: it went back to an older copy. What was written here since is only in the files that are kept aside"
                    )
                } else {
                    format!(
                        "{peer} has {} records of this node, which has only {} of them: its disk was restored or lost its end",
                        theirs.seen_end, ours.own_end
                    )
                };
                self.begin_anew(&text, true);
            }
            Plan::PeerStartsOver => self.stay_apart(format!(
                "{peer} has lost records that this node has: it begins anew, with a copy"
            )),
            Plan::Gone { from } => self.stay_apart(format!(
                "{peer} lacks records from {from} on, which the log does not hold any more: empty its data directory"
            )),
            Plan::Strangers => self.meet_stranger(&ours, &theirs),
            Plan::SameSide => self.stay_apart(format!(
                "{peer} says that it is {}: start each node with its own --node",
                self.core.settings.name()
            )),
        }
    }

    /// Both have data, and not of each other.
    fn meet_stranger(&mut self, ours: &Greeting, theirs: &Greeting) {
        let peer = self.core.settings.peer_name().to_owned();
        if self.meet_forgotten(theirs) {
            return;
        }
        match (ours.peer == Some(RESTORED), theirs.peer == Some(RESTORED)) {
            (false, false) => {}
            (true, false) => {
                let text = format!("{peer} has data, and this node's came from a backup");
                return self.begin_anew(&text, true);
            }
            (false, true) => {
                return self.stay_apart(format!(
                    "{peer} was restored from a backup: it sets that aside, begins anew and takes a copy"
                ));
            }
            (true, true) => {
                return self.stay_apart(format!(
                    "{peer} and this node were both restored from backups: one backup is the pair's data; empty the data directory of the other node, then start it again"
                ));
            }
        }
        let given_up = ours.peer == Some(theirs.incarnation) && theirs.peer.is_some();
        if given_up {
            self.stay_apart(format!(
                "{peer} goes on with another partner in this node's place. What this node wrote alone is here only: on {peer}, see `TANDEM PP SALVAGE LIST` and save it with `TANDEM PP SALVAGE APPLY` while this node runs; then empty this data directory, and start it again"
            ));
            self.stop_as_given_up();
        } else {
            self.stay_apart(format!(
                "{peer} and this node both have data, and not of each other: empty the data directory of one of them, then start it again"
            ));
        }
    }

    pub(super) fn stay_apart(&mut self, why: String) {
        self.exchange.phase = Phase::Apart;
        self.event(Severity::Error, why.clone());
        self.exchange.apart = Some(why);
        self.refresh_view();
    }

    fn stream(&mut self, from: Lsn, theirs: &Greeting) {
        let Some(writer) = &mut self.core.writer else { return };
        writer.places.confirmed(from);
        let own_end = writer.site.own_end();
        let start = writer.places.find(from);
        let known = writer.met == Some(theirs.incarnation);
        if !known {
            self.begin_snapshot_again();
        }
        if !known && self.core.heed(&PeerNote::Met { incarnation: theirs.incarnation }).is_err() {
            return;
        }
        self.core.peer_confirmed();
        self.exchange.settled_end = self.core.positions.appended_end;
        self.exchange.phase = Phase::Streaming;
        self.exchange.sending = Sending::from(from, start, own_end);
        self.exchange.whole_at = Some((theirs.own_end, self.core.positions.appended_end));
        if from > Lsn::ZERO || theirs.own_end > Lsn::ZERO {
            self.core.streams.partial_sent += 1;
            self.core.streams.partial_received += 1;
        }
        let peer = self.core.settings.peer_name();
        let text = format!(
            "exchanging records with {peer}: it has {from} of {own_end} from here, this node {} of {} from there",
            self.core.writer.as_ref().map_or(Lsn::ZERO, |writer| writer.site.seen_end()),
            theirs.own_end
        );
        self.event(Severity::Note, text);
        self.look_if_whole();
        self.say_seen();
        self.send_records();
    }

    /// The peer has nothing: it gets everything as of now, and what is written meanwhile.
    fn give_copy(&mut self, theirs: &Greeting) {
        self.begin_snapshot_again();
        let note = PeerNote::Met { incarnation: theirs.incarnation };
        let Ok(met_end) = self.core.heed(&note) else { return };
        let Some(writer) = &mut self.core.writer else { return };
        let start = writer.site.own_end();
        let place = (start, met_end);
        self.exchange.settled_end = met_end;
        self.exchange.phase = Phase::Streaming;
        self.exchange.sending = Sending::from(start, place, start);
        self.exchange.giving = Some(Giving::new());
        // There is nothing of it that could be missing here.
        self.exchange.whole_at = Some((Lsn::ZERO, met_end));
        self.core.streams.copies_sent += 1;
        let peer = self.core.settings.peer_name();
        self.event(Severity::Note, format!("{peer} gets a full copy, as of own record {start}"));
        self.look_if_whole();
        self.send_records();
    }

    /// What the peer had when it was met is here, on disk: clients may be served.
    pub(super) fn look_if_whole(&mut self) {
        let Some((seen, log_end)) = self.exchange.whole_at else { return };
        let Some(writer) = &self.core.writer else { return };
        let whole = writer.copying.is_none()
            && writer.site.seen_end() >= seen
            && self.core.positions.durable_end >= log_end;
        if whole {
            self.exchange.whole_at = None;
            self.switch_step(tandem_switch::Input::Exchange(tandem_switch::Exchange::Whole));
        }
    }

    /// Leaves this data directory's life behind: an empty one, of a new incarnation, takes its place.
    ///
    /// With `set_aside` the files from before are kept for people.
    pub(in crate::node) fn begin_anew(&mut self, why: &str, set_aside: bool) {
        if self.exchange.leaving {
            return;
        }
        // What was written until now is in the files that are left; what comes yet belongs nowhere.
        self.hand_over_batches();
        self.exchange.leaving = true;
        self.event(Severity::Warn, format!("{why}: this node begins anew, with a copy"));
        self.exchange.phase = Phase::Apart;
        self.exchange.apart = Some("this node begins anew, with a copy".into());
        self.clients.demoted(&mut self.core);
        self.begin_snapshot_again();
        if set_aside {
            let generation = self.generation;
            self.core.out.push(Output::Log(LogCommand::KeepGeneration { generation }));
        }
        self.generation += 1;
        let generation = self.generation;
        let incarnation = Incarnation::new(self.seeds.incarnation.max(1));
        let mut switch = tandem_switch::NodeState::new(incarnation);
        switch.boot = self.switch_state.boot;
        let mut state = NodeState {
            node: Some(self.core.settings.node),
            incarnation,
            boots: switch.boot,
            generation,
            ..NodeState::default()
        };
        switch.encode(&mut state.extra);
        self.core.out.push(Output::Log(LogCommand::StartGeneration {
            generation,
            tip: Tip::EMPTY,
            history: EpochHistory::new(),
            pair_id: PairId::NONE,
        }));
        self.next_save += 1;
        let seq = self.next_save;
        self.saves.push_back((seq, SavedFor::Anew { set_aside }));
        self.core.out.push(Output::Log(LogCommand::SaveState { seq, state: Box::new(state) }));
    }

    /// The empty generation is what a restart finds.
    pub(in crate::node) fn began_anew(&mut self, set_aside: bool) {
        self.core.out.push(Output::Log(LogCommand::RemoveOtherGenerations {
            generation: self.generation,
            set_aside,
        }));
        self.reboot("a new incarnation of this node begins".into());
    }
}
