use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use hsm::Hsm;
use serde::Deserialize;
use store::{Store, limits};
use tokio::time::timeout;
use utoipa::IntoParams;

use super::super::body::{MaxBody, drain};
use super::{
    answers::{self, fail, hex, ok, refuse, unhex},
    clients::Client,
    openapi,
    requests::{Body, mac_check, mac_request, pin_request, read, read_batch, whose},
    types::{
        Batch, Checked, ConfirmRequest, Done, ErrorBody, ItemResult, Mac, MacCheckItem, MacItem, NewTerminal,
        NewTerminals, Results, SignInRequest, Terminal, Terminals, TranslateItem, Translated,
        WorkingKeyBlock, WorkingKeys,
    },
};
use crate::{
    host::{
        MacResult,
        identity::{self, NewIdentity, Wanted},
        refusal::{HostError, HostRefusal},
    },
    kms::{Kms, strangers::Strangers},
};

/// Time for one request, from its head to its answer.
const REQUEST: Duration = Duration::from_secs(30);

/// Every path that is described; this one's own description apart.
#[cfg(test)]
pub(super) const PATHS: &[&str] = &[
    "/v1/pin/translate",
    "/v1/pin/translate/batch",
    "/v1/mac/generate",
    "/v1/mac/generate/batch",
    "/v1/mac/verify",
    "/v1/mac/verify/batch",
    "/v1/working-keys",
    "/v1/working-keys/confirm",
    "/v1/terminals",
];

/// Who asks: nobody where the certificate is good and its name is not on the list.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) client: Option<Client>,
    pub(super) address: IpAddr,
}

/// All routes, with the largest body in bytes. Each request carries its [`Peer`] as an extension.
pub(crate) fn router<S: Store, H: Hsm>(kms: Arc<Kms<S, H>>, max_body: usize) -> Router {
    Router::new()
        .route("/v1/pin/translate", post(translate))
        .route("/v1/pin/translate/batch", post(translate_batch))
        .route("/v1/mac/generate", post(mac_generate))
        .route("/v1/mac/generate/batch", post(mac_generate_batch))
        .route("/v1/mac/verify", post(mac_verify))
        .route("/v1/mac/verify/batch", post(mac_verify_batch))
        .route("/v1/working-keys", post(working_keys))
        .route("/v1/working-keys/confirm", post(working_keys_confirm))
        .route("/v1/terminals", get(terminals).post(name_terminals))
        .route("/v1/openapi.json", get(|| async { ok(&openapi::description()) }))
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, "no-such-route", "see GET /v1/openapi.json") })
        .layer(Extension(MaxBody(max_body)))
        .layer(middleware::from_fn_with_state(kms.refused_posp.clone(), admit))
        .with_state(kms)
}

/// Only clients of the list, each only so much at once, and nobody for ever. What is refused to a client as a whole is
/// counted under its name: which terminal and why, where there is one, is counted beside.
async fn admit(
    State(refused): State<Strangers>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let Some(client) = &peer.client else {
        let text =
            "the certificate is good, but is not for TLS clients or its common name is not in [posp] clients";
        return refuse(StatusCode::FORBIDDEN, "unknown-client", text);
    };
    let response = serve(client, request, next).await;
    if response.status().is_client_error() {
        refused.count(peer.address, client.name(), format!("HTTP {}", response.status().as_u16()));
    }
    response
}

async fn serve(client: &Client, request: Request, next: Next) -> Response {
    let Some(_place) = client.enter().await else {
        drain(request).await;
        let text = "this client has as many requests in work as it may; wait for their answers";
        return refuse(StatusCode::TOO_MANY_REQUESTS, "busy", text);
    };
    match timeout(REQUEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!(client = client.name(), "a POSP's request took too long");
            refuse(StatusCode::REQUEST_TIMEOUT, "too-slow", "the request took too long; send it again")
        }
    }
}

/// Translates one PIN block.
#[utoipa::path(post, path = "/v1/pin/translate", request_body = TranslateItem<'_>, responses(
    (status = 200, body = Translated), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
async fn translate<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(peer): Extension<Peer>,
    Body(body): Body,
) -> Response {
    let item: TranslateItem<'_> = match read(&body) {
        Ok(item) => item,
        Err(refusal) => return fail(&refusal.into()),
    };
    match one(kms.translate_pins(vec![pin_request(&item)], peer.address).await) {
        Ok(block) => ok(&Translated { pin_block: hex(&block) }),
        Err(error) => fail(&error),
    }
}

/// Translates up to 1 024 PIN blocks.
#[utoipa::path(post, path = "/v1/pin/translate/batch", request_body = Batch<TranslateItem<'_>>, responses(
    (status = 200, body = Results), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
async fn translate_batch<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(peer): Extension<Peer>,
    Body(body): Body,
) -> Response {
    let items: Vec<TranslateItem<'_>> = match read_batch(&body) {
        Ok(items) => items,
        Err(refusal) => return fail(&refusal.into()),
    };
    match kms.translate_pins(items.iter().map(pin_request).collect(), peer.address).await {
        Ok(results) => all(results, answers::translated),
        Err(error) => fail(&error),
    }
}

/// Makes one MAC.
#[utoipa::path(post, path = "/v1/mac/generate", request_body = MacItem<'_>, responses(
    (status = 200, body = Mac), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
async fn mac_generate<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(peer): Extension<Peer>,
    Body(body): Body,
) -> Response {
    let item: MacItem<'_> = match read(&body) {
        Ok(item) => item,
        Err(refusal) => return fail(&refusal.into()),
    };
    match one(kms.macs(vec![mac_request(&item)], peer.address).await) {
        Ok(MacResult::Made(mac)) => ok(&Mac { mac: hex(&mac) }),
        Ok(MacResult::Checked(_)) => fail(&HostRefusal::Internal.into()),
        Err(error) => fail(&error),
    }
}

/// Makes up to 1 024 MACs.
#[utoipa::path(post, path = "/v1/mac/generate/batch", request_body = Batch<MacItem<'_>>, responses(
    (status = 200, body = Results), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
async fn mac_generate_batch<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(peer): Extension<Peer>,
    Body(body): Body,
) -> Response {
    let items: Vec<MacItem<'_>> = match read_batch(&body) {
        Ok(items) => items,
        Err(refusal) => return fail(&refusal.into()),
    };
    match kms.macs(items.iter().map(mac_request).collect(), peer.address).await {
        Ok(results) => all(results, answers::mac),
        Err(error) => fail(&error),
    }
}

/// Checks one MAC.
#[utoipa::path(post, path = "/v1/mac/verify", request_body = MacCheckItem<'_>, responses(
    (status = 200, body = Checked), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
async fn mac_verify<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(peer): Extension<Peer>,
    Body(body): Body,
) -> Response {
    let item: MacCheckItem<'_> = match read(&body) {
        Ok(item) => item,
        Err(refusal) => return fail(&refusal.into()),
    };
    match one(kms.macs(vec![mac_check(&item)], peer.address).await) {
        Ok(MacResult::Checked(right)) => ok(&Checked { ok: right }),
        Ok(MacResult::Made(_)) => fail(&HostRefusal::Internal.into()),
        Err(error) => fail(&error),
    }
}

/// Checks up to 1 024 MACs.
#[utoipa::path(post, path = "/v1/mac/verify/batch", request_body = Batch<MacCheckItem<'_>>, responses(
    (status = 200, body = Results), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
async fn mac_verify_batch<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(peer): Extension<Peer>,
    Body(body): Body,
) -> Response {
    let items: Vec<MacCheckItem<'_>> = match read_batch(&body) {
        Ok(items) => items,
        Err(refusal) => return fail(&refusal.into()),
    };
    match kms.macs(items.iter().map(mac_check).collect(), peer.address).await {
        Ok(results) => all(results, answers::mac),
        Err(error) => fail(&error),
    }
}

/// Makes working keys for a terminal whose SIGN_IN the POSP carries in its own message.
#[utoipa::path(post, path = "/v1/working-keys", request_body = SignInRequest<'_>, responses(
    (status = 200, body = WorkingKeys), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
async fn working_keys<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(peer): Extension<Peer>,
    Body(body): Body,
) -> Response {
    let request: SignInRequest<'_> = match read(&body) {
        Ok(request) => request,
        Err(refusal) => return fail(&refusal.into()),
    };
    let Some(payload) = unhex(&request.sign_in) else {
        return fail(&HostRefusal::Malformed("sign_in must be hex").into());
    };
    let by = peer.client.as_ref().map_or("", Client::name);
    match kms.sign_in_for_posp(&payload, by, peer.address).await {
        Ok(delivered) => {
            let block = |(kind, block)| WorkingKeyBlock { kind, block };
            let blocks = delivered.blocks.into_iter().map(block).collect();
            ok(&WorkingKeys { working_keys: hex(&delivered.working_keys), blocks })
        }
        Err(error) => fail(&error),
    }
}

/// Takes the terminal's confirmation: from here on the new working keys are used.
#[utoipa::path(post, path = "/v1/working-keys/confirm", request_body = ConfirmRequest<'_>, responses(
    (status = 200, body = Done), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
async fn working_keys_confirm<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(peer): Extension<Peer>,
    Body(body): Body,
) -> Response {
    let request: ConfirmRequest<'_> = match read(&body) {
        Ok(request) => request,
        Err(refusal) => return fail(&refusal.into()),
    };
    let whose = whose(request.sn.as_ref(), request.terminal_id.as_ref(), request.slot);
    let payload =
        unhex(&request.sign_in_confirm).ok_or(HostRefusal::Malformed("sign_in_confirm must be hex"));
    let (whose, payload) = match (whose, payload) {
        (Ok(whose), Ok(payload)) => (whose, payload),
        (Err(refusal), _) | (_, Err(refusal)) => return fail(&refusal.into()),
    };
    let by = peer.client.as_ref().map_or("", Client::name);
    match kms.confirm_for_posp(whose, &payload, by, peer.address).await {
        Ok(done) => ok(&Done { done: hex(&done) }),
        Err(error) => fail(&error),
    }
}

/// Which terminals to look up: exactly one of the three names.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct Lookup {
    /// A serial.
    sn: Option<String>,
    /// A terminal id.
    terminal_id: Option<String>,
    /// A merchant id: all of its terminals, up to 1 000.
    merchant_id: Option<String>,
    /// With `merchant_id`: from the serial after this one on.
    after: Option<String>,
}

/// Looks terminals up: serial, terminal id or merchant id.
#[utoipa::path(get, path = "/v1/terminals", params(Lookup), responses(
    (status = 200, body = Terminals), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
async fn terminals<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    lookup: Result<Query<Lookup>, QueryRejection>,
) -> Response {
    let wanted = match &lookup {
        Ok(Query(Lookup { sn: Some(sn), terminal_id: None, merchant_id: None, after: None })) => {
            Wanted::Serial(sn)
        }
        Ok(Query(Lookup { sn: None, terminal_id: Some(id), merchant_id: None, after: None })) => {
            Wanted::TerminalId(id)
        }
        Ok(Query(Lookup { sn: None, terminal_id: None, merchant_id: Some(id), after })) => {
            Wanted::MerchantId { id, after: after.as_deref() }
        }
        _ => {
            let text = "name one of sn, terminal_id and merchant_id; after goes with merchant_id only";
            return fail(&HostRefusal::Malformed(text).into());
        }
    };
    match identity::look_up(&*kms.store, wanted).await {
        Ok(found) => {
            let terminal = |found: store::TerminalIdentity| Terminal {
                sn: found.sn.to_string(),
                terminal_id: found.terminal_id,
                merchant_id: found.merchant_id,
            };
            ok(&Terminals { terminals: found.into_iter().map(terminal).collect() })
        }
        Err(error) => fail(&error.into()),
    }
}

/// Gives up to 1 000 terminals their names.
#[utoipa::path(post, path = "/v1/terminals", request_body = NewTerminals, responses(
    (status = 200, body = Results), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
async fn name_terminals<S: Store, H: Hsm>(
    State(kms): State<Arc<Kms<S, H>>>,
    Extension(peer): Extension<Peer>,
    Body(body): Body,
) -> Response {
    let batch: NewTerminals = match read(&body) {
        Ok(batch) => batch,
        Err(refusal) => return fail(&refusal.into()),
    };
    if batch.items.is_empty() || batch.items.len() > limits::IMPORT {
        return fail(&HostRefusal::Malformed("items must hold 1 to 1000").into());
    }
    let new = |item: NewTerminal| NewIdentity {
        sn: item.sn,
        terminal_id: item.terminal_id,
        merchant_id: item.merchant_id,
    };
    let by = peer.client.as_ref().map_or("", Client::name);
    match kms.name_terminals(batch.items.into_iter().map(new).collect(), by).await {
        Ok(outcomes) => {
            let results = outcomes.into_iter().map(|outcome| match outcome.code() {
                None => ItemResult { ok: true, ..ItemResult::default() },
                Some(code) => {
                    ItemResult { code: Some(code), text: Some(outcome.to_string()), ..ItemResult::default() }
                }
            });
            ok(&Results { results: results.collect() })
        }
        Err(error) => fail(&error),
    }
}

/// The one result of a request that is no batch.
fn one<T>(results: Result<Vec<Result<T, HostRefusal>>, HostError>) -> Result<T, HostError> {
    Ok(results?.pop().unwrap_or(Err(HostRefusal::Internal))?)
}

fn all<T>(
    results: Vec<Result<T, HostRefusal>>,
    answer: impl Fn(Result<T, HostRefusal>) -> ItemResult,
) -> Response {
    ok(&Results { results: results.into_iter().map(answer).collect() })
}
