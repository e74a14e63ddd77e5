//! Faults, and how they end.

use tandem_admin::{AdminRequest, PromoteRequest, SwitchRequest};
use tandem_disk::Keep;
use tandem_node::Acknowledge;
use tandem_switch::{Automation, SplitBrain};
use tandem_types::Role;

use super::{Arrived, NODES, Run, What};
use crate::plan::{Fault, Kind, MS, Plan, Wish};

/// The end of a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ease {
    Start(usize),
    Resume(usize),
    Link([bool; 2]),
    Reach(usize),
    Outage(bool),
    Disk(usize),
    Net,
    Lines(u8, [bool; 2]),
    Silence([bool; 2]),
    Alone(usize, [bool; 2]),
    Pings(usize),
    Door(usize),
}

impl Run {
    pub(super) fn strike(&mut self, index: usize) {
        let Some(&(_, kind, fault)) = self.plan.faults.get(index) else { return };
        if self.healed {
            return;
        }
        self.strike_with(kind, fault);
    }

    /// Something decisive has just begun: the worst moment for trouble.
    pub(super) fn ambush(&mut self) {
        if self.healed || self.plan.ambush == 0 || !self.ambush_random.once_in(self.plan.ambush) {
            return;
        }
        let fault = if self.plan.is_unaided() {
            self.plan.draw_unaided_ambush(&mut self.ambush_random)
        } else if self.plan.both_write() {
            Plan::draw_two_writers_ambush(&mut self.ambush_random)
        } else {
            Plan::draw_ambush(&mut self.ambush_random)
        };
        let wait = self.ambush_random.below(30) * MS;
        self.after(wait, What::Ambush(fault));
    }

    pub(super) fn strike_with(&mut self, kind: Kind, fault: Fault) {
        if self.healed || self.is_untimely(&fault) {
            return;
        }
        self.trace.note(self.now, format_args!("---- {fault:?}"));
        self.tally.struck[kind as usize] += 1;
        match fault {
            Fault::Kill { host, certified, restart } => {
                if self.hosts[host].is_up() {
                    self.kill(host, certified, true);
                }
                self.start_later(host, restart);
            }
            Fault::Power { host, keep, restart } => self.power_cut(host, keep, restart),
            Fault::Pause { host, lasting } => {
                self.pause(host);
                self.after(lasting, What::Ease(Ease::Resume(host)));
            }
            Fault::Link { towards, reset, lasting } => self.cut(towards, reset, lasting),
            Fault::Reach { host, lasting } => {
                self.ways[host].cut += 1;
                self.after(lasting, What::Ease(Ease::Reach(host)));
            }
            Fault::Isolate { host, towards, lasting } => {
                self.ways[host].cut += 1;
                self.after(lasting, What::Ease(Ease::Reach(host)));
                self.cut(towards, false, lasting);
            }
            Fault::Outage { lasting, forgets } => {
                self.mediator.up = false;
                self.after(lasting, What::Ease(Ease::Outage(forgets)));
            }
            Fault::Amnesia { versions } => self.lose_record(versions),
            Fault::SlowDisk { host, sync, lasting } => {
                self.hosts[host].is_fast_again(self.now);
                self.hosts[host].slow = Some(sync);
                self.hosts[host].slow_since = self.now;
                self.after(lasting, What::Ease(Ease::Disk(host)));
            }
            Fault::BadDisk { host } => self.hosts[host].breaks = true,
            Fault::FullDisk { host, lasting } => {
                let disk = &self.hosts[host].machine.disk;
                disk.set_capacity(Some(disk.used_bytes() + self.random.below(16 << 10)));
                self.hosts[host].full = true;
                self.watch.account.log_may_lack = true;
                self.after(lasting, What::Ease(Ease::Disk(host)));
            }
            Fault::Wipe { host, restart } => self.wipe(host, restart),
            Fault::Rot { host, restart } => self.rot(host, restart),
            // A standby that is told to stop leaves the set: not while it holds the only copy.
            Fault::Term { .. } if self.is_mourning() => {}
            Fault::Term { host, restart } => {
                self.hosts[host].stopping = true;
                self.arrive(host, Arrived::Shutdown);
                self.start_later(host, restart + 3_000 * MS);
            }
            Fault::Person { host, wish } => self.arrive(host, Arrived::Admin(request(wish))),
            Fault::Wall { host, by } => self.hosts[host].clock.jump_wall(by),
            Fault::Reset { host } => self.reset_end(host),
            Fault::Emptied | Fault::Restored => {
                self.mediator.lose_record(u64::from(fault == Fault::Restored));
                self.tally.amnesias += 1;
                self.push();
            }
            Fault::Lines { which, towards, lasting } => {
                self.cut_lines(which, towards);
                self.after(lasting, What::Ease(Ease::Lines(which, towards)));
            }
            Fault::Silence { towards, reset, lasting } => {
                self.silence(towards, reset);
                self.after(lasting, What::Ease(Ease::Silence(towards)));
            }
            Fault::Alone { host, towards, lasting } => {
                self.silence(towards, false);
                self.cut_pings(host);
                self.after(lasting, What::Ease(Ease::Alone(host, towards)));
            }
            Fault::Pings { host, lasting } => {
                self.cut_pings(host);
                self.after(lasting, What::Ease(Ease::Pings(host)));
            }
            Fault::Door { host, lasting } => {
                self.hosts[host].door_cut += 1;
                self.after(lasting, What::Ease(Ease::Door(host)));
            }
            Fault::Image { host } => self.image(host),
            Fault::Rewind(rewind) => self.rewind(rewind),
            Fault::SlowNet { delay, lasting } => {
                self.delay = delay;
                self.after(lasting, What::Ease(Ease::Net));
            }
        }
    }

    pub(super) fn ease(&mut self, ease: Ease) {
        if !matches!(ease, Ease::Start(_)) {
            self.trace.note(self.now, format_args!("---- over: {ease:?}"));
        }
        match ease {
            Ease::Start(host) => self.start(host),
            Ease::Resume(host) => self.resume(host),
            Ease::Link(towards) => {
                for (host, cut) in towards.into_iter().enumerate() {
                    if cut {
                        self.link.open(host);
                    }
                }
                self.deliver_soon();
            }
            Ease::Reach(host) => self.open_way(host, false),
            Ease::Outage(forgets) => self.mediator_returns(forgets),
            Ease::Lines(which, towards) => self.open_lines(which, towards),
            Ease::Silence(towards) => self.end_silence(towards),
            Ease::Alone(host, towards) => {
                self.end_silence(towards);
                self.open_pings(host, false);
            }
            Ease::Pings(host) => self.open_pings(host, false),
            Ease::Door(host) => {
                let host = &mut self.hosts[host];
                host.door_cut = host.door_cut.saturating_sub(1);
            }
            Ease::Disk(host) => {
                self.hosts[host].is_fast_again(self.now);
                self.hosts[host].full = false;
                self.hosts[host].machine.disk.set_capacity(None);
            }
            Ease::Net => self.delay = self.plan.delay,
        }
    }

    pub(super) fn kill(&mut self, host: usize, certified: bool, heard: bool) {
        self.hosts[host].machine.kill();
        self.bury(host, certified, heard);
    }

    pub(super) fn power_cut(&mut self, host: usize, keep: u8, restart: u64) {
        self.kill(host, false, false);
        self.hosts[host].powerless = true;
        self.hosts[host].machine.disk.crash(keep_of(keep));
        self.hosts[host].starting = false;
        self.start_later(host, restart);
    }

    fn pause(&mut self, host: usize) {
        let now = self.now;
        let host = &mut self.hosts[host];
        host.paused += 1;
        if host.paused == 1 {
            host.paused_at = now;
        }
    }

    fn resume(&mut self, which: usize) {
        let unseen = self.clocks_are_bad() && self.plan.seed.is_multiple_of(2);
        let now = self.now;
        let host = &mut self.hosts[which];
        if host.paused == 0 {
            return;
        }
        host.paused -= 1;
        if host.paused > 0 {
            return;
        }
        if unseen {
            host.clock.miss(now - host.paused_at);
        }
        host.heard_at = now;
        host.runs_since = now;
        host.wake_at = u64::MAX;
        let mut held: Vec<Arrived> = std::mem::take(&mut host.held).into();
        // Each connection keeps its order; which of them is looked at first is anybody's guess.
        let turn = self.random.below(4);
        held.sort_by_key(|arrived| (super::trace::source(arrived) + turn) % 4);
        let life = host.life;
        for arrived in held {
            if self.hosts[which].life == life {
                self.arrive(which, arrived);
            }
        }
        self.plan_wake(which);
    }

    pub(super) fn cut(&mut self, towards: [bool; 2], reset: bool, lasting: u64) {
        for (host, cut) in towards.into_iter().enumerate() {
            if cut {
                self.link.silence(host);
            }
        }
        if reset {
            self.reset_link();
        }
        self.after(lasting, What::Ease(Ease::Link(towards)));
    }

    fn cut_lines(&mut self, which: u8, towards: [bool; 2]) {
        for line in 0..self.lines.len() {
            if which & (1 << line) != 0 {
                self.cut_line(line, towards);
            }
        }
    }

    fn open_lines(&mut self, which: u8, towards: [bool; 2]) {
        for line in 0..self.lines.len() {
            if which & (1 << line) != 0 {
                self.open_line(line, towards, false);
            }
        }
    }

    /// Nothing passes between the nodes any more.
    fn silence(&mut self, towards: [bool; 2], reset: bool) {
        for (host, cut) in towards.into_iter().enumerate() {
            if cut {
                self.link.silence(host);
            }
            // A connection needs both directions.
            self.hosts[host].door_cut += 1;
        }
        self.cut_lines(u8::MAX, towards);
        if reset {
            self.reset_link();
        }
    }

    fn end_silence(&mut self, towards: [bool; 2]) {
        for (host, cut) in towards.into_iter().enumerate() {
            if cut {
                self.link.open(host);
            }
            let host = &mut self.hosts[host];
            host.door_cut = host.door_cut.saturating_sub(1);
        }
        self.open_lines(u8::MAX, towards);
        self.deliver_soon();
    }

    fn cut_pings(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        if host.pings_cut == 0 {
            host.pings_cut_since = self.now;
        }
        host.pings_cut += 1;
    }

    fn open_pings(&mut self, host: usize, all: bool) {
        let host = &mut self.hosts[host];
        host.pings_cut = if all { 0 } else { host.pings_cut.saturating_sub(1) };
    }

    /// Only while both nodes can say what it was: anything else is a person's business.
    fn lose_record(&mut self, versions: u64) {
        let whole = self.whole().is_some() && self.reaches(0) && self.reaches(1);
        if whole {
            self.mediator.lose_record(versions);
            self.tally.amnesias += 1;
            self.push();
        }
    }

    /// Whether the other disk holds everything that was promised, whatever becomes of this one.
    pub(super) fn is_spare(&self, host: usize) -> bool {
        if self.plan.is_unaided() {
            return self.is_spare_on_disk(host);
        }
        if self.plan.both_write() {
            return self.is_spare_writer(host);
        }
        let epoch = |it: usize| self.hosts[it].machine.node.as_ref().map(|it| it.core().view.epoch);
        let recorded = self.mediator.record().is_some_and(|record| {
            record.is_both() && self.whole().and_then(epoch) == Some(record.epoch)
        });
        let stopping = self.hosts.iter().any(|host| host.stopping);
        // In the midst of a planned change it may be the heir's disk: the record names it alone next, as it
        // should (R10), and what to do without it is a person's business (M4).
        let heir = self.hosts[1 - host].holds_since.is_some();
        let needed = heir || self.may_be_named_alone(host);
        recorded
            && !stopping
            && !needed
            && self.knows_this_life(1 - host)
            && self.plan.acknowledge == Acknowledge::Durable
    }

    /// The mediator was emptied or restored, and this node has not heard its primary since: it cannot know
    /// whether it is still in the set, so what to do without the other disk is a person's business (M4).
    fn knows_this_life(&self, host: usize) -> bool {
        let held = self.hosts[host].machine.state_on_disk().and_then(|state| state.recorded);
        held.is_none_or(|held| held.life == self.mediator.life())
    }

    /// A disk is lost, while the other one holds everything that was promised.
    fn wipe(&mut self, host: usize, restart: u64) {
        if !self.is_spare(host) {
            return;
        }
        self.disk_goes(host);
        self.watch.account.lose_log(host);
        self.power_cut(host, 0, restart);
        let seed = self.random.next();
        self.hosts[host].machine.wipe(seed);
        self.hosts[host].is_fast_again(self.now);
        self.tally.wipes += 1;
        self.wiped = true;
        self.bereft = host;
    }

    /// A bit of the log flips while the machine is off, where a start can tell.
    fn rot(&mut self, host: usize, restart: u64) {
        if !self.is_spare(host) {
            return;
        }
        self.power_cut(host, 0, restart);
        let seed = self.random.next();
        if self.hosts[host].machine.rot(seed) {
            self.tally.rots += 1;
            self.wiped = true;
            self.bereft = host;
        }
    }

    /// A change that leaves the other node out is on its way, and nobody but this host knows: the record may
    /// name this host's directory alone at any moment, and without it a person must say what to do (M4).
    fn may_be_named_alone(&self, host: usize) -> bool {
        let other = NODES[1 - host];
        self.sent_changes.iter().any(|change| {
            self.mediator.is_replaced_by(change) && change.record.members[other].is_none()
        })
    }

    /// A disk was lost, and the copy that is left is still the only one.
    fn is_mourning(&mut self) -> bool {
        self.wiped = self.wiped && !self.is_whole();
        self.wiped
    }

    /// The serving node, if both nodes run and the other one holds everything.
    pub(super) fn whole(&self) -> Option<usize> {
        let view = |host: usize| self.hosts[host].machine.node.as_ref().map(|it| &it.core().view);
        let (first, second) = (view(0)?, view(1)?);
        let views = [first, second];
        let primary = views.iter().position(|view| view.role == Role::Primary)?;
        let other = views[1 - primary];
        let whole = other.role == Role::Standby
            && views[primary].peer_in_sync
            && views[primary].peer_connected
            && other.epoch == views[primary].epoch;
        whole.then_some(primary)
    }

    /// Both nodes run, and what one of them acknowledged is at the other too.
    pub(super) fn is_whole(&self) -> bool {
        if self.plan.both_write() { self.both_in_sync() } else { self.whole().is_some() }
    }

    /// Where decisions are a person's, somebody is there in the end; nothing is forced.
    pub(super) fn person_helps(&mut self) {
        for host in 0..2 {
            self.arrive(host, Arrived::Admin(AdminRequest::Resume));
        }
        self.person_forces();
        let again = self.random.once_in(2);
        let request = match self.plan.automatic.automation {
            Automation::Auto => return,
            Automation::Confirm if again => Wish::Confirm,
            Automation::Confirm | Automation::Observe => Wish::Promote,
        };
        for host in 0..2 {
            // Nobody promotes the machine that was reverted before it has met its peer.
            if !(self.is_unsettled() && self.is_back(host)) {
                self.arrive(host, Arrived::Admin(self::request(request)));
            }
        }
    }

    /// What only a person may say: a disk is gone for good, and the other node goes on; or which of two
    /// histories does (`split_brain = "manual"`).
    fn person_forces(&mut self) {
        if !self.plan.is_unaided() {
            if let Some(which) = self.who_heard_of_a_reign_that_nobody_knows() {
                self.promote_by_force(which);
            }
            return;
        }
        let serves = |it: &super::Host| {
            it.machine.node.as_ref().is_some_and(|it| super::serving(it).is_some())
        };
        if self.hosts.iter().any(serves) {
            return;
        }
        let manual = self.plan.automatic.unaided.split_brain == SplitBrain::Manual;
        let which = if self.is_mourning() {
            1 - self.bereft
        } else if manual && self.plan.may_split() {
            self.random.index(2)
        } else {
            return;
        };
        self.promote_by_force(which);
    }

    fn promote_by_force(&mut self, which: usize) {
        let request = PromoteRequest { force: true, accept_loss: None };
        self.trace.note(self.now, format_args!("---- a person promotes {which} by force"));
        self.arrive(which, Arrived::Admin(AdminRequest::Promote(request)));
    }

    /// The mediator lost a record that had just been changed, before whoever asked for that change heard of it, and
    /// only the other node has seen its epoch. It might have been that one's, on a disk that is gone: no node can say.
    fn who_heard_of_a_reign_that_nobody_knows(&self) -> Option<usize> {
        if self.plan.both_write() || self.mediator.record().is_some() {
            return None;
        }
        let states = [0, 1].map(|host| self.hosts[host].machine.state_on_disk());
        let [Some(first), Some(second)] = states else { return None };
        let reign =
            [first, second].into_iter().filter_map(|it| it.reign).max_by_key(|it| it.epoch)?;
        let which = usize::from(reign.primary == NODES[1]);
        let state = [first, second][which];
        let alone =
            state.in_sync.is_some_and(|set| set.has(state.member(NODES[which])) && !set.is_both());
        let unknown = first.epoch_seen.min(second.epoch_seen) > reign.epoch;
        (alone && state.reign == Some(reign) && unknown).then_some(which)
    }

    /// Everything works again.
    pub(super) fn heal(&mut self) {
        self.trace.note(self.now, format_args!("==== everything is healed"));
        self.healed = true;
        self.link.open_all();
        for line in 0..self.lines.len() {
            self.open_line(line, [true; 2], true);
        }
        self.deliver_soon();
        self.delay = self.plan.delay;
        self.mediator_returns(false);
        for host in 0..2 {
            self.open_way(host, true);
            self.open_pings(host, true);
            self.hosts[host].door_cut = 0;
            self.hosts[host].breaks = false;
            self.hosts[host].is_fast_again(self.now);
            self.hosts[host].full = false;
            self.hosts[host].machine.disk.set_capacity(None);
            while self.hosts[host].paused > 0 {
                self.resume(host);
            }
            // One that went back starts when it is heard again: see `rewinding`.
            let waits = self.is_back(host) && self.hosts[host].starting;
            if !self.hosts[host].is_up() && !waits {
                self.hosts[host].starting = false;
                self.start_later(host, 100 * MS);
            }
        }
        // What a person had stopped, a person lets go on.
        for host in 0..2 {
            self.arrive(host, Arrived::Admin(AdminRequest::Resume));
        }
    }
}

/// What of the units that were not synced is on the disk afterwards.
pub(super) const fn keep_of(chance: u8) -> Keep {
    match chance {
        0 => Keep::Nothing,
        255 => Keep::Everything,
        chance => Keep::Random { chance },
    }
}

fn request(wish: Wish) -> AdminRequest {
    match wish {
        Wish::Switch => AdminRequest::Switch(SwitchRequest::default()),
        Wish::Pause => AdminRequest::Pause,
        Wish::Resume => AdminRequest::Resume,
        Wish::Confirm => AdminRequest::Confirm,
        Wish::Reject => AdminRequest::Reject,
        Wish::Promote => AdminRequest::Promote(PromoteRequest { force: false, accept_loss: None }),
    }
}
