//! One machine's clock runs at half or at double speed, the other's is true. Writes need no clock: whatever the
//! rate, nothing acknowledged is lost and one node acknowledges. `reads = "barrier"` needs none either; leases
//! do as long as the primary's clock is at most a quarter slower than the standby's (A1 in docs/proof.md).

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tandem_e2e::clocks::Clocks;
use tandem_e2e::load::{Load, LoadOptions};
use tandem_e2e::mediated::{MediatedOptions, MediatedPair, RECOVERY};
use tandem_e2e::node::Node;
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::{audit, family, wait};

/// Longer than every time-out of the pair on the slower clock.
const LONG: Duration = Duration::from_secs(5);
/// Longest time without acknowledgements: `failure_timeout` on the slower clock, two seconds (M6), and what a
/// machine whose processors are busy with others adds.
const SILENCE_MAX: Duration = Duration::from_secs(7);

/// Whose clock is off, and how many thousandths as fast it is.
#[derive(Clone, Copy, Debug)]
struct Off {
    primary: bool,
    per_mille: u32,
}

const FAR_OFF: [Off; 4] = [
    Off { primary: true, per_mille: 500 },
    Off { primary: true, per_mille: 2_000 },
    Off { primary: false, per_mille: 500 },
    Off { primary: false, per_mille: 2_000 },
];

/// As far as leases allow: the primary's clock is a quarter slower than the standby's, or faster.
const WITHIN_LEASES: [Off; 3] = [
    Off { primary: true, per_mille: 760 },
    Off { primary: false, per_mille: 1_315 },
    Off { primary: true, per_mille: 2_000 },
];

fn options(clocks: &Clocks, off: Off, reads: &str) -> MediatedOptions {
    let mut options = MediatedOptions::default().replication(&format!("reads = \"{reads}\""));
    options.wrapper[usize::from(!off.primary)] = clocks.wrapper(off.per_mille);
    options
}

/// Seconds that `node` counts while `during` runs, by the true second.
fn rate_of(node: &Node, during: impl FnOnce()) -> f64 {
    let count = || node.status().at("uptime_seconds").as_f64().expect("a number");
    let (began, first) = (Instant::now(), count());
    during();
    (count() - first) / began.elapsed().as_secs_f64()
}

/// For each clock, a pair under load: `fault` happens to a, whose role moves at most once, and heals.
fn each(
    name: &'static str,
    reads: &str,
    clocks_off: &[Off],
    changes: usize,
    fault: fn(&mut MediatedPair, &Load),
) {
    let clocks = Clocks::build();
    for &off in clocks_off {
        let Some(mut pair) = MediatedPair::start(name, &options(&clocks, off, reads)) else {
            return;
        };
        let load = pair.load();
        fault(&mut pair, &load);
        pair.wait_in_sync();
        load.wait_for_more(100, RECOVERY);
        let report = pair.judge(load, changes);
        let silence = report.longest_silence;
        assert!(silence < SILENCE_MAX, "{off:?}: {silence:?}");
    }
}

#[test]
fn a_wrong_clock_alone_is_no_reason_for_anything() {
    let clocks = Clocks::build();
    for off in FAR_OFF {
        for reads in ["barrier", "lease"] {
            // At double speed a time-out is half as long, and no busy machine shall be what is looked at.
            let options = options(&clocks, off, reads)
                .switch("failure_timeout = \"4s\"")
                .switch("solo_after = \"4s\"");
            let Some(mut pair) = MediatedPair::start("wrong clock", &options) else { return };
            let load = pair.load();
            let wrong = if off.primary { &pair.a } else { &pair.b };
            let rate = rate_of(wrong, || {
                wait::stays_true("a stays primary, in sync", LONG, || {
                    let status = pair.a.status();
                    status.role() == "primary" && status.is("in_sync")
                });
            });
            // Uptime comes in whole seconds.
            let want = f64::from(off.per_mille) / 1_000.0;
            assert!((rate - want).abs() < 0.3, "{off:?}: its seconds passed {rate} times as fast");
            let report = pair.judge(load, 0);
            assert!(report.errors.is_empty(), "{off:?}: clients were refused: {:?}", report.errors);
            let silence = report.longest_silence;
            assert!(silence < Duration::from_secs(1), "{off:?}: writes waited for {silence:?}");
        }
    }
}

/// The primary is cut off from its peer and from the mediator, while clients reach it.
fn cut_off(pair: &mut MediatedPair, load: &Load) {
    pair.net.drop_between(&pair.net.a, &pair.net.b);
    pair.net.drop_between(&pair.net.a, &pair.net.m);
    pair.b.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
    pair.net.mend_drops();
}

fn killed(pair: &mut MediatedPair, load: &Load) {
    pair.a.kill();
    pair.b.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
    pair.a.start();
}

fn process_killed(pair: &mut MediatedPair, load: &Load) {
    family::signal(pair.a.pid(), Signal::KILL);
    pair.b.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
}

fn frozen(pair: &mut MediatedPair, load: &Load) {
    pair.a.freeze();
    pair.b.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
    pair.a.thaw();
}

/// The link alone is cut: the primary leaves its standby out.
fn link_cut(pair: &mut MediatedPair, load: &Load) {
    pair.net.cut_pair();
    pair.wait_alone(&pair.a);
    load.wait_for_more(200, RECOVERY);
    pair.net.mend_pair();
}

#[test]
fn a_primary_that_sees_nobody_is_replaced_and_no_read_is_stale_whatever_the_clocks() {
    each("cut off", "barrier", &FAR_OFF, 1, cut_off);
}

#[test]
fn a_killed_primary_is_replaced_whatever_the_clocks() {
    each("killed", "barrier", &FAR_OFF, 1, killed);
    each("process killed", "lease", &FAR_OFF, 1, process_killed);
}

#[test]
fn a_frozen_primary_is_replaced_and_wakes_as_nobody_whatever_the_clocks() {
    each("frozen", "barrier", &FAR_OFF, 1, frozen);
}

#[test]
fn a_primary_without_its_link_goes_on_whatever_the_clocks() {
    each("link cut", "barrier", &FAR_OFF, 0, link_cut);
}

#[test]
fn leases_hold_while_the_primarys_clock_is_a_quarter_slower() {
    each("cut off, leases", "lease", &WITHIN_LEASES, 1, cut_off);
    each("frozen, leases", "lease", &WITHIN_LEASES, 1, frozen);
}

#[test]
fn without_a_third_party_a_wrong_clock_is_no_silence_and_a_certificate_needs_none() {
    let clocks = Clocks::build();
    for off in FAR_OFF {
        // The setting that would split a pair at once if a slow clock were taken for silence.
        let options = PairOptions { by: "direct", ..PairOptions::new("primary-standby") }
            .switch("on_silence = \"take-over\"");
        let mut pair = Pair::prepare(&options);
        let words = clocks.wrapper(off.per_mille);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let wrong = if off.primary { &mut pair.a } else { &mut pair.b };
        wrong.set_wrapper(&words);
        pair.a.start();
        pair.b.start();
        pair.wait_in_sync();
        let options = LoadOptions {
            clients: 8,
            keys_per_client: 4,
            counters: 2,
            registers: 8,
            reply_timeout: Duration::from_secs(1),
            pause: Duration::from_millis(4),
            ..LoadOptions::default()
        };
        let load = Load::start(&options, &pair.addresses());
        load.wait_for_more(100, RECOVERY);
        wait::stays_true("a stays primary, in sync", LONG, || {
            let status = pair.a.status();
            status.role() == "primary" && status.is("in_sync")
        });
        family::signal(pair.a.pid(), Signal::KILL);
        pair.b.wait_role("primary");
        load.wait_for_more(200, RECOVERY);
        pair.wait_in_sync();
        let report = load.stop();
        let audited = audit::assert_nothing_lost(&report, &mut pair.b.client());
        audit::assert_linearizable(&report);
        let chain = report.acknowledgers();
        assert!(chain.len() <= 2, "{off:?}: acknowledged by turns: {chain:?}, {audited:?}");
    }
}
