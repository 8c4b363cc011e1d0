//! A request's body: whole, of a bounded length, and wiped afterwards, since card numbers are in it.

use std::time::Duration;

use axum::{
    body::BodyDataStream,
    extract::{FromRequest, Request},
    http::{StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use futures_util::StreamExt as _;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::answers::refuse;

/// The media type of requests.
const JSON: &str = "application/json";
/// Bytes of a refused body that are read at most, and how long each part may take.
const MAX_DRAINED: usize = 4 << 20;
const DRAIN: Duration = Duration::from_secs(2);

/// The longest body that is taken, bytes: an extension of every request.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaxBody(pub(super) usize);

/// A whole JSON body.
pub(super) struct Body(pub(super) Zeroizing<Vec<u8>>);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let media = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case(JSON) {
            drain(request).await;
            let text = "send the request as application/json";
            return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong-media-type", text));
        }
        let MaxBody(longest) = request.extensions().get().copied().unwrap_or(MaxBody(0));
        let mut stream = request.into_body().into_data_stream();
        let mut body = Zeroizing::new(Vec::new());
        while let Some(part) = stream.next().await {
            let Ok(part) = part else {
                let text = "the request did not arrive whole";
                return Err(refuse(StatusCode::BAD_REQUEST, "body", text));
            };
            if body.len() + part.len() > longest {
                drain_rest(&mut stream).await;
                let text = "the request is larger than this server takes; split it";
                return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "too-large", text));
            }
            append(&mut body, &part);
        }
        Ok(Self(body))
    }
}

/// Reads what was sent and lets it go: a client that is answered before it has sent everything sees the connection break
/// and not the answer.
pub(super) async fn drain(request: Request) {
    drain_rest(&mut request.into_body().into_data_stream()).await;
}

async fn drain_rest(stream: &mut BodyDataStream) {
    let mut left = MAX_DRAINED;
    while let Ok(Some(Ok(part))) = timeout(DRAIN, stream.next()).await {
        left = left.saturating_sub(part.len());
        if left == 0 {
            return;
        }
    }
}

/// A vector that grows leaves what it held where it was: a longer one is made, and the old one wiped.
fn append(body: &mut Zeroizing<Vec<u8>>, part: &[u8]) {
    if body.capacity() - body.len() < part.len() {
        let mut longer = Vec::with_capacity((body.len() + part.len()).next_power_of_two());
        longer.extend_from_slice(body);
        *body = Zeroizing::new(longer);
    }
    body.extend_from_slice(part);
}
