//! Hostile bytes as what the nodes say to compare their data: refused, or written back as the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_node::Compare;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Compare::decode(bytes) {
        assert_eq!(message.to_bytes(), bytes, "{message:?}");
    }
});
