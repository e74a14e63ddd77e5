//! A machine in the world: its process comes and goes, its clock and its disk stay.

use std::collections::{BTreeSet, VecDeque};

use tandem_channel::Conversation;
use tandem_disk::SimDisk;
use tandem_node::{ConnId, Facts, Settings, WithoutPeer};
use tandem_switch::BootId;

use super::clock::Clock;
use super::prober::Prober;
use super::{Arrived, NODES, Run, What, faults, outside};
use crate::machine::{Machine, Work};
use crate::plan::{MS, Plan};
use crate::{Random, settings};

/// One machine and what surrounds it.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) machine: Machine,
    /// The last copy that was made of its disk.
    pub(crate) image: Option<SimDisk>,
    pub(crate) clock: Clock,
    /// Rises with every process, so that nothing reaches a later one.
    pub(crate) life: u64,
    /// So many reasons to stand still.
    pub(crate) paused: u32,
    pub(crate) paused_at: u64,
    /// What came while it stood still.
    pub(crate) held: VecDeque<Arrived>,
    /// When it is woken next.
    pub(crate) wake_at: u64,
    /// The connection of the link as this end has it; 0: none.
    pub(crate) conn: u64,
    /// Since when it holds writes back for a planned change.
    pub(crate) holds_since: Option<u64>,
    /// When its last process ended.
    pub(crate) ended_at: u64,
    /// When it last heard of anybody, and of the peer.
    pub(crate) heard_at: u64,
    pub(crate) linked_at: u64,
    pub(crate) conns: BTreeSet<ConnId>,
    pub(crate) next_admin: u64,
    /// The next sync fails.
    pub(crate) breaks: bool,
    /// Time of a sync while the disk is slow.
    pub(crate) slow: Option<u64>,
    /// True times of its starts.
    pub(crate) starts: Vec<u64>,
    /// Its process was told to end.
    pub(crate) stopping: bool,
    /// A start is under way.
    pub(crate) starting: bool,
    /// The log thread works, or waits for room.
    pub(crate) busy: bool,
    /// Since when its disk is slow, and how slow it was until when.
    pub(crate) slow_since: u64,
    pub(crate) slow_until: (u64, u64),
    /// Its disk is full.
    pub(crate) full: bool,
    /// The machine has no power, or has not begun yet.
    pub(crate) powerless: bool,
    /// Since when its process runs and does not stand still.
    pub(crate) runs_since: u64,
    /// So many reasons why it reaches no ping target, and since when.
    pub(crate) pings_cut: u32,
    pub(crate) pings_cut_since: u64,
    /// So many reasons why it does not reach the other one's client port.
    pub(crate) door_cut: u32,
    /// Its sides of the channels besides the link.
    pub(crate) conversations: Vec<Conversation>,
    pub(crate) prober: Prober,
}

fn node_settings(plan: &Plan, index: usize) -> Settings {
    let mut settings = settings(NODES[index], plan.acknowledge, plan.topology);
    settings.switch_by = plan.switch_by;
    settings.automatic = plan.automatic;
    settings.forward_writes = plan.forward_writes;
    settings.initial_primary = plan.initial_primary;
    settings.failure_timeout = plan.failure_timeout;
    settings.hold = plan.hold;
    if plan.is_unaided() {
        settings.conflicts = plan.outside.conflicts;
        // What is saved must reach back to the fork, however long both went on.
        settings.log_retention_bytes = 4 << 20;
        if !plan.automatic.unaided.goes_alone {
            settings.without_peer = WithoutPeer::Refuse;
        }
    }
    if plan.both_write() {
        settings.log_retention_bytes = plan.kept.retention;
        settings.snapshot_log_bytes = plan.kept.snapshot;
        if plan.kept.refuses_alone {
            settings.without_peer = WithoutPeer::Refuse;
        }
    }
    settings
}

impl Host {
    pub(crate) fn new(plan: &Plan, index: usize, random: &mut Random) -> Self {
        let machine = Machine::new(node_settings(plan, index), random.next(), 16 << 10);
        let offset = random.below(1_000_000) * MS;
        Self {
            machine: machine.with_slow_disk(),
            image: None,
            clock: Clock::new(offset, plan.rates[index], random.signed(1_000)),
            life: 0,
            paused: 0,
            paused_at: 0,
            held: VecDeque::new(),
            wake_at: u64::MAX,
            conn: 0,
            holds_since: None,
            ended_at: 0,
            heard_at: 0,
            linked_at: 0,
            conns: BTreeSet::new(),
            next_admin: 0,
            breaks: false,
            slow: None,
            starts: Vec::new(),
            stopping: false,
            starting: false,
            busy: false,
            slow_since: 0,
            slow_until: (0, 0),
            full: false,
            powerless: false,
            runs_since: 0,
            pings_cut: 0,
            pings_cut_since: 0,
            door_cut: 0,
            conversations: Vec::new(),
            prober: Prober::new(plan),
        }
    }

    /// For how long its process runs without standing still.
    pub(crate) const fn runs_for(&self, now: u64) -> u64 {
        if self.is_up() && self.paused == 0 { now.saturating_sub(self.runs_since) } else { 0 }
    }

    /// Its disk is as fast as ever.
    pub(crate) const fn is_fast_again(&mut self, now: u64) {
        if let Some(sync) = self.slow.take() {
            let (worst, until) = self.slow_until;
            let sync = if now < until + worst && worst > sync { worst } else { sync };
            self.slow_until = (sync, now);
        }
    }

    /// How long an order to its disk may have taken that was done about now.
    pub(crate) fn slow_lately(&self, now: u64) -> u64 {
        let (sync, until) = self.slow_until;
        let past = if now < until + sync { sync } else { 0 };
        // Orders wait for one another.
        4 * self.slow.unwrap_or(0).max(past)
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.machine.node.is_some()
    }
}

impl Run {
    /// The supervisor, or the machine itself, starts the process.
    pub(super) fn start(&mut self, which: usize) {
        let now = self.now;
        let host = &mut self.hosts[which];
        host.starting = false;
        if host.is_up() {
            return;
        }
        let window = u64::try_from(self.plan.automatic.restart_window.as_nanos()).unwrap_or(0);
        host.starts.retain(|at| at + window > now);
        host.starts.push(now);
        let starts_in_window = u32::try_from(host.starts.len()).unwrap_or(u32::MAX);
        host.machine.set_facts(Facts { starts_in_window, ..Facts::default() });
        host.life += 1;
        host.wake_at = u64::MAX;
        host.busy = false;
        host.heard_at = now;
        host.powerless = false;
        host.runs_since = now;
        let seed = self.random.next();
        host.conversations = outside::conversations(&self.plan, which, seed);
        host.prober = Prober::new(&self.plan);
        let clock = host.clock.now(now);
        host.machine.start(clock, seed);
        self.tally.boots += 1;
        let boot = host.machine.boot_id();
        self.trace.note(now, format_args!("{which} starts: {boot:?} {:?}", host.machine.stopped));
        if self.hosts[which].is_up() {
            self.remembers(which);
            self.arrive(which, Arrived::Tick);
        } else {
            // The supervisor tries again.
            self.hosts[which].starting = true;
            self.after(700 * MS, What::Ease(faults::Ease::Start(which)));
        }
    }

    /// The process ended by itself.
    pub(super) fn process_ended(&mut self, which: usize) {
        let stopped = self.hosts[which].machine.stopped.clone();
        self.trace.note(self.now, format_args!("{which} ended: {stopped:?}"));
        self.tally.ends += 1;
        let certified = !self.random.once_in(3);
        let restart = self.random.between(50, 1_500) * MS;
        self.bury(which, certified, true);
        self.start_later(which, restart);
    }

    pub(super) fn start_later(&mut self, which: usize, wait: u64) {
        if !self.hosts[which].starting {
            self.hosts[which].starting = true;
            self.after(wait, What::Ease(faults::Ease::Start(which)));
        }
    }

    /// What is left to do when a process is gone. `heard`: the system closes its connections.
    pub(super) fn bury(&mut self, which: usize, certified: bool, heard: bool) {
        let now = self.now;
        let host = &mut self.hosts[which];
        host.ended_at = now;
        host.life += 1;
        host.stopping = false;
        host.held.clear();
        host.busy = false;
        host.conns.clear();
        let boot: Option<BootId> = host.machine.boot_id();
        self.drop_players_of(which, heard);
        if heard {
            self.close_all_to_prober(which);
            self.hang_up(which);
        } else {
            self.hosts[which].conn = 0;
        }
        self.forget_way(which);
        let other = 1 - which;
        if certified
            && let Some(boot) = boot
            && self.plan.is_unaided()
        {
            self.begin_to_testify(which, boot);
        } else if certified
            && let Some(boot) = boot
            && self.link.is_open(other)
        {
            let wait = self.travel() + self.random.below(50) * MS;
            let life = self.hosts[other].life;
            self.after(wait, What::Arrive(other, life, Arrived::Died(boot)));
            self.tally.certificates += 1;
            self.certified.push(boot);
        }
    }

    /// The node booted again within its process.
    pub(super) fn rebooted(&mut self, which: usize) {
        let host = &mut self.hosts[which];
        host.life += 1;
        host.busy = false;
        host.conns.clear();
        host.wake_at = u64::MAX;
        self.trace.note(self.now, format_args!("{which} boots again in place"));
        self.tally.reboots += 1;
        self.hosts[which].prober = Prober::new(&self.plan);
        self.close_all_to_prober(which);
        self.drop_players_of(which, true);
        self.forget_way(which);
    }

    /// Gives the log thread what waits for it.
    pub(super) fn set_to_work(&mut self, which: usize) {
        let host = &mut self.hosts[which];
        if host.busy || !host.is_up() {
            return;
        }
        let life = host.life;
        match host.machine.begin_work() {
            Work::None => {}
            Work::Begun => {
                host.busy = true;
                let most = host.slow.unwrap_or(self.plan.sync);
                let time = most / 2 + self.random.below(most / 2 + 1);
                self.after(time, What::Arrive(which, life, Arrived::WorkDone));
            }
            Work::Full => {
                host.busy = true;
                self.after(100 * MS, What::Arrive(which, life, Arrived::Room));
            }
        }
    }

    /// Sees to it that the node's deadline is kept.
    pub(super) fn plan_wake(&mut self, which: usize) {
        let host = &mut self.hosts[which];
        let Some(due) = host.machine.node.as_ref().and_then(tandem_node::Node::deadline) else {
            return;
        };
        let at = host.clock.when(due).max(self.now + 10_000);
        if at < host.wake_at {
            host.wake_at = at;
            self.at(at, What::Wake(which));
        }
    }

    pub(super) fn wake(&mut self, which: usize) {
        let host = &mut self.hosts[which];
        if self.now < host.wake_at || host.paused > 0 {
            return;
        }
        host.wake_at = u64::MAX;
        let now = host.clock.now(self.now).mono;
        let due = host.machine.node.as_ref().and_then(tandem_node::Node::deadline);
        if due.is_some_and(|due| due <= now) {
            self.arrive(which, Arrived::Tick);
        } else {
            self.plan_wake(which);
        }
    }
}
