//! The story of a run, written down only when somebody wants to read it.

use std::fmt;

use tandem_replication::Message;
use tandem_switch::{
    MediatorEvent, MediatorRequest, MediatorView, Outcome, PeerMessage, Presence, Record,
    RecordState, Revision,
};
use tandem_types::{Incarnation, NodeId, Pair};

use super::Arrived;
use crate::plan::MS;

/// Lines with times.
type Story = Vec<String>;

#[derive(Debug)]
pub(crate) struct Trace {
    lines: Option<Story>,
}

/// A true time as people read it.
pub(super) fn time(now: u64) -> String {
    format!("{:>4}.{:06}", now / (1_000 * MS), now / 1_000 % 1_000_000)
}

impl Trace {
    pub(super) fn new(told: bool) -> Self {
        Self { lines: told.then(Vec::new) }
    }

    pub(super) const fn is_told(&self) -> bool {
        self.lines.is_some()
    }

    pub(super) fn note(&mut self, now: u64, what: fmt::Arguments<'_>) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{} {what}", time(now)));
        }
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// Names the sort, for the checksum of a run.
pub(super) const fn kind(arrived: &Arrived) -> u64 {
    match arrived {
        Arrived::LinkUp { .. } => 1,
        Arrived::LinkData { .. } => 2,
        Arrived::LinkLost { .. } => 3,
        Arrived::Accept { .. } => 4,
        Arrived::Bytes { .. } => 5,
        Arrived::Hangup { .. } => 6,
        Arrived::Mediator(_) => 7,
        Arrived::Died(_) => 8,
        Arrived::Admin(_) => 9,
        Arrived::Shutdown => 10,
        Arrived::WorkDone => 11,
        Arrived::Room => 12,
        Arrived::Tick => 13,
        Arrived::Testified(_) => 14,
        Arrived::Frame { .. } => 15,
        Arrived::Seen(_) => 16,
        Arrived::Judge(_) => 17,
    }
}

/// Where it came from: what comes from one place keeps its order.
pub(super) const fn source(arrived: &Arrived) -> u64 {
    match arrived {
        Arrived::LinkUp { .. } | Arrived::LinkData { .. } | Arrived::LinkLost { .. } => 0,
        Arrived::Accept { .. } | Arrived::Bytes { .. } | Arrived::Hangup { .. } => 1,
        Arrived::Mediator(_) | Arrived::Frame { .. } => 2,
        Arrived::Died(_)
        | Arrived::Testified(_)
        | Arrived::Seen(_)
        | Arrived::Judge(_)
        | Arrived::Admin(_)
        | Arrived::Shutdown
        | Arrived::WorkDone
        | Arrived::Room
        | Arrived::Tick => 3,
    }
}

/// What came, in one line.
pub(super) fn brief(arrived: &Arrived) -> String {
    match arrived {
        Arrived::LinkData { bytes, .. } => match Message::decode(bytes) {
            Ok(Message::Switch(bytes)) => match PeerMessage::decode(&bytes) {
                Ok(said) => format!("peer: {said:?}"),
                Err(error) => format!("peer: {error}"),
            },
            Ok(message) => {
                let mut text = format!("peer: {message:?}");
                text.truncate(160);
                text
            }
            Err(error) => format!("peer: {error}"),
        },
        Arrived::Bytes { bytes, .. } => {
            format!("client: {}", String::from_utf8_lossy(bytes).replace("\r\n", " "))
        }
        Arrived::Mediator(event) => match &**event {
            MediatorEvent::Outcome { number, outcome: Outcome::Lost(seen) } => {
                format!("mediator: change {number} lost, {}", view(seen))
            }
            MediatorEvent::View(seen) => format!("mediator: {}", view(seen)),
            other => format!("mediator: {other:?}"),
        },
        Arrived::Frame { line, .. } => format!("report on channel {line}"),
        other => format!("{other:?}"),
    }
}

fn members(members: &Pair<Option<Incarnation>>) -> &'static str {
    match (members.a.is_some(), members.b.is_some()) {
        (true, true) => "{a,b}",
        (true, false) => "{a}",
        (false, true) => "{b}",
        (false, false) => "{}",
    }
}

fn record(revision: Option<Revision>, record: &Record) -> String {
    let at = revision.map_or(String::new(), |at| format!("r{}.{} ", at.life, at.version));
    let boot = record.primary_boot;
    let fork = record.fork.get() % 10_000;
    format!(
        "{at}epoch {} ~{fork} {:?} boot {}:{} {}",
        record.epoch.get(),
        record.primary,
        boot.incarnation.get() % 1_000,
        boot.boot,
        members(&record.members)
    )
}

fn presence(node: NodeId, it: Option<Presence>) -> String {
    it.map_or(String::new(), |it| {
        let boot = it.boot;
        format!(
            " {node:?}={}:{} {:?} e{}",
            boot.incarnation.get() % 1_000,
            boot.boot,
            it.role,
            it.epoch_seen.get()
        )
    })
}

fn view(view: &MediatorView) -> String {
    let what = match &view.record {
        RecordState::Absent => "no record".to_owned(),
        RecordState::Present { revision, record: it } => record(Some(*revision), it),
        RecordState::Unreadable { reason } => reason.clone(),
    };
    let asked = if view.asked.is_some() { "" } else { " (pushed)" };
    let (a, b) = (presence(NodeId::A, view.present.a), presence(NodeId::B, view.present.b));
    format!("{what};{a}{b}{asked}")
}

/// What a node wants of the mediator, in one line; signs of life and readings are not worth one.
pub(super) fn wish(request: &MediatorRequest) -> Option<String> {
    match request {
        MediatorRequest::Vouch(_) | MediatorRequest::Read => None,
        MediatorRequest::Leave => Some("leave".into()),
        MediatorRequest::Change { number, change } => {
            let expect =
                change.expect.map_or("none".into(), |it| format!("r{}.{}", it.life, it.version));
            let unless = change.unless_present.map_or(String::new(), |(node, boot)| {
                format!(" unless {node:?} {}:{}", boot.incarnation.get() % 1_000, boot.boot)
            });
            Some(format!("change {number}: {expect} -> {}{unless}", record(None, &change.record)))
        }
    }
}
