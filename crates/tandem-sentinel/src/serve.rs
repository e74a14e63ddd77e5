//! The accept loop, and what one connection reads and writes.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tandem_resp::{Parsed, Parser};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use crate::SentinelView;
use crate::changes::{Message, changes};
use crate::grace::Grace;
use crate::memory::remembered;
use crate::session::{Next, Session};

/// Connections at once; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 4096;

/// Input of one connection that is not carried out yet.
const INPUT_BYTES_MAX: usize = 256 << 10;

/// Replies are sent once there are so many, whatever else was asked.
const OUTPUT_BYTES_MAX: usize = 64 << 10;

/// Publications that a slow listener may be behind; then it is closed and asks anew.
const MESSAGES_MAX: usize = 1024;

/// Who does not take its bytes for so long is closed.
const WRITE_TIME_MAX: Duration = Duration::from_secs(10);

/// Who has not given the password, or finished TLS, after this is closed.
const GREETING_TIME_MAX: Duration = Duration::from_secs(10);

/// What comes of `SENTINEL FAILOVER`; the error is a whole reply, such as `NOGOODSLAVE ...`.
pub type FailoverAnswer = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Begins a planned change of primary of the pair of that name.
pub type Failover = Arc<dyn Fn(String) -> FailoverAnswer + Send + Sync>;

/// How the port is guarded, and what it can set off.
#[derive(Clone)]
pub struct SentinelSettings {
    /// What clients must give to `AUTH` or `HELLO`.
    pub password: Option<Arc<[u8]>>,
    /// Encrypts the port.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Carries out `SENTINEL FAILOVER`.
    pub failover: Failover,
}

/// What all connections see.
#[derive(Clone)]
struct Shared {
    view: watch::Receiver<Arc<SentinelView>>,
    messages: broadcast::Sender<Arc<[Message]>>,
    settings: SentinelSettings,
}

/// Serves until `stop` is ready. The view may change at any time; its last state stays if its sender goes.
pub async fn serve(
    listener: TcpListener,
    view: watch::Receiver<SentinelView>,
    settings: SentinelSettings,
    stop: impl Future<Output = ()> + Send,
) {
    let first = remembered(&SentinelView::default(), view.borrow().clone());
    let (show, shown) = watch::channel(Arc::new(first));
    let (messages, _) = broadcast::channel(MESSAGES_MAX);
    let tls = settings.tls.clone().map(TlsAcceptor::from);
    let shared = Shared { view: shown, messages: messages.clone(), settings };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut last_id = 0;
    let follow = follow(view, show, messages);
    let (mut stop, mut follow) = (std::pin::pin!(stop), std::pin::pin!(follow));
    loop {
        let next = async {
            // The semaphore is never closed, so the error cannot happen; ending would be right.
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((listener.accept().await, place))
        };
        let accepted = tokio::select! {
            () = &mut stop => break,
            () = &mut follow => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = next => accepted,
        };
        match accepted {
            Some((Ok((stream, _)), place)) => {
                last_id += 1;
                let (id, shared, tls) = (last_id, shared.clone(), tls.clone());
                connections.spawn(async move {
                    let _place = place;
                    // Without it each answer waits for the acknowledgement of the last; nothing breaks.
                    let _set = stream.set_nodelay(true);
                    // How a connection ends concerns nobody but its client.
                    let _ended = match tls {
                        None => connection(stream, id, shared).await,
                        Some(tls) => match timeout(GREETING_TIME_MAX, tls.accept(stream)).await {
                            Ok(Ok(stream)) => connection(stream, id, shared).await,
                            Ok(Err(error)) => Err(error),
                            Err(_late) => Ok(()),
                        },
                    };
                });
            }
            // Out of file descriptors, or the client has gone: others may still come.
            Some((Err(_), _)) => sleep(Duration::from_millis(50)).await,
            None => break,
        }
    }
}

/// Shows each new view first and then says what changed, so that who asks on a message is told the same.
async fn follow(
    mut view: watch::Receiver<SentinelView>,
    show: watch::Sender<Arc<SentinelView>>,
    messages: broadcast::Sender<Arc<[Message]>>,
) {
    let mut grace = Grace::default();
    loop {
        let due = grace.deadline();
        let wait = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = view.changed() => if changed.is_err() { break },
            () = wait => {}
        }
        let old = Arc::clone(&show.borrow());
        let mut new = remembered(&old, view.borrow_and_update().clone());
        grace.give(&old, &mut new, Instant::now());
        let said = changes(&old, &new);
        show.send_replace(Arc::new(new));
        if !said.is_empty() {
            // An error says that nobody listens.
            let _listeners = messages.send(said.into());
        }
    }
    // Nothing more will be known; what is known goes on being answered.
    std::future::pending::<()>().await;
}

async fn connection(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    id: i64,
    shared: Shared,
) -> io::Result<()> {
    let mut news = shared.messages.subscribe();
    let mut session = Session::new(id, shared.settings.password.is_none());
    let (mut parser, mut input, mut out) = (Parser::new(), Vec::new(), Vec::new());
    let greeting = sleep(GREETING_TIME_MAX);
    let mut greeting = std::pin::pin!(greeting);
    loop {
        tokio::select! {
            read = stream.read_buf(&mut input) => {
                if read? == 0 {
                    return Ok(());
                }
                let go_on =
                    carry_out(&mut stream, &mut session, &mut parser, &mut input, &mut out, &shared);
                if !go_on.await? || input.len() > INPUT_BYTES_MAX {
                    send(&mut stream, &mut out).await?;
                    return stream.shutdown().await;
                }
            }
            said = news.recv() => {
                // Whoever missed something must ask anew, which a new connection does.
                let Ok(said) = said else { return Ok(()) };
                for message in said.iter() {
                    session.deliver(message, &mut out);
                }
            }
            () = &mut greeting, if !session.is_authenticated() => return Ok(()),
        }
        send(&mut stream, &mut out).await?;
    }
}

/// Carries out the whole requests in `input`; false: the connection is to end.
async fn carry_out(
    stream: &mut (impl AsyncWrite + Unpin),
    session: &mut Session,
    parser: &mut Parser,
    input: &mut Vec<u8>,
    out: &mut Vec<u8>,
    shared: &Shared,
) -> io::Result<bool> {
    let mut done = 0;
    loop {
        let rest = input.get(done..).unwrap_or_default();
        match parser.parse(rest, session.limits()) {
            Ok(Parsed::Incomplete { .. }) => break,
            Ok(Parsed::Empty { consumed }) => done += consumed,
            Ok(Parsed::Command { consumed }) => {
                let view = Arc::clone(&shared.view.borrow());
                let password = shared.settings.password.as_deref();
                let next = session.run(&parser.args(rest), &view, password, out);
                done += consumed;
                match next {
                    Next::Go => {}
                    Next::Close => return Ok(false),
                    Next::Failover(name) => match (shared.settings.failover)(name).await {
                        Ok(()) => session.reply(out).ok(),
                        Err(text) => session.reply(out).error(&text),
                    },
                }
                if out.len() > OUTPUT_BYTES_MAX {
                    send(stream, out).await?;
                }
            }
            Err(error) => {
                session.reply(out).error_fmt(format_args!("ERR {error}"));
                return Ok(false);
            }
        }
    }
    input.drain(..done);
    Ok(true)
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), out: &mut Vec<u8>) -> io::Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    timeout(WRITE_TIME_MAX, async {
        stream.write_all(out).await?;
        stream.flush().await
    })
    .await
    .map_err(|_late| io::ErrorKind::TimedOut)??;
    out.clear();
    Ok(())
}

#[cfg(test)]
mod tests;
