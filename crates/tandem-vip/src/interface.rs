//! One address of one interface, by rtnetlink.

use futures_util::TryStreamExt as _;
use nix::errno::Errno;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, CacheInfo,
};
use rtnetlink::{AddressAddRequest, AddressMessageBuilder, Handle};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tokio::task::JoinHandle;

use crate::Address;
use crate::announce::{Announcer, link_of};

/// The system removes an address that nobody has renewed for so long: whoever bound it was killed, with its
/// supervisor, or stands still.
///
/// The keeper renews it every second; ten of them are what a burdened machine may miss.
const LIFETIME_SECONDS: u32 = 10;

/// Why the virtual address cannot be moved.
#[derive(Debug, thiserror::Error)]
pub enum VipError {
    /// The machine has no such interface.
    #[error("there is no interface {interface}; set vip.interface to one that `ip link` shows")]
    NoInterface {
        /// Its name.
        interface: String,
    },
    /// The process may not change addresses or send raw frames.
    #[error(
        "this process may not move {address}: it lacks {capability}; run it as root, or give it \
         AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW in its systemd unit"
    )]
    NotPermitted {
        /// The address.
        address: Address,
        /// What is missing.
        capability: &'static str,
    },
    /// The system refused.
    #[error("{op} {address}: {reason}")]
    System {
        /// What was being done.
        op: &'static str,
        /// The address.
        address: Address,
        /// What the system said.
        reason: String,
    },
}

/// The way to one interface.
#[derive(Debug)]
pub struct Interface {
    address: Address,
    index: u32,
    handle: Handle,
    connection: JoinHandle<()>,
    announcer: Announcer,
}

impl Drop for Interface {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Interface {
    /// Opens it, checks that the address could be moved, and removes it if a process that ended
    /// suddenly left it there. Returns whether it did.
    ///
    /// # Errors
    /// See [`VipError`].
    pub async fn open(address: Address) -> Result<(Self, bool), VipError> {
        let failed = |op: &'static str| {
            let address = address.clone();
            move |error: Errno| of_errno(op, &address, error)
        };
        let link = link_of(&address.interface)
            .map_err(failed("look for"))?
            .ok_or_else(|| VipError::NoInterface { interface: address.interface.clone() })?;
        let announcer = Announcer::open(link).map_err(failed("announce"))?;
        let index = u32::try_from(link.ifindex()).unwrap_or(0);
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(|error| VipError::System {
                op: "open netlink for",
                address: address.clone(),
                reason: error.to_string(),
            })?;
        let connection = tokio::spawn(connection);
        let interface = Self { address, index, handle, connection, announcer };
        // Also the check of the capability: the system asks for it before it looks for the address.
        let removed = interface.give_up().await?;
        Ok((interface, removed))
    }

    /// Whether the address is bound here.
    ///
    /// # Errors
    /// The system refused to tell.
    pub async fn is_held(&self) -> Result<bool, VipError> {
        let mut all = self.handle.address().get().set_link_index_filter(self.index).execute();
        loop {
            match all.try_next().await {
                Ok(Some(message)) if self.is_ours(&message) => return Ok(true),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(false),
                Err(error) => return Err(self.failed("look for", &error)),
            }
        }
    }

    /// Binds it for ten seconds; returns `false` if it was bound already, and is for ten seconds more.
    ///
    /// # Errors
    /// The system refused.
    pub async fn take(&self) -> Result<bool, VipError> {
        match self.request().execute().await {
            Ok(()) => Ok(true),
            Err(error) if errno(&error) == Some(Errno::EEXIST) => {
                self.renew().await.map(|()| false)
            }
            Err(error) => Err(self.failed("bind", &error)),
        }
    }

    /// Keeps it for ten seconds more (binds it, if somebody removed it).
    ///
    /// # Errors
    /// The system refused.
    pub async fn renew(&self) -> Result<(), VipError> {
        let renewed = self.request().replace().execute().await;
        renewed.map_err(|error| self.failed("renew", &error))
    }

    fn request(&self) -> AddressAddRequest {
        let mut request =
            self.handle.address().add(self.index, self.address.ip, self.address.prefix);
        let message = request.message_mut();
        if self.address.ip.is_ipv6() {
            // The peer may still have it for a moment: checking for doubles would keep it from being used.
            message.header.flags |= AddressHeaderFlags::Nodad;
        }
        // Nobody broadcasts from it, and interfaces without broadcasts (loopback) refuse one.
        message.attributes.retain(|it| !matches!(it, AddressAttribute::Broadcast(_)));
        let mut lifetime = CacheInfo::default();
        lifetime.ifa_valid = LIFETIME_SECONDS;
        lifetime.ifa_preferred = LIFETIME_SECONDS;
        message.attributes.push(AddressAttribute::CacheInfo(lifetime));
        request
    }

    /// Unbinds it; returns `false` if it was not bound.
    ///
    /// # Errors
    /// The system refused.
    pub async fn give_up(&self) -> Result<bool, VipError> {
        let message = self.message();
        match self.handle.address().del(message).execute().await {
            Ok(()) => Ok(true),
            Err(error) if matches!(errno(&error), Some(Errno::EADDRNOTAVAIL | Errno::ENOENT)) => {
                Ok(false)
            }
            Err(error) => Err(self.failed("remove", &error)),
        }
    }

    /// Tells the neighbours that it is here.
    ///
    /// # Errors
    /// The system refused.
    pub fn announce(&self) -> Result<(), VipError> {
        self.announcer
            .announce(self.address.ip)
            .map_err(|error| of_errno("announce", &self.address, error))
    }

    fn message(&self) -> AddressMessage {
        let (index, prefix) = (self.index, self.address.prefix);
        match self.address.ip {
            IpAddr::V4(ip) => {
                AddressMessageBuilder::<Ipv4Addr>::new().index(index).address(ip, prefix).build()
            }
            IpAddr::V6(ip) => {
                AddressMessageBuilder::<Ipv6Addr>::new().index(index).address(ip, prefix).build()
            }
        }
    }

    fn is_ours(&self, message: &AddressMessage) -> bool {
        message.attributes.iter().any(|attribute| match attribute {
            AddressAttribute::Address(ip) | AddressAttribute::Local(ip) => *ip == self.address.ip,
            _ => false,
        })
    }

    fn failed(&self, op: &'static str, error: &rtnetlink::Error) -> VipError {
        match errno(error) {
            Some(errno) => of_errno(op, &self.address, errno),
            None => {
                VipError::System { op, address: self.address.clone(), reason: error.to_string() }
            }
        }
    }
}

fn errno(error: &rtnetlink::Error) -> Option<Errno> {
    match error {
        rtnetlink::Error::NetlinkError(message) => Some(Errno::from_raw(-message.raw_code())),
        _ => None,
    }
}

fn of_errno(op: &'static str, address: &Address, error: Errno) -> VipError {
    let address = address.clone();
    match error {
        Errno::EPERM | Errno::EACCES => {
            let capability = if op == "announce" { "CAP_NET_RAW" } else { "CAP_NET_ADMIN" };
            VipError::NotPermitted { address, capability }
        }
        _ => VipError::System { op, address, reason: error.desc().to_owned() },
    }
}
