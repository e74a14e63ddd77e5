//! Time, the link and the clients between two machines.

use std::collections::VecDeque;
use std::net::SocketAddr;

use tandem_admin::{AdminReply, AdminRequest, PromoteRequest, RoleName, SoloRequest, StatusView};
use tandem_node::{Acknowledge, AdminId, ConnId, Input, Topology};
use tandem_resp::{ReplyParser, Value, write_request};
use tandem_types::{Monotonic, NodeId, Now, WallMillis};

use crate::client::Client;
use crate::machine::{Left, Machine};
use crate::{Random, settings};

/// Nanoseconds of a millisecond.
const MS: u64 = 1_000_000;
/// The place of the connection beside the clients'.
const PROBE_PLACE: u32 = 1_000;
/// How long a connection that was refused or lost is not tried again, in milliseconds.
const RECONNECT_MS: u64 = 50;

/// Two machines, a link, clients; everything moves by [`World::run_for`].
#[derive(Debug)]
pub struct World {
    machines: Vec<Machine>,
    random: Random,
    nanos: u64,
    link: Option<Link>,
    link_cut: bool,
    link_not_before: u64,
    sessions: u64,
    clients: Vec<Client>,
    /// Clients that stopped, for the audit.
    audit: Vec<Client>,
    next_conn: u32,
    next_admin: u64,
    /// A connection beside the clients'.
    probe: Option<(ConnId, ReplyParser)>,
    replies: Vec<(AdminId, AdminReply)>,
    /// What happened, for people who look at a failure.
    pub trace: Vec<String>,
}

/// Messages under way, each with the time it arrives: per direction in order.
#[derive(Debug, Default)]
struct Link {
    to: [VecDeque<(u64, Vec<u8>)>; 2],
}

impl World {
    /// Two machines with empty disks, switched off.
    pub fn new(seed: u64, acknowledge: Acknowledge, topology: Topology, clients: usize) -> Self {
        let mut random = Random::new(seed);
        let machine =
            |node, seed| Machine::new(settings(node, acknowledge, topology), seed, 32 << 10);
        Self {
            machines: vec![machine(NodeId::A, random.next()), machine(NodeId::B, random.next())],
            random,
            nanos: 1_000 * MS,
            link: None,
            link_cut: false,
            link_not_before: 0,
            sessions: 0,
            clients: (0..clients).map(Client::new).collect(),
            audit: Vec::new(),
            next_conn: 0,
            next_admin: 0,
            probe: None,
            replies: Vec::new(),
            trace: Vec::new(),
        }
    }

    /// The time now.
    pub const fn now(&self) -> Now {
        let wall = WallMillis::new(1_700_000_000_000 + self.nanos / MS);
        Now { mono: Monotonic::from_nanos(self.nanos), wall }
    }

    /// The random numbers of this run.
    pub const fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// A machine.
    pub fn machine(&self, which: usize) -> &Machine {
        &self.machines[which]
    }

    /// A machine, to be tampered with.
    pub fn machine_mut(&mut self, which: usize) -> &mut Machine {
        &mut self.machines[which]
    }

    /// Switches a node on.
    pub fn start(&mut self, which: usize) {
        let seed = self.random.next();
        let now = self.now();
        self.note(format!("start {which}"));
        self.machines[which].start(now, seed);
    }

    /// Kills a node's process.
    pub fn kill(&mut self, which: usize) {
        self.note(format!("kill {which}"));
        self.machines[which].kill();
        self.lose_link();
        self.lose_clients(which);
    }

    /// Cuts the power of a machine: what was not synced may be gone.
    pub fn power_cut(&mut self, which: usize) {
        self.note(format!("power cut {which}"));
        self.machines[which].kill();
        self.machines[which].disk.crash(tandem_disk::Keep::Random { chance: 50 });
        self.lose_link();
        self.lose_clients(which);
    }

    /// Cuts the link, or lets it be made again.
    pub fn cut_link(&mut self, cut: bool) {
        self.note(format!("link cut: {cut}"));
        self.link_cut = cut;
        if cut {
            self.lose_link();
        }
    }

    fn note(&mut self, text: impl std::fmt::Display) {
        let (seconds, millis) = (self.nanos / (1_000 * MS), self.nanos / MS % 1_000);
        self.trace.push(format!("{seconds:>5}.{millis:03} {text}"));
    }

    fn lose_link(&mut self) {
        if self.link.take().is_some() {
            for which in 0..2 {
                self.give(which, Input::LinkDown { reason: "the connection was reset".into() });
            }
        }
        self.link_not_before = self.nanos + RECONNECT_MS * MS;
    }

    fn lose_clients(&mut self, which: usize) {
        for client in &mut self.clients {
            if client.at.is_some_and(|(at, _)| at == which) {
                client.closed();
            }
        }
    }

    fn give(&mut self, which: usize, input: Input<'_>) {
        let now = self.now();
        let left = self.machines[which].input(now, input);
        self.take(which, left);
    }

    /// What left a machine goes on its way.
    fn take(&mut self, which: usize, left: Left) {
        for event in left.events {
            self.note(format!("{which}: {event}"));
        }
        for bytes in left.link {
            let delay = MS / 10 + self.random.below(2 * MS);
            if let Some(link) = &mut self.link {
                let queue = &mut link.to[1 - which];
                let at = (self.nanos + delay).max(queue.back().map_or(0, |(at, _)| *at));
                queue.push_back((at, bytes));
            }
        }
        for (conn, bytes) in left.clients {
            if let Some((probe, parser)) = &mut self.probe
                && *probe == conn
            {
                parser.feed(&bytes);
                continue;
            }
            if let Some(client) = self.clients.iter_mut().find(|it| it.at == Some((which, conn))) {
                client.received(&bytes);
            }
        }
        for conn in left.closed {
            if let Some(client) = self.clients.iter_mut().find(|it| it.at == Some((which, conn))) {
                client.closed();
            }
        }
        self.replies.extend(left.admin);
        if left.drop_link {
            self.lose_link();
        }
        if let Some(stopped) = self.machines[which].stopped.clone()
            && self.machines[which].node.is_none()
            && self.clients.iter().any(|it| it.at.is_some_and(|(at, _)| at == which))
        {
            self.note(format!("{which} stopped: {stopped:?}"));
            self.lose_clients(which);
        }
    }

    /// Lets time pass in small, uneven steps.
    pub fn run_for(&mut self, millis: u64) {
        let end = self.nanos + millis * MS;
        while self.nanos < end {
            self.nanos += 1 + self.random.below(2 * MS);
            self.connect_link();
            self.deliver();
            self.drive_clients();
            let now = self.now();
            for which in 0..2 {
                let due = self.machines[which].node.as_ref().and_then(tandem_node::Node::deadline);
                if due.is_some_and(|due| due <= now.mono) {
                    let left = self.machines[which].tick(now);
                    self.take(which, left);
                }
            }
        }
    }

    /// Lets time pass until something holds, for at most `millis`; tells whether it does.
    pub fn run_until(&mut self, millis: u64, mut holds: impl FnMut(&mut Self) -> bool) -> bool {
        for _ in 0..millis / 10 {
            if holds(self) {
                return true;
            }
            self.run_for(10);
        }
        holds(self)
    }

    fn connect_link(&mut self) {
        let up = self.machines.iter().all(|machine| machine.node.is_some());
        if self.link.is_some() || self.link_cut || !up || self.nanos < self.link_not_before {
            return;
        }
        self.link = Some(Link::default());
        self.sessions += 1;
        let session = self.sessions;
        for which in 0..2 {
            let address = SocketAddr::from(([10, 0, 0, 1], 7379));
            self.give(which, Input::LinkUp { address, session });
        }
    }

    fn deliver(&mut self) {
        for which in 0..2 {
            while let Some(link) = &mut self.link {
                let due = link.to[which].front().is_some_and(|(at, _)| *at <= self.nanos);
                let Some((_, bytes)) = due.then(|| link.to[which].pop_front()).flatten() else {
                    break;
                };
                self.give(which, Input::LinkMessage { bytes: &bytes });
            }
        }
    }

    fn drive_clients(&mut self) {
        for index in 0..self.clients.len() {
            if self.clients[index].is_waiting() || !self.random.once_in(4) {
                continue;
            }
            let refused = self.clients[index].sent_error.take().is_some();
            if refused && let Some((which, conn)) = self.clients[index].at.take() {
                self.give(which, Input::Closed { conn });
                self.clients[index].closed();
                // The other one may be the primary.
                self.connect(index, 1 - which);
                continue;
            }
            match self.clients[index].at {
                None => {
                    let which = usize::from(self.random.once_in(2));
                    self.connect(index, which);
                }
                Some((which, conn)) => {
                    let bytes = self.clients[index].next_request();
                    self.give(which, Input::Received { conn, bytes: &bytes });
                }
            }
        }
    }

    fn connect(&mut self, index: usize, which: usize) {
        if self.machines[which].node.is_none() {
            return;
        }
        self.next_conn += 1;
        let conn = ConnId::new(u32::try_from(index).unwrap_or(0), self.next_conn);
        self.clients[index].at = Some((which, conn));
        let now = self.now();
        let left = self.machines[which].connect(now, conn);
        self.take(which, left);
    }

    /// Asks a node as an operator would; `None`: no answer within five seconds.
    pub fn ask(&mut self, which: usize, request: AdminRequest) -> Option<AdminReply> {
        self.next_admin += 1;
        let id = AdminId(self.next_admin);
        let now = self.now();
        let left = self.machines[which].admin(now, id, request);
        self.take(which, left);
        for _ in 0..500 {
            if let Some(at) = self.replies.iter().position(|(answered, _)| *answered == id) {
                return Some(self.replies.swap_remove(at).1);
            }
            self.run_for(10);
        }
        None
    }

    /// How a node sees the pair.
    pub fn status(&mut self, which: usize) -> Option<StatusView> {
        self.machines[which].node.as_ref()?;
        match self.ask(which, AdminRequest::Status)? {
            AdminReply::Status(view) => Some(*view),
            other => panic!("status was answered with {other:?}"),
        }
    }

    /// `tandem promote`.
    pub fn promote(&mut self, which: usize, force: bool) -> Option<AdminReply> {
        self.note(format!("promote {which}, force: {force}"));
        self.ask(which, AdminRequest::Promote(PromoteRequest { force, accept_loss: None }))
    }

    /// `tandem solo`.
    pub fn solo(&mut self, which: usize) -> Option<AdminReply> {
        self.note(format!("solo {which}"));
        self.ask(which, AdminRequest::Solo(SoloRequest { force: true }))
    }

    /// The nodes that say they are primary.
    pub fn primaries(&mut self) -> Vec<usize> {
        (0..2)
            .filter(|which| self.status(*which).is_some_and(|view| view.role == RoleName::Primary))
            .collect()
    }

    /// Both nodes run, one is primary, and the other is in sync with it.
    pub fn is_whole(&mut self) -> bool {
        let (Some(a), Some(b)) = (self.status(0), self.status(1)) else { return false };
        (a.role == RoleName::Primary) != (b.role == RoleName::Primary) && a.in_sync && b.in_sync
    }

    /// [`Self::is_whole`], and nothing is under way: both have applied the same.
    pub fn is_quiet(&mut self) -> bool {
        let (Some(a), Some(b)) = (self.status(0), self.status(1)) else { return false };
        self.is_whole()
            && a.applied_lsn == b.applied_lsn
            && a.commit_lsn == b.commit_lsn
            && a.last_lsn == a.commit_lsn
    }

    /// Clients stop sending (those that wait go on waiting).
    pub fn stop_clients(&mut self) {
        for index in 0..self.clients.len() {
            if let Some((which, conn)) = self.clients[index].at {
                self.give(which, Input::Closed { conn });
            }
            self.clients[index].closed();
        }
        let clients = std::mem::take(&mut self.clients);
        self.stopped_clients(clients);
    }

    fn stopped_clients(&mut self, clients: Vec<Client>) {
        for client in &clients {
            self.trace.push(format!(
                "{}: acknowledged {}, sent {}",
                client.key,
                client.last_acknowledged(),
                client.last_sent()
            ));
        }
        self.audit = clients;
    }

    /// What the clients were promised against what `which` holds; empty if every promise was kept.
    pub fn broken_promises(&mut self, which: usize) -> Vec<String> {
        let mut broken = Vec::new();
        let promises: Vec<_> = self
            .audit
            .iter()
            .map(|client| (client.key.clone(), client.last_acknowledged(), client.last_sent()))
            .collect();
        for (key, acknowledged, sent) in promises {
            let found = match self.read(which, &[b"GET", key.as_bytes()]) {
                Some(Value::Null) => 0,
                Some(value) => value.as_str().and_then(|it| it.parse().ok()).unwrap_or(u64::MAX),
                None => u64::MAX,
            };
            if found < acknowledged || found > sent {
                broken.push(format!(
                    "{key}: found {found}, acknowledged {acknowledged}, sent {sent}"
                ));
            }
        }
        broken
    }

    /// Sends one command on a connection of its own; `None`: no answer within five seconds.
    pub fn read(&mut self, which: usize, words: &[&[u8]]) -> Option<Value> {
        self.machines[which].node.as_ref()?;
        self.next_conn += 1;
        let conn = ConnId::new(PROBE_PLACE, self.next_conn);
        self.probe = Some((conn, ReplyParser::new()));
        let now = self.now();
        let left = self.machines[which].connect(now, conn);
        self.take(which, left);
        let mut bytes = Vec::new();
        write_request(&mut bytes, words);
        self.give(which, Input::Received { conn, bytes: &bytes });
        let mut answer = None;
        for _ in 0..500 {
            answer = self.probe.as_mut().and_then(|(_, parser)| parser.next_reply().ok().flatten());
            if answer.is_some() {
                break;
            }
            self.run_for(10);
        }
        self.probe = None;
        self.give(which, Input::Closed { conn });
        answer
    }

    /// Writes that were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        let all = self.clients.iter().chain(&self.audit);
        let acknowledged = |it: &crate::Write| it.outcome == crate::Outcome::Acknowledged;
        all.map(|client| client.writes.iter().filter(|write| acknowledged(write)).count()).sum()
    }

    /// Whether both nodes hold the same.
    pub fn digests_agree(&self) -> bool {
        let digest =
            |machine: &Machine| machine.node.as_ref().map(|node| node.core().store.digest_all());
        digest(&self.machines[0]) == digest(&self.machines[1])
    }
}
