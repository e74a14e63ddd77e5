//! Carries out what the node wants done.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;

use tandem_node::{Output, Severity};
use tandem_types::Now;

use super::EventLoop;
use crate::boot::{AfterStop, Booted};
use crate::brain::Brain;
use crate::inbox::Mail;
use crate::loading::Loading;
use crate::{Exit, RunError};

impl EventLoop {
    /// Carries out the outputs of this turn, in order.
    pub(super) fn carry_out(&mut self, now: Now) -> ControlFlow<Result<Exit, RunError>> {
        let mut out = std::mem::take(&mut self.out);
        for output in out.drain(..) {
            self.carry_out_one(output, now)?;
        }
        // Keeps the allocation; outputs of a reboot below go first.
        if self.out.is_empty() {
            self.out = out;
        }
        ControlFlow::Continue(())
    }

    fn carry_out_one(&mut self, output: Output, now: Now) -> ControlFlow<Result<Exit, RunError>> {
        match output {
            Output::Close { conn } => self.clients.close(conn, now.mono),
            Output::PauseReading { conn, paused } => self.clients.pause(conn, paused),
            Output::LinkSend(message) => self.link.send(&message),
            Output::LinkDrop { reason } => self.link.hang_up(&reason, now),
            Output::AdminReply { id, reply } => {
                if let Some(asker) = self.asked.remove(&id) {
                    // Whoever asked may have given up.
                    drop(asker.send(reply));
                }
            }
            Output::Event(event) => {
                match event.severity {
                    Severity::Note => tracing::info!("{}", event.text),
                    Severity::Warn => tracing::warn!("{}", event.text),
                    Severity::Error => tracing::error!("{}", event.text),
                }
                self.edges.tell_news();
            }
            Output::Mediator(request) => self.edges.ask_mediator(request),
            Output::Fence => self.edges.fence(),
            Output::VirtualAddress(wanted) => self.edges.want_address(wanted),
            Output::SaveFork(fork) => self.reboot(AfterStop::SaveFork(fork), now),
            Output::CutFork { to, id } => self.reboot(AfterStop::CutFork { to, id }, now),
            Output::Reboot { reason } => {
                tracing::warn!("starting again from disk: {reason}");
                self.reboot(AfterStop::Nothing, now);
            }
            Output::SetAside { reason, peer_has_all } => {
                tracing::warn!("the data is set aside and begun anew from the peer: {reason}");
                self.reboot(AfterStop::SetAside { reason, peer_has_all }, now);
            }
            Output::Exit { status, reason } => return ControlFlow::Break(self.end(status, reason)),
            other => {
                if let Some(workers) = &self.workers {
                    workers.give(other);
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Ends: the last replies leave, the log thread finishes what it was given.
    fn end(&mut self, status: u8, reason: String) -> Result<Exit, RunError> {
        self.link.write();
        self.clients.write(self.brain.as_mut());
        if let Some(workers) = self.workers.take() {
            workers.stop();
        }
        if status == 0 { Ok(Exit { reason }) } else { Err(RunError::GaveUp { status, reason }) }
    }

    /// Drops the node and reads the data back; listeners stay, clients go.
    fn reboot(&mut self, then: AfterStop, now: Now) {
        self.link.stop("this node starts again from disk", now);
        let (clients, mut turn) = self.clients_turn(now);
        clients.end_all(&mut turn);
        let node =
            std::mem::replace(&mut self.brain, Box::new(Loading::new(self.password.clone())));
        // Whoever asked sees that no answer comes.
        self.asked.clear();
        self.out.clear();
        self.life += 1;
        self.start_boot(Some(node), then);
    }

    /// Reads the data back on a thread of its own, after the workers of the boot before have ended.
    pub(super) fn start_boot(&mut self, old: Option<Box<dyn Brain>>, then: AfterStop) {
        let (boot, outbox, life) = (Arc::clone(&self.boot), self.outbox.clone(), self.life);
        let workers = self.workers.take();
        let work = move || {
            // A large key space takes a while to free.
            drop(old);
            if let Some(workers) = workers {
                workers.stop();
            }
            let outcome = boot.boot(life, then, &outbox);
            // The data thread may have ended meanwhile.
            outbox.send(Mail::Booted(Box::new(Booted { life, outcome }))).ok();
        };
        if let Err(error) = thread::Builder::new().name("boot".to_owned()).spawn(work) {
            let outcome = Err(RunError::Thread(error));
            let booted = Booted { life, outcome };
            self.outbox.send(Mail::Booted(Box::new(booted))).ok();
        }
    }
}
