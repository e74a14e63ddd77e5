//! A channel over TCP: both nodes listen on their own end, node B dials.
//!
//! A connection that comes is a stranger's until it has brought a frame of the peer: it is told nothing, may
//! bring little, and makes room for others (see `places.rs`).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tandem_types::NodeId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::places::{Admission, Places};
use crate::{Endpoint, FRAME_BYTES, Shared};

/// Between two attempts to dial or to listen.
const PAUSE: Duration = Duration::from_millis(250);
/// A peer that does not answer a dial for so long is not there.
const DIAL_TIME_MAX: Duration = Duration::from_secs(1);
/// A path that takes no frame for so long is broken.
const WRITE_TIME_MAX: Duration = Duration::from_secs(2);
/// A connection that brings nothing for so long is dropped; the peer dials again.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Whoever has not brought one frame by then is not the peer.
const PROOF_TIME_MAX: Duration = Duration::from_secs(5);
/// Bytes without one frame among them, after which it is not the peer.
const NOISE_BYTES_MAX: usize = 8 * FRAME_BYTES;

pub(crate) async fn run(shared: Shared) {
    let (Endpoint::Tcp(own), Endpoint::Tcp(peer)) =
        (shared.settings.own.clone(), shared.settings.peer.clone())
    else {
        return tracing::error!("a channel's two ends are of different kinds");
    };
    if shared.settings.node == NodeId::B {
        dial(&shared, &own, &peer).await;
    } else {
        listen(&shared, &own, &peer).await;
    }
}

async fn listen(shared: &Shared, own: &str, peer: &str) {
    let guests = Guests::default();
    let mut trouble = String::new();
    loop {
        let listener = match TcpListener::bind(own).await {
            Ok(listener) => listener,
            Err(error) => {
                once(&mut trouble, &format!("listen on {own}: {error}"));
                sleep(PAUSE).await;
                continue;
            }
        };
        let likely = addresses(peer).await;
        while let Ok((stream, from)) = listener.accept().await {
            guests.receive(shared, stream, likely.contains(&from.ip()));
        }
        sleep(PAUSE).await;
    }
}

/// Where the peer dials from; none, if its name is not known: then nobody goes before others.
async fn addresses(peer: &str) -> Vec<IpAddr> {
    let Ok(Ok(found)) = timeout(DIAL_TIME_MAX, lookup_host(peer)).await else { return Vec::new() };
    found.map(|address| address.ip()).collect()
}

/// Connections that came, each with the task that serves it.
#[derive(Clone, Default)]
struct Guests(Arc<Mutex<Guestbook>>);

#[derive(Default)]
struct Guestbook {
    places: Places,
    tasks: BTreeMap<u64, AbortHandle>,
}

impl Guests {
    fn receive(&self, shared: &Shared, stream: TcpStream, is_likely: bool) {
        let mut book = self.book();
        let Admission::Admitted(number, evicted) = book.places.admit(is_likely) else { return };
        book.close(evicted);
        let (shared, guests) = (shared.clone(), self.clone());
        let task = tokio::spawn(async move {
            // How it ended does not matter: the peer dials again.
            guests.serve(&shared, stream, number).await.ok();
            let mut book = guests.book();
            book.places.left(number);
            book.tasks.remove(&number);
        });
        book.tasks.insert(number, task.abort_handle());
    }

    async fn serve(&self, shared: &Shared, mut stream: TcpStream, number: u64) -> io::Result<()> {
        let mut rest = Vec::new();
        timeout(PROOF_TIME_MAX, proof(shared, &mut stream, &mut rest)).await??;
        {
            let mut book = self.book();
            let older = book.places.proven(number);
            book.close(older);
        }
        converse(shared, stream, rest).await
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Guestbook> {
        // Every change in there is one call: nothing is left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guestbook {
    fn close(&mut self, number: Option<u64>) {
        if let Some(task) = number.and_then(|number| self.tasks.remove(&number)) {
            task.abort();
        }
    }
}

/// Reads until a frame of the peer came; leaves in `rest` what may be the beginning of the next.
async fn proof(shared: &Shared, stream: &mut TcpStream, rest: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; FRAME_BYTES];
    let mut taken = 0;
    while taken < NOISE_BYTES_MAX {
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => rest.extend_from_slice(&buffer[..length]),
        }
        taken += FRAME_BYTES;
        if shared.received(rest) {
            return Ok(());
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

async fn dial(shared: &Shared, own: &str, peer: &str) {
    let mut trouble = String::new();
    loop {
        let ended = match timeout(DIAL_TIME_MAX, connect(own, peer)).await {
            Ok(Ok(stream)) => converse(shared, stream, Vec::new()).await,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        if let Err(error) = ended {
            once(&mut trouble, &format!("the channel to {peer}: {error}"));
        }
        sleep(PAUSE).await;
    }
}

/// From this node's own end, so that the configured path is the one that is tried.
async fn connect(own: &str, peer: &str) -> io::Result<TcpStream> {
    let none = || io::Error::new(io::ErrorKind::AddrNotAvailable, "no address");
    let to = lookup_host(peer).await?.next().ok_or_else(none)?;
    let from = lookup_host(own).await?.find(|it| it.is_ipv4() == to.is_ipv4()).ok_or_else(none)?;
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(from.ip(), 0))?;
    socket.connect(to).await
}

/// Sends every report, takes what comes; `rest` is the beginning of a frame.
async fn converse(shared: &Shared, mut stream: TcpStream, mut rest: Vec<u8>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.split();
    let mut reports = shared.reports();
    let mut buffer = [0; 1024];
    let write = async {
        while let Some(vitals) = newest(&mut reports).await {
            let frame = shared.frame(vitals);
            timeout(WRITE_TIME_MAX, writer.write_all(&frame)).await??;
        }
        Ok(())
    };
    let read = async {
        loop {
            match timeout(SILENCE_MAX, reader.read(&mut buffer)).await?? {
                0 => return Ok(()),
                length => rest.extend_from_slice(&buffer[..length]),
            }
            // Once the peer, the connection stays the peer's: noise is skipped.
            let _is_peer = shared.received(&mut rest);
        }
    };
    tokio::select! { ended = write => ended, ended = read => ended }
}

/// The next report; those that a slow path has missed are old news. `None`: the node is gone.
pub(crate) async fn newest(
    reports: &mut tokio::sync::broadcast::Receiver<tandem_switch::Vitals>,
) -> Option<tandem_switch::Vitals> {
    use tokio::sync::broadcast::error::RecvError;
    loop {
        match reports.recv().await {
            Ok(vitals) => return Some(vitals),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

/// Says what goes wrong, once and not with every attempt.
pub(crate) fn once(last: &mut String, text: &str) {
    if last != text {
        tracing::warn!("{text}");
        text.clone_into(last);
    }
}

#[cfg(test)]
mod tests;
