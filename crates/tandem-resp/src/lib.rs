//! RESP2 and RESP3: parse requests in place, write replies, parse replies.
#![forbid(unsafe_code)]
