//! One run of one seed: two machines, a link, a mediator, clients, faults; and what must hold.
//!
//! Everything that happens is an event with a true time. A node sees it by its own clock, and only while
//! its process lives and is not stopped. Nothing else moves time, so the same plan gives the same run.

mod agenda;
mod clock;
mod faults;
mod host;
mod journal;
mod link;
mod mediated;
mod outside;
mod play;
mod prober;
mod promises;
mod rewinding;
mod rising;
mod silence;
mod stage;
mod trace;
mod two_writers;
mod verdict;

use std::collections::BTreeSet;

use tandem_admin::AdminRequest;
use tandem_node::{AdminId, ConnId, Input};
use tandem_switch::{BootId, Change, MediatorEvent, MediatorRequest};
use tandem_types::{Monotonic, NodeId, Role};

use crate::machine::Left;
use crate::mediator::Mediator;
use crate::plan::{Clocks, Kind, MS, Plan};
use crate::plot::Moment;
use crate::{Random, Tally};

use agenda::Agenda;
use clock::Clock;
use host::Host;
use link::Link;
use mediated::Way;
use play::Player;
use trace::Trace;
use verdict::Watch;

/// The nodes by the number of their host.
const NODES: [NodeId; 2] = [NodeId::A, NodeId::B];

/// Something that reaches a node's process.
#[derive(Debug)]
pub(crate) enum Arrived {
    LinkUp {
        conn: u64,
    },
    LinkData {
        conn: u64,
        bytes: Vec<u8>,
    },
    LinkLost {
        conn: u64,
    },
    Accept {
        conn: ConnId,
        read_port: bool,
    },
    Bytes {
        conn: ConnId,
        bytes: Vec<u8>,
    },
    Hangup {
        conn: ConnId,
    },
    Mediator(Box<MediatorEvent>),
    Died(BootId),
    Testified(tandem_switch::Testimony),
    /// A frame of a channel besides the link.
    Frame {
        line: usize,
        bytes: Vec<u8>,
    },
    /// What is seen of the peer outside.
    Seen(tandem_switch::Input),
    /// For the judge of the prober.
    Judge(tandem_probe::Input),
    Admin(AdminRequest),
    Shutdown,
    WorkDone,
    Room,
    Tick,
}

/// Something that happens in the world.
#[derive(Debug)]
pub(crate) enum What {
    /// The node asked to be woken.
    Wake(usize),
    /// For the process of this life.
    Arrive(usize, u64, Arrived),
    /// Look at what is under way towards this node.
    Packet(usize),
    /// The link is dialled if it is down.
    Dial,
    /// A client acts.
    Play(usize),
    /// A client loses patience with its call of this number.
    Patience(usize, u64),
    /// The answer to a call reaches its client.
    Answered(usize, u64, play::Answer),
    /// A client notices that its connection is gone.
    Dropped(usize, ConnId),
    /// A request reaches the mediator.
    ToMediator { host: usize, session: u64, request: MediatorRequest, asked: Monotonic, lost: bool },
    /// An answer or a push reaches the node.
    FromMediator { host: usize, session: u64, event: MediatorEvent },
    /// A change was not answered in time.
    Overdue { host: usize, session: u64, number: u64 },
    /// Somebody's presence may end.
    Presence,
    /// The connection to the mediator is looked after.
    Session(usize),
    /// A fault of the plan.
    Fault(usize),
    /// The plot begins, if the time is right.
    Stage,
    /// One of its faults.
    Plotted(crate::plan::Fault),
    /// A disk goes back, now that its moment may have come.
    Rewind(crate::plan::Rewind),
    /// A fault at the worst moment.
    Ambush(crate::plan::Fault),
    /// It ends.
    Ease(faults::Ease),
    /// Outside of the nodes of a pair without a third party.
    Outer(outside::Outer),
    /// The prober's attempts.
    Probing(prober::Step),
}

/// The world of one run.
#[derive(Debug)]
pub(crate) struct Run {
    plan: Plan,
    now: u64,
    agenda: Agenda,
    random: Random,
    hosts: [Host; 2],
    link: Link,
    /// Channels besides the link.
    lines: Vec<outside::Line>,
    mediator: Mediator,
    mediator_clock: Clock,
    ways: [Way; 2],
    /// Longest delay of a message now.
    delay: u64,
    players: Vec<Player>,
    next_conn: u32,
    next_value: u64,
    watch: Watch,
    tally: Tally,
    trace: Trace,
    /// No faults any more.
    healed: bool,
    wiped: bool,
    /// Whose disk that was.
    bereft: usize,
    /// A machine whose disk went back, until it is known again what its data is.
    went_back: Option<rewinding::WentBack>,
    ambush_random: Random,
    /// The change of the record at which the plot goes on.
    awaits: Option<Moment>,
    /// Fence commands under way.
    shots: u32,
    /// Boots of which their supervisor said that they have ended.
    certified: Vec<BootId>,
    /// Reigns that were offered to the peer: the same change may be asked for again.
    gifts: BTreeSet<u64>,
    /// Changes that were sent, whether they have arrived or not.
    sent_changes: Vec<Change>,
}

impl Run {
    /// The world of this plan, before its first moment. `told`: the story is written down.
    pub(crate) fn new(plan: Plan, told: bool) -> Self {
        let mut random = Random::new(plan.seed);
        let hosts = [0, 1].map(|index| Host::new(&plan, index, &mut random));
        let mut run = Self {
            now: 1_000 * MS,
            agenda: Agenda::default(),
            hosts,
            link: Link::default(),
            lines: outside::Line::all(&plan),
            mediator: Mediator::new(),
            mediator_clock: Clock::new(0, plan.rates[2], 0),
            ways: [Way::default(), Way::default()],
            delay: plan.delay,
            players: Vec::new(),
            next_conn: 0,
            next_value: 0,
            watch: Watch::default(),
            tally: Tally::default(),
            trace: Trace::new(told),
            healed: false,
            wiped: false,
            bereft: 0,
            went_back: None,
            ambush_random: Random::new(plan.seed ^ 0x616d_6275_7368),
            awaits: None,
            shots: 0,
            certified: Vec::new(),
            gifts: BTreeSet::new(),
            sent_changes: Vec::new(),
            random,
            plan,
        };
        run.begin();
        run
    }

    fn begin(&mut self) {
        let start = self.now;
        for host in 0..2 {
            let late = self.random.below(400) * MS;
            self.at(start + late, What::Ease(faults::Ease::Start(host)));
            if self.plan.has_mediator() {
                self.at(start, What::Session(host));
            }
        }
        if self.plan.is_unaided() {
            self.begin_outside();
        }
        self.at(start, What::Dial);
        for index in 0..self.plan.clients {
            self.players.push(Player::new(&self.plan, index));
            let rest = self.random.below(self.plan.think);
            self.at(start + rest, What::Play(index));
        }
        if self.plan.plot.is_some() {
            let wait = self.ambush_random.below(1_000) * MS;
            self.at(start + 1_000 * MS + wait, What::Stage);
        }
        for (index, &(at, _, _)) in self.plan.faults.iter().enumerate() {
            // The pair has a moment to come to be.
            self.agenda.put(start + 1_000 * MS + at, What::Fault(index));
        }
    }

    fn at(&mut self, at: u64, what: What) {
        self.agenda.put(at.max(self.now), what);
    }

    fn after(&mut self, wait: u64, what: What) {
        self.at(self.now + wait, what);
    }

    /// How long a message takes now.
    fn travel(&mut self) -> u64 {
        MS / 20 + self.random.below(self.delay)
    }

    /// Lets things happen until `end`.
    fn run_until(&mut self, end: u64) {
        while let Some((at, what)) = self.agenda.next(end) {
            self.now = at;
            self.tally.events += 1;
            self.happen(what);
        }
        self.now = self.now.max(end);
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Wake(host) => self.wake(host),
            What::Arrive(host, life, arrived) => {
                if self.hosts[host].life == life {
                    self.arrive(host, arrived);
                }
            }
            What::Packet(host) => self.deliver(host),
            What::Dial => self.dial(),
            What::Play(index) => self.play(index),
            What::Patience(index, call) => self.lose_patience(index, call),
            What::Answered(index, call, answer) => self.answered(index, call, answer),
            What::Dropped(index, conn) => self.dropped(index, conn),
            What::ToMediator { host, session, request, asked, lost } => {
                self.reach_mediator(host, session, request, asked, lost);
            }
            What::FromMediator { host, session, event } => {
                self.hear_mediator(host, session, event);
            }
            What::Overdue { host, session, number } => self.overdue(host, session, number),
            What::Presence => self.expire_presence(),
            What::Session(host) => self.tend_session(host),
            What::Fault(index) => self.strike(index),
            What::Stage => self.stage(),
            What::Plotted(fault) => self.strike_plotted(fault),
            What::Rewind(rewind) => self.rewind(rewind),
            What::Ambush(fault) => self.strike_with(Kind::Ambush, fault),
            What::Ease(ease) => self.ease(ease),
            What::Outer(what) => self.happen_outside(what),
            What::Probing(step) => self.happen_probing(step),
        }
    }

    /// Something reaches the process of a node, now or when it is no longer stopped.
    fn arrive(&mut self, which: usize, arrived: Arrived) {
        let host = &mut self.hosts[which];
        if host.paused > 0 {
            if !matches!(arrived, Arrived::Tick) {
                host.held.push_back(arrived);
            }
            return;
        }
        let Some(node) = &host.machine.node else { return };
        if let Arrived::Judge(told) = arrived {
            return self.tell_judge(which, told);
        }
        let before = serving(node);
        let acknowledged = node.core().positions.commit_end;
        let boot = host.machine.boot_id();
        if self.trace.is_told() && !matches!(arrived, Arrived::Tick | Arrived::WorkDone) {
            self.trace.note(self.now, format_args!("{which} <- {}", trace::brief(&arrived)));
        }
        let kind = trace::kind(&arrived);
        self.listen(which, &arrived);
        let epoch = before.and_then(|_| promises::tells_of(&arrived));
        let asked = self.asked_by(which, &arrived);
        let Some(left) = self.give(which, arrived) else { return };
        if let Some((conn, ends)) = asked {
            self.was_asked(which, conn, ends);
        }
        self.has_heard_of(which, epoch);
        if before.is_some() {
            for bytes in &left.link {
                self.says(which, acknowledged, bytes);
            }
        }
        self.tally.fold(self.now, which, kind, &left);
        self.take(which, before, boot, left);
    }

    /// Keeps in mind when a node last heard of anybody.
    fn listen(&mut self, which: usize, arrived: &Arrived) {
        if promises::is_heard(arrived) {
            let host = &mut self.hosts[which];
            host.heard_at = self.now;
            if matches!(arrived, Arrived::LinkData { conn, .. } if *conn == host.conn) {
                host.linked_at = self.now;
            }
        }
    }

    fn give(&mut self, which: usize, arrived: Arrived) -> Option<Left> {
        let host = &mut self.hosts[which];
        let now = host.clock.now(self.now);
        let machine = &mut host.machine;
        let input = match arrived {
            Arrived::LinkUp { conn } => {
                host.conn = conn;
                Input::LinkUp { address: link::ADDRESS, session: conn }
            }
            Arrived::LinkData { conn, bytes } => {
                if host.conn != conn {
                    return None;
                }
                return Some(machine.input(now, Input::LinkMessage { bytes: &bytes }));
            }
            Arrived::LinkLost { conn } => {
                if host.conn != conn {
                    return None;
                }
                host.conn = 0;
                Input::LinkDown { reason: "the connection was reset".into() }
            }
            Arrived::Accept { conn, read_port } => {
                host.conns.insert(conn);
                return Some(machine.accept(now, conn, read_port));
            }
            Arrived::Bytes { conn, bytes } => {
                if !host.conns.contains(&conn) {
                    return None;
                }
                return Some(machine.input(now, Input::Received { conn, bytes: &bytes }));
            }
            Arrived::Hangup { conn } => {
                if !host.conns.remove(&conn) {
                    return None;
                }
                Input::Closed { conn }
            }
            Arrived::Mediator(event) => Input::Mediator(*event),
            Arrived::Died(boot) => Input::PeerDied(boot),
            Arrived::Testified(testimony) => Input::PeerTestified(testimony),
            Arrived::Seen(seen) => Input::Unaided(seen),
            Arrived::Frame { line, mut bytes } => {
                let heard = host.conversations.get_mut(line)?.receive(now.mono, &mut bytes).heard;
                // A frame brings one report at the most.
                let heard = heard.first()?;
                let tandem_channel::Heard { channel, asked, round_trip, vitals } = *heard;
                Input::Unaided(tandem_switch::Input::ChannelHeard {
                    channel,
                    asked,
                    round_trip,
                    vitals,
                })
            }
            Arrived::Judge(_) => return None,
            Arrived::Admin(request) => {
                host.next_admin += 1;
                Input::Admin { id: AdminId(host.next_admin), request }
            }
            Arrived::Shutdown => Input::Shutdown,
            Arrived::WorkDone => {
                host.busy = false;
                let broken = std::mem::take(&mut host.breaks);
                return Some(machine.end_work(now, broken));
            }
            Arrived::Room => {
                host.busy = false;
                return Some(machine.look_for_room(now));
            }
            Arrived::Tick => Input::Tick,
        };
        Some(machine.input(now, input))
    }

    /// What left a node goes on its way.
    fn take(&mut self, which: usize, before: Option<u64>, boot: Option<BootId>, left: Left) {
        let after = self.hosts[which].machine.node.as_ref().and_then(serving);
        for text in &left.events {
            self.tally.event(text);
            self.trace.note(self.now, format_args!("{which}: {text}"));
            if text.starts_with("decided: taking over") {
                self.decides_to_take_over(which);
            }
            self.says_of_silence(which, text);
            self.says_of_exchange(which, text);
            self.says_of_loss(which, text);
        }
        if before != after {
            self.trace.note(self.now, format_args!("{which}: serves {before:?} -> {after:?}"));
            self.ambush();
            let other = self.hosts[1 - which].machine.node.as_ref().and_then(serving);
            if after.is_some() && other.is_some() && !self.plan.both_write() {
                self.tally.rivals += 1;
            }
            if after.is_some() && self.plan.is_unaided() {
                self.watch.reigns(self.now, which);
            }
        }
        for bytes in left.link {
            self.send(which, bytes);
        }
        for (conn, bytes) in left.clients {
            self.released(which, after.or(before), conn, &bytes);
        }
        for conn in left.closed {
            self.hosts[which].conns.remove(&conn);
            self.drop_player(which, conn);
            self.closes_to_prober(which, conn);
        }
        for request in left.mediator {
            self.ask_mediator(which, request);
        }
        for (_, reply) in left.admin {
            self.trace.note(self.now, format_args!("{which} answers {reply:?}"));
        }
        if left.fence {
            self.fence(which);
        }
        if left.drop_link {
            self.hang_up(which);
        }
        let now = self.now;
        let host = &mut self.hosts[which];
        let holds = host.machine.node.as_ref().is_some_and(|it| it.core().view.hold_writes);
        host.holds_since = if holds { host.holds_since.or(Some(now)) } else { None };
        if host.machine.node.is_none() {
            self.process_ended(which);
        } else if host.machine.boot_id() != boot {
            self.rebooted(which);
        }
        self.set_to_work(which);
        self.plan_wake(which);
    }

    /// Whether durability is all that may be asked for. No right of a pair without a mediator rests on a clock.
    fn clocks_are_bad(&self) -> bool {
        self.plan.clocks == Clocks::Bad && self.plan.has_mediator()
    }
}

/// The reign a node serves.
fn serving(node: &tandem_node::Node) -> Option<u64> {
    let view = &node.core().view;
    (view.role == Role::Primary).then(|| view.epoch.get())
}
