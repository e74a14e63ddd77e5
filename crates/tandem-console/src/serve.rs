//! The accept loop: connections, TLS, limits.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::guard::Guard;
use crate::places::{Place, Places};
use crate::{AdminPort, HEADER_BYTES_MAX, router};

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
    let places = Places::default();
    let (alive, mut drained) = mpsc::channel::<()>(1);
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // None is left when everybody is being answered: soon there is one again.
                let Some(place) = places.take(peer.ip()) else { continue };
                let (tls, app, alive) = (tls.clone(), app.clone(), alive.clone());
                tokio::spawn(async move {
                    let place = Arc::new(place);
                    tokio::select! {
                        () = place.lost() => {}
                        () = connection(stream, tls, app, Arc::clone(&place)) => {}
                    }
                    drop(alive);
                });
            }
            // Out of file descriptors, or the client has gone: others may still come.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    drop((listener, alive));
    let _drained = timeout(DRAIN_TIME_MAX, drained.recv()).await;
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, app: Router, place: Arc<Place>) {
    match tls {
        None => talk(stream, app, place).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = timeout(HEADERS_TIME_MAX, tls.accept(stream)).await {
                talk(stream, app, place).await;
            }
        }
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, app: Router, place: Arc<Place>) {
    let app = TowerToHyperService::new(app);
    let service = service_fn(move |request| {
        place.answering();
        let (answer, place) = (app.call(request), Arc::clone(&place));
        async move {
            let answer = answer.await;
            place.answered();
            answer
        }
    });
    // What the client did wrong was answered (400, 408, 431) or the connection is gone.
    let _ended = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIME_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
