//! The console's way to the node that runs in this process.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use tandem_admin::{
    AdminReply, AdminRequest, BackupView, DoneView, DrillRequest, RefusedView, StatusView,
};
use tandem_console::{AdminPort, BackupStart, Gone};
use tandem_server::AdminHandle;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::backup::take;
use crate::serve::cut::Cut;
use crate::serve::drill;

/// Pieces of a backup on their way to the reader.
const PIECES_WAITING_MAX: usize = 8;
/// A reader that takes nothing for so long is gone; the log must not be kept for it for ever.
const READER_TIME_MAX: Duration = Duration::from_mins(1);

#[derive(Clone)]
pub(crate) struct NodePort {
    admin: AdminHandle,
    data_dir: PathBuf,
    cut: Cut,
}

impl NodePort {
    pub(crate) const fn new(admin: AdminHandle, data_dir: PathBuf, cut: Cut) -> Self {
        Self { admin, data_dir, cut }
    }
}

impl AdminPort for NodePort {
    async fn call(&self, request: AdminRequest) -> Result<AdminReply, Gone> {
        self.admin.ask(request).await.map_err(|_| Gone)
    }

    async fn drill(&self, request: DrillRequest) -> Result<DoneView, RefusedView> {
        match request {
            DrillRequest::Kill => Ok(drill::kill_soon()),
            DrillRequest::Isolate { millis } => drill::isolate(&self.admin, &self.cut, millis),
        }
    }

    async fn backup(&self) -> Result<BackupStart, RefusedView> {
        let status = match self.call(AdminRequest::Status).await {
            Ok(AdminReply::Status(status)) => *status,
            Ok(_) | Err(Gone) => return Err(stopping()),
        };
        let view = match self.call(AdminRequest::Backup).await {
            Ok(AdminReply::Backup(view)) => view,
            Ok(AdminReply::Refused(refused)) => return Err(refused),
            Ok(_) | Err(Gone) => return Err(stopping()),
        };
        let (sender, pieces) = mpsc::channel(PIECES_WAITING_MAX);
        let file_name = format!("{}-{}.tandem", status.pair, view.log_end);
        let port = self.clone();
        let runtime = Handle::current();
        // Reads files and waits for the reader: not on the console's own thread.
        tokio::task::spawn_blocking(move || port.send_backup(&view, &status, &sender, runtime));
        Ok(BackupStart { file_name, pieces })
    }
}

impl NodePort {
    fn send_backup(
        &self,
        view: &BackupView,
        status: &StatusView,
        sender: &mpsc::Sender<Result<Vec<u8>, String>>,
        runtime: Handle,
    ) {
        let to = io::BufWriter::with_capacity(64 << 10, Pieces { sender: sender.clone(), runtime });
        match take::write(&self.data_dir, view, status, to) {
            Ok(()) => tracing::info!("backup up to record {} sent", view.log_end),
            Err(error) => {
                tracing::warn!("backup broke off: {error:#}");
                // The reader is told by a transfer that ends without its end, unless it has gone itself.
                let _told = sender.blocking_send(Err(format!("{error:#}")));
            }
        }
        if self.admin.ask_blocking(AdminRequest::BackupEnd { id: view.id }).is_err() {
            tracing::debug!("the node ended before it heard that the backup is done");
        }
    }
}

fn stopping() -> RefusedView {
    RefusedView {
        what: "no backup was made".to_owned(),
        why: "the node is shutting down".to_owned(),
        todo: "ask the other node".to_owned(),
        ..RefusedView::default()
    }
}

/// Hands bytes to the reader of the download, and waits for it, within bounds.
struct Pieces {
    sender: mpsc::Sender<Result<Vec<u8>, String>>,
    runtime: Handle,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent =
            self.runtime.block_on(self.sender.send_timeout(Ok(bytes.to_vec()), READER_TIME_MAX));
        match sent {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the reader has gone")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
