//! Disks that go back to an older copy of themselves: when one may, and what may happen until its peer has told it.
//!
//! Nothing on such a disk shows it. Only the other member of the in-sync set knows, so while that one is there
//! nothing acknowledged may be lost; if it is gone too, or is not heard before the machine acts, nobody can tell
//! (docs/adr, "directories that go back"). A disk therefore goes back only while the other one holds everything
//! and is well, and until the two have met no other fault takes away the one that knows.

use tandem_types::Incarnation;

use super::{Run, What};
use crate::machine::{boots_on, incarnation_on};
use crate::plan::{Fault, MS, Rewind, Wish};

/// A machine whose disk went back, until it is known again what its data is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WentBack {
    pub(super) host: usize,
    /// The directory that it was, and the one that the copy is of.
    known: [Option<Incarnation>; 2],
    /// The disk of its peer remembers, whatever happens before they meet.
    remembered: bool,
}

impl Run {
    /// A copy of the disk, as a hypervisor makes it: whatever the node does just then.
    pub(super) fn image(&mut self, host: usize) {
        let machine = &self.hosts[host].machine;
        if incarnation_on(&machine.disk).is_some() {
            self.hosts[host].image = Some(machine.disk.fork());
        }
    }

    /// The disk goes back, if the peer knows what is lost by that; else a moment later.
    pub(super) fn rewind(&mut self, rewind: Rewind) {
        let Rewind { host, keep, killed, restart, tries, alone } = rewind;
        let Some(image) = &self.hosts[host].image else { return };
        let same = incarnation_on(image) == incarnation_on(&self.hosts[host].machine.disk);
        // Of two writers, a directory in whose place its peer has met another one since is a stranger with writes of
        // its own: what becomes of it is a person's decision (docs/adr, "giving a writer up").
        if self.healed || (self.plan.both_write() && !same) {
            return;
        }
        if !self.peer_can_tell(host) {
            if tries > 0 {
                let tries = tries - 1;
                self.after(100 * MS, What::Rewind(Rewind { tries, ..rewind }));
            }
            return;
        }
        self.disk_goes(host);
        let remembered = alone > 0 && self.is_remembered(host);
        let was = self.hosts[host].machine.boot_id().map(|boot| boot.incarnation);
        self.trace.note(self.now, format_args!("---- the disk of {host} goes back"));
        match killed {
            Some(certified) => {
                self.kill(host, certified, true);
                self.hosts[host].starting = false;
                self.start_later(host, restart);
            }
            None => self.power_cut(host, 0, restart.max(self.half_open())),
        }
        if let Some(image) = &self.hosts[host].image {
            let disk = image.fork();
            let seed = self.random.next();
            self.hosts[host].machine.go_back(disk, seed, super::faults::keep_of(keep));
        }
        self.tally.rewinds += 1;
        // So does its conflict log.
        self.watch.account.log_may_lack = true;
        self.wiped = true;
        self.bereft = host;
        let copy = incarnation_on(&self.hosts[host].machine.disk);
        self.went_back = Some(WentBack { host, known: [was, copy], remembered });
        if remembered {
            // Alone, it cannot know. What it says is as if nothing had happened since the copy, and is in the files
            // only that are set aside once it has met its peer; then both come to the same.
            self.watch.account.lose_sight();
            self.cut([true; 2], true, alone);
        }
    }

    /// The disk of the other of two writers says that it has met a later process than the one that the copy is of: it
    /// knows the copy again whatever happens in between. Judged is only that both come to the same then.
    fn is_remembered(&self, host: usize) -> bool {
        let image = self.hosts[host].image.as_ref().and_then(boots_on);
        let now = boots_on(&self.hosts[host].machine.disk);
        self.plan.both_write() && self.plan.kept.loses && image.is_some() && image < now
    }

    /// By then the peer has noticed that the connection to a machine that lost its power is dead, and a new one is
    /// dialled. A machine that starts sooner is not heard, and hears nobody, until after it may act.
    fn half_open(&self) -> u64 {
        let patience = u64::try_from(self.plan.failure_timeout.as_nanos()).unwrap_or(0);
        patience / 2 * 3 + 200 * MS
    }

    /// Whether the other node holds everything that was promised, and will be heard when this one starts again.
    fn peer_can_tell(&self, host: usize) -> bool {
        let peer = &self.hosts[1 - host];
        let paused = self.hosts.iter().any(|it| it.paused > 0);
        let well = peer.is_up() && !paused && peer.slow.is_none() && !peer.full;
        let heard = self.link.is_open(0) && self.link.is_open(1) && self.delay == self.plan.delay;
        // A fence command that was begun before may yet cut the power of the one that knows.
        let safe = self.shots == 0 && !peer.breaks;
        well && heard && safe && self.went_back.is_none() && self.is_spare(host)
    }

    /// Nobody has said yet what the data of a machine is that went back. Settled is that once it has begun anew,
    /// or the pair is whole with it: then it had everything after all.
    pub(super) fn is_unsettled(&mut self) -> bool {
        let Some(WentBack { host, known, .. }) = self.went_back else { return false };
        let now = self.hosts[host].machine.boot_id().map(|boot| boot.incarnation);
        if !known.contains(&now) || self.is_whole() {
            self.went_back = None;
        }
        self.went_back.is_some()
    }

    /// Whether it may take away who knows that a machine went back, or keep the two from meeting in time.
    pub(super) fn is_untimely(&mut self, fault: &Fault) -> bool {
        if !self.is_unsettled() {
            return false;
        }
        let Some(WentBack { host: back, remembered: false, .. }) = self.went_back else {
            return false;
        };
        match *fault {
            // It has not met its peer the next time either.
            Fault::Kill { host, .. }
            | Fault::SlowDisk { host, .. }
            | Fault::BadDisk { host }
            | Fault::FullDisk { host, .. } => host != back,
            Fault::Person { host, wish: Wish::Promote } => host == back,
            Fault::Reach { .. }
            | Fault::Outage { .. }
            | Fault::Lines { .. }
            | Fault::Pings { .. }
            | Fault::Wall { .. }
            | Fault::Image { .. }
            | Fault::Person { .. }
            | Fault::Door { .. }
            // These wait for a whole pair by themselves.
            | Fault::Amnesia { .. }
            | Fault::Wipe { .. }
            | Fault::Rot { .. }
            | Fault::Rewind(_) => false,
            Fault::Link { .. }
            | Fault::Isolate { .. }
            | Fault::Silence { .. }
            | Fault::Alone { .. }
            | Fault::SlowNet { .. }
            | Fault::Reset { .. }
            | Fault::Emptied
            | Fault::Restored
            // One that stands still when it has started takes that for the peer's silence.
            | Fault::Pause { .. }
            | Fault::Power { .. }
            | Fault::Term { .. } => true,
        }
    }

    /// A node says that it has lost records: then it has.
    pub(super) fn says_of_loss(&mut self, which: usize, text: &str) {
        if text.starts_with("the data is set aside and copied anew: the log here ends") {
            self.notices_loss(which, text);
        }
    }

    /// A node has been told that its disk lost what was on it.
    pub(super) fn notices_loss(&mut self, which: usize, text: &str) {
        self.tally.rewinds_noticed += 1;
        if !self.is_back(which) {
            self.watch.broken(format!(
                "{}: node {which} sets its data aside, and its disk never went back: {text}",
                super::trace::time(self.now)
            ));
        }
    }

    /// Whether this is the machine that went back, and nothing has been settled since.
    pub(super) fn is_back(&self, which: usize) -> bool {
        self.went_back.is_some_and(|it| it.host == which)
    }
}
