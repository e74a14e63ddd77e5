//! Reading from several streams, and waiting for their next entries: `XREAD`, `XREADGROUP`.

use tandem_resp::{Args, Proto, Reply};

use super::groups::no_key_or_group;
use super::{STREAM, ids, reply_entries, reply_entry, reply_id};
use crate::call::{BlockRequest, Ctx, Need, TimeoutReply};
use crate::command::{Command, Flags, Handler, KeyRange, KeySpec};
use crate::edit::stream::{Reading, StreamEdit};
use crate::failure::Failure;
use crate::value::stream::Stream;
use crate::value::stream::id::StreamId;

const KEYS: KeySpec =
    KeySpec::Movable { range: KeyRange { first: 0, last: 0, step: 0 }, find: find_keys };

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "xread",
        arity: -4,
        flags: Flags::READONLY.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
        keys: KEYS,
        complexity: "For each stream mentioned: O(N) with N being the number of elements being returned.",
        summary: "Returns entries of several streams with IDs greater than those given. Can block until there are some.",
        handler: Handler::data(xread),
        ..STREAM
    },
    Command {
        name: "xreadgroup",
        arity: -7,
        flags: Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
        keys: KEYS,
        complexity: "For each stream mentioned: O(M) with M being the number of elements returned.",
        summary: "Returns new or earlier delivered entries of several streams for a consumer in a group. Can block until there are some.",
        handler: Handler::data(xreadgroup),
        ..STREAM
    },
];

/// The keys follow the word `STREAMS`; behind them is one id for each.
fn find_keys(args: &Args<'_>, out: &mut Vec<usize>) -> Result<(), Failure> {
    const INVALID: Failure = Failure::Text("ERR Invalid arguments specified for command");
    let mut at = 1;
    while let Some(word) = args.opt(at) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("streams") {
            let words = args.len() - at - 1;
            if words == 0 || !words.is_multiple_of(2) {
                break;
            }
            out.extend(at + 1..at + 1 + words / 2);
            return Ok(());
        }
        let options = [("block", 2), ("count", 2), ("group", 3), ("noack", 1)];
        let Some((_, words)) = options.into_iter().find(|(name, _)| is(name)) else { break };
        at += words;
    }
    Err(INVALID)
}

/// The words of either command.
#[derive(Clone, Copy, Debug)]
struct Request<'c> {
    /// At most so many entries of each stream.
    count: usize,
    block: Block,
    group: Option<Reading<'c>>,
    noack: bool,
    /// Position of the first key.
    keys: usize,
    /// How many keys there are.
    streams: usize,
}

/// Whether to wait for entries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Block {
    No,
    /// For so many milliseconds; `None`: for ever.
    For(Option<u64>),
}

/// From where on one stream is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Start {
    /// Entries after this one.
    After(StreamId),
    /// `>`: what nobody in the group was given.
    New,
}

fn parse<'c>(ctx: &Ctx<'c>, in_group: bool) -> Result<Request<'c>, Failure> {
    let mut request = Request {
        count: usize::MAX,
        block: Block::No,
        group: None,
        noack: false,
        keys: 0,
        streams: 0,
    };
    let mut at = 1;
    while at < ctx.argc() && request.keys == 0 {
        let more = ctx.argc() - at - 1;
        if ctx.is(at, "block") && more > 0 {
            request.block = Block::For(timeout(ctx, at + 1)?);
            at += 2;
        } else if ctx.is(at, "count") && more > 0 {
            let count = usize::try_from(ctx.int(at + 1)?).unwrap_or(0);
            request.count = if count == 0 { usize::MAX } else { count };
            at += 2;
        } else if ctx.is(at, "streams") && more > 0 {
            if !more.is_multiple_of(2) {
                return Err(Failure::Text(
                    "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be \
                     specified.",
                ));
            }
            (request.keys, request.streams) = (at + 1, more / 2);
        } else if ctx.is(at, "group") && more > 1 {
            if !in_group {
                return Err(Failure::Text(
                    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                ));
            }
            request.group = Some(Reading { group: ctx.arg(at + 1), consumer: ctx.arg(at + 2) });
            at += 3;
        } else if ctx.is(at, "noack") {
            if !in_group {
                return Err(Failure::Text(
                    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                ));
            }
            request.noack = true;
            at += 1;
        } else {
            return Err(Failure::Syntax);
        }
    }
    if request.keys == 0 {
        return Err(Failure::Syntax);
    }
    if in_group && request.group.is_none() {
        return Err(Failure::Text("ERR Missing GROUP option for XREADGROUP"));
    }
    Ok(request)
}

/// Reads a time-out in milliseconds; `None` is for ever.
fn timeout(ctx: &Ctx<'_>, at: usize) -> Result<Option<u64>, Failure> {
    let millis =
        ctx.int(at).map_err(|_| Failure::Text("ERR timeout is not an integer or out of range"))?;
    let millis = u64::try_from(millis).map_err(|_| Failure::Text("ERR timeout is negative"))?;
    // What ends beyond all time ends never.
    let end = ctx.keys.now().get().checked_add(millis).and_then(|end| i64::try_from(end).ok());
    Ok(end.filter(|_| millis > 0).map(|_| millis))
}

impl<'c> Request<'c> {
    /// The streams: for each the position of its key, and from where it is read.
    fn froms(&self, ctx: &Ctx<'c>) -> Result<Vec<(usize, Start)>, Failure> {
        let each = |number| {
            let (key, id) = (self.keys + number, self.keys + self.streams + number);
            Ok((key, self.from(ctx, key, id)?))
        };
        (0..self.streams).map(each).collect()
    }

    fn from(&self, ctx: &Ctx<'c>, key: usize, id: usize) -> Result<Start, Failure> {
        let stream = ctx.keys.stream(ctx.key(key))?;
        if let Some(Reading { group, .. }) = self.group
            && stream.and_then(|stream| stream.group(group)).is_none()
        {
            if ctx.woken {
                return Err(gone(stream.is_some()));
            }
            let how = " in XREADGROUP with GROUP option";
            return Err(no_key_or_group(ctx.arg(key), group, how));
        }
        match (ctx.arg(id), self.group) {
            (b"$", None) => {
                Ok(Start::After(stream.map_or(StreamId::ZERO, |stream| stream.head().last_id)))
            }
            (b"$", Some(_)) => Err(Failure::Text(
                "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the \
                 history of this consumer by specifying a proper ID, or use the > ID to get new \
                 messages. The $ ID would just return an empty result set.",
            )),
            (b">", Some(_)) => Ok(Start::New),
            (b">", None) => Err(Failure::Text(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP \
                 <group> <consumer> option.",
            )),
            (text, group) => match ids::exact(text, 0)? {
                // As in Redis, where `>` is this.
                StreamId::MAX if group.is_some() => Ok(Start::New),
                id => Ok(Start::After(id)),
            },
        }
    }

    fn need(&self, from: Start) -> Need {
        match (from, self.group) {
            (Start::After(id), _) => Need::EntryAfter(id),
            (Start::New, Some(Reading { group, .. })) => Need::NewIn(group.into()),
            // Only a group has what is new.
            (Start::New, None) => Need::EntryAfter(StreamId::MAX),
        }
    }

    /// Nothing is there: waits, or says so.
    fn wait(&self, ctx: &mut Ctx<'c>, froms: &[(usize, Start)]) {
        let timeout_ms = match self.block {
            Block::For(timeout_ms) if !ctx.deny_blocking => timeout_ms,
            Block::For(_) | Block::No => {
                ctx.reply.null_array();
                return;
            }
        };
        let args = ctx.args;
        // `$` means the last entry now, not the last one when something comes.
        let words = self.group.is_none().then(|| {
            let mut words: Vec<Box<[u8]>> = args.iter().map(Box::from).collect();
            for (number, (_, from)) in froms.iter().enumerate() {
                let place = words.get_mut(self.keys + self.streams + number);
                if let (Some(place), Start::After(id)) = (place, from) {
                    *place = id.to_string().into_bytes().into();
                }
            }
            words
        });
        ctx.block = Some(BlockRequest {
            keys: froms.iter().map(|(key, _)| args.get(*key).into()).collect(),
            timeout_ms,
            on_timeout: TimeoutReply::NullArray,
            words,
            needs: froms.iter().map(|(_, from)| self.need(*from)).collect(),
        });
    }
}

/// What is said to who has waited for a group that is gone.
const fn gone(stream_is_there: bool) -> Failure {
    if stream_is_there {
        Failure::Text("NOGROUP the consumer group this client was blocked on no longer exists")
    } else {
        Failure::Text("UNBLOCKED the stream key no longer exists")
    }
}

/// The head of one stream's part of the reply.
fn begin_stream(reply: &mut Reply<'_>, key: &[u8]) {
    if reply.proto() == Proto::Resp2 {
        reply.array(2);
    }
    reply.bulk(key);
}

/// Puts the head before the parts of all streams.
fn end_streams(reply: &mut Reply<'_>, mark: tandem_resp::Mark, count: usize) {
    if reply.proto() == Proto::Resp2 {
        reply.insert_array(mark, count);
    } else {
        reply.insert_map(mark, count);
    }
}

fn xread(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let request = parse(ctx, false)?;
    let froms = match request.froms(ctx) {
        // Somebody else's value came: it is not what was waited for.
        Err(Failure::WrongType) if ctx.woken => {
            request.wait(ctx, &[]);
            return Ok(());
        }
        froms => froms?,
    };
    let mark = ctx.reply.mark();
    let mut count = 0;
    for (key, from) in &froms {
        let Start::After(after) = from else { continue };
        let Some(stream) = ctx.keys.stream(ctx.key(*key))? else { continue };
        let has_more = stream.entries().last().is_some_and(|last| last > *after);
        let Some(first) = after.next().filter(|_| has_more) else { continue };
        begin_stream(&mut ctx.reply, ctx.args.get(*key));
        let entries = stream.entries().range(first, StreamId::MAX);
        reply_entries(&mut ctx.reply, entries.take(request.count));
        count += 1;
    }
    if count > 0 {
        end_streams(&mut ctx.reply, mark, count);
    } else {
        request.wait(ctx, &froms);
    }
    Ok(())
}

fn xreadgroup(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let request = parse(ctx, true)?;
    let Some(by) = request.group else { return Err(Failure::Syntax) };
    let froms = match request.froms(ctx) {
        Err(Failure::WrongType) if ctx.woken => return Err(gone(false)),
        froms => froms?,
    };
    let mark = ctx.reply.mark();
    let (now, args) = (ctx.keys.now(), ctx.args);
    let mut count = 0;
    for (key, from) in &froms {
        let place = ctx.key(*key);
        if *from == Start::New && !has_new(ctx.keys.stream(place)?, by.group) {
            continue;
        }
        let Some(mut stream) = ctx.keys.edit_stream(place)? else { continue };
        begin_stream(&mut ctx.reply, args.get(*key));
        stream.see(by, now);
        match from {
            Start::New => give_new(&mut stream, by, &request, now, &mut ctx.reply),
            Start::After(after) => {
                give_again(&mut stream, by, *after, request.count, now, &mut ctx.reply);
            }
        }
        count += 1;
    }
    if count > 0 {
        end_streams(&mut ctx.reply, mark, count);
    } else {
        request.wait(ctx, &froms);
    }
    Ok(())
}

/// Whether there is an entry that nobody in the group was given.
fn has_new(stream: Option<&Stream>, group: &[u8]) -> bool {
    let Some(stream) = stream else { return false };
    let delivered = stream.group(group).map(|group| group.last_delivered);
    stream.entries().last() > delivered
}

/// Gives a consumer what nobody in its group was given.
fn give_new(
    stream: &mut StreamEdit<'_>,
    by: Reading<'_>,
    request: &Request<'_>,
    now: tandem_types::WallMillis,
    reply: &mut Reply<'_>,
) {
    let Some(group) = stream.group(by.group) else { return };
    let (mut last, mut read) = (group.last_delivered, group.entries_read);
    let first = last.next().unwrap_or(StreamId::MAX);
    let mut given = Vec::new();
    let mark = reply.mark();
    for entry in stream.entries().range(first, StreamId::MAX).take(request.count) {
        reply_entry(reply, entry);
        last = entry.0;
        read = stream.read_after(read, last);
        given.push(last);
    }
    reply.insert_array(mark, given.len());
    if given.is_empty() {
        return;
    }
    stream.set_group(by.group, last, read);
    if !request.noack {
        stream.give(by, now, 1, &given);
    }
}

/// Gives a consumer once more what it was given and has not acknowledged.
fn give_again(
    stream: &mut StreamEdit<'_>,
    by: Reading<'_>,
    after: StreamId,
    count: usize,
    now: tandem_types::WallMillis,
    reply: &mut Reply<'_>,
) {
    let mut again = Vec::new();
    let mark = reply.mark();
    let mut shown = 0;
    let group = stream.group(by.group);
    let consumer = group.and_then(|group| Some((group, group.consumer(by.consumer)?)));
    if let (Some((group, consumer)), Some(first)) = (consumer, after.next()) {
        for id in consumer.pending().range(first..).take(count) {
            shown += 1;
            if let Some(fields) = stream.entries().get(*id) {
                reply_entry(reply, (*id, fields));
                let deliveries = group.pending().get(id).map_or(0, |pending| pending.deliveries);
                again.push((*id, deliveries.saturating_add(1)));
            } else {
                // It was deleted, and is still to be acknowledged.
                reply.array(2);
                reply_id(reply, *id);
                reply.null_array();
            }
        }
    }
    reply.insert_array(mark, shown);
    for (id, deliveries) in again {
        stream.give(by, now, deliveries, &[id]);
    }
}
