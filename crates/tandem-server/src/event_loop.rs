//! The data thread: one turn after another of wait, read, step, write.
//!
//! ```text
//! wait for events (until the next deadline)
//!   mail from other threads, the link          first: a flood of clients never delays them
//!   accept, read clients within the budget     each read is one Input::Received
//!   timers
//!   Input::EndOfTurn                           the node hands out the turn's log batch, opens the gate
//!   carry out the outputs: log, link, ...      one message to the log thread per turn
//!   write to the link, then to clients         one write per client and turn
//! ```
//!
//! Invariant: nothing here blocks but the wait: no disk, no lock, no name lookup.

mod certificate;
mod outputs;

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Token};
use tandem_admin::AdminReply;
use tandem_node::{AdminId, ConnId, Input, Output, Secret};
use tandem_types::{Monotonic, Now};
use tokio::sync::oneshot;

use crate::boot::{AfterStop, Boot, Booted};
use crate::brain::Brain;
use crate::clients::{Clients, Turn};
use crate::edges::{Attached, Edges};
use crate::inbox::{Inbox, Mail, Outbox};
use crate::link::Link;
use crate::loading::Loading;
use crate::net::tls::Tls;
use crate::workers::Workers;
use crate::{Exit, RunError, TurnClock, clock};

/// Events taken from the system at once.
const EVENTS_MAX: usize = 1024;

/// How often the process' memory and processor time are looked at.
const FACTS_EVERY: Duration = Duration::from_secs(1);

/// Tokens whose upper half is this are the loop's own; no connection's id has it.
const OWN: u64 = (u32::MAX as u64) << 32;
/// Mail is there.
const MAIL: u64 = OWN;
/// Clients' listeners: [`OWN`] + this and above, up to the link's.
const ENTRANCE_FIRST: u64 = 1 << 8;
/// The link's listener and sockets: [`OWN`] + this and above.
const LINK_FIRST: u64 = 1 << 16;
/// Tokens of the link: its sockets are numbered for ever, and strangers can make many in a second.
pub(crate) const LINK_TOKENS: u64 = 1 << 30;

/// The data thread's whole state.
pub(crate) struct EventLoop {
    poll: Poll,
    events: Events,
    inbox: Inbox,
    outbox: Outbox,
    brain: Box<dyn Brain>,
    out: Vec<Output>,
    clients: Clients,
    link: Link,
    tls: Option<Tls>,
    certificates_at: Monotonic,
    certificate_told: certificate::Told,
    facts_at: Monotonic,
    /// The longest turn since the last look at the process: what came meanwhile had to wait.
    slowest_turn: Duration,
    boot: Arc<dyn Boot>,
    /// Number of the boot whose workers run.
    life: u32,
    /// `None` while the data is loaded.
    workers: Option<Workers>,
    asked: BTreeMap<AdminId, oneshot::Sender<AdminReply>>,
    asked_count: u64,
    shutdown_wanted: bool,
    edges: Attached,
    /// A drill: no link before this.
    isolated_until: Option<Monotonic>,
    turns: TurnClock,
    /// What clients must know, also while the data is loaded.
    password: Option<Secret>,
}

/// What an event loop is made of.
pub(crate) struct Parts {
    /// Waits for all sockets.
    pub poll: Poll,
    /// Mail to this thread.
    pub inbox: Inbox,
    /// The way to write to itself, for workers.
    pub outbox: Outbox,
    /// Clients' sockets.
    pub clients: Clients,
    /// The peer.
    pub link: Link,
    /// The certificate.
    pub tls: Option<Tls>,
    /// How to read the data back.
    pub boot: Arc<dyn Boot>,
    /// Tells other threads of long turns.
    pub turns: TurnClock,
    /// What clients must know.
    pub password: Option<Secret>,
}

/// Token of the bell.
pub(crate) const fn mail_token() -> Token {
    own(MAIL)
}

/// Token of the `index`-th of the link's sockets; those that live at a time are far fewer than
/// [`LINK_TOKENS`].
pub(crate) const fn link_token(index: u64) -> Token {
    own(OWN + LINK_FIRST + index % LINK_TOKENS)
}

/// Token of the `index`-th client listener.
pub(crate) const fn entrance_token(index: u64) -> Token {
    own(OWN + ENTRANCE_FIRST + index)
}

#[expect(clippy::cast_possible_truncation, reason = "usize is 64 bits: asserted in clients.rs")]
const fn own(token: u64) -> Token {
    Token(token as usize)
}

impl EventLoop {
    /// Ready to run; the data is not loaded yet.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { poll, inbox, outbox, clients, link, tls, boot, turns, password } = parts;
        Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            inbox,
            outbox,
            brain: Box::new(Loading::new(password.clone())),
            out: Vec::new(),
            clients,
            link,
            tls,
            certificates_at: clock::monotonic().plus(certificate::LOOK_EVERY),
            certificate_told: certificate::Told::default(),
            facts_at: Monotonic::ZERO,
            slowest_turn: Duration::ZERO,
            boot,
            life: 0,
            workers: None,
            asked: BTreeMap::new(),
            asked_count: 0,
            shutdown_wanted: false,
            edges: Attached::default(),
            isolated_until: None,
            turns,
            password,
        }
    }

    /// What it acts on besides sockets and its disk.
    pub(crate) fn attach(&mut self, edges: Edges) {
        self.edges = Attached::new(edges);
    }

    /// Runs until the node ends.
    ///
    /// # Errors
    /// The data cannot be loaded, the node gave up, or the system refuses to wait for events.
    pub(crate) fn run(mut self) -> Result<Exit, RunError> {
        self.watch_certificate(clock::now());
        self.start_boot(None, AfterStop::Nothing);
        loop {
            if let ControlFlow::Break(end) = self.turn() {
                return end;
            }
        }
    }

    fn turn(&mut self) -> ControlFlow<Result<Exit, RunError>> {
        if let Err(error) = self.wait() {
            return ControlFlow::Break(Err(RunError::Wait(error)));
        }
        let now = clock::now();
        self.turns.begin(now.mono);
        self.take_events();
        self.take_mail(now)?;
        self.link.turn(now, self.brain.as_mut(), &mut self.out, self.tls.as_ref());
        let (clients, mut turn) = self.clients_turn(now);
        clients.accept(&mut turn);
        clients.read(&mut turn);
        clients.expire(&mut turn);
        self.timers(now);
        // Read again: what was decided at the start of a long turn may have run out since (R6).
        let begun = now.mono;
        let now = clock::now();
        self.slowest_turn = self.slowest_turn.max(now.mono.since(begun));
        self.clients.carried_out(now.mono);
        self.step(now, Input::EndOfTurn);
        self.carry_out(now)?;
        self.link.write();
        self.clients.write(self.brain.as_mut());
        let brain = self.brain.as_ref();
        self.edges.report(now.mono, || brain.vitals());
        let identity = self.brain.identity();
        self.edges.beat(now.mono, || identity.boot_id());
        self.turns.end();
        ControlFlow::Continue(())
    }

    fn step(&mut self, now: Now, input: Input<'_>) {
        self.brain.step(now, input, &mut self.out);
    }

    fn clients_turn(&mut self, now: Now) -> (&mut Clients, Turn<'_>) {
        let turn =
            Turn { now, brain: self.brain.as_mut(), out: &mut self.out, tls: self.tls.as_ref() };
        (&mut self.clients, turn)
    }

    fn wait(&mut self) -> io::Result<()> {
        let timeout = self.timeout();
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            done => done,
        }
    }

    /// Until something is due; the system rounds up to milliseconds.
    fn timeout(&self) -> Option<Duration> {
        if self.clients.is_busy()
            || self.link.is_busy()
            || self.brain.wants_turn()
            || !self.out.is_empty()
        {
            return Some(Duration::ZERO);
        }
        let certificates = self.tls.is_some().then_some(self.certificates_at);
        let due = [
            self.brain.deadline(),
            self.clients.deadline(),
            self.link.deadline(),
            self.edges.deadline(),
            self.isolated_until,
            certificates,
        ];
        let first = due.into_iter().flatten().min()?;
        Some(first.since(clock::monotonic()))
    }

    fn take_events(&mut self) {
        for event in &self.events {
            let token = event.token().0 as u64;
            match token.checked_sub(OWN) {
                None => self.clients.event(conn_of(token), event),
                Some(own) if own >= LINK_FIRST => self.link.event(own - LINK_FIRST, event),
                Some(own) if own >= ENTRANCE_FIRST => {
                    let index = usize::try_from(own - ENTRANCE_FIRST).unwrap_or(usize::MAX);
                    self.clients.someone_waits(index);
                }
                Some(_) => {} // the bell: mail is looked for in every turn
            }
        }
    }

    fn take_mail(&mut self, now: Now) -> ControlFlow<Result<Exit, RunError>> {
        self.inbox.hear();
        while let Some(mail) = self.inbox.take() {
            match mail {
                Mail::Worker { life, input } if life == self.life => self.step(now, input),
                Mail::Written { life, batches, progress } if life == self.life => {
                    for batch in batches {
                        self.brain.recycle(batch);
                    }
                    self.step(now, progress);
                }
                Mail::Worker { .. } | Mail::Written { .. } => {} // of a boot that is over
                Mail::PeerFound(found) => self.link.resolved(found, now.mono),
                Mail::Booted(booted) => self.serve(*booted, now)?,
                Mail::Admin { request, reply } => {
                    self.asked_count += 1;
                    let id = AdminId(self.asked_count);
                    self.asked.insert(id, reply);
                    self.step(now, Input::Admin { id, request });
                }
                Mail::Mediator(event) => {
                    self.edges.note(&event);
                    self.step(now, Input::Mediator(event));
                }
                Mail::Unaided(seen) => self.step(now, Input::Unaided(seen)),
                Mail::VirtualAddress { held, trouble } => {
                    self.step(now, Input::VirtualAddress { held, trouble });
                }
                Mail::Isolate(time) => self.isolate(time, now),
                Mail::Shutdown => {
                    self.shutdown_wanted = true;
                    self.step(now, Input::Shutdown);
                }
                Mail::ReloadCertificates => self.reload_certificates(true),
            }
        }
        ControlFlow::Continue(())
    }

    /// A drill: as if the cable to the peer were cut.
    fn isolate(&mut self, time: Duration, now: Now) {
        let reason = "a drill isolates this node";
        tracing::warn!("{reason} for {} ms", time.as_millis());
        self.isolated_until = Some(now.mono.plus(time));
        self.link.stop(reason, now);
        self.step(now, Input::LinkDown { reason: reason.to_owned() });
    }

    fn timers(&mut self, now: Now) {
        if self.isolated_until.is_some_and(|until| until <= now.mono) {
            self.isolated_until = None;
            if self.workers.is_some() {
                self.link.start(now.mono);
            }
        }
        if self.brain.deadline().is_some_and(|at| at <= now.mono) {
            self.step(now, Input::Tick);
        }
        // Not a deadline: an idle process uses what it used.
        if self.facts_at <= now.mono {
            self.facts_at = now.mono.plus(FACTS_EVERY);
            let waited = self.clients.waited(now.mono);
            self.brain.refresh_facts(std::mem::take(&mut self.slowest_turn), waited);
        }
        self.tend_certificate(now);
    }

    /// The data is loaded: the node takes over from its stand-in, with its clients.
    fn serve(&mut self, booted: Booted, now: Now) -> ControlFlow<Result<Exit, RunError>> {
        let (brain, workers) = match booted.outcome {
            Ok(ready) => ready,
            Err(error) => return ControlFlow::Break(Err(error)),
        };
        if booted.life != self.life {
            return ControlFlow::Continue(());
        }
        let mut stand_in = std::mem::replace(&mut self.brain, brain);
        self.workers = Some(workers);
        self.show_certificate();
        let (clients, mut turn) = self.clients_turn(now);
        clients.hand_over(stand_in.as_mut(), &mut turn);
        if self.isolated_until.is_none() {
            self.link.start(now.mono);
        }
        // What was said while the data was read went to the stand-in, which knows nothing of it.
        if let Some(up) = self.edges.mediator_up() {
            self.step(now, Input::Mediator(up));
        }
        if self.shutdown_wanted {
            self.step(now, Input::Shutdown);
        }
        ControlFlow::Continue(())
    }
}

fn conn_of(token: u64) -> ConnId {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of an id")]
    ConnId::new(token as u32, (token >> 32) as u32)
}

#[cfg(test)]
mod tests;
