//! A set against `BTreeSet`.

use std::collections::BTreeSet;

use super::*;

fn content(set: &Set) -> BTreeSet<Vec<u8>> {
    set.iter().map(|member| member.to_vec()).collect()
}

fn play(name_of: impl Fn(u32) -> Vec<u8>, wanted_encoding: &str) {
    let limits = Limits::default();
    let (mut set, mut model) = (Set::default(), BTreeSet::new());
    let mut dice = 1u32;
    for step in 0..5000u32 {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let member = name_of(dice >> 8);
        if dice >> 30 == 0 {
            assert_eq!(set.remove(&member), model.remove(&member));
        } else {
            assert_eq!(set.insert(&member, &limits), model.insert(member.clone()));
        }
        assert_eq!(set.contains(&member), model.contains(&member));
        assert_eq!(set.len(), model.len());
        if step % 500 == 499 {
            assert_eq!(content(&set), model);
            let by_number: BTreeSet<_> =
                (0..set.len()).map(|number| set.nth(number).unwrap().to_vec()).collect();
            assert_eq!(by_number, model);
            let (mut scanned, mut cursor) = (BTreeSet::new(), 0);
            loop {
                cursor = set.scan(cursor, 10, |member| {
                    scanned.insert(member.to_vec());
                });
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(scanned, model);
        }
    }
    assert_eq!(set.encoding(), wanted_encoding);
}

#[test]
fn a_set_does_what_a_set_does_in_all_forms() {
    play(|dice| (i64::from(dice % 300) - 150).to_string().into_bytes(), "intset");
    play(|dice| (i64::from(dice % 300) * 30_000_000_000_000).to_string().into_bytes(), "intset");
    play(|dice| (i64::from(dice % 3000) * 100_000).to_string().into_bytes(), "hashtable");
    play(|dice| format!("m{}", dice % 120).into_bytes(), "listpack");
    play(|dice| format!("m{}", dice % 2000).into_bytes(), "hashtable");
    play(|dice| vec![b'x'; (dice % 90) as usize], "hashtable");
}

#[test]
fn integers_widen_when_they_have_to() {
    let limits = Limits::default();
    let mut set = Set::default();
    for number in [5, -7, 32_767, 40_000, -40_000, i64::from(i32::MAX) + 1, i64::MIN, i64::MAX] {
        assert!(set.insert(number.to_string().as_bytes(), &limits));
        assert!(set.contains(number.to_string().as_bytes()));
    }
    assert_eq!(set.encoding(), "intset");
    let sorted: Vec<String> =
        set.iter().map(|member| String::from_utf8(member.to_vec()).unwrap()).collect();
    let wanted = [
        "-9223372036854775808",
        "-40000",
        "-7",
        "5",
        "32767",
        "40000",
        "2147483648",
        "9223372036854775807",
    ];
    assert_eq!(sorted, wanted);
}

#[test]
fn only_canonical_integers_are_integers() {
    for text in ["0", "-1", "17", "-9223372036854775808", "9223372036854775807"] {
        assert_eq!(int_of(text.as_bytes()), text.parse().ok(), "{text}");
        assert!(int_of(text.as_bytes()).is_some(), "{text}");
    }
    for text in ["", "-", "-0", "00", "01", "+1", "1 ", "9223372036854775808", "1.0", "--1", "0x1"]
    {
        assert_eq!(int_of(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_set_of_integers_becomes_packed_or_a_table() {
    let limits = Limits::default();
    let ints = |count: i64| {
        let mut set = Set::default();
        (0..count).for_each(|number| assert!(set.insert(number.to_string().as_bytes(), &limits)));
        set
    };
    let mut set = ints(100);
    assert!(set.insert(b"word", &limits));
    assert_eq!((set.encoding(), set.len()), ("listpack", 101));
    let mut set = ints(200);
    assert!(set.insert(b"word", &limits));
    assert_eq!((set.encoding(), set.len()), ("hashtable", 201));
    let mut set = ints(512);
    assert!(!set.insert(b"511", &limits));
    assert_eq!(set.encoding(), "intset");
    assert!(set.insert(b"512", &limits));
    assert_eq!((set.encoding(), set.len()), ("hashtable", 513));
}
