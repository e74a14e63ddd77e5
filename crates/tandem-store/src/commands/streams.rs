//! Streams: entries in and out. Reading by several, groups and what they owe are in files below this one.

pub(crate) mod groups;
mod ids;
pub(crate) mod info;
pub(crate) mod pending;
pub(crate) mod read;
mod trim;

use tandem_resp::Reply;

use self::ids::NewId;
use self::trim::TrimOptions;
use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::edit::stream::StreamEdit;
use crate::failure::Failure;
use crate::value::stream::fields::{Fields, pack};
use crate::value::stream::id::{ID_TEXT_MAX, StreamId};
use crate::value::stream::{Head, Stream};

/// What all rows share.
pub(crate) const STREAM: Command =
    Command { keys: KeySpec::FIRST, since: "5.0.0", ..Command::of(Group::Stream) };

const ADD: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);
const RANGE: &str = "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).";

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "xadd",
        arity: -5,
        flags: ADD,
        complexity: "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
        summary: "Appends a new entry to a stream. Creates the key if it doesn't exist.",
        handler: Handler::data(xadd),
        ..STREAM
    },
    Command {
        name: "xlen",
        arity: 2,
        flags: Flags::READONLY.and(Flags::FAST),
        summary: "Returns the number of entries of a stream.",
        handler: Handler::data(xlen),
        ..STREAM
    },
    Command {
        name: "xrange",
        arity: -4,
        flags: Flags::READONLY,
        complexity: RANGE,
        summary: "Returns the entries of a stream within a range of IDs.",
        handler: Handler::data(|ctx| xrange(ctx, Order::Forward)),
        ..STREAM
    },
    Command {
        name: "xrevrange",
        arity: -4,
        flags: Flags::READONLY,
        complexity: RANGE,
        summary: "Returns the entries of a stream within a range of IDs, the latest first.",
        handler: Handler::data(|ctx| xrange(ctx, Order::Backward)),
        ..STREAM
    },
    Command {
        name: "xdel",
        arity: -3,
        flags: Flags::WRITE.and(Flags::FAST),
        complexity: "O(log(N)) for each entry, N being the number of blocks of entries.",
        summary: "Removes entries from a stream by their IDs and returns how many there were.",
        handler: Handler::data(xdel),
        ..STREAM
    },
    Command {
        name: "xtrim",
        arity: -4,
        flags: Flags::WRITE,
        complexity: "O(N) with N being the number of evicted entries.",
        summary: "Removes the oldest entries of a stream, those beyond a length or before an ID.",
        handler: Handler::data(xtrim),
        ..STREAM
    },
    Command {
        name: "xsetid",
        arity: -3,
        flags: ADD,
        summary: "Sets the last ID that a stream has given.",
        handler: Handler::data(xsetid),
        ..STREAM
    },
];

/// Writes an id.
fn reply_id(reply: &mut Reply<'_>, id: StreamId) {
    reply.bulk(id.text(&mut [0; ID_TEXT_MAX]));
}

/// Writes an entry: its id, and its fields and values in turn.
fn reply_entry(reply: &mut Reply<'_>, (id, fields): (StreamId, Fields<'_>)) {
    reply.array(2);
    reply_id(reply, id);
    reply.array(fields.len());
    for word in fields.iter() {
        reply.bulk(word);
    }
}

/// Writes entries, whose number is not known yet.
fn reply_entries<'e>(reply: &mut Reply<'_>, entries: impl Iterator<Item = (StreamId, Fields<'e>)>) {
    let (mark, mut count) = (reply.mark(), 0);
    for entry in entries {
        reply_entry(reply, entry);
        count += 1;
    }
    reply.insert_array(mark, count);
}

fn xadd(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let mut options = TrimOptions::default();
    let (mut at, mut makes) = (2, true);
    let new = loop {
        if at >= ctx.argc() {
            return Err(ctx.arity_failure());
        }
        if let Some(next) = options.read(ctx, at)? {
            at = next;
        } else if ctx.is(at, "nomkstream") {
            makes = false;
            at += 1;
        } else {
            break ids::new(ctx.arg(at))?;
        }
    };
    let trim = options.finish(ctx)?;
    let words = ctx.argc() - at - 1;
    if words == 0 || !words.is_multiple_of(2) {
        return Err(ctx.arity_failure());
    }
    if new == NewId::Exactly(StreamId::ZERO) {
        return Err(Failure::Text("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let args = ctx.args.tail(at + 1);
    let packed = pack((0..words).map(|word| args.get(word)));
    let fields = Fields::of_packed(&packed)
        .ok_or(Failure::Text("ERR Elements are too large to be stored"))?;
    let key = ctx.key(1);
    let now = ctx.keys.now().get();
    let last = ctx.keys.stream(key)?.map(|stream| stream.head().last_id);
    if last.is_none() && !makes {
        ctx.reply.null();
        return Ok(());
    }
    let id = next_id(last.unwrap_or_default(), new, now)?;
    let mut stream = ctx.keys.edit_or_create_stream(key)?;
    if !stream.add(id, fields) {
        return Err(TOO_SMALL);
    }
    if let Some(trim) = trim {
        trim.apply(&mut stream);
    }
    reply_id(&mut ctx.reply, id);
    Ok(())
}

const TOO_SMALL: Failure = Failure::Text(
    "ERR The ID specified in XADD is equal or smaller than the target stream top item",
);

/// The id that an entry gets after `last`.
fn next_id(last: StreamId, new: NewId, now: u64) -> Result<StreamId, Failure> {
    const EXHAUSTED: Failure = Failure::Text(
        "ERR The stream has exhausted the last possible ID, unable to add more items",
    );
    let after = last.next().ok_or(EXHAUSTED)?;
    match new {
        // A clock that went back does not take the ids back.
        NewId::ByClock if now > last.ms => Ok(StreamId { ms: now, seq: 0 }),
        NewId::ByClock => Ok(after),
        NewId::Within(ms) if ms == last.ms && after.ms == ms => Ok(after),
        NewId::Within(ms) if ms > last.ms => Ok(StreamId { ms, seq: 0 }),
        NewId::Exactly(id) if id > last => Ok(id),
        NewId::Within(_) | NewId::Exactly(_) => Err(TOO_SMALL),
    }
}

fn xlen(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let length = ctx.keys.stream(ctx.key(1))?.map_or(0, Stream::len);
    ctx.reply.count(length);
    Ok(())
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Order {
    Forward,
    Backward,
}

fn xrange(ctx: &mut Ctx<'_>, order: Order) -> Result<(), Failure> {
    let (start, end) = if order == Order::Forward { (2, 3) } else { (3, 2) };
    let (start, end) = (ids::start(ctx.arg(start))?, ids::end(ctx.arg(end))?);
    let mut count = usize::MAX;
    let mut at = 4;
    while at < ctx.argc() {
        if !ctx.is(at, "count") || at + 1 >= ctx.argc() {
            return Err(Failure::Syntax);
        }
        count = usize::try_from(ctx.int(at + 1)?).unwrap_or(0);
        at += 2;
    }
    let Some(stream) = ctx.keys.stream(ctx.key(1))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    if count == 0 {
        ctx.reply.null_array();
        return Ok(());
    }
    let range = stream.entries().range(start, end);
    match order {
        Order::Forward => reply_entries(&mut ctx.reply, range.take(count)),
        Order::Backward => reply_entries(&mut ctx.reply, range.rev().take(count)),
    }
    Ok(())
}

/// Words from `at` on as ids; all are read before anything is done.
fn ids_from(ctx: &Ctx<'_>, at: usize) -> Result<Vec<StreamId>, Failure> {
    (at..ctx.argc()).map(|at| ids::exact(ctx.arg(at), 0)).collect()
}

/// Opens the stream at word 1.
fn open<'s>(ctx: &'s mut Ctx<'_>) -> Result<Option<StreamEdit<'s>>, Failure> {
    let key = ctx.key(1);
    ctx.keys.edit_stream(key)
}

fn xdel(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    if ctx.keys.stream(ctx.key(1))?.is_none() {
        ctx.reply.int(0);
        return Ok(());
    }
    let ids = ids_from(ctx, 2)?;
    let mut deleted = 0;
    if let Some(mut stream) = open(ctx)? {
        deleted = ids.into_iter().filter(|id| stream.delete(*id)).count();
    }
    ctx.reply.count(deleted);
    Ok(())
}

fn xtrim(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let mut options = TrimOptions::default();
    let mut at = 2;
    while at < ctx.argc() {
        at = options.read(ctx, at)?.ok_or(Failure::Syntax)?;
    }
    let trim = options
        .finish(ctx)?
        .ok_or(Failure::Text("ERR syntax error, XTRIM must be called with a trimming strategy"))?;
    let mut trimmed = 0;
    if let Some(mut stream) = open(ctx)? {
        trimmed = trim.apply(&mut stream);
    }
    ctx.reply.count(trimmed);
    Ok(())
}

fn xsetid(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let last_id = ids::exact(ctx.arg(2), 0)?;
    let (mut entries_added, mut max_deleted) = (None, StreamId::ZERO);
    let mut at = 3;
    while at < ctx.argc() {
        if at + 1 >= ctx.argc() {
            return Err(Failure::Syntax);
        }
        if ctx.is(at, "entriesadded") {
            let added = u64::try_from(ctx.int(at + 1)?)
                .map_err(|_| Failure::Text("ERR entries_added must be positive"))?;
            entries_added = Some(added);
        } else if ctx.is(at, "maxdeletedid") {
            max_deleted = ids::exact(ctx.arg(at + 1), 0)?;
            if last_id < max_deleted {
                return Err(Failure::Text(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
        } else {
            return Err(Failure::Syntax);
        }
        at += 2;
    }
    let Some(stream) = ctx.keys.stream(ctx.key(1))? else { return Err(Failure::NoSuchKey) };
    let head = new_head(stream, last_id, entries_added, max_deleted)?;
    if let Some(mut stream) = open(ctx)? {
        stream.set_head(head);
    }
    ctx.reply.ok();
    Ok(())
}

fn new_head(
    stream: &Stream,
    last_id: StreamId,
    entries_added: Option<u64>,
    max_deleted: StreamId,
) -> Result<Head, Failure> {
    let old = stream.head();
    if stream.entries().last().is_some_and(|top| last_id < top) {
        return Err(Failure::Text(
            "ERR The ID specified in XSETID is smaller than the target stream top item",
        ));
    }
    let length = u64::try_from(stream.len()).unwrap_or(u64::MAX);
    if stream.len() > 0 && entries_added.is_some_and(|added| added < length) {
        return Err(Failure::Text(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    Ok(Head {
        last_id,
        max_deleted: if max_deleted == StreamId::ZERO { old.max_deleted } else { max_deleted },
        entries_added: entries_added.unwrap_or(old.entries_added),
    })
}
