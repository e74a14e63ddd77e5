//! Deciding a conflict: an ordinary write, which the other node merges like any other.

use tandem_merge::conflict::{Item, Kind};
use tandem_merge::{Bytes, Conflict, LedgerOp};
use tandem_types::WallMillis;

use crate::call::Ctx;
use crate::entry::Entry;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::merge::{Course, Purpose};
use crate::two_writers::{ConflictId, NO_ID};

/// What it is to be.
enum Decision {
    /// What lost; `None`: it was a deletion.
    Loser(Option<Bytes>),
    /// This.
    Value(Bytes),
}

pub(super) fn resolve(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let id = ConflictId::parse(ctx.arg(1)).ok_or(Failure::Text(NO_ID))?;
    let two = ctx.keys.two_writers()?;
    let entry = two.conflicts.get(id).cloned().ok_or(Failure::Text(NO_ID))?;
    let conflict = entry.conflict;
    let decision = if ctx.argc() == 4 && ctx.is(2, "use") && ctx.is(3, "loser") {
        loser(&conflict)?
    } else if ctx.argc() == 4 && ctx.is(2, "value") {
        Decision::Value(ctx.arg(3).into())
    } else {
        return Err(Failure::Syntax);
    };
    may_write(ctx, &conflict)?;
    let db = conflict.key.db;
    let done = if conflict.kind == Kind::Type && matches!(decision, Decision::Loser(_)) {
        show_hidden(ctx, &conflict)
    } else {
        write(&mut ctx.keys.in_database(db), &conflict, decision)
    };
    done?;
    ctx.keys.two_writers()?.conflicts.resolve(&conflict.key, &conflict.item);
    ctx.keys.say(LedgerOp::Resolved(conflict.key, conflict.item));
    ctx.reply.ok();
    Ok(())
}

/// The value that lost, if it is one and known.
fn loser(conflict: &Conflict) -> Result<Decision, Failure> {
    let text = match conflict.kind {
        Kind::Type => return Ok(Decision::Loser(None)),
        Kind::DoublePop | Kind::DupCounter | Kind::Oversold => {
            "ERR nobody lost here: both clients were told the same; say VALUE, or write what is right"
        }
        Kind::Lww | Kind::Nx if conflict.loser.value.is_none() => {
            "ERR the value that lost is not known here: say VALUE, or ask on the other node"
        }
        _ => return Ok(Decision::Loser(conflict.loser.value.clone())),
    };
    Err(Failure::Text(text))
}

fn may_write(ctx: &mut Ctx<'_>, conflict: &Conflict) -> Result<(), Failure> {
    let two = ctx.keys.two_writers()?;
    match two.rules(conflict.key.db).of_key(Purpose::Write, &conflict.key.name) {
        Ok(Course::Merge | Course::Exclusive) => Ok(()),
        Ok(Course::Bounded | Course::Sequence) => Err(Failure::Text(
            "ERR counters and ids are not resolved: see TANDEM BC and TANDEM SEQ",
        )),
        Err(refusal) => Err(Failure::Owned(two.refusal_text(&refusal))),
    }
}

/// The types that are not shown take the place of the one that is.
fn show_hidden(ctx: &mut Ctx<'_>, conflict: &Conflict) -> Result<(), Failure> {
    let key = &conflict.key;
    let limits = ctx.keys.limits();
    let hidden = ctx
        .keys
        .store
        .hidden_value(key, &limits)
        .ok_or(Failure::Text("ERR the key has one type by now: it was written since"))?;
    let mut keys = ctx.keys.in_database(key.db);
    let found = keys.key(&key.name);
    let deadline = keys.entry(found).and_then(Entry::deadline);
    keys.store_value(found, hidden, deadline);
    Ok(())
}

fn write(keys: &mut Keys<'_>, conflict: &Conflict, decision: Decision) -> Result<(), Failure> {
    let key = keys.key(&conflict.key.name);
    let value = match decision {
        Decision::Loser(value) => value,
        Decision::Value(value) => Some(value),
    };
    match (&conflict.item, value) {
        (Item::Key | Item::String, Some(value)) => {
            let deadline = keys.entry(key).and_then(Entry::deadline);
            keys.set_string(key, &value, deadline);
        }
        (Item::Key | Item::String | Item::Deadline, None) => drop(keys.delete(key)),
        (Item::Field(field), Some(value)) => {
            keys.edit_or_create_hash(key)?.set(field, &value);
        }
        (Item::Field(field), None) => {
            if let Some(mut hash) = keys.edit_hash(key)? {
                hash.remove(field);
            }
        }
        (Item::Member(member), None) => {
            if let Some(mut set) = keys.edit_set(key)? {
                set.remove(member);
            }
        }
        (Item::Member(member), Some(_)) => {
            keys.edit_or_create_set(key)?.add(member);
        }
        (Item::Score(member), Some(score)) => {
            let score = tandem_resp::parse_f64(&score).ok_or(Failure::NotFloat)?;
            keys.edit_or_create_zset(key)?.insert(member, score);
        }
        (Item::Score(member), None) => {
            if let Some(mut zset) = keys.edit_zset(key)? {
                zset.remove(member);
            }
        }
        (Item::Deadline, Some(at)) => {
            let at = tandem_resp::parse_u64(&at).ok_or(Failure::NotInteger)?;
            keys.set_deadline(key, Some(WallMillis::new(at)));
        }
        (Item::List, _) => {
            return Err(Failure::Text(
                "ERR a list has no single value to choose: write what is right with list commands",
            ));
        }
    }
    Ok(())
}
