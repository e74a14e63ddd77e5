//! The virtual address: bound on the machine whose node is primary, announced to the neighbours, given up.
//!
//! Clients that know only this address reach whoever is primary. It follows decisions and never makes
//! one: it is taken after the node serves, and a node that loses its role stops serving before the
//! address goes. So an address that is bound twice for a moment is a nuisance, never two primaries.
//!
//! ```text
//! taken -> announced at once, after 0.1, 0.5, 1 and 2 s (a gratuitous ARP or an unsolicited neighbour
//!          advertisement may be lost), and looked after every second: if somebody removed it, it is taken
//!          again; the system itself removes it when nobody has looked after it for ten seconds
//! ```
//! Needs `CAP_NET_ADMIN` (bind) and `CAP_NET_RAW` (announce); [`Interface::open`] says so at the start.
//!
//! **Not here:** who is primary.
#![forbid(unsafe_code)]

mod address;
mod announce;
mod frame;
mod interface;
mod keeper;

pub use address::{Address, AddressError};
pub use interface::{Interface, VipError};
pub use keeper::{Keeper, remove_now};
