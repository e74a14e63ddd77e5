//! Patterns of `KEYS`, `SCAN MATCH`, `PSUBSCRIBE` and `CONFIG GET`.

/// How patterns treat letters.
const fn lower(byte: u8, fold: bool) -> u8 {
    if fold { byte.to_ascii_lowercase() } else { byte }
}

/// Whether `text` matches the glob `pattern` as Redis' `stringmatchlen`: `*`, `?`, `[a-z]`, `[^a]`,
/// and `\` before a byte that stands for itself. `fold` ignores the case of ASCII letters.
///
/// Iterative: only the last `*` is ever tried again, which is enough for globs, so the time is at most
/// `pattern.len() * text.len()` however many stars there are.
pub fn glob_matches(pattern: &[u8], text: &[u8], fold: bool) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // After the last star: the rest of the pattern, and where in the text its next try begins.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', after @ ..] = pattern {
            if after.is_empty() {
                return true;
            }
            pattern = after;
            retry = Some((after, text));
            continue;
        }
        match (pattern.is_empty(), text) {
            (true, []) => return true,
            (false, [byte, rest @ ..]) => {
                let (matched, after) = one(pattern, *byte, fold);
                if matched {
                    (pattern, text) = (after, rest);
                    continue;
                }
            }
            (false, []) => return false, // longer tries have even less text
            (true, [_, ..]) => {}
        }
        match retry {
            Some((after, [_, rest @ ..])) => {
                (pattern, text) = (after, rest);
                retry = Some((after, rest));
            }
            _ => return false,
        }
    }
}

/// Matches the first unit of a pattern (not `*`, not empty) against `byte`; the rest of the pattern.
fn one(pattern: &[u8], byte: u8, fold: bool) -> (bool, &[u8]) {
    match pattern {
        [b'?', after @ ..] => (true, after),
        [b'[', class @ ..] => class_matches(class, byte, fold),
        [b'\\', escaped, after @ ..] => (lower(*escaped, fold) == lower(byte, fold), after),
        [literal, after @ ..] => (lower(*literal, fold) == lower(byte, fold), after),
        [] => (false, pattern),
    }
}

/// Matches a class whose `[` is already taken; an unclosed class ends with the pattern.
fn class_matches(class: &[u8], byte: u8, fold: bool) -> (bool, &[u8]) {
    let (negated, mut rest) = match class {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let byte = lower(byte, fold);
    let mut found = false;
    loop {
        rest = match rest {
            [b'\\', escaped, after @ ..] => {
                found |= lower(*escaped, fold) == byte;
                after
            }
            [b']', after @ ..] => return (found != negated, after),
            [from, b'-', to, after @ ..] => {
                let (from, to) = (lower(*from, fold), lower(*to, fold));
                found |= (from.min(to)..=from.max(to)).contains(&byte);
                after
            }
            [single, after @ ..] => {
                found |= lower(*single, fold) == byte;
                after
            }
            [] => return (found != negated, rest),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_redis() {
        for (pattern, text, want) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "ab ab", true),
            ("*ab", "aab", true),
            ("[-+]sdown", "-sdown", true),
            ("[\\]]", "]", true),
            ("[a", "a", true),
            ("a\\", "a\\", true),
            ("**", "", true),
            ("a?", "a", false),
            ("*?", "", false),
        ] {
            assert_eq!(
                glob_matches(pattern.as_bytes(), text.as_bytes(), false),
                want,
                "{pattern} {text}"
            );
        }
        assert!(glob_matches(b"MAX*", b"maxmemory", true));
        assert!(!glob_matches(b"MAX*", b"maxmemory", false));
    }

    #[test]
    fn ten_thousand_stars_take_no_time() {
        let pattern = b"*a".repeat(10_000);
        assert!(!glob_matches(&pattern, &[b'a'; 9_999], false));
        assert!(glob_matches(&pattern, &[b'a'; 10_000], false));
    }
}
