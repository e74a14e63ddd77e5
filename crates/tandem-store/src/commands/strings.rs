//! Strings as a whole: `GET`, `SET` and their kin.

use tandem_types::WallMillis;

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::deadline::{self, TimeForm};
use crate::entry::Entry;
use crate::failure::Failure;

const READ: Flags = Flags::READONLY.and(Flags::FAST);
const GROW: Flags = Flags::WRITE.and(Flags::DENYOOM);

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "get",
        arity: 2,
        flags: READ,
        keys: KeySpec::FIRST,
        summary: "Returns the string value of a key.",
        handler: Handler::data(get),
        ..Command::of(Group::String)
    },
    Command {
        name: "set",
        arity: -3,
        flags: GROW,
        keys: KeySpec::FIRST,
        summary: "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.",
        handler: Handler::data(set),
        ..Command::of(Group::String)
    },
    Command {
        name: "setnx",
        arity: 3,
        flags: GROW.and(Flags::FAST),
        keys: KeySpec::FIRST,
        summary: "Set the string value of a key only when the key doesn't exist.",
        handler: Handler::data(setnx),
        ..Command::of(Group::String)
    },
    Command {
        name: "setex",
        arity: 4,
        flags: GROW,
        keys: KeySpec::FIRST,
        since: "2.0.0",
        summary: "Sets the string value and expiration time of a key. Creates the key if it doesn't exist.",
        handler: Handler::data(setex),
        ..Command::of(Group::String)
    },
    Command {
        name: "psetex",
        arity: 4,
        flags: GROW,
        keys: KeySpec::FIRST,
        since: "2.6.0",
        summary: "Sets both string value and expiration time in milliseconds of a key. The key is created if it doesn't exist.",
        handler: Handler::data(psetex),
        ..Command::of(Group::String)
    },
    Command {
        name: "getset",
        arity: 3,
        flags: GROW.and(Flags::FAST),
        keys: KeySpec::FIRST,
        summary: "Returns the previous string value of a key after setting it to a new value.",
        handler: Handler::data(getset),
        ..Command::of(Group::String)
    },
    Command {
        name: "getdel",
        arity: 2,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: KeySpec::FIRST,
        since: "6.2.0",
        summary: "Returns the string value of a key after deleting the key.",
        handler: Handler::data(getdel),
        ..Command::of(Group::String)
    },
    Command {
        name: "getex",
        arity: -2,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: KeySpec::FIRST,
        since: "6.2.0",
        summary: "Returns the string value of a key after setting its expiration time.",
        handler: Handler::data(getex),
        ..Command::of(Group::String)
    },
    Command {
        name: "mget",
        arity: -2,
        flags: READ,
        keys: KeySpec::ALL,
        complexity: "O(N) where N is the number of keys to retrieve.",
        summary: "Atomically returns the string values of one or more keys.",
        handler: Handler::data(mget),
        ..Command::of(Group::String)
    },
    Command {
        name: "mset",
        arity: -3,
        flags: GROW,
        keys: KeySpec::range(1, -1, 2),
        since: "1.0.1",
        complexity: "O(N) where N is the number of keys to set.",
        summary: "Atomically creates or modifies the string values of one or more keys.",
        handler: Handler::data(mset),
        ..Command::of(Group::String)
    },
    Command {
        name: "msetnx",
        arity: -3,
        flags: GROW,
        keys: KeySpec::range(1, -1, 2),
        since: "1.0.1",
        complexity: "O(N) where N is the number of keys to set.",
        summary: "Atomically modifies the string values of one or more keys only when all keys don't exist.",
        handler: Handler::data(msetnx),
        ..Command::of(Group::String)
    },
];

fn get(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let key = ctx.key(1);
    match ctx.keys.string(key)? {
        Some(value) => ctx.reply.bulk(value),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// When `SET` writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum When {
    Always,
    Missing,
    Present,
}

/// What becomes of the deadline.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ttl {
    Clear,
    Keep,
    Set(TimeForm, usize),
}

struct SetOptions {
    when: When,
    ttl: Ttl,
    get: bool,
}

fn set_options(ctx: &Ctx<'_>) -> Result<SetOptions, Failure> {
    let mut options = SetOptions { when: When::Always, ttl: Ttl::Clear, get: false };
    let mut at = 3;
    while at < ctx.argc() {
        if ctx.is(at, "nx") && options.when != When::Present {
            options.when = When::Missing;
        } else if ctx.is(at, "xx") && options.when != When::Missing {
            options.when = When::Present;
        } else if ctx.is(at, "get") {
            options.get = true;
        } else if ctx.is(at, "keepttl") && matches!(options.ttl, Ttl::Clear | Ttl::Keep) {
            options.ttl = Ttl::Keep;
        } else if let Some(form) = TimeForm::from_option(ctx.arg(at))
            && options.ttl == Ttl::Clear
            && at + 1 < ctx.argc()
        {
            at += 1;
            options.ttl = Ttl::Set(form, at);
        } else {
            return Err(Failure::Syntax);
        }
        at += 1;
    }
    Ok(options)
}

fn set(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let key = ctx.key(1);
    if ctx.argc() == 3 {
        ctx.keys.set_string(key, ctx.arg(2), None);
        ctx.reply.ok();
        return Ok(());
    }
    let options = set_options(ctx)?;
    let now = ctx.keys.now();
    let deadline = match options.ttl {
        Ttl::Clear => None,
        Ttl::Keep => ctx.keys.entry(key).and_then(Entry::deadline),
        Ttl::Set(form, at) => Some(deadline::positive(form, ctx.arg(at), now, "set")?),
    };
    if options.get {
        match ctx.keys.string(key)? {
            Some(value) => ctx.reply.bulk(value),
            None => ctx.reply.null(),
        }
    }
    let write = match options.when {
        When::Always => true,
        When::Missing => !ctx.keys.exists(key),
        When::Present => ctx.keys.exists(key),
    };
    if write {
        ctx.keys.set_string(key, ctx.arg(2), deadline);
    }
    match (options.get, write) {
        (true, _) => {}
        (false, true) => ctx.reply.ok(),
        (false, false) => ctx.reply.null(),
    }
    Ok(())
}

fn setnx(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let key = ctx.key(1);
    let missing = !ctx.keys.exists(key);
    if missing {
        ctx.keys.set_string(key, ctx.arg(2), None);
    }
    ctx.reply.int(i64::from(missing));
    Ok(())
}

fn setex(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    set_with_deadline(ctx, TimeForm::Seconds, "setex")
}

fn psetex(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    set_with_deadline(ctx, TimeForm::Millis, "psetex")
}

fn set_with_deadline(ctx: &mut Ctx<'_>, form: TimeForm, name: &str) -> Result<(), Failure> {
    let deadline = deadline::positive(form, ctx.arg(2), ctx.keys.now(), name)?;
    let key = ctx.key(1);
    ctx.keys.set_string(key, ctx.arg(3), Some(deadline));
    ctx.reply.ok();
    Ok(())
}

fn getset(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    get(ctx)?;
    let key = ctx.key(1);
    ctx.keys.set_string(key, ctx.arg(2), None);
    Ok(())
}

fn getdel(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    get(ctx)?;
    let key = ctx.key(1);
    ctx.keys.delete(key);
    Ok(())
}

/// What `GETEX` does to the deadline.
enum Getex {
    Nothing,
    Persist,
    Set(TimeForm, usize),
}

fn getex_options(ctx: &Ctx<'_>) -> Result<Getex, Failure> {
    let mut options = Getex::Nothing;
    let mut at = 2;
    while at < ctx.argc() {
        let form = TimeForm::from_option(ctx.arg(at));
        options = match (&options, form) {
            (Getex::Nothing, Some(form)) if at + 1 < ctx.argc() => {
                at += 1;
                Getex::Set(form, at)
            }
            (Getex::Nothing | Getex::Persist, None) if ctx.is(at, "persist") => Getex::Persist,
            _ => return Err(Failure::Syntax),
        };
        at += 1;
    }
    Ok(options)
}

fn getex(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let options = getex_options(ctx)?;
    let key = ctx.key(1);
    let now = ctx.keys.now();
    let Some(value) = ctx.keys.string(key)? else {
        ctx.reply.null();
        return Ok(());
    };
    ctx.reply.bulk(value);
    match options {
        Getex::Nothing => {}
        Getex::Persist => drop(ctx.keys.set_deadline(key, None)),
        Getex::Set(form, at) => {
            let deadline = deadline::positive(form, ctx.arg(at), now, "getex")?;
            set_deadline_or_delete(ctx, deadline);
        }
    }
    Ok(())
}

/// A deadline that has passed removes the key at once.
fn set_deadline_or_delete(ctx: &mut Ctx<'_>, deadline: WallMillis) {
    let key = ctx.key(1);
    if deadline <= ctx.keys.now() {
        ctx.keys.delete(key);
    } else {
        ctx.keys.set_deadline(key, Some(deadline));
    }
}

fn mget(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    ctx.reply.array(ctx.argc() - 1);
    for at in 1..ctx.argc() {
        let key = ctx.key(at);
        // Another type counts as missing here.
        match ctx.keys.string(key) {
            Ok(Some(value)) => ctx.reply.bulk(value),
            Ok(None) | Err(_) => ctx.reply.null(),
        }
    }
    Ok(())
}

fn mset(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    set_pairs(ctx)?;
    ctx.reply.ok();
    Ok(())
}

fn msetnx(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    if ctx.argc().is_multiple_of(2) {
        return Err(ctx.arity_failure());
    }
    let free = (1..ctx.argc()).step_by(2).all(|at| !ctx.keys.exists(ctx.key(at)));
    if free {
        set_pairs(ctx)?;
    }
    ctx.reply.int(i64::from(free));
    Ok(())
}

fn set_pairs(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    if ctx.argc().is_multiple_of(2) {
        return Err(ctx.arity_failure());
    }
    for at in (1..ctx.argc()).step_by(2) {
        let key = ctx.key(at);
        ctx.keys.set_string(key, ctx.arg(at + 1), None);
    }
    Ok(())
}
