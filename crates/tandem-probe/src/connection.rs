//! A connection to the primary's client port, as any client has one.

use std::io;

use rustls::AlertDescription;
use rustls::pki_types::ServerName;
use tandem_resp::{ReplyLimits, ReplyParser, Value, write_request};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::ProberSettings;

/// What a primary may answer to a probe: a server that sends more is none.
const LIMITS: ReplyLimits =
    ReplyLimits { bulk_bytes_max: 1 << 10, parts_max: 16, depth_max: 2, line_bytes_max: 4 << 10 };

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The socket says so.
    Socket(io::Error),
    /// The handshake failed: this node does not trust the certificate, or the reverse.
    Handshake(io::Error),
    /// The password is not accepted.
    Login(String),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open connection.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    replies: ReplyParser,
}

impl Connection {
    /// Connects and logs in.
    pub(crate) async fn open(settings: &ProberSettings) -> Result<Self, ConnectError> {
        let address = (settings.host.trim_matches(['[', ']']), settings.port);
        let stream = TcpStream::connect(address).await.map_err(ConnectError::Socket)?;
        stream.set_nodelay(true).map_err(ConnectError::Socket)?;
        let stream: Box<dyn Stream> = match &settings.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::try_from(address.0.to_owned())
                    .map_err(|error| ConnectError::Handshake(io::Error::other(error)))?;
                let source = tls.clone();
                let read = tokio::task::spawn_blocking(move || source.read()).await;
                let config = read.map_err(io::Error::other).flatten();
                let config = config.map_err(ConnectError::Handshake)?;
                let shaken = TlsConnector::from(config).connect(name, stream).await;
                Box::new(shaken.map_err(of_handshake)?)
            }
        };
        let mut connection = Self { stream, replies: ReplyParser::with_limits(LIMITS) };
        if let Some(password) = &settings.password {
            let mut request = Vec::new();
            write_request(&mut request, &[b"AUTH", password]);
            connection.send(&request).await.map_err(ConnectError::Socket)?;
            if let Value::Error(text) = connection.reply().await.map_err(ConnectError::Socket)? {
                return Err(ConnectError::Login(String::from_utf8_lossy(&text).into_owned()));
            }
        }
        Ok(connection)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next reply; messages that nobody asked for are passed over.
    pub(crate) async fn reply(&mut self) -> io::Result<Value> {
        let mut bytes = [0; 4096];
        loop {
            let reply = self.replies.next_reply();
            match reply.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
                Some(Value::Push(_)) => {}
                Some(value) => return Ok(value),
                None => match self.stream.read(&mut bytes).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    count => self.replies.feed(bytes.get(..count).unwrap_or_default()),
                },
            }
        }
    }
}

/// A connection that breaks during the handshake is the primary's, a certificate that is refused is not.
fn of_handshake(error: io::Error) -> ConnectError {
    let broken = matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    );
    if broken { ConnectError::Socket(error) } else { ConnectError::Handshake(error) }
}

/// The primary refuses this node's certificate. With TLS 1.3 it says so only after the handshake.
pub(crate) fn refuses_certificate(error: &io::Error) -> bool {
    let said = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    matches!(
        said,
        Some(rustls::Error::AlertReceived(
            AlertDescription::AccessDenied
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRequired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::DecryptError
                | AlertDescription::UnknownCA
                | AlertDescription::UnsupportedCertificate
        ))
    )
}
