use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{FromRequest, Query, Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hsm::Hsm;
use pki::Certificate;
use serde::Deserialize;
use serde_json::json;
use store::Store;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::body::{self, Defect, MaxBody};
use crate::{
    kms::{AllowanceRefusal, ApprovalRefusal, BatchRefusal, Kms, OrderRefusal, UploadRefusal},
    windows::WindowRefusal,
};

/// Time for one request, from its head to its answer: the largest package over a slow line, and its checks.
const REQUEST: Duration = Duration::from_secs(60);

const CMS: &str = "application/cms";
const PEM: &str = "application/x-pem-file";

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source(pub(crate) IpAddr);

/// All routes, with the largest body in bytes. Each request carries its [`Source`] as an extension.
pub(crate) fn router<S: Store, H: Hsm>(kms: Arc<Kms<S, H>>, max_body: usize) -> Router {
    Router::new()
        .route("/v1/ceremonies", post(ceremonies))
        .route("/v1/collections", post(collections))
        .route("/v1/orders", post(orders))
        .route("/v1/batches", post(batches))
        .route("/v1/suites", post(suites))
        .route("/v1/kld-reports", post(kld_reports))
        .route("/v1/collection-windows", post(collection_windows))
        .route("/v1/replacements", get(replacements))
        .route("/v1/approvals", post(approvals))
        .route("/v1/work-certificate", get(work_certificate))
        .route("/v1/crl", get(revocation_lists))
        .route("/v1/health", get(health))
        .layer(Extension(MaxBody(max_body)))
        .layer(middleware::from_fn(in_time))
        .with_state(kms)
}

/// A request that comes drop by drop is let go: its place is for others.
async fn in_time(request: Request, next: Next) -> Response {
    match timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            refuse(StatusCode::REQUEST_TIMEOUT, "too-slow", &"the request took too long; send it again")
        }
    }
}

async fn ceremonies<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(Source(source)): Extension<Source>,
    CmsBody(body): CmsBody,
) -> Response {
    match kms.give_ceremony(&body, source).await {
        Ok(given) => Json(given).into_response(),
        Err(refusal) => refuse_upload(&refusal),
    }
}

async fn suites<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(Source(source)): Extension<Source>,
    CmsBody(body): CmsBody,
) -> Response {
    match kms.take_allowance(&body, source).await {
        Ok(text) => Json(json!({ "ok": true, "text": text })).into_response(),
        Err(AllowanceRefusal::Upload(refusal)) => refuse_upload(&refusal),
        Err(refusal) => refuse(StatusCode::CONFLICT, refusal.code(), &refusal),
    }
}

async fn orders<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(Source(source)): Extension<Source>,
    CmsBody(body): CmsBody,
) -> Response {
    match kms.take_order(&body, source).await {
        Ok(text) => Json(json!({ "ok": true, "text": text })).into_response(),
        Err(OrderRefusal::Upload(refusal)) => refuse_upload(&refusal),
        Err(refusal) => refuse(StatusCode::CONFLICT, refusal.code(), &refusal),
    }
}

async fn batches<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(Source(source)): Extension<Source>,
    CmsBody(body): CmsBody,
) -> Response {
    let refusal = match kms.take_batch(&body, source).await {
        Ok(answer) => return Json(answer).into_response(),
        Err(BatchRefusal::Upload(refusal)) => return refuse_upload(&refusal),
        Err(refusal) => refusal,
    };
    let (code, text) = (refusal.code(), refusal.to_string());
    tracing::warn!(code, %refusal, "batch refused");
    match refusal {
        BatchRefusal::Received(receipt) => {
            let error = batch::Refused { code: code.into(), text };
            (StatusCode::CONFLICT, Json(batch::Received { error, receipt: *receipt })).into_response()
        }
        BatchRefusal::WrongMac(_) | BatchRefusal::OthersCard(_) => refuse(StatusCode::FORBIDDEN, code, &text),
        _ => refuse(StatusCode::UNPROCESSABLE_ENTITY, code, &text),
    }
}

async fn collections<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(Source(source)): Extension<Source>,
    CmsBody(body): CmsBody,
) -> Response {
    match kms.take_collection(&body, source).await {
        Ok(results) => Json(json!({ "results": results })).into_response(),
        Err(refusal) => refuse_upload(&refusal),
    }
}

async fn kld_reports<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(Source(source)): Extension<Source>,
    CmsBody(body): CmsBody,
) -> Response {
    match kms.take_kld_report(&body, source).await {
        Ok(results) => Json(json!({ "results": results })).into_response(),
        Err(refusal) => refuse_upload(&refusal),
    }
}

async fn collection_windows<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(Source(source)): Extension<Source>,
    CmsBody(body): CmsBody,
) -> Response {
    match kms.take_windows(&body, source).await {
        Ok(text) => Json(json!({ "ok": true, "text": text })).into_response(),
        Err(WindowRefusal::Upload(refusal)) => refuse_upload(&refusal),
        Err(refusal @ WindowRefusal::SamePerson) => refuse(StatusCode::FORBIDDEN, refusal.code(), &refusal),
        Err(refusal @ WindowRefusal::OtherRequest) => refuse(StatusCode::CONFLICT, refusal.code(), &refusal),
    }
}

async fn approvals<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(Source(source)): Extension<Source>,
    CmsBody(body): CmsBody,
) -> Response {
    match kms.take_approval(&body, source).await {
        Ok(text) => Json(json!({ "ok": true, "text": text })).into_response(),
        Err(ApprovalRefusal::Upload(refusal)) => refuse_upload(&refusal),
        Err(refusal @ ApprovalRefusal::SamePerson) => refuse(StatusCode::FORBIDDEN, refusal.code(), &refusal),
        Err(refusal) => refuse(StatusCode::CONFLICT, refusal.code(), &refusal),
    }
}

async fn replacements<S: Store, H: Hsm>(State(kms): State<Arc<Kms<S, H>>>) -> Response {
    match kms.replacements().await {
        Ok(waiting) => Json(waiting).into_response(),
        Err(failure) => fail(&failure),
    }
}

/// Which work certificate is asked for.
#[derive(Debug, Deserialize)]
struct InSuite {
    /// Suite 01 unless told otherwise.
    suite: Option<u8>,
}

/// The work certificate that new collections of a suite use, and those between it and its root, PEM.
async fn work_certificate<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Query(InSuite { suite }): Query<InSuite>,
) -> Response {
    let suite = suite.map_or(wire::Suite::TDES, wire::Suite::new);
    let read = async {
        let Some(key) = kms.store.active_work_key(suite).await? else { return Ok(None) };
        kms.work_of(&key.certificate_sha256).await
    };
    match read.await {
        Ok(Some(work)) => match Certificate::all_from_der(&work.record.intermediates) {
            Ok(between) => {
                pem(std::iter::once(&work.certificate).chain(&between).map(Certificate::pem).collect())
            }
            Err(error) => fail(&error),
        },
        Ok(None) => refuse(
            StatusCode::NOT_FOUND,
            "no-work-key",
            &format_args!("there is no active work key of suite {suite}; install one first"),
        ),
        Err(error) => fail(&error),
    }
}

async fn revocation_lists<S: Store, H: Hsm>(State(kms): State<Arc<Kms<S, H>>>) -> Response {
    pem(kms.trust.crls().iter().map(pki::Crl::pem).collect())
}

async fn health<S: Store, H: Hsm>(State(kms): State<Arc<Kms<S, H>>>) -> Response {
    match kms.healthy().await {
        Ok(()) => Json(json!({ "ok": true })).into_response(),
        Err(failure) => fail(&failure),
    }
}

/// A whole CMS package as a request's body: every route that changes something takes one.
struct CmsBody(Zeroizing<Vec<u8>>);

impl<S: Send + Sync> FromRequest<S> for CmsBody {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        body::whole(request, CMS).await.map(Self).map_err(|defect| {
            let text: &dyn std::fmt::Display = match defect {
                Defect::Media => &format_args!("send the package as {CMS}"),
                Defect::TooLarge => &"the package is larger than this server takes; split it",
                Defect::Broken => &"the package did not arrive whole",
            };
            refuse(defect.status(), defect.code(), text)
        })
    }
}

fn refuse_upload(refusal: &UploadRefusal) -> Response {
    let status = match refusal {
        UploadRefusal::Signature(_)
        | UploadRefusal::Certificate(_)
        | UploadRefusal::SamePerson
        | UploadRefusal::Ceremony(_) => StatusCode::FORBIDDEN,
        UploadRefusal::Content(_) => StatusCode::UNPROCESSABLE_ENTITY,
        UploadRefusal::Duplicate => StatusCode::CONFLICT,
        UploadRefusal::Failure(failure) => return fail(failure),
    };
    tracing::warn!(code = refusal.code(), %refusal, "upload refused");
    refuse(status, refusal.code(), refusal)
}

fn refuse(status: StatusCode, code: &str, text: &dyn std::fmt::Display) -> Response {
    (status, Json(json!({ "error": { "code": code, "text": text.to_string() } }))).into_response()
}

/// Our own failure: the reason goes to the log, not to a peer whom we need not know.
fn fail(failure: &dyn std::fmt::Display) -> Response {
    tracing::error!(%failure, "request failed");
    refuse(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        &"the server failed; its log says why. Try again later",
    )
}

fn pem(text: String) -> Response {
    ([(CONTENT_TYPE, PEM)], Body::from(text)).into_response()
}
