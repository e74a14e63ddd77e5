//! What the clients of two writers were told.

use std::collections::{BTreeMap, BTreeSet};

use tandem_node::ConnId;
use tandem_resp::Value;
use tandem_types::Incarnation;

use super::deeds::{INTERLEAVED, Place, Sum};
use super::{Deed, Stand};
use crate::run::trace::time;

/// One write: where it stands, if its node was seen to do it, and whether its client was told so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<T> {
    pub(super) stand: Stand,
    pub(super) acknowledged: bool,
    pub(super) what: T,
}

/// A list: what was put in, and what was taken out.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) pushed: Vec<Entry<u64>>,
    pub(super) popped: Vec<u64>,
    /// Nobody knows what these took out, if anything.
    pub(super) pops_unknown: usize,
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(super) sums: BTreeMap<Sum, Vec<Entry<i64>>>,
    pub(super) stocks: BTreeMap<u64, Vec<Entry<i64>>>,
    pub(super) places: BTreeMap<Place, Vec<Entry<Option<u64>>>>,
    pub(super) members: BTreeMap<u64, Vec<Entry<bool>>>,
    pub(super) queues: BTreeMap<u64, Queue>,
    /// Ids by sequence.
    ids: [BTreeSet<u64>; 3],
    /// Who was told to have what only one may have.
    pub(super) locks: BTreeMap<u64, usize>,
    pub(super) claims: BTreeMap<u64, usize>,
    /// Lives of both data directories, in the order in which they were seen.
    lives: [Vec<Incarnation>; 2],
    /// Stamps of the newest record of each node that a client knows of, and the life it was written in.
    stamps: [Option<(usize, u64)>; 2],
    /// The newest stamp that each node has given, whoever knows of it.
    given: [u64; 2],
    /// Up to here stamps were lost with a disk that alone held what they stood in.
    forgotten: [u64; 2],
    /// When each node acknowledged a write last.
    pub(crate) last_write: [u64; 2],
    /// What the last question was answered with.
    pub(super) answer: Option<Value>,
    /// A disk was lost that alone held what was acknowledged.
    pub(super) lost: bool,
    /// A node gave again what it had given before an older copy of its disk was made.
    unseen: bool,
    /// A node's conflict log may lack entries: its disk was full, or both disks were lost, one after the other (a full
    /// copy brings data and not what was once told of it).
    pub(crate) log_may_lack: bool,
    /// Whose conflict log was lost with the disk.
    logs_lost: [bool; 2],
    /// What was sent on each connection last.
    sent: BTreeMap<ConnId, Deed>,
    broken: Option<String>,
}

impl Account {
    /// A disk is lost that alone held what was acknowledged; also which stamps its node has given.
    pub(crate) const fn lose(&mut self, host: usize) {
        self.lost = true;
        self.stamps[host] = None;
        self.forgotten[host] = self.given[host];
    }

    /// A disk is lost, and the conflict log on it.
    pub(crate) fn lose_log(&mut self, host: usize) {
        self.logs_lost[host] = true;
        self.log_may_lack |= self.logs_lost == [true; 2];
    }

    /// The number of this life of a node's data directory.
    pub(super) fn life(&mut self, host: usize, incarnation: Incarnation) -> usize {
        let lives = &mut self.lives[host];
        lives.iter().position(|known| *known == incarnation).unwrap_or_else(|| {
            lives.push(incarnation);
            lives.len() - 1
        })
    }

    /// A node writes: later by its stamps than all that clients know of this life of it, whatever its clock has
    /// shown since it was started.
    pub(super) fn stamped(&mut self, now: u64, stand: &Stand) {
        if let Some((life, stamp)) = self.stamps[stand.host]
            && life == stand.life
            && stand.stamp <= stamp
        {
            self.broken(format!(
                "{}: node {} stamps a record {} that it wrote after one of {stamp}",
                time(now),
                stand.host,
                stand.stamp
            ));
        }
        self.given[stand.host] = self.given[stand.host].max(stand.stamp);
    }

    /// A client knows of the record that stands there.
    fn told(&mut self, stand: &Stand) {
        // Its answer was still on its way when the disk was lost.
        if stand.stamp <= self.forgotten[stand.host] {
            return;
        }
        let newest = self.stamps[stand.host].filter(|(life, _)| *life == stand.life);
        let stamp = newest.map_or(stand.stamp, |(_, stamp)| stamp.max(stand.stamp));
        self.stamps[stand.host] = Some((stand.life, stamp));
    }

    pub(super) fn broken(&mut self, what: String) {
        if !self.unseen {
            self.broken.get_or_insert(what);
        }
    }

    /// A node goes on from an older copy of its disk and has not met its peer: what clients are told from now on
    /// explains nothing.
    pub(crate) const fn lose_sight(&mut self) {
        self.lost = true;
        self.unseen = true;
    }

    /// The first thing that must not be, if any.
    pub(crate) const fn first_broken(&self) -> Option<&String> {
        self.broken.as_ref()
    }

    /// A deed was done, its client is told; or nobody knows.
    pub(crate) fn enter(&mut self, deed: Deed, stand: Option<Stand>, acknowledged: bool) {
        // What a node was not seen to do it has not done: what it does with bytes it does at once.
        let Some(stand) = stand else { return };
        if acknowledged {
            self.told(&stand);
        }
        match deed {
            Deed::Add { to, by } => {
                let entry = Entry { stand, acknowledged, what: by };
                self.sums.entry(to).or_default().push(entry);
            }
            Deed::Stock { key, by } => {
                let entry = Entry { stand, acknowledged, what: by };
                self.stocks.entry(key).or_default().push(entry);
            }
            Deed::Assign { place, value } => {
                let entry = Entry { stand, acknowledged, what: value };
                self.places.entry(place).or_default().push(entry);
            }
            Deed::Both { value } => {
                for number in 0..2 {
                    let entry = Entry { stand, acknowledged, what: Some(value) };
                    self.places.entry(Place::Both(number)).or_default().push(entry);
                }
            }
            Deed::Member { member, is_in } => {
                let entry = Entry { stand, acknowledged, what: is_in };
                self.members.entry(member).or_default().push(entry);
            }
            Deed::Push { key, value, .. } => {
                let entry = Entry { stand, acknowledged, what: value };
                self.queues.entry(key).or_default().pushed.push(entry);
            }
            Deed::Pop { key, .. } if !acknowledged => {
                self.queues.entry(key).or_default().pops_unknown += 1;
            }
            Deed::Policy(_)
            | Deed::LookAtStock { .. }
            | Deed::Ids { .. }
            | Deed::Pop { .. }
            | Deed::Brief { .. }
            | Deed::Refresh { .. }
            | Deed::Append { .. }
            | Deed::Lock { .. }
            | Deed::Claim { .. } => {}
        }
    }

    /// What a client was told by `host`.
    pub(super) fn answered(&mut self, now: u64, host: usize, deed: Deed, value: &Value) {
        match deed {
            Deed::Ids { key, count } => self.ids(now, host, key, count, value),
            Deed::Pop { key, .. } => {
                if let Some(element) = value.as_str().and_then(|text| text.parse().ok()) {
                    self.queues.entry(key).or_default().popped.push(element);
                }
            }
            Deed::LookAtStock { key } => {
                let found: i64 = value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
                if found < 0 {
                    self.broken(format!("{}: stock:{key} is {found} at node {host}", time(now)));
                }
            }
            Deed::Lock { key, .. } if value.is_ok() => {
                if host != 0 {
                    self.broken(format!("{}: lock:{key} was given by its non-owner", time(now)));
                }
                *self.locks.entry(key).or_default() += 1;
            }
            Deed::Claim { key, .. } if value.is_ok() => *self.claims.entry(key).or_default() += 1,
            _ => {}
        }
    }

    fn ids(&mut self, now: u64, host: usize, key: u64, count: u64, value: &Value) {
        let last = value.as_int().and_then(|last| u64::try_from(last).ok());
        let number = usize::try_from(key).unwrap_or(0);
        if key == INTERLEAVED && self.lost {
            // Such a sequence is said to forget with its disk.
            return;
        }
        let step = if key == INTERLEAVED { 2 } else { 1 };
        let Some(first) = last.and_then(|last| last.checked_sub((count - 1) * step)) else {
            return self.broken(format!("{}: id:{key} gave {value:?}", time(now)));
        };
        for id in (0..count).map(|at| first + at * step) {
            if id == 0 || !self.ids[number].insert(id) {
                let text = format!("{}: id:{key} gave {id} again, at node {host}", time(now));
                self.broken(text);
            }
        }
    }

    /// A client sends this.
    pub(crate) fn sends(&mut self, conn: ConnId, deed: Deed) {
        self.sent.insert(conn, deed);
    }

    /// What was sent last on a connection whose client waits no more.
    pub(super) fn sent(&self, conn: ConnId) -> Option<Deed> {
        self.sent.get(&conn).copied()
    }

    /// A question was answered.
    pub(crate) fn hear(&mut self, value: &Value) {
        self.answer = Some(value.clone());
    }

    /// So many ids were given.
    pub(crate) fn ids_given(&self) -> u64 {
        self.ids.iter().map(|ids| ids.len() as u64).sum()
    }
}
