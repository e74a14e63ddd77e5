//! The known word nearest to a mistyped one.

/// The candidate with the fewest edits (insert, delete, replace, swap of neighbours); the first of equals.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates.min_by_key(|candidate| distance(word, candidate))
}

/// Longer words are compared by their beginning only, so that hostile input costs little.
const COMPARED_CHARS_MAX: usize = 80;

/// Optimal string alignment distance, ignoring case.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let chars = |text: &str| -> Vec<char> {
        text.chars().take(COMPARED_CHARS_MAX).flat_map(char::to_lowercase).collect()
    };
    let (a, b) = (chars(a), chars(b));
    // Three rows of the table suffice: the one being filled and two before it.
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_of_the_finger_is_one_edit() {
        for (a, b, want) in [
            ("name", "name", 0),
            ("nmae", "name", 1),
            ("nam", "name", 1),
            ("Name", "name", 0),
            ("", "name", 4),
            ("acknowlege", "acknowledge", 1),
        ] {
            assert_eq!(distance(a, b), want, "{a} {b}");
            assert_eq!(distance(b, a), want, "{b} {a}");
        }
        assert_eq!(
            nearest("fsnyc", ["name", "fsync", "fsync_interval"].into_iter()),
            Some("fsync")
        );
    }
}
