//! Deadlines of keys: the `EXPIRE` and `TTL` families.

use tandem_types::WallMillis;

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::deadline::{self, TimeForm};
use crate::entry::Entry;
use crate::failure::Failure;

const WRITE: Flags = Flags::WRITE.and(Flags::FAST);
const READ: Flags = Flags::READONLY.and(Flags::FAST);

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "expire",
        arity: -3,
        flags: WRITE,
        keys: KeySpec::FIRST,
        summary: "Sets the expiration time of a key in seconds.",
        handler: Handler::data(expire),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "pexpire",
        arity: -3,
        flags: WRITE,
        keys: KeySpec::FIRST,
        since: "2.6.0",
        summary: "Sets the expiration time of a key in milliseconds.",
        handler: Handler::data(pexpire),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "expireat",
        arity: -3,
        flags: WRITE,
        keys: KeySpec::FIRST,
        since: "1.2.0",
        summary: "Sets the expiration time of a key to a Unix timestamp.",
        handler: Handler::data(expireat),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "pexpireat",
        arity: -3,
        flags: WRITE,
        keys: KeySpec::FIRST,
        since: "2.6.0",
        summary: "Sets the expiration time of a key to a Unix milliseconds timestamp.",
        handler: Handler::data(pexpireat),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "persist",
        arity: 2,
        flags: WRITE,
        keys: KeySpec::FIRST,
        since: "2.2.0",
        summary: "Removes the expiration time of a key.",
        handler: Handler::data(persist),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "ttl",
        arity: 2,
        flags: READ,
        keys: KeySpec::FIRST,
        summary: "Returns the expiration time in seconds of a key.",
        handler: Handler::data(ttl),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "pttl",
        arity: 2,
        flags: READ,
        keys: KeySpec::FIRST,
        since: "2.6.0",
        summary: "Returns the expiration time in milliseconds of a key.",
        handler: Handler::data(pttl),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "expiretime",
        arity: 2,
        flags: READ,
        keys: KeySpec::FIRST,
        since: "7.0.0",
        summary: "Returns the expiration time of a key as a Unix timestamp.",
        handler: Handler::data(expiretime),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "pexpiretime",
        arity: 2,
        flags: READ,
        keys: KeySpec::FIRST,
        since: "7.0.0",
        summary: "Returns the expiration time of a key as a Unix milliseconds timestamp.",
        handler: Handler::data(pexpiretime),
        ..Command::of(Group::Generic)
    },
];

fn expire(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    set_deadline(ctx, TimeForm::Seconds)
}

fn pexpire(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    set_deadline(ctx, TimeForm::Millis)
}

fn expireat(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    set_deadline(ctx, TimeForm::UnixSeconds)
}

fn pexpireat(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    set_deadline(ctx, TimeForm::UnixMillis)
}

/// `NX`, `XX`, `GT`, `LT`.
#[derive(Clone, Copy, Debug, Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(ctx: &Ctx<'_>) -> Result<Self, Failure> {
        let mut conditions = Self::default();
        for at in 3..ctx.argc() {
            let flag = match ctx.arg(at).to_ascii_lowercase().as_slice() {
                b"nx" => &mut conditions.nx,
                b"xx" => &mut conditions.xx,
                b"gt" => &mut conditions.gt,
                b"lt" => &mut conditions.lt,
                _ => {
                    let word = String::from_utf8_lossy(ctx.arg(at)).into_owned();
                    return Err(Failure::Owned(format!("ERR Unsupported option {word}")));
                }
            };
            *flag = true;
        }
        let Self { nx, xx, gt, lt } = conditions;
        if nx && (xx || gt || lt) {
            return Err(Failure::Text(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if gt && lt {
            return Err(Failure::Text("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// No deadline counts as infinitely late.
    fn allow(self, current: Option<WallMillis>, wanted: i64) -> bool {
        let later =
            current.map(|current| i64::try_from(current.get()).unwrap_or(i64::MAX) < wanted);
        !((self.nx && current.is_some())
            || (self.xx && current.is_none())
            || (self.gt && later != Some(true))
            || (self.lt
                && current
                    .is_some_and(|now| i64::try_from(now.get()).is_ok_and(|now| wanted >= now))))
    }
}

fn set_deadline(ctx: &mut Ctx<'_>, form: TimeForm) -> Result<(), Failure> {
    let conditions = Conditions::parse(ctx)?;
    let wanted = ctx.int(2)?;
    let now = ctx.keys.now();
    let wanted =
        form.to_unix_millis(wanted, now).ok_or_else(|| deadline::invalid(ctx.command.name))?;
    let key = ctx.key(1);
    let allowed =
        ctx.keys.entry(key).is_some_and(|entry| conditions.allow(entry.deadline(), wanted));
    if allowed {
        // A deadline that has passed removes the key at once.
        match u64::try_from(wanted).map(WallMillis::new) {
            Ok(deadline) if deadline > now => ctx.keys.set_deadline(key, Some(deadline)),
            _ => ctx.keys.delete(key),
        };
    }
    ctx.reply.int(i64::from(allowed));
    Ok(())
}

fn persist(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let key = ctx.key(1);
    let done = ctx.keys.set_deadline(key, None);
    ctx.reply.int(i64::from(done));
    Ok(())
}

/// Writes -2 for no key, -1 for no deadline, else what `show` makes of deadline and time.
fn show(ctx: &mut Ctx<'_>, show: fn(u64, u64) -> u64) -> Result<(), Failure> {
    let key = ctx.key(1);
    let now = ctx.keys.now().get();
    let shown = match ctx.keys.entry(key).map(Entry::deadline) {
        None => -2,
        Some(None) => -1,
        Some(Some(deadline)) => i64::try_from(show(deadline.get(), now)).unwrap_or(i64::MAX),
    };
    ctx.reply.int(shown);
    Ok(())
}

/// Rounds to seconds as Redis does: to the nearest.
const fn seconds(millis: u64) -> u64 {
    millis.saturating_add(500) / 1000
}

fn ttl(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    show(ctx, |deadline, now| seconds(deadline.saturating_sub(now)))
}

fn pttl(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    show(ctx, u64::saturating_sub)
}

fn expiretime(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    show(ctx, |deadline, _| seconds(deadline))
}

fn pexpiretime(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    show(ctx, |deadline, _| deadline)
}
