//! What the programs have in common: a line per write, and an end when standard input ends.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Between two writes.
pub const REST: Duration = Duration::from_millis(25);

/// Microseconds since 1970: all programs of a test share one clock.
pub fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros())
}

/// True once whoever started the program closes its standard input.
pub fn watch_for_end() -> Arc<AtomicBool> {
    let over = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&over);
    std::thread::spawn(move || {
        let _ended = std::io::stdin().read_to_end(&mut Vec::new());
        set.store(true, Ordering::Relaxed);
    });
    over
}

/// One line: begin, end, what.
pub fn say(begun: u128, what: &str) {
    let mut out = std::io::stdout().lock();
    let what = what.replace('\n', " ");
    let _written = writeln!(out, "{begun} {} {what}", now()).and_then(|()| out.flush());
}

/// `host:port,host:port`.
pub fn addresses(text: &str) -> Vec<(String, u16)> {
    let one = |text: &str| {
        let (host, port) = text.split_once(':').expect("host:port");
        (host.to_owned(), port.parse().expect("a port"))
    };
    text.split(',').map(one).collect()
}
