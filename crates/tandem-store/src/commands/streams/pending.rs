//! What was given and not acknowledged: `XPENDING`, `XCLAIM`, `XAUTOCLAIM`.

use std::time::Duration;

use tandem_resp::Args;
use tandem_types::WallMillis;

use super::groups::{no_key_or_group, shown};
use super::{STREAM, ids, open, reply_entry, reply_id};
use crate::call::Ctx;
use crate::command::{Command, Flags, Handler};
use crate::edit::stream::{Reading, StreamEdit};
use crate::failure::Failure;
use crate::keys::Keys;
use crate::value::stream::group::{Consumer, Group, Pending};
use crate::value::stream::id::StreamId;

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "xpending",
        arity: -3,
        flags: Flags::READONLY,
        complexity: "O(N) with N being the number of elements returned, or scanned when used with the IDLE filter.",
        summary: "Returns the entries that a consumer group was given and has not acknowledged.",
        handler: Handler::data(xpending),
        ..STREAM
    },
    Command {
        name: "xclaim",
        arity: -6,
        flags: Flags::WRITE.and(Flags::FAST),
        complexity: "O(log N) with N being the number of messages in the PEL of the consumer group.",
        summary: "Changes, or acquires, ownership of a message in a consumer group, as if the message was delivered a consumer group member.",
        handler: Handler::data(xclaim),
        ..STREAM
    },
    Command {
        name: "xautoclaim",
        arity: -6,
        flags: Flags::WRITE.and(Flags::FAST),
        since: "6.2.0",
        complexity: "O(1) if COUNT is small.",
        summary: "Changes, or acquires, ownership of messages in a consumer group, as if the messages were delivered to as consumer group member.",
        handler: Handler::data(xautoclaim),
        ..STREAM
    },
];

/// The group of word 2 in the stream of word 1.
fn group<'k>(keys: &'k Keys<'_>, args: &Args<'_>) -> Result<&'k Group, Failure> {
    let stream = keys.stream(keys.key(args.get(1)))?;
    let group = stream.and_then(|stream| stream.group(args.get(2)));
    group.ok_or_else(|| no_key_or_group(args.get(1), args.get(2), ""))
}

/// For how long an entry has been with its consumer.
fn idle(pending: &Pending, now: WallMillis) -> Duration {
    Duration::from_millis(now.get().saturating_sub(pending.delivered.get()))
}

fn xpending(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    if ctx.argc() == 3 {
        return summary(ctx);
    }
    if !(6..=9).contains(&ctx.argc()) {
        return Err(Failure::Syntax);
    }
    let (mut at, mut idle_for) = (3, Duration::ZERO);
    if ctx.is(3, "idle") {
        idle_for = Duration::from_millis(u64::try_from(ctx.int(4)?).unwrap_or(0));
        at = 5;
        if ctx.argc() < 8 {
            return Err(Failure::Syntax);
        }
    }
    let count = usize::try_from(ctx.int(at + 2)?).unwrap_or(0);
    let (start, end) = (ids::start(ctx.arg(at))?, ids::end(ctx.arg(at + 1))?);
    let consumer = (at + 3 < ctx.argc()).then(|| ctx.arg(at + 3));
    let (group, now) = (group(&ctx.keys, &ctx.args)?, ctx.keys.now());
    let mark = ctx.reply.mark();
    let mut shown = 0;
    let mut show = |id: &StreamId, pending: &Pending| {
        if shown < count && idle(pending, now) >= idle_for {
            ctx.reply.array(4);
            reply_id(&mut ctx.reply, *id);
            ctx.reply.bulk(&pending.consumer);
            ctx.reply.int(millis(idle(pending, now)));
            ctx.reply.int(i64::try_from(pending.deliveries).unwrap_or(i64::MAX));
            shown += 1;
        }
        shown < count
    };
    if start <= end && count > 0 {
        match consumer {
            None => {
                for (id, pending) in group.pending().range(start..=end) {
                    if !show(id, pending) {
                        break;
                    }
                }
            }
            Some(name) => {
                let owed = group.consumer(name).map(Consumer::pending);
                for id in owed.into_iter().flat_map(|owed| owed.range(start..=end)) {
                    if group.pending().get(id).is_some_and(|pending| !show(id, pending)) {
                        break;
                    }
                }
            }
        }
    }
    ctx.reply.insert_array(mark, shown);
    Ok(())
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn summary(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let group = group(&ctx.keys, &ctx.args)?;
    let pending = group.pending();
    ctx.reply.array(4);
    ctx.reply.count(pending.len());
    let (Some((first, _)), Some((last, _))) = (pending.first_key_value(), pending.last_key_value())
    else {
        ctx.reply.null();
        ctx.reply.null();
        ctx.reply.null_array();
        return Ok(());
    };
    reply_id(&mut ctx.reply, *first);
    reply_id(&mut ctx.reply, *last);
    let owing = || group.consumers().iter().filter(|(_, it)| !it.pending().is_empty());
    ctx.reply.array(owing().count());
    for (name, consumer) in owing() {
        ctx.reply.array(2);
        ctx.reply.bulk(name);
        ctx.reply.bulk_fmt(format_args!("{}", consumer.pending().len()));
    }
    Ok(())
}

/// What `XCLAIM` does to each entry beside giving it to another consumer.
#[derive(Debug, Default)]
struct Claim {
    delivered: Option<i64>,
    deliveries: Option<u64>,
    force: bool,
    justid: bool,
    last_id: StreamId,
}

fn claim_options(ctx: &Ctx<'_>, mut at: usize) -> Result<Claim, Failure> {
    let mut claim = Claim::default();
    let now = i64::try_from(ctx.keys.now().get()).unwrap_or(i64::MAX);
    let number = |at, name: &str| {
        ctx.int(at)
            .map_err(|_| Failure::Owned(format!("ERR Invalid {name} option argument for XCLAIM")))
    };
    while at < ctx.argc() {
        let more = at + 1 < ctx.argc();
        if ctx.is(at, "force") {
            claim.force = true;
        } else if ctx.is(at, "justid") {
            claim.justid = true;
        } else if ctx.is(at, "idle") && more {
            at += 1;
            claim.delivered = Some(now.saturating_sub(number(at, "IDLE")?));
        } else if ctx.is(at, "time") && more {
            at += 1;
            claim.delivered = Some(number(at, "TIME")?);
        } else if ctx.is(at, "retrycount") && more {
            at += 1;
            claim.deliveries = u64::try_from(number(at, "RETRYCOUNT")?).ok();
        } else if ctx.is(at, "lastid") && more {
            at += 1;
            claim.last_id = ids::exact(ctx.arg(at), 0)?;
        } else {
            let word = shown(ctx.arg(at));
            return Err(Failure::Owned(format!("ERR Unrecognized XCLAIM option '{word}'")));
        }
        at += 1;
    }
    // A time to come, or before all time, is now.
    claim.delivered = claim.delivered.filter(|at| (0..=now).contains(at));
    Ok(claim)
}

fn least_idle(ctx: &Ctx<'_>, wrong: &'static str) -> Result<Duration, Failure> {
    let millis = ctx.int(4).map_err(|_| Failure::Text(wrong))?;
    Ok(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

fn xclaim(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    group(&ctx.keys, &ctx.args)?;
    let idle_for = least_idle(ctx, "ERR Invalid min-idle-time argument for XCLAIM")?;
    let mut wanted = Vec::new();
    for at in 5..ctx.argc() {
        let Ok(id) = ids::exact(ctx.arg(at), 0) else { break };
        wanted.push(id);
    }
    let claim = claim_options(ctx, 5 + wanted.len())?;
    let (now, args) = (ctx.keys.now(), ctx.args);
    let by = Reading { group: args.get(2), consumer: args.get(3) };
    let key = ctx.key(1);
    let Some(mut stream) = ctx.keys.edit_stream(key)? else { return Ok(()) };
    let Some(group) = stream.group(by.group) else { return Ok(()) };
    let entries_read = group.entries_read;
    if claim.last_id > group.last_delivered {
        stream.set_group(by.group, claim.last_id, entries_read);
    }
    let delivered = claim.delivered.and_then(|at| u64::try_from(at).ok());
    let delivered = delivered.map_or(now, WallMillis::new);
    let mark = ctx.reply.mark();
    let (mut count, mut seen) = (0, false);
    for id in wanted {
        let had = stream.group(by.group).and_then(|group| group.pending().get(&id)).cloned();
        let Some(fields) = stream.entries().get(id) else {
            // It was deleted: nobody has to acknowledge it any more.
            if had.is_some() {
                stream.take_back(by.group, [id].into_iter());
            }
            continue;
        };
        let deliveries = match &had {
            Some(had) if idle(had, now) < idle_for => continue,
            Some(had) => had.deliveries,
            None if claim.force => 1,
            None => continue,
        };
        if claim.justid {
            reply_id(&mut ctx.reply, id);
        } else {
            reply_entry(&mut ctx.reply, (id, fields));
        }
        let one_more = u64::from(!claim.justid);
        let deliveries = claim.deliveries.unwrap_or_else(|| deliveries.saturating_add(one_more));
        if !std::mem::replace(&mut seen, true) {
            stream.see(by, now);
        }
        stream.give(by, delivered, deliveries, &[id]);
        count += 1;
    }
    ctx.reply.insert_array(mark, count);
    Ok(())
}

/// Entries that one call looks at, for each that it may return.
const LOOKED_AT_FOR_EACH: usize = 10;

fn xautoclaim(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    const COUNT_MAX: i64 = i64::MAX / 16;
    let idle_for = least_idle(ctx, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let start = ids::start(ctx.arg(5))?;
    let (mut count, mut justid) = (100, false);
    let mut at = 6;
    while at < ctx.argc() {
        if ctx.is(at, "count") && at + 1 < ctx.argc() {
            let wanted = ctx.int(at + 1).ok().filter(|count| (1..=COUNT_MAX).contains(count));
            count = wanted
                .and_then(|count| usize::try_from(count).ok())
                .ok_or(Failure::Text("ERR COUNT must be > 0"))?;
            at += 2;
        } else if ctx.is(at, "justid") {
            justid = true;
            at += 1;
        } else {
            return Err(Failure::Syntax);
        }
    }
    let (now, args) = (ctx.keys.now(), ctx.args);
    let found =
        look(group(&ctx.keys, &ctx.args)?, start, count, |pending| idle(pending, now) >= idle_for);
    let by = Reading { group: args.get(2), consumer: args.get(3) };
    let Some(mut stream) = open(ctx)? else { return Ok(()) };
    let Claimed { given, deleted, next } = sort_out(&stream, found, count);
    if !given.is_empty() {
        stream.see(by, now);
    }
    let mut reply = Vec::with_capacity(given.len());
    for (id, deliveries) in given {
        stream.give(by, now, deliveries.saturating_add(u64::from(!justid)), &[id]);
        reply.push(id);
    }
    stream.take_back(by.group, deleted.iter().copied());
    drop(stream);
    ctx.reply.array(3);
    reply_id(&mut ctx.reply, next);
    ctx.reply.array(reply.len());
    let stream = ctx.keys.stream(ctx.keys.key(args.get(1)))?;
    for id in reply {
        match stream.and_then(|stream| stream.entries().get(id)) {
            Some(fields) if !justid => reply_entry(&mut ctx.reply, (id, fields)),
            _ => reply_id(&mut ctx.reply, id),
        }
    }
    ctx.reply.array(deleted.len());
    for id in deleted {
        reply_id(&mut ctx.reply, id);
    }
    Ok(())
}

/// Pending entries that were looked at, in order, and whether they were idle for long enough.
struct Looked {
    entries: Vec<(StreamId, u64, bool)>,
    /// The first one that was not looked at.
    next: Option<StreamId>,
}

fn look(
    group: &Group,
    start: StreamId,
    count: usize,
    is_idle: impl Fn(&Pending) -> bool,
) -> Looked {
    let mut range = group.pending().range(start..);
    let entries = range
        .by_ref()
        .take(count.saturating_mul(LOOKED_AT_FOR_EACH))
        .map(|(id, pending)| (*id, pending.deliveries, is_idle(pending)))
        .collect();
    Looked { entries, next: range.next().map(|(id, _)| *id) }
}

/// What becomes of those that were looked at.
struct Claimed {
    /// Given to the consumer, and how often to anybody before.
    given: Vec<(StreamId, u64)>,
    deleted: Vec<StreamId>,
    /// Where the next call goes on; zero: it begins anew.
    next: StreamId,
}

fn sort_out(stream: &StreamEdit<'_>, looked: Looked, count: usize) -> Claimed {
    let (mut given, mut deleted) = (Vec::new(), Vec::new());
    let mut next = looked.next;
    for (id, deliveries, is_idle) in looked.entries {
        if given.len() + deleted.len() >= count {
            next = Some(id);
            break;
        }
        if stream.entries().get(id).is_none() {
            deleted.push(id);
        } else if is_idle {
            given.push((id, deliveries));
        }
    }
    Claimed { given, deleted, next: next.unwrap_or(StreamId::ZERO) }
}
