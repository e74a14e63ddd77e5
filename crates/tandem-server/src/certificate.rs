//! The supervisor's side of a death certificate: tells the peer which boot of this node is over.
//!
//! Blocking, for a thread of its own: the data thread is what has ended.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use tandem_fs::FsDisk;
use tandem_link::{
    CERTIFICATE_KIND, Certificate, LinkConfig, LinkError, LinkEvent, LinkSession, NONCE_BYTES,
    Secret,
};
use tandem_log::load_state;
use tandem_switch::{BootId, Testimony};
use tandem_types::PairId;

use crate::ServerSettings;
use crate::link::random_bytes;
use crate::net::tls::{Tls, TlsError};

/// The peer is on the same network: what takes longer is down.
const STEP_TIME_MAX: Duration = Duration::from_secs(1);
/// The whole conversation.
const TIME_MAX: Duration = Duration::from_secs(3);
/// Nothing that is answered is longer.
const MESSAGE_BYTES_MAX: usize = 1024;

/// What a supervisor knows of its node.
#[derive(Clone, Debug)]
pub struct Supervised {
    settings: ServerSettings,
}

/// The certificate was not delivered. The peer then decides by silence, as without a supervisor.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The peer cannot be reached, or the connection broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The own certificate (TLS) cannot be used.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// TLS refuses.
    #[error("{0}")]
    Encryption(#[from] rustls::Error),
    /// It is not the peer, or not with this secret.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// It closed the connection, or said nothing in time.
    #[error("no answer")]
    NoAnswer,
}

impl Supervised {
    /// The supervisor of the node with these settings.
    pub const fn new(settings: ServerSettings) -> Self {
        Self { settings }
    }

    /// What the supervisor can say of a boot that has ended: the in-sync set that is on its disk now.
    ///
    /// Only before the node is started again: a later boot may write another set.
    pub fn testimony(&self, boot: BootId) -> Testimony {
        let disk = FsDisk::open_to_read(&self.settings.data_dir).ok();
        let state = disk.and_then(|disk| load_state(&disk).ok().flatten());
        // Another boot's state says nothing about this one.
        let state = state.filter(|it| it.incarnation == boot.incarnation && it.boots == boot.boot);
        let switch =
            state.and_then(|it| tandem_switch::NodeState::decode(&it.extra).ok().map(|it| it.0));
        Testimony { boot, in_sync: switch.and_then(|it| it.in_sync) }
    }

    /// Tells the peer what became of a boot, and waits until it has heard it.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn certify(&self, testimony: Testimony) -> Result<(), CertificateError> {
        let settings = &self.settings;
        let place = (settings.peer_host.as_str(), settings.peer_link_port);
        let address = place.to_socket_addrs()?.next().ok_or(CertificateError::NoAnswer)?;
        let mut socket = TcpStream::connect_timeout(&address, STEP_TIME_MAX)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(STEP_TIME_MAX))?;
        socket.set_write_timeout(Some(STEP_TIME_MAX))?;
        let loopback = address.ip().is_loopback() || address.ip() == socket.local_addr()?.ip();
        let Some(files) = settings.tls.clone() else {
            return self.say(testimony, socket, Vec::new(), false, loopback);
        };
        let proves = files.client_ca.is_some() || settings.peer_secret.is_some();
        let mut session = Tls::load(files)?.connect(&settings.peer_host)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        let rustls::Connection::Client(mut session) = session else {
            return Err(CertificateError::NoAnswer);
        };
        let exporter = b"EXPORTER-Channel-Binding";
        let binding = session.export_keying_material(vec![0; 32], exporter, Some(&[]))?;
        let binding = if proves { binding } else { Vec::new() };
        let stream = rustls::Stream::new(&mut session, &mut socket);
        self.say(testimony, stream, binding, proves, loopback)
    }

    fn say(
        &self,
        testimony: Testimony,
        mut stream: impl Read + Write,
        tls_binding: Vec<u8>,
        tls: bool,
        loopback: bool,
    ) -> Result<(), CertificateError> {
        let settings = &self.settings;
        let mut session = LinkSession::dialer(LinkConfig {
            node: settings.node.node,
            incarnation: testimony.boot.incarnation,
            pair_id: PairId::NONE,
            pair_name: settings.node.pair_name.clone(),
            software: concat!("tandem ", env!("CARGO_PKG_VERSION"), " supervisor").to_owned(),
            supervisor: true,
            session: 0,
            nonce: random_bytes::<NONCE_BYTES>()?,
            secret: settings.peer_secret.as_ref().map(|bytes| Secret::new(bytes.to_vec())),
            tls,
            tls_binding,
            loopback,
            message_bytes_max: MESSAGE_BYTES_MAX,
        });
        let begun = Instant::now();
        let mut buffer = [0; 4096];
        while begun.elapsed() < TIME_MAX {
            loop {
                match session.poll()? {
                    None => break,
                    Some(LinkEvent::Up(_)) => {
                        let BootId { incarnation, boot } = testimony.boot;
                        let mut in_sync = Vec::new();
                        testimony.encode_set(&mut in_sync);
                        let certificate = Certificate { incarnation, boot, in_sync };
                        // It is up, so it takes messages.
                        session.send(CERTIFICATE_KIND, &certificate.encode()).ok();
                    }
                    Some(LinkEvent::Message { kind: CERTIFICATE_KIND, .. }) => return Ok(()),
                    Some(LinkEvent::Message { .. }) => {}
                }
            }
            let output = session.take_output();
            if !output.is_empty() {
                stream.write_all(&output)?;
                stream.flush()?;
            }
            match stream.read(&mut buffer)? {
                0 => return Err(CertificateError::NoAnswer),
                length => session.receive(&buffer[..length]),
            }
        }
        Err(CertificateError::NoAnswer)
    }
}
