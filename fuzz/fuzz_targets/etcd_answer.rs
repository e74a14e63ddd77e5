//! Hostile bytes as answers of etcd: what keeps the record in mind must stay sound whatever is said.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|answers: Vec<&[u8]>| tandem_etcd::fuzz::answers(&answers));
