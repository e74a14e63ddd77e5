//! Walking the key space: `SCAN` and `KEYS`.
//!
//! A cursor is `slot * 65536 + position`. A key's position within its slot comes from its name alone
//! (`key::scan_position`), so a cursor means the same after any table has grown, on the other node,
//! and after a restart: a key that is there from start to end is returned, exactly once.

use tandem_resp::glob_matches;
use tandem_types::SLOT_COUNT;

use crate::call::Ctx;
use crate::command::{Categories, Command, Flags, Group, Handler};
use crate::database::Slot;
use crate::entry::Entry;
use crate::failure::Failure;
use crate::key::scan_position;

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "scan",
        arity: -2,
        flags: Flags::READONLY,
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration.",
        summary: "Iterates over the key names in the database.",
        handler: Handler::data(scan),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "keys",
        arity: 2,
        flags: Flags::READONLY,
        categories: Categories::DANGEROUS,
        complexity: "O(N) with N being the number of keys in the database.",
        summary: "Returns all key names that match a pattern.",
        handler: Handler::data(keys),
        ..Command::of(Group::Generic)
    },
];

/// Positions of one slot.
const POSITIONS: u64 = 1 << 16;
/// Keys of a slot up to which it is walked in one step.
const STEP_KEYS: u64 = 512;
/// Keys that one call looks at, whatever its COUNT; it may look at one slot's table more.
const LOOKED_AT_MAX: usize = 32_768;

/// `MATCH`, `COUNT` and `TYPE` of the `SCAN` family.
#[derive(Debug)]
pub(crate) struct ScanOptions<'c> {
    /// Pattern that keys or elements must match.
    pub(crate) pattern: Option<&'c [u8]>,
    /// How many the client would like.
    pub(crate) count: usize,
    /// Type that keys must have (`SCAN` only).
    pub(crate) type_name: Option<&'c [u8]>,
}

impl<'c> ScanOptions<'c> {
    /// Reads the options from word `at` on.
    pub(crate) fn parse(ctx: &Ctx<'c>, mut at: usize, with_type: bool) -> Result<Self, Failure> {
        let mut options = Self { pattern: None, count: 10, type_name: None };
        while at < ctx.argc() {
            if at + 1 >= ctx.argc() {
                return Err(Failure::Syntax);
            }
            if ctx.is(at, "match") {
                options.pattern = Some(ctx.arg(at + 1)).filter(|pattern| *pattern != b"*");
            } else if ctx.is(at, "count") {
                let count = ctx.int(at + 1)?;
                if count < 1 {
                    return Err(Failure::Syntax);
                }
                options.count = usize::try_from(count).unwrap_or(usize::MAX);
            } else if with_type && ctx.is(at, "type") {
                options.type_name = Some(ctx.arg(at + 1));
            } else {
                return Err(Failure::Syntax);
            }
            at += 2;
        }
        Ok(options)
    }

    /// True if a key or element passes `MATCH`.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob_matches(pattern, name, false))
    }

    fn shows(&self, entry: &Entry) -> bool {
        let right_type = self
            .type_name
            .is_none_or(|name| name.eq_ignore_ascii_case(entry.value().type_name().as_bytes()));
        right_type && self.matches(entry.key())
    }
}

/// The cursor that a client sent.
pub(crate) fn cursor(text: &[u8]) -> Result<u64, Failure> {
    tandem_resp::parse_u64(text).ok_or(Failure::Text("ERR invalid cursor"))
}

fn scan(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let mut cursor = cursor(ctx.arg(1))?;
    let options = ScanOptions::parse(ctx, 2, true)?;
    let end = u64::from(SLOT_COUNT) * POSITIONS;
    let mut found: Vec<&[u8]> = Vec::new();
    let (mut looked_at, mut walked) = (0, 0);
    let keys = &ctx.keys;
    if let Some(database) = keys.database() {
        keys.note_seen(database.counts.last_write_end);
        while cursor < end && walked < options.count && looked_at < LOOKED_AT_MAX {
            let slot = u16::try_from(cursor / POSITIONS).unwrap_or(0);
            let slot = database.slot(slot);
            let step = Step::new(slot, cursor);
            for entry in step.entries(slot) {
                walked += 1;
                if !entry.is_expired(keys.now()) && options.shows(entry) {
                    found.push(entry.key());
                }
            }
            looked_at += slot.table.len() + 1;
            cursor = step.next;
        }
    } else {
        cursor = end;
    }
    ctx.reply.array(2);
    let next = if cursor >= end { 0 } else { cursor };
    ctx.reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    ctx.reply.array(found.len());
    for key in found {
        ctx.reply.bulk(key);
    }
    Ok(())
}

/// A part of one slot: the keys at some positions.
struct Step {
    from: u64,
    to: u64,
    next: u64,
}

impl Step {
    fn new(slot: &Slot, cursor: u64) -> Self {
        let from = cursor % POSITIONS;
        let keys = u64::try_from(slot.table.len()).unwrap_or(u64::MAX);
        let parts = keys.div_ceil(STEP_KEYS).clamp(1, POSITIONS);
        let to = (from + POSITIONS / parts).min(POSITIONS);
        Self { from, to, next: cursor - from + to }
    }

    fn entries<'s>(&self, slot: &'s Slot) -> impl Iterator<Item = &'s Entry> {
        let (from, to) = (self.from, self.to);
        let all = from == 0 && to == POSITIONS;
        slot.table
            .iter()
            .filter(move |entry| all || (from..to).contains(&u64::from(scan_position(entry.key()))))
    }
}

fn keys(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let pattern = ctx.arg(1);
    let mark = ctx.reply.mark();
    let mut count = 0;
    let keys = &ctx.keys;
    if let Some(database) = keys.database() {
        keys.note_seen(database.counts.last_write_end);
        for entry in database.slots.iter().flat_map(|slot| slot.table.iter()) {
            let matches = pattern == b"*" || glob_matches(pattern, entry.key(), false);
            if matches && !entry.is_expired(keys.now()) {
                ctx.reply.bulk(entry.key());
                count += 1;
            }
        }
    }
    ctx.reply.insert_array(mark, count);
    Ok(())
}
