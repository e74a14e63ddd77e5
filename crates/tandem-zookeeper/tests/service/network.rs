//! A network in between that stops: socat, frozen.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tandem_switch::{MediatorEvent, Outcome};
use tandem_types::NodeId;
use tokio::runtime::Runtime;

use crate::TICK;
use crate::ensemble::{Member, free_port};
use crate::node::{Node, SESSION, create, now, replace, settings};

/// Carries connections to a server, and can be frozen: then nothing passes, and nobody is told.
struct Relay {
    port: u16,
    process: Child,
}

impl Relay {
    fn to(server: &Member) -> Self {
        let port = free_port();
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "socat"])
            .arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork"))
            .arg(format!("TCP:127.0.0.1:{}", server.port))
            .process_group(0)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "socat does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { port, process }
    }

    fn signal(&self, signal: Signal) {
        let raw = i32::try_from(self.process.id()).unwrap();
        // Nobody may be left.
        let _signalled = kill_process_group(Pid::from_raw(raw).unwrap(), signal);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.process.wait().unwrap();
    }
}

#[test]
fn a_node_that_is_cut_off_is_missed_after_its_session_and_comes_back_in_another_one() {
    let server = Member::alone(TICK);
    let relay = Relay::to(&server);
    Runtime::new().unwrap().block_on(async {
        let through = format!("127.0.0.1:{}", relay.port);
        let mut a = Node::up(settings(NodeId::A, &[through])).await;
        let mut b = Node::up(settings(NodeId::B, &[server.endpoint()])).await;
        let sent = a.vouch().await;
        let first = a.win(create()).await;
        b.pushed("a", |view| view.present.a.is_some()).await;
        relay.signal(Signal::STOP);
        a.ask_vouch();
        a.ask_change(5, replace(first, 2, NodeId::B));
        b.pushed("the end of a", |view| view.present.a.is_none()).await;
        let lasted = now().since(sent);
        assert!(lasted >= SESSION, "the server ended it too soon: {lasted:?}");
        assert!(lasted <= SESSION * 2 + TICK * 2, "it was present for {lasted:?}");
        // What a had asked for may arrive, when the way is open again: b's change settles it.
        let outcome = a.outcome(5).await;
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
        let second = b.win(replace(first, 3, NodeId::B)).await;
        relay.signal(Signal::CONT);
        a.hear_up().await;
        let record = crate::node::record(3, NodeId::B);
        assert_eq!(a.view().await.record, crate::node::state(second, record));
        assert_eq!(b.view().await.present.a, None, "an open connection is no sign of life");
        a.vouch().await;
        assert_eq!(b.view().await.present.a, Some(a.presence));
    });
}

#[test]
fn a_short_break_ends_no_presence() {
    let server = Member::alone(TICK);
    let relay = Relay::to(&server);
    Runtime::new().unwrap().block_on(async {
        let through = format!("127.0.0.1:{}", relay.port);
        let mut a = Node::up(settings(NodeId::A, &[through, server.endpoint()])).await;
        let mut b = Node::up(settings(NodeId::B, &[server.endpoint()])).await;
        a.vouch().await;
        let made = b.view().await.present.a;
        assert!(made.is_some());
        drop(relay);
        a.next("up on the other endpoint", |event| match event {
            MediatorEvent::Up { endpoint } => (*endpoint == server.endpoint()).then_some(()),
            _ => None,
        })
        .await;
        a.vouch().await;
        assert_eq!(b.view().await.present.a, made);
        // Never absent in between: nobody was told so.
        b.ask_vouch();
        b.next("only views with a", |event| match event {
            MediatorEvent::View(view) => {
                assert!(view.present.a.is_some(), "{view:?}");
                None
            }
            MediatorEvent::Renewed { .. } => Some(()),
            _ => None,
        })
        .await;
    });
}
