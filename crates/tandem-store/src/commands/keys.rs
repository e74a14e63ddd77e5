//! Keys of any type: `DEL`, `EXISTS`, `RENAME`, `COPY` and their kin.

use tandem_types::DbIndex;

use crate::call::Ctx;
use crate::command::{Categories, Command, Flags, Group, Handler, KeySpec};
use crate::effect::DecodeError;
use crate::entry::Entry;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::value::{ValueRef, codec};

const READ: Flags = Flags::READONLY.and(Flags::FAST);

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "del",
        arity: -2,
        flags: Flags::WRITE,
        keys: KeySpec::ALL,
        complexity: "O(N) where N is the number of keys that will be removed. Large values are freed in the background.",
        summary: "Deletes one or more keys.",
        handler: Handler::data(del),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "unlink",
        arity: -2,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: KeySpec::ALL,
        since: "4.0.0",
        complexity: "O(1) for each key removed.",
        summary: "Asynchronously deletes one or more keys.",
        handler: Handler::data(del),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "exists",
        arity: -2,
        flags: READ,
        keys: KeySpec::ALL,
        complexity: "O(N) where N is the number of keys to check.",
        summary: "Determines whether one or more keys exist.",
        handler: Handler::data(exists),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "touch",
        arity: -2,
        flags: READ,
        keys: KeySpec::ALL,
        since: "3.2.1",
        complexity: "O(N) where N is the number of keys that will be touched.",
        summary: "Returns the number of existing keys out of those specified.",
        handler: Handler::data(exists),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "type",
        arity: 2,
        flags: READ,
        keys: KeySpec::FIRST,
        summary: "Determines the type of value stored at a key.",
        handler: Handler::data(type_of),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "rename",
        arity: 3,
        flags: Flags::WRITE,
        keys: KeySpec::FIRST_TWO,
        complexity: "O(N) where N is the size of the value, which is written to the log.",
        summary: "Renames a key and overwrites the destination.",
        handler: Handler::data(rename),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "renamenx",
        arity: 3,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: KeySpec::FIRST_TWO,
        complexity: "O(N) where N is the size of the value, which is written to the log.",
        summary: "Renames a key only when the target key name doesn't exist.",
        handler: Handler::data(renamenx),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "copy",
        arity: -3,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        keys: KeySpec::FIRST_TWO,
        since: "6.2.0",
        complexity: "O(N) where N is the size of the value.",
        summary: "Copies the value of a key to a new key.",
        handler: Handler::data(copy),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "move",
        arity: 3,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: KeySpec::FIRST,
        complexity: "O(N) where N is the size of the value, which is written to the log.",
        summary: "Moves a key to another database.",
        handler: Handler::data(move_key),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "randomkey",
        arity: 1,
        flags: Flags::READONLY,
        summary: "Returns a random key name from the database.",
        handler: Handler::data(randomkey),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "dbsize",
        arity: 1,
        flags: READ,
        categories: Categories::KEYSPACE,
        summary: "Returns the number of keys in the database.",
        handler: Handler::data(dbsize),
        ..Command::of(Group::Server)
    },
];

fn del(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let mut deleted = 0;
    for at in 1..ctx.argc() {
        let key = ctx.key(at);
        deleted += usize::from(ctx.keys.delete(key));
    }
    ctx.reply.count(deleted);
    Ok(())
}

fn exists(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let found = (1..ctx.argc()).filter(|at| ctx.keys.exists(ctx.key(*at))).count();
    ctx.reply.count(found);
    Ok(())
}

fn type_of(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let key = ctx.key(1);
    let name = ctx.keys.value(key).map_or("none", |value| value.type_name());
    ctx.reply.simple(name);
    Ok(())
}

/// Bytes of a value up to which it can be written to the log in one piece; a record holds 1 GiB.
const WHOLE_VALUE_BYTES_MAX: usize = 512 << 20;

/// Refuses, before anything has changed, what the log could not take.
fn check_whole_value(entry: &Entry) -> Result<(), Failure> {
    if entry.memory() <= WHOLE_VALUE_BYTES_MAX {
        Ok(())
    } else {
        Err(Failure::Text("ERR the value is too large to be renamed, moved or copied"))
    }
}

fn rename(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (from, to) = (ctx.key(1), ctx.key(2));
    check_whole_value(ctx.keys.entry(from).ok_or(Failure::NoSuchKey)?)?;
    if from.bytes != to.bytes {
        let db = ctx.keys.db;
        ctx.keys.rename(from, db, to);
    }
    ctx.reply.ok();
    Ok(())
}

fn renamenx(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (from, to) = (ctx.key(1), ctx.key(2));
    check_whole_value(ctx.keys.entry(from).ok_or(Failure::NoSuchKey)?)?;
    // The same key exists, so that case is in here.
    let free = !ctx.keys.exists(to);
    if free {
        let db = ctx.keys.db;
        ctx.keys.rename(from, db, to);
    }
    ctx.reply.int(i64::from(free));
    Ok(())
}

/// The database that a word names.
pub(crate) fn database(ctx: &Ctx<'_>, at: usize) -> Result<DbIndex, Failure> {
    let number = ctx.int(at)?;
    let db = u8::try_from(number).ok().and_then(DbIndex::new);
    db.ok_or(Failure::Text("ERR DB index is out of range"))
}

const SAME_OBJECT: Failure = Failure::Text("ERR source and destination objects are the same");

fn copy(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (mut db, mut replace) = (ctx.keys.db, false);
    let mut at = 3;
    while at < ctx.argc() {
        if ctx.is(at, "replace") {
            replace = true;
        } else if ctx.is(at, "db") && at + 1 < ctx.argc() {
            at += 1;
            db = database(ctx, at)?;
        } else {
            return Err(Failure::Syntax);
        }
        at += 1;
    }
    let (from, to) = (ctx.key(1), ctx.key(2));
    if db == ctx.keys.db && from.bytes == to.bytes {
        return Err(SAME_OBJECT);
    }
    let limits = ctx.keys.limits();
    let Some(entry) = ctx.keys.entry(from) else {
        ctx.reply.int(0);
        return Ok(());
    };
    let deadline = entry.deadline();
    let copied =
        copy_of(entry, &limits).map_err(|_| Failure::Text("ERR the value cannot be copied"))?;
    let mut target = ctx.keys.in_database(db);
    let free = replace || !target.exists(to);
    if free {
        target.store_value(to, copied, deadline);
    }
    let seen = target.seen();
    ctx.keys.note_seen(seen);
    ctx.reply.int(i64::from(free));
    Ok(())
}

fn copy_of(
    entry: &Entry,
    limits: &crate::settings::Limits,
) -> Result<crate::value::Value, DecodeError> {
    codec::parse(&codec::serialised(entry.value()), limits)
}

fn move_key(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let db = database(ctx, 2)?;
    if db == ctx.keys.db {
        return Err(SAME_OBJECT);
    }
    let key = ctx.key(1);
    let target = ctx.keys.in_database(db);
    let (free, seen) = (!target.exists(key), target.seen());
    ctx.keys.note_seen(seen);
    let moved = match ctx.keys.entry(key).filter(|_| free) {
        None => false,
        Some(entry) => {
            check_whole_value(entry)?;
            ctx.keys.rename(key, db, key)
        }
    };
    ctx.reply.int(i64::from(moved));
    Ok(())
}

fn dbsize(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let counts = ctx.keys.database().map(|database| database.counts).unwrap_or_default();
    ctx.keys.note_seen(counts.last_write_end);
    ctx.reply.count(counts.keys);
    Ok(())
}

fn randomkey(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    match random_entry(&ctx.keys) {
        Some(entry) => ctx.reply.bulk(entry.key()),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// Random slots that are tried before the search goes on in order.
const RANDOM_TRIES: usize = 100;

/// A key that clients can see, each about as likely as the others.
fn random_entry<'k>(keys: &'k Keys<'_>) -> Option<&'k Entry> {
    let database = keys.database()?;
    keys.note_seen(database.counts.last_write_end);
    if database.counts.keys == 0 {
        return None;
    }
    let slots = &database.slots;
    let mut at = 0;
    for _ in 0..RANDOM_TRIES {
        at = keys.random_below(slots.len());
        let table = &slots[at].table;
        // A random place of the table: fuller slots are hit more often, as they should be.
        let found = (table.num_buckets() > 0)
            .then(|| table.get_bucket(keys.random_below(table.num_buckets())))
            .flatten();
        if let Some(entry) = found.filter(|entry| !entry.is_expired(keys.now())) {
            return Some(entry);
        }
    }
    let (before, after) = slots.split_at(at);
    let in_order = after.iter().chain(before).flat_map(|slot| slot.table.iter());
    in_order.into_iter().find(|entry| !entry.is_expired(keys.now()))
}

/// What `OBJECT ENCODING` says of a string.
pub(crate) fn string_encoding(bytes: &[u8], raw: bool) -> &'static str {
    const EMBEDDED_BYTES_MAX: usize = 44;
    if raw {
        "raw"
    } else if tandem_resp::parse_i64(bytes).is_some() {
        "int"
    } else if bytes.len() <= EMBEDDED_BYTES_MAX {
        "embstr"
    } else {
        "raw"
    }
}

/// What `OBJECT ENCODING` says of a value.
pub(crate) fn encoding(value: ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::String { bytes, raw } => string_encoding(bytes, raw),
        ValueRef::List(list) => list.encoding(),
        ValueRef::Hash(hash) => hash.encoding(),
        ValueRef::Set(set) => set.encoding(),
        ValueRef::Zset(zset) => zset.encoding(),
        ValueRef::Stream(_) => "stream",
    }
}
