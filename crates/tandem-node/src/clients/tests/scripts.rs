//! `EVAL` and its kin: what a client of Redis expects of them.

use super::*;
use crate::testing::settings;

/// Each line's words are separated by `|`.
fn ask(world: &mut World, conn: ConnId, line: &str) -> String {
    let words: Vec<&[u8]> = line.split('|').map(str::as_bytes).collect();
    let mut request = Vec::new();
    write_request(&mut request, &words);
    world.send_bytes(conn, &request);
    world.commit();
    world.take(conn)
}

fn client() -> (World, ConnId) {
    let mut world = World::new();
    let conn = world.connect();
    (world, conn)
}

/// What scripts return, and what becomes of it.
const RETURNED: &[(&str, &str)] = &[
    ("return 1", ":1\r\n"),
    ("return 3.99", ":3\r\n"),
    ("return -3.99", ":-3\r\n"),
    ("return 'a'", "$1\r\na\r\n"),
    ("return true", ":1\r\n"),
    ("return false", "$-1\r\n"),
    ("return nil", "$-1\r\n"),
    ("return", "$-1\r\n"),
    ("return {1,'b',{2}}", "*3\r\n:1\r\n$1\r\nb\r\n*1\r\n:2\r\n"),
    ("return {1,2,nil,4}", "*2\r\n:1\r\n:2\r\n"),
    ("return {}", "*0\r\n"),
    ("return {ok='fine'}", "+fine\r\n"),
    ("return {err='MY mistake'}", "-MY mistake\r\n"),
    ("return redis.status_reply('fine')", "+fine\r\n"),
    ("return redis.error_reply('MY mistake')", "-MY mistake\r\n"),
    ("return redis.error_reply('-MY mistake')", "-MY mistake\r\n"),
    ("return {double=1.5}", "$3\r\n1.5\r\n"),
    ("return {map={a=1}}", "*2\r\n$1\r\na\r\n:1\r\n"),
    ("return redis.sha1hex('return 1')", "$40\r\ne0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n"),
    ("return #redis.call('time')", ":2\r\n"),
    ("return redis.call('ping')", "+PONG\r\n"),
    ("return redis.call('get','none')", "$-1\r\n"),
    ("return redis.call('get','none') == false", ":1\r\n"),
    ("return redis.call('set','k',1.5)", "+OK\r\n"),
    ("return redis.call('get','k')", "$3\r\n1.5\r\n"),
    ("return type(redis.call('incr','n'))", "$6\r\nnumber\r\n"),
    ("return redis.call('set','k','v').ok", "$2\r\nOK\r\n"),
    ("redis.setresp(3) return redis.call('get','none')", "$-1\r\n"),
    (
        "redis.call('hset','h','f','v') redis.setresp(3) return redis.call('hgetall','h').map.f",
        "$1\r\nv\r\n",
    ),
    ("return bit.band(0xff, 0x0f) + bit.lshift(1, 4)", ":31\r\n"),
    ("return bit.tohex(-1)", "$8\r\nffffffff\r\n"),
    ("return cjson.encode({a={1,2,'x/y'}})", "$18\r\n{\"a\":[1,2,\"x\\/y\"]}\r\n"),
    ("return cjson.encode({1.5,true,cjson.null,1e20})", "$21\r\n[1.5,true,null,1e+20]\r\n"),
    ("return cjson.decode('{\"a\":[1,{\"b\":null}]}').a[2].b == cjson.null", ":1\r\n"),
    ("return cjson.encode({})", "$2\r\n{}\r\n"),
    ("return cmsgpack.unpack(cmsgpack.pack({1,'two',{three=3}}))[3].three", ":3\r\n"),
    ("return {cmsgpack.unpack(cmsgpack.pack(1,'b'))}", "*2\r\n:1\r\n$1\r\nb\r\n"),
    (
        "local t = {} for w in ('a b c'):gmatch('%a') do t[#t+1] = w end return t",
        "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
    ),
    ("return loadstring('return 7')()", ":7\r\n"),
    (
        "local ok, e = pcall(redis.call, 'nosuch') return e",
        "$44\r\nERR Unknown Redis command called from script\r\n",
    ),
    (
        "return redis.pcall('lpush','k','x')['err']",
        "$65\r\nWRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    ),
    ("return select('#', unpack({1,2,3}))", ":3\r\n"),
    ("return {unpack({1,2,3},2)}", "*2\r\n:2\r\n:3\r\n"),
    ("return select('#', unpack({},1,0))", ":0\r\n"),
    (
        "return {pcall(redis.call,'incr','h')}",
        "*2\r\n$-1\r\n$65\r\nWRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    ),
    ("local ok, why = pcall(cjson.decode,'{') return type(why)", "$6\r\nstring\r\n"),
    (
        "return select(2, xpcall(function() error('a',0) end, function(e) return e..'b' end))",
        "$2\r\nab\r\n",
    ),
    ("local ok, e = xpcall(error, function(e) return 'seen' end) return e", "$4\r\nseen\r\n"),
    ("return redis.error_reply('x')", "-ERR x\r\n"),
    (
        "return cjson.encode({12345678901234567, 1e15, 42})",
        "$30\r\n[1.2345678901235e+16,1e+15,42]\r\n",
    ),
    ("return cmsgpack.pack(1.5):byte(1)", ":202\r\n"),
    ("return cmsgpack.pack('\\255\\254'):byte(1)", ":162\r\n"),
    ("return cmsgpack.unpack(cmsgpack.pack('\\255\\254')):byte(1)", ":255\r\n"),
    (
        "return cmsgpack.unpack(cmsgpack.pack(-1)) + cmsgpack.unpack(cmsgpack.pack(70000))",
        ":69999\r\n",
    ),
    (
        "local t = {3,1,2} table.sort(t) table.insert(t,1,0) table.remove(t) return t",
        "*3\r\n:0\r\n:1\r\n:2\r\n",
    ),
    ("return ('ab'):rep(3) .. (''):rep(2^31-1) .. ('x'):rep(-1)", "$6\r\nababab\r\n"),
    ("local a = math.random(1e6) math.randomseed(0) return a == math.random(1e6)", ":1\r\n"),
    ("return collectgarbage('count') > 0", ":1\r\n"),
    ("return tostring(redis.REDIS_VERSION_NUM)", "$6\r\n459268\r\n"),
];

#[test]
fn what_a_script_returns_becomes_the_reply_that_redis_makes_of_it() {
    let (mut world, conn) = client();
    for (script, want) in RETURNED {
        assert_eq!(ask(&mut world, conn, &format!("eval|{script}|0")), *want, "{script}");
    }
}

/// What scripts must not do: the error begins like this.
const REFUSED: &[(&str, &str)] = &[
    (
        "return x",
        "-ERR user_script:1: Script attempted to access nonexistent global variable 'x' script: ",
    ),
    ("x = 1", "-ERR user_script:1: Attempt to modify a readonly table script: "),
    ("function f() end", "-ERR user_script:1: Attempt to modify a readonly table script: "),
    ("string.gone = 1", "-ERR user_script:1: Attempt to modify a readonly table script: "),
    ("redis.call = nil", "-ERR user_script:1: Attempt to modify a readonly table script: "),
    ("setmetatable(_G, {})", "-ERR user_script:1: cannot change a protected metatable"),
    ("getmetatable('').__index = nil", "-ERR user_script:1: attempt to index a boolean value"),
    ("return os.execute('true')", "-ERR user_script:1: attempt to call field 'execute'"),
    (
        "return io",
        "-ERR user_script:1: Script attempted to access nonexistent global variable 'io'",
    ),
    (
        "return debug",
        "-ERR user_script:1: Script attempted to access nonexistent global variable 'debug'",
    ),
    (
        "return require",
        "-ERR user_script:1: Script attempted to access nonexistent global variable 'require'",
    ),
    (
        "return dofile",
        "-ERR user_script:1: Script attempted to access nonexistent global variable 'dofile'",
    ),
    ("return loadstring('\\27Lua')()", "-ERR user_script:1: attempt to call a nil value"),
    (
        "return redis.call()",
        "-ERR Please specify at least one argument for this redis.call() call script: ",
    ),
    (
        "return redis.call('set','a',{})",
        "-ERR Lua redis lib command arguments must be strings or integers script: ",
    ),
    ("return redis.call('nosuch')", "-ERR Unknown Redis command called from script script: "),
    (
        "return redis.call('get')",
        "-ERR Wrong number of args calling Redis command from script script: ",
    ),
    ("return redis.call('multi')", "-ERR This Redis command is not allowed from script script: "),
    (
        "return redis.call('subscribe','a')",
        "-ERR This Redis command is not allowed from script script: ",
    ),
    (
        "return redis.call('eval','return 1',0)",
        "-ERR This Redis command is not allowed from script script: ",
    ),
    (
        "return redis.call('auth','x')",
        "-ERR This Redis command is not allowed from script script: ",
    ),
    (
        "return redis.call('tandem','status')",
        "-ERR This Redis command is not allowed from script script: ",
    ),
    (
        "return redis.call('shutdown')",
        "-ERR This Redis command is not allowed from script script: ",
    ),
    ("local x = unpack({},-2^31,2^31-1)", "-ERR user_script:1: too many results to unpack"),
    ("local x = unpack({},0,2^31-1)", "-ERR user_script:1: too many results to unpack"),
    ("local x = unpack({},0/0,1)", "-ERR user_script:1: too many results to unpack"),
    ("table.insert(string,'x')", "-ERR user_script:1: Attempt to modify a readonly table script: "),
    ("table.insert(_G,'x')", "-ERR user_script:1: Attempt to modify a readonly table script: "),
    ("table.sort(redis)", "-ERR user_script:1: Attempt to modify a readonly table script: "),
    ("rawset(_G,'x',1)", "-ERR user_script:1: Attempt to modify a readonly table script: "),
    (
        "table.insert({},-2^31+1,1) return 1",
        "-ERR user_script:1: bad argument #2 to 'insert' (position out of bounds)",
    ),
    ("local x = ('x'):rep(2^31)", "-ERR user_script:1: resulting string too large"),
    (
        "local t={1} for i=1,24 do t={t,t} end return t",
        "-ERR the reply is longer than 4194304 bytes",
    ),
    (
        "local t={1} for i=1,30 do t={t,t} end return #cjson.encode(t)",
        "-ERR user_script:1: the result is longer than 4194304 bytes",
    ),
    (
        "local t={1} for i=1,14 do local n={} for j=1,10 do n[j]=t end t=n end return #cmsgpack.pack(t)",
        "-ERR user_script:1: the result is longer than 4194304 bytes",
    ),
    ("error({err='x',line='z'})", "-x script: "),
    ("error({err={}})", "-ERR unknown error script: "),
    ("error('boom')", "-ERR user_script:1: boom script: "),
    ("error({err='MY own'})", "-MY own script: "),
    ("return 1 +", "-ERR Error compiling script (new function): user_script:1: "),
    (
        "\nlocal a = nil\nreturn a.b",
        "-ERR user_script:3: attempt to index local 'a' (a nil value) script: ",
    ),
    ("local t = {} t[1] = t return t", "*1\r\n*1\r\n"),
    (
        "return cjson.encode({[1]=1,[1000]=2})",
        "-ERR user_script:1: Cannot serialise table: excessively sparse array",
    ),
    ("return cjson.decode('{')", "-ERR user_script:1: Expected value but found invalid token"),
    ("return cmsgpack.unpack('\\147\\1')", "-ERR user_script:1: Missing bytes in input."),
    ("return ('x'):rep(1e9)", "-ERR not enough memory"),
    ("local t = {} while true do t[#t+1] = 'y' .. #t end", "-ERR not enough memory"),
    ("local function f() return f() + 1 end return f()", "-ERR user_script:1: stack overflow"),
    ("return {1, {err='INNER one'}}", "*2\r\n:1\r\n-INNER one\r\n"),
];

#[test]
fn what_a_script_must_not_do_is_an_error_with_the_script_and_the_line() {
    let mut settings = settings();
    settings.limits.script_memory_bytes_max = 4 << 20;
    let mut world = World::with(settings);
    let conn = world.connect();
    for (script, want) in REFUSED {
        let got = ask(&mut world, conn, &format!("eval|{script}|0"));
        assert!(got.starts_with(want), "{script}: {got:?}");
        assert_eq!(ask(&mut world, conn, "eval|return 'alive'|0"), "$5\r\nalive\r\n", "{script}");
    }
    let got = ask(&mut world, conn, "eval|\nlocal x = redis.call('nosuch')|0");
    let sha = tandem_script::Sha::of(b"\nlocal x = redis.call('nosuch')");
    assert!(got.ends_with(&format!(" script: {sha}, on @user_script:2.\r\n")), "{got}");
}

#[test]
fn keys_and_arguments_are_told_apart_by_their_number() {
    let (mut world, conn) = client();
    let both = "return {KEYS[1],KEYS[2],ARGV[1]}";
    let want = "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n";
    assert_eq!(ask(&mut world, conn, &format!("eval|{both}|2|a|b|c")), want);
    for (count, want) in [
        ("3", "-ERR Number of keys can't be greater than number of args\r\n"),
        ("9223372036854775807", "-ERR Number of keys can't be greater than number of args\r\n"),
        ("-1", "-ERR Number of keys can't be negative\r\n"),
        ("x", "-ERR value is not an integer or out of range\r\n"),
    ] {
        assert_eq!(ask(&mut world, conn, &format!("eval|return 1|{count}|a")), want);
    }
    assert!(ask(&mut world, conn, "eval|return 1").starts_with("-ERR wrong number of arguments"));
}

#[test]
fn a_script_is_known_by_its_digest_until_it_is_forgotten() {
    let (mut world, conn) = client();
    let sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
    let unknown = "-NOSCRIPT No matching script. Please use EVAL.\r\n";
    assert_eq!(ask(&mut world, conn, &format!("evalsha|{sha}|0")), unknown);
    assert_eq!(ask(&mut world, conn, "evalsha|short|0"), unknown);
    assert_eq!(ask(&mut world, conn, "script|load|return 1"), format!("$40\r\n{sha}\r\n"));
    assert_eq!(ask(&mut world, conn, &format!("evalsha|{}|0", sha.to_uppercase())), ":1\r\n");
    let told = ask(&mut world, conn, &format!("script|exists|{sha}|{}", "0".repeat(40)));
    assert_eq!(told, "*2\r\n:1\r\n:0\r\n");
    assert_eq!(ask(&mut world, conn, "eval|return 2|0"), ":2\r\n");
    let second = tandem_script::Sha::of(b"return 2");
    assert_eq!(ask(&mut world, conn, &format!("evalsha_ro|{second}|0")), ":2\r\n");
    assert!(ask(&mut world, conn, "info|memory").contains("number_of_cached_scripts:2\r\n"));
    assert_eq!(ask(&mut world, conn, "script|flush|async"), "+OK\r\n");
    assert!(ask(&mut world, conn, "info|memory").contains("used_memory_lua:0\r\n"));
    assert_eq!(ask(&mut world, conn, &format!("evalsha|{sha}|0")), unknown);
    assert!(ask(&mut world, conn, "script|flush|now").starts_with("-ERR"));
    assert!(ask(&mut world, conn, "script|kill").starts_with("-NOTBUSY"));
    assert!(
        ask(&mut world, conn, "script|load|return +").starts_with("-ERR Error compiling script")
    );
    assert!(ask(&mut world, conn, "script|load").contains("'script|load' command"));
    assert!(ask(&mut world, conn, "script|nosuch").starts_with("-ERR unknown subcommand 'nosuch'"));
}

#[test]
fn all_that_a_script_writes_is_one_record_and_an_error_takes_nothing_back() {
    let (mut world, conn) = client();
    let before = world.core.positions.appended_end;
    let three =
        "redis.call('set','a',1) redis.call('incr','a') redis.call('lpush','l','x') return 1";
    assert_eq!(ask(&mut world, conn, &format!("eval|{three}|0")), ":1\r\n");
    assert_eq!(world.core.positions.appended_end, before.next());
    let half = "redis.call('set','b',1) redis.call('lpush','b','x')";
    assert!(ask(&mut world, conn, &format!("eval|{half}|0")).starts_with("-WRONGTYPE"));
    assert_eq!(ask(&mut world, conn, "get|b"), "$1\r\n1\r\n");
    assert_eq!(world.core.positions.appended_end, before.next().next());
    ask(&mut world, conn, "eval|return redis.call('get','a')|0");
    assert_eq!(world.core.positions.appended_end, before.next().next(), "it only read");
}

#[test]
fn a_script_inside_a_transaction_is_part_of_its_record() {
    let (mut world, conn) = client();
    let before = world.core.positions.appended_end;
    for line in ["multi", "set|a|1", "eval|return redis.call('incrby','a',ARGV[1])|0|5"] {
        ask(&mut world, conn, line);
    }
    assert_eq!(ask(&mut world, conn, "exec"), "*2\r\n+OK\r\n:6\r\n");
    assert_eq!(world.core.positions.appended_end, before.next());
}

#[test]
fn the_reply_to_a_script_that_wrote_waits_until_that_is_safe() {
    let (mut world, conn) = client();
    world.commits = false;
    let mut request = Vec::new();
    write_request(&mut request, &[b"eval", b"redis.call('set','a',1) return 5", b"0"]);
    world.send_bytes(conn, &request);
    assert_eq!(world.take(conn), "");
    world.commits = true;
    world.commit();
    assert_eq!(world.take(conn), ":5\r\n");
}

#[test]
fn a_script_wakes_who_waits_for_a_key_and_breaks_watches() {
    let (mut world, conn) = client();
    let (waiting, watching) = (world.connect(), world.connect());
    assert_eq!(ask(&mut world, waiting, "blpop|q|0"), "");
    ask(&mut world, watching, "watch|w");
    ask(&mut world, conn, "eval|redis.call('rpush','q','x') redis.call('set','w',1)|0");
    assert_eq!(world.take(waiting), "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
    ask(&mut world, watching, "multi");
    ask(&mut world, watching, "get|w");
    assert_eq!(ask(&mut world, watching, "exec"), "*-1\r\n");
    let got = ask(&mut world, conn, "eval|return redis.call('blpop','none',0)|0");
    assert!(got.starts_with("-ERR This Redis command is not allowed from script"), "{got}");
}

#[test]
fn a_database_that_a_script_selects_is_its_own() {
    let (mut world, conn) = client();
    ask(&mut world, conn, "eval|redis.call('select',3) redis.call('set','a','there')|0");
    assert_eq!(ask(&mut world, conn, "get|a"), "$-1\r\n");
    ask(&mut world, conn, "select|3");
    assert_eq!(ask(&mut world, conn, "get|a"), "$5\r\nthere\r\n");
}

#[test]
fn a_script_that_says_it_writes_nothing_is_held_to_that() {
    let (mut world, conn) = client();
    let refused = "-ERR Write commands are not allowed from read-only scripts. script: ";
    let write = "return redis.call('set','a',1)";
    for line in [format!("eval_ro|{write}|0"), format!("eval|#!lua flags=no-writes\n{write}|0")] {
        let got = ask(&mut world, conn, &line);
        assert!(got.starts_with(refused), "{got}");
    }
    assert_eq!(ask(&mut world, conn, "eval|#!lua\nreturn redis.call('set','a',1)|0"), "+OK\r\n");
    assert_eq!(ask(&mut world, conn, "eval_ro|return redis.call('get','a')|0"), "$1\r\n1\r\n");
    let got = ask(&mut world, conn, "eval|#!ruby\nreturn 1|0");
    assert!(got.starts_with("-ERR Could not find scripting engine 'ruby'"), "{got}");
    let got = ask(&mut world, conn, "eval|#!lua flags=nosuch\nreturn 1|0");
    assert!(got.starts_with("-ERR Unexpected flag in script shebang"), "{got}");
}

#[test]
fn on_a_replica_a_script_reads_and_may_not_write() {
    let (mut world, conn) = client();
    ask(&mut world, conn, "set|a|1");
    world.core.view.writes = Some(crate::Refusal::ReadOnly);
    assert_eq!(ask(&mut world, conn, "eval|return redis.call('get','a')|0"), "$1\r\n1\r\n");
    let got = ask(&mut world, conn, "eval|return redis.call('set','a',2)|0");
    assert!(
        got.starts_with("-READONLY You can't write against a read only replica. script: "),
        "{got}"
    );
    world.core.view.reads = Some(crate::Refusal::Standby);
    assert!(ask(&mut world, conn, "eval|return 1|0").starts_with("-STANDBY "));
    assert_eq!(ask(&mut world, conn, "script|flush"), "+OK\r\n");
}

#[test]
fn a_replica_that_passes_writes_on_passes_scripts_on() {
    let mut world = World::new();
    let conn = world.connect();
    world.core.view.writes = Some(crate::Refusal::ReadOnly);
    world.core.view.forward_writes = true;
    assert_eq!(ask(&mut world, conn, "eval|return redis.call('set',KEYS[1],2)|1|a"), "");
    let passed =
        world.core.operations.iter().any(|it| matches!(it, crate::Operation::Forward { .. }));
    assert!(passed);
    assert_eq!(ask(&mut world, conn, "ping"), "", "behind what was passed on");

    // The other side.
    let mut primary = World::new();
    let mut request = Vec::new();
    let script = b"redis.call('time') redis.call('publish','c','x') redis.call('select',1) \
        return redis.call('incrby',KEYS[1],ARGV[1])";
    let words: [&[u8]; 5] = [b"EVAL", script, b"1", b"a", b"7"];
    write_request(&mut request, &words);
    let mut reply = Vec::new();
    let (db, proto) = (tandem_types::DbIndex::default(), tandem_resp::Proto::Resp2);
    let wait = primary.clients.run_forwarded(&mut primary.core, db, proto, &request, &mut reply);
    assert_eq!(reply, b":7\r\n");
    assert_eq!(wait, primary.core.positions.appended_end);
}

/// A clock on which every look takes 20 ms.
fn hurried() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NOW: AtomicU64 = AtomicU64::new(0);
    NOW.fetch_add(20_000_000, Ordering::Relaxed)
}

#[test]
fn a_script_that_runs_for_too_long_is_stopped_whatever_it_does_about_it() {
    let mut world = World::with(settings());
    world.clients = Clients::new(Facts::default(), Some(hurried));
    let conn = world.connect();
    for endless in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "redis.call('set','a','kept') repeat until false",
        "local function f() return f() end return f()",
        "xpcall(function() while true do end end, function() while true do end end)",
        "repeat until xpcall(error,function() while true do end end) and false",
        "while true do redis.call('set','a','kept') end",
    ] {
        let got = ask(&mut world, conn, &format!("eval|{endless}|0"));
        let want = "-ERR the script ran for longer than 200 ms and was stopped: what it had written stays script: ";
        assert!(got.starts_with(want), "{endless}: {got}");
        assert_eq!(ask(&mut world, conn, "eval|return 1|0"), ":1\r\n");
    }
    assert_eq!(ask(&mut world, conn, "get|a"), "$4\r\nkept\r\n");
}

#[test]
fn the_scripts_of_a_transaction_share_the_time_of_one() {
    let mut world = World::with(settings());
    world.clients = Clients::new(Facts::default(), Some(hurried));
    let conn = world.connect();
    ask(&mut world, conn, "multi");
    for _ in 0..5 {
        ask(&mut world, conn, "eval|while true do end|0");
    }
    let before = hurried();
    let told = ask(&mut world, conn, "exec");
    let took = Duration::from_nanos(hurried() - before);
    assert_eq!(told.matches("-ERR the script ran for longer").count(), 5, "{told}");
    assert!(took < Duration::from_millis(1_500), "{took:?}");
}

#[test]
fn texts_that_fill_the_interpreter_are_forgotten_for_the_next_one() {
    let (mut world, conn) = client();
    let large = "local f = {".to_owned() + &"function() end,".repeat(15_000) + "} return ";
    for number in 0..60 {
        let got = ask(&mut world, conn, &format!("script|load|{large}{number}"));
        assert!(got.starts_with("$40"), "{number}: {got}");
    }
    assert_eq!(ask(&mut world, conn, "eval|return 'alive'|0"), "$5\r\nalive\r\n");
}

#[test]
fn a_pipeline_that_takes_long_goes_on_in_the_next_turn_and_keeps_its_order() {
    let mut world = World::with(settings());
    world.clients = Clients::new(Facts::default(), Some(hurried));
    let (conn, other) = (world.connect(), world.connect());
    let mut pipeline = Vec::new();
    for number in 1..=5 {
        write_request(&mut pipeline, &[b"RPUSH", b"l", number.to_string().as_bytes()]);
    }
    world.clients.received(&mut world.core, conn, &pipeline);
    let mut ping = Vec::new();
    write_request(&mut ping, &[b"PING"]);
    world.clients.received(&mut world.core, other, &ping);
    world.clients.end_of_turn(&mut world.core);
    world.commit();
    let first = world.take(conn);
    assert!(!first.is_empty() && !first.contains(":5\r\n"), "{first:?}");
    assert!(world.clients.wants_turn());
    world.clients.tick(&mut world.core);
    world.commit();
    assert_eq!(world.take(conn), "", "time alone makes no turn");
    let mut rest = first;
    let mut pong = world.take(other);
    for _ in 0..10 {
        world.clients.end_of_turn(&mut world.core);
        world.commit();
        rest += &world.take(conn);
        pong += &world.take(other);
    }
    assert_eq!(rest, ":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n");
    assert_eq!(pong, "+PONG\r\n");
    assert!(!world.clients.wants_turn());
}
