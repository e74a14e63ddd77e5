//! Ports of 127.0.0.1 that nobody uses.

use std::net::{SocketAddr, TcpListener};

/// Several at once, so that no two are equal.
pub(super) fn free<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let mut found = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    let mut kept = Vec::new();
    for address in &mut found {
        let listener = TcpListener::bind(*address)?;
        *address = listener.local_addr()?;
        kept.push(listener);
    }
    Ok(found)
}
