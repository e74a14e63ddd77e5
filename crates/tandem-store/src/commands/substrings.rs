//! Parts of strings: `APPEND`, `GETRANGE` and their kin.

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::failure::Failure;

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "strlen",
        arity: 2,
        flags: Flags::READONLY.and(Flags::FAST),
        keys: KeySpec::FIRST,
        since: "2.2.0",
        summary: "Returns the length of a string value.",
        handler: Handler::data(strlen),
        ..Command::of(Group::String)
    },
    Command {
        name: "append",
        arity: 3,
        flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
        keys: KeySpec::FIRST,
        since: "2.0.0",
        summary: "Appends a string to the value of a key. Creates the key if it doesn't exist.",
        handler: Handler::data(append),
        ..Command::of(Group::String)
    },
    Command {
        name: "getrange",
        arity: 4,
        flags: Flags::READONLY,
        keys: KeySpec::FIRST,
        since: "2.4.0",
        complexity: "O(N) where N is the length of the returned string.",
        summary: "Returns a substring of the string stored at a key.",
        handler: Handler::data(getrange),
        ..Command::of(Group::String)
    },
    Command {
        name: "substr",
        arity: 4,
        flags: Flags::READONLY,
        keys: KeySpec::FIRST,
        complexity: "O(N) where N is the length of the returned string.",
        summary: "Returns a substring from a string value.",
        handler: Handler::data(getrange),
        ..Command::of(Group::String)
    },
    Command {
        name: "setrange",
        arity: 4,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        keys: KeySpec::FIRST,
        since: "2.2.0",
        complexity: "O(M) where M is the length of the value.",
        summary: "Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist.",
        handler: Handler::data(setrange),
        ..Command::of(Group::String)
    },
];

fn strlen(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let key = ctx.key(1);
    let length = ctx.keys.string(key)?.map_or(0, <[u8]>::len);
    ctx.reply.count(length);
    Ok(())
}

/// Refuses a string longer than `proto-max-bulk-len`.
pub(crate) fn check_length(ctx: &Ctx<'_>, length: Option<usize>) -> Result<(), Failure> {
    let max = ctx.keys.settings().string_bytes_max;
    match length.map(u64::try_from) {
        Some(Ok(length)) if length <= max => Ok(()),
        _ => Err(Failure::StringTooLong),
    }
}

fn append(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let key = ctx.key(1);
    let old = ctx.keys.string(key)?.map_or(0, <[u8]>::len);
    check_length(ctx, old.checked_add(ctx.arg(2).len()))?;
    let length = ctx.keys.append(key, ctx.arg(2))?;
    ctx.reply.count(length);
    Ok(())
}

fn getrange(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (start, end) = (ctx.int(2)?, ctx.int(3)?);
    let key = ctx.key(1);
    let value = ctx.keys.string(key)?.unwrap_or_default();
    ctx.reply.bulk(part(value, start, end));
    Ok(())
}

/// The bytes from `start` to `end`, both inclusive, negative ones counted from the end.
fn part(value: &[u8], start: i64, end: i64) -> &[u8] {
    let length = i64::try_from(value.len()).unwrap_or(i64::MAX);
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let from_end = |at: i64| if at < 0 { at.saturating_add(length).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(length - 1));
    if start > end || length == 0 {
        return &[];
    }
    let bounds = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    bounds.and_then(|(start, end)| value.get(start..=end)).unwrap_or_default()
}

fn setrange(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let offset = ctx.int(2)?;
    let Ok(offset) = usize::try_from(offset) else {
        return Err(Failure::Text("ERR offset is out of range"));
    };
    let key = ctx.key(1);
    let bytes = ctx.arg(3);
    let old = ctx.keys.string(key)?.map_or(0, <[u8]>::len);
    if bytes.is_empty() {
        ctx.reply.count(old);
        return Ok(());
    }
    check_length(ctx, offset.checked_add(bytes.len()))?;
    let length = ctx.keys.set_range(key, offset, bytes)?;
    ctx.reply.count(length);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn parts_are_cut_as_in_redis() {
        let text = b"This is a string";
        for (start, end, want) in [
            (0, 3, "This"),
            (-3, -1, "ing"),
            (0, -1, "This is a string"),
            (10, 100, "string"),
            (5, 3, ""),
            (-1, -5, ""),
            (-100, 2, "Thi"),
            (100, 200, ""),
            (0, -100, "T"),
            (i64::MIN, i64::MAX, "This is a string"),
        ] {
            assert_eq!(part(text, start, end), want.as_bytes(), "{start} {end}");
        }
        assert_eq!(part(b"", 0, -1), b"");
    }
}
