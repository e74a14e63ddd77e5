//! The line between the two nodes, which can be cut without root: small TCP relays.
//!
//! Each node is configured to be reached at an address (`host`) that is not the one it listens on (`bind`).
//! The relays listen there and pass on what comes, or, while the line is cut, hold it back: nothing arrives,
//! no connection is refused and none ends, as when a cable is pulled. What was held back arrives when the
//! line is whole again, as TCP would send it again.
//!
//! ```text
//! a ---> host of b : link port, client port (relay) ---> bind of b      and the same towards a
//! clients, witness ------------------------------------> bind of b      are not on this line
//! ```

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

const BUFFER_BYTES: usize = 16 * 1024;

/// One direction of the line: where the relay listens, and where it passes on to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
}

/// The relays of one pair; they end with this value.
pub(crate) struct Line {
    whole: watch::Sender<bool>,
    relays: Vec<JoinHandle<()>>,
}

impl Line {
    /// Starts the relays.
    pub(crate) fn lay(runtime: &Handle, ways: &[Way]) -> anyhow::Result<Self> {
        let (whole, _) = watch::channel(true);
        let mut relays = Vec::new();
        for way in ways {
            let listener = runtime
                .block_on(TcpListener::bind(way.from))
                .with_context(|| format!("listen on {}", way.from))?;
            relays.push(runtime.spawn(relay(listener, way.to, whole.subscribe())));
        }
        Ok(Self { whole, relays })
    }

    /// From now on nothing passes.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Everything passes again.
    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        for relay in &self.relays {
            relay.abort();
        }
    }
}

async fn relay(listener: TcpListener, to: SocketAddr, whole: watch::Receiver<bool>) {
    // Ends with this task, and all its connections with it.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // Out of file handles is the one thing that can go wrong: the caller tries again.
        let Ok((near, _)) = listener.accept().await else { continue };
        connections.spawn(connection(near, to, whole.clone()));
    }
}

async fn connection(near: TcpStream, to: SocketAddr, mut whole: watch::Receiver<bool>) {
    passes(&mut whole).await;
    // A connection that breaks on one side is one that ends on the other.
    let Ok(far) = TcpStream::connect(to).await else { return };
    if near.set_nodelay(true).and(far.set_nodelay(true)).is_err() {
        return;
    }
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let there = pump(near_read, far_write, whole.clone());
    let back = pump(far_read, near_write, whole);
    let _ended = tokio::try_join!(there, back);
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut whole: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer).await;
        // Also an end or an error is news that does not pass a cut line.
        passes(&mut whole).await;
        let bytes = buffer.get(..read?).unwrap_or_default();
        if bytes.is_empty() {
            return to.shutdown().await;
        }
        to.write_all(bytes).await?;
    }
}

async fn passes(whole: &mut watch::Receiver<bool>) {
    // An error says that the line itself is gone; this task is being ended then.
    let _closed = whole.wait_for(|whole| *whole).await;
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_cut_line_holds_everything_back_and_loses_nothing() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let far = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let way = Way { from: free, to: far.local_addr().unwrap() };
        let line = Line::lay(runtime.handle(), &[way]).unwrap();
        let mut near = std::net::TcpStream::connect(free).unwrap();
        let (mut there, _) = far.accept().unwrap();
        there.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut bytes = [0; 4];
        near.write_all(b"one.").unwrap();
        there.read_exact(&mut bytes).unwrap();
        line.cut();
        near.write_all(b"two.").unwrap();
        drop(near);
        assert!(there.read(&mut bytes).is_err(), "nothing comes, not even the end");
        line.mend();
        there.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        there.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"two.");
        assert_eq!(there.read(&mut bytes).unwrap(), 0, "now it has ended");
    }
}
