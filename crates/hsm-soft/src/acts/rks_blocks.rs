//! The key blocks of flow C (2-wire.md section 4's table): AT ‖ TK1 under DIK2, keys under TK.

use hsm::Refusal;
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Version};
use paycrypto::{
    TdesKey,
    blocks::{BlockKey, BlockRule},
    keys::Dik2,
};
use zeroize::Zeroizing;

use crate::{hex, purpose, rks_tickets::Token};

/// TK of flow C, checked.
pub(super) struct DeviceTk(TdesKey);

impl DeviceTk {
    pub(super) fn new(tk: &[u8]) -> Result<Self, paycrypto::Error> {
        TdesKey::from_bytes_strict(tk).map(Self)
    }
}

pub(super) fn wrap_token(
    dik2: &Dik2,
    token: &Token,
    place: &str,
    context: &[u8; 16],
) -> Result<String, Refusal> {
    let clear = Zeroizing::new([*token.at, *token.tk1].concat());
    let rule = BlockRule { usage: purpose::TOKEN, algorithm: Algorithm::TDES, mode: Mode::NO_RESTRICTION };
    wrap(dik2.key(), rule, &clear, place, context)
}

pub(super) fn wrap_key<K: BlockKey>(
    tk: &DeviceTk,
    key: &K,
    place: &str,
    context: &[u8; 16],
) -> Result<String, Refusal> {
    wrap(&tk.0, K::RULE, key.key().expose(), place, context)
}

fn wrap(
    under: &TdesKey,
    rule: BlockRule,
    key: &[u8],
    place: &str,
    context: &[u8; 16],
) -> Result<String, Refusal> {
    let BlockRule { usage, algorithm, mode } = rule;
    Header::new(Version::B, usage, algorithm, mode, Exportability::NOT_EXPORTABLE)
        .with_optional("10", place)
        .and_then(|header| header.with_optional("11", hex(context)))
        .and_then(|header| Kbpk::new(Version::B, under.expose())?.wrap(&header, key))
        .map_err(|e| Refusal::NotMade { why: e.to_string() })
}
