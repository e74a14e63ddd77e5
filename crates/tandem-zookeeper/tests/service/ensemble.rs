//! Real `ZooKeeper` servers: one alone or three together, with folders and ports of their own.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Java on a busy machine.
const START_TIME_MAX: Duration = Duration::from_mins(1);
const JAR: &str = "/usr/share/java/zookeeper.jar";

/// One server.
pub(crate) struct Member {
    pub(crate) port: u16,
    secure_port: Option<u16>,
    folder: TempDir,
    process: Option<Child>,
}

/// Ports for one server.
#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    peers: u16,
    election: u16,
}

/// The configuration's folder, the server, and what it needs for TLS, which its own list leaves out.
fn class_path(root: &Path) -> String {
    const NETTY: [&str; 8] = [
        "buffer",
        "codec",
        "common",
        "handler",
        "resolver",
        "transport",
        "transport-native-epoll",
        "transport-native-unix-common",
    ];
    let mut path = format!("{}:{JAR}:/usr/share/java/commons-cli.jar", root.display());
    for part in NETTY {
        write!(path, ":/usr/share/java/netty-{part}.jar").unwrap();
    }
    path
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Ports {
    fn draw() -> Self {
        Self { client: free_port(), peers: free_port(), election: free_port() }
    }
}

impl Member {
    /// A server alone; sessions last 2 to 20 ticks.
    pub(crate) fn alone(tick: Duration) -> Self {
        let mut member = Self::prepare(Ports::draw(), tick, "");
        member.start();
        member.wait_serving();
        member
    }

    /// A server alone that also has a port with TLS: the certificate and its key in one PEM file.
    pub(crate) fn encrypted(tick: Duration, pem: &str) -> Self {
        let secure_port = free_port();
        let mut member = Self::prepare(Ports::draw(), tick, "");
        let pem_file = member.folder.path().join("server.pem");
        fs::write(&pem_file, pem).unwrap();
        let more = format!(
            "secureClientPort={secure_port}\nsecureClientPortAddress=127.0.0.1\n\
             serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
             ssl.keyStore.location={0}\nssl.keyStore.type=PEM\nssl.trustStore.location={0}\n\
             ssl.trustStore.type=PEM\nssl.clientAuth=none\n",
            pem_file.display()
        );
        let config = member.folder.path().join("zoo.cfg");
        let text = fs::read_to_string(&config).unwrap() + &more;
        fs::write(config, text).unwrap();
        member.secure_port = Some(secure_port);
        member.start();
        member.wait_serving();
        member
    }

    /// Three servers that serve.
    pub(crate) fn three(tick: Duration) -> [Self; 3] {
        let ports = [Ports::draw(), Ports::draw(), Ports::draw()];
        let mut peers = String::from("initLimit=20\nsyncLimit=10\n");
        for (index, Ports { peers: peer, election, .. }) in ports.iter().enumerate() {
            writeln!(peers, "server.{}=127.0.0.1:{peer}:{election}", index + 1).unwrap();
        }
        let mut number = 0;
        let mut members = ports.map(|ports| {
            number += 1;
            let member = Self::prepare(ports, tick, &peers);
            fs::write(member.data().join("myid"), number.to_string()).unwrap();
            member
        });
        for member in &mut members {
            member.start();
        }
        for member in &members {
            member.wait_serving();
        }
        members
    }

    fn prepare(ports: Ports, tick: Duration, more: &str) -> Self {
        let folder = TempDir::with_prefix("tandem-zookeeper-").unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let text = format!(
            "tickTime={}\ndataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\n\
             admin.enableServer=false\n4lw.commands.whitelist=*\n{more}",
            tick.as_millis(),
            data.display(),
            ports.client
        );
        fs::write(folder.path().join("zoo.cfg"), text).unwrap();
        Self { port: ports.client, secure_port: None, folder, process: None }
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn start(&mut self) {
        assert!(Path::new(JAR).is_file(), "{JAR} is missing: install Debian's zookeeper");
        let root = self.folder.path();
        let log = fs::File::options().create(true).append(true).open(root.join("log")).unwrap();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", "java", "-Xmx128m", "-cp"])
            .arg(class_path(root))
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(root.join("zoo.cfg"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0);
        self.process = Some(command.spawn().unwrap());
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn secure_endpoint(&self) -> String {
        format!("localhost:{}", self.secure_port.unwrap())
    }

    /// A command of four letters; nothing while it does not answer.
    pub(crate) fn says(&self, command: &str) -> String {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(command.as_bytes())?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        ask().unwrap_or_default()
    }

    /// What `ZooKeeper`'s own command line says, as somebody who is not logged in.
    pub(crate) fn stranger(&self, words: &[&str]) -> String {
        let output = Command::new("java")
            .args(["-Xmx64m", "-cp", &class_path(self.folder.path())])
            .args(["org.apache.zookeeper.ZooKeeperMain", "-server", &self.endpoint()])
            .args(words)
            .output()
            .unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// `ruok` would say so before it serves.
    pub(crate) fn wait_serving(&self) {
        let begun = Instant::now();
        while !self.says("srvr").contains("Mode:") {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < START_TIME_MAX, "it does not serve:\n{}", log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.says("srvr").contains("Mode: leader")
    }

    fn signal(&self, signal: Signal) {
        let raw = i32::try_from(self.process.as_ref().unwrap().id()).unwrap();
        kill_process(Pid::from_raw(raw).unwrap(), signal).unwrap();
    }

    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(crate) fn restart(&mut self) {
        self.kill();
        self.start();
        self.wait_serving();
    }

    /// As a machine that was set up anew.
    pub(crate) fn wipe(&mut self) {
        self.kill();
        fs::remove_dir_all(self.data()).unwrap();
        fs::create_dir(self.data()).unwrap();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}
