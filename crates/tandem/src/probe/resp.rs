//! As much of a Redis client as the writers need.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(1);

pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

/// A reply, as far as the load looks.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Reply {
    /// `+OK`, `:12` or a bulk string.
    Text(String),
    /// A missing key.
    Nil,
    /// `-READONLY ...`
    Error(String),
}

impl Connection {
    /// Connects to `host:port` and logs in.
    pub(crate) fn open(
        address: &str,
        answer_time_max: Duration,
        password: Option<&str>,
    ) -> io::Result<Self> {
        let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let stream = TcpStream::connect_timeout(&address, CONNECT_TIME_MAX.min(answer_time_max))?;
        stream.set_read_timeout(Some(answer_time_max))?;
        stream.set_write_timeout(Some(answer_time_max))?;
        stream.set_nodelay(true)?;
        let mut connection = Self { stream: BufReader::new(stream) };
        if let Some(password) = password
            && let Reply::Error(text) = connection.ask(&["AUTH", password])?
        {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(connection)
    }

    pub(crate) fn ask(&mut self, words: &[&str]) -> io::Result<Reply> {
        self.stream.get_mut().write_all(request(words).as_bytes())?;
        self.reply()
    }

    /// All requests at once; the replies in their order. Few enough for both ends' buffers.
    pub(crate) fn ask_all(&mut self, requests: &[[&str; 2]]) -> io::Result<Vec<Reply>> {
        let text: String = requests.iter().map(|words| request(words)).collect();
        self.stream.get_mut().write_all(text.as_bytes())?;
        requests.iter().map(|_| self.reply()).collect()
    }

    /// Whether the other side has not ended it; looked at between a reply and the next request.
    pub(crate) fn is_open(&self) -> bool {
        let stream = self.stream.get_ref();
        let looked = || -> io::Result<bool> {
            stream.set_nonblocking(true)?;
            let peeked = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            match peeked {
                Ok(count) => Ok(count > 0),
                Err(error) => Ok(error.kind() == io::ErrorKind::WouldBlock),
            }
        };
        looked().unwrap_or(false)
    }

    fn reply(&mut self) -> io::Result<Reply> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).ok_or(io::ErrorKind::InvalidData)?;
        match kind {
            "+" | ":" => Ok(Reply::Text(rest.to_owned())),
            "-" => Ok(Reply::Error(rest.to_owned())),
            "$" if rest == "-1" => Ok(Reply::Nil),
            "$" => {
                let length: u16 = rest.parse().map_err(|_| io::ErrorKind::InvalidData)?;
                let mut bytes = vec![0; usize::from(length) + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(usize::from(length));
                Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn request(words: &[&str]) -> String {
    let parts: Vec<String> =
        words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{}", parts.len(), parts.concat())
}
