//! What people ask of the node, by HTTP, command line or a client connection.

use tandem_admin::{AddressState, AdminReply, AdminRequest, BackupView, DoneView, RefusedView};
use tandem_switch::{AddressHint, Gap, Input, Refusal, RefusalKind, Request, Ticket};
use tandem_types::{Lsn, NodeId};

use super::Node;
use crate::operator::{Operation, Wish};
use crate::{AdminId, ConnId, LogCommand, Output, Severity};

/// Who waits for the switch's answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// An operator by HTTP or command line.
    Admin(AdminId),
    /// A client connection.
    Client(ConnId),
    /// Nobody: the process is asked to end.
    Shutdown,
    /// Nobody: the node asks by itself.
    Nobody,
}

/// Backups that wait for a snapshot, and the log they need kept.
#[derive(Debug, Default)]
pub(super) struct Backups {
    waiting: Vec<AdminId>,
    held: Vec<(u64, Lsn)>,
    next: u64,
}

impl Node {
    /// Does what sessions asked for while they ran.
    pub(super) fn carry_out_operations(&mut self) {
        while let Some(operation) = self.core.operations.pop_front() {
            match operation {
                Operation::Verify { conn, repair } => self.verify(Asker::Client(conn), repair),
                Operation::Wish { conn, wish } => self.ask(Asker::Client(conn), wish),
                Operation::Conflicts { conn, request } => {
                    self.ask_conflicts(Asker::Client(conn), &request);
                }
                Operation::Forward { conn, db, proto, command } => {
                    self.forward(conn, db, proto, command);
                }
                Operation::Say { severity, text } => self.event(severity, text),
                Operation::VerifyWriters { conn } => self.verify_writers(conn),
                Operation::Forget { conn, incarnation, rights } => {
                    self.forget_peer(conn, &incarnation, rights);
                }
                Operation::Salvage { conn, apply } => self.salvage(conn, apply),
                Operation::ReadConflicts { conn, filter } => self.read_conflicts(conn, filter),
                Operation::RecallConflict { conn, id } => self.recall_conflict(conn, id),
                Operation::Publish { channel, payload } => {
                    self.send(&tandem_replication::Message::Publish {
                        channel: channel.into(),
                        payload: payload.into(),
                    });
                }
            }
        }
    }

    pub(super) fn admin(&mut self, id: AdminId, request: &AdminRequest) {
        let reply = match request {
            AdminRequest::Status => AdminReply::Status(Box::new(self.status_view())),
            AdminRequest::History => AdminReply::History(self.history_view()),
            AdminRequest::Why => AdminReply::Why(self.why_view()),
            AdminRequest::Metrics => AdminReply::Metrics(self.metrics_view()),
            AdminRequest::Promote(promote) => {
                let accept_loss = promote.accept_loss.unwrap_or(0);
                return self
                    .ask(Asker::Admin(id), Wish::Promote { accept_loss, force: promote.force });
            }
            AdminRequest::Solo(solo) => {
                return self.ask(Asker::Admin(id), Wish::Solo { force: solo.force });
            }
            AdminRequest::Backup => return self.backup(id),
            AdminRequest::BackupEnd { id: backup } => {
                self.backups.held.retain(|(held, _)| held != backup);
                self.retain_log();
                AdminReply::done("the log may be trimmed again")
            }
            AdminRequest::Switch(switch) => match self.node_named(switch.to.as_deref()) {
                Ok(to) => return self.ask(Asker::Admin(id), Wish::Switch { to }),
                Err(refused) => AdminReply::Refused(refused),
            },
            AdminRequest::Confirm => return self.ask(Asker::Admin(id), Wish::Confirm),
            AdminRequest::Reject => return self.ask(Asker::Admin(id), Wish::Reject),
            AdminRequest::Address(moved) => self.address_said(moved.state),
            AdminRequest::Pause => return self.ask(Asker::Admin(id), Wish::Pause),
            AdminRequest::Resume => return self.ask(Asker::Admin(id), Wish::Resume),
            AdminRequest::Verify(verify) => return self.verify(Asker::Admin(id), verify.repair),
            AdminRequest::Conflicts(request) => {
                return self.ask_conflicts(Asker::Admin(id), request);
            }
            AdminRequest::Shutdown => {
                self.core
                    .out
                    .push(Output::AdminReply { id, reply: AdminReply::done("shutting down") });
                return self.shutdown();
            }
        };
        self.core.out.push(Output::AdminReply { id, reply });
    }

    /// keepalived on this machine says where the virtual address is.
    fn address_said(&mut self, state: AddressState) -> AdminReply {
        let hint = match state {
            AddressState::Master => AddressHint::Here,
            AddressState::Backup => AddressHint::Elsewhere,
            AddressState::Fault => AddressHint::Fault,
            AddressState::Stop => AddressHint::Stopped,
        };
        self.event(Severity::Note, format!("keepalived says {}", hint.words()));
        self.switch_step(Input::Address(hint));
        match self.switch.address(self.core.now.mono) {
            Some((_, true)) => AdminReply::done("the address may be here"),
            Some((_, false)) => AdminReply::done("the address may not be here: the check fails"),
            None => AdminReply::refused(
                "the hint is not used",
                "this pair does not go by keepalived",
                "set `switch.by = \"mediator\"` and `switch.mediator.kind = \"keepalived\"`",
            ),
        }
    }

    /// The node that a person means; nobody named is nobody.
    fn node_named(&self, name: Option<&str>) -> Result<Option<NodeId>, RefusedView> {
        let Some(name) = name else { return Ok(None) };
        let names = &self.core.settings.names;
        match [NodeId::A, NodeId::B].into_iter().find(|&node| names[node] == name) {
            Some(node) => Ok(Some(node)),
            None => Err(RefusedView {
                what: "nothing was changed".into(),
                why: format!("there is no node {name:?}"),
                todo: format!("the nodes are {} and {}", names.a, names.b),
                ..RefusedView::default()
            }),
        }
    }

    fn ask(&mut self, asker: Asker, wish: Wish) {
        let request = match wish {
            Wish::Promote { accept_loss, force } => Request::Promote { accept_loss, force },
            Wish::Solo { force } => Request::Solo { force },
            Wish::Switch { to } => Request::Switch { to },
            Wish::Confirm => Request::Confirm,
            Wish::Reject => Request::Reject,
            Wish::Pause => Request::Pause,
            Wish::Resume => Request::Resume,
        };
        self.event(Severity::Note, format!("asked: {wish:?}"));
        self.ask_switch(asker, request);
    }

    pub(super) fn ask_switch(&mut self, asker: Asker, request: Request) {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.asked.insert(ticket, asker);
        self.switch_step(Input::Ask { ticket, request });
    }

    /// The switch answers a person.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: Result<String, Refusal>) {
        let Some(asker) = self.asked.remove(&ticket) else { return };
        match asker {
            Asker::Client(conn) => {
                let refused = |refusal: &Refusal| format!("ERR {}", refusal.text);
                match answer.as_deref().map_err(refused) {
                    Ok(line) => self.clients.answer(&mut self.core, conn, Ok(line)),
                    Err(line) => self.clients.answer(&mut self.core, conn, Err(&line)),
                }
            }
            Asker::Admin(id) => {
                let reply = match answer {
                    Ok(message) => AdminReply::Done(DoneView {
                        message,
                        epoch: Some(self.core.view.epoch.get()),
                        records_lost: None,
                    }),
                    Err(refusal) => AdminReply::Refused(self.refused_view(refusal)),
                };
                self.core.out.push(Output::AdminReply { id, reply });
            }
            Asker::Nobody => {
                let text = answer.unwrap_or_else(|refusal| refusal.text);
                self.event(Severity::Note, text);
            }
            Asker::Shutdown => {
                let text = match answer {
                    Ok(text) => text,
                    Err(refusal) => refusal.text,
                };
                self.event(Severity::Note, format!("stopping: {text}"));
                let peer = self.core.settings.node.peer();
                if self.clients.lingers() && self.switch.primary() == Some(peer) {
                    // Whoever is connected here is served through this node until there was time to move.
                    self.exits_after_linger = true;
                    self.clients.new_primary_serves(&mut self.core);
                    self.carry_out_operations();
                } else {
                    self.exit_in_order();
                }
            }
        }
    }

    fn refused_view(&self, refusal: Refusal) -> RefusedView {
        let records_lost = match refusal.kind {
            RefusalKind::Unsafe(Gap::Zero) => Some(0),
            RefusalKind::Unsafe(Gap::AtLeast { records, .. }) => Some(records),
            _ => None,
        };
        RefusedView {
            what: "nothing was changed".into(),
            why: refusal.text,
            todo: "see tandem why".into(),
            records_lost,
            last_contact_ms: self.last_heard_ms(),
        }
    }

    /// Ends in good order: a standby resigns first, so that the primary may go on alone at once.
    pub(super) fn shutdown(&mut self) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        self.event(Severity::Note, "asked to stop".into());
        self.ask_switch(Asker::Shutdown, Request::Stop);
    }

    /// The clients had their time to move, or are gone.
    pub(super) fn tend_exit(&mut self) {
        if self.exits_after_linger && !(self.clients.lingers() && self.link.is_up()) {
            self.exits_after_linger = false;
            self.core.out.push(Output::Mediator(tandem_switch::MediatorRequest::Leave));
            self.exit_in_order();
        }
    }

    fn exit_in_order(&mut self) {
        self.hand_over_batches();
        self.clients.demoted(&mut self.core);
        self.drop_link(tandem_replication::message::NoticeCode::Stopping, "the node stops");
        self.core.out.push(Output::Log(LogCommand::Sync));
        self.core.out.push(Output::Exit { status: 0, reason: "asked to stop".into() });
    }

    /// Takes a snapshot now; answered when it is on disk.
    fn backup(&mut self, id: AdminId) {
        let writer = self.core.writer.as_ref();
        if writer.is_some_and(|writer| writer.given_up.is_some() || writer.is_restored()) {
            let reply = AdminReply::refused(
                "no backup was made",
                "this node is not part of the pair: it was given up, or restored and not taken up",
                "ask the other node",
            );
            return self.core.out.push(Output::AdminReply { id, reply });
        }
        let leaving = self.is_one_of_two() && !self.may_save_as_writer();
        if leaving || !self.data_is_whole() || self.history.last().is_none() {
            let reply = AdminReply::refused(
                "no backup was made",
                "this node has no whole data set yet",
                "ask the other node, or wait until this one has caught up",
            );
            return self.core.out.push(Output::AdminReply { id, reply });
        }
        self.backups.waiting.push(id);
        self.snapshot_wanted = true;
    }

    /// A snapshot is on disk: those who waited may copy it and the log from its start on.
    pub(super) fn answer_backups(&mut self, snapshot: &str, start: Lsn) {
        for id in std::mem::take(&mut self.backups.waiting) {
            self.backups.next += 1;
            let backup = self.backups.next;
            self.backups.held.push((backup, start));
            let view = BackupView {
                id: backup,
                generation: crate::generation_name(self.generation),
                snapshot: snapshot.to_owned(),
                log_from: start.get(),
                log_end: self.core.positions.durable_end.get(),
            };
            self.core.out.push(Output::AdminReply { id, reply: AdminReply::Backup(view) });
        }
    }

    pub(super) fn fail_backups(&mut self, message: &str) {
        for id in std::mem::take(&mut self.backups.waiting) {
            let reply =
                AdminReply::refused("no backup was made", message, "free space, then try again");
            self.core.out.push(Output::AdminReply { id, reply });
        }
    }

    /// Lets the log thread remove segments that nobody needs.
    pub(super) fn retain_log(&mut self) {
        let needed = self
            .backups
            .held
            .iter()
            .map(|(_, start)| *start)
            .chain([self.snapshot_start])
            .min()
            .unwrap_or(Lsn::ZERO);
        let by_peer = self.peer_needs_log_from();
        let log_end = self.core.positions.appended_end;
        if let Some(writer) = &mut self.core.writer {
            writer.waits = by_peer < needed;
            writer.places.mark(log_end);
        }
        let needed = needed.min(by_peer);
        self.core.out.push(Output::Log(LogCommand::Retain { needed_from: needed }));
    }
}
