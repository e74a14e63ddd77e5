//! `tandem drill`: a rehearsal on a running pair, with a receipt.
//!
//! It writes like clients do all the while, so the receipt is measured and not computed: seconds without
//! an acknowledged write, and acknowledged writes that are gone.

use std::fs;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::{Value, json};
use tandem_admin::{RoleName, StatusView};

use crate::admin_client::{AdminClient, Outcome};
use crate::cli::{AdminOptions, Drill, DrillOptions};
use crate::out;
use crate::probe::{Load, Manner, Receipt};

/// Writes must go well this long before anything is broken.
const WARM_UP: Duration = Duration::from_secs(1);
/// ... and must begin within this.
const WARM_UP_TIME_MAX: Duration = Duration::from_secs(5);
/// Writes that went on for so long have come back.
const SETTLED: Duration = Duration::from_secs(2);
/// A pair that takes longer than this has failed the drill.
const RETURN_TIME_MAX: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(crate) fn run(admin: &AdminOptions, options: &DrillOptions) -> anyhow::Result<ExitCode> {
    let client = AdminClient::new(admin)?;
    let before = status(&client)?;
    refuse_unfit(&before, options.drill)?;
    let load = Load::start(&manner(&before, options)?);
    let rehearsed = rehearse(&client, &before, options, &load);
    let receipt = load.stop();
    let report = Report::new(options.drill, &before, &rehearsed?, receipt);
    if options.output.json {
        out::line(serde_json::to_string(&report)?)?;
    } else {
        out::text(report.render())?;
    }
    Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn status(client: &AdminClient) -> anyhow::Result<StatusView> {
    Ok(serde_json::from_value(client.get("/api/v1/status")?)?)
}

/// A drill on a pair that is not whole would be the failure itself.
fn refuse_unfit(status: &StatusView, drill: Drill) -> anyhow::Result<()> {
    if status.role != RoleName::Primary {
        bail!(
            "no drill was done: node {} is {}, and a drill is about the primary; give the primary's admin port with --admin",
            status.node,
            status.role
        );
    }
    if !status.in_sync || !status.peer.connected {
        bail!(
            "no drill was done: the pair is not in sync, so it would be a real failure; see tandem status, and wait until both nodes are in sync"
        );
    }
    if status.has_two_primaries() {
        // Nobody has to be promoted: the other node serves already.
        if drill == Drill::Switch {
            bail!(
                "no drill was done: both nodes are primary (pair.topology = \"primary-primary\"), so there is nothing to switch; rehearse with `tandem drill kill` or `tandem drill isolate`"
            );
        }
        return Ok(());
    }
    if drill != Drill::Switch && status.switch_by == "manual" {
        bail!(
            "no drill was done: switching is manual, so writes would stop until a person promotes {}; set switch.by = \"mediator\", or rehearse with `tandem drill switch`",
            status.peer.node
        );
    }
    if drill != Drill::Switch && status.paused {
        bail!("no drill was done: automatic switching is suspended; run tandem resume first");
    }
    Ok(())
}

fn manner(status: &StatusView, options: &DrillOptions) -> anyhow::Result<Manner> {
    let password = match &options.password_file {
        None => None,
        Some(path) => {
            let text =
                fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
    };
    Ok(Manner {
        addresses: [status.address.clone(), status.peer.address.clone()],
        key_prefix: format!("tandem:drill:{}:", std::process::id()),
        writers: 4,
        pause: Duration::from_millis(5),
        retry_pause: Duration::from_millis(10),
        answer_time_max: Duration::from_secs(2),
        password,
        both_sides: status.has_two_primaries(),
        clean_up: true,
    })
}

/// What was seen.
struct Rehearsed {
    without_writes: Duration,
    /// `None`: writes did not come back.
    after: Option<StatusView>,
    in_sync_again: Option<Duration>,
}

fn rehearse(
    client: &AdminClient,
    before: &StatusView,
    options: &DrillOptions,
    load: &Load,
) -> anyhow::Result<Rehearsed> {
    warm_up(load)?;
    load.forget_gaps();
    let begun = Instant::now();
    let least = act(client, options)?;
    let came_back = wait_for_writes(load, begun, least);
    let without_writes = load.longest_gap();
    if !came_back {
        return Ok(Rehearsed { without_writes, after: None, in_sync_again: None });
    }
    let in_sync_again = wait_in_sync(client, before, begun);
    // A node that does not answer is said as such.
    let after = status(client).ok();
    Ok(Rehearsed { without_writes, after, in_sync_again })
}

fn warm_up(load: &Load) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut first = None;
    loop {
        thread::sleep(LOOK_EVERY);
        if load.acknowledged() > 0 && first.is_none() {
            first = Some(Instant::now());
        }
        if first.is_some_and(|first: Instant| first.elapsed() >= WARM_UP)
            && load.silent_for() < WARM_UP
        {
            return Ok(());
        }
        if begun.elapsed() > WARM_UP_TIME_MAX {
            bail!(
                "no drill was done: the drill's own writes are not acknowledged ({}); give --password-file if the pair asks for a password",
                load.last_error()
            );
        }
    }
}

/// Does it; returns how long the disturbance lasts at least.
fn act(client: &AdminClient, options: &DrillOptions) -> anyhow::Result<Duration> {
    let (path, body, least) = match options.drill {
        Drill::Switch => ("/api/v1/switch", json!({}), Duration::ZERO),
        Drill::Kill => ("/api/v1/drill", json!({ "drill": "kill" }), Duration::ZERO),
        Drill::Isolate => {
            let millis = options.seconds * 1_000;
            let body = json!({ "drill": "isolate", "millis": millis });
            ("/api/v1/drill", body, Duration::from_secs(options.seconds))
        }
    };
    match client.change(path, &body)? {
        Outcome::Done(_) => Ok(least),
        Outcome::Refused(refused) => bail!("no drill was done: {}", refused.line()),
    }
}

/// Whether writes went on for a while after the disturbance.
fn wait_for_writes(load: &Load, begun: Instant, least: Duration) -> bool {
    let mut flowing: Option<Instant> = None;
    while begun.elapsed() < least + RETURN_TIME_MAX {
        thread::sleep(LOOK_EVERY);
        if load.silent_for() > Duration::from_millis(250) {
            flowing = None;
        } else if flowing.is_none() {
            flowing = Some(Instant::now());
        }
        let settled = flowing.is_some_and(|since| since.elapsed() >= SETTLED);
        if settled && begun.elapsed() >= least + SETTLED {
            return true;
        }
    }
    false
}

/// The time from the start of the disturbance until both nodes held everything again.
fn wait_in_sync(client: &AdminClient, before: &StatusView, begun: Instant) -> Option<Duration> {
    while begun.elapsed() < RETURN_TIME_MAX * 2 {
        // The node that was killed answers again once it is started.
        if let Ok(now) = status(client)
            && now.in_sync
            && now.peer.connected
            && now.epoch >= before.epoch
        {
            return Some(begun.elapsed());
        }
        thread::sleep(LOOK_EVERY * 5);
    }
    None
}

/// The receipt.
#[derive(Debug, Serialize)]
struct Report {
    drill: &'static str,
    passed: bool,
    primary_before: String,
    /// Absent when it is not known.
    primary_after: Option<String>,
    seconds_without_writes: f64,
    writes_acknowledged: u64,
    writes_lost: u64,
    writers_unverified: u64,
    seconds_until_in_sync: Option<f64>,
    cause: Option<Value>,
}

impl Report {
    fn new(drill: Drill, before: &StatusView, seen: &Rehearsed, receipt: Receipt) -> Self {
        let primary = |status: &StatusView| match (status.role, status.peer.role) {
            (RoleName::Primary, Some(RoleName::Primary)) if status.has_two_primaries() => {
                Some(format!("{} and {}", status.node, status.peer.node))
            }
            (RoleName::Primary, _) => Some(status.node.clone()),
            (_, Some(RoleName::Primary)) => Some(status.peer.node.clone()),
            _ => None,
        };
        let cause = seen
            .after
            .as_ref()
            .and_then(|after| after.last_switch.as_ref())
            .filter(|switch| switch.epoch > before.epoch)
            .map(|switch| json!(switch.cause));
        Self {
            drill: match drill {
                Drill::Kill => "kill",
                Drill::Switch => "switch",
                Drill::Isolate => "isolate",
            },
            passed: receipt.lost == 0 && receipt.unverified == 0 && seen.after.is_some(),
            primary_before: primary(before).unwrap_or_else(|| before.node.clone()),
            primary_after: seen.after.as_ref().and_then(primary),
            seconds_without_writes: seconds(seen.without_writes),
            writes_acknowledged: receipt.acknowledged,
            writes_lost: receipt.lost,
            writers_unverified: receipt.unverified,
            seconds_until_in_sync: seen.in_sync_again.map(seconds),
            cause,
        }
    }

    fn render(&self) -> String {
        let after = self.primary_after.as_deref().unwrap_or("not known");
        let in_sync = match self.seconds_until_in_sync {
            Some(seconds) => format!("after {seconds:.1} s"),
            None => "not yet".to_owned(),
        };
        let cause = match self.cause.as_ref().and_then(Value::as_str) {
            Some(cause) => format!("  cause                   {cause}\n"),
            None => String::new(),
        };
        let unverified = match self.writers_unverified {
            0 => String::new(),
            count => format!("  writers not verified    {count}: nobody answered at the end\n"),
        };
        format!(
            "drill {}: {}\n\
             \x20 primary                 {} -> {after}\n\
             {cause}\
             \x20 seconds without writes  {:.3}\n\
             \x20 writes acknowledged     {}\n\
             \x20 writes lost             {}\n\
             {unverified}\
             \x20 both in sync again      {in_sync}\n",
            self.drill,
            if self.passed { "passed" } else { "FAILED" },
            self.primary_before,
            self.seconds_without_writes,
            self.writes_acknowledged,
            self.writes_lost,
        )
    }
}

/// To the millisecond: more would pretend to know.
fn seconds(time: Duration) -> f64 {
    let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    f64::from(millis) / 1_000.0
}

#[cfg(test)]
mod tests {
    use tandem_admin::PeerView;

    use super::*;

    fn primary() -> StatusView {
        StatusView {
            node: "a".into(),
            role: RoleName::Primary,
            in_sync: true,
            switch_by: "mediator".into(),
            peer: PeerView { node: "b".into(), connected: true, ..PeerView::default() },
            ..StatusView::default()
        }
    }

    #[test]
    fn a_drill_is_refused_where_it_would_be_a_real_failure() {
        type Change = fn(&mut StatusView);
        refuse_unfit(&primary(), Drill::Kill).unwrap();
        let two = |s: &mut StatusView| s.topology = "primary-primary".into();
        let cases: [(Change, Drill, Option<&str>); 9] = [
            (two, Drill::Kill, None),
            (two, Drill::Isolate, None),
            (two, Drill::Switch, Some("nothing to switch")),
            (|s| s.role = RoleName::Standby, Drill::Switch, Some("is standby")),
            (|s| s.in_sync = false, Drill::Switch, Some("not in sync")),
            (|s| s.peer.connected = false, Drill::Isolate, Some("not in sync")),
            (|s| s.switch_by = "manual".into(), Drill::Kill, Some("until a person promotes b")),
            (|s| s.switch_by = "manual".into(), Drill::Switch, None),
            (|s| s.paused = true, Drill::Kill, Some("tandem resume")),
        ];
        for (change, drill, want) in cases {
            let mut status = primary();
            change(&mut status);
            if status.has_two_primaries() {
                status.switch_by = "manual".into();
            }
            let said = refuse_unfit(&status, drill).err().map(|error| error.to_string());
            match want {
                None => assert_eq!(said, None),
                Some(part) => assert!(said.as_ref().unwrap().contains(part), "{said:?}"),
            }
        }
    }

    #[test]
    fn the_receipt_passes_only_if_nothing_was_lost_and_writes_came_back() {
        let seen = |after| Rehearsed {
            without_writes: Duration::from_millis(1_234),
            after,
            in_sync_again: None,
        };
        let receipt = |lost, unverified| Receipt { acknowledged: 9, lost, unverified };
        let good = Report::new(Drill::Kill, &primary(), &seen(Some(primary())), receipt(0, 0));
        assert!(good.passed && good.render().contains("seconds without writes  1.234"));
        for (after, receipt) in [
            (None, receipt(0, 0)),
            (Some(primary()), receipt(1, 0)),
            (Some(primary()), receipt(0, 1)),
        ] {
            let bad = Report::new(Drill::Kill, &primary(), &seen(after), receipt);
            assert!(!bad.passed && bad.render().starts_with("drill kill: FAILED"));
        }
    }
}
