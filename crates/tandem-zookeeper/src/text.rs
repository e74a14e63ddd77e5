//! What is written into znodes: short lines that people can read, with a checksum over all of them.

use std::fmt::Write as _;

/// A value that is longer is none of ours.
pub(crate) const VALUE_BYTES_MAX: usize = 1024;
const VERSION: u32 = 1;
const CHECKSUM: &str = "crc32c ";

/// Lines that grow.
#[derive(Debug)]
pub(crate) struct Lines(String);

impl Lines {
    pub(crate) fn begin(kind: &str) -> Self {
        Self(format!("tandem {kind} {VERSION}\n"))
    }

    pub(crate) fn line(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        // Writing into a String cannot fail.
        let _written = writeln!(self.0, "{name} {value}");
        self
    }

    pub(crate) fn end(self) -> Vec<u8> {
        let checksum = crc32c::crc32c(self.0.as_bytes());
        format!("{}{CHECKSUM}{checksum:08x}\n", self.0).into_bytes()
    }
}

/// The lines of a value of this kind, version and checksum; else what is wrong with it, for people.
pub(crate) struct Fields<'a>(std::str::Lines<'a>);

impl<'a> Fields<'a> {
    pub(crate) fn of(kind: &str, bytes: &'a [u8]) -> Result<Self, String> {
        if bytes.len() > VALUE_BYTES_MAX {
            return Err(too_long(bytes.len()));
        }
        let text = str::from_utf8(bytes).map_err(|_| format!("it is not a {kind} of Tandem"))?;
        let version = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("tandem ")?.strip_prefix(kind)?.strip_prefix(' '))
            .ok_or_else(|| format!("it is not a {kind} of Tandem"))?;
        if version != VERSION.to_string() {
            let said: String = version.chars().take(20).collect();
            return Err(format!("it is of version {said:?}, and this Tandem reads {VERSION}"));
        }
        let damaged = || "it is damaged: its checksum does not fit".to_owned();
        let at = text.rfind(CHECKSUM).ok_or_else(damaged)?;
        let (body, checksum) = text.split_at(at);
        if checksum != format!("{CHECKSUM}{:08x}\n", crc32c::crc32c(body.as_bytes())) {
            return Err(damaged());
        }
        let mut lines = body.lines();
        lines.next();
        Ok(Self(lines))
    }

    /// The next line, which must have this name.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a str> {
        self.0.next()?.strip_prefix(name)?.strip_prefix(' ')
    }
}

pub(crate) fn too_long(bytes: usize) -> String {
    format!("it has {bytes} bytes, more than anything that Tandem writes there")
}
