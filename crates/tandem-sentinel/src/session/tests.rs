//! Each command, byte for byte.

use tandem_resp::OwnedArgs;

use super::*;
use crate::{Addr, MasterView, ReplicaView};

fn addr(host: u8, port: u16) -> Addr {
    Addr { ip: format!("10.0.0.{host}"), port, runid: format!("r{host}") }
}

fn view(down: bool) -> SentinelView {
    let master = MasterView {
        name: "shop".into(),
        aliases: vec!["mymaster".into()],
        primary: Some(addr(1, 6379)),
        down,
        replicas: vec![ReplicaView { addr: addr(2, 6380), down: false, linked: true }],
        sentinels: vec![addr(2, 26379), addr(3, 26379)],
        epoch: 7,
    };
    SentinelView { masters: vec![master], me: addr(1, 26379) }
}

struct Asked {
    session: Session,
    view: SentinelView,
    password: Option<&'static [u8]>,
}

impl Asked {
    fn new(password: Option<&'static [u8]>) -> Self {
        Self { session: Session::new(5, password.is_none()), view: view(false), password }
    }

    /// The reply, with line ends shown as spaces.
    fn ask(&mut self, line: &str) -> String {
        let args: OwnedArgs = line.split(' ').map(str::as_bytes).collect();
        let mut out = Vec::new();
        self.session.run(&args.args(), &self.view, self.password, &mut out);
        String::from_utf8(out).unwrap().replace("\r\n", " ").trim_end().to_owned()
    }
}

#[test]
fn answers_are_as_clients_read_them() {
    let mut two = Asked::new(None);
    let slaves = "*1 *20 $4 name $13 10.0.0.2:6380 $2 ip $8 10.0.0.2 $4 port $4 6380 $5 runid $2 r2 \
        $5 flags $5 slave $18 master-link-status $2 ok $11 master-host $8 10.0.0.1 $11 master-port \
        $4 6379 $14 slave-priority $3 100 $17 slave-repl-offset $1 0";
    for (line, want) in [
        ("PING", "+PONG"),
        ("ping hi", "$2 hi"),
        ("ROLE", "*2 $8 sentinel *2 $4 shop $8 mymaster"),
        ("sentinel get-master-addr-by-name mymaster", "*2 $8 10.0.0.1 $4 6379"),
        ("SENTINEL GET-MASTER-ADDR-BY-NAME nobody", "*-1"),
        ("SENTINEL MASTER nobody", "-ERR No such master with that name"),
        ("SENTINEL REPLICAS nobody", "-ERR No such master with that name"),
        ("SENTINEL SENTINELS nobody", "-ERR No such master with that name"),
        ("SENTINEL FAILOVER nobody", "-ERR No such master with that name"),
        ("SENTINEL SLAVES shop", slaves),
        ("SENTINEL REPLICAS mymaster", slaves),
        (
            "SENTINEL SENTINELS shop",
            "*2 *10 $4 name $2 r2 $2 ip $8 10.0.0.2 $4 port $5 26379 $5 runid $2 r2 $5 flags $8 sentinel \
             *10 $4 name $2 r3 $2 ip $8 10.0.0.3 $4 port $5 26379 $5 runid $2 r3 $5 flags $8 sentinel",
        ),
        (
            "SENTINEL MASTER shop",
            "*18 $4 name $4 shop $2 ip $8 10.0.0.1 $4 port $4 6379 $5 runid $2 r1 $5 flags $6 master \
             $12 config-epoch $1 7 $10 num-slaves $1 1 $19 num-other-sentinels $1 2 $6 quorum $1 2",
        ),
        ("SENTINEL MYID", "$2 r1"),
        (
            "SENTINEL CKQUORUM shop",
            "+OK 3 usable Sentinels. Quorum and failover authorization can be reached",
        ),
        (
            "SENTINEL MONITOR x 1 2 3",
            "-ERR managed by Tandem: see tandem.toml and the command tandem",
        ),
        ("SENTINEL FROB", "-ERR unknown subcommand 'frob'. Try SENTINEL HELP."),
        ("SENTINEL MASTER", "-ERR wrong number of arguments for 'sentinel|master' command"),
        ("CLIENT SETINFO LIB-NAME x", "+OK"),
        ("CLIENT SETNAME x", "+OK"),
        ("CLIENT ID", ":5"),
        ("CLIENT MAINT_NOTIFICATIONS ON", "-ERR not supported on a Sentinel port"),
        ("GET key", "-ERR unknown command 'get' on a Sentinel port"),
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ("HELLO 2 FROB", "-ERR Syntax error in HELLO option 'FROB'"),
        (
            "HELLO 2",
            "*12 $6 server $5 redis $7 version $5 7.2.4 $5 proto :2 $2 id :5 $4 mode $8 sentinel $7 \
             modules *0",
        ),
    ] {
        assert_eq!(two.ask(line), want, "{line}");
    }
}

#[test]
fn in_version_three_maps_are_maps_and_nothing_is_a_null() {
    let mut three = Asked::new(None);
    assert!(three.ask("HELLO 3 SETNAME me").starts_with("%6 $6 server"));
    assert!(three.ask("SENTINEL MASTERS").starts_with("*2 %9 $4 name $4 shop"));
    assert_eq!(three.ask("SENTINEL GET-MASTER-ADDR-BY-NAME nobody"), "_");
    assert_eq!(three.ask("SUBSCRIBE +switch-master"), ">3 $9 subscribe $14 +switch-master :1");
    assert_eq!(three.ask("PING"), "+PONG");
}

#[test]
fn without_a_primary_the_last_address_is_flagged() {
    let mut asked = Asked::new(None);
    asked.view = view(true);
    assert_eq!(asked.ask("SENTINEL GET-MASTER-ADDR-BY-NAME shop"), "*2 $8 10.0.0.1 $4 6379");
    assert!(asked.ask("SENTINEL MASTER shop").contains("$20 master,s_down,o_down"));
    assert!(
        asked
            .ask("INFO")
            .contains("master0:name=shop,status=odown,address=10.0.0.1:6379,slaves=1,sentinels=3")
    );
}

#[test]
fn nothing_is_told_before_the_password() {
    let mut asked = Asked::new(Some(b"secret"));
    assert_eq!(asked.ask("SENTINEL MASTERS"), "-NOAUTH Authentication required.");
    assert_eq!(asked.ask("AUTH wrong"), format!("-{WRONG_PASSWORD}"));
    assert!(asked.ask("HELLO 3").starts_with("-NOAUTH HELLO must be called"));
    assert_eq!(asked.ask("HELLO 3 AUTH default wrong"), format!("-{WRONG_PASSWORD}"));
    assert!(asked.ask("HELLO 3 AUTH default secret").starts_with("%6"));
    assert!(asked.ask("SENTINEL MASTERS").starts_with("*2"));
    assert_eq!(asked.ask("RESET"), "+RESET");
    assert_eq!(asked.ask("PING"), "-NOAUTH Authentication required.");
    assert_eq!(asked.ask("AUTH secret"), "+OK");
}

#[test]
fn listeners_get_what_matches_and_may_ping() {
    let mut asked = Asked::new(None);
    assert_eq!(asked.ask("PSUBSCRIBE [-+]sdown"), "*3 $10 psubscribe $9 [-+]sdown :1");
    assert_eq!(asked.ask("PING"), "*2 $4 pong $0");
    assert!(asked.ask("SENTINEL MASTERS").starts_with("-ERR Can't execute 'sentinel'"));
    let mut out = Vec::new();
    for channel in ["+sdown", "+odown"] {
        asked.session.deliver(&Message { channel, text: "t".into() }, &mut out);
    }
    assert_eq!(out, b"*4\r\n$8\r\npmessage\r\n$9\r\n[-+]sdown\r\n$6\r\n+sdown\r\n$1\r\nt\r\n");
    assert_eq!(asked.ask("PUNSUBSCRIBE"), "*3 $12 punsubscribe $9 [-+]sdown :0");
    assert_eq!(asked.ask("UNSUBSCRIBE"), "*3 $11 unsubscribe $-1 :0");
}

#[test]
fn a_failover_is_passed_on_under_the_pairs_own_name() {
    let mut asked = Asked::new(None);
    for line in ["SENTINEL FAILOVER mymaster", "sentinel failover shop coordinated"] {
        let args: OwnedArgs = line.split(' ').map(str::as_bytes).collect();
        let mut out = Vec::new();
        let next = asked.session.run(&args.args(), &asked.view, None, &mut out);
        assert_eq!(next, Next::Failover("shop".into()), "{line}");
        assert!(out.is_empty());
    }
}
