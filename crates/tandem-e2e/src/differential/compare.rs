//! When two replies say the same.

use crate::value::Value;

/// How replies of a command are compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Byte for byte.
    Exact,
    /// The elements in any order.
    Unordered,
    /// Pairs (a map, or a flat list of pairs) in any order.
    UnorderedPairs,
    /// Numbers by value (how many digits they are written with differs between versions).
    Scores,
    /// Random picks: the same shape and number of elements.
    Shape,
    /// Integers at most this far apart (times), with the same sign.
    Near(i64),
    /// The same, but for integers anywhere within it, which are at most this far apart (times).
    NearAll(i64),
    /// A cursor and a list of elements in any order.
    Scan,
    /// A cursor and a list of pairs in any order.
    ScanPairs,
    /// A cursor and a list of members and scores in any order.
    ScanScores,
    /// The reply of EXEC: each element by its own rule.
    Each(Vec<Self>),
}

/// True if `want` and `got` say the same under `rule`.
pub fn same(rule: &Rule, want: &Value, got: &Value) -> bool {
    match rule {
        Rule::Exact => want == got,
        Rule::Unordered => same_kind(want, got) && sorted(&want.items()) == sorted(&got.items()),
        Rule::UnorderedPairs => same_kind(want, got) && sorted(&pairs(want)) == sorted(&pairs(got)),
        Rule::Scores => same_scores(want, got),
        Rule::Shape => same_shape(want, got),
        Rule::Near(distance) => match (want.int(), got.int()) {
            (Some(want), Some(got)) => {
                want.signum() == got.signum() && want.abs_diff(got) <= distance.unsigned_abs()
            }
            _ => want == got,
        },
        Rule::NearAll(distance) if want.items().is_empty() => match (want.int(), got.int()) {
            (Some(want), Some(got)) => want.abs_diff(got) <= distance.unsigned_abs(),
            _ => want == got,
        },
        Rule::NearAll(_) => {
            let (want_items, got_items) = (want.items(), got.items());
            same_kind(want, got)
                && want_items.len() == got_items.len()
                && want_items.iter().zip(&got_items).all(|(want, got)| same(rule, want, got))
        }
        Rule::Scan => scan(want, got, Value::items),
        Rule::ScanPairs => scan(want, got, pairs),
        Rule::ScanScores => {
            scan(want, got, |value| pairs(value).into_iter().map(by_value).collect())
        }
        Rule::Each(rules) => {
            let (want_items, got_items) = (want.items(), got.items());
            same_kind(want, got)
                && want_items.len() == got_items.len()
                && want_items.iter().zip(&got_items).enumerate().all(|(index, (want, got))| {
                    let exact = want.error().is_some();
                    let rule = rules.get(index).filter(|_| !exact).unwrap_or(&Rule::Exact);
                    same(rule, want, got)
                })
        }
    }
}

fn scan(want: &Value, got: &Value, elements: fn(&Value) -> Vec<Value>) -> bool {
    let (want, got) = (want.items(), got.items());
    match (&want[..], &got[..]) {
        ([want_cursor, want_items], [got_cursor, got_items]) => {
            want_cursor == got_cursor
                && same_kind(want_items, got_items)
                && sorted(&elements(want_items)) == sorted(&elements(got_items))
        }
        _ => want == got,
    }
}

fn same_kind(want: &Value, got: &Value) -> bool {
    std::mem::discriminant(want) == std::mem::discriminant(got)
        && (!want.items().is_empty() || want == got)
}

fn same_shape(want: &Value, got: &Value) -> bool {
    let (want_items, got_items) = (want.items(), got.items());
    std::mem::discriminant(want) == std::mem::discriminant(got)
        && want_items.len() == got_items.len()
        && want_items.iter().zip(&got_items).all(|(want, got)| same_shape(want, got))
}

/// The number in a reply. -0 is 0: Redis itself writes either, as the encoding of the set has it.
fn number(value: &Value) -> Option<f64> {
    let number: f64 = match value {
        Value::Double(text) => text.parse().ok()?,
        Value::Bulk(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok()?,
        _ => return None,
    };
    Some(number + 0.0)
}

/// A pair of a member and its score, the score in one way of writing.
fn by_value(pair: Value) -> Value {
    let items = pair.items();
    match (items.first(), items.get(1).and_then(number)) {
        (Some(member), Some(score)) => {
            Value::Array(vec![member.clone(), Value::Double(format!("{score:?}"))])
        }
        _ => pair,
    }
}

fn same_scores(want: &Value, got: &Value) -> bool {
    let (want_items, got_items) = (want.items(), got.items());
    if want_items.is_empty() || got_items.is_empty() {
        let bits = |value: &Value| number(value).map(f64::to_bits);
        return want == got
            || (std::mem::discriminant(want) == std::mem::discriminant(got)
                && bits(want).is_some()
                && bits(want) == bits(got));
    }
    std::mem::discriminant(want) == std::mem::discriminant(got)
        && want_items.len() == got_items.len()
        && want_items.iter().zip(&got_items).all(|(want, got)| same_scores(want, got))
}

/// Redis adds in 80 bits and prints 17 digits after the point; here it is 64 bits. Beyond 2^53 the two may
/// differ in the last digits, which is documented: it is no difference, but the values go apart.
pub fn differs_in_precision(command: &str, want: &Value, got: &Value) -> bool {
    match command {
        "incrbyfloat" | "hincrbyfloat" => differs_in_last_digits(want, got),
        "exec" => {
            let (want, got) = (want.items(), got.items());
            let explained =
                |(want, got): (&Value, &Value)| want == got || differs_in_last_digits(want, got);
            !want.is_empty() && want.len() == got.len() && want.iter().zip(&got).all(explained)
        }
        _ => false,
    }
}

fn differs_in_last_digits(want: &Value, got: &Value) -> bool {
    match (number(want), number(got)) {
        (Some(want), Some(got)) => (want - got).abs() <= want.abs() * 1e-15,
        (Some(want), None) => want.is_infinite(),
        _ => false,
    }
}

/// What Redis 7.2 answers otherwise than the 7.0 that Debian has: the candidate follows 7.2.
pub fn is_later_version(command: &str, got: &Value) -> bool {
    // LPOS: the rank may not be the lowest integer, whose negation overflows.
    let error = got.error().unwrap_or_default();
    command == "lpos" && error.starts_with("ERR value is out of range, value must between")
}

/// A map's pairs, a list of pairs, or a flat list as pairs.
fn pairs(value: &Value) -> Vec<Value> {
    if let Value::Map(pairs) = value {
        let pair = |(key, value): &(Value, Value)| Value::Array(vec![key.clone(), value.clone()]);
        return pairs.iter().map(pair).collect();
    }
    let items = value.items();
    if items.iter().all(|item| matches!(item, Value::Array(_))) {
        return items;
    }
    items.chunks(2).map(|pair| Value::Array(pair.to_vec())).collect()
}

fn sorted(values: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    texts.sort_unstable();
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::Bulk(text.as_bytes().to_vec())
    }

    #[test]
    fn each_rule_forgives_only_what_it_says() {
        let ab = Value::Array(vec![bulk("a"), bulk("b")]);
        let ba = Value::Array(vec![bulk("b"), bulk("a")]);
        let set = Value::Set(vec![bulk("a"), bulk("b")]);
        assert!(!same(&Rule::Exact, &ab, &ba));
        assert!(same(&Rule::Unordered, &ab, &ba));
        assert!(!same(&Rule::Unordered, &ab, &set));
        assert!(!same(&Rule::UnorderedPairs, &ab, &ba));
        assert!(same(&Rule::Shape, &ab, &Value::Array(vec![bulk("x"), bulk("y")])));
        assert!(!same(&Rule::Shape, &ab, &Value::Array(vec![bulk("x")])));
        assert!(same(&Rule::Near(5), &Value::Int(100), &Value::Int(96)));
        assert!(!same(&Rule::Near(5), &Value::Int(-1), &Value::Int(1)));
        let each = Rule::Each(vec![Rule::Exact, Rule::Unordered]);
        let want = Value::Array(vec![Value::Int(1), ab.clone()]);
        assert!(same(&each, &want, &Value::Array(vec![Value::Int(1), ba])));
        assert!(!same(&each, &want, &Value::Array(vec![Value::Int(2), ab])));
    }
}
