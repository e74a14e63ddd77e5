//! The accept loop: connections, TLS, limits.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::guard::Guard;
use crate::{AdminPort, HEADER_BYTES_MAX, router};

/// Connections at once; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 256;

/// A connection that says nothing is closed after this; so is one that sends its headers slowly.
const HEADERS_TIME_MAX: Duration = Duration::from_secs(5);

/// How long open requests may take to finish when the node stops.
const DRAIN_TIME_MAX: Duration = Duration::from_millis(500);

/// How the port is guarded.
#[derive(Clone, Debug, Default)]
pub struct ConsoleSettings {
    /// Token for requests that change something; `None`: no token is asked for.
    pub token: Option<Vec<u8>>,
    /// Host names, besides addresses and `localhost`, under which this node is reached.
    pub hosts: Vec<String>,
    /// Encrypts the port.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// Serves until `stop` is ready.
pub async fn serve<P: AdminPort>(
    listener: TcpListener,
    port: P,
    settings: ConsoleSettings,
    stop: impl Future<Output = ()> + Send,
) {
    let guard = Guard { token: settings.token, hosts: settings.hosts };
    let app = router::router(port, guard);
    let tls = settings.tls.map(TlsAcceptor::from);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            // The semaphore is never closed, so the error cannot happen; ending the loop would be right.
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((listener.accept().await, place))
        };
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = next => accepted,
        };
        match accepted {
            Some((Ok((stream, _)), place)) => {
                tokio::spawn(connection(stream, tls.clone(), app.clone(), place));
            }
            // Out of file descriptors, or the client has gone: others may still come.
            Some((Err(_), _)) => tokio::time::sleep(Duration::from_millis(50)).await,
            None => break,
        }
    }
    drop(listener);
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let _drained = timeout(DRAIN_TIME_MAX, places.acquire_many(all)).await;
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    app: Router,
    _place: OwnedSemaphorePermit,
) {
    match tls {
        None => talk(stream, app).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(HEADERS_TIME_MAX, tls.accept(stream)).await {
                talk(stream, app).await;
            }
        }
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, app: Router) {
    // What the client did wrong was answered (400, 408, 431) or the connection is gone.
    let _ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIME_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
        .await;
}
