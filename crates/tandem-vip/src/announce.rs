//! Sends announcements as raw frames.

use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, sendto, socket};

use crate::frame;

/// Ethernet, by its number in the Linux kernel (`ARPHRD_ETHER`).
const ETHERNET: u16 = 1;

/// A way to the neighbours of one interface.
#[derive(Debug)]
pub(crate) struct Announcer {
    socket: OwnedFd,
    link: LinkAddr,
}

/// The interface's link address; `None`: there is no such interface.
pub(crate) fn link_of(interface: &str) -> Result<Option<LinkAddr>, Errno> {
    Ok(getifaddrs()?
        .filter(|entry| entry.interface_name == interface)
        .find_map(|entry| entry.address?.as_link_addr().copied()))
}

impl Announcer {
    /// Needs `CAP_NET_RAW`.
    pub(crate) fn open(link: LinkAddr) -> Result<Self, Errno> {
        // Protocol 0: it only sends.
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        Ok(Self { socket, link })
    }

    /// Tells every neighbour where `ip` is. On an interface without neighbours (loopback) there is nobody.
    pub(crate) fn announce(&self, ip: IpAddr) -> Result<(), Errno> {
        let Some(mac) = self.link.addr().filter(|_| self.link.hatype() == ETHERNET) else {
            return Ok(());
        };
        for frame in frame::announcements(ip, mac) {
            sendto(self.socket.as_raw_fd(), &frame, &self.link, MsgFlags::empty())?;
        }
        Ok(())
    }
}
