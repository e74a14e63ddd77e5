//! Debian's `ZooKeeper` as the mediator of a pair.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::pair::PairOptions;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait;

const JAR: &str = "/usr/share/java/zookeeper.jar";
/// Java on a busy machine.
pub(crate) const START_TIME_MAX: Duration = Duration::from_mins(1);
/// Grants sessions of half a second to five seconds.
pub(crate) const SHORT_TICK: Duration = Duration::from_millis(250);

/// Writes the configuration of one that grants sessions of two to twenty `tick`s.
pub(crate) fn write_config(file: &Path, address: SocketAddr, data: &Path, tick: Duration) {
    let text = format!(
        "tickTime={}\ndataDir={}\nclientPort={}\nclientPortAddress={}\n\
         admin.enableServer=false\n4lw.commands.whitelist=*\n",
        tick.as_millis(),
        data.display(),
        address.port(),
        address.ip()
    );
    std::fs::write(file, text).expect("the folder is writable");
}

/// Program and arguments that start one with `config`.
pub(crate) fn command(config: &Path) -> Vec<String> {
    assert!(Path::new(JAR).is_file(), "{JAR} is missing: install Debian's zookeeper");
    // The folder holds no `logback.xml` or `log4j.properties`: it logs to its standard output.
    let folder = config.parent().unwrap_or(Path::new("."));
    vec![
        "java".to_owned(),
        "-Xmx128m".to_owned(),
        "-cp".to_owned(),
        format!("{}:{JAR}", folder.display()),
        "org.apache.zookeeper.server.quorum.QuorumPeerMain".to_owned(),
        config.display().to_string(),
    ]
}

/// Whether the one at `address` serves; else what it says.
pub(crate) fn serves(address: SocketAddr) -> Result<(), String> {
    // `ruok` would say so before it serves.
    match says(address, "srvr") {
        Ok(said) if said.contains("Mode:") => Ok(()),
        Ok(said) => Err(said),
        Err(error) => Err(error.to_string()),
    }
}

fn says(address: SocketAddr, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(command.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// One server, alone.
#[derive(Debug)]
pub struct ZooKeeper {
    // Before the folder: the process must be gone when the folder is removed.
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl ZooKeeper {
    /// Starts one that grants sessions of two to twenty `tick`s.
    #[track_caller]
    pub fn start(tick: Duration) -> Self {
        let folder = TempDir::with_prefix("tandem-e2e-zookeeper-").expect("a temporary folder");
        let root = folder.path();
        let port = free_port();
        let config = root.join("zoo.cfg");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        write_config(&config, address, &root.join("data"), tick);
        let mut words = command(&config);
        let program = words.remove(0);
        let process = Process::start("zookeeper", Path::new(&program), &words, &root.join("log"));
        let mut server = Self { process, port, _folder: folder };
        wait::until("ZooKeeper serves", START_TIME_MAX, || {
            server.process.assert_running();
            serves(server.address())
        });
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it says to a command of four letters.
    ///
    /// # Errors
    /// It does not answer.
    pub fn says(&self, command: &str) -> std::io::Result<String> {
        says(self.address(), command)
    }

    /// A pair that asks it, as `options` says besides.
    #[must_use]
    pub fn for_pair(&self, mut options: PairOptions, session: &str) -> PairOptions {
        options.by = "mediator";
        let mediator = format!(
            "[switch.mediator]\nkind = \"zookeeper\"\nendpoints = [\"{}\"]\nsession = \"{session}\"\n",
            self.address()
        );
        options.more.push_str(&mediator);
        options
    }
}
