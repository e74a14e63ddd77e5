//! Which path answers what.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Router, extract::FromRef};

use crate::guard::Guard;
use crate::{AdminPort, BODY_BYTES_MAX, answer, api, events, guard, page};

/// Method and path of everything that is served; `openapi.json` describes the same.
pub const ROUTES: &[(&str, &str)] = &[
    ("get", "/"),
    ("get", "/pair"),
    ("get", "/console.css"),
    ("get", "/console.js"),
    ("get", "/api/v1/status"),
    ("get", "/api/v1/events"),
    ("get", "/api/v1/history"),
    ("get", "/api/v1/why"),
    ("get", "/api/v1/backup"),
    ("get", "/api/v1/conflicts"),
    ("get", "/api/v1/conflicts/{id}"),
    ("get", "/api/v1/conflicts/{id}/diff"),
    ("post", "/api/v1/conflicts/{id}/apply"),
    ("post", "/api/v1/conflicts/{id}/discard"),
    ("post", "/api/v1/promote"),
    ("post", "/api/v1/solo"),
    ("post", "/api/v1/switch"),
    ("post", "/api/v1/confirm"),
    ("post", "/api/v1/reject"),
    ("post", "/api/v1/pause"),
    ("post", "/api/v1/resume"),
    ("post", "/api/v1/address"),
    ("post", "/api/v1/verify"),
    ("post", "/api/v1/drill"),
    ("get", "/metrics"),
    ("get", "/health"),
    ("get", "/health/primary"),
    ("get", "/health/replica"),
    ("get", "/openapi.json"),
];

/// A request that is not a stream must be done in this time, body included.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);

/// What every handler can reach.
pub(crate) struct Shared<P> {
    pub(crate) port: P,
    pub(crate) guard: Arc<Guard>,
    pub(crate) streams: events::Streams,
}

impl<P: Clone> Clone for Shared<P> {
    fn clone(&self) -> Self {
        Self {
            port: self.port.clone(),
            guard: Arc::clone(&self.guard),
            streams: self.streams.clone(),
        }
    }
}

impl<P> FromRef<Shared<P>> for Arc<Guard> {
    fn from_ref(shared: &Shared<P>) -> Self {
        Self::clone(&shared.guard)
    }
}

/// All routes over `port`.
pub(crate) fn router<P: AdminPort>(port: P, guard: Guard) -> Router {
    let guard = Arc::new(guard);
    let shared = Shared { port, guard: Arc::clone(&guard), streams: events::Streams::new() };
    let changes = Router::new()
        .route("/api/v1/promote", post(api::promote::<P>))
        .route("/api/v1/solo", post(api::solo::<P>))
        .route("/api/v1/switch", post(api::switch::<P>))
        .route("/api/v1/confirm", post(api::confirm::<P>))
        .route("/api/v1/reject", post(api::reject::<P>))
        .route("/api/v1/pause", post(api::pause::<P>))
        .route("/api/v1/resume", post(api::resume::<P>))
        .route("/api/v1/address", post(api::address::<P>))
        .route("/api/v1/verify", post(api::verify::<P>))
        .route("/api/v1/conflicts/{id}/apply", post(api::conflict_apply::<P>))
        .route("/api/v1/conflicts/{id}/discard", post(api::conflict_discard::<P>))
        .route("/api/v1/drill", post(api::drill::<P>))
        // Whoever reads these reads clients' data.
        .route("/api/v1/conflicts/{id}", get(api::conflict_lines::<P>))
        .route("/api/v1/conflicts/{id}/diff", get(api::conflict_diff::<P>))
        .route("/api/v1/backup", get(api::backup::<P>))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&guard), guard::needs_token));
    Router::new()
        .route("/", get(page::whole::<P>))
        .route("/pair", get(page::fragment::<P>))
        .route("/console.css", get(page::style))
        .route("/console.js", get(page::script))
        .route("/api/v1/status", get(api::status::<P>))
        .route("/api/v1/events", get(events::events::<P>))
        .route("/api/v1/history", get(api::history::<P>))
        .route("/api/v1/why", get(api::why::<P>))
        .route("/api/v1/conflicts", get(api::conflicts::<P>))
        .route("/metrics", get(api::metrics::<P>))
        .route("/health", get(api::health))
        .route("/health/primary", get(api::health_primary::<P>))
        .route("/health/replica", get(api::health_replica::<P>))
        .route("/openapi.json", get(api::openapi))
        .merge(changes)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(within_time))
        .layer(middleware::from_fn_with_state(guard, guard::known_host))
        .layer(middleware::from_fn(headers))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

async fn not_found() -> Response {
    answer::error(StatusCode::NOT_FOUND, "no such path; see /openapi.json")
}

async fn method_not_allowed() -> Response {
    answer::error(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not take that method; see /openapi.json",
    )
}

/// The time until the answer begins; streams then take as long as they take.
async fn within_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIME_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => answer::error(StatusCode::REQUEST_TIMEOUT, "the request took longer than 10 s"),
    }
}

/// What a browser may do with our answers: nothing but show our own page.
const SECURITY_HEADERS: [(header::HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
