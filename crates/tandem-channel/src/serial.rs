//! A channel over a serial line.

use std::io;
use std::time::Duration;

use serial2_tokio::SerialPort;
use tokio::time::{sleep, timeout};

use crate::tcp::{newest, once};
use crate::{Endpoint, FRAME_BYTES, Shared};

/// Between two attempts to open the device.
const PAUSE: Duration = Duration::from_secs(1);
/// Ten bits per byte, and as long again for what is in the device's buffer.
const BITS_PER_BYTE: u32 = 10;

pub(crate) async fn run(shared: Shared) {
    let Endpoint::Serial { device, baud } = shared.settings.own.clone() else { return };
    let mut trouble = String::new();
    loop {
        let ended = match SerialPort::open(&device, baud) {
            Ok(port) => converse(&shared, port, baud).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            once(&mut trouble, &format!("the serial line {device}: {error}"));
        }
        sleep(PAUSE).await;
    }
}

async fn converse(shared: &Shared, port: SerialPort, baud: u32) -> io::Result<()> {
    let mut reports = shared.reports();
    let mut buffer = [0; 256];
    let mut rest = Vec::new();
    let frame_bits = u32::try_from(FRAME_BYTES).unwrap_or(u32::MAX).saturating_mul(BITS_PER_BYTE);
    let patience = Duration::from_secs(1) + Duration::from_secs(frame_bits.into()) / baud * 2;
    let write = async {
        while let Some(vitals) = newest(&mut reports).await {
            let frame = shared.frame(vitals);
            match timeout(patience, port.write_all(&frame)).await {
                // Nobody reads at the other end: what was not written is old news by then.
                Err(_) => {
                    port.discard_output_buffer()?;
                }
                Ok(written) => written?,
            }
        }
        Ok(())
    };
    let read = async {
        loop {
            match port.read(&mut buffer).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => rest.extend_from_slice(&buffer[..length]),
            }
            // On a serial line there is nobody to tell the peer from.
            let _is_peer = shared.received(&mut rest);
        }
    };
    tokio::select! { ended = write => ended, ended = read => ended }
}
