//! What the tests need beside Rust, installed with apt-get where it is missing.

use std::path::PathBuf;
use std::process::Command;

use crate::shell;

/// A program, or a file by its whole path, and the Debian package that has it.
const TOOLS: &[(&str, &str)] = &[
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("tclsh", "tcl"),
    ("python3", "python3"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("setpriv", "util-linux"),
    ("strace", "strace"),
    ("etcd", "etcd-server"),
    ("mkfs.ext4", "e2fsprogs"),
    ("java", "default-jre-headless"),
    // The library alone: the package `zookeeper` would bring a service.
    ("/usr/share/java/zookeeper.jar", "libzookeeper-java"),
    ("socat", "socat"),
];

/// Client libraries that the tests use, in the versions they were written for.
const PYTHON_PACKAGES: &[&str] = &["redis==8.0.1"];
const NODE_PACKAGES: &[&str] = &["ioredis@5"];

/// Where the client libraries are, for the tests.
pub(crate) struct Clients {
    pub(crate) python: Option<PathBuf>,
    pub(crate) node_modules: Option<PathBuf>,
}

/// Installs what is missing. What cannot be had is said; the tests that need it then say so too.
pub(crate) fn ensure() -> Clients {
    let missing: Vec<&(&str, &str)> =
        TOOLS.iter().filter(|(program, _)| !shell::has(program)).collect();
    if !missing.is_empty() {
        let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
        println!("tools: installing {}", packages.join(" "));
        if let Err(error) = apt_install(&packages) {
            println!("tools: could not install them: {error:#}");
        }
        for (program, package) in missing.iter().filter(|(program, _)| !shell::has(program)) {
            println!("tools: NO {program} (package {package}): tests that need it cannot run");
        }
    }
    Clients { python: python(), node_modules: node_modules() }
}

fn apt_install(packages: &[&str]) -> anyhow::Result<()> {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        // The package's own service must not be started: the tests start theirs.
        command.env("RUNLEVEL", "1");
        shell::run(command)
    };
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(packages);
    // A fresh machine has no package lists; one with old lists may need new ones.
    if apt(&install).is_err() {
        apt(&["update"])?;
        apt(&install)?;
    }
    Ok(())
}

fn python() -> Option<PathBuf> {
    let venv = shell::target().join("clients/venv");
    let python = venv.join("bin/python");
    let has_redis = || {
        let mut command = Command::new(&python);
        command.args(["-c", "import redis"]);
        command.output().is_ok_and(|output| output.status.success())
    };
    if !has_redis() {
        let mut create = Command::new("python3");
        create.args(["-m", "venv"]).arg(&venv);
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet"]).args(PYTHON_PACKAGES);
        let made = shell::run(create)
            .or_else(|_| {
                apt_install(&["python3-venv", "python3-pip"]).and_then(|()| {
                    let mut create = Command::new("python3");
                    create.args(["-m", "venv"]).arg(&venv);
                    shell::run(create)
                })
            })
            .and_then(|()| shell::run(install));
        if let Err(error) = made {
            println!("tools: NO redis-py: {error:#}");
        }
    }
    has_redis().then_some(python)
}

fn node_modules() -> Option<PathBuf> {
    let folder = shell::target().join("clients");
    let modules = folder.join("node_modules");
    if !modules.join("ioredis").is_dir() {
        let mut install = Command::new("npm");
        install.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
        install.args(NODE_PACKAGES);
        if let Err(error) = shell::run(install) {
            println!("tools: NO ioredis: {error:#}");
        }
    }
    modules.join("ioredis").is_dir().then_some(modules)
}
