//! The link to the peer: who speaks, liveness, and which brain each message is for.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use tandem_replication::message::{Formats, Grant, Heartbeat, Hello, Notice, NoticeCode, Status};
use tandem_replication::{Message, follower, heart, leader};
use tandem_switch::{PeerMessage, ReadRight};
use tandem_types::{Monotonic, PairId};

use super::Node;
use super::awaking::Awaking;
use crate::configuration;
use crate::planted::{NodeRule, holds};
use crate::{Output, Severity, SwitchBy};

/// What is known of the link and of the peer behind it.
#[derive(Debug, Default)]
pub(super) struct LinkState {
    /// Where the peer is; `None`: no link.
    pub(super) address: Option<SocketAddr>,
    /// When the peer must have said who it is: until then the heart does not beat.
    pub(super) hello_by: Option<Monotonic>,
    /// Why the peer was turned away last.
    pub(super) objection: Option<String>,
    /// The peer's `Hello` on this connection.
    pub(super) hello: Option<Hello>,
    /// What its last heartbeat said, also of a connection that is gone.
    pub(super) status: Option<Status>,
    /// Bytes that wait to be written.
    pub(super) backlog_bytes: usize,
    /// Bytes handed over for sending since the start.
    pub(super) sent_bytes: u64,
    /// Bytes of messages received since the start.
    pub(super) received_bytes: u64,
    /// Why the link is down or refused, for people.
    pub(super) trouble: Option<String>,
    /// Whether the peer is to be heard again after a pause.
    pub(super) awaking: Awaking,
}

impl LinkState {
    /// The peer has said who it is on this connection.
    pub(super) const fn is_up(&self) -> bool {
        self.address.is_some() && self.hello.is_some()
    }
}

/// The formats this program writes.
const FORMATS: Formats = Formats { log: 1, snapshot: tandem_snapshot::FORMAT_VERSION };

impl Node {
    pub(super) fn link_up(&mut self, address: SocketAddr, session: u64) {
        if self.link.address.is_some() {
            self.link_down("a newer connection took its place");
        }
        self.link.address = Some(address);
        self.link.hello_by = Some(self.core.now.mono.plus(self.core.settings.failure_timeout));
        self.link.backlog_bytes = 0;
        let hello = Hello {
            node: self.core.settings.node,
            pair_id: self.switch_state.pair_id,
            incarnation: self.switch_state.incarnation,
            boot: self.switch_state.boot,
            session,
            formats: FORMATS,
            config_digest: self.core.settings.config_digest,
            epoch_seen: self.switch_state.epoch_seen,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            configuration: self.core.settings.configuration.clone(),
            starts: self.starts.clone(),
        };
        self.send(&Message::Hello(hello));
    }

    pub(super) fn link_down(&mut self, reason: &str) {
        if self.link.address.take().is_none() {
            // What was found wrong with it says more than that it is gone.
            self.link.trouble.get_or_insert_with(|| reason.to_owned());
            return;
        }
        self.link.hello_by = None;
        let was_up = self.link.hello.take().is_some();
        self.link.backlog_bytes = 0;
        if was_up {
            self.link.trouble = Some(reason.to_owned());
            let text = format!("the link to {} is down: {reason}", self.core.settings.peer_name());
            self.event(Severity::Warn, text);
        } else {
            self.link.trouble.get_or_insert_with(|| reason.to_owned());
        }
        self.beat(heart::Input::Down);
        self.exchange_down();
        self.lead(leader::Input::LinkDown);
        self.follow(follower::Input::LinkDown);
        self.comparison_failed("the link to the peer is down");
        for conn in self.forwards.link_down() {
            // Whether it was carried out, nobody here knows.
            self.clients.forwarded(&mut self.core, conn, None);
        }
        let heard = self.heart.last_heard().unwrap_or(self.core.now.mono);
        let silent = self.core.now.mono.since(heard);
        self.switch_step(tandem_switch::Input::PeerDown { silent });
        self.refresh_view();
        if self.is_one_of_two() {
            // What waited for the peer may go on without it.
            self.update_commit();
        }
    }

    /// An attempt to make a link came to nothing.
    pub(super) fn link_trouble(&mut self, reason: String) {
        if !self.link.is_up() {
            self.link.trouble = Some(reason);
        }
    }

    /// Why there is no link, as far as it is known.
    pub(super) fn no_link_because(&self) -> Option<&str> {
        self.link.trouble.as_deref().filter(|_| !self.link.is_up())
    }

    /// Closes the link from this side, with a reason that the peer's people can read.
    pub(super) fn drop_link(&mut self, code: NoticeCode, reason: &str) {
        if self.link.address.is_none() {
            return;
        }
        let notice = Notice::new(code, reason);
        let message = if code == NoticeCode::Stopping {
            Message::Bye(notice)
        } else {
            Message::Reject(notice)
        };
        self.send(&message);
        self.link.trouble = Some(reason.to_owned());
        self.core.out.push(Output::LinkDrop { reason: reason.to_owned() });
        self.link_down(reason);
    }

    /// A peer that connects and says nothing is as good as gone.
    pub(super) fn tend_hello(&mut self) {
        if self.link.hello_by.is_some_and(|by| self.core.now.mono >= by) {
            let reason = "the peer did not introduce itself in time".to_owned();
            self.core.out.push(Output::LinkDrop { reason: reason.clone() });
            self.link_down(&reason);
        }
    }

    pub(super) fn send(&mut self, message: &Message<'_>) {
        if self.link.address.is_none() {
            return;
        }
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.link.sent_bytes += bytes.len() as u64;
        self.core.out.push(Output::LinkSend(bytes));
    }

    pub(super) fn link_message(&mut self, bytes: &[u8]) {
        if self.link.address.is_none() {
            return;
        }
        self.link.received_bytes += bytes.len() as u64;
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(error) => {
                let reason = format!("the peer sent a message that cannot be read: {error}");
                return self.drop_link(NoticeCode::Violation, &reason);
            }
        };
        match (message, self.link.hello.is_some()) {
            (Message::Hello(hello), false) => self.hello(hello),
            (Message::Hello(_), true) => {
                self.drop_link(NoticeCode::Violation, "the peer introduced itself twice");
            }
            (Message::Reject(notice) | Message::Bye(notice), _) => {
                let reason = format!("{} closed it: {notice}", self.core.settings.peer_name());
                self.core.out.push(Output::LinkDrop { reason: reason.clone() });
                if self.link.objection.is_none() {
                    self.link.trouble = Some(reason.clone());
                }
                self.link_down(&reason);
            }
            (_, false) => {
                self.drop_link(NoticeCode::Violation, "the peer did not introduce itself");
            }
            (message, true) => self.hear(message),
        }
    }

    fn hello(&mut self, hello: Hello) {
        if let Some((code, reason)) = self.objection(&hello) {
            // The peer comes again and again, and it is the same each time.
            if self.link.objection.as_ref() != Some(&reason) {
                self.event(Severity::Error, reason.clone());
                self.link.objection = Some(reason.clone());
            }
            return self.drop_link(code, &reason);
        }
        let peer = self.core.settings.peer_name().to_owned();
        if hello.config_digest != self.core.settings.config_digest {
            let what = self.told_differences(&hello);
            self.event(
                Severity::Warn,
                format!(
                    "the configuration of {peer} differs from ours: {what}; give both machines the same file"
                ),
            );
        }
        self.event(
            Severity::Note,
            format!(
                "the link to {peer} is up (boot {}, version {})",
                tandem_switch::boot_count(hello.boot),
                hello.version
            ),
        );
        self.link.hello_by = None;
        self.link.objection = None;
        self.link.trouble = None;
        self.link.hello = Some(hello);
        self.beat(heart::Input::Up);
        self.switch_step(tandem_switch::Input::PeerUp);
        self.exchange_up();
        self.conflicts_link_up();
        self.clients.tell_scripts_again();
        self.refresh_view();
    }

    /// Tells the peer of scripts that clients here run, so that a change of primary costs them no `NOSCRIPT`.
    pub(super) fn share_scripts(&mut self) {
        if !self.clients.has_fresh_scripts() || !self.link.is_up() {
            return;
        }
        for text in self.clients.take_fresh_scripts() {
            self.send(&Message::Script(Cow::Owned(text.into_vec())));
        }
    }

    /// Where the peer's configuration is another one, for people.
    fn told_differences(&self, hello: &Hello) -> String {
        let found =
            configuration::differences(&self.core.settings.configuration, &hello.configuration);
        configuration::told(&found).unwrap_or_else(|| configuration::UNNAMED.to_owned())
    }

    /// Why this node will not work with that peer.
    fn objection(&self, hello: &Hello) -> Option<(NoticeCode, String)> {
        let own = self.core.settings.node;
        let own_pair = self.switch_state.pair_id;
        if hello.node == own {
            let reason = format!(
                "the peer says that it is {}, as this node does: start each node with its own --node",
                self.core.settings.name()
            );
            return Some((NoticeCode::SameNode, reason));
        }
        if hello.formats.log > FORMATS.log || hello.formats.snapshot > FORMATS.snapshot {
            let reason = format!(
                "the peer (version {}) writes formats that this node (version {}) cannot read: update this node",
                hello.version,
                env!("CARGO_PKG_VERSION")
            );
            return Some((NoticeCode::Format, reason));
        }
        if hello.pair_id != PairId::NONE && own_pair != PairId::NONE && hello.pair_id != own_pair {
            let reason = format!(
                "the peer's data belongs to pair {}, ours to {own_pair}; neither is touched: check the addresses, or empty one data directory by hand",
                hello.pair_id
            );
            return Some((NoticeCode::ForeignPair, reason));
        }
        let new = hello.pair_id == PairId::NONE && own_pair == PairId::NONE;
        if new && hello.config_digest != self.core.settings.config_digest {
            let reason = format!(
                "both nodes are new and their configurations differ, so no pair is begun: {}; give both machines the same file",
                self.told_differences(hello)
            );
            return Some((NoticeCode::Configuration, reason));
        }
        None
    }

    fn hear(&mut self, message: Message<'_>) {
        if !matches!(message, Message::Heartbeat(_)) {
            self.beat(heart::Input::Alive);
        }
        match message {
            Message::Heartbeat(heartbeat) => self.heartbeat(&heartbeat),
            Message::Switch(bytes) => match PeerMessage::decode(&bytes) {
                Ok(said) => self.switch_step(tandem_switch::Input::PeerSaid(said)),
                Err(error) => {
                    let reason = format!("the peer's switch cannot be understood: {error}");
                    self.drop_link(NoticeCode::Violation, &reason);
                }
            },
            Message::Exchange(bytes) => self.exchange_said(&bytes),
            Message::Follow(_) if self.is_one_of_two() => {
                let reason = "the peer runs with another pair.topology: give both the same file";
                self.drop_link(NoticeCode::Violation, reason);
            }
            Message::Follow(follow) => {
                if self.leader.is_none() {
                    self.switch_step(tandem_switch::Input::HigherEpoch(follow.epoch));
                    return self.send(&Message::Switch(Cow::Owned(Vec::new())));
                }
                self.lead(leader::Input::Follow(follow));
            }
            Message::Conflict(bytes) => self.conflict_said(&bytes),
            Message::Ack(ack) => self.acknowledged(ack),
            Message::Publish { channel, payload } => {
                self.clients.publish(&mut self.core, &channel, &payload);
            }
            Message::Script(text) => self.clients.learn_script(&self.core, &text),
            Message::Forward { token, db, proto, command } => {
                self.run_forwarded(token, db, proto, &command);
            }
            Message::Compare(bytes) => self.compare_said(&bytes),
            Message::ForwardReply { token, reply } => self.forward_replied(token, &reply),
            Message::Resume { .. }
            | Message::CutBack { .. }
            | Message::SnapshotBegin(_)
            | Message::SnapshotChunk(_)
            | Message::SnapshotEnd { .. }
            | Message::Records(_)
            | Message::Commit { .. } => self.follow(follower::Input::Message(message)),
            Message::Hello(_) | Message::Bye(_) | Message::Reject(_) => {}
        }
    }

    fn heartbeat(&mut self, heartbeat: &Heartbeat) {
        let status = heartbeat.status;
        self.link.status = Some(status);
        let Status { epoch, appended_end, lacks, .. } = status;
        let peer = tandem_switch::PeerStatus { epoch, appended_end, lacks };
        self.switch_step(tandem_switch::Input::PeerStatus(peer));
        self.beat_with(heart::Input::Heard(heartbeat.beat), Some(heartbeat));
    }

    /// Advances the heart.
    pub(super) fn beat(&mut self, input: heart::Input) {
        self.beat_with(input, None);
    }

    /// What ran in this turn, or a planned change, waits for the peer's word that it still follows: asks
    /// for it, at a time that is after all of it.
    pub(super) fn ask_for_confirmation(&mut self) {
        let heir = std::mem::take(&mut self.asks_heir);
        if !std::mem::take(&mut self.core.wants_confirmation) && !heir {
            return;
        }
        let executed = self.core.executed_at();
        let right = self.switch.read_right(self.core.now.mono);
        if heir || matches!(right, ReadRight::ExecutedBy(by) if by < executed) {
            let mut out = Vec::new();
            self.heart.step(executed, heart::Input::Ask, &mut out);
            self.do_for_heart(out, None);
        }
    }

    fn beat_with(&mut self, input: heart::Input, heard: Option<&Heartbeat>) {
        let mut out = Vec::new();
        self.heart.step(self.core.now.mono, input, &mut out);
        self.do_for_heart(out, heard);
    }

    fn do_for_heart(&mut self, out: Vec<heart::Output>, heard: Option<&Heartbeat>) {
        for output in out {
            match output {
                heart::Output::Send(beat) => {
                    let status = self.own_status();
                    let grant = if beat.echo.is_some() { self.grant() } else { None };
                    self.send(&Message::Heartbeat(Heartbeat { beat, status, grant }));
                }
                heart::Output::Answered { asked, .. } => {
                    self.peer_answered(asked);
                    let Some(heard) = heard else { continue };
                    if let Some(Grant { epoch, lease_ms }) = heard.grant {
                        let lease = Duration::from_millis(lease_ms.into());
                        let now = self.core.now.mono;
                        let asked = if holds(NodeRule::LeaseFromAsking) { asked } else { now };
                        self.switch_step(tandem_switch::Input::Confirmed { epoch, asked, lease });
                    }
                    let status = heard.status;
                    if self.core.settings.switch_by != SwitchBy::Mediator {
                        // No lease is needed there; that it lives counts in a planned change.
                        let (epoch, lease) = (status.epoch, Duration::ZERO);
                        self.switch_step(tandem_switch::Input::Confirmed { epoch, asked, lease });
                    }
                    self.follow(follower::Input::Answered { asked, status });
                    self.refresh_view();
                }
                heart::Output::Dead { silent } => {
                    let reason = format!("nothing was heard for {} ms", silent.as_millis());
                    self.core.out.push(Output::LinkDrop { reason: reason.clone() });
                    self.link_down(&reason);
                }
            }
        }
    }

    /// What a follower promises with its answer.
    fn grant(&mut self) -> Option<Grant> {
        let grant = self.switch.grant_lease(self.core.now.mono)?;
        let lease_ms = u32::try_from(grant.lease.as_millis()).unwrap_or(u32::MAX);
        Some(Grant { epoch: grant.epoch, lease_ms })
    }

    /// How this node is, for the peer.
    fn own_status(&self) -> Status {
        let at = &self.core.positions;
        Status {
            role: self.core.view.role,
            epoch: self.core.view.epoch,
            appended_end: at.appended_end,
            durable_end: at.durable_end,
            applied_end: at.applied_end,
            commit_end: at.commit_end,
            wall: self.core.now.wall,
            applied_stamp: self.applied_tip().stamp,
            sync_age_ms: 0,
            config_digest: self.core.settings.config_digest,
            commit_known: self.commit_is_known(),
            lacks: self.leader.as_ref().and_then(leader::Leader::follower_lacks),
        }
    }

    /// A primary whose acknowledgements cover the start of its own reign.
    fn commit_is_known(&self) -> bool {
        self.is_primary()
            && self.history.last().is_some_and(|reign| self.core.positions.commit_end > reign.first)
    }
}
