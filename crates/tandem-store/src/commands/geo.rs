//! Places: sorted sets whose scores are positions on Earth. Searching is in files below this one.

mod cover;
mod position;
pub(crate) mod search;

use tandem_resp::Reply;

use self::position::Position;
use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::commands::zsets::add::Options;
use crate::failure::Failure;
use crate::value::zset::Zset;

/// What all rows share.
const GEO: Command = Command { keys: KeySpec::FIRST, since: "3.2.0", ..Command::of(Group::Geo) };

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "geoadd",
        arity: -5,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        summary: "Adds one or more members to a geospatial index. The key is created if it doesn't exist.",
        handler: Handler::data(geoadd),
        ..GEO
    },
    Command {
        name: "geodist",
        arity: -4,
        flags: Flags::READONLY,
        summary: "Returns the distance between two members of a geospatial index.",
        handler: Handler::data(geodist),
        ..GEO
    },
    Command {
        name: "geohash",
        arity: -2,
        flags: Flags::READONLY,
        complexity: "O(1) for each member requested.",
        summary: "Returns members from a geospatial index as geohash strings.",
        handler: Handler::data(geohash),
        ..GEO
    },
    Command {
        name: "geopos",
        arity: -2,
        flags: Flags::READONLY,
        complexity: "O(1) for each member requested.",
        summary: "Returns the longitude and latitude of members from a geospatial index.",
        handler: Handler::data(geopos),
        ..GEO
    },
];

/// Longitude and latitude at words `at` and the next.
fn position_word(ctx: &Ctx<'_>, at: usize) -> Result<Position, Failure> {
    let number = |at| tandem_resp::parse_f64(ctx.arg(at)).ok_or(Failure::NotFloat);
    let position = Position { longitude: number(at)?, latitude: number(at + 1)? };
    if position.is_on_map() {
        return Ok(position);
    }
    let Position { longitude, latitude } = position;
    Err(Failure::Owned(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}")))
}

/// Where a member is, if it is in the set.
fn position_of(zset: &Zset, member: &[u8]) -> Option<Position> {
    zset.score(member).map(Position::of_score)
}

/// Meters of a unit.
fn unit(word: &[u8]) -> Result<f64, Failure> {
    let units = [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)];
    let found = units.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    found
        .map(|(_, meters)| meters)
        .ok_or(Failure::Text("ERR unsupported unit provided. please use M, KM, FT, MI"))
}

fn reply_distance(reply: &mut Reply<'_>, distance: f64) {
    reply.bulk_fmt(format_args!("{distance:.4}"));
}

fn reply_coordinates(reply: &mut Reply<'_>, position: Position) {
    reply.array(2);
    for degrees in [position.longitude, position.latitude] {
        let text = format!("{degrees:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        reply.double_text(if text == "-0" { "0" } else { text });
    }
}

fn geoadd(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let mut options = Options::default();
    let mut first = 2;
    while first < ctx.argc() {
        let flags = [
            ("nx", &mut options.missing_only),
            ("xx", &mut options.present_only),
            ("ch", &mut options.count_changed),
        ];
        let Some((_, option)) = flags.into_iter().find(|(word, _)| ctx.is(first, word)) else {
            break;
        };
        *option = true;
        first += 1;
    }
    let words = ctx.argc() - first;
    let contradicts = options.missing_only && options.present_only;
    if words == 0 || !words.is_multiple_of(3) || contradicts {
        return Err(Failure::Syntax);
    }
    let args = ctx.args;
    // All are read before the first is used.
    let positions: Result<Vec<Position>, Failure> =
        (first..args.len()).step_by(3).map(|at| position_word(ctx, at)).collect();
    let (positions, key) = (positions?, ctx.key(1));
    let mut zset = ctx.keys.edit_or_create_zset(key)?;
    let members = (first + 2..args.len()).step_by(3).map(|at| args.get(at));
    let scores = positions.into_iter().map(Position::score);
    let count = options.put(&mut zset, members.zip(scores))?;
    ctx.reply.count(count);
    Ok(())
}

fn geodist(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let meters = match ctx.argc() {
        4 => 1.0,
        5 => unit(ctx.arg(4))?,
        _ => return Err(Failure::Syntax),
    };
    let zset = ctx.keys.zset(ctx.key(1))?;
    let place = |at| zset.and_then(|zset| position_of(zset, ctx.args.get(at)));
    match place(2).zip(place(3)) {
        Some((from, to)) => reply_distance(&mut ctx.reply, from.distance(to) / meters),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn geohash(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let zset = ctx.keys.zset(ctx.key(1))?;
    ctx.reply.array(ctx.args.len() - 2);
    for member in ctx.args.tail(2).iter() {
        match zset.and_then(|zset| position_of(zset, member)) {
            Some(position) => ctx.reply.bulk(&position.geohash()),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

fn geopos(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let zset = ctx.keys.zset(ctx.key(1))?;
    ctx.reply.array(ctx.args.len() - 2);
    for member in ctx.args.tail(2).iter() {
        match zset.and_then(|zset| position_of(zset, member)) {
            Some(position) => reply_coordinates(&mut ctx.reply, position),
            None => ctx.reply.null_array(),
        }
    }
    Ok(())
}
