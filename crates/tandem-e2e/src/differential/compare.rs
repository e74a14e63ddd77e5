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
    /// Random picks: the same shape and number of elements.
    Shape,
    /// Integers at most this far apart (times), with the same sign.
    Near(i64),
    /// A cursor and a list of elements in any order.
    Scan,
    /// A cursor and a list of pairs in any order.
    ScanPairs,
    /// The reply of EXEC: each element by its own rule.
    Each(Vec<Self>),
}

/// True if `want` and `got` say the same under `rule`.
pub fn same(rule: &Rule, want: &Value, got: &Value) -> bool {
    match rule {
        Rule::Exact => want == got,
        Rule::Unordered => same_kind(want, got) && sorted(&want.items()) == sorted(&got.items()),
        Rule::UnorderedPairs => same_kind(want, got) && sorted(&pairs(want)) == sorted(&pairs(got)),
        Rule::Shape => same_shape(want, got),
        Rule::Near(distance) => match (want.int(), got.int()) {
            (Some(want), Some(got)) => {
                want.signum() == got.signum() && want.abs_diff(got) <= distance.unsigned_abs()
            }
            _ => want == got,
        },
        Rule::Scan => scan(want, got, Value::items),
        Rule::ScanPairs => scan(want, got, pairs),
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
