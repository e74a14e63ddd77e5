//! Both kinds of stream over loopback, cut at every byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::*;
use crate::net::tls::{Tls, TlsFiles, certificate_end};

/// An authority and certificates signed by it, in files.
struct Authority {
    dir: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { dir, issuer }
    }

    /// Certificate and key under `name`, for 127.0.0.1.
    fn files(&self, name: &str, client_ca: bool) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |kind: &str| self.dir.path().join(format!("{name}.{kind}"));
        std::fs::write(path("cert"), certificate.pem() + &self.issuer.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        let client_ca = client_ca.then(|| self.dir.path().join("ca.pem"));
        TlsFiles { cert: path("cert"), key: path("key"), client_ca }
    }
}

/// Two connected sockets; the first end does not block.
fn sockets() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let client = std::net::TcpStream::connect(address).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    client.set_nodelay(true).unwrap();
    (TcpStream::from_std(server), client)
}

/// Reads until `wanted` bytes or the end.
fn read_all(transport: &mut Transport, wanted: usize) -> io::Result<Vec<u8>> {
    let start = Instant::now();
    let mut got = Vec::new();
    let mut buffer = [0; 1000];
    while got.len() < wanted {
        assert!(start.elapsed() < Duration::from_secs(20), "{} of {wanted} bytes", got.len());
        match transport.read(&mut buffer)? {
            ReadOutcome::Bytes { len, .. } => got.extend_from_slice(&buffer[..len]),
            ReadOutcome::Empty => thread::sleep(Duration::from_micros(200)),
            ReadOutcome::Eof => break,
        }
    }
    Ok(got)
}

fn write_all(transport: &mut Transport, bytes: &[u8]) {
    while transport.is_handshaking() {
        transport.flush().unwrap();
        assert!(!matches!(transport.read(&mut [0; 64]).unwrap(), ReadOutcome::Bytes { .. }));
        thread::yield_now();
    }
    let mut at = 0;
    while at < bytes.len() || transport.wants_flush() {
        at += transport.write(&bytes[at..]).unwrap();
        transport.flush().unwrap();
        thread::yield_now();
    }
}

#[test]
fn plain_bytes_come_through_and_the_end_is_seen() {
    let (server, mut client) = sockets();
    let mut transport = Transport::plain(server);
    assert_eq!(transport.read(&mut [0; 8]).unwrap(), ReadOutcome::Empty);
    client.write_all(b"hello").unwrap();
    assert_eq!(read_all(&mut transport, 5).unwrap(), b"hello");
    write_all(&mut transport, b"world");
    let mut five = [0; 5];
    client.read_exact(&mut five).unwrap();
    assert_eq!(&five, b"world");
    drop(client);
    assert_eq!(read_all(&mut transport, 1).unwrap(), b"");
}

#[test]
fn a_socket_that_takes_no_more_says_how_much_it_took() {
    let (server, mut client) = sockets();
    let mut transport = Transport::plain(server);
    let bytes = vec![7; 32 << 20];
    let taken = transport.write(&bytes).unwrap();
    assert!(taken > 0 && taken < bytes.len(), "{taken}");
    assert_eq!(transport.write(&bytes).unwrap(), 0);
    let mut got = vec![0; taken];
    client.read_exact(&mut got).unwrap();
    assert!(got.iter().all(|&byte| byte == 7));
}

#[test]
fn encrypted_bytes_come_through_in_both_directions_and_both_ends_are_bound_to_the_session() {
    let authority = Authority::new();
    let server_tls = Tls::load(authority.files("server", true)).unwrap();
    let client_tls = Tls::load(authority.files("client", true)).unwrap();
    let (server, client) = sockets();
    client.set_nonblocking(true).unwrap();
    let mut server = Transport::tls(server, server_tls.accept().unwrap());
    let mut client =
        Transport::tls(TcpStream::from_std(client), client_tls.connect("127.0.0.1").unwrap());
    let big: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let sent = big.clone();
    let other_end = thread::spawn(move || {
        write_all(&mut client, &sent);
        let echoed = read_all(&mut client, sent.len()).unwrap();
        assert!(echoed == sent);
        let binding = client.binding().unwrap();
        client.finish();
        binding
    });
    let got = read_all(&mut server, big.len()).unwrap();
    assert!(got == big);
    write_all(&mut server, &got);
    let binding = other_end.join().unwrap();
    assert_eq!(server.binding().unwrap(), binding);
    assert_eq!(binding.len(), 32);
    assert_eq!(read_all(&mut server, 1).unwrap(), b"");
}

#[test]
fn a_client_without_certificate_is_refused_where_one_is_demanded() {
    let authority = Authority::new();
    let server_tls = Tls::load(authority.files("server", true)).unwrap();
    let stranger = Authority::new();
    let mut files = stranger.files("client", false);
    files.client_ca = Some(authority.dir.path().join("ca.pem")); // trusts the server, is not trusted
    let client_tls = Tls::load(files).unwrap();
    let (server, client) = sockets();
    client.set_nonblocking(true).unwrap();
    let mut server = Transport::tls(server, server_tls.accept().unwrap());
    let mut client =
        Transport::tls(TcpStream::from_std(client), client_tls.connect("127.0.0.1").unwrap());
    let other_end = thread::spawn(move || {
        client.flush().unwrap();
        read_all(&mut client, 1)
    });
    let refused = read_all(&mut server, 1).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidData);
    assert!(other_end.join().unwrap().is_err(), "the alert says so");
}

#[test]
fn plain_bytes_on_an_encrypted_port_are_an_error_and_no_panic() {
    let authority = Authority::new();
    let tls = Tls::load(authority.files("server", false)).unwrap();
    for request in
        [&b"PING\r\n"[..], b"*1\r\n$4\r\nPING\r\n", &[0; 600], &[0x16; 600], &[0xff; 600]]
    {
        let (server, mut client) = sockets();
        let mut transport = Transport::tls(server, tls.accept().unwrap());
        client.write_all(request).unwrap();
        drop(client);
        match read_all(&mut transport, 1) {
            Ok(got) => assert!(got.is_empty()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidData, "{request:?}"),
        }
    }
}

#[test]
fn an_encrypted_conversation_survives_being_cut_at_every_byte() {
    let authority = Authority::new();
    let tls = Tls::load(authority.files("server", false)).unwrap();
    let (server, mut wire) = sockets();
    let mut server = Transport::tls(server, tls.accept().unwrap());
    let mut client = tls.connect("127.0.0.1").unwrap();
    client.writer().write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
    wire.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let mut got = Vec::new();
    let start = Instant::now();
    while got.len() < 14 {
        assert!(start.elapsed() < Duration::from_secs(20));
        let mut record = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut record).unwrap();
        }
        for byte in record {
            wire.write_all(&[byte]).unwrap();
            let mut buffer = [0; 64];
            if let ReadOutcome::Bytes { len, .. } = server.read(&mut buffer).unwrap() {
                got.extend_from_slice(&buffer[..len]);
            }
        }
        if let ReadOutcome::Bytes { len, .. } = server.read(&mut [0; 64]).unwrap() {
            got.extend(std::iter::repeat_n(b'?', len));
        }
        if client.read_tls(&mut wire).is_ok() {
            client.process_new_packets().unwrap();
        }
    }
    assert!(got.len() == 14);
}

#[test]
fn a_new_certificate_is_taken_without_restart_and_a_bad_one_leaves_the_old() {
    let authority = Authority::new();
    let files = authority.files("server", false);
    let mut tls = Tls::load(files.clone()).unwrap();
    assert!(tls.reload(false).is_none(), "nothing changed");
    std::fs::write(&files.cert, "no certificate").unwrap();
    assert!(tls.reload(true).unwrap().is_err());
    assert!(tls.accept().is_ok(), "the old one still serves");
    authority.files("server", false);
    assert!(tls.reload(true).unwrap().is_ok());
}

#[test]
fn the_first_certificate_of_the_files_to_end_is_the_one_that_counts() {
    let authority = Authority::new();
    let files = authority.files("server", true);
    let later = certificate_end(&files).unwrap().unwrap();
    assert!(later.at > 10_000_000_000, "rcgen's default is far away: {later:?}");
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2026, 1, 2);
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    std::fs::write(&files.cert, certificate.pem() + &authority.issuer.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    let end = certificate_end(&files).unwrap().unwrap();
    assert_eq!((end.at, end.file), (1_767_312_000, files.cert.display().to_string()));
    let tls = Tls::load(files).unwrap();
    assert_eq!(tls.end().map(|end| end.at), Some(1_767_312_000), "it is used, and watched");
}
