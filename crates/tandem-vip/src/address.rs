//! Which address, on which interface.

use std::fmt;
use std::net::IpAddr;

/// The virtual address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// Bits of its network.
    pub prefix: u8,
    /// The interface that gets it.
    pub interface: String,
}

/// The text is no address with a prefix length.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not an address with a prefix length, such as 10.0.0.100/24")]
pub struct AddressError {
    text: String,
}

impl Address {
    /// From `10.0.0.100/24` and `eth0`.
    ///
    /// # Errors
    /// The text is no address with a prefix length.
    pub fn parse(text: &str, interface: &str) -> Result<Self, AddressError> {
        let parsed = text.split_once('/').and_then(|(ip, prefix)| {
            let ip: IpAddr = ip.parse().ok()?;
            let bits = if ip.is_ipv4() { 32 } else { 128 };
            let prefix: u8 = prefix.parse().ok().filter(|&prefix| prefix <= bits)?;
            Some((ip, prefix))
        });
        match parsed {
            Some((ip, prefix)) => Ok(Self { ip, prefix, interface: interface.to_owned() }),
            None => Err(AddressError { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} on {}", self.ip, self.prefix, self.interface)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_prefix_that_fits() {
        let address = Address::parse("10.0.0.100/24", "eth0").unwrap();
        assert_eq!(address.to_string(), "10.0.0.100/24 on eth0");
        assert_eq!(Address::parse("fd00::1/64", "eth0").unwrap().prefix, 64);
        for wrong in ["", "10.0.0.1", "10.0.0.1/33", "fd00::1/129", "x/24", "10.0.0.1/-1"] {
            assert!(Address::parse(wrong, "eth0").is_err(), "{wrong}");
        }
    }
}
