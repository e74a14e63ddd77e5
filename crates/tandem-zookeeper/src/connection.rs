//! One connection to one member: frames, request numbers, answers in order.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, copy, sink, split,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::{Broken, Code, Malformed};
use crate::jute::Reader;
use crate::request::{self, Op, Request};
use crate::session::Session;
use crate::stream::{self, Stream};

/// An answer that is longer is not kept: what a pair has at a mediator is a few hundred bytes.
const KEPT_BYTES_MAX: usize = 64 << 10;
/// A frame that claims to be longer is no `ZooKeeper`'s, whose own limit is 1 MiB unless raised.
const FRAME_BYTES_MAX: usize = 64 << 20;
const HEADER_BYTES: usize = 4 + 8 + 4;
/// Frames that wait for the task.
const FRAMES_WAITING_MAX: usize = 16;
/// However short the sessions are, a busy machine needs this long to answer.
const PATIENCE_MIN: Duration = Duration::from_millis(250);

/// A name and its password, as the ensemble's `digest` scheme takes them.
#[derive(Clone)]
pub struct Login {
    user: String,
    password: Vec<u8>,
}

impl Login {
    /// `user` must hold no colon.
    pub fn new(user: String, password: Vec<u8>) -> Self {
        Self { user, password }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.user)
    }
}

/// What came in one frame.
struct Frame {
    bytes: Vec<u8>,
    /// Its length, if more came than is kept.
    cut: Option<usize>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Code,
    body: Vec<u8>,
    /// Its length, if it was too long to be kept.
    pub(crate) cut: Option<usize>,
}

impl Answer {
    pub(crate) fn body(&self) -> Reader<'_> {
        Reader(&self.body)
    }
}

/// An open conversation.
pub(crate) struct Connection {
    writer: WriteHalf<Stream>,
    frames: mpsc::Receiver<io::Result<Frame>>,
    reading: JoinHandle<()>,
    last: i32,
    /// How long an answer may take.
    patience: Duration,
    /// The latest transaction that an answer told of.
    pub(crate) seen: i64,
    /// A watch has fired since this was last set to false.
    pub(crate) changed: bool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Connection {
    /// Dials, and opens `session` or goes on with it.
    pub(crate) async fn open(
        endpoint: &str,
        tls: Option<&Arc<rustls::ClientConfig>>,
        session: &mut Session,
        asked: Duration,
    ) -> Result<Self, Broken> {
        let patience = (asked / 2).max(PATIENCE_MIN);
        let dialled = timeout(patience, stream::dial(endpoint, tls)).await;
        let stream = dialled.map_err(|_| Broken::Silent(patience))??;
        let (reader, writer) = split(stream);
        let (sender, frames) = mpsc::channel(FRAMES_WAITING_MAX);
        let reading = tokio::spawn(read_frames(reader, sender));
        let seen = session.seen;
        let mut connection =
            Self { writer, frames, reading, last: 0, patience, seen, changed: false };
        connection.write(&session.greeting(asked)).await?;
        let greeted = connection.frame().await?;
        session.greeted(&greeted.bytes, asked)?;
        connection.patience = (session.granted / 2).max(PATIENCE_MIN);
        Ok(connection)
    }

    pub(crate) async fn login(&mut self, login: &Login) -> Result<(), Broken> {
        let request = Request::Login { user: &login.user, password: &login.password };
        self.write(&request::encode(request::AUTH, &request)).await?;
        let answer = self.receive(request::AUTH).await?;
        match answer.code {
            Code::OK => Ok(()),
            code => Err(Broken::from_code("log in", "the ensemble", code)),
        }
    }

    /// Sends without waiting; [`Self::receive`] takes the answers in the same order.
    pub(crate) async fn send(&mut self, request: &Request<'_>) -> Result<i32, Broken> {
        self.last = self.last.checked_add(1).unwrap_or(1);
        let number = self.last;
        self.write(&request::encode(number, request)).await?;
        Ok(number)
    }

    pub(crate) async fn ask(&mut self, op: &Op) -> Result<Answer, Broken> {
        let number = self.send(&Request::One(op)).await?;
        self.receive(number).await
    }

    /// All or nothing. An error says nothing about which of the two.
    pub(crate) async fn multi(&mut self, ops: &[Op]) -> Result<request::Multi, Broken> {
        let number = self.send(&Request::Multi(ops)).await?;
        self.receive_multi(number).await
    }

    pub(crate) async fn receive_multi(&mut self, number: i32) -> Result<request::Multi, Broken> {
        let answer = self.receive(number).await?;
        match answer.code {
            Code::OK => Ok(request::read_multi(&mut answer.body())?),
            code => Ok(Err((0, code))),
        }
    }

    /// Keeps the session while nothing else is said.
    pub(crate) async fn ping(&mut self) -> Result<(), Broken> {
        self.write(&request::encode(request::PING, &Request::Ping)).await?;
        self.receive(request::PING).await.map(drop)
    }

    /// Ends the session in good order.
    pub(crate) async fn close(&mut self) -> Result<(), Broken> {
        let number = self.send(&Request::Close).await?;
        self.receive(number).await.map(drop)
    }

    pub(crate) async fn receive(&mut self, number: i32) -> Result<Answer, Broken> {
        loop {
            let frame = self.frame().await?;
            if let Some(answer) = self.take(frame, number)? {
                return Ok(answer);
            }
        }
    }

    /// Waits until a watch fires or the connection ends. May be given up at any time.
    pub(crate) async fn idle(&mut self) -> Result<(), Broken> {
        let frame = self.frames.recv().await.unwrap_or_else(|| Err(ended()))?;
        match self.take(frame, request::NOTIFICATION)? {
            None => Ok(()),
            Some(_) => Err(Malformed.into()),
        }
    }

    /// `None`: it was no answer.
    fn take(&mut self, frame: Frame, number: i32) -> Result<Option<Answer>, Broken> {
        let mut input = Reader(&frame.bytes);
        let (found, transaction, code) = (input.i32()?, input.i64()?, Code(input.i32()?));
        if found == request::NOTIFICATION {
            self.changed = true;
            return Ok(None);
        }
        if found != number {
            return Err(Malformed.into());
        }
        if code == Code::SESSION_EXPIRED {
            return Err(Broken::Expired);
        }
        self.seen = self.seen.max(transaction);
        let Frame { mut bytes, cut } = frame;
        bytes.drain(..HEADER_BYTES.min(bytes.len()));
        Ok(Some(Answer { code, body: bytes, cut }))
    }

    async fn frame(&mut self) -> Result<Frame, Broken> {
        let patience = self.patience;
        match timeout(patience, self.frames.recv()).await {
            Ok(frame) => Ok(frame.unwrap_or_else(|| Err(ended()))?),
            Err(_) => Err(Broken::Silent(patience)),
        }
    }

    async fn write(&mut self, message: &[u8]) -> Result<(), Broken> {
        let length = i32::try_from(message.len()).map_err(|_| Malformed)?;
        let frame = [&length.to_be_bytes(), message].concat();
        // A member that does not read must not stop the whole conversation.
        let patience = self.patience;
        let written = timeout(patience, async {
            self.writer.write_all(&frame).await?;
            self.writer.flush().await
        });
        Ok(written.await.map_err(|_| Broken::Silent(patience))??)
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the member closed the connection")
}

async fn read_frames(mut reader: ReadHalf<Stream>, frames: mpsc::Sender<io::Result<Frame>>) {
    loop {
        let frame = read_frame(&mut reader).await;
        let over = frame.is_err();
        if frames.send(frame).await.is_err() || over {
            return;
        }
    }
}

async fn read_frame<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<Frame> {
    let mut length = [0; 4];
    if let Err(error) = reader.read_exact(&mut length).await {
        let closed = error.kind() == io::ErrorKind::UnexpectedEof;
        return Err(if closed { ended() } else { error });
    }
    let length = usize::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::other("a frame that is too long"));
    }
    let cut = (length > KEPT_BYTES_MAX).then_some(length);
    let mut bytes = vec![0; if cut.is_some() { HEADER_BYTES } else { length }];
    reader.read_exact(&mut bytes).await?;
    let rest = u64::try_from(length - bytes.len()).map_err(io::Error::other)?;
    if copy(&mut reader.take(rest), &mut sink()).await? < rest {
        return Err(ended());
    }
    Ok(Frame { bytes, cut })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_skipped_and_the_next_frame_is_read() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let long = KEPT_BYTES_MAX + 1;
            let mut bytes = i32::try_from(long).unwrap().to_be_bytes().to_vec();
            bytes.resize(4 + long, 7);
            bytes.extend([0, 0, 0, 1, 9]);
            let mut reader = bytes.as_slice();
            let first = read_frame(&mut reader).await.unwrap();
            assert_eq!((first.bytes.len(), first.cut), (HEADER_BYTES, Some(long)));
            let second = read_frame(&mut reader).await.unwrap();
            assert_eq!((second.bytes, second.cut), (vec![9], None));
            assert!(read_frame(&mut reader).await.is_err(), "the end");
        });
    }

    #[test]
    fn a_frame_of_a_wrong_length_ends_the_connection() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for length in [-1, i32::MIN, i32::MAX, 5] {
                let bytes = length.to_be_bytes();
                assert!(read_frame(&mut bytes.as_slice()).await.is_err(), "{length}");
            }
        });
    }
}
