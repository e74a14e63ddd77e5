//! Handshake with the pair's secret, and checked frames.
//!
//! ```text
//! node                                   witness
//!   | -- hello: magic, version, node, session, nonce, pair --> |
//!   | <-------------------------------------------- nonce ---- |
//!   | -- proof: HMAC(secret, "node" said) -------------------> |
//!   | <-------------- proof: HMAC(secret, "witness" said) ---- |
//!   frames: | length u32 | payload | first 16 bytes of HMAC(key of the direction, number, payload) |
//! ```
//! A node proves itself first, so that strangers learn nothing to guess from.

use std::io;
use std::time::Duration;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use tandem_types::NodeId;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

const MAGIC: &[u8; 8] = b"TNDMWITN";
const VERSION: u8 = 2;
const NONCE_BYTES: usize = 32;
const CHECK_BYTES: usize = 16;
/// No message is longer than some hundred bytes.
const PAYLOAD_BYTES_MAX: usize = 8 * 1024;

/// What both nodes and the witness know; never shown. Empty: loopback only.
#[derive(Clone, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps the content of `auth.peer_secret_file`.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Who calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Caller {
    pub(crate) pair: String,
    pub(crate) node: NodeId,
    pub(crate) session: Duration,
}

type Mac256 = Hmac<Sha256>;

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of every length (RFC 2104), so this cannot fail.
    let mut mac = <Mac256 as KeyInit>::new_from_slice(key).expect("HMAC accepts every key length");
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn refused(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

fn nonce() -> io::Result<[u8; NONCE_BYTES]> {
    let mut nonce = [0; NONCE_BYTES];
    rustix::rand::getrandom(&mut nonce, rustix::rand::GetRandomFlags::empty())?;
    Ok(nonce)
}

/// Both directions of a conversation.
pub(crate) struct Keys {
    to_witness: [u8; 32],
    to_node: [u8; 32],
}

/// One direction that is written.
pub(crate) struct FrameWriter<W> {
    stream: W,
    key: [u8; 32],
    number: u64,
}

/// One direction that is read.
pub(crate) struct FrameReader<R> {
    stream: R,
    key: [u8; 32],
    number: u64,
}

/// The node's side.
pub(crate) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    caller: &Caller,
    secret: &Secret,
) -> io::Result<Keys> {
    let millis = u32::try_from(caller.session.as_millis()).unwrap_or(u32::MAX);
    let name = caller.pair.as_bytes();
    let length = u8::try_from(name.len()).map_err(|_| refused("the pair's name is too long"))?;
    let hello = [
        &MAGIC[..],
        &[VERSION, caller.node.as_byte()],
        &millis.to_le_bytes(),
        &nonce()?,
        &[length],
        name,
    ]
    .concat();
    stream.write_all(&hello).await?;
    stream.flush().await?;
    let mut theirs = [0; NONCE_BYTES];
    stream.read_exact(&mut theirs).await?;
    stream.write_all(&mac(&secret.0, &[b"node", &hello, &theirs])).await?;
    stream.flush().await?;
    let mut proof = [0; 32];
    stream
        .read_exact(&mut proof)
        .await
        .map_err(|_| refused("the witness hung up: does it have the same peer secret?"))?;
    if !bool::from(mac(&secret.0, &[b"witness", &hello, &theirs]).ct_eq(&proof)) {
        return Err(refused("the witness does not know the peer secret"));
    }
    Ok(Keys::new(secret, &hello, &theirs))
}

/// The witness' side.
pub(crate) async fn welcome<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    secret: &Secret,
) -> io::Result<(Caller, Keys)> {
    let mut head = [0; 8 + 2 + 4 + NONCE_BYTES + 1];
    stream.read_exact(&mut head).await?;
    let mut name = vec![0; usize::from(head[head.len() - 1])];
    if !head.starts_with(MAGIC) || head[8] != VERSION {
        return Err(refused("not a node of this version"));
    }
    stream.read_exact(&mut name).await?;
    let hello = [&head[..], &name].concat();
    let node = NodeId::from_byte(head[9]).ok_or_else(|| refused("no such node"))?;
    let millis = u32::from_le_bytes([head[10], head[11], head[12], head[13]]);
    let ours = nonce()?;
    stream.write_all(&ours).await?;
    stream.flush().await?;
    let mut proof = [0; 32];
    stream.read_exact(&mut proof).await?;
    if !bool::from(mac(&secret.0, &[b"node", &hello, &ours]).ct_eq(&proof)) {
        return Err(refused("the node does not know the peer secret"));
    }
    let is_name = (1..=64).contains(&name.len())
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    let pair =
        String::from_utf8(name).ok().filter(|_| is_name).ok_or_else(|| refused("no name"))?;
    stream.write_all(&mac(&secret.0, &[b"witness", &hello, &ours])).await?;
    stream.flush().await?;
    let session = Duration::from_millis(u64::from(millis));
    Ok((Caller { pair, node, session }, Keys::new(secret, &hello, &ours)))
}

impl Keys {
    fn new(secret: &Secret, hello: &[u8], nonce: &[u8]) -> Self {
        Self {
            to_witness: mac(&secret.0, &[b"to witness", hello, nonce]),
            to_node: mac(&secret.0, &[b"to node", hello, nonce]),
        }
    }

    /// The node's two directions of a stream.
    pub(crate) fn node<R, W>(&self, read: R, write: W) -> (FrameReader<R>, FrameWriter<W>) {
        (FrameReader::new(read, self.to_node), FrameWriter::new(write, self.to_witness))
    }

    /// The witness' two directions of a stream.
    pub(crate) fn witness<R, W>(&self, read: R, write: W) -> (FrameReader<R>, FrameWriter<W>) {
        (FrameReader::new(read, self.to_witness), FrameWriter::new(write, self.to_node))
    }
}

impl<W> FrameWriter<W> {
    const fn new(stream: W, key: [u8; 32]) -> Self {
        Self { stream, key, number: 0 }
    }
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    pub(crate) async fn write(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
        let check = mac(&self.key, &[&self.number.to_le_bytes(), payload]);
        self.number += 1;
        self.stream.write_all(&[&length, payload, &check[..CHECK_BYTES]].concat()).await?;
        self.stream.flush().await
    }
}

impl<R> FrameReader<R> {
    const fn new(stream: R, key: [u8; 32]) -> Self {
        Self { stream, key, number: 0 }
    }
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// The next payload. Not to be cancelled in the middle.
    pub(crate) async fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > PAYLOAD_BYTES_MAX {
            return Err(refused("a frame that is too long"));
        }
        let mut payload = vec![0; length + CHECK_BYTES];
        self.stream.read_exact(&mut payload).await?;
        let check = payload.split_off(length);
        let want = mac(&self.key, &[&self.number.to_le_bytes(), &payload]);
        self.number += 1;
        if !bool::from(want[..CHECK_BYTES].ct_eq(&check)) {
            return Err(refused("a frame that is damaged or not from the other side"));
        }
        Ok(payload)
    }
}
