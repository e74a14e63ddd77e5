//! The two announcements, byte by byte: "this address is at this machine now".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const BROADCAST: [u8; 6] = [0xff; 6];
/// All nodes of the link, `ff02::1`, as an Ethernet address (RFC 2464, 7).
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const NEXT_HEADER_ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Not solicited; replaces what neighbours remember (RFC 4861, 4.4).
const OVERRIDE: u8 = 0x20;
const TARGET_LINK_ADDRESS: u8 = 2;

/// Whole Ethernet frames that announce `ip` at `mac`.
pub(crate) fn announcements(ip: IpAddr, mac: [u8; 6]) -> Vec<Vec<u8>> {
    match ip {
        // Some neighbours learn from requests only, some from replies only (RFC 5227, 3).
        IpAddr::V4(ip) => vec![arp(ip, mac, 1), arp(ip, mac, 2)],
        IpAddr::V6(ip) => vec![advertisement(ip, mac)],
    }
}

/// RFC 826: sender and target are both the address; `operation` 1 asks, 2 answers.
fn arp(ip: Ipv4Addr, mac: [u8; 6], operation: u8) -> Vec<u8> {
    let target = if operation == 1 { [0; 6] } else { BROADCAST };
    [
        &BROADCAST[..],
        &mac,
        &ETHERTYPE_ARP,
        &[0, 1, 8, 0, 6, 4, 0, operation],
        &mac,
        &ip.octets(),
        &target,
        &ip.octets(),
    ]
    .concat()
}

/// RFC 4861, 4.4.
fn advertisement(ip: Ipv6Addr, mac: [u8; 6]) -> Vec<u8> {
    let body = |checksum: [u8; 2]| {
        [
            &[NEIGHBOUR_ADVERTISEMENT, 0][..],
            &checksum,
            &[OVERRIDE, 0, 0, 0],
            &ip.octets(),
            &[TARGET_LINK_ADDRESS, 1],
            &mac,
        ]
        .concat()
    };
    let length = [0, 32];
    let pseudo = [
        &ip.octets()[..],
        &ALL_NODES.octets(),
        &[0, 0],
        &length,
        &[0, 0, 0, NEXT_HEADER_ICMPV6],
        &body([0, 0]),
    ]
    .concat();
    let head = [&[0x60, 0, 0, 0][..], &length, &[NEXT_HEADER_ICMPV6, 255]].concat();
    [
        &ALL_NODES_MAC[..],
        &mac,
        &ETHERTYPE_IPV6,
        &head,
        &ip.octets(),
        &ALL_NODES.octets(),
        &body(checksum(&pseudo)),
    ]
    .concat()
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [_, _, high, low] = (!sum).to_be_bytes();
    [high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    #[test]
    fn an_arp_announcement_names_the_address_as_sender_and_target() {
        let frames = announcements("10.0.0.100".parse().unwrap(), MAC);
        assert_eq!(frames.len(), 2);
        for (frame, operation) in frames.iter().zip([1, 2]) {
            assert_eq!(frame.len(), 42);
            assert_eq!(frame[0..6], BROADCAST);
            assert_eq!((frame[20], frame[21]), (0, operation));
            assert_eq!(frame[22..28], MAC);
            assert_eq!(frame[28..32], frame[38..42]);
        }
    }

    #[test]
    fn an_advertisement_has_a_checksum_that_adds_up() {
        let frames = announcements("fd00::100".parse().unwrap(), MAC);
        let [frame] = frames.as_slice() else { unreachable!("one frame") };
        assert_eq!(frame.len(), 14 + 40 + 32);
        let (source, message) = (&frame[22..38], &frame[54..]);
        let pseudo =
            [source, &ALL_NODES.octets()[..], &[0, 0, 0, 32, 0, 0, 0, 58], message].concat();
        // Over bytes that hold the right checksum, the sum is zero.
        assert_eq!(checksum(&pseudo), [0, 0]);
        assert_eq!(message[0], NEIGHBOUR_ADVERTISEMENT);
    }
}
