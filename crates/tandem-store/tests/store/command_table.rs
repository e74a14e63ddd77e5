//! The table of commands: complete, and shown in Redis' shapes.

use tandem_resp::OwnedArgs;
use tandem_store::{Flags, Handler, KeySpec, command, commands};

use crate::harness::Primary;

fn keys_of(line: &str) -> Vec<String> {
    let owned: OwnedArgs = line.split(' ').map(str::as_bytes).collect();
    let args = owned.args();
    let mut positions = Vec::new();
    command(args.name()).unwrap().key_positions(&args, &mut positions).unwrap();
    positions.iter().map(|at| String::from_utf8(args.get(*at).to_vec()).unwrap()).collect()
}

#[test]
fn keys_are_found_among_the_words() {
    for (line, keys) in [
        ("GET k", &["k"][..]),
        ("MSET a 1 b 2", &["a", "b"]),
        ("DEL a b c", &["a", "b", "c"]),
        ("RENAME a b", &["a", "b"]),
        ("BITOP AND d a b", &["d", "a", "b"]),
        ("OBJECT ENCODING k", &["k"]),
        ("SORT a BY store GET get LIMIT 0 1 STORE d", &["a", "d"]),
        ("BLPOP a b 0", &["a", "b"]),
        ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", &["d", "a", "b"]),
        ("LMPOP 2 a b LEFT", &["a", "b"]),
        ("BLMPOP 0 1 a LEFT", &["a"]),
        ("WATCH a b", &["a", "b"]),
        ("PING", &[]),
    ] {
        assert_eq!(keys_of(line), keys, "{line}");
    }
}

#[test]
fn every_data_command_on_keys_either_reads_or_writes() {
    for row in commands() {
        let data = matches!(row.handler, Handler::Data(_));
        let on_keys = !matches!(row.keys, KeySpec::None) && row.subcommands.is_empty();
        if data && on_keys {
            let (reads, writes) = (row.flags.has(Flags::READONLY), row.is_write());
            assert!(reads != writes, "{}", row.name);
            assert!(writes || !row.flags.has(Flags::DENYOOM), "{}", row.name);
        }
    }
}

#[test]
fn the_table_shows_itself() {
    let mut p = Primary::new();
    let get = "*10|$3|get|:2|*2|+readonly|+fast|:1|:1|:1|*3|+@read|+@string|+@fast|*0|\
               *1|*6|$5|flags|*1|+RO|$12|begin_search|*4|$4|type|$5|index|$4|spec|*2|$5|index|:1|\
               $9|find_keys|*4|$4|type|$5|range|$4|spec|*6|$7|lastkey|:0|$7|keystep|:1|$5|limit|:0|*0|";
    assert_eq!(p.run("COMMAND INFO get"), format!("*1|{get}"));
    assert_eq!(p.run("COMMAND INFO nosuch"), "*1|*-1|");
    assert_eq!(p.run("COMMAND COUNT"), format!(":{}|", commands().count()));
    assert!(p.run("COMMAND").starts_with(&format!("*{}|*10|", commands().count())));
    assert!(p.run("COMMAND DOCS get").starts_with("*2|$3|get|*8|$7|summary|"));
    assert!(p.run("COMMAND LIST FILTERBY PATTERN getr*").starts_with("*1|$8|getrange|"));
    p.check(&[
        ("COMMAND GETKEYS MSET a 1 b 2", "*2|$1|a|$1|b|"),
        ("COMMAND GETKEYS PING", "-ERR The command has no key arguments|"),
        ("COMMAND GETKEYS NOSUCH", "-ERR Invalid command specified|"),
        ("COMMAND NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try COMMAND HELP.|"),
        ("COMMAND COUNT x", "-ERR wrong number of arguments for 'command|count' command|"),
    ]);
}
