//! A channel over TCP: both nodes listen on their own end, node B dials.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tandem_types::NodeId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

use crate::{Endpoint, Shared};

/// Between two attempts to dial or to listen.
const PAUSE: Duration = Duration::from_millis(250);
/// A peer that does not answer a dial for so long is not there.
const DIAL_TIME_MAX: Duration = Duration::from_secs(1);
/// A path that takes no frame for so long is broken.
const WRITE_TIME_MAX: Duration = Duration::from_secs(2);
/// A connection that brings nothing for so long is dropped; the peer dials again.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Strangers can hold no more connections than this.
const CONNECTIONS_MAX: usize = 4;

pub(crate) async fn run(shared: Shared) {
    let (Endpoint::Tcp(own), Endpoint::Tcp(peer)) =
        (shared.settings.own.clone(), shared.settings.peer.clone())
    else {
        return tracing::error!("a channel's two ends are of different kinds");
    };
    if shared.settings.node == NodeId::B {
        dial(&shared, &own, &peer).await;
    } else {
        listen(&shared, &own).await;
    }
}

async fn listen(shared: &Shared, own: &str) {
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
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
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            let shared = shared.clone();
            tokio::spawn(async move {
                // How it ended does not matter: the peer dials again.
                converse(&shared, stream).await.ok();
                drop(place);
            });
        }
        sleep(PAUSE).await;
    }
}

async fn dial(shared: &Shared, own: &str, peer: &str) {
    let mut trouble = String::new();
    loop {
        let ended = match timeout(DIAL_TIME_MAX, connect(own, peer)).await {
            Ok(Ok(stream)) => converse(shared, stream).await,
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

async fn converse(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.split();
    let mut reports = shared.reports();
    let mut buffer = [0; 1024];
    let mut rest = Vec::new();
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
            shared.received(&mut rest);
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
