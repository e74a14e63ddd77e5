//! Record and presence as JSON that a person can read, and that is read strictly.

use serde::{Deserialize, Serialize};
use tandem_switch::{Acknowledge, BootId, Presence, Record};
use tandem_types::{Epoch, ForkId, Incarnation, Pair, PairId, Role};

use crate::keys::{hex64, hex128, node, word};

/// The only version that is understood.
const FORMAT: u32 = 1;
/// A record has some 400 bytes.
const BYTES_MAX: usize = 4096;
/// Epochs rise by one: a number beyond this is damage, and would leave no room for later ones.
const COUNT_MAX: u64 = 1 << 62;

/// Why a value is not one of ours.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ValueError {
    #[error("{bytes} bytes, and it has never more than {BYTES_MAX}")]
    Long { bytes: usize },
    #[error("format {found}, and this version knows {FORMAT} only")]
    Format { found: u64 },
    #[error("not the JSON of format {FORMAT}: {0}")]
    Json(String),
    #[error("bad value in `{0}`")]
    Field(&'static str),
}

/// What the record's key holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Kept {
    /// Random mark, drawn when the key is created: tells one life of the record from another.
    pub(crate) mark: u64,
    pub(crate) record: Record,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RecordText {
    format: u32,
    mark: String,
    pair_id: String,
    epoch: u64,
    fork: String,
    primary: String,
    primary_boot: BootText,
    members: MembersText,
    strength: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct BootText {
    incarnation: String,
    boot: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct MembersText {
    a: Option<String>,
    b: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PresenceText {
    format: u32,
    boot: BootText,
    pair_id: String,
    epoch_seen: u64,
    role: String,
}

/// Only enough to tell the version.
#[derive(Deserialize)]
struct FormatText {
    format: u64,
}

pub(crate) fn encode_record(kept: &Kept) -> Vec<u8> {
    let Record { pair_id, epoch, fork, primary, primary_boot, members, strength } = kept.record;
    let member = |it: Option<Incarnation>| it.map(|it| it.to_string());
    write(&RecordText {
        format: FORMAT,
        mark: format!("{:016x}", kept.mark),
        pair_id: pair_id.to_string(),
        epoch: epoch.get(),
        fork: format!("{:016x}", fork.get()),
        primary: word(primary).to_owned(),
        primary_boot: boot_text(primary_boot),
        members: MembersText { a: member(members.a), b: member(members.b) },
        strength: strength_word(strength).to_owned(),
    })
}

pub(crate) fn decode_record(bytes: &[u8]) -> Result<Kept, ValueError> {
    let text: RecordText = read(bytes)?;
    let member = |it: Option<String>, name: &'static str| {
        it.map(|it| hex64(&it).map(Incarnation::new).ok_or(ValueError::Field(name))).transpose()
    };
    let record = Record {
        pair_id: pair_id(&text.pair_id)?,
        epoch: epoch(text.epoch, "epoch")?,
        fork: ForkId::new(hex64(&text.fork).ok_or(ValueError::Field("fork"))?),
        primary: node(&text.primary).ok_or(ValueError::Field("primary"))?,
        primary_boot: boot(&text.primary_boot)?,
        members: Pair {
            a: member(text.members.a, "members.a")?,
            b: member(text.members.b, "members.b")?,
        },
        strength: strength(&text.strength).ok_or(ValueError::Field("strength"))?,
    };
    Ok(Kept { mark: hex64(&text.mark).ok_or(ValueError::Field("mark"))?, record })
}

pub(crate) fn encode_presence(presence: &Presence) -> Vec<u8> {
    write(&PresenceText {
        format: FORMAT,
        boot: boot_text(presence.boot),
        pair_id: presence.pair_id.to_string(),
        epoch_seen: presence.epoch_seen.get(),
        role: presence.role.word().to_owned(),
    })
}

pub(crate) fn decode_presence(bytes: &[u8]) -> Result<Presence, ValueError> {
    let text: PresenceText = read(bytes)?;
    Ok(Presence {
        boot: boot(&text.boot)?,
        pair_id: pair_id(&text.pair_id)?,
        epoch_seen: epoch(text.epoch_seen, "epoch_seen")?,
        role: role(&text.role).ok_or(ValueError::Field("role"))?,
    })
}

fn write(value: &impl Serialize) -> Vec<u8> {
    // Structs of numbers and strings: there is no map key or number that JSON cannot have.
    serde_json::to_vec(value).expect("plain structs are JSON")
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ValueError> {
    if bytes.len() > BYTES_MAX {
        return Err(ValueError::Long { bytes: bytes.len() });
    }
    let json = |error: serde_json::Error| ValueError::Json(error.to_string());
    let FormatText { format } = serde_json::from_slice(bytes).map_err(json)?;
    if format != u64::from(FORMAT) {
        return Err(ValueError::Format { found: format });
    }
    serde_json::from_slice(bytes).map_err(json)
}

fn boot_text(boot: BootId) -> BootText {
    BootText { incarnation: boot.incarnation.to_string(), boot: boot.boot }
}

fn boot(text: &BootText) -> Result<BootId, ValueError> {
    let incarnation = hex64(&text.incarnation).ok_or(ValueError::Field("incarnation"))?;
    Ok(BootId { incarnation: Incarnation::new(incarnation), boot: text.boot })
}

fn pair_id(text: &str) -> Result<PairId, ValueError> {
    hex128(text).map(PairId::new).ok_or(ValueError::Field("pair_id"))
}

const fn epoch(number: u64, field: &'static str) -> Result<Epoch, ValueError> {
    if number <= COUNT_MAX { Ok(Epoch::new(number)) } else { Err(ValueError::Field(field)) }
}

fn role(word: &str) -> Option<Role> {
    [Role::Joining, Role::Primary, Role::Standby, Role::Isolated]
        .into_iter()
        .find(|role| role.word() == word)
}

const STRENGTHS: [Acknowledge; 3] =
    [Acknowledge::Local, Acknowledge::Received, Acknowledge::Durable];

const fn strength_word(strength: Acknowledge) -> &'static str {
    match strength {
        Acknowledge::Local => "local",
        Acknowledge::Received => "received",
        Acknowledge::Durable => "durable",
    }
}

fn strength(word: &str) -> Option<Acknowledge> {
    STRENGTHS.into_iter().find(|&it| strength_word(it) == word)
}

#[cfg(test)]
pub(crate) mod tests {
    use tandem_types::NodeId;

    use super::*;

    pub(crate) fn boot(number: u64) -> BootId {
        BootId { incarnation: Incarnation::new(number), boot: number + 1 }
    }

    pub(crate) fn presence(number: u64) -> Presence {
        Presence {
            boot: boot(number),
            pair_id: PairId::new(u128::from(number)),
            epoch_seen: Epoch::new(number),
            role: Role::Isolated,
        }
    }

    pub(crate) fn record(epoch: u64, primary: NodeId) -> Record {
        Record {
            pair_id: PairId::new(u128::MAX),
            epoch: Epoch::new(epoch),
            fork: ForkId::new(epoch * 7),
            primary,
            primary_boot: boot(3),
            members: Pair { a: Some(Incarnation::new(1)), b: None },
            strength: Acknowledge::Durable,
        }
    }

    #[test]
    fn values_are_read_as_written_and_a_person_can_read_them() {
        let kept = Kept { mark: 5, record: record(7, NodeId::B) };
        let bytes = encode_record(&kept);
        assert_eq!(decode_record(&bytes), Ok(kept));
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "{\"format\":1,\"mark\":\"0000000000000005\",\
             \"pair_id\":\"ffffffffffffffffffffffffffffffff\",\"epoch\":7,\
             \"fork\":\"0000000000000031\",\"primary\":\"b\",\
             \"primary_boot\":{\"incarnation\":\"0000000000000003\",\"boot\":4},\
             \"members\":{\"a\":\"0000000000000001\",\"b\":null},\"strength\":\"durable\"}"
        );
        let presence = presence(4);
        assert_eq!(decode_presence(&encode_presence(&presence)), Ok(presence));
    }

    #[test]
    fn every_cut_and_every_changed_word_is_an_error() {
        let good = encode_record(&Kept { mark: 5, record: record(7, NodeId::B) });
        for end in 0..good.len() {
            assert!(decode_record(&good[..end]).is_err(), "cut at {end}");
        }
        let text = String::from_utf8(good).unwrap();
        for (from, to, want) in [
            ("\"format\":1", "\"format\":2", "format 2"),
            ("\"epoch\":7", "\"epoch\":-7", "not the JSON"),
            ("\"epoch\":7", "\"epoch\":4611686018427387905", "`epoch`"),
            ("\"epoch\":7", "\"epoch\":7,\"epoch\":7", "duplicate field"),
            ("\"epoch\":7", "\"epoch\":7,\"more\":1", "unknown field"),
            ("\"epoch\":7,", "", "missing field"),
            ("\"primary\":\"b\"", "\"primary\":\"c\"", "`primary`"),
            ("\"a\":\"0000000000000001\"", "\"a\":\"1\"", "`members.a`"),
            ("\"a\":\"0000000000000001\"", "\"a\":null,\"a\":null", "duplicate field"),
            ("\"strength\":\"durable\"", "\"strength\":\"Durable\"", "`strength`"),
            ("ffff", "FFFF", "`pair_id`"),
            ("}", "}}", "not the JSON"),
            ("{", "[", "not the JSON"),
        ] {
            let bad = text.replacen(from, to, 1);
            let error = decode_record(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(want), "{bad}: {error}");
        }
        assert_eq!(decode_record(&vec![b' '; 5000]), Err(ValueError::Long { bytes: 5000 }));
        assert!(decode_record(b"\xff\xfe").is_err());
        assert!(decode_presence(text.as_bytes()).is_err());
    }
}
