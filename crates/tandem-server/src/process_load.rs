//! How busy this process and its machine are, for the health reports.

use std::time::Duration;

use tandem_switch::Load;
use tandem_types::Monotonic;

/// Pressure of the kernel (`Documentation/accounting/psi.rst`); absent on kernels without it.
const PRESSURE: &str = "/proc/pressure/io";

/// Turns counters into rates.
#[derive(Debug, Default)]
pub(crate) struct LoadMeter {
    last: Option<(Monotonic, u64, u64)>,
}

impl LoadMeter {
    /// What happened since the last call.
    pub(crate) fn measure(
        &mut self,
        now: Monotonic,
        cpu_us: u64,
        commands: u64,
        slowest_turn: Duration,
    ) -> Load {
        let pressure = std::fs::read_to_string(PRESSURE).unwrap_or_default();
        let mut load = Load {
            io_wait_percent: io_wait(&pressure).unwrap_or(0),
            request_ms: u16::try_from(slowest_turn.as_millis()).unwrap_or(u16::MAX),
            ..Load::default()
        };
        if let Some((then, cpu_before, commands_before)) = self.last {
            let passed_us = u64::try_from(now.since(then).as_micros()).unwrap_or(u64::MAX).max(1);
            let percent = cpu_us.saturating_sub(cpu_before).saturating_mul(100) / passed_us;
            load.cpu_percent = u16::try_from(percent).unwrap_or(u16::MAX);
            let requests = commands.saturating_sub(commands_before);
            let per_second = u128::from(requests) * 1_000_000 / u128::from(passed_us);
            load.requests = u32::try_from(per_second).unwrap_or(u32::MAX);
        }
        self.last = Some((now, cpu_us, commands));
        load
    }
}

/// Percent of the last ten seconds in which some task waited for a disk.
fn io_wait(pressure: &str) -> Option<u8> {
    let some = pressure.lines().find_map(|line| line.strip_prefix("some "))?;
    let average = some.split(' ').find_map(|field| field.strip_prefix("avg10="))?;
    average.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_become_rates_and_a_kernel_without_pressure_waits_for_nothing() {
        let mut meter = LoadMeter::default();
        meter.measure(Monotonic::from_millis(1_000), 500_000, 100, Duration::ZERO);
        let slow = Duration::from_millis(12);
        let load = meter.measure(Monotonic::from_millis(3_000), 1_500_000, 5_100, slow);
        assert_eq!((load.cpu_percent, load.requests, load.request_ms), (50, 2_500, 12));
        let text = "some avg10=7.31 avg60=1.00 avg300=0.00 total=1\nfull avg10=3.00 avg60=0";
        assert_eq!(io_wait(text), Some(7));
        assert_eq!(io_wait(""), None);
    }
}
