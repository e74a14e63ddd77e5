//! What an operator asks of a running node, and what it answers.

use serde::{Deserialize, Serialize};

use crate::{
    ConflictApplyView, ConflictDiffView, ConflictLinesView, ConflictRequest, ConflictsView,
    HistoryView, MetricsView, StatusView, WhyView,
};

/// `tandem promote`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromoteRequest {
    /// Promote although data may be lost or forked.
    pub force: bool,
    /// Promote if at most this many acknowledged records may be lost.
    pub accept_loss: Option<u64>,
}

/// `tandem solo`: a person's word that the peer is off, so that the primary may go on alone.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoloRequest {
    /// Even though the peer is connected.
    pub force: bool,
}

/// `tandem switch`: a planned change of primary, without loss.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwitchRequest {
    /// Name of the node that shall be primary; absent: the one that is not.
    pub to: Option<String>,
}

/// `tandem verify`: compare the data of the two nodes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerifyRequest {
    /// If they differ, the follower keeps its files aside and takes a full copy.
    pub repair: bool,
}

/// `tandem drill`: a rehearsal on a running node.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "drill", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DrillRequest {
    /// End the node's process at once, as `kill -9` does.
    Kill,
    /// Hear and tell nothing of peer and mediator for a while, as behind a cut cable.
    Isolate {
        /// For how long.
        millis: u64,
    },
}

/// `tandem keepalived-notify`: what keepalived on this machine says.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AddressRequest {
    /// Its state.
    pub state: AddressState,
}

/// States of keepalived.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AddressState {
    /// The address is here.
    Master,
    /// The other machine has it.
    Backup,
    /// The interface is down, or the check fails.
    Fault,
    /// keepalived ends.
    Stop,
}

/// One request to the node.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum AdminRequest {
    /// Both nodes as seen from here.
    Status,
    /// The timeline.
    History,
    /// What is waited for.
    Why,
    /// Numbers for Prometheus.
    Metrics,
    /// Become primary, on a person's word.
    Promote(PromoteRequest),
    /// Go on without the peer, on a person's word.
    Solo(SoloRequest),
    /// Take a snapshot now and keep the log from its start on until [`AdminRequest::BackupEnd`].
    Backup,
    /// The copy is done: the log may be trimmed again.
    BackupEnd {
        /// [`BackupView::id`].
        id: u64,
    },
    /// Change the primary without loss, on a person's word.
    Switch(SwitchRequest),
    /// Carry out the proposal that waits for a person.
    Confirm,
    /// Drop it.
    Reject,
    /// keepalived has moved the virtual address.
    Address(AddressRequest),
    /// Suspend automatic switching.
    Pause,
    /// Resume it.
    Resume,
    /// Compare the data of the two nodes; the result comes in the status.
    Verify(VerifyRequest),
    /// Saved writes of a returned primary.
    Conflicts(ConflictRequest),
    /// Stop the process in an orderly way.
    Shutdown,
}

impl AdminRequest {
    /// Whether it changes something and so needs the token.
    pub const fn changes(&self) -> bool {
        match self {
            Self::Status | Self::History | Self::Why | Self::Metrics => false,
            Self::Conflicts(request) => request.changes(),
            Self::Promote(_)
            | Self::Solo(_)
            | Self::Backup
            | Self::BackupEnd { .. }
            | Self::Switch(_)
            | Self::Confirm
            | Self::Reject
            | Self::Address(_)
            | Self::Pause
            | Self::Resume
            | Self::Verify(_)
            | Self::Shutdown => true,
        }
    }
}

/// What the node answers.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum AdminReply {
    /// To [`AdminRequest::Status`].
    Status(Box<StatusView>),
    /// To [`AdminRequest::History`].
    History(HistoryView),
    /// To [`AdminRequest::Why`].
    Why(WhyView),
    /// To [`AdminRequest::Metrics`].
    Metrics(MetricsView),
    /// To [`AdminRequest::Backup`], once the snapshot is durable.
    Backup(BackupView),
    /// To [`ConflictRequest::List`].
    Conflicts(ConflictsView),
    /// To [`ConflictRequest::Show`].
    ConflictLines(ConflictLinesView),
    /// To [`ConflictRequest::Diff`].
    ConflictDiff(ConflictDiffView),
    /// To [`ConflictRequest::Apply`].
    ConflictApply(ConflictApplyView),
    /// It was done.
    Done(DoneView),
    /// It was not done, and nothing was changed.
    Refused(RefusedView),
}

impl AdminReply {
    /// A request that was carried out.
    pub fn done(message: impl Into<String>) -> Self {
        Self::Done(DoneView { message: message.into(), ..DoneView::default() })
    }

    /// A request that was refused.
    pub fn refused(
        what: impl Into<String>,
        why: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self::Refused(RefusedView {
            what: what.into(),
            why: why.into(),
            todo: todo.into(),
            ..RefusedView::default()
        })
    }
}

/// A request that was carried out.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct DoneView {
    /// What was done: one sentence.
    pub message: String,
    /// The reign afterwards, if it changed.
    pub epoch: Option<u64>,
    /// Acknowledged records that were given up, if known.
    pub records_lost: Option<u64>,
}

/// A request that was refused.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct RefusedView {
    /// What was refused.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do instead.
    pub todo: String,
    /// Acknowledged records that would be lost; absent when it cannot be known.
    pub records_lost: Option<u64>,
    /// Milliseconds since the peer was last heard; absent if never.
    pub last_contact_ms: Option<u64>,
}

impl RefusedView {
    /// The one clear line: what, why, what to do.
    pub fn line(&self) -> String {
        let mut line = self.what.clone();
        for (before, part) in [(": ", &self.why), ("; ", &self.todo)] {
            if !part.is_empty() {
                if !line.is_empty() {
                    line.push_str(before);
                }
                line.push_str(part);
            }
        }
        line
    }
}

/// What a backup must copy.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct BackupView {
    /// Names this hold on the log, for [`AdminRequest::BackupEnd`].
    pub id: u64,
    /// Folder below the data directory that holds snapshot and log.
    pub generation: String,
    /// Name of the snapshot file in that folder.
    pub snapshot: String,
    /// The log is needed from this position on ...
    pub log_from: u64,
    /// ... up to here at least; it is durable up to here.
    pub log_end: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_why_and_what_to_do() {
        let refused = RefusedView {
            what: "cannot promote b".into(),
            why: "a may have writes that b lacks".into(),
            todo: "start a, or give --accept-loss N".into(),
            ..RefusedView::default()
        };
        assert_eq!(
            refused.line(),
            "cannot promote b: a may have writes that b lacks; start a, or give --accept-loss N"
        );
        assert_eq!(RefusedView { what: "no".into(), ..RefusedView::default() }.line(), "no");
    }

    #[test]
    fn requests_and_replies_survive_json() {
        let requests = [
            AdminRequest::Status,
            AdminRequest::Promote(PromoteRequest { force: true, accept_loss: Some(3) }),
            AdminRequest::BackupEnd { id: 9 },
            AdminRequest::Switch(SwitchRequest { to: Some("b".into()) }),
            AdminRequest::Confirm,
        ];
        for request in requests {
            let json = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<AdminRequest>(&json).unwrap(), request, "{json}");
        }
        let reply = AdminReply::Status(Box::default());
        let json = serde_json::to_string(&reply).unwrap();
        assert_eq!(serde_json::from_str::<AdminReply>(&json).unwrap(), reply);
    }

    #[test]
    fn a_drill_is_named_in_the_body() {
        let isolate: DrillRequest =
            serde_json::from_str(r#"{"drill":"isolate","millis":500}"#).unwrap();
        assert_eq!(isolate, DrillRequest::Isolate { millis: 500 });
        assert_eq!(
            serde_json::from_str::<DrillRequest>(r#"{"drill":"kill"}"#).unwrap(),
            DrillRequest::Kill
        );
        assert!(
            serde_json::from_str::<DrillRequest>("{}").is_err(),
            "nothing is killed by default"
        );
    }

    #[test]
    fn a_misspelt_promote_field_is_refused_and_not_ignored() {
        assert!(serde_json::from_str::<PromoteRequest>(r#"{"forced":true}"#).is_err());
        assert_eq!(
            serde_json::from_str::<PromoteRequest>("{}").unwrap(),
            PromoteRequest::default()
        );
    }
}
