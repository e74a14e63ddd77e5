//! What a pair without a third party goes by besides its link: further channels, ping targets,
//! supervisors, a fence.
//!
//! The two sides of each channel are the real ones; only the way between them is not. A supervisor reads
//! the disk of the process that has ended, and tells over the network of the link. The fence is honest: when
//! it says that a machine is off, that machine's power was cut before; when it says that it failed, it may
//! have been cut all the same.

use tandem_channel::{ChannelSettings, Conversation, Endpoint, Key};
use tandem_switch::{BootId, Input as Seen, Testimony};
use tandem_types::Monotonic;

use super::{Arrived, NODES, Run, What};
use crate::plan::{MS, Plan};

/// A supervisor tries so often to tell the peer.
const TRIES: u32 = 5;

/// Something that happens outside of the nodes.
#[derive(Debug)]
pub(crate) enum Outer {
    /// A node reports on every channel.
    Report(usize),
    /// A report is at the end of its way.
    Frame { line: usize, towards: usize, bytes: Vec<u8> },
    /// A node looks for the ping targets.
    Look(usize),
    /// A supervisor tells the peer of its node, which has ended.
    Testify { of: usize, testimony: Testimony, tries: u32 },
    /// The fence command of this node's process is through: whether it cut the power, and says so.
    Shot { by: usize, life: u64, cuts: bool, says: bool },
}

/// One channel besides the link.
#[derive(Debug)]
pub(crate) struct Line {
    /// So many reasons why nothing arrives at this node.
    pub(super) silent: [u32; 2],
    /// Longest way of a report.
    way: u64,
    /// What was under way when it was cut comes later.
    keeps: bool,
    kept: Vec<(usize, Vec<u8>)>,
    /// Since when both directions work.
    whole_since: Option<u64>,
}

impl Line {
    pub(super) fn all(plan: &Plan) -> Vec<Self> {
        let line = |&(way, keeps): &(u64, bool)| Self {
            silent: [0; 2],
            way,
            keeps,
            kept: Vec::new(),
            whole_since: Some(0),
        };
        plan.outside.lines.iter().map(line).collect()
    }

    /// For how long it has worked in both directions.
    pub(super) fn whole_for(&self, now: u64) -> Option<u64> {
        self.whole_since.map(|since| now - since.min(now))
    }

    pub(super) const fn longest_way(&self) -> u64 {
        self.way
    }
}

/// This node's sides of the channels, in a new process.
pub(super) fn conversations(plan: &Plan, which: usize, nonce: u64) -> Vec<Conversation> {
    let end = || Endpoint::Tcp("10.0.0.1:7380".into());
    let conversation = |index: usize| {
        Conversation::new(&ChannelSettings {
            index: u8::try_from(index).unwrap_or(u8::MAX),
            node: NODES[which],
            pair: "main".into(),
            key: Key::new(b""),
            own: end(),
            peer: end(),
            nonce: nonce.wrapping_add(index as u64),
            now: || Monotonic::ZERO,
        })
    };
    (0..plan.outside.lines.len()).map(conversation).collect()
}

impl Run {
    pub(super) fn begin_outside(&mut self) {
        for host in 0..2 {
            for first in [Outer::Report(host), Outer::Look(host)] {
                self.after(0, What::Outer(first));
            }
            self.after(0, What::Probing(super::prober::Step::Round(host)));
        }
    }

    pub(super) fn happen_outside(&mut self, what: Outer) {
        match what {
            Outer::Report(host) => self.report(host),
            Outer::Frame { line, towards, bytes } => self.bring(line, towards, bytes),
            Outer::Look(host) => self.look_around(host),
            Outer::Testify { of, testimony, tries } => self.testify(of, testimony, tries),
            Outer::Shot { by, life, cuts, says } => self.shoot(by, life, cuts, says),
        }
    }

    /// The loop that serves reports on every channel; one that stands still does not.
    fn report(&mut self, which: usize) {
        let every = u64::try_from(self.plan.failure_timeout.as_nanos()).unwrap_or(0) / 5;
        let every = self.hosts[which].clock.true_span(every);
        self.after(every, What::Outer(Outer::Report(which)));
        let host = &mut self.hosts[which];
        if host.paused > 0 {
            return;
        }
        let Some(vitals) = host.machine.node.as_ref().and_then(tandem_node::Node::vitals) else {
            return;
        };
        let now = host.clock.now(self.now).mono;
        let mut frames = Vec::new();
        for conversation in &mut host.conversations {
            frames.push(conversation.report(now, vitals));
        }
        for (line, frame) in frames.into_iter().enumerate() {
            let way = MS / 20 + self.random.below(self.lines[line].way);
            let bytes = frame.to_vec();
            let towards = 1 - which;
            self.after(way, What::Outer(Outer::Frame { line, towards, bytes }));
        }
    }

    fn bring(&mut self, line: usize, towards: usize, bytes: Vec<u8>) {
        let there = &mut self.lines[line];
        if there.silent[towards] > 0 {
            if there.keeps {
                there.kept.push((towards, bytes));
            }
            return;
        }
        let life = self.hosts[towards].life;
        self.after(0, What::Arrive(towards, life, Arrived::Frame { line, bytes }));
    }

    pub(super) fn cut_line(&mut self, line: usize, towards: [bool; 2]) {
        let line = &mut self.lines[line];
        for (silent, cut) in line.silent.iter_mut().zip(towards) {
            *silent += u32::from(cut);
        }
        line.whole_since = None;
    }

    /// One reason less why nothing arrives; `all`: none is left.
    pub(super) fn open_line(&mut self, line: usize, towards: [bool; 2], all: bool) {
        let now = self.now;
        let there = &mut self.lines[line];
        for (silent, cut) in there.silent.iter_mut().zip(towards) {
            *silent = if all { 0 } else { silent.saturating_sub(u32::from(cut)) };
        }
        if there.silent == [0; 2] {
            there.whole_since = there.whole_since.or(Some(now));
        }
        for (towards, bytes) in std::mem::take(&mut there.kept) {
            self.bring(line, towards, bytes);
        }
    }

    /// As the server does it: one look after the other, each with its own patience.
    fn look_around(&mut self, which: usize) {
        let often = self.plan.failure_timeout.max(std::time::Duration::from_millis(500));
        let patience = u64::try_from(often.as_nanos()).unwrap_or(0);
        let host = &self.hosts[which];
        let reached = host.pings_cut == 0;
        let takes =
            if reached { self.travel() } else { self.hosts[which].clock.true_span(patience) };
        let next = self.hosts[which].clock.true_span(patience / 2).max(takes);
        self.after(next, What::Outer(Outer::Look(which)));
        let host = &self.hosts[which];
        if host.paused > 0 || !host.is_up() || !self.plan.automatic.unaided.pings {
            return;
        }
        let asked = host.clock.now(self.now).mono;
        let life = host.life;
        let seen = Arrived::Seen(Seen::Pinged { asked, reached });
        self.after(takes, What::Arrive(which, life, seen));
    }

    /// The supervisor of a process that has ended reads what is on its disk, and begins to tell.
    pub(super) fn begin_to_testify(&mut self, of: usize, boot: BootId) {
        let state = self.hosts[of].machine.state_on_disk();
        let state = state.filter(|it| it.incarnation == boot.incarnation && it.boot == boot.boot);
        let testimony = Testimony { boot, in_sync: state.and_then(|it| it.in_sync) };
        self.tally.certificates += 1;
        let wait = self.random.below(20) * MS;
        self.after(wait, What::Outer(Outer::Testify { of, testimony, tries: TRIES }));
    }

    fn testify(&mut self, of: usize, testimony: Testimony, tries: u32) {
        let other = 1 - of;
        let open = self.link.is_open(other) && self.link.is_open(of);
        if open && self.hosts[other].is_up() {
            let wait = self.travel();
            let life = self.hosts[other].life;
            self.after(wait, What::Arrive(other, life, Arrived::Testified(testimony)));
        } else if tries > 1 {
            let again = self.random.between(200, 1_200) * MS;
            self.after(again, What::Outer(Outer::Testify { of, testimony, tries: tries - 1 }));
        }
    }

    /// The fence command is started.
    pub(super) fn fence(&mut self, by: usize) {
        self.tally.fences += 1;
        self.shots += 1;
        let fails = self.plan.outside.fence_fails;
        let says = fails == 0 || self.healed || !self.random.once_in(fails);
        let cuts = says || self.random.once_in(3);
        let takes = MS + self.random.below(self.plan.outside.fence_takes);
        let life = self.hosts[by].life;
        self.after(takes, What::Outer(Outer::Shot { by, life, cuts, says }));
    }

    fn shoot(&mut self, by: usize, life: u64, cuts: bool, says: bool) {
        self.shots -= 1;
        self.trace.note(self.now, format_args!("---- fence of {by}: cuts {cuts}, says {says}"));
        if cuts {
            let keep = [0, 60, 128, 255][self.random.index(4)];
            let restart = self.random.between(300, 5_000) * MS;
            self.power_cut(1 - by, keep, restart);
        }
        let ended = if says { Ok(()) } else { Err("no answer".to_owned()) };
        let wait = MS / 10 + self.random.below(20) * MS;
        self.after(wait, What::Arrive(by, life, Arrived::Seen(Seen::Fenced(ended))));
    }
}
