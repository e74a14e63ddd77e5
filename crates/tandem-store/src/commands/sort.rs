//! `SORT`: the elements of a list, set or sorted set in order, perhaps by or with other keys' values.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use tandem_resp::Args;

use crate::call::Ctx;
use crate::command::{Categories, Command, Flags, Group, Handler, KeyRange, KeySpec};
use crate::failure::Failure;
use crate::key::Key;
use crate::keys::Keys;
use crate::value::list::List;
use crate::value::{Value, ValueRef};

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "sort",
        arity: -2,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        keys: KeySpec::Movable { range: KeyRange { first: 1, last: 1, step: 1 }, find: sort_keys },
        categories: Categories::SET
            .and(Categories::SORTEDSET)
            .and(Categories::LIST)
            .and(Categories::DANGEROUS),
        complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements.",
        summary: "Sorts the elements in a list, a set, or a sorted set, optionally storing the result.",
        handler: Handler::data(sort),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "sort_ro",
        arity: -2,
        flags: Flags::READONLY,
        keys: KeySpec::FIRST,
        categories: Categories::SET
            .and(Categories::SORTEDSET)
            .and(Categories::LIST)
            .and(Categories::DANGEROUS),
        since: "7.0.0",
        complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements.",
        summary: "Returns the sorted elements of a list, a set, or a sorted set.",
        handler: Handler::data(sort),
        ..Command::of(Group::Generic)
    },
];

fn sort_keys(args: &Args<'_>, out: &mut Vec<usize>) -> Result<(), Failure> {
    out.push(1);
    let mut at = 2;
    // The last STORE counts; the words after BY, GET and LIMIT are no options.
    let mut target = None;
    while at < args.len() {
        at += match args.get(at).to_ascii_lowercase().as_slice() {
            b"limit" => 3,
            b"by" | b"get" => 2,
            b"store" => {
                target = Some(at + 1).filter(|at| *at < args.len());
                2
            }
            _ => 1,
        };
    }
    out.extend(target);
    Ok(())
}

#[derive(Debug, Default)]
struct Options<'c> {
    descending: bool,
    alpha: bool,
    limit: Option<(i64, i64)>,
    by: Option<&'c [u8]>,
    get: Vec<&'c [u8]>,
    store: Option<&'c [u8]>,
}

impl<'c> Options<'c> {
    fn parse(ctx: &Ctx<'c>) -> Result<Self, Failure> {
        let mut options = Self::default();
        let read_only = ctx.command.flags.has(Flags::READONLY);
        let mut at = 2;
        while at < ctx.argc() {
            let left = ctx.argc() - at - 1;
            if ctx.is(at, "asc") {
                options.descending = false;
            } else if ctx.is(at, "desc") {
                options.descending = true;
            } else if ctx.is(at, "alpha") {
                options.alpha = true;
            } else if ctx.is(at, "limit") && left >= 2 {
                options.limit = Some((ctx.int(at + 1)?, ctx.int(at + 2)?));
                at += 2;
            } else if ctx.is(at, "store") && left >= 1 && !read_only {
                options.store = Some(ctx.arg(at + 1));
                at += 1;
            } else if ctx.is(at, "by") && left >= 1 {
                options.by = Some(ctx.arg(at + 1));
                at += 1;
            } else if ctx.is(at, "get") && left >= 1 {
                options.get.push(ctx.arg(at + 1));
                at += 1;
            } else {
                return Err(Failure::Syntax);
            }
            at += 1;
        }
        Ok(options)
    }

    /// `BY` a pattern without a star asks for no sorting at all.
    fn sorts(&self) -> bool {
        self.by.is_none_or(|pattern| pattern.contains(&b'*'))
    }

    /// The part of so many elements that is wanted.
    fn part(&self, len: usize) -> Range<usize> {
        let Some((offset, count)) = self.limit else { return 0..len };
        let start = usize::try_from(offset).unwrap_or(0).min(len);
        let end = usize::try_from(count).map_or(len, |count| start.saturating_add(count).min(len));
        start..end
    }
}

fn sort(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let options = Options::parse(ctx)?;
    let key = ctx.key(1);
    let sorted = sorted_elements(&ctx.keys, key, &options)?;
    let results = results(&ctx.keys, &sorted, &options);
    let Some(target) = options.store else {
        ctx.reply.array(results.len());
        for result in results {
            match result {
                Some(bytes) => ctx.reply.bulk(&bytes),
                None => ctx.reply.null(),
            }
        }
        return Ok(());
    };
    let limits = ctx.keys.limits();
    let mut list = List::default();
    for result in &results {
        list.push_back(result.as_deref().unwrap_or_default(), &limits);
    }
    let count = results.len();
    drop(results);
    drop(sorted);
    let target = ctx.keys.key(target);
    ctx.keys.store_value(target, Value::List(list), None);
    ctx.reply.count(count);
    Ok(())
}

/// The wanted part of a key's elements, in the wanted order.
fn sorted_elements<'k>(
    keys: &'k Keys<'_>,
    key: Key<'_>,
    options: &Options<'_>,
) -> Result<Vec<Cow<'k, [u8]>>, Failure> {
    let (mut elements, ordered): (Vec<Cow<'k, [u8]>>, bool) = match keys.value(key) {
        None => (Vec::new(), true),
        Some(ValueRef::List(list)) => (list.iter().map(Cow::Borrowed).collect(), true),
        Some(ValueRef::Set(set)) => {
            (set.iter().map(|member| Cow::Owned(member.as_ref().to_vec())).collect(), false)
        }
        Some(ValueRef::Zset(zset)) => {
            let mut all: Vec<_> = zset.iter().map(|(member, _)| Cow::Borrowed(member)).collect();
            if !options.sorts() && options.descending {
                all.reverse();
            }
            (all, true)
        }
        Some(_) => return Err(Failure::WrongType),
    };
    if options.sorts() {
        elements = in_order(keys, elements, options)?;
    } else if !ordered && options.store.is_some() {
        // What is stored must not depend on a table's order.
        elements.sort_unstable();
    }
    let part = options.part(elements.len());
    elements.truncate(part.end);
    elements.drain(..part.start);
    Ok(elements)
}

/// What an element is compared by.
enum Weight<'k> {
    Number(f64),
    Text(Option<Cow<'k, [u8]>>),
}

fn in_order<'k>(
    keys: &'k Keys<'_>,
    elements: Vec<Cow<'k, [u8]>>,
    options: &Options<'_>,
) -> Result<Vec<Cow<'k, [u8]>>, Failure> {
    const NOT_A_NUMBER: Failure =
        Failure::Text("ERR One or more scores can't be converted into double");
    let mut weighed = Vec::with_capacity(elements.len());
    for element in elements {
        let by = match options.by {
            Some(pattern) => lookup(keys, pattern, &element),
            None => Some(element.clone()),
        };
        let weight = if options.alpha {
            Weight::Text(by)
        } else {
            // As for strtod, nothing is zero.
            let by = by.filter(|text| !text.is_empty());
            let number = by.map_or(Some(0.0), |text| tandem_resp::parse_f64(&text));
            Weight::Number(number.filter(|number| !number.is_nan()).ok_or(NOT_A_NUMBER)?)
        };
        weighed.push((weight, element));
    }
    weighed.sort_by(|(left, left_element), (right, right_element)| {
        let order = match (left, right) {
            (Weight::Number(left), Weight::Number(right)) => left.total_cmp(right),
            (Weight::Text(left), Weight::Text(right)) => left.cmp(right),
            _ => Ordering::Equal,
        };
        // Equal weights fall back to the elements, so that the order is one order.
        let order = order.then_with(|| left_element.cmp(right_element));
        if options.descending { order.reverse() } else { order }
    });
    Ok(weighed.into_iter().map(|(_, element)| element).collect())
}

/// What is replied or stored for the sorted elements.
fn results<'e>(
    keys: &'e Keys<'_>,
    sorted: &'e [Cow<'e, [u8]>],
    options: &Options<'_>,
) -> Vec<Option<Cow<'e, [u8]>>> {
    let mut results = Vec::new();
    for element in sorted {
        if options.get.is_empty() {
            results.push(Some(Cow::Borrowed(element.as_ref())));
        }
        for pattern in &options.get {
            results.push(lookup(keys, pattern, element));
        }
    }
    results
}

/// The value that a pattern means for an element: `#` the element itself, `w_*` the string at a key,
/// `h_*->f` a field of a hash; `None` if there is none.
fn lookup<'k>(keys: &'k Keys<'_>, pattern: &[u8], element: &[u8]) -> Option<Cow<'k, [u8]>> {
    if pattern == b"#" {
        return Some(Cow::Owned(element.to_vec()));
    }
    let star = pattern.iter().position(|byte| *byte == b'*')?;
    let (before, after) = (&pattern[..star], &pattern[star + 1..]);
    // An arrow at the very end is a part of the key.
    let arrow = after.windows(2).position(|pair| pair == b"->");
    let arrow = arrow.filter(|at| at + 2 < after.len());
    let name = [before, element, &after[..arrow.unwrap_or(after.len())]].concat();
    let key = keys.key(&name);
    let found = match arrow {
        Some(at) => keys.hash(key).ok().flatten()?.get(&after[at + 2..])?,
        None => keys.string(key).ok().flatten()?,
    };
    Some(Cow::Borrowed(found))
}
