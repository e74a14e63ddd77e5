//! What the server needs beside the node's own settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::net::tls::TlsFiles;

/// Everything one server process is told.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The node's settings.
    pub node: tandem_node::Settings,
    /// Where clients are served; port 0: any free one.
    pub client_address: SocketAddr,
    /// Where reads are served whatever the role; `None`: nowhere.
    pub read_address: Option<SocketAddr>,
    /// Where the peer is awaited (used by node A).
    pub link_address: SocketAddr,
    /// The peer's host: an address or a name (used by node B).
    pub peer_host: String,
    /// The peer's link port.
    pub peer_link_port: u16,
    /// What both nodes know; `None`: the peer is on this machine or proven by TLS.
    pub peer_secret: Option<Arc<[u8]>>,
    /// The certificate for every port; `None`: no encryption.
    pub tls: Option<TlsFiles>,
    /// The directory of log and snapshots; made if it is not there.
    pub data_dir: PathBuf,
    /// Bytes of one log file.
    pub segment_bytes: u64,
    /// A sign of life goes to the peer this often.
    pub heartbeat: Duration,
}
