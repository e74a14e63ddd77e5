//! The story of a run, written down only when somebody wants to read it.

use std::fmt;

use tandem_replication::Message;
use tandem_switch::{MediatorEvent, Outcome, PeerMessage};

use super::Arrived;
use crate::plan::MS;

/// Lines with times.
pub type Story = Vec<String>;

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

    pub(super) fn into_lines(self) -> Story {
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
        Arrived::Mediator(MediatorEvent::Outcome { number, outcome: Outcome::Lost(_) }) => {
            format!("mediator: change {number} lost")
        }
        other => format!("{other:?}"),
    }
}
