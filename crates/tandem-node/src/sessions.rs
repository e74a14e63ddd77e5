//! The table of all client connections.

use crate::ConnId;
use crate::session::Session;

/// Sessions by the place their connection names.
///
/// A session that acts is taken out, so that it and the others can be used side by side, and put back.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    places: Vec<Place>,
    count: usize,
}

#[derive(Debug, Default)]
struct Place {
    /// Who the place belongs to, also while the session is taken out.
    owner: Option<ConnId>,
    session: Option<Box<Session>>,
}

impl Sessions {
    /// Adds a session; one left at its place by mistake is dropped.
    pub(crate) fn insert(&mut self, session: Box<Session>) {
        let index = session.conn.index();
        if index >= self.places.len() {
            self.places.resize_with(index + 1, Place::default);
        }
        if let Some(place) = self.places.get_mut(index) {
            self.count += usize::from(place.owner.is_none());
            place.owner = Some(session.conn);
            place.session = Some(session);
        }
    }

    /// Takes a session out to act; [`Self::put`] it back.
    #[inline]
    pub(crate) fn take(&mut self, conn: ConnId) -> Option<Box<Session>> {
        let place = self.places.get_mut(conn.index())?;
        if place.owner == Some(conn) { place.session.take() } else { None }
    }

    /// Puts a session back that was taken out.
    #[inline]
    pub(crate) fn put(&mut self, session: Box<Session>) {
        if let Some(place) = self.places.get_mut(session.conn.index()) {
            debug_assert_eq!(place.owner, Some(session.conn), "its place was given away");
            place.session = Some(session);
        }
    }

    /// Ends a connection: its place is free afterwards.
    pub(crate) fn remove(&mut self, conn: ConnId) -> Option<Box<Session>> {
        let place = self.places.get_mut(conn.index())?;
        if place.owner != Some(conn) {
            return None;
        }
        place.owner = None;
        self.count -= 1;
        place.session.take()
    }

    #[inline]
    pub(crate) fn get(&self, conn: ConnId) -> Option<&Session> {
        let place = self.places.get(conn.index())?;
        place.session.as_deref().filter(|session| session.conn == conn)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Session> {
        let place = self.places.get_mut(conn.index())?;
        place.session.as_deref_mut().filter(|session| session.conn == conn)
    }

    /// Connections, those that act included.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// All sessions that do not act right now, in the order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.places.iter().filter_map(|place| place.session.as_deref())
    }

    /// As [`Self::iter`].
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.places.iter_mut().filter_map(|place| place.session.as_deref_mut())
    }

    /// All connections, to go through while the table changes.
    pub(crate) fn conns(&self) -> Vec<ConnId> {
        self.places.iter().filter_map(|place| place.owner).collect()
    }
}
