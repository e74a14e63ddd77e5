//! One channel's two sides, sans-IO: which frames are new, and since when the peer is known to live.

use std::collections::VecDeque;
use std::time::Duration;

use tandem_switch::Vitals;
use tandem_types::{Monotonic, NodeId};

use crate::ChannelSettings;
use crate::frame::{FRAME_BYTES, Frame, Key, MAGIC, Mark};

/// Own frames whose time of sending is remembered: an answer to an older one proves nothing recent.
const SENT_MAX: usize = 64;
/// Processes of the peer whose last number is remembered.
const PROCESSES_MAX: usize = 8;

/// The peer was heard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Heard {
    /// The channel.
    pub channel: u8,
    /// This node's clock when it sent what was answered: the peer lived then.
    pub asked: Monotonic,
    /// The way there and back, without the time at the peer.
    pub round_trip: Duration,
    /// What it says of itself.
    pub vitals: Vitals,
}

/// What some bytes held.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Received {
    /// What proves that the peer lives.
    pub heard: Vec<Heard>,
    /// A new frame of the peer came, if perhaps one that answers nothing yet.
    pub is_peer: bool,
}

/// One channel, whichever connections carry it.
#[derive(Debug)]
pub struct Conversation {
    key: Key,
    pair: u32,
    node: NodeId,
    channel: u8,
    own: Mark,
    sent: VecDeque<(u32, Monotonic)>,
    /// The peer's processes and their last numbers, latest last.
    heard: VecDeque<Mark>,
    /// The frame to echo, and when it came.
    latest: Option<(Mark, Monotonic)>,
}

impl Conversation {
    /// Nothing was said yet.
    pub fn new(settings: &ChannelSettings) -> Self {
        Self {
            key: settings.key.clone(),
            pair: tag(&settings.pair),
            node: settings.node,
            channel: settings.index,
            own: Mark { nonce: settings.nonce, number: 0 },
            sent: VecDeque::with_capacity(SENT_MAX),
            heard: VecDeque::with_capacity(PROCESSES_MAX),
            latest: None,
        }
    }

    /// The next frame.
    pub fn report(&mut self, now: Monotonic, vitals: Vitals) -> [u8; FRAME_BYTES] {
        self.own.number = self.own.number.wrapping_add(1);
        if self.sent.len() == SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((self.own.number, now));
        let (echo, held) = self
            .latest
            .map_or((Mark::default(), Duration::ZERO), |(mark, came)| (mark, now.since(came)));
        let held_us = u32::try_from(held.as_micros()).unwrap_or(u32::MAX);
        let frame = Frame {
            pair: self.pair,
            node: self.node,
            channel: self.channel,
            mark: self.own,
            echo,
            held_us,
            vitals,
        };
        frame.encode(&self.key)
    }

    /// Takes what came; leaves in `rest` what may be the beginning of a frame. Noise is skipped.
    pub fn receive(&mut self, now: Monotonic, rest: &mut Vec<u8>) -> Received {
        let mut received = Received::default();
        let mut start = 0;
        while let Some(bytes) = rest.get(start..).and_then(<[u8]>::first_chunk::<FRAME_BYTES>) {
            let frame = bytes.starts_with(&MAGIC).then(|| Frame::decode(&self.key, bytes));
            match frame.flatten() {
                Some(frame) => {
                    start += FRAME_BYTES;
                    if self.is_peers(&frame) {
                        received.is_peer = true;
                        received.heard.extend(self.answered(now, &frame));
                    }
                }
                None => start += 1,
            }
        }
        rest.drain(..start);
        received
    }

    /// Whether it is the peer's and new. The own frame, sent back, is no peer.
    fn is_peers(&mut self, frame: &Frame) -> bool {
        let is_meant = frame.pair == self.pair && frame.channel == self.channel;
        is_meant && frame.node != self.node && self.is_new(frame.mark)
    }

    /// As of when the peer lives by this frame of its.
    fn answered(&mut self, now: Monotonic, frame: &Frame) -> Option<Heard> {
        self.latest = Some((frame.mark, now));
        if frame.echo.nonce != self.own.nonce {
            return None; // It has not heard this process yet.
        }
        let asked = self.sent.iter().find(|(number, _)| *number == frame.echo.number)?.1;
        let held = Duration::from_micros(frame.held_us.into());
        let round_trip = now.since(asked).saturating_sub(held);
        Some(Heard { channel: self.channel, asked, round_trip, vitals: frame.vitals })
    }

    /// Each number of each process counts once, in order.
    fn is_new(&mut self, mark: Mark) -> bool {
        if let Some(known) = self.heard.iter_mut().find(|known| known.nonce == mark.nonce) {
            let new = mark.number > known.number;
            known.number = known.number.max(mark.number);
            return new;
        }
        if self.heard.len() == PROCESSES_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back(mark);
        true
    }
}

/// FNV-1a, so that frames of another pair on the same wire are told apart.
fn tag(pair: &str) -> u32 {
    pair.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests;
