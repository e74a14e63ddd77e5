//! What the tests need beside Rust, installed with apt-get where it is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell;

/// A program, or a file by its whole path, and the Debian package that has it.
const TOOLS: &[(&str, &str)] = &[
    ("redis-server", "redis-server"),
    ("redis-sentinel", "redis-sentinel"),
    ("redis-cli", "redis-tools"),
    ("tclsh", "tcl"),
    ("python3", "python3"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("setpriv", "util-linux"),
    ("strace", "strace"),
    ("etcd", "etcd-server"),
    ("mkfs.ext4", "e2fsprogs"),
    ("xfs_io", "xfsprogs"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("java", "default-jre-headless"),
    // The library alone: the package `zookeeper` would bring a service.
    ("/usr/share/java/zookeeper.jar", "libzookeeper-java"),
    ("socat", "socat"),
    ("keepalived", "keepalived"),
    ("ruby", "ruby"),
    ("php", "php-cli"),
];

/// Libraries of Debian: how an interpreter says that it has one, and the package.
const LIBRARIES: &[(&str, &[&str], &str)] = &[
    ("ruby", &["-e", "require 'redis'"], "ruby-redis"),
    ("php", &["-r", "exit(extension_loaded('redis') ? 0 : 1);"], "php-redis"),
];

/// Client libraries that the tests use, in the versions they were written for.
const PYTHON_PACKAGES: &[&str] = &["redis==8.1.0"];
const NODE_PACKAGES: &[&str] = &["ioredis@6", "redis@6"];

/// Where the client libraries are, for the tests.
pub(crate) struct Clients {
    pub(crate) python: Option<PathBuf>,
    pub(crate) node_modules: Option<PathBuf>,
    /// The programs of `crates/tandem-e2e/clients-rs`.
    pub(crate) rust: Option<PathBuf>,
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
    libraries();
    Clients { python: python(), node_modules: node_modules(), rust: rust() }
}

fn libraries() {
    let has = |(program, arguments, _): &(&str, &[&str], &str)| {
        Command::new(program).args(*arguments).output().is_ok_and(|said| said.status.success())
    };
    let missing = || LIBRARIES.iter().filter(|library| !has(library)).map(|(.., package)| *package);
    let packages: Vec<&str> = missing().collect();
    if packages.is_empty() {
        return;
    }
    println!("tools: installing {}", packages.join(" "));
    if let Err(error) = apt_install(&packages) {
        println!("tools: could not install them: {error:#}");
    }
    for package in missing() {
        println!("tools: NO {package}: tests that need it cannot run");
    }
}

/// Builds what uses libraries for Rust, in a workspace of its own.
fn rust() -> Option<PathBuf> {
    let folder = shell::target().join("clients/rs");
    let manifest = shell::root().join("crates/tandem-e2e/clients-rs/Cargo.toml");
    let mut build = shell::cargo(&["build", "--locked", "--quiet", "--manifest-path"]);
    build.arg(manifest).env("CARGO_TARGET_DIR", &folder);
    match shell::run(build) {
        Ok(()) => Some(folder.join("debug")),
        Err(error) => {
            println!("tools: NO redis-rs and fred programs: {error:#}");
            None
        }
    }
}

/// Whether these very versions were installed into `folder`; `note` says so for the next time.
fn is_installed(folder: &Path, packages: &[&str]) -> bool {
    let noted = fs::read_to_string(folder.join("installed.txt")).unwrap_or_default();
    noted.lines().eq(packages.iter().copied())
}

fn note(folder: &Path, packages: &[&str]) {
    if let Err(error) = fs::write(folder.join("installed.txt"), packages.join("\n")) {
        println!("tools: {}: {error}", folder.display());
    }
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
    if !(has_redis() && is_installed(&venv, PYTHON_PACKAGES)) {
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
        match made {
            Ok(()) => note(&venv, PYTHON_PACKAGES),
            Err(error) => println!("tools: NO redis-py: {error:#}"),
        }
    }
    has_redis().then_some(python)
}

fn node_modules() -> Option<PathBuf> {
    let folder = shell::target().join("clients");
    let modules = folder.join("node_modules");
    if !(modules.is_dir() && is_installed(&modules, NODE_PACKAGES)) {
        let mut install = Command::new("npm");
        install.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
        install.args(NODE_PACKAGES);
        match shell::run(install) {
            Ok(()) => note(&modules, NODE_PACKAGES),
            Err(error) => println!("tools: NO ioredis and node-redis: {error:#}"),
        }
    }
    modules.join("ioredis").is_dir().then_some(modules)
}
