//! Saved writes on their way: from the loser to the new primary, then the cut.
//!
//! Both nodes offer every file that the other has not said to have, so a new disk gets them again. One part
//! is under way at a time: the link never carries more than [`PART_BYTES`](crate::conflicts::PART_BYTES)
//! of this. What was decided on one node is told to the other one, again on each connection.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tandem_replication::Message;
use tandem_replication::message::NoticeCode;
use tandem_switch::InSyncSet;
use tandem_types::{Chain, Monotonic};

use super::Node;
use super::deciding::Jobs;
use crate::conflicts::{Acked, ConflictNews, ConflictOrder, Decision, Entry, Fork, Held, Said};
use crate::{Acknowledge, Output, SavePolicy, Severity};

/// How long until what a disk refused is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Why the records past a fork could not be saved at the last start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SaveTrouble {
    /// In words.
    pub text: String,
    /// The bound on all files is reached: only a decision makes room.
    pub bound: bool,
}

/// What is known of saved writes.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    /// Every file on this disk.
    pub(super) entries: BTreeMap<String, Entry>,
    /// The log past here waits to be cut.
    fork: Option<Pending>,
    /// Why nothing could be saved.
    trouble: Option<SaveTrouble>,
    /// Why the peer cannot take a file.
    refused: Option<String>,
    again_at: Option<Monotonic>,
    /// This process has been primary: it knows what it acknowledged.
    pub(super) reigned: bool,
    /// The file that is under way to the peer.
    offering: Option<String>,
    /// Files that the peer holds, as it said on this connection.
    pub(super) at_peer: BTreeSet<String>,
    /// What waits to be decided by people or by policy.
    pub(super) jobs: Jobs,
    /// Files that the policy was tried on in this reign.
    pub(super) tried: BTreeSet<String>,
}

/// A log that has left the pair's history.
#[derive(Clone, Debug)]
struct Pending {
    fork: Fork,
    /// The file that holds what is past it.
    id: Option<String>,
    /// The cut was ordered.
    cutting: bool,
}

impl Conflicts {
    pub(super) fn new(entries: Vec<Entry>, trouble: Option<SaveTrouble>, now: Monotonic) -> Self {
        let full = trouble.as_ref().filter(|trouble| !trouble.bound);
        let again_at = full.map(|_| now.plus(AGAIN_AFTER));
        let entries = entries.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        Self { entries, trouble, again_at, ..Self::default() }
    }

    /// Files that wait for a decision.
    pub(super) fn open(&self) -> u64 {
        let open = self.entries.values().filter(|entry| entry.decision.is_none()).count();
        u64::try_from(open).unwrap_or(u64::MAX)
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        self.again_at
    }
}

impl Node {
    /// The primary says that this log left the common history.
    pub(super) fn fork_found(&mut self, to: tandem_types::Lsn, chain: Chain) {
        self.clients.demoted(&mut self.core);
        let clients = Arc::new(std::mem::take(&mut self.core.authors));
        let fork = Fork { to, chain, acked: self.acked(), clients };
        let tip = self.core.log.tip();
        let covers = |it: &&Entry| {
            it.whole
                && it.from == to
                && it.chain_from == chain
                && it.end == tip.end
                && it.chain_end == tip.chain
        };
        let id = self.conflicts.entries.values().find(covers).map(|entry| entry.id.clone());
        let saved = id.is_some();
        self.conflicts.fork = Some(Pending { fork, id, cutting: false });
        if saved {
            self.offer_next();
            self.cut_if_saved();
        } else if self.conflicts.trouble.is_none() {
            self.save_fork();
        }
        self.refresh_view();
    }

    /// What clients were told of the records past the fork.
    fn acked(&self) -> Acked {
        let waited = |set: InSyncSet| set.is_both() && set.strength != Acknowledge::Local;
        if self.conflicts.reigned {
            Acked::Before(self.core.positions.commit_end)
        } else if self.switch_state.in_sync.is_some_and(waited) {
            Acked::None
        } else {
            Acked::Unknown
        }
    }

    fn save_fork(&mut self) {
        let Some(pending) = &self.conflicts.fork else { return };
        let fork = pending.fork.clone();
        let tip = self.core.log.tip();
        let text = format!(
            "records {}..{} of epoch {} are not part of the pair's history: saving them",
            fork.to, tip.end, tip.epoch
        );
        self.event(Severity::Warn, text);
        self.core.out.push(Output::SaveFork(fork));
    }

    /// Cuts once the file is on both disks, or somebody has decided on it.
    fn cut_if_saved(&mut self) {
        let policy = self.core.settings.conflicts;
        let Some(pending) = &mut self.conflicts.fork else { return };
        let (to, Some(id)) = (pending.fork.to, pending.id.clone()) else { return };
        let Some(entry) = self.conflicts.entries.get(&id) else { return };
        let decided = entry.decision.is_some();
        let on_both = self.conflicts.at_peer.contains(&id);
        if pending.cutting || !(decided || (on_both && policy != SavePolicy::Hold)) {
            return;
        }
        pending.cutting = true;
        let records = entry.records;
        let how = if on_both { "saved on both machines" } else { "decided on" };
        let text = format!("{records} records past {to} are {how} ({id}): cutting the log there");
        self.event(Severity::Warn, text);
        self.core.out.push(Output::CutFork { to, id });
    }

    /// Nothing of this log is in doubt any more: this node's history is the pair's.
    pub(super) fn forget_fork(&mut self) {
        self.conflicts.fork = None;
    }

    /// The peer has said who it is.
    pub(super) fn conflicts_link_up(&mut self) {
        self.conflicts.at_peer.clear();
        self.conflicts.offering = None;
        self.conflicts.refused = None;
        let decided: Vec<_> = self
            .conflicts
            .entries
            .values()
            .filter_map(|entry| Some((entry.id.clone(), entry.decision?)))
            .collect();
        for (id, decision) in decided {
            self.say(&Said::Decided { id, decision });
        }
        self.offer_next();
    }

    /// Offers the next file that the peer has not said to have; what waits to be cut comes first.
    fn offer_next(&mut self) {
        let known = &self.conflicts;
        if known.offering.is_some() || !self.link.is_up() || known.again_at.is_some() {
            return;
        }
        let first = known.fork.as_ref().and_then(|pending| pending.id.as_ref());
        let wanted = |entry: &&Entry| {
            entry.whole && entry.decision.is_none() && !known.at_peer.contains(&entry.id)
        };
        let first = first.and_then(|id| known.entries.get(id)).filter(wanted);
        let Some(entry) = first.or_else(|| known.entries.values().find(wanted)) else { return };
        let (id, bytes) = (entry.id.clone(), entry.bytes);
        self.conflicts.offering = Some(id.clone());
        self.say(&Said::Offer { id, bytes });
    }

    pub(super) fn say(&mut self, said: &Said) {
        if self.link.is_up() {
            self.send(&Message::Conflict(Cow::Owned(said.to_bytes())));
        }
    }

    pub(super) fn order(&mut self, order: ConflictOrder) {
        self.core.out.push(Output::Conflicts(order));
    }

    /// The peer speaks of saved writes.
    pub(super) fn conflict_said(&mut self, bytes: &[u8]) {
        let Some(said) = Said::decode(bytes) else {
            let reason = "what the peer says of saved writes cannot be understood";
            return self.drop_link(NoticeCode::Violation, reason);
        };
        match said {
            Said::Offer { id, bytes } => self.order(ConflictOrder::Look { id, bytes }),
            Said::Part { id, total, offset, bytes } => {
                self.order(ConflictOrder::Append { id, total, offset, bytes });
            }
            Said::Send { id, offset } => {
                if self.conflicts.entries.contains_key(&id) {
                    self.order(ConflictOrder::Read { id, offset });
                }
            }
            Said::Whole { id } => {
                self.conflicts.refused = None;
                self.conflicts.at_peer.insert(id);
                self.conflicts.offering = None;
                self.cut_if_saved();
                self.offer_next();
            }
            Said::Refuse { id, why } => self.peer_refuses(&id, why),
            Said::Decided { id, decision } => self.peer_decided(id, decision),
            Said::Noted { id } => self.remove_marks(&id),
        }
        self.refresh_view();
    }

    fn peer_refuses(&mut self, id: &str, why: String) {
        self.conflicts.offering = None;
        self.conflicts.again_at = Some(self.core.now.mono.plus(AGAIN_AFTER));
        if self.conflicts.refused.as_ref() != Some(&why) {
            let peer = self.core.settings.peer_name();
            let text = format!(
                "{peer} cannot take the saved writes {id}: {why}; nothing is cut before both machines have them"
            );
            self.event(Severity::Error, text);
        }
        self.conflicts.refused = Some(why);
    }

    fn peer_decided(&mut self, id: String, decision: Decision) {
        let known = self.conflicts.entries.get(&id).map(|entry| entry.decision);
        match known {
            Some(None) => {
                let note = self.core.settings.peer_name().to_owned();
                self.decide(id, decision, note);
            }
            Some(Some(_)) => {
                // It speaks of its disk: both have it now.
                self.remove_marks(&id);
                self.say(&Said::Noted { id });
            }
            None => self.say(&Said::Noted { id }),
        }
    }

    /// Makes a decision durable.
    pub(super) fn decide(&mut self, id: String, decision: Decision, note: String) {
        let now = self.core.now.wall;
        self.order(ConflictOrder::Decide { id, decision, note, now });
    }

    /// The disk's side has done something.
    pub(super) fn conflict_news(&mut self, news: ConflictNews) {
        match news {
            ConflictNews::Held { id, held, freed } => self.held(id, held, freed),
            ConflictNews::Saved(entry) => {
                self.conflicts.entries.insert(entry.id.clone(), *entry);
                self.offer_next();
            }
            ConflictNews::Part { id, offset, bytes: Ok(bytes) } => {
                let total = self.conflicts.entries.get(&id).map_or(0, |entry| entry.bytes);
                self.say(&Said::Part { id, total, offset, bytes });
            }
            ConflictNews::Part { id, bytes: Err(why), .. } => {
                self.conflicts.offering = None;
                self.conflicts.again_at = Some(self.core.now.mono.plus(AGAIN_AFTER));
                self.event(Severity::Error, format!("the saved writes {id} cannot be read: {why}"));
            }
            ConflictNews::Loaded { id, file } => self.conflict_loaded(&id, file),
            ConflictNews::Lines { id, lines } => self.conflict_lines(&id, lines),
            ConflictNews::Decided { id, decision, trouble: None } => self.decided(&id, decision),
            ConflictNews::Decided { id, decision, trouble: Some(why) } => {
                let word = decision.word();
                let text = format!("{id} could not be noted as {word}: {why}");
                self.event(Severity::Error, text.clone());
                self.conflict_decided(&id, Err(text));
            }
        }
        self.refresh_view();
    }

    fn held(&mut self, id: String, held: Held, freed: Vec<String>) {
        for id in freed {
            self.conflicts.entries.remove(&id);
            let text = format!("the decided file {id} was removed: its room is needed");
            self.event(Severity::Warn, text);
        }
        match held {
            Held::Part(offset) => self.say(&Said::Send { id, offset }),
            Held::Refused(why) => {
                let text = format!("the peer's saved writes {id} cannot be taken: {why}");
                if self.conflicts.refused.as_ref() != Some(&why) {
                    self.event(Severity::Error, text);
                }
                self.conflicts.refused = Some(why.clone());
                self.say(&Said::Refuse { id, why });
            }
            Held::Whole(entry) => {
                self.conflicts.refused = None;
                self.conflicts.at_peer.insert(id.clone());
                let decision = self.conflicts.entries.get(&id).map(|known| known.decision);
                if decision.is_none() {
                    let text = format!(
                        "{} records that {} had and this history lacks are saved here too ({id}): see tandem conflicts diff",
                        entry.records, entry.node
                    );
                    self.event(Severity::Warn, text);
                    self.conflicts.entries.insert(id.clone(), *entry);
                }
                self.say(&Said::Whole { id: id.clone() });
                if let Some(decision) = decision.flatten() {
                    self.say(&Said::Decided { id, decision });
                }
                self.settle_by_policy();
            }
        }
    }

    fn decided(&mut self, id: &str, decision: Decision) {
        if let Some(entry) = self.conflicts.entries.get_mut(id) {
            entry.decision = Some(decision);
        }
        self.event(Severity::Warn, format!("the saved writes {id} are {}", decision.word()));
        // The peer notes it, or has just said so itself.
        self.say(&Said::Decided { id: id.to_owned(), decision });
        if self.conflicts.trouble.as_ref().is_some_and(|trouble| trouble.bound) {
            self.conflicts.again_at = Some(self.core.now.mono);
        }
        self.cut_if_saved();
        self.conflict_decided(id, Ok(decision));
    }

    /// Tries again what a disk refused.
    pub(super) fn tend_conflicts(&mut self) {
        if self.conflicts.again_at.is_none_or(|at| self.core.now.mono < at) {
            return;
        }
        self.conflicts.again_at = None;
        let waits = self.conflicts.fork.as_ref().is_some_and(|pending| pending.id.is_none());
        if waits && self.conflicts.trouble.take().is_some() {
            self.save_fork();
        }
        self.offer_next();
    }

    /// What keeps a returned primary out, and who can change it.
    pub(super) fn conflict_wait(&self) -> Option<(String, String)> {
        let pending = self.conflicts.fork.as_ref().filter(|pending| !pending.cutting)?;
        let to = pending.fork.to;
        let peer = self.core.settings.peer_name();
        if let Some(trouble) = &self.conflicts.trouble {
            let fact = format!("the writes past record {to} could not be saved: {}", trouble.text);
            return Some((fact, "a person: free space, or decide on saved writes".into()));
        }
        let id = pending.id.as_ref()?;
        if let Some(why) = &self.conflicts.refused {
            let fact = format!("{peer} cannot take the saved writes {id}: {why}");
            return Some((fact, format!("a person: make room on {peer}, or decide on {id}")));
        }
        if self.conflicts.at_peer.contains(id) {
            let fact = format!(
                "`switch.conflicts` = \"hold\": this node stays out until a person decides on the saved writes {id}"
            );
            return Some((fact, format!("tandem conflicts apply {id}, or discard {id}")));
        }
        Some((format!("the saved writes {id} are on their way to {peer}"), peer.to_owned()))
    }
}
