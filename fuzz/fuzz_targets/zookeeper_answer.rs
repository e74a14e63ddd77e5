//! Hostile bytes as answers of a `ZooKeeper` ensemble.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| tandem_zookeeper::fuzz::answer(bytes));
