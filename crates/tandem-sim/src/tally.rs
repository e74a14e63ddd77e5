//! What happened in a run or in many: so that a test cannot pass by doing nothing.

use std::fmt;
use std::time::Duration;

use crate::machine::Left;
use crate::plan::Kind;

/// Counts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Events of the world.
    pub events: u64,
    /// Simulated nanoseconds.
    pub simulated: u64,
    /// A checksum over everything that reached and left the nodes.
    pub hash: u64,
    /// Calls of clients, those that were answered with success, writes among these, errors, and writes of
    /// which nobody knows.
    pub calls: u64,
    /// See `calls`.
    pub done: u64,
    /// See `calls`.
    pub acknowledged: u64,
    /// See `calls`.
    pub refused: u64,
    /// See `calls`.
    pub unknown: u64,
    /// Reads answered by a replica.
    pub old_reads: u64,
    /// Starts of processes; ends by themselves; starts in place.
    pub boots: u64,
    /// See `boots`.
    pub ends: u64,
    /// See `boots`.
    pub reboots: u64,
    /// Death certificates.
    pub certificates: u64,
    /// Fence commands.
    pub fences: u64,
    /// Failures that a prober told.
    pub probes_failed: u64,
    /// Take-overs without proof.
    pub unproven: u64,
    /// A primary went on alone: by a certificate, by the fence, on silence.
    pub alone_certified: u64,
    /// See `alone_certified`.
    pub alone_fenced: u64,
    /// See `alone_certified`.
    pub alone_silence: u64,
    /// Acknowledged writes that are only in a conflict file at the end.
    pub saved: u64,
    /// Changes of the record; those that were won though the node was told that nobody knows; outcomes
    /// told to be unknown.
    pub changes: u64,
    /// See `changes`.
    pub unknown_won: u64,
    /// See `changes`.
    pub unknown_told: u64,
    /// Records made again after they were lost.
    pub created_again: u64,
    /// Times the mediator lost the record, and a disk was lost.
    pub amnesias: u64,
    /// See `amnesias`.
    pub wipes: u64,
    /// Logs in which a bit flipped.
    pub rots: u64,
    /// Disks that went back to an older copy, and nodes that noticed.
    pub rewinds: u64,
    /// See `rewinds`.
    pub rewinds_noticed: u64,
    /// A standby became primary because the primary was gone.
    pub take_overs: u64,
    /// The role was handed over as planned.
    pub handovers: u64,
    /// A restarted primary went on.
    pub returns: u64,
    /// The record left the standby out; it resigned; it came back in.
    pub shrinks: u64,
    /// See `shrinks`.
    pub resigned: u64,
    /// See `shrinks`.
    pub grows: u64,
    /// A primary stopped because it saw nobody; because the mediator was lost; because a later reign began.
    pub isolated: u64,
    /// See `isolated`.
    pub mediator_lost: u64,
    /// See `isolated`.
    pub overtaken: u64,
    /// A node began to serve while the one before had not noticed yet.
    pub rivals: u64,
    /// Full copies; logs cut back.
    pub copies: u64,
    /// See `copies`.
    pub cuts: u64,
    /// Of two writers: exchanges that began, copies given, and those that broke off.
    pub exchanges: u64,
    /// See `exchanges`.
    pub copies_given: u64,
    /// See `exchanges`.
    pub copies_broken: u64,
    /// Ids given, and conflicts told.
    pub ids: u64,
    /// See `ids`.
    pub conflicts: u64,
    /// Faults that struck, by kind.
    pub struck: [u64; Kind::ALL.len()],
    /// Longest time from healing to a whole pair.
    pub slowest_heal_ms: u64,
}

impl Tally {
    pub(crate) fn event(&mut self, text: &str) {
        let mut count = |counter: fn(&mut Self) -> &mut u64| *counter(self) += 1;
        let has = |what: &str| text.contains(what);
        if has("primary of epoch") {
            if has("(TookOverUnproven)") {
                count(|it| &mut it.unproven);
            } else if has("(TookOver)") {
                count(|it| &mut it.take_overs);
            } else if has("(Handover)") {
                count(|it| &mut it.handovers);
            } else if has("(Returned)") {
                count(|it| &mut it.returns);
            }
        } else if has("alone in the in-sync set (Recorded)") {
            count(|it| &mut it.shrinks);
        } else if has("alone in the in-sync set (Certified)") {
            count(|it| &mut it.alone_certified);
        } else if has("alone in the in-sync set (Fenced)") {
            count(|it| &mut it.alone_fenced);
        } else if has("alone in the in-sync set (Silence)") {
            count(|it| &mut it.alone_silence);
        } else if has("alone in the in-sync set (Resigned)") {
            count(|it| &mut it.resigned);
        } else if has("is in sync: it holds") {
            count(|it| &mut it.grows);
        } else if has("ended here (Isolated)") {
            count(|it| &mut it.isolated);
        } else if has("ended here (MediatorLost)") {
            count(|it| &mut it.mediator_lost);
        } else if has("ended here (HigherEpoch)") {
            count(|it| &mut it.overtaken);
        } else if has("a full copy begins") {
            count(|it| &mut it.copies);
        } else if has("they are saved, then cut") {
            count(|it| &mut it.cuts);
        }
    }

    pub(crate) fn fold(&mut self, now: u64, which: usize, kind: u64, left: &Left) {
        let link: usize = left.link.iter().map(Vec::len).sum();
        let clients: usize = left.clients.iter().map(|(_, bytes)| bytes.len()).sum();
        let events: usize = left.events.iter().map(String::len).sum();
        let parts = [
            now,
            which as u64,
            kind,
            link as u64,
            clients as u64,
            events as u64,
            left.mediator.len() as u64,
        ];
        for part in parts {
            self.hash = (self.hash.rotate_left(5) ^ part).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }

    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        let slowest_heal_ms = self.slowest_heal_ms.max(other.slowest_heal_ms);
        for (here, there) in self.struck.iter_mut().zip(other.struck) {
            *here += there;
        }
        let all: [fn(&mut Self) -> &mut u64; 46] = [
            |it| &mut it.runs,
            |it| &mut it.events,
            |it| &mut it.simulated,
            |it| &mut it.calls,
            |it| &mut it.done,
            |it| &mut it.acknowledged,
            |it| &mut it.refused,
            |it| &mut it.unknown,
            |it| &mut it.old_reads,
            |it| &mut it.boots,
            |it| &mut it.ends,
            |it| &mut it.reboots,
            |it| &mut it.certificates,
            |it| &mut it.fences,
            |it| &mut it.probes_failed,
            |it| &mut it.unproven,
            |it| &mut it.alone_certified,
            |it| &mut it.alone_fenced,
            |it| &mut it.alone_silence,
            |it| &mut it.saved,
            |it| &mut it.changes,
            |it| &mut it.unknown_won,
            |it| &mut it.unknown_told,
            |it| &mut it.created_again,
            |it| &mut it.amnesias,
            |it| &mut it.wipes,
            |it| &mut it.rots,
            |it| &mut it.rewinds,
            |it| &mut it.rewinds_noticed,
            |it| &mut it.take_overs,
            |it| &mut it.handovers,
            |it| &mut it.returns,
            |it| &mut it.shrinks,
            |it| &mut it.resigned,
            |it| &mut it.grows,
            |it| &mut it.isolated,
            |it| &mut it.mediator_lost,
            |it| &mut it.overtaken,
            |it| &mut it.rivals,
            |it| &mut it.copies,
            |it| &mut it.cuts,
            |it| &mut it.exchanges,
            |it| &mut it.copies_given,
            |it| &mut it.copies_broken,
            |it| &mut it.ids,
            |it| &mut it.conflicts,
        ];
        let mut other = other.clone();
        for counter in all {
            let more = *counter(&mut other);
            *counter(self) += more;
        }
        self.hash ^= other.hash;
        self.slowest_heal_ms = slowest_heal_ms;
    }

    /// What must have happened in a long enough run of all kinds, and did not.
    pub fn missing(&self) -> Vec<&'static str> {
        let goals = [
            ("take-overs", self.take_overs),
            ("hand-overs", self.handovers),
            ("returns", self.returns),
            ("shrinks by record", self.shrinks),
            ("shrinks by resignation", self.resigned),
            ("grows", self.grows),
            ("isolated demotions", self.isolated),
            ("demotions by a later epoch", self.overtaken),
            ("unknown outcomes that had taken effect", self.unknown_won),
            ("records made again", self.created_again),
            ("lost disks", self.wipes),
            ("disks that went back", self.rewinds),
            ("nodes that noticed that they had gone back", self.rewinds_noticed),
            ("damaged logs", self.rots),
            ("full copies", self.copies),
            ("logs cut back", self.cuts),
            ("death certificates", self.certificates),
            ("reigns begun before the last one noticed", self.rivals),
            ("writes acknowledged", self.acknowledged),
            ("writes of unknown outcome", self.unknown),
        ];
        goals.iter().filter(|(_, count)| *count == 0).map(|(what, _)| *what).collect()
    }

    /// The same of two writers.
    pub fn missing_of_two_writers(&self) -> Vec<&'static str> {
        let goals = [
            ("exchanges", self.exchanges),
            ("copies given", self.copies_given),
            ("copies that broke off", self.copies_broken),
            ("lost disks", self.wipes),
            ("disks that went back", self.rewinds),
            ("nodes that noticed that they had gone back", self.rewinds_noticed),
            ("ids", self.ids),
            ("conflicts", self.conflicts),
            ("refusals", self.refused),
            ("writes acknowledged", self.acknowledged),
            ("writes of unknown outcome", self.unknown),
        ];
        goals.iter().filter(|(_, count)| *count == 0).map(|(what, _)| *what).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.runs.max(1);
        writeln!(
            f,
            "{} runs, {} events and {:.1} simulated seconds each, {:.1} days in all",
            self.runs,
            self.events / runs,
            Duration::from_nanos(self.simulated / runs).as_secs_f64(),
            Duration::from_nanos(self.simulated).as_secs_f64() / 86_400.0
        )?;
        writeln!(
            f,
            "calls {}, answered {}, writes acknowledged {}, refused {}, writes unknown {}",
            self.calls, self.done, self.acknowledged, self.refused, self.unknown
        )?;
        writeln!(
            f,
            "take-overs {}, hand-overs {}, returns {}, shrinks {} (by resignation {}), grows {}",
            self.take_overs, self.handovers, self.returns, self.shrinks, self.resigned, self.grows
        )?;
        writeln!(
            f,
            "demoted: isolated {}, mediator lost {}, later epoch {} (unnoticed at first {}); full copies {}, logs cut {}",
            self.isolated, self.mediator_lost, self.overtaken, self.rivals, self.copies, self.cuts
        )?;
        writeln!(
            f,
            "record: changes {}, told unknown {}, of which won {}, lost or old {}, made again {}",
            self.changes, self.unknown_told, self.unknown_won, self.amnesias, self.created_again
        )?;
        writeln!(
            f,
            "processes: starts {}, ends by themselves {}, starts in place {}, certificates {}, disks lost {}, logs damaged {}, disks gone back {} (noticed {})",
            self.boots,
            self.ends,
            self.reboots,
            self.certificates,
            self.wipes,
            self.rots,
            self.rewinds,
            self.rewinds_noticed
        )?;
        writeln!(
            f,
            "without a third party: take-overs without proof {}, alone by certificate {}, by fence {}, on silence {}; fence commands {}, failed probes {}, acknowledged writes only saved {}",
            self.unproven,
            self.alone_certified,
            self.alone_fenced,
            self.alone_silence,
            self.fences,
            self.probes_failed,
            self.saved
        )?;
        writeln!(
            f,
            "two writers: exchanges {}, copies given {} (broken off {}), ids {}, conflicts told {}",
            self.exchanges, self.copies_given, self.copies_broken, self.ids, self.conflicts
        )?;
        write!(f, "faults:")?;
        for (kind, count) in Kind::ALL.iter().zip(self.struck) {
            write!(f, " {kind:?} {count}")?;
        }
        write!(f, "\nslowest heal {} ms", self.slowest_heal_ms)
    }
}
