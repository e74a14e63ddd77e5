//! Clients that are broken, greedy or malicious: the server survives, its memory stays bounded, others
//! are served meanwhile, and the answer is the one that Redis gives.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tandem_e2e::client::{Client, encode};
use tandem_e2e::machine::{open_files, resident_bytes};
use tandem_e2e::redis_server::RedisServer;
use tandem_e2e::single::Single;
use tandem_e2e::skip::budget;
use tandem_e2e::status;
use tandem_e2e::wait::until_true;

const MIB: u64 = 1 << 20;

/// Requests that break the protocol in one way each.
fn broken_requests() -> Vec<Vec<u8>> {
    let texts: &[&[u8]] = &[
        b"*-1\r\n",
        b"*0\r\n",
        b"\r\n",
        b"\r\n\r\n\r\n",
        b"*1\r\n$-1\r\n",
        b"*2147483648\r\n",
        b"*1048577\r\n",
        b"*9223372036854775807\r\n",
        b"*-9223372036854775808\r\n",
        b"*18446744073709551616\r\n",
        b"*1\r\n$18446744073709551615\r\n",
        b"*1\r\n$9223372036854775807\r\n",
        b"*1\r\n$-2\r\n",
        b"*1\r\n$00000000004\r\nPING\r\n",
        b"*1\r\n$+4\r\nPING\r\n",
        b"*1\r\n$1e3\r\n",
        b"*1\r\n$\r\n",
        b"*\r\n",
        b"*abc\r\n",
        b"*1 \r\n$4\r\nPING\r\n",
        b"*1\r\n!4\r\nPING\r\n",
        b"*1\r\nPING\r\n",
        b"*2\r\n$4\r\nECHO\r\n:1\r\n",
        b"*1\n$4\nPING\n",
        b"PING\n",
        b"PING\r\nPING\n",
        b"*1\0\r\n$4\r\nPING\r\n",
        b"*1\r\n$4\0\r\nPING\r\n",
        b"*1\r\n$4\r\nPINGxx",
        b"SET \"a\r\n",
        b"SET a 'b\r\n",
        b"SET a \"b\"c\r\n",
        b"SET \"\\x41\" 'it\\'s'\r\nGET A\r\n",
        b"   PING   \r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$2000000000\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$536870913\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client hello\n",
        b"*1\r\n$0\r\n\r\n",
        b"*2\r\n$4\r\nPING\r\n$0\r\n\r\n",
    ];
    let mut requests: Vec<Vec<u8>> = texts.iter().map(|text| text.to_vec()).collect();
    requests.push(vec![b'a'; (64 << 10) + 1]);
    requests.push([b"PING ".as_slice(), &vec![b'a'; (64 << 10) + 1], b"\r\n"].concat());
    requests.push([b"*1\r\n$".as_slice(), &vec![b'1'; (64 << 10) + 1]].concat());
    requests
}

/// Where Tandem is stricter than Redis: it must say so and close, the words are its own.
const STRICTER: &[(&[u8], &str)] = &[
    (b"*1048577\r\n", "a request has at most 1,048,576 arguments; Redis 7.0 waits for 2^31"),
    (b"*1\0\r\n$4\r\nPING\r\n", "Redis takes NUL for the end of the number, and waits"),
    (b"*1\r\n$4\0\r\nPING\r\n", "Redis takes NUL for the end of the number, and waits"),
    (b"*1\r\n$4\r\nPINGxx", "Redis does not look at the two bytes behind an argument"),
];

fn is_stricter(request: &[u8], answer: &[u8]) -> bool {
    // A line beyond 64 KiB is refused also when its end has arrived already.
    let long_line = request.len() > 64 << 10;
    (long_line || STRICTER.iter().any(|(one, _)| *one == request))
        && answer.starts_with(b"-ERR Protocol error: ")
        && answer.ends_with(b"\r\n")
}

/// Everything that the server sends in answer to `pieces`, until it closes the connection.
fn exchange(address: SocketAddr, pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_nodelay(true).expect("a socket option");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket option");
    for piece in pieces {
        // It may have closed already: that is an answer too.
        if stream.write_all(piece).is_err() {
            break;
        }
        if pieces.len() > 1 {
            // Long enough that the pieces mostly arrive apart; nothing depends on it.
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    stream.shutdown(Shutdown::Write).ok();
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return answer,
            Ok(got) => answer.extend_from_slice(&chunk[..got]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return answer,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&answer)),
        }
    }
}

#[test]
fn broken_requests_get_the_answer_of_redis_however_they_are_cut() {
    let reference = RedisServer::start(&[]);
    let mut server = Single::start();
    let mut differences = Vec::new();
    for request in broken_requests() {
        // Several commands in one: cutting them apart changes what is answered before the end.
        let one_command = !request.windows(4).any(|part| part == b"HTTP");
        // A whole request behind it shows whether the reader lost its place.
        let whole = [request.as_slice(), b"*1\r\n$4\r\nPING\r\n"].concat();
        let want = exchange(reference.address(), &[&whole]);
        let got = exchange(server.address(), &[&whole]);
        let shown = |bytes: &[u8]| bytes[..bytes.len().min(160)].escape_ascii().to_string();
        if is_stricter(&request, &got) {
            continue;
        }
        if want != got {
            differences.push(format!(
                "{}\n    redis  {}\n    server {}",
                shown(&request),
                shown(&want),
                shown(&got)
            ));
            continue;
        }
        let cuts: Vec<usize> =
            if whole.len() > 200 { vec![1, 7, 200] } else { (1..whole.len()).collect() };
        let cuts = if one_command { cuts } else { Vec::new() };
        for cut in cuts {
            let got = exchange(server.address(), &[&whole[..cut], &whole[cut..]]);
            if got != want {
                differences.push(format!(
                    "{} cut at {cut}\n    redis  {}\n    server {}",
                    shown(&request),
                    shown(&want),
                    shown(&got)
                ));
            }
        }
        if one_command && whole.len() < 60 {
            let bytes: Vec<&[u8]> = whole.chunks(1).collect();
            let got = exchange(server.address(), &bytes);
            if got != want {
                differences.push(format!("{} byte by byte: {}", shown(&request), shown(&got)));
            }
        }
    }
    server.assert_serves();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Conversations on one connection each: commands between bars, words between spaces.
///
/// Left out is what Redis 7.2 answers otherwise than the 7.0 that Debian has (LPOS with the lowest rank,
/// time-outs beyond all numbers, COMMAND INFO of nothing) and what it computes in 80 bits (1e400).
const CONVERSATIONS: &[&str] = &[
    "HELLO 4|PING",
    "HELLO 1|PING",
    "HELLO abc|PING",
    "HELLO 3 AUTH|PING",
    "HELLO 3 AUTH default|PING",
    "HELLO 3 AUTH default wrong|PING",
    "HELLO 3 SETNAME|PING",
    "HELLO 3 BOGUS|PING",
    "AUTH",
    "AUTH x",
    "AUTH default x",
    "AUTH nobody x",
    "AUTH a b c",
    "EXEC",
    "DISCARD",
    "MULTI|MULTI|PING|EXEC",
    "MULTI|RESET|EXEC",
    "MULTI|BOGUS|PING|EXEC",
    "MULTI|SET a|EXEC",
    "MULTI|WATCH a|EXEC",
    "MULTI|SUBSCRIBE a|EXEC",
    "MULTI|SET a 1|INCR a|LPUSH a x|GET a|EXEC",
    "MULTI|EXEC",
    "WATCH|UNWATCH extra",
    "WATCH a|SET a 2|MULTI|GET a|EXEC",
    "SUBSCRIBE a|SET a b|PING|PING hello|UNSUBSCRIBE a|SET a c",
    "SUBSCRIBE a b|UNSUBSCRIBE a|UNSUBSCRIBE|PING",
    "PSUBSCRIBE a*|PUNSUBSCRIBE",
    "UNSUBSCRIBE|PUNSUBSCRIBE",
    "UNSUBSCRIBE nothing",
    "SUBSCRIBE a|RESET|GET a",
    "SELECT 16|SELECT -1|SELECT abc|SELECT 15|SET a 1|SELECT 0|GET x",
    "CLIENT SETNAME a\nb",
    "CLIENT SETNAME two words",
    "CLIENT GETNAME",
    "CLIENT SETNAME fine|CLIENT GETNAME|RESET|CLIENT GETNAME",
    "CLIENT KILL 1.2.3.4:5",
    "CLIENT KILL ID abc",
    "CLIENT KILL TYPE bogus",
    "CLIENT NO-EVICT maybe",
    "CLIENT REPLY BOGUS",
    "CLIENT BOGUS",
    "CLIENT",
    "SCAN 18446744073709551616",
    "SCAN abc",
    "SCAN 0 COUNT 0",
    "SCAN 0 COUNT -1",
    "SCAN 0 COUNT 9223372036854775808",
    "SCAN 0 MATCH",
    "SETRANGE k 536870912 x",
    "SETRANGE k 4294967295 x",
    "SETRANGE k 9223372036854775807 x",
    "SETRANGE k -1 x",
    "GETRANGE k 9223372036854775807 -9223372036854775808",
    "SET a 9223372036854775807|INCR a|DECRBY a -9223372036854775808",
    "SET a -9223372036854775808|DECR a|INCRBY a -1",
    "SET a 1|INCRBYFLOAT a nan|INCRBYFLOAT a inf|INCRBYFLOAT a abc",
    "SET a 1 EX 0|SET a 1 EX -1|SET a 1 PX 9223372036854775807|SET a 1 EX 9223372036854775807",
    "SET a 1 EX 1 PX 1|SET a 1 NX XX|SET a 1 KEEPTTL EX 1",
    "SETEX a 0 x|PSETEX a -1 x|SETEX a abc x",
    "SET a 1|EXPIRE a 9223372036854775807|EXPIRE a -9223372036854775808|PEXPIRE a 9223372036854775807",
    "RPUSH l a b c|LRANGE l -9223372036854775808 9223372036854775807|LREM l -9223372036854775808 a",
    "RPUSH l a|LSET l -9223372036854775808 x|LSET l 9223372036854775807 x|LPOS l a RANK 0",
    "RPUSH l a b|LPOS l a RANK -9223372036854775807|LPOP l -1|LPOP l 9223372036854775807",
    "RPUSH l a|LMPOP 0 l LEFT|LMPOP -1 l LEFT|LMPOP 9223372036854775807 l LEFT|LMPOP 1 l UP",
    "LMPOP 1 l LEFT COUNT 0|LMPOP 1 l LEFT COUNT 1 COUNT 1|LMPOP 2 l LEFT",
    "BLPOP k nan|BLPOP k -1|BLPOP k abc",
    "BLMPOP nan 1 k LEFT|BLMPOP -1 1 k LEFT|BLMPOP 0 0 k LEFT",
    "BZPOPMIN k abc|BZMPOP 0 1 k UP|BLMOVE a b LEFT UP 0|BLMOVE a b LEFT RIGHT x",
    "RPUSH k a|BLPOP k 0|RPUSH k b|BRPOP none k 0|RPUSH k c|BLMPOP 0 2 none k LEFT COUNT 5",
    "MULTI|BLPOP none 0|BRPOPLPUSH none other 0|BZPOPMAX none 0|EXEC",
    "SET k v|BLPOP k 0|BLMOVE k l LEFT LEFT 0",
    "MSETNX a 1 a 2|GET a|MSET a 1 b|MSET",
    "SADD s a|SRANDMEMBER s -9223372036854775808|SRANDMEMBER s 9223372036854775808|SPOP s -1",
    "HSET h f v|HRANDFIELD h -9223372036854775808|HRANDFIELD h 1 BOGUS|HINCRBY h f 1",
    "ZADD z nan a|ZADD z inf a|ZINCRBY z -inf a|ZADD z 1|ZADD z NX XX 1 a|ZADD z GT LT 1 a",
    "ZADD z INCR 1 a 2 b|ZRANGE z a b|ZRANGE z 0 1 LIMIT 0 1|ZRANGE z (a [b BYLEX WITHSCORES",
    "ZRANDMEMBER z -9223372036854775808|ZUNIONSTORE d 0 a|ZUNIONSTORE d -1 a|ZUNION 3 a b",
    "ZUNIONSTORE d 1 a WEIGHTS x|ZUNIONSTORE d 1 a WEIGHTS 1 2|ZINTERCARD 1 a LIMIT -1",
    "OBJECT|OBJECT BOGUS k|OBJECT ENCODING none|OBJECT FREQ none|OBJECT HELP",
    "CONFIG|CONFIG GET|CONFIG BOGUS|CONFIG SET nothing|CONFIG GET nothing-like-this",
    "PUBLISH a|PUBSUB|PUBSUB BOGUS|PUBSUB CHANNELS|PUBSUB NUMPAT|PUBSUB NUMSUB a b",
    "COMMAND BOGUS|COMMAND COUNT extra|COMMAND GETKEYS",
    "COMMAND GETKEYS MSET a 1 b 2|COMMAND GETKEYS ZUNIONSTORE d 2 a b",
    "WAIT|WAIT 0|WAIT abc 0|WAIT 0 abc|WAIT -1 0|WAIT 0 -1",
    "ECHO|ECHO a b|PING a b|TIME x|DBSIZE x|RANDOMKEY x|QUIT extra",
    "FLUSHALL BOGUS|FLUSHDB SYNC ASYNC|FLUSHALL SYNC",
    "BOGUS|bogus with arguments|BOGUS \u{1}\u{2}|SENTINEL MASTERS",
    "EXPIRE|EXPIRE a|EXPIRE a b|EXPIRE a 1 NX XX|EXPIRE a 1 GT LT|EXPIRE a 1 BOGUS",
    "COPY a a|COPY a b DB 99|COPY a b DB abc|COPY a b BOGUS|RENAME none x|RENAME a",
    "DEBUG|SLOWLOG|SLOWLOG BOGUS|LATENCY BOGUS|MEMORY BOGUS",
];

#[test]
fn conversations_that_break_rules_are_answered_like_redis_does() {
    let reference = RedisServer::start(&[]);
    let mut server = Single::start();
    let mut differences = Vec::new();
    for conversation in CONVERSATIONS {
        for mut client in [reference.client(), server.client()] {
            client.ok(&["FLUSHALL"]);
        }
        let request: Vec<u8> = conversation
            .split('|')
            .flat_map(|line| {
                let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
                encode(&words)
            })
            .collect();
        let want = exchange(reference.address(), &[&request]);
        let got = exchange(server.address(), &[&request]);
        if !same_apart_from_ids(&want, &got) {
            differences.push(format!(
                "{conversation:?}\n    redis  {}\n    server {}",
                want.escape_ascii(),
                got.escape_ascii()
            ));
        }
    }
    server.assert_serves();
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

/// Replies of HELLO name the server and number the connection.
fn same_apart_from_ids(want: &[u8], got: &[u8]) -> bool {
    want == got
        || (want.windows(6).any(|w| w == b"server") && got.windows(6).any(|w| w == b"server"))
}

#[test]
fn a_name_of_a_mebibyte_is_refused_or_kept_but_does_no_harm() {
    let mut server = Single::start();
    let name = "n".repeat(1 << 20);
    let mut client = server.client();
    client.command(&["CLIENT", "SETNAME", &name]).expect("an answer");
    let line = vec![b'k'; 1 << 20];
    client.command(&[b"SET".as_slice(), &line, b"v"]).expect("an answer");
    server.assert_serves();
}

#[test]
fn a_client_may_kill_itself_and_disconnect_inside_multi() {
    let mut server = Single::start();
    for _ in 0..50 {
        let mut client = server.client();
        let id = client.ok(&["CLIENT", "ID"]).int().expect("a number").to_string();
        client.ok(&["MULTI"]);
        client.ok(&["SET", "k", "v"]);
        drop(client);
        let mut client = server.client();
        let own = client.ok(&["CLIENT", "ID"]).int().expect("a number").to_string();
        assert_ne!(id, own);
        client.send(&["CLIENT", "KILL", "ID", &own, "SKIPME", "no"]).expect("sent");
        client.send(&["PING"]).ok();
        while client.reply().is_ok() {}
    }
    server.assert_serves();
    assert_eq!(server.client().ok(&["EXISTS", "k"]).int(), Some(0));
}

#[test]
fn a_client_that_does_not_read_costs_bounded_memory_and_hinders_nobody() {
    let mut server = Single::start();
    if server.is_redis() {
        // Redis leaves the output of normal clients unlimited (CVE-2025-21605).
        return;
    }
    let value = vec![b'v'; 1 << 20];
    server.client().ok(&[b"SET".as_slice(), b"big", &value]);
    let pid = server.pid();
    let before = resident_bytes(pid);
    let mut greedy: Vec<Client> = (0..4).map(|_| server.client()).collect();
    let request = encode(&[b"GET", b"big"]).repeat(2_000);
    for client in &mut greedy {
        client.stream().set_write_timeout(Some(Duration::from_millis(200))).expect("an option");
        // 2 GiB of replies each; the server stops reading or hangs up.
        client.send_raw(&request).ok();
    }
    let mut other = server.client();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        let asked = Instant::now();
        other.ok(&["PING"]);
        assert!(asked.elapsed() < Duration::from_millis(500), "PING took {:?}", asked.elapsed());
        let grown = resident_bytes(pid).saturating_sub(before);
        assert!(grown < 512 * MIB, "grew by {} MiB", grown / MIB);
    }
    drop(greedy);
    until_true("the memory is given back", Duration::from_secs(10), || {
        resident_bytes(pid).saturating_sub(before) < 128 * MIB
    });
    server.assert_serves();
}

#[test]
fn announcing_huge_arguments_reserves_nothing() {
    let mut server = Single::start();
    let pid = server.pid();
    let before = resident_bytes(pid);
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut client = server.client();
        client.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nstart").expect("sent");
        let mut many = server.client();
        many.send_raw(b"*1048576\r\n$4\r\nMSET\r\n").expect("sent");
        clients.extend([client, many]);
    }
    server.assert_serves();
    let grown = resident_bytes(pid).saturating_sub(before);
    assert!(grown < 128 * MIB, "grew by {} MiB", grown / MIB);
    drop(clients);
    server.assert_serves();
}

#[test]
fn a_million_pings_in_one_go_are_answered() {
    let mut server = Single::start();
    let stream = server.client().stream().try_clone().expect("a handle can be doubled");
    let mut writer = stream.try_clone().expect("a handle can be doubled");
    let sender = std::thread::spawn(move || writer.write_all(&b"PING\r\n".repeat(1_000_000)));
    let mut reader = stream;
    let mut left = 7_000_000;
    let mut chunk = vec![0; 1 << 16];
    while left > 0 {
        let got = reader.read(&mut chunk).expect("replies keep coming");
        assert!(got > 0, "closed with {left} bytes missing");
        left -= got;
    }
    sender.join().expect("the sender ends").expect("everything was sent");
    server.assert_serves();
}

#[test]
fn resets_in_the_middle_of_a_request_leave_nothing_behind() {
    let mut server = Single::start();
    let pid = server.pid();
    server.assert_serves();
    let files = open_files(pid);
    for _ in 0..300 {
        let mut client = server.client();
        client.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\nabc").expect("sent");
        rustix::net::sockopt::set_socket_linger(client.stream(), Some(Duration::ZERO))
            .expect("a socket option");
    }
    let mut blocked = Vec::new();
    for _ in 0..300 {
        let mut client = server.client();
        client.send(&["BLPOP", "nothing", "0"]).expect("sent");
        blocked.push(client);
    }
    drop(blocked);
    until_true("the files are closed", Duration::from_secs(10), || open_files(pid) <= files + 2);
    server.assert_serves();
    assert_eq!(server.client().ok(&["LPUSH", "nothing", "x"]).int(), Some(1));
}

#[test]
fn thousands_of_idle_and_of_short_connections_are_borne() {
    let mut server = Single::start();
    let pid = server.pid();
    server.assert_serves();
    let files = open_files(pid);
    let count = 800 * usize::try_from(budget().min(20)).expect("small");
    let idle: Vec<TcpStream> = (0..count)
        .map(|number| {
            TcpStream::connect(server.address())
                .unwrap_or_else(|error| panic!("connection {number}: {error} (see ulimit -n)"))
        })
        .collect();
    server.assert_serves();
    drop(idle);
    for _ in 0..2_000 {
        drop(TcpStream::connect(server.address()).expect("the server accepts"));
    }
    until_true("the files are closed", Duration::from_secs(10), || open_files(pid) <= files + 2);
    server.assert_serves();
}

#[test]
fn more_clients_than_allowed_are_told_so() {
    let mut server = Single::start();
    let mut first = server.client();
    first.ok(&["CONFIG", "SET", "maxclients", "20"]);
    let mut others: Vec<Client> = (0..40).map(|_| server.client()).collect();
    let refused = others
        .iter_mut()
        .filter_map(|client| client.command(&["PING"]).ok()?.error().map(str::to_owned))
        .filter(|error| error == "ERR max number of clients reached")
        .count();
    assert!(refused >= 15, "{refused} were told");
    drop(others);
    until_true("there is room again", Duration::from_secs(5), || {
        server.client().command(&["PING"]).is_ok_and(|reply| reply.error().is_none())
    });
    server.assert_serves();
}

#[test]
fn ten_thousand_stars_do_not_stop_the_server() {
    let mut server = Single::start();
    let mut client = server.client();
    for number in 0..100 {
        client.ok(&["SET", &format!("{}{number}", "a".repeat(100)), "v"]);
    }
    let pattern = "*a".repeat(5_000) + "b";
    let asked = Instant::now();
    client.ok(&["KEYS", &pattern]);
    client.ok(&["KEYS", &"*".repeat(10_000)]);
    client.ok(&["SCAN", "0", "MATCH", &("[".repeat(5_000) + "*")]);
    assert!(asked.elapsed() < Duration::from_secs(2), "took {:?}", asked.elapsed());
    server.assert_serves();
}

#[test]
fn slow_and_wrong_requests_on_the_admin_port_do_not_block_health() {
    let mut server = Single::start();
    let admin = match &server {
        Single::Tandem(pair) => pair.a.admin_address(),
        Single::Redis(_) => return,
    };
    let mut slow: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(admin).expect("the admin port accepts")).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /api/v1/sta").expect("sent");
    }
    for request in [
        b"*1\r\n$4\r\nPING\r\n".as_slice(),
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"POST /api/v1/promote HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(admin).expect("the admin port accepts");
        stream.write_all(request).expect("sent");
        slow.push(stream);
    }
    let answer = status::request(admin, "GET", "/health", None, "").expect("health answers");
    assert_eq!(answer.status, 200);
    for verb in ["promote", "solo"] {
        let path = format!("/api/v1/{verb}");
        let answer = status::request(admin, "POST", &path, None, "{}").expect("an answer");
        assert!(matches!(answer.status, 401 | 403), "{verb} without the token: {answer:?}");
        let answer = status::request(admin, "POST", &path, Some("wrong"), "{}").expect("an answer");
        assert!(matches!(answer.status, 401 | 403), "{verb} with a wrong token: {answer:?}");
    }
    server.assert_serves();
}
