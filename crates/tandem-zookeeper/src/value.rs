//! Record and presence as the data of znodes. Reading is strict: what is read, written again, is the same.

use tandem_switch::{Acknowledge, BootId, Presence, Record};
use tandem_types::{Epoch, ForkId, Incarnation, NodeId, Pair, PairId, Role};

use crate::text::{Fields, Lines};

const RECORD: &str = "record";
const PRESENCE: &str = "presence";

/// The record, and which life of it this is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Kept {
    /// Random, drawn when the record was created.
    pub(crate) life: u64,
    pub(crate) record: Record,
}

pub(crate) fn encode_record(kept: &Kept) -> Vec<u8> {
    let record = &kept.record;
    let member = |member: Option<Incarnation>| member.map_or("-".to_owned(), |it| hex(it.get()));
    Lines::begin(RECORD)
        .line("life", hex(kept.life))
        .line("pair", format_args!("{:032x}", record.pair_id.get()))
        .line("epoch", record.epoch.get())
        .line("fork", hex(record.fork.get()))
        .line("primary", node_word(record.primary))
        .line("boot", boot_words(record.primary_boot))
        .line("member-a", member(record.members.a))
        .line("member-b", member(record.members.b))
        .line("strength", strength_word(record.strength))
        .end()
}

/// The error says what is wrong with it, for people.
pub(crate) fn decode_record(bytes: &[u8]) -> Result<Kept, String> {
    let mut fields = Fields::of(RECORD, bytes)?;
    let kept = read_record(&mut fields).filter(|kept| encode_record(kept) == bytes);
    kept.ok_or_else(|| "a line of it is not as Tandem writes it".to_owned())
}

fn read_record(fields: &mut Fields<'_>) -> Option<Kept> {
    let life = unhex(fields.take("life")?)?;
    let record = Record {
        pair_id: PairId::new(u128::from_str_radix(fields.take("pair")?, 16).ok()?),
        epoch: Epoch::new(fields.take("epoch")?.parse().ok()?),
        fork: ForkId::new(unhex(fields.take("fork")?)?),
        primary: node(fields.take("primary")?)?,
        primary_boot: boot(fields.take("boot")?)?,
        members: Pair {
            a: member(fields.take("member-a")?)?,
            b: member(fields.take("member-b")?)?,
        },
        strength: strength(fields.take("strength")?)?,
    };
    Some(Kept { life, record })
}

pub(crate) fn encode_presence(presence: &Presence) -> Vec<u8> {
    Lines::begin(PRESENCE)
        .line("boot", boot_words(presence.boot))
        .line("pair", format_args!("{:032x}", presence.pair_id.get()))
        .line("epoch", presence.epoch_seen.get())
        .line("role", presence.role)
        .end()
}

pub(crate) fn decode_presence(bytes: &[u8]) -> Option<Presence> {
    let mut fields = Fields::of(PRESENCE, bytes).ok()?;
    let presence = Presence {
        boot: boot(fields.take("boot")?)?,
        pair_id: PairId::new(u128::from_str_radix(fields.take("pair")?, 16).ok()?),
        epoch_seen: Epoch::new(fields.take("epoch")?.parse().ok()?),
        role: role(fields.take("role")?)?,
    };
    Some(presence).filter(|presence| encode_presence(presence) == bytes)
}

pub(crate) fn hex(number: u64) -> String {
    format!("{number:016x}")
}

fn unhex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

pub(crate) const fn node_word(node: NodeId) -> &'static str {
    match node {
        NodeId::A => "a",
        NodeId::B => "b",
    }
}

fn node(word: &str) -> Option<NodeId> {
    [NodeId::A, NodeId::B].into_iter().find(|&node| node_word(node) == word)
}

fn boot_words(boot: BootId) -> String {
    format!("{:016x} {}", boot.incarnation.get(), boot.boot)
}

fn boot(words: &str) -> Option<BootId> {
    let (incarnation, boot) = words.split_once(' ')?;
    let incarnation = Incarnation::new(unhex(incarnation)?);
    Some(BootId { incarnation, boot: boot.parse().ok()? })
}

#[expect(clippy::option_option, reason = "an empty place is something that can be read")]
fn member(word: &str) -> Option<Option<Incarnation>> {
    if word == "-" { Some(None) } else { Some(Some(Incarnation::new(unhex(word)?))) }
}

const fn strength_word(strength: Acknowledge) -> &'static str {
    match strength {
        Acknowledge::Local => "local",
        Acknowledge::Received => "received",
        Acknowledge::Durable => "durable",
    }
}

fn strength(word: &str) -> Option<Acknowledge> {
    [Acknowledge::Local, Acknowledge::Received, Acknowledge::Durable]
        .into_iter()
        .find(|&strength| strength_word(strength) == word)
}

fn role(word: &str) -> Option<Role> {
    [Role::Primary, Role::Standby, Role::Joining, Role::Isolated]
        .into_iter()
        .find(|role| role.word() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let boot = BootId { incarnation: Incarnation::new(0xabc), boot: 12 };
        let record = Record {
            pair_id: PairId::new(5),
            epoch: Epoch::new(u64::MAX),
            fork: ForkId::new(0xf0),
            primary: NodeId::B,
            primary_boot: boot,
            members: Pair { a: None, b: Some(Incarnation::new(0xabc)) },
            strength: Acknowledge::Durable,
        };
        Kept { life: 7, record }
    }

    fn presence() -> Presence {
        let pair_id = PairId::new(u128::MAX);
        Presence {
            boot: kept().record.primary_boot,
            pair_id,
            epoch_seen: Epoch::ZERO,
            role: Role::Isolated,
        }
    }

    #[test]
    fn values_are_read_as_written() {
        assert_eq!(decode_record(&encode_record(&kept())), Ok(kept()));
        assert_eq!(decode_presence(&encode_presence(&presence())), Some(presence()));
    }

    #[test]
    fn any_other_byte_cut_or_addition_is_noticed() {
        for value in [encode_record(&kept()), encode_presence(&presence())] {
            let refused =
                |bytes: &[u8]| decode_record(bytes).is_err() && decode_presence(bytes).is_none();
            for at in 0..value.len() {
                assert!(refused(&value[..at]), "cut at {at}");
                for byte in 0..=u8::MAX {
                    let mut changed = value.clone();
                    changed[at] = byte;
                    assert!(changed == value || refused(&changed), "byte {at} = {byte}");
                }
            }
            assert!(refused(&[value.as_slice(), b"\n"].concat()));
            assert!(refused(&[b"\n", value.as_slice()].concat()));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let later =
            String::from_utf8(encode_record(&kept())).unwrap().replace("record 1", "record 2");
        let right_checksum_wrong_line = Lines::begin(RECORD).line("life", "x").end();
        let cases: [(&[u8], &str); 6] = [
            (later.as_bytes(), "version"),
            (b"", "not a record"),
            (&[0xff, 0xfe], "not a record"),
            (&[b'x'; 2000], "2000 bytes"),
            (b"tandem record 1\nlife 0\n", "checksum"),
            (&right_checksum_wrong_line, "a line of it"),
        ];
        for (bytes, want) in cases {
            let said = decode_record(bytes).unwrap_err();
            assert!(said.contains(want), "{said}");
        }
    }
}
