//! One machine: a network namespace with an address.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A machine of a [`super::Network`].
#[derive(Clone, Debug)]
pub struct Host {
    name: &'static str,
    port: &'static str,
    namespace: String,
    ip: IpAddr,
}

impl Host {
    pub(super) fn new([name, port]: [&'static str; 2], namespace: String, ip: [u8; 4]) -> Self {
        Self { name, port, namespace, ip: ip.into() }
    }

    /// One letter.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its end of the cable, at the bridge.
    pub(super) fn port(&self) -> &'static str {
        self.port
    }

    /// Name of its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its address.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// A port of it.
    pub fn at(&self, port: u16) -> SocketAddr {
        (self.ip, port).into()
    }

    fn file(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.namespace)
    }

    /// Words that, put in front of a program, have it run on this machine.
    pub fn wrapper(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net={}", self.file().display())]
    }

    /// Runs a program there to its end.
    #[track_caller]
    pub fn must(&self, program: &str, arguments: &[&str]) {
        let net = format!("--net={}", self.file().display());
        super::must("nsenter", &[&[net.as_str(), program], arguments].concat());
    }

    /// What a program prints there.
    pub fn output(&self, program: &str, arguments: &[&str]) -> String {
        let net = format!("--net={}", self.file().display());
        let output = Command::new("nsenter").arg(net).arg(program).args(arguments).output();
        String::from_utf8_lossy(&output.expect("nsenter starts").stdout).into_owned()
    }

    /// Does `work` on that machine: sockets that it opens are that machine's, wherever they are used
    /// later. Not for starting processes, which end with the thread that started them.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let entered = scope.spawn(|| {
                self.move_here().expect("a namespace of this test can be entered");
                work()
            });
            match entered.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Moves this thread there.
    pub(super) fn move_here(&self) -> io::Result<()> {
        let space = File::open(self.file())?;
        move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(())
    }

    /// Many `ip` commands in one process.
    pub(super) fn ip_batch(&self, script: &str) -> Result<(), String> {
        let shown = |error: io::Error| format!("ip: {error}");
        let mut child = Command::new("ip")
            .args(["-n", &self.namespace, "-batch", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(shown)?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(script.as_bytes()).map_err(shown)?;
        }
        let output = child.wait_with_output().map_err(shown)?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("ip -batch: {}\n{script}", String::from_utf8_lossy(&output.stderr)))
    }
}
