//! One kept HTTP/1.1 connection to a member of etcd: one question at a time, answers of bounded size.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use crate::gateway::Refusal;
use crate::trouble::Trouble;

/// etcd takes values of up to 1.5 MiB: one of those, in base64, can still be read and called wrong.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Of a message of a stream only this much is looked at; events may hold values, which do not matter.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// A member without a leader refuses at once instead of waiting for one (etcd's `WithRequireLeader`).
const NEEDS_LEADER: (&str, &str) = ("grpc-metadata-hasleader", "true");

/// Where a member is, and how it is spoken to.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) endpoint: String,
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

/// An open connection; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(crate) async fn open(door: &Door) -> Result<Self, Trouble> {
        let stream = dial(door).await.map_err(Trouble::Unreachable)?;
        let (sender, connection) =
            http1::Builder::new().max_buf_size(64 * 1024).handshake(TokioIo::new(stream)).await?;
        // How it ends is seen by whoever asks next.
        let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Self { sender, host: door.endpoint.clone(), driver })
    }

    /// Asks once; the whole answer. Whether what was asked for happens after an error is not known.
    pub(crate) async fn ask(
        &mut self,
        path: &str,
        token: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Bytes, Trouble> {
        let answer = self.send(path, token, body).await?;
        let status = answer.status();
        let body = collect(answer.into_body()).await?;
        if status == StatusCode::OK { Ok(body) } else { Err(refusal(status, &body)) }
    }

    /// Asks for a stream of messages.
    pub(crate) async fn listen(
        mut self,
        path: &str,
        token: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Lines, Trouble> {
        let answer = self.send(path, token, body).await?;
        let status = answer.status();
        if status != StatusCode::OK {
            let body = collect(answer.into_body()).await?;
            return Err(refusal(status, &body));
        }
        Ok(Lines { body: answer.into_body(), rest: BytesMut::new(), cut: false, _open: self })
    }

    async fn send(
        &mut self,
        path: &str,
        token: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, Trouble> {
        self.sender.ready().await?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json")
            .header(NEEDS_LEADER.0, NEEDS_LEADER.1);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        let request = request
            .body(Full::from(body))
            .map_err(|error| Trouble::Malformed(format!("its token or its name: {error}")))?;
        Ok(self.sender.send_request(request).await?)
    }
}

async fn collect(body: Incoming) -> Result<Bytes, Trouble> {
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Trouble::Long { limit: ANSWER_BYTES_MAX })
        }
        Err(error) => Err(Trouble::Broken(error.to_string())),
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> Trouble {
    let Refusal { code, error } = serde_json::from_slice(body).unwrap_or_default();
    let text =
        error.as_str().map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    Trouble::refused(status.as_u16(), code, &text)
}

/// Messages of a stream, one a line.
#[derive(Debug)]
pub(crate) struct Lines {
    body: Incoming,
    rest: BytesMut,
    /// The rest of the present line is thrown away.
    cut: bool,
    _open: Connection,
}

impl Lines {
    /// The next one; of a long one its beginning.
    pub(crate) async fn next(&mut self) -> Result<Bytes, Trouble> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(line);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(error.into()),
                // The last line may lack its end.
                None if !self.rest.is_empty() => return Ok(self.rest.split().freeze()),
                None => return Err(Trouble::Broken("etcd ended the watch".to_owned())),
            }
        }
    }

    fn take_line(&mut self) -> Option<Bytes> {
        loop {
            let end = self.rest.iter().position(|&byte| byte == b'\n');
            let Some(end) = end else {
                if self.rest.len() <= LINE_BYTES_MAX {
                    return None;
                }
                let line = self.rest.split().freeze();
                // A long line is given once, when it is known to be long.
                if !std::mem::replace(&mut self.cut, true) {
                    return Some(line);
                }
                return None;
            };
            let line = self.rest.split_to(end + 1).freeze();
            if !std::mem::replace(&mut self.cut, false) && !line.trim_ascii().is_empty() {
                return Some(line);
            }
        }
    }
}

async fn dial(door: &Door) -> std::io::Result<Stream> {
    let stream = TcpStream::connect(&door.endpoint).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = &door.tls else { return Ok(Box::new(stream)) };
    let host = door.endpoint.rsplit_once(':').map_or(&*door.endpoint, |(host, _)| host);
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(std::io::Error::other)?;
    Ok(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
}

/// Plain or encrypted.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}
type Stream = Box<dyn Duplex>;
