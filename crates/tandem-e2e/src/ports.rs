//! Free ports that two tests, in one process or many, never get twice.

use std::fs::{File, TryLockError};
use std::net::TcpListener;
use std::sync::Mutex;

/// Below the kernel's ephemeral range (32768 on), so that no outgoing connection sits on one.
const FIRST: u16 = 12_000;
const LAST: u16 = 31_000;
/// Ports of one lock file.
const BLOCK: u16 = 20;

/// The block this process draws from, and the lock that keeps it ours until the process ends.
struct Block {
    next: u16,
    end: u16,
    _lock: File,
}

static CURRENT: Mutex<Option<Block>> = Mutex::new(None);

/// A port of 127.0.0.1 that nobody listens on and that nobody else is given while this process lives.
pub fn free_port() -> u16 {
    let mut current = CURRENT.lock().expect("no test panics while it draws a port");
    loop {
        if let Some(block) = current.as_mut() {
            while block.next < block.end {
                let port = block.next;
                block.next += 1;
                if is_free(port) {
                    return port;
                }
            }
            // The old block stays locked as long as the process lives: its ports are in use.
            std::mem::forget(current.take());
        }
        *current = Some(lock_block());
    }
}

fn is_free(port: u16) -> bool {
    // Every address, as a server might be bound to another one of this machine.
    TcpListener::bind(("0.0.0.0", port)).is_ok()
}

fn lock_block() -> Block {
    let folder = std::env::temp_dir().join("tandem-e2e-ports");
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    let mut start = FIRST;
    while start < LAST {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(start.to_string()))
            .expect("a lock file can be made");
        match file.try_lock() {
            Ok(()) => return Block { next: start, end: start + BLOCK, _lock: file },
            Err(TryLockError::WouldBlock) => start += BLOCK,
            Err(TryLockError::Error(error)) => panic!("lock a block of ports: {error}"),
        }
    }
    panic!("no block of ports is free in {FIRST}..{LAST}")
}
