//! Zone keys: the keys under which PINs leave for the next host on their way to the issuer.
//!
//! They are exchanged as X9.143 blocks under a zone master key that people entered into the HSM by components. These
//! functions are for people's tools; a server only reads what they stored.

use hsm::{
    Hsm, HsmError, KeyBlock,
    commands::{ImportZoneKey, MakeZoneKey, ZoneAlgorithm, ZoneKey},
};
use serde_json::json;
use store::{NewZoneKey, Store, StoreError, ZoneKeyRecord};
use wire::Serial;

use crate::kms::event;

/// Who does it, and for which acquirer.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// The acquirer's id, which every key has as its owner.
    pub owner: &'a str,
    /// The person, for the audit.
    pub actor: &'a str,
}

/// A zone's active key, as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// `tdes` or `aes`.
    pub algorithm: String,
    /// The check value, upper-case hex: 3 bytes (TDES) or 5 (AES).
    pub kcv: String,
    /// Since when, Unix milliseconds; nothing for one that is only just stored.
    pub since: Option<i64>,
}

/// Why a zone has no new key.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    /// The name is none.
    #[error("{0:?} is no name of a zone: 1 to 32 of A-Z a-z 0-9 - . _")]
    Name(String),
    /// The HSM does not take the key, or cannot be reached.
    #[error("{0}")]
    Hsm(#[from] HsmError),
    /// The store failed: nothing has changed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Takes a zone's key from the other side, as a block under the zone master key `under`. It becomes the zone's active
/// key; the one before is retired.
///
/// # Errors
/// [`ZoneError`]; then nothing has changed.
pub async fn import<S: Store, H: Hsm>(
    hsm: &H,
    store: &S,
    under: &KeyBlock,
    (zone, block): (&str, &str),
    by: By<'_>,
) -> Result<Zone, ZoneError> {
    check(zone)?;
    let command = ImportZoneKey {
        under: under.clone(),
        block: block.to_owned(),
        owner: by.owner.to_owned(),
        zone: zone.to_owned(),
    };
    keep(store, zone, hsm.call(command).await?, "zone-key.imported", by).await
}

/// Makes a zone's key and gives it for the other side, as a block under the zone master key `under`. It becomes the
/// zone's active key; the one before is retired.
///
/// # Errors
/// [`ZoneError`]; then nothing has changed.
pub async fn make<S: Store, H: Hsm>(
    hsm: &H,
    store: &S,
    under: &KeyBlock,
    (zone, algorithm): (&str, ZoneAlgorithm),
    by: By<'_>,
) -> Result<(Zone, String), ZoneError> {
    check(zone)?;
    let command =
        MakeZoneKey { under: under.clone(), owner: by.owner.to_owned(), zone: zone.to_owned(), algorithm };
    let made = hsm.call(command).await?;
    // Stored before it is given out: nobody holds a key that this side has lost.
    let kept = keep(store, zone, made.key, "zone-key.made", by).await?;
    Ok((kept, made.under_zone))
}

/// The active keys of all zones, by name.
///
/// # Errors
/// [`ZoneError::Store`].
pub async fn list<S: Store>(store: &S) -> Result<Vec<Zone>, ZoneError> {
    Ok(store.zone_keys().await?.into_iter().map(shown).collect())
}

async fn keep<S: Store>(
    store: &S,
    zone: &str,
    key: ZoneKey,
    kind: &'static str,
    by: By<'_>,
) -> Result<Zone, ZoneError> {
    let algorithm = word(key.algorithm);
    let kept = Zone { name: zone.to_owned(), algorithm: algorithm.into(), kcv: hex(&key.kcv), since: None };
    let detail = json!({ "algorithm": algorithm, "kcv": kept.kcv });
    let new = NewZoneKey {
        zone: zone.to_owned(),
        block: key.block.into(),
        algorithm: algorithm.into(),
        kcv: key.kcv,
    };
    store.put_zone_key(new, event(kind, by.actor, zone, detail)).await?;
    Ok(kept)
}

fn shown(ZoneKeyRecord { key, created_at, .. }: ZoneKeyRecord) -> Zone {
    Zone { kcv: hex(&key.kcv), name: key.zone, algorithm: key.algorithm, since: Some(created_at) }
}

/// A zone's name has a serial's form; the HSM binds it into the key.
fn check(zone: &str) -> Result<(), ZoneError> {
    Serial::parse(zone).map(|_| ()).map_err(|_| ZoneError::Name(zone.to_owned()))
}

fn word(algorithm: ZoneAlgorithm) -> &'static str {
    match algorithm {
        ZoneAlgorithm::Tdes => "tdes",
        ZoneAlgorithm::Aes => "aes",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
