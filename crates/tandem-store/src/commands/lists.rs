//! Lists: pushing, popping, looking. Moves and pops from several lists are in files below this one.

pub(crate) mod pops;
pub(crate) mod search;
pub(crate) mod transfer;

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::commands::counted;
use crate::commands::index_range::{index_of, index_range};
use crate::edit::list::ListEdit;
use crate::failure::Failure;
use crate::value::list::List;

/// What all rows share.
const LIST: Command = Command { keys: KeySpec::FIRST, ..Command::of(Group::List) };

const PUSH: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "lpush",
        arity: -3,
        flags: PUSH,
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Prepends one or more elements to a list. Creates the key if it doesn't exist.",
        handler: Handler::data(|ctx| push(ctx, End::Left)),
        ..LIST
    },
    Command {
        name: "rpush",
        arity: -3,
        flags: PUSH,
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Appends one or more elements to a list. Creates the key if it doesn't exist.",
        handler: Handler::data(|ctx| push(ctx, End::Right)),
        ..LIST
    },
    Command {
        name: "lpushx",
        arity: -3,
        flags: PUSH,
        since: "2.2.0",
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Prepends one or more elements to a list only when the list exists.",
        handler: Handler::data(|ctx| push_existing(ctx, End::Left)),
        ..LIST
    },
    Command {
        name: "rpushx",
        arity: -3,
        flags: PUSH,
        since: "2.2.0",
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Appends one or more elements to a list only when the list exists.",
        handler: Handler::data(|ctx| push_existing(ctx, End::Right)),
        ..LIST
    },
    Command {
        name: "lpop",
        arity: -2,
        flags: Flags::WRITE.and(Flags::FAST),
        complexity: "O(N) where N is the number of elements returned",
        summary: "Returns the first elements in a list after removing it. Deletes the list if the last element was popped.",
        handler: Handler::data(|ctx| pop(ctx, End::Left)),
        ..LIST
    },
    Command {
        name: "rpop",
        arity: -2,
        flags: Flags::WRITE.and(Flags::FAST),
        complexity: "O(N) where N is the number of elements returned",
        summary: "Returns and removes the last elements of a list. Deletes the list if the last element was popped.",
        handler: Handler::data(|ctx| pop(ctx, End::Right)),
        ..LIST
    },
    Command {
        name: "llen",
        arity: 2,
        flags: Flags::READONLY.and(Flags::FAST),
        summary: "Returns the length of a list.",
        handler: Handler::data(llen),
        ..LIST
    },
    Command {
        name: "lindex",
        arity: 3,
        flags: Flags::READONLY,
        complexity: "O(N) where N is the number of blocks of elements to step over to get to the element at index; O(1) for the first or the last element.",
        summary: "Returns an element from a list by its index.",
        handler: Handler::data(lindex),
        ..LIST
    },
    Command {
        name: "lrange",
        arity: 4,
        flags: Flags::READONLY,
        complexity: "O(S+N) where S is the distance of start offset from the nearer end, in blocks of elements, and N is the number of elements in the specified range.",
        summary: "Returns a range of elements from a list.",
        handler: Handler::data(lrange),
        ..LIST
    },
    Command {
        name: "lset",
        arity: 4,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        complexity: "O(N) where N is the number of blocks of elements to step over; O(1) for the first or the last element.",
        summary: "Sets the value of an element in a list by its index.",
        handler: Handler::data(lset),
        ..LIST
    },
    Command {
        name: "linsert",
        arity: 5,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        since: "2.2.0",
        complexity: "O(N) where N is the number of elements to traverse before seeing the value pivot.",
        summary: "Inserts an element before or after another element in a list.",
        handler: Handler::data(linsert),
        ..LIST
    },
    Command {
        name: "lrem",
        arity: 4,
        flags: Flags::WRITE,
        complexity: "O(N+M) where N is the length of the list and M is the number of elements removed.",
        summary: "Removes elements from a list. Deletes the list if the last element was removed.",
        handler: Handler::data(lrem),
        ..LIST
    },
    Command {
        name: "ltrim",
        arity: 4,
        flags: Flags::WRITE,
        complexity: "O(N) where N is the number of elements to be removed by the operation.",
        summary: "Removes elements from both ends a list. Deletes the list if all elements were trimmed.",
        handler: Handler::data(ltrim),
        ..LIST
    },
];

/// Where something is put or taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// The first element's side.
    Left,
    /// The last element's side.
    Right,
}

impl End {
    /// Reads `LEFT` or `RIGHT`.
    pub(crate) fn parse(ctx: &Ctx<'_>, at: usize) -> Result<Self, Failure> {
        if ctx.is(at, "left") {
            Ok(Self::Left)
        } else if ctx.is(at, "right") {
            Ok(Self::Right)
        } else {
            Err(Failure::Syntax)
        }
    }

    /// The element at this end.
    pub(crate) fn of(self, list: &List) -> Option<&[u8]> {
        match self {
            Self::Left => list.get(0),
            Self::Right => list.get(list.len().wrapping_sub(1)),
        }
    }

    pub(crate) fn push(self, list: &mut ListEdit<'_>, element: &[u8]) {
        match self {
            Self::Left => list.push_front(element),
            Self::Right => list.push_back(element),
        }
    }

    /// Takes an element out; false if there is none.
    pub(crate) fn pop(self, list: &mut ListEdit<'_>) -> bool {
        match self {
            Self::Left => list.pop_front(),
            Self::Right => list.pop_back(),
        }
    }

    /// Takes `count` elements out, which the list has; the first one taken comes first.
    pub(crate) fn take(
        self,
        list: &mut ListEdit<'_>,
        count: usize,
        reply: &mut tandem_resp::Reply<'_>,
    ) {
        reply.array(count);
        for _ in 0..count {
            reply.bulk(self.of(list).unwrap_or_default());
            self.pop(list);
        }
    }
}

fn push(ctx: &mut Ctx<'_>, end: End) -> Result<(), Failure> {
    let (args, key) = (ctx.args, ctx.key(1));
    let mut list = ctx.keys.edit_or_create_list(key)?;
    args.tail(2).iter().for_each(|element| end.push(&mut list, element));
    ctx.reply.count(list.len());
    Ok(())
}

fn push_existing(ctx: &mut Ctx<'_>, end: End) -> Result<(), Failure> {
    let (args, key) = (ctx.args, ctx.key(1));
    let Some(mut list) = ctx.keys.edit_list(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    args.tail(2).iter().for_each(|element| end.push(&mut list, element));
    ctx.reply.count(list.len());
    Ok(())
}

fn pop(ctx: &mut Ctx<'_>, end: End) -> Result<(), Failure> {
    if ctx.argc() > 3 {
        return Err(ctx.arity_failure());
    }
    let count = if ctx.argc() == 3 { Some(counted::positive(ctx, 2)?) } else { None };
    let key = ctx.key(1);
    let list = ctx.keys.edit_list(key)?;
    match (list, count) {
        (None, None) => ctx.reply.null(),
        (None, Some(_)) => ctx.reply.null_array(),
        (Some(mut list), None) => {
            ctx.reply.bulk(end.of(&list).unwrap_or_default());
            end.pop(&mut list);
        }
        (Some(mut list), Some(count)) => {
            let count = count.min(list.len());
            end.take(&mut list, count, &mut ctx.reply);
        }
    }
    Ok(())
}

fn llen(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let len = ctx.keys.list(ctx.key(1))?.map_or(0, List::len);
    ctx.reply.count(len);
    Ok(())
}

fn lindex(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let Some(list) = ctx.keys.list(ctx.key(1))? else {
        ctx.reply.null();
        return Ok(());
    };
    match index_of(ctx.int(2)?, list.len()).and_then(|index| list.get(index)) {
        Some(element) => ctx.reply.bulk(element),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn lrange(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (first, last) = (ctx.int(2)?, ctx.int(3)?);
    let list = ctx.keys.list(ctx.key(1))?;
    let range = index_range(first, last, list.map_or(0, List::len));
    ctx.reply.array(range.len());
    list.into_iter().flat_map(|list| list.range(range.clone())).for_each(|it| ctx.reply.bulk(it));
    Ok(())
}

fn lset(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (args, key) = (ctx.args, ctx.key(1));
    let index = ctx.int(2);
    let Some(mut list) = ctx.keys.edit_list(key)? else { return Err(Failure::NoSuchKey) };
    let index = index_of(index?, list.len()).ok_or(Failure::IndexOutOfRange)?;
    list.set(index, args.get(3));
    ctx.reply.ok();
    Ok(())
}

fn linsert(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (args, key) = (ctx.args, ctx.key(1));
    let behind = if ctx.is(2, "after") {
        1
    } else if ctx.is(2, "before") {
        0
    } else {
        return Err(Failure::Syntax);
    };
    let Some(mut list) = ctx.keys.edit_list(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let Some(pivot) = list.iter().position(|element| element == args.get(3)) else {
        ctx.reply.int(-1);
        return Ok(());
    };
    list.insert(pivot + behind, args.get(4));
    ctx.reply.count(list.len());
    Ok(())
}

fn lrem(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (count, wanted, key) = (ctx.int(2)?, ctx.arg(3), ctx.key(1));
    let Some(mut list) = ctx.keys.edit_list(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let limit = match usize::try_from(count.unsigned_abs()) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(limit) => limit,
    };
    let matches = |(at, element): (usize, &[u8])| (element == wanted).then_some(at);
    let mut found: Vec<usize> = if count < 0 {
        let last = list.len();
        let from_back = list.iter_back().enumerate().filter_map(matches).take(limit);
        from_back.map(|back| last - 1 - back).collect()
    } else {
        list.iter().enumerate().filter_map(matches).take(limit).collect()
    };
    // From the back, so that the indexes still to come stay right.
    found.sort_unstable_by(|a, b| b.cmp(a));
    for index in &found {
        list.remove(*index);
    }
    ctx.reply.count(found.len());
    Ok(())
}

fn ltrim(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (first, last, key) = (ctx.int(2)?, ctx.int(3)?, ctx.key(1));
    if let Some(mut list) = ctx.keys.edit_list(key)? {
        let keep = index_range(first, last, list.len());
        list.trim(keep);
    }
    ctx.reply.ok();
    Ok(())
}
