//! A look at the requests that follow in a pipeline, before they are carried out.

use super::{Number, number};

/// Most words of a request that is looked through; what is longer ends the look.
const WORDS_MAX: i64 = 16;

/// What [`first_arguments`] saw.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ahead {
    /// Arguments found.
    pub found: usize,
    /// Bytes of the requests they came from.
    pub bytes: usize,
}

/// Finds the first argument (usually the key) of each whole request at the start of `buf`, as many as
/// `arguments` has room for.
///
/// Stops at anything unusual (an inline request, a very long one, an error): this is for preparing
/// what [`crate::Parser`] will decide about. Costs about 10 ns per request.
pub fn first_arguments<'a>(buf: &'a [u8], arguments: &mut [&'a [u8]]) -> Ahead {
    let mut ahead = Ahead { found: 0, bytes: 0 };
    while ahead.found < arguments.len() {
        let Some((argument, end)) = request(buf, ahead.bytes) else { break };
        ahead.bytes = end;
        if let (Some(argument), Some(place)) = (argument, arguments.get_mut(ahead.found)) {
            *place = argument;
            ahead.found += 1;
        }
    }
    ahead
}

/// The first argument of the request at `at`, if it has one, and where the request ends.
#[inline]
fn request(buf: &[u8], at: usize) -> Option<(Option<&[u8]>, usize)> {
    if buf.get(at) != Some(&b'*') {
        return None;
    }
    let Number::Value(count @ 1..=WORDS_MAX, mut at) = number(buf, at + 1) else { return None };
    let mut argument = None;
    for index in 0..count {
        if buf.get(at) != Some(&b'$') {
            return None;
        }
        let Number::Value(length, start) = number(buf, at + 1) else { return None };
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        let word = buf.get(start..end)?;
        if index == 1 {
            argument = Some(word);
        }
        at = end.checked_add(2)?;
    }
    (at <= buf.len()).then_some((argument, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(buf: &[u8]) -> (Vec<&[u8]>, usize) {
        let mut arguments: [&[u8]; 3] = [b""; 3];
        let ahead = first_arguments(buf, &mut arguments);
        (arguments[..ahead.found].to_vec(), ahead.bytes)
    }

    #[test]
    fn first_arguments_of_whole_requests_are_found() {
        let get = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
        let ping = b"*1\r\n$4\r\nPING\r\n";
        let set = b"*3\r\n$3\r\nSET\r\n$2\r\nbb\r\n$1\r\nx\r\n";
        let all = [&get[..], ping, set].concat();
        assert_eq!(look(&all), (vec![&b"a"[..], b"bb"], all.len()));
        for cut in 0..all.len() {
            let whole = [get.len() + ping.len(), get.len(), 0];
            let want = whole.into_iter().find(|&end| end <= cut).unwrap();
            assert_eq!(look(&all[..cut]).1, want, "cut at {cut}");
        }
    }

    #[test]
    fn the_look_ends_when_there_is_no_more_room() {
        let get = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n";
        assert_eq!(look(&get.repeat(5)), (vec![&b"a"[..]; 3], 3 * get.len()));
    }

    #[test]
    fn whatever_is_unusual_ends_the_look() {
        for odd in
            ["PING\r\n", "*0\r\n", "*-1\r\n", "*17\r\n", "*1\r\n:1\r\n", "*2\r\n$-1\r\n", "*x\r\n"]
        {
            let buf = [odd, "*2\r\n$3\r\nGET\r\n$1\r\na\r\n"].concat();
            assert_eq!(look(buf.as_bytes()), (vec![], 0), "{odd:?}");
        }
    }
}
