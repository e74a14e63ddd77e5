//! Hostile configuration files: no text makes the reader panic, and what it accepts stays what it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_config::{Locals, differing_keys, load};

fuzz_target!(|input: (&str, Vec<(String, String)>)| {
    let (text, environment) = input;
    let environment = environment.into_iter().map(|(name, value)| (format!("TANDEM_{name}"), value));
    let Ok(config) = load(text, environment) else { return };
    // What `config show --all` prints is a valid file that means the same.
    let mut shown = String::new();
    for entry in config.entries() {
        shown.push_str(&format!("{} = {}\n", entry.path, entry.value));
    }
    let again = load(&shown, []).expect("what is shown can be read");
    assert_eq!(config.canonical(), again.canonical());
    assert_eq!(config.digest(), again.digest());
    assert!(differing_keys(&config.canonical(), &again.canonical()).is_empty());
    let _found = config.find_self(None, &Locals::default());
    let _supported = config.supported();
});
