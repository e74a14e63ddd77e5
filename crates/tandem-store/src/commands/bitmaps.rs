//! Strings as rows of bits: `SETBIT`, `BITCOUNT` and their kin. Bit 0 is the highest of byte 0.

use std::ops::Range;

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::failure::Failure;

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "setbit",
        arity: 4,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        keys: KeySpec::FIRST,
        since: "2.2.0",
        summary: "Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist.",
        handler: Handler::data(setbit),
        ..Command::of(Group::Bitmap)
    },
    Command {
        name: "getbit",
        arity: 3,
        flags: Flags::READONLY.and(Flags::FAST),
        keys: KeySpec::FIRST,
        since: "2.2.0",
        summary: "Returns a bit value by offset.",
        handler: Handler::data(getbit),
        ..Command::of(Group::Bitmap)
    },
    Command {
        name: "bitcount",
        arity: -2,
        flags: Flags::READONLY,
        keys: KeySpec::FIRST,
        since: "2.6.0",
        complexity: "O(N)",
        summary: "Counts the number of set bits (population counting) in a string.",
        handler: Handler::data(bitcount),
        ..Command::of(Group::Bitmap)
    },
    Command {
        name: "bitpos",
        arity: -3,
        flags: Flags::READONLY,
        keys: KeySpec::FIRST,
        since: "2.8.7",
        complexity: "O(N)",
        summary: "Finds the first set (1) or clear (0) bit in a string.",
        handler: Handler::data(bitpos),
        ..Command::of(Group::Bitmap)
    },
    Command {
        name: "bitop",
        arity: -4,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        keys: KeySpec::range(2, -1, 1),
        since: "2.6.0",
        complexity: "O(N)",
        summary: "Performs bitwise operations on multiple strings, and stores the result.",
        handler: Handler::data(bitop),
        ..Command::of(Group::Bitmap)
    },
];

const BAD_OFFSET: Failure = Failure::Text("ERR bit offset is not an integer or out of range");
const BAD_BIT: Failure = Failure::Text("ERR bit is not an integer or out of range");

/// The bit offset in a word, checked against the longest string.
fn bit_offset(ctx: &Ctx<'_>, at: usize) -> Result<u64, Failure> {
    let offset = tandem_resp::parse_u64(ctx.arg(at)).ok_or(BAD_OFFSET)?;
    if offset / 8 < ctx.keys.settings().string_bytes_max { Ok(offset) } else { Err(BAD_OFFSET) }
}

/// The byte that holds a bit, and the mask of the bit in it.
fn place(offset: u64) -> Result<(usize, u8), Failure> {
    let byte = usize::try_from(offset / 8).map_err(|_| BAD_OFFSET)?;
    Ok((byte, 0x80 >> (offset % 8)))
}

fn bit_at(bytes: &[u8], byte: usize, mask: u8) -> bool {
    bytes.get(byte).is_some_and(|found| found & mask != 0)
}

fn setbit(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (byte, mask) = place(bit_offset(ctx, 2)?)?;
    let on = match ctx.arg(3) {
        b"0" => false,
        b"1" => true,
        _ => return Err(BAD_BIT),
    };
    let key = ctx.key(1);
    let string = ctx.keys.string(key)?.unwrap_or_default();
    let old = string.get(byte).copied();
    let was = old.is_some_and(|old| old & mask != 0);
    if old.is_none() || was != on {
        let kept = old.unwrap_or(0) & !mask;
        ctx.keys.set_range(key, byte, &[if on { kept | mask } else { kept }])?;
    }
    ctx.reply.int(i64::from(was));
    Ok(())
}

fn getbit(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (byte, mask) = place(bit_offset(ctx, 2)?)?;
    let key = ctx.key(1);
    let on = bit_at(ctx.keys.string(key)?.unwrap_or_default(), byte, mask);
    ctx.reply.int(i64::from(on));
    Ok(())
}

/// `start`, `end` and unit as a client wrote them.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: i64,
    end: i64,
    bits: bool,
}

/// The unit in word `at`, bytes if there is none.
fn unit_is_bits(ctx: &Ctx<'_>, at: usize) -> Result<bool, Failure> {
    if at >= ctx.argc() || ctx.is(at, "byte") {
        Ok(false)
    } else if ctx.is(at, "bit") {
        Ok(true)
    } else {
        Err(Failure::Syntax)
    }
}

impl Span {
    /// The bits that are meant in a string of so many bytes.
    fn of(self, bytes: usize) -> Range<u64> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX / 8);
        let total = if self.bits { bytes * 8 } else { bytes };
        let from_end = |at: i64| if at < 0 { at.saturating_add(total).max(0) } else { at };
        let (start, end) = (from_end(self.start), from_end(self.end).min(total - 1));
        if start > end {
            return 0..0;
        }
        let scale = if self.bits { 1 } else { 8 };
        let bit = |at: i64| u64::try_from(at).unwrap_or(0) * scale;
        bit(start)..bit(end + 1)
    }
}

fn bitcount(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let span = match ctx.argc() {
        2 => Span { start: 0, end: -1, bits: false },
        4 | 5 => Span { start: ctx.int(2)?, end: ctx.int(3)?, bits: unit_is_bits(ctx, 4)? },
        _ => return Err(Failure::Syntax),
    };
    // Redis has this rule here and not in BITPOS.
    let backwards = span.start < 0 && span.end < 0 && span.start > span.end;
    let key = ctx.key(1);
    let string = ctx.keys.string(key)?.unwrap_or_default();
    let count = if backwards { 0 } else { ones(string, span.of(string.len())) };
    ctx.reply.int(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(())
}

/// Set bits among `bits`, which lie within `string`.
fn ones(string: &[u8], bits: Range<u64>) -> u64 {
    let (first, last) = (bits.start / 8, bits.end.div_ceil(8));
    let bytes = usize::try_from(first).ok().zip(usize::try_from(last).ok());
    let bytes = bytes.and_then(|(first, last)| string.get(first..last)).unwrap_or_default();
    let all: u64 = bytes.iter().map(|byte| u64::from(byte.count_ones())).sum();
    let (Some(head), Some(tail)) = (bytes.first(), bytes.last()) else { return 0 };
    let before = head & !(0xff >> (bits.start % 8));
    let after = tail & ((1u16 << ((8 - bits.end % 8) % 8)) - 1).to_le_bytes()[0];
    all - u64::from(before.count_ones()) - u64::from(after.count_ones())
}

fn bitpos(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let wanted = match ctx.int(2)? {
        0 => false,
        1 => true,
        _ => return Err(Failure::Text("ERR The bit argument must be 1 or 0.")),
    };
    if ctx.argc() > 6 {
        return Err(Failure::Syntax);
    }
    let start = if ctx.argc() > 3 { ctx.int(3)? } else { 0 };
    let end = if ctx.argc() > 4 { ctx.int(4)? } else { -1 };
    let span = Span { start, end, bits: unit_is_bits(ctx, 5)? };
    let key = ctx.key(1);
    let Some(string) = ctx.keys.string(key)? else {
        ctx.reply.int(if wanted { -1 } else { 0 });
        return Ok(());
    };
    let bits = span.of(string.len());
    let past_the_end = !wanted && ctx.argc() < 5 && !bits.is_empty();
    let found = first_bit(string, wanted, bits.clone());
    // Without an end, the string is seen as if zeros followed.
    let found = found.or_else(|| past_the_end.then_some(bits.end));
    ctx.reply.int(found.map_or(-1, |at| i64::try_from(at).unwrap_or(i64::MAX)));
    Ok(())
}

/// The first bit of this value among `bits`, which lie within `string`.
fn first_bit(string: &[u8], wanted: bool, bits: Range<u64>) -> Option<u64> {
    let dull = if wanted { 0 } else { 0xff };
    let mut at = bits.start;
    while at < bits.end {
        let (byte, mask) = place(at).ok()?;
        let found = *string.get(byte)?;
        if at.is_multiple_of(8) && found == dull {
            at += 8;
        } else if (found & mask != 0) == wanted {
            return Some(at);
        } else {
            at += 1;
        }
    }
    None
}

/// What `BITOP` does to two bytes.
type Combine = fn(u8, u8) -> u8;

fn bitop(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let combine: Option<Combine> = match ctx.arg(1).to_ascii_lowercase().as_slice() {
        b"and" => Some(|left, right| left & right),
        b"or" => Some(|left, right| left | right),
        b"xor" => Some(|left, right| left ^ right),
        b"not" => None,
        _ => return Err(Failure::Syntax),
    };
    if combine.is_none() && ctx.argc() != 4 {
        return Err(Failure::Text("ERR BITOP NOT must be called with a single source key."));
    }
    let mut sources = Vec::with_capacity(ctx.argc() - 3);
    for at in 3..ctx.argc() {
        let key = ctx.key(at);
        sources.push(ctx.keys.string(key)?.unwrap_or_default());
    }
    let result = combined(&sources, combine);
    let target = ctx.key(2);
    if result.is_empty() {
        ctx.keys.delete(target);
    } else {
        ctx.keys.set_string(target, &result, None);
    }
    ctx.reply.count(result.len());
    Ok(())
}

/// Shorter strings are seen as if zeros followed.
fn combined(sources: &[&[u8]], combine: Option<Combine>) -> Vec<u8> {
    let length = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let mut result = sources.first().map_or_else(Vec::new, |first| first.to_vec());
    result.resize(length, 0);
    let Some(combine) = combine else {
        for byte in &mut result {
            *byte = !*byte;
        }
        return result;
    };
    for source in &sources[1..] {
        let padded = source.iter().copied().chain(std::iter::repeat(0));
        for (byte, other) in result.iter_mut().zip(padded) {
            *byte = combine(*byte, other);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive_ones(string: &[u8], bits: Range<u64>) -> u64 {
        bits.filter(|at| place(*at).is_ok_and(|(byte, mask)| bit_at(string, byte, mask))).count()
            as u64
    }

    #[test]
    fn counting_and_finding_agree_with_a_walk_over_all_bits() {
        let string = [0x00, 0xff, 0xf0, 0x0f, 0x81, 0xff];
        for start in 0..=48 {
            for end in start..=48 {
                assert_eq!(
                    ones(&string, start..end),
                    naive_ones(&string, start..end),
                    "{start} {end}"
                );
                for wanted in [false, true] {
                    let naive = (start..end).find(|at| {
                        place(*at).is_ok_and(|(byte, mask)| bit_at(&string, byte, mask) == wanted)
                    });
                    assert_eq!(first_bit(&string, wanted, start..end), naive, "{start} {end}");
                }
            }
        }
    }
}
