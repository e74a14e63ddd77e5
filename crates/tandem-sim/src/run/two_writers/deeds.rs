//! What a client of two writers asks for.

use crate::Random;

/// Requests and how many replies they bring.
pub(crate) type Words = Vec<Vec<Vec<u8>>>;

/// Something that holds one value at a time: the last word on it counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Place {
    /// A string.
    Text(u64),
    /// A field of a hash.
    Field(u64),
    /// A member of a sorted set, and its score.
    Score(u64),
    /// One of two strings that are always written together.
    Both(u64),
}

/// Something that is added to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Sum {
    /// A string.
    Text(u64),
    /// A field of a hash.
    Field(u64),
    /// A score.
    Score(u64),
}

/// One call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Deed {
    /// Says how keys are treated: the policy of this number.
    Policy(usize),
    Add {
        to: Sum,
        by: i64,
    },
    /// Puts so many into a bounded counter, or takes them away.
    Stock {
        key: u64,
        by: i64,
    },
    LookAtStock {
        key: u64,
    },
    /// The next ids of a sequence.
    Ids {
        key: u64,
        count: u64,
    },
    Assign {
        place: Place,
        value: Option<u64>,
    },
    /// Both strings, in one transaction.
    Both {
        value: u64,
    },
    Member {
        member: u64,
        is_in: bool,
    },
    Push {
        key: u64,
        front: bool,
        value: u64,
    },
    Pop {
        key: u64,
        front: bool,
    },
    /// A key that goes by itself.
    Brief {
        key: u64,
        value: u64,
        ms: u64,
    },
    /// It goes later.
    Refresh {
        key: u64,
        ms: u64,
    },
    /// A string that grows.
    Append {
        key: u64,
        value: u64,
    },
    /// Only one may have it, and only one node gives it.
    Lock {
        key: u64,
        value: u64,
    },
    /// Only one may have it, but two may be told so, and then it is told.
    Claim {
        key: u64,
        value: u64,
    },
}

/// Prefixes and what is said of them.
pub(crate) const POLICIES: [(&str, &str); 7] = [
    ("stock:", "bounded"),
    ("id:0", "seq:available,10"),
    ("id:1", "seq:strict,10"),
    ("id:2", "seq:interleaved"),
    ("lock:", "owner=a"),
    ("claim:", "lww"),
    ("closed:", "refuse"),
];

pub(crate) const SEQUENCES: u64 = 3;
/// The sequence that gives every other number.
pub(crate) const INTERLEAVED: u64 = 2;
pub(crate) const STOCKS: u64 = 2;
pub(crate) const SUMS: u64 = 2;
pub(crate) const PLACES: u64 = 3;
pub(crate) const MEMBERS: u64 = 6;
pub(crate) const LISTS: u64 = 2;
pub(crate) const BRIEFS: u64 = 4;
const GROWING: u64 = 2;
const LOCKS: u64 = 12;
const CLAIMS: u64 = 12;

fn word(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// A request by its words, separated by spaces.
pub(super) fn request(text: &str) -> Vec<Vec<u8>> {
    text.split(' ').map(word).collect()
}

impl Place {
    /// All of them.
    pub(super) fn all() -> Vec<Self> {
        let each = |place: fn(u64) -> Self| (0..PLACES).map(place);
        let both = (0..2).map(Self::Both);
        each(Self::Text).chain(each(Self::Field)).chain(each(Self::Score)).chain(both).collect()
    }

    fn draw(random: &mut Random) -> Self {
        let number = random.below(PLACES);
        [Self::Text(number), Self::Field(number), Self::Score(number)][random.index(3)]
    }

    /// Its key, and the part of it.
    pub(super) fn names(self) -> (String, Option<String>) {
        match self {
            Self::Text(number) => (format!("text:{number}"), None),
            Self::Field(number) => ("hash".into(), Some(format!("f{number}"))),
            Self::Score(number) => ("board".into(), Some(format!("m{number}"))),
            Self::Both(number) => (format!("both:{number}"), None),
        }
    }

    fn assign(self, value: Option<u64>) -> Vec<Vec<u8>> {
        let (key, part) = self.names();
        let part = part.unwrap_or_default();
        request(&match (self, value) {
            (Self::Text(_) | Self::Both(_), Some(value)) => format!("SET {key} {value}"),
            (Self::Text(_) | Self::Both(_), None) => format!("DEL {key}"),
            (Self::Field(_), Some(value)) => format!("HSET {key} {part} {value}"),
            (Self::Field(_), None) => format!("HDEL {key} {part}"),
            (Self::Score(_), Some(value)) => format!("ZADD {key} {value} {part}"),
            (Self::Score(_), None) => format!("ZREM {key} {part}"),
        })
    }

    pub(super) fn read(self) -> Vec<Vec<u8>> {
        let (key, part) = self.names();
        let part = part.unwrap_or_default();
        request(&match self {
            Self::Text(_) | Self::Both(_) => format!("GET {key}"),
            Self::Field(_) => format!("HGET {key} {part}"),
            Self::Score(_) => format!("ZSCORE {key} {part}"),
        })
    }
}

impl Sum {
    pub(super) fn all() -> Vec<Self> {
        let each = |sum: fn(u64) -> Self| (0..SUMS).map(sum);
        each(Self::Text).chain(each(Self::Field)).chain(each(Self::Score)).collect()
    }

    fn add(self, by: i64) -> Vec<Vec<u8>> {
        request(&match self {
            Self::Text(number) => format!("INCRBY sum:{number} {by}"),
            Self::Field(number) => format!("HINCRBY sums f{number} {by}"),
            Self::Score(number) => format!("ZINCRBY scores {by} m{number}"),
        })
    }

    pub(super) fn read(self) -> Vec<Vec<u8>> {
        request(&match self {
            Self::Text(number) => format!("GET sum:{number}"),
            Self::Field(number) => format!("HGET sums f{number}"),
            Self::Score(number) => format!("ZSCORE scores m{number}"),
        })
    }
}

impl Deed {
    /// The policy without which this would be another deed.
    pub(crate) fn policy(self) -> Option<usize> {
        match self {
            Self::Stock { .. } | Self::LookAtStock { .. } => Some(0),
            Self::Ids { key, .. } => Some(1 + usize::try_from(key).unwrap_or(0)),
            Self::Lock { .. } => Some(4),
            Self::Claim { .. } => Some(5),
            _ => None,
        }
    }

    pub(crate) const fn writes(self) -> bool {
        !matches!(self, Self::LookAtStock { .. })
    }

    /// The next one; `value` is like no other.
    pub(crate) fn draw(random: &mut Random, value: u64) -> Self {
        match random.below(26) {
            0..=3 => {
                let to = Sum::all()[random.index(3 * usize::try_from(SUMS).unwrap_or(1))];
                // Different increments: a sum says which of them are in it.
                let by = i64::try_from(random.below(1 << 40)).unwrap_or(0) + 1;
                Self::Add { to, by }
            }
            4..=6 => {
                let (key, sold) = (random.below(STOCKS), random.between(1, 6));
                let restocks = random.once_in(5);
                let by = if restocks { random.between(5, 25) } else { sold };
                let by = i64::try_from(by).unwrap_or(1);
                Self::Stock { key, by: if restocks { by } else { -by } }
            }
            7 => Self::LookAtStock { key: random.below(STOCKS) },
            8..=10 => {
                let key = random.below(SEQUENCES);
                // That one gives one at a time.
                let several = key != INTERLEAVED && random.once_in(4);
                let count = if several { random.between(2, 10) } else { 1 };
                Self::Ids { key, count }
            }
            11..=14 => {
                let place = Place::draw(random);
                let value = (!random.once_in(5)).then_some(value);
                Self::Assign { place, value }
            }
            15 => Self::Both { value },
            16 | 17 => Self::Member { member: random.below(MEMBERS), is_in: !random.once_in(3) },
            18 | 19 => Self::Push { key: random.below(LISTS), front: random.once_in(2), value },
            20 => Self::Pop { key: random.below(LISTS), front: random.once_in(2) },
            21 => Self::Brief { key: random.below(BRIEFS), value, ms: random.between(20, 3_000) },
            22 => Self::Refresh { key: random.below(BRIEFS), ms: random.between(20, 3_000) },
            23 => Self::Append { key: random.below(GROWING), value },
            24 => Self::Lock { key: random.below(LOCKS), value },
            _ => Self::Claim { key: random.below(CLAIMS), value },
        }
    }

    /// As it is sent, and how many replies it brings.
    pub(crate) fn words(self) -> (Words, usize) {
        let end = |front: bool| if front { 'L' } else { 'R' };
        let one = match self {
            Self::Policy(number) => {
                let (prefix, policy) = POLICIES[number];
                format!("TANDEM PP POLICY SET {prefix} {policy}")
            }
            Self::Add { to, by } => return (vec![to.add(by)], 1),
            Self::Stock { key, by } if by > 0 => format!("INCRBY stock:{key} {by}"),
            Self::Stock { key, by } => format!("DECRBY stock:{key} {}", -by),
            Self::LookAtStock { key } => format!("GET stock:{key}"),
            Self::Ids { key, count: 1 } => format!("INCR id:{key}"),
            Self::Ids { key, count } => format!("INCRBY id:{key} {count}"),
            Self::Assign { place, value } => return (vec![place.assign(value)], 1),
            Self::Both { value } => {
                let set = |number| Place::Both(number).assign(Some(value));
                return (vec![request("MULTI"), set(0), set(1), request("EXEC")], 4);
            }
            Self::Member { member, is_in: true } => format!("SADD crowd {member}"),
            Self::Member { member, is_in: false } => format!("SREM crowd {member}"),
            Self::Push { key, front, value } => format!("{}PUSH list:{key} {value}", end(front)),
            Self::Pop { key, front } => format!("{}POP list:{key}", end(front)),
            Self::Brief { key, value, ms } => format!("SET brief:{key} {value} PX {ms}"),
            Self::Refresh { key, ms } => format!("PEXPIRE brief:{key} {ms}"),
            Self::Append { key, value } => format!("APPEND log:{key} {value}."),
            Self::Lock { key, value } => format!("SET lock:{key} {value} NX"),
            Self::Claim { key, value } => format!("SET claim:{key} {value} NX"),
        };
        (vec![request(&one)], 1)
    }
}
