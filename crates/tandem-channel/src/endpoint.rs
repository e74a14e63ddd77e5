//! One end of a channel, as configured.

/// Where a channel ends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// `host:port`.
    Tcp(String),
    /// `serial:///dev/ttyS0?baud=115200`.
    Serial {
        /// The device.
        device: String,
        /// Its speed.
        baud: u32,
    },
}

/// What is configured is no end of a channel.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "\"{text}\" is no channel; write host:port, or serial:///dev/ttyS0?baud=115200 with a speed of 1200 to 4000000"
)]
pub struct EndpointError {
    text: String,
}

const BAUD: u32 = 115_200;

impl Endpoint {
    /// Reads what is configured.
    ///
    /// # Errors
    /// It is neither of the two.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let wrong = || EndpointError { text: text.to_owned() };
        let Some(rest) = text.strip_prefix("serial://") else {
            let port = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            return port.map(|_| Self::Tcp(text.to_owned())).ok_or_else(wrong);
        };
        let (device, options) = rest.split_once('?').unwrap_or((rest, ""));
        let baud = match options.strip_prefix("baud=") {
            Some(baud) => baud.parse().map_err(|_| wrong())?,
            None if options.is_empty() => BAUD,
            None => return Err(wrong()),
        };
        if !device.starts_with('/') || !(1_200..=4_000_000).contains(&baud) {
            return Err(wrong());
        }
        Ok(Self::Serial { device: device.to_owned(), baud })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_addresses_or_devices() {
        let serial = |baud| Endpoint::Serial { device: "/dev/ttyS0".to_owned(), baud };
        assert_eq!(Endpoint::parse("h:1"), Ok(Endpoint::Tcp("h:1".to_owned())));
        assert_eq!(Endpoint::parse("serial:///dev/ttyS0"), Ok(serial(115_200)));
        assert_eq!(Endpoint::parse("serial:///dev/ttyS0?baud=9600"), Ok(serial(9_600)));
        for wrong in ["", "h", "h:x", "serial://ttyS0", "serial:///d?baud=1", "serial:///d?x=1"] {
            assert!(Endpoint::parse(wrong).is_err(), "{wrong}");
        }
    }
}
