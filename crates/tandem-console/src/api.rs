//! The JSON API, health and metrics.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use tandem_admin::{
    AddressRequest, AdminReply, AdminRequest, ApplyBody, ConflictRequest, PromoteRequest, RoleName,
    SoloRequest, SwitchRequest, VerifyRequest,
};

use crate::channel_stream::ChannelStream;
use crate::router::Shared;
use crate::{AdminPort, answer};

pub(crate) async fn status<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    answer::reply(shared.port.call(AdminRequest::Status).await)
}

pub(crate) async fn history<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    answer::reply(shared.port.call(AdminRequest::History).await)
}

pub(crate) async fn why<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    answer::reply(shared.port.call(AdminRequest::Why).await)
}

pub(crate) async fn metrics<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    answer::reply(shared.port.call(AdminRequest::Metrics).await)
}

pub(crate) async fn conflicts<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    ask_conflicts(&shared, ConflictRequest::List).await
}

pub(crate) async fn conflict_lines<P: AdminPort>(
    State(shared): State<Shared<P>>,
    Path(id): Path<String>,
) -> Response {
    ask_conflicts(&shared, ConflictRequest::Show { id }).await
}

pub(crate) async fn conflict_diff<P: AdminPort>(
    State(shared): State<Shared<P>>,
    Path(id): Path<String>,
) -> Response {
    ask_conflicts(&shared, ConflictRequest::Diff { id }).await
}

pub(crate) async fn conflict_apply<P: AdminPort>(
    State(shared): State<Shared<P>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    match parse::<ApplyBody>(&body) {
        Ok(how) => ask_conflicts(&shared, ConflictRequest::Apply { id, how }).await,
        Err(response) => response,
    }
}

pub(crate) async fn conflict_discard<P: AdminPort>(
    State(shared): State<Shared<P>>,
    Path(id): Path<String>,
) -> Response {
    ask_conflicts(&shared, ConflictRequest::Discard { id }).await
}

async fn ask_conflicts<P: AdminPort>(shared: &Shared<P>, request: ConflictRequest) -> Response {
    answer::reply(shared.port.call(AdminRequest::Conflicts(request)).await)
}

pub(crate) async fn promote<P: AdminPort>(
    State(shared): State<Shared<P>>,
    body: Bytes,
) -> Response {
    match parse::<PromoteRequest>(&body) {
        Ok(request) => answer::reply(shared.port.call(AdminRequest::Promote(request)).await),
        Err(response) => response,
    }
}

pub(crate) async fn solo<P: AdminPort>(State(shared): State<Shared<P>>, body: Bytes) -> Response {
    match parse::<SoloRequest>(&body) {
        Ok(request) => answer::reply(shared.port.call(AdminRequest::Solo(request)).await),
        Err(response) => response,
    }
}

pub(crate) async fn switch<P: AdminPort>(State(shared): State<Shared<P>>, body: Bytes) -> Response {
    match parse::<SwitchRequest>(&body) {
        Ok(request) => answer::reply(shared.port.call(AdminRequest::Switch(request)).await),
        Err(response) => response,
    }
}

pub(crate) async fn confirm<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    answer::reply(shared.port.call(AdminRequest::Confirm).await)
}

pub(crate) async fn reject<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    answer::reply(shared.port.call(AdminRequest::Reject).await)
}

pub(crate) async fn pause<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    answer::reply(shared.port.call(AdminRequest::Pause).await)
}

pub(crate) async fn resume<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    answer::reply(shared.port.call(AdminRequest::Resume).await)
}

/// What keepalived says: no default either.
pub(crate) async fn address<P: AdminPort>(
    State(shared): State<Shared<P>>,
    body: Bytes,
) -> Response {
    match serde_json::from_slice::<AddressRequest>(&body) {
        Ok(request) => answer::reply(shared.port.call(AdminRequest::Address(request)).await),
        Err(error) => not_expected(&error),
    }
}

/// Answers at once: a comparison takes as long as there is data.
pub(crate) async fn verify<P: AdminPort>(State(shared): State<Shared<P>>, body: Bytes) -> Response {
    match parse::<VerifyRequest>(&body) {
        Ok(request) => answer::reply(shared.port.call(AdminRequest::Verify(request)).await),
        Err(response) => response,
    }
}

/// Unlike the others it has no default: nothing is killed by an empty body.
pub(crate) async fn drill<P: AdminPort>(State(shared): State<Shared<P>>, body: Bytes) -> Response {
    match serde_json::from_slice(&body) {
        Ok(request) => match shared.port.drill(request).await {
            Ok(done) => answer::reply(Ok(AdminReply::Done(done))),
            Err(refused) => answer::refused(&refused),
        },
        Err(error) => not_expected(&error),
    }
}

/// An empty body means "all defaults".
#[expect(
    clippy::result_large_err,
    reason = "the error is the answer itself, made once per bad request"
)]
fn parse<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Response> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| not_expected(&error))
}

fn not_expected(error: &serde_json::Error) -> Response {
    let text = format!("the body is not what was expected: {error}");
    answer::error(StatusCode::BAD_REQUEST, &text)
}

pub(crate) async fn backup<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    let start = match shared.port.backup().await {
        Ok(start) => start,
        Err(refused) => return answer::refused(&refused),
    };
    let disposition = format!(
        "attachment; filename=\"{}\"",
        start.file_name.replace(['"', '\\', '\r', '\n'], "_")
    );
    let disposition = HeaderValue::from_str(&disposition)
        .unwrap_or_else(|_| HeaderValue::from_static("attachment"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, Body::from_stream(ChannelStream::new(start.pieces))).into_response()
}

/// The process answers. Nothing of the node is asked: a busy node is alive.
pub(crate) async fn health() -> Response {
    answer::json(StatusCode::OK, &serde_json::json!({ "ok": true }))
}

pub(crate) async fn health_primary<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    in_role(&shared.port, RoleName::Primary).await
}

pub(crate) async fn health_replica<P: AdminPort>(State(shared): State<Shared<P>>) -> Response {
    in_role(&shared.port, RoleName::Replica).await
}

/// For load balancers: 200 only in that role. A primary that is stalled, or that refuses writes, is no place to
/// send writes to; the reason says why.
async fn in_role<P: AdminPort>(port: &P, wanted: RoleName) -> Response {
    match port.call(AdminRequest::Status).await {
        Ok(AdminReply::Status(view)) => {
            let refused = view.writes_refused.filter(|_| wanted == RoleName::Primary);
            let fits = view.role == wanted && !view.stalled && refused.is_none();
            let status = if fits { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            let mut said =
                serde_json::json!({ "ok": fits, "role": view.role, "stalled": view.stalled });
            if let Some(reason) = refused.or(view.waiting_for).filter(|_| !fits) {
                said["reason"] = reason.into();
            }
            answer::json(status, &said)
        }
        Ok(_) | Err(_) => answer::gone(),
    }
}

pub(crate) async fn openapi() -> Response {
    answer::typed(StatusCode::OK, "application/json", include_str!("openapi.json").to_owned())
}
