//! A request's body: whole, of a bounded length, and wiped afterwards, since card numbers may be in it.

use std::time::Duration;

use axum::{
    body::BodyDataStream,
    extract::Request,
    http::{StatusCode, header::CONTENT_TYPE},
};
use futures_util::StreamExt as _;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Bytes of a refused body that are read at most, and how long each part may take.
const MAX_DRAINED: usize = 4 << 20;
const DRAIN: Duration = Duration::from_secs(2);

/// The longest body that is taken, bytes: an extension of every request.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaxBody(pub(super) usize);

/// Why a body is not taken. The text for people is the interface's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// Another media type.
    Media,
    /// More than [`MaxBody`].
    TooLarge,
    /// It did not arrive whole.
    Broken,
}

impl Defect {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Media => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }

    /// For programs.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Media => "wrong-media-type",
            Self::TooLarge => "too-large",
            Self::Broken => "body",
        }
    }
}

/// Reads a whole body of this media type. What is refused is read too, within bounds, so that the client hears why.
pub(super) async fn whole(request: Request, media: &str) -> Result<Zeroizing<Vec<u8>>, Defect> {
    let found = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let found = found.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !found.eq_ignore_ascii_case(media) {
        drain(request).await;
        return Err(Defect::Media);
    }
    let MaxBody(longest) = request.extensions().get().copied().unwrap_or(MaxBody(0));
    let mut stream = request.into_body().into_data_stream();
    let mut body = Zeroizing::new(Vec::new());
    while let Some(part) = stream.next().await {
        let part = part.map_err(|_| Defect::Broken)?;
        if body.len() + part.len() > longest {
            drain_rest(&mut stream).await;
            return Err(Defect::TooLarge);
        }
        append(&mut body, &part);
    }
    Ok(body)
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
