//! The reply of `HSCAN`, `SSCAN` and `ZSCAN`.

use tandem_resp::Reply;

/// The next cursor, and what was found: an array even in RESP3.
pub(crate) fn reply(reply: &mut Reply<'_>, next: u64, found: &[impl AsRef<[u8]>]) {
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    reply.array(found.len());
    for element in found {
        reply.bulk(element.as_ref());
    }
}
