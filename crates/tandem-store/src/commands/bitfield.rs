//! `BITFIELD`: a string as a row of integers of any width.

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::failure::Failure;

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "bitfield",
        arity: -2,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        keys: KeySpec::FIRST,
        since: "3.2.0",
        complexity: "O(1) for each subcommand specified",
        summary: "Performs arbitrary bitfield integer operations on strings.",
        handler: Handler::data(bitfield),
        ..Command::of(Group::Bitmap)
    },
    Command {
        name: "bitfield_ro",
        arity: -2,
        flags: Flags::READONLY.and(Flags::FAST),
        keys: KeySpec::FIRST,
        since: "6.0.0",
        complexity: "O(1) for each subcommand specified",
        summary: "Performs arbitrary read-only bitfield integer operations on strings.",
        handler: Handler::data(bitfield),
        ..Command::of(Group::Bitmap)
    },
];

/// What happens to a result that does not fit.
#[derive(Clone, Copy, Debug)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

/// An integer's width and sign.
#[derive(Clone, Copy, Debug)]
struct Kind {
    signed: bool,
    bits: u32,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Get,
    Set(i64),
    Incr(i64),
}

/// One subcommand.
#[derive(Clone, Copy, Debug)]
struct Op {
    kind: Kind,
    offset: u64,
    action: Action,
    overflow: Overflow,
}

impl Kind {
    fn parse(word: &[u8]) -> Result<Self, Failure> {
        const BAD: Failure = Failure::Text(
            "ERR Invalid bitfield type. Use something like i16 u8. \
             Note that u64 is not supported but i64 is.",
        );
        let (signed, digits, bits_max) = match word {
            [b'i', digits @ ..] => (true, digits, 64),
            [b'u', digits @ ..] => (false, digits, 63),
            _ => return Err(BAD),
        };
        let bits = tandem_resp::parse_i64(digits).and_then(|bits| u32::try_from(bits).ok());
        match bits {
            Some(bits) if (1..=bits_max).contains(&bits) => Ok(Self { signed, bits }),
            _ => Err(BAD),
        }
    }

    /// Smallest and largest value. Wide enough that no sum of two i64 overflows.
    const fn range(self) -> (i128, i128) {
        if self.signed {
            (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1)
        } else {
            (0, (1 << self.bits) - 1)
        }
    }

    /// The value that these low bits mean.
    const fn value_of(self, raw: i128) -> i128 {
        let raw = raw & ((1 << self.bits) - 1);
        let (_, max) = self.range();
        if raw > max { raw - (1 << self.bits) } else { raw }
    }

    /// The value to write, `None` if it must not be.
    fn fit(self, value: i128, overflow: Overflow) -> Option<i128> {
        let (min, max) = self.range();
        if (min..=max).contains(&value) {
            return Some(value);
        }
        match overflow {
            Overflow::Wrap => Some(self.value_of(value)),
            Overflow::Saturate => Some(value.clamp(min, max)),
            Overflow::Fail => None,
        }
    }
}

fn offset(ctx: &Ctx<'_>, at: usize, kind: Kind) -> Result<u64, Failure> {
    const BAD: Failure = Failure::Text("ERR bit offset is not an integer or out of range");
    let word = ctx.arg(at);
    let (digits, scale) = match word.strip_prefix(b"#") {
        Some(digits) => (digits, u64::from(kind.bits)),
        None => (word, 1),
    };
    let offset = tandem_resp::parse_u64(digits).and_then(|offset| offset.checked_mul(scale));
    let offset = offset.ok_or(BAD)?;
    let end = offset.checked_add(u64::from(kind.bits)).ok_or(BAD)?;
    if end.div_ceil(8) <= ctx.keys.settings().string_bytes_max { Ok(offset) } else { Err(BAD) }
}

fn parse(ctx: &Ctx<'_>) -> Result<Vec<Op>, Failure> {
    let read_only = ctx.command.flags.has(Flags::READONLY);
    let mut ops = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut at = 2;
    while at < ctx.argc() {
        let left = ctx.argc() - at - 1;
        if ctx.is(at, "overflow") && left >= 1 {
            overflow = match ctx.arg(at + 1).to_ascii_lowercase().as_slice() {
                b"wrap" => Overflow::Wrap,
                b"sat" => Overflow::Saturate,
                b"fail" => Overflow::Fail,
                _ => return Err(Failure::Text("ERR Invalid OVERFLOW type specified")),
            };
            at += 2;
            continue;
        }
        let words = match () {
            () if ctx.is(at, "get") && left >= 2 => 2,
            () if (ctx.is(at, "set") || ctx.is(at, "incrby")) && left >= 3 => 3,
            () => return Err(Failure::Syntax),
        };
        let kind = Kind::parse(ctx.arg(at + 1))?;
        let offset = offset(ctx, at + 2, kind)?;
        let action = if words == 2 {
            Action::Get
        } else if read_only {
            return Err(Failure::Text("ERR BITFIELD_RO only supports the GET subcommand"));
        } else if ctx.is(at, "set") {
            Action::Set(ctx.int(at + 3)?)
        } else {
            Action::Incr(ctx.int(at + 3)?)
        };
        ops.push(Op { kind, offset, action, overflow });
        at += 1 + words;
    }
    Ok(ops)
}

fn bitfield(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let ops = parse(ctx)?;
    let key = ctx.key(1);
    ctx.keys.string(key)?;
    ctx.reply.array(ops.len());
    for op in ops {
        let window = Window::of(&op)?;
        let string = ctx.keys.string(key)?.unwrap_or_default();
        let mut bytes = window.read(string);
        let old = op.kind.value_of(window.bits(&bytes));
        let (new, shown) = match op.action {
            Action::Get => (None, Some(old)),
            Action::Set(value) => {
                let new = op.kind.fit(i128::from(value), op.overflow);
                (new, new.map(|_| old))
            }
            Action::Incr(delta) => {
                let new = op.kind.fit(old + i128::from(delta), op.overflow);
                (new, new)
            }
        };
        if let Some(new) = new {
            window.put(&mut bytes, new);
            ctx.keys.set_range(key, window.first, &bytes[..window.len])?;
        }
        match shown.and_then(|shown| i64::try_from(shown).ok()) {
            Some(shown) => ctx.reply.int(shown),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

/// The bytes of a string that an integer touches, at most nine.
struct Window {
    first: usize,
    len: usize,
    /// Bits after the integer's last one in the window.
    shift: u32,
    kind: Kind,
}

impl Window {
    const BYTES_MAX: usize = 9;

    fn of(op: &Op) -> Result<Self, Failure> {
        let end = op.offset + u64::from(op.kind.bits);
        let (first, last) = (op.offset / 8, end.div_ceil(8));
        let narrow = |at: u64| usize::try_from(at).map_err(|_| Failure::StringTooLong);
        let shift = u32::try_from(last * 8 - end).map_err(|_| Failure::StringTooLong)?;
        Ok(Self { first: narrow(first)?, len: narrow(last - first)?, shift, kind: op.kind })
    }

    /// The bytes, zeros beyond the string's end.
    fn read(&self, string: &[u8]) -> [u8; Self::BYTES_MAX] {
        let mut bytes = [0; Self::BYTES_MAX];
        for (to, from) in bytes[..self.len].iter_mut().zip(string.iter().skip(self.first)) {
            *to = *from;
        }
        bytes
    }

    fn bits(&self, bytes: &[u8]) -> i128 {
        let all = bytes[..self.len].iter().fold(0i128, |all, byte| (all << 8) | i128::from(*byte));
        all >> self.shift
    }

    fn put(&self, bytes: &mut [u8], value: i128) {
        let mask = ((1i128 << self.kind.bits) - 1) << self.shift;
        let all = bytes[..self.len].iter().fold(0i128, |all, byte| (all << 8) | i128::from(*byte));
        let all = (all & !mask) | ((value << self.shift) & mask);
        let wide = all.to_be_bytes();
        bytes[..self.len].copy_from_slice(&wide[wide.len() - self.len..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_integer_at_any_offset_is_read_as_written() {
        for bits in 1..=64 {
            for signed in [true, false] {
                if bits == 64 && !signed {
                    continue;
                }
                let kind = Kind { signed, bits };
                let (min, max) = kind.range();
                for offset in 0..9 {
                    for value in [min, max, 0, max / 3] {
                        let op = Op { kind, offset, action: Action::Get, overflow: Overflow::Wrap };
                        let window = Window::of(&op).unwrap();
                        let mut bytes = window.read(&[0xff; 20]);
                        window.put(&mut bytes, value);
                        assert_eq!(
                            kind.value_of(window.bits(&bytes)),
                            value,
                            "{kind:?} at {offset}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_wraps_saturates_or_fails() {
        let kind = Kind::parse(b"i8").unwrap();
        assert_eq!(kind.fit(128, Overflow::Wrap), Some(-128));
        assert_eq!(kind.fit(300, Overflow::Saturate), Some(127));
        assert_eq!(kind.fit(-129, Overflow::Fail), None);
        assert!(Kind::parse(b"u64").is_err() && Kind::parse(b"i64").is_ok());
    }
}
