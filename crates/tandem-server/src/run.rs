//! Run.
#[derive(Debug)]
pub struct Exit { pub reason: String }
#[derive(Debug, thiserror::Error)]
pub enum RunError { #[error("wait for events: {0}")] Wait(std::io::Error), #[error("start a thread: {0}")] Thread(std::io::Error), #[error("{reason}")] GaveUp { status: u8, reason: String } }
pub struct Server; pub struct Addresses; pub fn run() {}
