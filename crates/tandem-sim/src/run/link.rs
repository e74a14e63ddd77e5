//! The link: one connection at a time, two directions that fail apart.
//!
//! A silent direction delivers nothing and tells nobody; what was sent is delivered when it opens again,
//! as TCP would, if the connection still stands at the receiving end.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::{Arrived, Run, What};
use crate::plan::MS;

pub(super) const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 7379);

#[derive(Debug)]
enum Packet {
    Up,
    Data(Vec<u8>),
    Gone,
}

#[derive(Debug, Default)]
struct Pipe {
    silent: u32,
    queue: VecDeque<(u64, u64, Packet)>,
}

/// Both directions, named after the node they lead to.
#[derive(Debug, Default)]
pub(crate) struct Link {
    pipes: [Pipe; 2],
    conns: u64,
    dialling_until: u64,
}

impl Link {
    /// What is sent towards this node arrives.
    pub(super) const fn is_open(&self, towards: usize) -> bool {
        self.pipes[towards].silent == 0
    }

    pub(super) const fn silence(&mut self, towards: usize) {
        self.pipes[towards].silent += 1;
    }

    pub(super) const fn open(&mut self, towards: usize) {
        self.pipes[towards].silent = self.pipes[towards].silent.saturating_sub(1);
    }

    pub(super) const fn open_all(&mut self) {
        self.pipes[0].silent = 0;
        self.pipes[1].silent = 0;
    }
}

impl Run {
    fn put(&mut self, towards: usize, conn: u64, packet: Packet) {
        let ready = self.now + self.travel();
        let pipe = &mut self.link.pipes[towards];
        let ready = pipe.queue.back().map_or(ready, |(last, ..)| ready.max(*last));
        pipe.queue.push_back((ready, conn, packet));
        self.at(ready, What::Packet(towards));
    }

    pub(super) fn send(&mut self, from: usize, bytes: Vec<u8>) {
        let conn = self.hosts[from].conn;
        if conn != 0 {
            self.put(1 - from, conn, Packet::Data(bytes));
        }
    }

    /// This end closes the connection.
    pub(super) fn hang_up(&mut self, from: usize) {
        let conn = std::mem::take(&mut self.hosts[from].conn);
        if conn != 0 {
            self.put(1 - from, conn, Packet::Gone);
        }
    }

    pub(super) fn deliver(&mut self, towards: usize) {
        loop {
            let pipe = &mut self.link.pipes[towards];
            let due = pipe.queue.front().is_some_and(|(ready, ..)| *ready <= self.now);
            if pipe.silent > 0 || !due {
                return;
            }
            let Some((_, conn, packet)) = pipe.queue.pop_front() else { return };
            self.arrive(
                towards,
                match packet {
                    Packet::Up => Arrived::LinkUp { conn },
                    Packet::Data(bytes) => Arrived::LinkData { conn, bytes },
                    Packet::Gone => Arrived::LinkLost { conn },
                },
            );
        }
    }

    pub(super) fn deliver_soon(&mut self) {
        for towards in 0..2 {
            self.after(0, What::Packet(towards));
        }
    }

    /// The second node dials.
    pub(super) fn dial(&mut self) {
        let again = self.random.between(20, 120) * MS;
        self.after(again, What::Dial);
        let ready = self.hosts.iter().all(|host| host.is_up() && host.paused == 0);
        let open = self.link.is_open(0) && self.link.is_open(1);
        if !ready || !open || self.hosts[1].conn != 0 || self.now < self.link.dialling_until {
            return;
        }
        self.link.conns += 1;
        let conn = self.link.conns;
        self.put(0, conn, Packet::Up);
        self.put(1, conn, Packet::Up);
        let last = |pipe: &Pipe| pipe.queue.back().map_or(0, |(ready, ..)| *ready);
        self.link.dialling_until = last(&self.link.pipes[1]) + MS;
    }

    /// The connection is reset at this end; the other one is not told.
    pub(super) fn reset_end(&mut self, which: usize) {
        let conn = self.hosts[which].conn;
        if conn != 0 {
            self.arrive(which, Arrived::LinkLost { conn });
        }
    }

    /// The connection is reset at both ends.
    pub(super) fn reset_link(&mut self) {
        for which in 0..2 {
            let conn = self.hosts[which].conn;
            if conn != 0 {
                self.arrive(which, Arrived::LinkLost { conn });
            }
        }
    }
}
