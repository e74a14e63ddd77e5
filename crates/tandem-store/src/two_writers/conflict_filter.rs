//! Which conflicts are asked for, and how they are shown.

use tandem_merge::conflict::{Item, Kind, Party};
use tandem_resp::{Args, Reply, parse_u64};
use tandem_types::{Lsn, Pair};

use super::{ConflictEntry, ConflictId};
use crate::failure::Failure;

/// Entries in one answer; the rest is asked for by `SINCE`.
const COUNT_MAX: usize = 1_000;
/// Bytes of one answer, about.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Which entries are asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConflictFilter {
    key: Option<Vec<u8>>,
    kind: Option<Kind>,
    /// Only later ones.
    pub(crate) since: Option<ConflictId>,
    count: usize,
}

impl Default for ConflictFilter {
    fn default() -> Self {
        Self { key: None, kind: None, since: None, count: COUNT_MAX }
    }
}

impl ConflictFilter {
    /// Reads `[KEY pattern] [KIND kind] [SINCE id] [COUNT n]` behind the command's name.
    pub(crate) fn read(args: &Args<'_>) -> Result<Self, Failure> {
        let mut filter = Self::default();
        let mut at = 1;
        while let Some(name) = args.opt(at) {
            let word = args.opt(at + 1).ok_or(Failure::Syntax)?;
            let is = |option: &str| name.eq_ignore_ascii_case(option.as_bytes());
            if is("key") {
                filter.key = Some(word.to_vec());
            } else if is("kind") {
                filter.kind = Some(Kind::of_name(word).ok_or(Failure::Text(KINDS))?);
            } else if is("since") {
                filter.since = Some(ConflictId::parse(word).ok_or(Failure::Text(NO_ID))?);
            } else if is("count") {
                let count = parse_u64(word).and_then(|count| usize::try_from(count).ok());
                filter.count = count.ok_or(Failure::NotInteger)?.min(COUNT_MAX);
            } else {
                return Err(Failure::Syntax);
            }
            at += 2;
        }
        Ok(filter)
    }

    /// Only this one: the filter, and the name before which it is.
    pub fn one(id: ConflictId) -> (Self, ConflictId) {
        let (lsn_end, number) = (id.lsn_end(), id.number());
        let before = number.checked_sub(1).map(|number| ConflictId::new(lsn_end, number));
        let before_lsn = Lsn::new(lsn_end.get().saturating_sub(1));
        let since = before.unwrap_or(ConflictId::new(before_lsn, u32::MAX));
        let filter = Self { since: Some(since), count: 1, ..Self::default() };
        (filter, ConflictId::new(lsn_end, number.saturating_add(1)))
    }

    /// The same, if the words make sense.
    pub fn parse(args: &Args<'_>) -> Option<Self> {
        Self::read(args).ok()
    }

    /// Whether an entry is asked for.
    pub fn fits(&self, entry: &ConflictEntry) -> bool {
        let conflict = &entry.conflict;
        let fits = |glob: &Vec<u8>| tandem_resp::glob_matches(glob, &conflict.key.name, false);
        self.key.as_ref().is_none_or(fits)
            && self.kind.is_none_or(|kind| kind == conflict.kind)
            && self.since.is_none_or(|since| entry.id > since)
    }

    /// Only entries after this one are asked for.
    pub const fn since(&self) -> Option<ConflictId> {
        self.since
    }

    /// Whether an answer of so many entries and bytes is full.
    pub const fn is_full(&self, entries: usize, bytes: usize) -> bool {
        entries >= self.count || bytes >= ANSWER_BYTES_MAX
    }
}

const KINDS: &str = "ERR no such kind of conflict: say lww, delete-update, type, double-pop, \
                     dup-counter, nx, expire-refresh, oversold or salvage";
pub(crate) const NO_ID: &str = "ERR no such id of a conflict: take one from TANDEM PP CONFLICTS \
                                (it keeps a week or 1 GiB; within MULTI only the newest 10000 can be decided)";

/// Writes entries as clients see them.
pub fn show_conflicts(entries: &[ConflictEntry], names: &Pair<String>, reply: &mut Reply<'_>) {
    reply.array(entries.len());
    for entry in entries {
        show(reply, entry, names);
    }
}

fn show(reply: &mut Reply<'_>, entry: &ConflictEntry, names: &Pair<String>) {
    let conflict = &entry.conflict;
    let (item, part): (&str, Option<&[u8]>) = match &conflict.item {
        Item::Key => ("key", None),
        Item::String => ("string", None),
        Item::Field(field) => ("field", Some(field)),
        Item::Member(member) => ("member", Some(member)),
        Item::Score(member) => ("score", Some(member)),
        Item::List => ("list", None),
        Item::Deadline => ("deadline", None),
    };
    reply.map(11);
    reply.bulk(b"id");
    reply.bulk_fmt(format_args!("{}", entry.id));
    reply.bulk(b"time_ms");
    reply.int(i64::try_from(entry.time().get()).unwrap_or(i64::MAX));
    reply.bulk(b"kind");
    reply.bulk(conflict.kind.name().as_bytes());
    reply.bulk(b"db");
    reply.int(conflict.key.db.get().into());
    reply.bulk(b"key");
    reply.bulk(&conflict.key.name);
    reply.bulk(b"item");
    reply.bulk(item.as_bytes());
    reply.bulk(b"part");
    match part {
        Some(part) => reply.bulk(part),
        None => reply.null(),
    }
    for (name, party) in [("winner", &conflict.winner), ("loser", &conflict.loser)] {
        reply.bulk(name.as_bytes());
        show_party(reply, party, names);
    }
    reply.bulk(b"rule");
    reply.bulk(conflict.kind.rule().as_bytes());
    reply.bulk(b"resolved");
    reply.bulk(match entry.resolved {
        Some(true) => b"yes",
        Some(false) => b"no",
        None => b"unknown",
    });
}

fn show_party(reply: &mut Reply<'_>, party: &Party, names: &Pair<String>) {
    reply.map(4);
    reply.bulk(b"node");
    reply.bulk(names[party.side].as_bytes());
    reply.bulk(b"lsn");
    reply.int(i64::try_from(party.lsn.get()).unwrap_or(i64::MAX));
    reply.bulk(b"time_ms");
    reply.int(i64::try_from(party.stamp.wall().get()).unwrap_or(i64::MAX));
    reply.bulk(b"value");
    match &party.value {
        Some(value) => reply.bulk(value),
        None => reply.null(),
    }
}
