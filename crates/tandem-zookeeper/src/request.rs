//! The requests this crate sends, and the answers it understands.

use crate::error::{Code, Malformed};
use crate::jute::{Reader, Writer};

/// A watch's message carries this instead of a request's number.
pub(crate) const NOTIFICATION: i32 = -1;
pub(crate) const PING: i32 = -2;
pub(crate) const AUTH: i32 = -4;

const OP_CREATE: i32 = 1;
const OP_DELETE: i32 = 2;
const OP_SET: i32 = 5;
const OP_CHECK: i32 = 13;
const OP_PING: i32 = 11;
const OP_AUTH: i32 = 100;
const OP_CLOSE: i32 = -11;
const OP_MULTI: i32 = 14;
/// In a multi's answer: this operation was not done.
const OP_ERROR: i32 = -1;

/// Who may use a znode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Acl {
    /// Anyone, for everything: nobody logs in.
    Open,
    /// Whoever logs in as the one that makes it, for everything.
    Own,
    /// As [`Self::Own`]; everybody else may look and put something beside.
    Shared,
}

const PERMISSION_READ: i32 = 1;
const PERMISSION_CREATE: i32 = 4;
const PERMISSION_ALL: i32 = 31;

impl Acl {
    fn write(self, out: &mut Writer) {
        let entry = |out: &mut Writer, permissions, scheme, id| {
            out.i32(permissions);
            out.text(scheme);
            out.text(id);
        };
        match self {
            Self::Open => {
                out.i32(1);
                entry(out, PERMISSION_ALL, "world", "anyone");
            }
            Self::Own => {
                out.i32(1);
                entry(out, PERMISSION_ALL, "auth", "");
            }
            Self::Shared => {
                out.i32(2);
                entry(out, PERMISSION_ALL, "auth", "");
                entry(out, PERMISSION_READ | PERMISSION_CREATE, "world", "anyone");
            }
        }
    }
}

/// How long a znode lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Life {
    /// Until it is deleted.
    Persistent,
    /// As long as the session that makes it.
    Ephemeral,
}

/// One operation. `version` is the one that is replaced; `None`: whatever is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Op {
    Create {
        path: String,
        data: Vec<u8>,
        acl: Acl,
        life: Life,
    },
    Delete {
        path: String,
    },
    Set {
        path: String,
        data: Vec<u8>,
        version: Option<i32>,
    },
    /// Only in a multi.
    Check {
        path: String,
        version: Option<i32>,
    },
    Exists {
        path: String,
        watch: bool,
    },
    Get {
        path: String,
        watch: bool,
    },
    Children {
        path: String,
        watch: bool,
    },
    SetAcl {
        path: String,
        acl: Acl,
    },
}

impl Op {
    const fn number(&self) -> i32 {
        match self {
            Self::Create { .. } => OP_CREATE,
            Self::Delete { .. } => OP_DELETE,
            Self::Exists { .. } => 3,
            Self::Get { .. } => 4,
            Self::Set { .. } => OP_SET,
            Self::SetAcl { .. } => 7,
            Self::Children { .. } => 8,
            Self::Check { .. } => OP_CHECK,
        }
    }

    fn write(&self, out: &mut Writer) {
        let any = |version: Option<i32>| version.unwrap_or(-1);
        match self {
            Self::Create { path, data, acl, life } => {
                out.text(path);
                out.buffer(data);
                acl.write(out);
                out.i32(i32::from(*life == Life::Ephemeral));
            }
            Self::Delete { path } => {
                out.text(path);
                out.i32(-1);
            }
            Self::Set { path, data, version } => {
                out.text(path);
                out.buffer(data);
                out.i32(any(*version));
            }
            Self::Check { path, version } => {
                out.text(path);
                out.i32(any(*version));
            }
            Self::Exists { path, watch }
            | Self::Get { path, watch }
            | Self::Children { path, watch } => {
                out.text(path);
                out.bool(*watch);
            }
            Self::SetAcl { path, acl } => {
                out.text(path);
                acl.write(out);
                out.i32(-1);
            }
        }
    }
}

/// Anything that is sent after the greeting, without the frame's length.
pub(crate) fn encode(number: i32, request: &Request<'_>) -> Vec<u8> {
    let mut out = Writer::default();
    out.i32(number);
    match request {
        Request::One(op) => {
            out.i32(op.number());
            op.write(&mut out);
        }
        Request::Multi(ops) => {
            out.i32(OP_MULTI);
            for op in *ops {
                header(&mut out, op.number(), false);
                op.write(&mut out);
            }
            header(&mut out, -1, true);
        }
        Request::Login { user, password } => {
            out.i32(OP_AUTH);
            out.i32(0);
            out.text("digest");
            let mut secret = user.as_bytes().to_vec();
            secret.push(b':');
            secret.extend_from_slice(password);
            out.buffer(&secret);
        }
        Request::Ping => out.i32(OP_PING),
        Request::Close => out.i32(OP_CLOSE),
    }
    out.0
}

fn header(out: &mut Writer, op: i32, done: bool) {
    out.i32(op);
    out.bool(done);
    out.i32(-1);
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request<'a> {
    One(&'a Op),
    /// All of them or none.
    Multi(&'a [Op]),
    Login {
        user: &'a str,
        password: &'a [u8],
    },
    Ping,
    Close,
}

/// A znode's state.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Stat {
    /// The transaction that made it.
    pub(crate) made: i64,
    /// Changes of its data.
    pub(crate) version: i32,
    /// The session it belongs to; 0: none.
    pub(crate) owner: i64,
    pub(crate) children: i32,
}

pub(crate) fn read_stat(input: &mut Reader<'_>) -> Result<Stat, Malformed> {
    let made = input.i64()?;
    for _ in 0..3 {
        input.i64()?; // modified in, made at, modified at
    }
    let version = input.i32()?;
    input.i32()?; // changes of its children
    input.i32()?; // changes of its ACL
    let owner = input.i64()?;
    input.i32()?; // length of its data
    let children = input.i32()?;
    input.i64()?; // children modified in
    Ok(Stat { made, version, owner, children })
}

/// How a multi ended: the new state of what was set, or which one was refused, and why.
pub(crate) type Multi = Result<Vec<Option<Stat>>, (usize, Code)>;

pub(crate) fn read_multi(input: &mut Reader<'_>) -> Result<Multi, Malformed> {
    /// What an operation says that was fine itself, in a multi that was not.
    const ANOTHER_FAILED: Code = Code(-2);
    let mut done = Vec::new();
    let mut refused = None;
    loop {
        let (op, end) = (input.i32()?, input.bool()?);
        input.i32()?;
        if end {
            break;
        }
        match op {
            OP_CREATE => {
                input.buffer()?; // its path
                done.push(None);
            }
            OP_SET => done.push(Some(read_stat(input)?)),
            OP_DELETE | OP_CHECK => done.push(None),
            OP_ERROR => {
                let code = Code(input.i32()?);
                if code != Code::OK && code != ANOTHER_FAILED {
                    refused.get_or_insert((done.len(), code));
                }
                done.push(None);
            }
            _ => return Err(Malformed),
        }
    }
    Ok(refused.map_or(Ok(done), Err))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(results: &[(i32, &[u8])]) -> Vec<u8> {
        let mut out = Writer::default();
        for (op, body) in results {
            header(&mut out, *op, false);
            out.0.extend_from_slice(body);
        }
        header(&mut out, -1, true);
        out.0
    }

    #[test]
    fn a_multi_that_failed_tells_which_operation_and_why() {
        let code = |code: i32| code.to_be_bytes();
        let bytes = answer(&[(-1, &code(0)), (-1, &code(-110)), (-1, &code(-2))]);
        assert_eq!(read_multi(&mut Reader(&bytes)), Ok(Err((1, Code::NODE_EXISTS))));
        for end in 0..bytes.len() {
            assert_eq!(read_multi(&mut Reader(&bytes[..end])), Err(Malformed), "{end}");
        }
    }

    #[test]
    fn a_multi_that_was_done_tells_the_new_state() {
        let mut stat = Writer::default();
        for field in [7_i64, 8, 9, 10] {
            stat.i64(field);
        }
        for field in [3_i32, 4, 5] {
            stat.i32(field);
        }
        stat.i64(99);
        stat.i32(11);
        stat.i32(2);
        stat.i64(12);
        let bytes = answer(&[(2, b""), (13, b""), (1, &[0, 0, 0, 1, b'/']), (5, &stat.0)]);
        let want = Stat { made: 7, version: 3, owner: 99, children: 2 };
        assert_eq!(read_multi(&mut Reader(&bytes)), Ok(Ok(vec![None, None, None, Some(want)])));
    }
}
