//! Pairs whose nodes both accept writes: what their clients do, and what both nodes must come to.
//!
//! ```text
//!  deeds (what a client asks for) --> account (what it was told) --> rules (what the end must be)
//!                       '--> stand (the place of the record that a deed made, as its node has it)
//! ```
//! A client knows only what it was told. The place of its record, and what that record had seen, is read off the
//! node: so for every two writes to one thing it is known whether one saw the other, and the end can be judged
//! by the declarative rule of the merge.

mod account;
mod clients;
mod deeds;
mod ending;
mod rules;

use tandem_node::Acknowledge;
use tandem_types::{Incarnation, Lsn, Role};

use super::{Run, What};
use crate::plan::{Fault, MS};

pub(super) use account::Account;
pub(super) use deeds::Deed;

/// Where a record stands, and what it had seen; both ends, as the step that made it may have made others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stand {
    /// Whose it is.
    pub(super) host: usize,
    /// In which life of its data directory, counted from the first.
    life: usize,
    /// It is one of the own records from here.
    from: Lsn,
    /// To here.
    to: Lsn,
    /// What had been merged of the peer, and in which of its lives that was written.
    seen: Lsn,
    of_life: Option<usize>,
    /// The newest stamp of its node.
    stamp: u64,
}

/// What is known of two records: whether one saw the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Saw {
    Yes,
    No,
    /// The places are not known as exactly as that.
    Perhaps,
}

impl Stand {
    /// Whether the record that stands here saw the one there.
    pub(super) fn saw(&self, other: &Self) -> Saw {
        if self.host == other.host {
            // An own record of an earlier life is in the copy that this one began with, if it is anywhere.
            let later = (other.life, other.to) <= (self.life, self.from);
            let same = (other.life, other.from) == (self.life, self.from);
            return if later && !same { Saw::Yes } else { Saw::No };
        }
        match self.of_life {
            None => Saw::No,
            Some(life) if life != other.life => {
                if other.life < life {
                    Saw::Yes
                } else {
                    Saw::No
                }
            }
            Some(_) if self.seen >= other.to => Saw::Yes,
            Some(_) if self.seen <= other.from => Saw::No,
            Some(_) => Saw::Perhaps,
        }
    }
}

/// What a node's side of the merge is at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    incarnation: Incarnation,
    own: Lsn,
    seen: Lsn,
    met: Option<Incarnation>,
    /// The own records before this are at the peer, as it said.
    stable: Lsn,
    stamp: u64,
}

impl Run {
    /// Where a node is, if it runs.
    pub(super) fn ends(&self, host: usize) -> Option<Ends> {
        let machine = &self.hosts[host].machine;
        let writer = machine.node.as_ref()?.core().writer()?;
        let site = writer.site();
        Some(Ends {
            incarnation: machine.boot_id()?.incarnation,
            own: site.own_end(),
            seen: site.seen_end(),
            met: writer.met(),
            stable: site.stable_end(),
            stamp: site.last_stamp().get(),
        })
    }

    /// A client's bytes were given to a node that was at `before`: what that did to its log.
    pub(super) fn note_stand(&mut self, host: usize, before: Ends) -> Option<Stand> {
        let after = self.ends(host)?;
        if after.own <= before.own || after.incarnation != before.incarnation {
            return None;
        }
        let account = &mut self.watch.account;
        let stand = Stand {
            host,
            life: account.life(host, before.incarnation),
            from: before.own,
            to: after.own,
            seen: before.seen,
            of_life: before.met.map(|met| account.life(1 - host, met)),
            stamp: after.stamp,
        };
        account.stamped(self.now, &stand);
        Some(stand)
    }

    /// A node has booted: it still has all that it had said it has.
    pub(super) fn remembers(&mut self, which: usize) {
        if self.is_back(which) {
            return;
        }
        let (Some(own), Some(peer)) = (self.ends(which), self.ends(1 - which)) else { return };
        let known = peer.met == Some(own.incarnation) && own.met == Some(peer.incarnation);
        if known && peer.stable > own.seen {
            self.watch.broken(format!(
                "{}: node {which} said that it has the records of its peer before {}, and has only those before {}",
                super::trace::time(self.now),
                peer.stable,
                own.seen
            ));
        }
    }

    /// Both nodes serve, and each has on its disk what the other has acknowledged.
    pub(super) fn both_in_sync(&self) -> bool {
        self.hosts.iter().all(|host| {
            host.machine.node.as_ref().is_some_and(|node| {
                let view = &node.core().view;
                view.role == Role::Primary && view.peer_in_sync && view.peer_connected
            })
        })
    }

    /// Whether the other disk holds everything that this node has acknowledged; or whether that may be lost, and
    /// the other one goes on.
    pub(super) fn is_spare_writer(&self, host: usize) -> bool {
        let stopping = self.hosts.iter().any(|host| host.stopping);
        let other = self.hosts[1 - host].machine.node.as_ref();
        let serves = other.is_some_and(|node| node.core().view.role == Role::Primary);
        let in_sync = self.both_in_sync();
        // A second disk is not lost before the first one is replaced.
        let spare = in_sync || (self.plan.kept.loses && !self.wiped);
        spare && serves && !stopping && self.plan.acknowledge == Acknowledge::Durable
    }

    /// A disk is about to be lost.
    pub(super) fn disk_goes(&mut self, host: usize) {
        if self.plan.both_write() && !self.both_in_sync() {
            self.watch.account.lose(host);
        }
    }

    /// A full copy begins to arrive. It is whole within a millisecond or two, so that trouble at any time hardly ever
    /// meets one: here every second one may lose its link.
    fn break_copy(&mut self) {
        if self.healed || self.plan.ambush == 0 || !self.ambush_random.once_in(2) {
            return;
        }
        let wait = self.ambush_random.below(2 * MS);
        let lasting = self.ambush_random.between(1, 400) * MS;
        self.after(wait, What::Ambush(Fault::Link { towards: [true; 2], reset: true, lasting }));
    }

    /// A node says something; a few words mean that the exchange is at a decisive point.
    pub(super) fn says_of_exchange(&mut self, host: usize, text: &str) {
        if !self.plan.both_write() {
            return;
        }
        let tally = &mut self.tally;
        if text.contains("lost its end") || text.contains("it went back to an older copy") {
            self.notices_loss(host, text);
        } else if text.contains("broke the rules of the exchange") {
            self.watch.broken(format!("{}: node {host}: {text}", super::trace::time(self.now)));
        } else if text.contains("gets a full copy") {
            tally.copies_given += 1;
            self.ambush();
        } else if text.starts_with("a full copy begins") {
            self.break_copy();
        } else if text.starts_with("exchanging records") {
            tally.exchanges += 1;
            self.ambush();
        } else if text.contains("the full copy broke off") {
            tally.copies_broken += 1;
        }
    }
}
