//! Places in a shape: `GEOSEARCH`, `GEOSEARCHSTORE`, and what they replace, `GEORADIUS` and its kin.

use tandem_resp::{Args, Reply};

use super::cover::{Shape, cover};
use super::position::{Position, number};
use super::{GEO, position_of, position_word, reply_coordinates, reply_distance, unit};
use crate::call::Ctx;
use crate::command::{Command, Flags, Handler, KeyRange, KeySpec};
use crate::failure::Failure;
use crate::key::Key;
use crate::value::Value;
use crate::value::zset::Zset;

const COST: &str = "O(N+log(M)) where N is the number of elements in the cells around the shape and M is the number of items inside it.";
const RADIUS: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::MOVABLEKEYS);
const STORES: KeySpec =
    KeySpec::Movable { range: KeyRange { first: 1, last: 1, step: 1 }, find: find_stores };

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "geosearch",
        arity: -7,
        flags: Flags::READONLY,
        since: "6.2.0",
        complexity: COST,
        summary: "Queries a geospatial index for members inside an area of a box or a circle.",
        handler: Handler::data(|ctx| run(ctx, Form::Search { stores: false })),
        ..GEO
    },
    Command {
        name: "geosearchstore",
        arity: -8,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        keys: KeySpec::FIRST_TWO,
        since: "6.2.0",
        complexity: COST,
        summary: "Queries a geospatial index for members inside an area of a box or a circle, and stores the result.",
        handler: Handler::data(|ctx| run(ctx, Form::Search { stores: true })),
        ..GEO
    },
    Command {
        name: "georadius",
        arity: -6,
        flags: RADIUS,
        keys: STORES,
        complexity: COST,
        summary: "Queries a geospatial index for members within a distance from a coordinate, and may store the result.",
        handler: Handler::data(|ctx| run(ctx, Form::Radius { stores: true })),
        ..GEO
    },
    Command {
        name: "georadius_ro",
        arity: -6,
        flags: Flags::READONLY,
        since: "3.2.10",
        complexity: COST,
        summary: "Returns members from a geospatial index that are within a distance from a coordinate.",
        handler: Handler::data(|ctx| run(ctx, Form::Radius { stores: false })),
        ..GEO
    },
    Command {
        name: "georadiusbymember",
        arity: -5,
        flags: RADIUS,
        keys: STORES,
        complexity: COST,
        summary: "Queries a geospatial index for members within a distance from a member, and may store the result.",
        handler: Handler::data(|ctx| run(ctx, Form::RadiusByMember { stores: true })),
        ..GEO
    },
    Command {
        name: "georadiusbymember_ro",
        arity: -5,
        flags: Flags::READONLY,
        since: "3.2.10",
        complexity: COST,
        summary: "Returns members from a geospatial index that are within a distance from a member.",
        handler: Handler::data(|ctx| run(ctx, Form::RadiusByMember { stores: false })),
        ..GEO
    },
];

/// The key, and the one that the result is stored at.
fn find_stores(args: &Args<'_>, out: &mut Vec<usize>) -> Result<(), Failure> {
    out.push(1);
    let is_store = |at: &usize| {
        let word = args.get(*at);
        word.eq_ignore_ascii_case(b"store") || word.eq_ignore_ascii_case(b"storedist")
    };
    // The last one counts.
    let last = (5..args.len().saturating_sub(1)).rev().find(is_store);
    out.extend(last.map(|at| at + 1));
    Ok(())
}

/// Which command it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Search { stores: bool },
    Radius { stores: bool },
    RadiusByMember { stores: bool },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Order {
    Ascending,
    Descending,
}

/// How the middle was named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Around {
    Member,
    Coordinates,
}

/// What is asked for.
#[derive(Debug, Default)]
struct Request {
    middle: Option<Position>,
    /// A member was named, or coordinates were.
    around: Option<Around>,
    shape: Option<Shape>,
    meters: f64,
    order: Option<Order>,
    count: Option<usize>,
    any: bool,
    with_distance: bool,
    with_hash: bool,
    with_coordinates: bool,
    /// Position of the key to store at.
    store: Option<usize>,
    store_distance: bool,
}

impl Form {
    /// Position of the set's key.
    const fn source(self) -> usize {
        match self {
            Self::Search { stores: true } => 2,
            _ => 1,
        }
    }

    fn parse(self, ctx: &Ctx<'_>, zset: Option<&Zset>) -> Result<Request, Failure> {
        let mut request = Request { meters: 1.0, ..Request::default() };
        let first = match self {
            Self::Radius { .. } => {
                request.middle = Some(position_word(ctx, 2)?);
                request.circle(ctx, 4)?;
                6
            }
            Self::RadiusByMember { .. } => {
                request.of_member(ctx, 2, zset)?;
                if zset.is_some() {
                    request.circle(ctx, 3)?;
                }
                5
            }
            Self::Search { stores } => {
                request.store = stores.then_some(1);
                self.source() + 1
            }
        };
        let mut at = first;
        while at < ctx.argc() {
            at = match self {
                Self::Search { .. } => request.search_option(ctx, at, zset)?,
                Self::Radius { stores } | Self::RadiusByMember { stores } => {
                    request.store_option(ctx, at, stores)?
                }
            }
            .map_or_else(|| request.option(ctx, at), Ok)?;
        }
        self.check(ctx, &request)?;
        Ok(request)
    }

    fn check(self, ctx: &Ctx<'_>, request: &Request) -> Result<(), Failure> {
        let shows = request.with_distance || request.with_hash || request.with_coordinates;
        if request.store.is_some() && shows {
            let what = match self {
                Self::Search { .. } => "GEOSEARCHSTORE",
                _ => "STORE option in GEORADIUS",
            };
            return Err(Failure::Owned(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        if let Self::Search { .. } = self {
            let name = String::from_utf8_lossy(ctx.arg(0));
            if request.around.is_none() {
                return Err(Failure::Owned(format!(
                    "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
                )));
            }
            if request.shape.is_none() {
                return Err(Failure::Owned(format!(
                    "ERR exactly one of BYRADIUS and BYBOX can be specified for {name}"
                )));
            }
        }
        if request.any && request.count.is_none() {
            return Err(Failure::Text("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }
}

impl Request {
    /// A radius and its unit, at words `at` and the next.
    fn circle(&mut self, ctx: &Ctx<'_>, at: usize) -> Result<(), Failure> {
        let radius = size(ctx, at, "ERR need numeric radius")?;
        if radius < 0.0 {
            return Err(Failure::Text("ERR radius cannot be negative"));
        }
        self.meters = unit(ctx.arg(at + 1))?;
        self.shape = Some(Shape::Circle { radius: radius * self.meters });
        Ok(())
    }

    /// Width, height and their unit, from word `at` on.
    fn rectangle(&mut self, ctx: &Ctx<'_>, at: usize) -> Result<(), Failure> {
        let width = size(ctx, at, "ERR need numeric width")?;
        let height = size(ctx, at + 1, "ERR need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err(Failure::Text("ERR height or width cannot be negative"));
        }
        self.meters = unit(ctx.arg(at + 2))?;
        let (width, height) = (width * self.meters, height * self.meters);
        self.shape = Some(Shape::Rectangle { width, height });
        Ok(())
    }

    /// Around the member at word `at`.
    fn of_member(&mut self, ctx: &Ctx<'_>, at: usize, zset: Option<&Zset>) -> Result<(), Failure> {
        self.around = Some(Around::Member);
        // Without a set nothing is found, but all words are looked at first.
        let Some(zset) = zset else { return Ok(()) };
        let position = position_of(zset, ctx.arg(at));
        self.middle =
            Some(position.ok_or(Failure::Text("ERR could not decode requested zset member"))?);
        Ok(())
    }

    /// Reads an option of `GEOSEARCH` alone; the position after it.
    fn search_option(
        &mut self,
        ctx: &Ctx<'_>,
        at: usize,
        zset: Option<&Zset>,
    ) -> Result<Option<usize>, Failure> {
        let more = ctx.argc() - at - 1;
        let is_box = matches!(self.shape, Some(Shape::Rectangle { .. }));
        let is_circle = matches!(self.shape, Some(Shape::Circle { .. }));
        if ctx.is(at, "frommember") && more > 0 && self.around != Some(Around::Coordinates) {
            self.of_member(ctx, at + 1, zset)?;
            return Ok(Some(at + 2));
        }
        if ctx.is(at, "fromlonlat") && more > 1 && self.around != Some(Around::Member) {
            self.around = Some(Around::Coordinates);
            self.middle = Some(position_word(ctx, at + 1)?);
            return Ok(Some(at + 3));
        }
        if ctx.is(at, "byradius") && more > 1 && !is_box {
            self.circle(ctx, at + 1)?;
            return Ok(Some(at + 3));
        }
        if ctx.is(at, "bybox") && more > 2 && !is_circle {
            self.rectangle(ctx, at + 1)?;
            return Ok(Some(at + 4));
        }
        if ctx.is(at, "storedist") && self.store.is_some() {
            self.store_distance = true;
            return Ok(Some(at + 1));
        }
        Ok(None)
    }

    /// Reads an option of `GEORADIUS` alone; the position after it.
    fn store_option(
        &mut self,
        ctx: &Ctx<'_>,
        at: usize,
        stores: bool,
    ) -> Result<Option<usize>, Failure> {
        let by_distance = ctx.is(at, "storedist");
        if !stores || at + 1 >= ctx.argc() || !(by_distance || ctx.is(at, "store")) {
            return Ok(None);
        }
        (self.store, self.store_distance) = (Some(at + 1), by_distance);
        Ok(Some(at + 2))
    }

    /// Reads an option of all of them; the position after it.
    fn option(&mut self, ctx: &Ctx<'_>, at: usize) -> Result<usize, Failure> {
        if ctx.is(at, "withdist") {
            self.with_distance = true;
        } else if ctx.is(at, "withhash") {
            self.with_hash = true;
        } else if ctx.is(at, "withcoord") {
            self.with_coordinates = true;
        } else if ctx.is(at, "any") {
            self.any = true;
        } else if ctx.is(at, "asc") {
            self.order = Some(Order::Ascending);
        } else if ctx.is(at, "desc") {
            self.order = Some(Order::Descending);
        } else if ctx.is(at, "count") && at + 1 < ctx.argc() {
            let count = usize::try_from(ctx.int(at + 1)?).ok().filter(|count| *count > 0);
            self.count = Some(count.ok_or(Failure::Text("ERR COUNT must be > 0"))?);
            return Ok(at + 2);
        } else {
            return Err(Failure::Syntax);
        }
        Ok(at + 1)
    }

    /// The places in the shape, in order, as many as wanted.
    fn find<'z>(&self, zset: &'z Zset) -> Vec<Found<'z>> {
        let (Some(middle), Some(shape)) = (self.middle, self.shape) else { return Vec::new() };
        let enough = self.count.filter(|_| self.any).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        'search: for scores in cover(middle, shape) {
            let start = zset.count_while(|_, score| score < number(scores.start));
            let end = zset.count_while(|_, score| score < number(scores.end));
            for (member, score) in zset.range(start..end) {
                let place = Position::of_score(score);
                if let Some(distance) = shape.holds(middle, place) {
                    found.push(Found { member, score, place, distance });
                    if found.len() >= enough {
                        break 'search;
                    }
                }
            }
        }
        let nearest = (self.count.is_some() && !self.any).then_some(Order::Ascending);
        match self.order.or(nearest) {
            Some(Order::Ascending) => found.sort_by(|a, b| a.distance.total_cmp(&b.distance)),
            Some(Order::Descending) => found.sort_by(|a, b| b.distance.total_cmp(&a.distance)),
            None => {}
        }
        found.truncate(self.count.unwrap_or(usize::MAX));
        found
    }

    fn reply(&self, reply: &mut Reply<'_>, found: &[Found<'_>]) {
        let more = [self.with_distance, self.with_hash, self.with_coordinates];
        let more = more.into_iter().filter(|wanted| *wanted).count();
        reply.array(found.len());
        for place in found {
            if more > 0 {
                reply.array(1 + more);
            }
            reply.bulk(place.member);
            if self.with_distance {
                reply_distance(reply, place.distance / self.meters);
            }
            if self.with_hash {
                #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
                reply.int(place.score as i64);
            }
            if self.with_coordinates {
                reply_coordinates(reply, place.place);
            }
        }
    }
}

fn size(ctx: &Ctx<'_>, at: usize, otherwise: &'static str) -> Result<f64, Failure> {
    tandem_resp::parse_f64(ctx.arg(at)).ok_or(Failure::Text(otherwise))
}

/// A member in the shape.
struct Found<'z> {
    member: &'z [u8],
    score: f64,
    place: Position,
    distance: f64,
}

fn run(ctx: &mut Ctx<'_>, form: Form) -> Result<(), Failure> {
    let source = ctx.key(form.source());
    let request = form.parse(ctx, ctx.keys.zset(source)?)?;
    let Some(at) = request.store else {
        match ctx.keys.zset(source)? {
            Some(zset) => request.reply(&mut ctx.reply, &request.find(zset)),
            None => ctx.reply.array(0),
        }
        return Ok(());
    };
    store(ctx, &request, source, at)
}

fn store(ctx: &mut Ctx<'_>, request: &Request, source: Key<'_>, at: usize) -> Result<(), Failure> {
    let limits = ctx.keys.limits();
    let mut result = Zset::default();
    if let Some(zset) = ctx.keys.zset(source)? {
        for place in request.find(zset) {
            let distance = place.distance / request.meters;
            let score = if request.store_distance { distance } else { place.score };
            result.insert(place.member, score, &limits);
        }
    }
    let (count, to) = (result.len(), ctx.key(at));
    ctx.keys.store_value(to, Value::Zset(result), None);
    ctx.reply.count(count);
    Ok(())
}
