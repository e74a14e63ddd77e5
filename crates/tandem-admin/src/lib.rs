//! The operator's words: status, requests, replies and metrics, as plain data and JSON.
//!
//! The node fills these in, the console and the command line show them. The JSON names are the
//! product's public face: what `/api/v1/status` answers is [`StatusView`], field by field.
//!
//! **Not here:** how a request reaches the node (`tandem-server`), HTTP (`tandem-console`), tables
//! on a terminal (`tandem`).
#![forbid(unsafe_code)]

mod conflicts;
mod history;
mod integrity;
mod metrics;
mod request;
mod status;
mod why;

pub use conflicts::{
    ApplyBody, ConflictApplyView, ConflictDiffView, ConflictKeyView, ConflictLinesView,
    ConflictRequest, ConflictView, ConflictsView, ImageView, Take,
};
pub use history::{HistoryEntry, HistoryKind, HistoryView};
pub use integrity::{RepairView, ScrubView, VerifyView};
pub use metrics::{Histogram, METRICS, MetricInfo, MetricKind, MetricsView, Sample, SampleValue};
pub use request::{
    AddressRequest, AddressState, AdminReply, AdminRequest, BackupView, DoneView, DrillRequest,
    PromoteRequest, RefusedView, SoloRequest, SwitchRequest, VerifyRequest,
};
pub use status::{
    ChannelView, Health, LoadView, MediatorView, PeerView, PendingView, ProbeView, RoleName,
    StatusView, SwitchView, VipView,
};
pub use why::{ForceView, WaitView, WhyView};
