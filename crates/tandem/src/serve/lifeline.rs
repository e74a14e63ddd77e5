//! The node's end of the way to its supervisor.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;

use anyhow::Context as _;
use tandem_switch::BootId;

use crate::supervise::sign::Sign;

/// Says that this process lives. Without a supervisor nobody listens.
#[derive(Debug, Default)]
pub(crate) struct Lifeline {
    socket: Option<UnixDatagram>,
}

impl Lifeline {
    /// The socket that the supervisor made this process' standard input.
    pub(crate) fn from_standard_input() -> anyhow::Result<Self> {
        let socket = std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map(UnixDatagram::from)
            .context("take the supervisor's socket")?;
        // A supervisor that does not listen must never stop the data thread.
        socket.set_nonblocking(true).context("take the supervisor's socket")?;
        Ok(Self { socket: Some(socket) })
    }

    /// Says nothing more here, but there.
    pub(crate) fn duplicate(&self) -> anyhow::Result<Self> {
        let socket = self.socket.as_ref().map(UnixDatagram::try_clone).transpose()?;
        Ok(Self { socket })
    }

    /// The data thread lives.
    pub(crate) fn beat(&self, boot: Option<BootId>) {
        self.say(Sign::Beat(boot));
    }

    /// This process ends, and starting it again would not help.
    pub(crate) fn hopeless(&self) {
        self.say(Sign::Final);
    }

    fn say(&self, sign: Sign) {
        if let Some(socket) = &self.socket {
            // A full buffer means a supervisor that is behind; the next beat says the same.
            let _sent = socket.send(sign.encode().as_bytes());
        }
    }
}
