//! The table of client connections: a place is reused, an id never is.

use tandem_node::{ConnId, Port};

use super::transport::Transport;

/// Times a place is reused at most; higher counts name the loop's own sockets.
const REUSE_MAX: u32 = u32::MAX - 2;

/// One client's connection as the event loop sees it; its session is the node's.
pub(crate) struct Connection {
    /// Its bytes.
    pub transport: Transport,
    /// Names it to the node.
    pub id: ConnId,
    /// The listener it came by.
    pub port: Port,
    /// The last write took everything: the next may be tried without waiting for an event.
    pub writable: bool,
    /// The socket may hold bytes that were not read yet.
    pub readable: bool,
    /// The other side's end was seen: no more events come, so it is read until the end comes out.
    pub ending: bool,
    /// In the queue of connections to read.
    pub queued: bool,
    /// The node does not want to read from it for now.
    pub paused: bool,
    /// The node was told of it (after the TLS handshake).
    pub announced: bool,
    /// Its first bytes were looked at.
    pub sniffed: bool,
    /// The client sends no more.
    pub half_closed: bool,
    /// Ends once everything that waits was written.
    pub closing: bool,
}

/// All client connections.
#[derive(Default)]
pub(crate) struct Connections {
    places: Vec<Place>,
    free: Vec<u32>,
}

struct Place {
    /// How often the place was taken before; part of the id.
    reuse: u32,
    connection: Option<Box<Connection>>,
}

impl Connections {
    /// Connections there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Adds what `make` builds for its new id; `None`: the table is full.
    pub(crate) fn insert(&mut self, transport: Transport, port: Port) -> Option<&mut Connection> {
        let index = if let Some(index) = self.free.pop() {
            index
        } else {
            let index = u32::try_from(self.places.len()).ok()?;
            self.places.push(Place { reuse: 0, connection: None });
            index
        };
        let place = &mut self.places[index as usize];
        let connection = Connection {
            transport,
            id: ConnId::new(index, place.reuse),
            port,
            writable: true,
            readable: false,
            ending: false,
            queued: false,
            paused: false,
            announced: false,
            sniffed: false,
            half_closed: false,
            closing: false,
        };
        Some(place.connection.insert(Box::new(connection)))
    }

    /// The connection, unless it is gone.
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        let connection = self.places.get_mut(id.index())?.connection.as_deref_mut()?;
        (connection.id == id).then_some(connection)
    }

    /// Takes the connection out; its id never comes again.
    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Box<Connection>> {
        self.get_mut(id)?;
        let place = &mut self.places[id.index()];
        let connection = place.connection.take()?;
        // A place whose count runs out is left alone: ids with the highest count are not clients'.
        if place.reuse < REUSE_MAX {
            place.reuse += 1;
            // The index came from a u32.
            self.free.extend(u32::try_from(id.index()));
        }
        Some(connection)
    }

    /// All ids, in the order of their places.
    pub(crate) fn ids(&self) -> Vec<ConnId> {
        self.places.iter().filter_map(|place| Some(place.connection.as_ref()?.id)).collect()
    }
}
