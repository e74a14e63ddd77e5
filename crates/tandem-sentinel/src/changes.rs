//! The messages that say how one view became the next.

use crate::{Addr, MasterView, ReplicaView, SentinelView};

/// A publication.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) channel: &'static str,
    pub(crate) text: String,
}

/// What to publish, in order. Both views went through [`crate::memory::remembered`].
pub(crate) fn changes(old: &SentinelView, new: &SentinelView) -> Vec<Message> {
    let mut out = Vec::new();
    for (name, now) in new.named() {
        let before = old.masters.iter().find(|before| before.name == now.name);
        if let (Some(before), Some(primary)) = (before, &now.primary) {
            Changes { name, primary, out: &mut out }.of(before, now);
        }
    }
    out
}

struct Changes<'a> {
    name: &'a str,
    primary: &'a Addr,
    out: &'a mut Vec<Message>,
}

impl Changes<'_> {
    fn of(&mut self, before: &MasterView, now: &MasterView) {
        let Some(last) = &before.primary else { return };
        let moved = !last.is_at(self.primary);
        if moved {
            self.switched(last);
        } else if before.down != now.down {
            let (subjective, objective) =
                if now.down { ("+sdown", "+odown") } else { ("-sdown", "-odown") };
            let master = format!("master {} {} {}", self.name, self.primary.ip, self.primary.port);
            self.say(subjective, master.clone());
            self.say(objective, master);
        }
        for replica in &now.replicas {
            let known = before.replicas.iter().find(|known| known.addr.is_at(&replica.addr));
            let was_primary = moved && replica.addr.is_at(last);
            self.replica(replica, known, was_primary);
        }
        for sentinel in &now.sentinels {
            if !before.sentinels.iter().any(|known| known.is_at(sentinel)) {
                let Addr { ip, port, runid } = sentinel;
                let of = self.of_master();
                self.say("+sentinel", format!("sentinel {runid} {ip} {port} {of}"));
            }
        }
    }

    /// Another node accepts writes.
    fn switched(&mut self, last: &Addr) {
        let Addr { ip, port, .. } = self.primary;
        let text = format!("{} {} {} {ip} {port}", self.name, last.ip, last.port);
        self.say("+switch-master", text.clone());
        // node-redis subscribes to the name without its sign.
        self.say("switch-master", text);
        let old = self.slave(last);
        self.say("+slave", old);
    }

    fn replica(&mut self, now: &ReplicaView, known: Option<&ReplicaView>, was_primary: bool) {
        let text = self.slave(&now.addr);
        if known.is_none() && !was_primary {
            self.say("+slave", text.clone());
        }
        let follows = now.linked && !now.down;
        let followed = known.is_some_and(|known| known.linked && !known.down);
        if follows && !followed && (was_primary || known.is_some()) {
            self.say("+slave-reconf-done", text.clone());
            self.say("+replica-reconf-done", text.clone());
            self.say("+role-change", format!("{text} new reported role is slave"));
            self.say("+convert-to-slave", text.clone());
        }
        let was_down = known.is_some_and(|known| known.down);
        if now.down != was_down {
            self.say(if now.down { "+sdown" } else { "-sdown" }, text);
        }
    }

    fn slave(&self, Addr { ip, port, .. }: &Addr) -> String {
        format!("slave {ip}:{port} {ip} {port} {}", self.of_master())
    }

    fn of_master(&self) -> String {
        format!("@ {} {} {}", self.name, self.primary.ip, self.primary.port)
    }

    fn say(&mut self, channel: &'static str, text: String) {
        self.out.push(Message { channel, text });
    }
}

#[cfg(test)]
mod tests;
