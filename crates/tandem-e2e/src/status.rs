//! What a node says over HTTP, read with twenty lines of our own HTTP.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Answer of the admin port.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Head, as it came.
    pub head: String,
    /// Body, as it came.
    pub body: String,
}

/// One request on its own connection.
pub fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let authorization = token.map(|t| format!("Authorization: Bearer {t}\r\n")).unwrap_or_default();
    let content = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{authorization}{content}\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no HTTP status in {head:?}")))?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// `GET /api/v1/status`.
pub fn status(address: SocketAddr) -> io::Result<Status> {
    let answer = request(address, "GET", "/api/v1/status", None, "")?;
    if answer.status != 200 {
        return Err(io::Error::other(format!("{}: {}", answer.status, answer.body)));
    }
    let json = serde_json::from_str(&answer.body).map_err(io::Error::other)?;
    Ok(Status { json })
}

/// The status object; a name it lacks fails the test that asks for it.
#[derive(Clone, Debug)]
pub struct Status {
    /// All of it.
    pub json: Value,
}

impl Status {
    /// The value at `path`, such as `peer.lag_bytes`.
    #[track_caller]
    pub fn at(&self, path: &str) -> &Value {
        let pointer = format!("/{}", path.replace('.', "/"));
        self.json.pointer(&pointer).unwrap_or_else(|| panic!("status has no {path}: {}", self.json))
    }

    /// A text.
    #[track_caller]
    pub fn text(&self, path: &str) -> &str {
        self.at(path).as_str().unwrap_or_else(|| panic!("{path} is no text: {}", self.json))
    }

    /// A number.
    #[track_caller]
    pub fn number(&self, path: &str) -> u64 {
        self.at(path).as_u64().unwrap_or_else(|| panic!("{path} is no number: {}", self.json))
    }

    /// A truth value.
    #[track_caller]
    pub fn is(&self, path: &str) -> bool {
        self.at(path).as_bool().unwrap_or_else(|| panic!("{path} is no bool: {}", self.json))
    }

    /// `role`.
    #[track_caller]
    pub fn role(&self) -> &str {
        self.text("role")
    }
}
