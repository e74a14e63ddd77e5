//! Requests, answers and records as bytes; little-endian.

use crate::{Place, Places};
use tandem_switch::{
    Acknowledge, BootId, Change, MediatorView, Presence, Record, RecordState, Revision,
};
use tandem_types::{Epoch, ForkId, Incarnation, Monotonic, NodeId, Pair, PairId, Role};

/// What a node wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Request {
    Vouch(Presence),
    Leave,
    Read,
    Change(Change),
    /// Where clients reach the pair.
    Tell(Places),
}

/// What the witness says. `id` is the request's; 0: nobody asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    Renewed,
    /// The places are known; where the witness itself answers Sentinel clients.
    Told {
        sentinel_port: Option<u16>,
    },
    View(MediatorView),
    /// A change took effect.
    Won(Revision),
    /// It did not and never will.
    Lost(MediatorView),
    /// This copy of it did not and never will.
    Refused {
        reason: String,
    },
}

/// Bytes that are no message of this version.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a message that this version does not understand")]
pub(crate) struct Malformed;

type Read<T> = Result<T, Malformed>;

#[derive(Debug, Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn port(&mut self, port: Option<u16>) {
        self.0.extend_from_slice(&port.unwrap_or(0).to_le_bytes());
    }

    fn places(&mut self, places: &Places) {
        for place in [&places.nodes.a, &places.nodes.b] {
            self.text(&place.host);
            self.port(Some(place.client_port));
            self.port(place.read_port);
            self.port(place.sentinel_port);
        }
        self.u8(u8::from(places.replicas_serve));
    }

    fn boot(&mut self, boot: BootId) {
        self.u64(boot.incarnation.get());
        self.u64(boot.boot);
    }

    fn presence(&mut self, presence: &Presence) {
        self.boot(presence.boot);
        self.0.extend_from_slice(&presence.pair_id.get().to_le_bytes());
        self.u64(presence.epoch_seen.get());
        self.u8(match presence.role {
            Role::Primary => 0,
            Role::Standby => 1,
            Role::Joining => 2,
            Role::Isolated => 3,
        });
    }

    fn record(&mut self, record: &Record) {
        self.0.extend_from_slice(&record.pair_id.get().to_le_bytes());
        self.u64(record.epoch.get());
        self.u64(record.fork.get());
        self.u8(record.primary.as_byte());
        self.boot(record.primary_boot);
        for member in [record.members.a, record.members.b] {
            self.u8(u8::from(member.is_some()));
            self.u64(member.map_or(0, Incarnation::get));
        }
        self.u8(match record.strength {
            Acknowledge::Local => 0,
            Acknowledge::Received => 1,
            Acknowledge::Durable => 2,
        });
    }

    fn revision(&mut self, revision: Revision) {
        self.u64(revision.life);
        self.u64(revision.version);
    }

    fn view(&mut self, view: &MediatorView) {
        match &view.record {
            RecordState::Present { revision, record } => {
                self.u8(1);
                self.revision(*revision);
                self.record(record);
            }
            RecordState::Absent => self.u8(0),
            RecordState::Unreadable { reason } => {
                self.u8(2);
                self.text(reason);
            }
        }
        for present in [&view.present.a, &view.present.b] {
            self.u8(u8::from(present.is_some()));
            if let Some(presence) = present {
                self.presence(presence);
            }
        }
    }

    /// The first 255 bytes, cut at a letter.
    fn text(&mut self, text: &str) {
        let mut end = text.len().min(255);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.u8(u8::try_from(end).unwrap_or(u8::MAX));
        self.0.extend_from_slice(&text.as_bytes()[..end]);
    }
}

/// What is left of a message.
#[derive(Debug)]
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u8(&mut self) -> Read<u8> {
        let [byte] = self.take()?;
        Ok(byte)
    }

    fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    /// Zero: there is none.
    fn port(&mut self) -> Read<Option<u16>> {
        Ok(Some(u16::from_le_bytes(self.take()?)).filter(|&port| port != 0))
    }

    fn place(&mut self) -> Read<Place> {
        Ok(Place {
            host: self.text()?,
            client_port: self.port()?.ok_or(Malformed)?,
            read_port: self.port()?,
            sentinel_port: self.port()?,
        })
    }

    fn places(&mut self) -> Read<Places> {
        let nodes = Pair { a: self.place()?, b: self.place()? };
        Ok(Places { nodes, replicas_serve: self.flag()? })
    }

    fn pair_id(&mut self) -> Read<PairId> {
        Ok(PairId::new(u128::from_le_bytes(self.take()?)))
    }

    fn boot(&mut self) -> Read<BootId> {
        Ok(BootId { incarnation: Incarnation::new(self.u64()?), boot: self.u64()? })
    }

    fn node(&mut self) -> Read<NodeId> {
        NodeId::from_byte(self.u8()?).ok_or(Malformed)
    }

    fn presence(&mut self) -> Read<Presence> {
        Ok(Presence {
            boot: self.boot()?,
            pair_id: self.pair_id()?,
            epoch_seen: Epoch::new(self.u64()?),
            role: match self.u8()? {
                0 => Role::Primary,
                1 => Role::Standby,
                2 => Role::Joining,
                3 => Role::Isolated,
                _ => return Err(Malformed),
            },
        })
    }

    fn member(&mut self) -> Read<Option<Incarnation>> {
        let there = self.flag()?;
        let incarnation = Incarnation::new(self.u64()?);
        Ok(there.then_some(incarnation))
    }

    fn flag(&mut self) -> Read<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    fn record(&mut self) -> Read<Record> {
        Ok(Record {
            pair_id: self.pair_id()?,
            epoch: Epoch::new(self.u64()?),
            fork: ForkId::new(self.u64()?),
            primary: self.node()?,
            primary_boot: self.boot()?,
            members: Pair { a: self.member()?, b: self.member()? },
            strength: match self.u8()? {
                0 => Acknowledge::Local,
                1 => Acknowledge::Received,
                2 => Acknowledge::Durable,
                _ => return Err(Malformed),
            },
        })
    }

    fn revision(&mut self) -> Read<Revision> {
        Ok(Revision { life: self.u64()?, version: self.u64()? })
    }

    fn view(&mut self) -> Read<MediatorView> {
        let record = match self.u8()? {
            0 => RecordState::Absent,
            1 => RecordState::Present { revision: self.revision()?, record: self.record()? },
            2 => RecordState::Unreadable { reason: self.text()? },
            _ => return Err(Malformed),
        };
        let mut present = || -> Read<Option<Presence>> {
            if self.flag()? { self.presence().map(Some) } else { Ok(None) }
        };
        let present = Pair { a: present()?, b: present()? };
        Ok(MediatorView { asked: None::<Monotonic>, record, present })
    }

    fn text(&mut self) -> Read<String> {
        let length = usize::from(self.u8()?);
        let (text, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// Nothing may follow.
    fn end<T>(self, value: T) -> Read<T> {
        if self.0.is_empty() { Ok(value) } else { Err(Malformed) }
    }
}

pub(crate) fn encode_request(id: u64, request: &Request) -> Vec<u8> {
    let mut out = Writer::default();
    out.u64(id);
    match request {
        Request::Vouch(presence) => {
            out.u8(1);
            out.presence(presence);
        }
        Request::Leave => out.u8(2),
        Request::Read => out.u8(3),
        Request::Change(change) => {
            out.u8(4);
            out.u8(u8::from(change.expect.is_some()));
            out.revision(change.expect.unwrap_or(Revision { life: 0, version: 0 }));
            out.record(&change.record);
            out.u8(u8::from(change.unless_present.is_some()));
            if let Some((node, boot)) = change.unless_present {
                out.u8(node.as_byte());
                out.boot(boot);
            }
        }
        Request::Tell(places) => {
            out.u8(5);
            out.places(places);
        }
    }
    out.0
}

pub(crate) fn decode_request(bytes: &[u8]) -> Read<(u64, Request)> {
    let mut input = Reader(bytes);
    let id = input.u64()?;
    let request = match input.u8()? {
        1 => Request::Vouch(input.presence()?),
        2 => Request::Leave,
        3 => Request::Read,
        4 => {
            let expected = input.flag()?;
            let revision = input.revision()?;
            let record = input.record()?;
            let unless_present =
                if input.flag()? { Some((input.node()?, input.boot()?)) } else { None };
            let expect = expected.then_some(revision);
            Request::Change(Change { expect, record, unless_present })
        }
        5 => Request::Tell(input.places()?),
        _ => return Err(Malformed),
    };
    input.end((id, request))
}

pub(crate) fn encode_answer(id: u64, answer: &Answer) -> Vec<u8> {
    let mut out = Writer::default();
    out.u64(id);
    match answer {
        Answer::Renewed => out.u8(1),
        Answer::View(view) => {
            out.u8(2);
            out.view(view);
        }
        Answer::Won(revision) => {
            out.u8(3);
            out.revision(*revision);
        }
        Answer::Lost(view) => {
            out.u8(4);
            out.view(view);
        }
        Answer::Refused { reason } => {
            out.u8(5);
            out.text(reason);
        }
        Answer::Told { sentinel_port } => {
            out.u8(6);
            out.port(*sentinel_port);
        }
    }
    out.0
}

pub(crate) fn decode_answer(bytes: &[u8]) -> Read<(u64, Answer)> {
    let mut input = Reader(bytes);
    let id = input.u64()?;
    let answer = match input.u8()? {
        1 => Answer::Renewed,
        2 => Answer::View(input.view()?),
        3 => Answer::Won(input.revision()?),
        4 => Answer::Lost(input.view()?),
        5 => Answer::Refused { reason: input.text()? },
        6 => Answer::Told { sentinel_port: input.port()? },
        _ => return Err(Malformed),
    };
    input.end((id, answer))
}

/// A record as kept on disk.
pub(crate) fn encode_kept(revision: Revision, record: &Record) -> Vec<u8> {
    let mut out = Writer::default();
    out.revision(revision);
    out.record(record);
    out.0
}

pub(crate) fn decode_kept(bytes: &[u8]) -> Read<(Revision, Record)> {
    let mut input = Reader(bytes);
    let kept = (input.revision()?, input.record()?);
    input.end(kept)
}

#[cfg(test)]
pub(crate) mod tests;
