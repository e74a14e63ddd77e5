//! The messages, word by word.

use super::*;

fn addr(host: u8) -> Addr {
    Addr { ip: format!("10.0.0.{host}"), port: 6379, runid: "r".repeat(40) }
}

/// A pair "shop" with that primary, and a replica that follows or is down.
fn view(primary: u8, down: bool, replica: u8, linked: bool) -> SentinelView {
    let master = MasterView {
        name: "shop".into(),
        primary: Some(addr(primary)),
        down,
        replicas: vec![ReplicaView { addr: addr(replica), down: !linked, linked }],
        ..MasterView::default()
    };
    SentinelView { masters: vec![master], me: addr(9) }
}

fn said(old: &SentinelView, new: &SentinelView) -> Vec<String> {
    changes(old, new)
        .into_iter()
        .map(|Message { channel, text }| format!("{channel}|{text}"))
        .collect()
}

#[test]
fn a_planned_switch_is_told_in_this_order() {
    let old_follows = "slave 10.0.0.1:6379 10.0.0.1 6379 @ shop 10.0.0.2 6379";
    assert_eq!(
        said(&view(1, false, 2, true), &view(2, false, 1, true)),
        [
            "+switch-master|shop 10.0.0.1 6379 10.0.0.2 6379".to_owned(),
            "switch-master|shop 10.0.0.1 6379 10.0.0.2 6379".to_owned(),
            format!("+slave|{old_follows}"),
            format!("+slave-reconf-done|{old_follows}"),
            format!("+replica-reconf-done|{old_follows}"),
            format!("+role-change|{old_follows} new reported role is slave"),
            format!("+convert-to-slave|{old_follows}"),
        ]
    );
}

#[test]
fn a_failure_is_told_at_once_and_the_old_primary_follows_when_it_does() {
    let down = view(1, true, 2, true);
    assert_eq!(
        said(&view(1, false, 2, true), &down),
        ["+sdown|master shop 10.0.0.1 6379", "+odown|master shop 10.0.0.1 6379"]
    );
    let moved = view(2, false, 1, false);
    let old = "slave 10.0.0.1:6379 10.0.0.1 6379 @ shop 10.0.0.2 6379";
    assert_eq!(
        said(&down, &moved),
        [
            "+switch-master|shop 10.0.0.1 6379 10.0.0.2 6379".to_owned(),
            "switch-master|shop 10.0.0.1 6379 10.0.0.2 6379".to_owned(),
            format!("+slave|{old}"),
            format!("+sdown|{old}"),
        ]
    );
    let back = said(&moved, &view(2, false, 1, true));
    assert_eq!(back[0], format!("+slave-reconf-done|{old}"));
    assert_eq!(back[back.len() - 1], format!("-sdown|{old}"));
}

#[test]
fn nothing_is_said_of_what_stays_or_is_seen_for_the_first_time() {
    let same = view(1, false, 2, true);
    assert!(said(&same, &same).is_empty());
    assert!(said(&SentinelView::default(), &same).is_empty());
}

#[test]
fn every_name_of_a_pair_gets_its_messages() {
    let (mut old, mut new) = (view(1, false, 2, true), view(2, false, 1, true));
    old.masters[0].aliases.push("mymaster".into());
    new.masters[0].aliases.push("mymaster".into());
    let said = said(&old, &new);
    assert_eq!(said.len(), 14);
    assert_eq!(said[7], "+switch-master|mymaster 10.0.0.1 6379 10.0.0.2 6379");
}
