//! What the console needs of a node.

use std::future::Future;

use tandem_admin::{AdminReply, AdminRequest, DoneView, DrillRequest, RefusedView};
use tokio::sync::mpsc;

/// The node ended before it answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gone;

/// A backup that has begun: pieces of the file, or why it broke off.
#[derive(Debug)]
pub struct BackupStart {
    /// Name for the downloaded file.
    pub file_name: String,
    /// Its bytes. The sender stops when the receiver is dropped.
    pub pieces: mpsc::Receiver<Result<Vec<u8>, String>>,
}

/// The way to a node.
pub trait AdminPort: Clone + Send + Sync + 'static {
    /// Asks the node and waits for its answer.
    ///
    /// # Errors
    /// [`Gone`]: the node is shutting down.
    fn call(&self, request: AdminRequest) -> impl Future<Output = Result<AdminReply, Gone>> + Send;

    /// Rehearses a failure of this node.
    ///
    /// # Errors
    /// Why it was refused.
    fn drill(
        &self,
        request: DrillRequest,
    ) -> impl Future<Output = Result<DoneView, RefusedView>> + Send;

    /// Starts a backup.
    ///
    /// # Errors
    /// Why it was refused.
    fn backup(&self) -> impl Future<Output = Result<BackupStart, RefusedView>> + Send;
}
