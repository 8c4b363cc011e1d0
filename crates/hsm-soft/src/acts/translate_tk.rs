//! TKs between an MTMS and a KMS, and their check values.

use hsm::{
    Refusal,
    commands::{ImportTk, ImportedTk, TkCheckValues, TkSource, TkValues, TranslateTk, TravellingTk},
};
use paycrypto::{blocks, digest, ec, hygiene::same_without_parity, tk::CheckedTk};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    exchange::{Cipher, refused},
    partner::Protect,
    transport_key, transport_key_ec,
};
use crate::{
    SoftHsm,
    purpose::Purpose,
    soft_hsm::{check_name, place},
};

/// TK belongs to the PIN pad, not to a slot: its place has index 00.
const INDEX: u8 = 0;

/// What the key for digests of TKs is derived by. The secret for strangers otherwise meets serials only, and no serial has
/// a space.
const DIGESTS: &[u8] = b"KF TK digest";

/// All bits of a byte of a DES key but its parity bit.
const NO_PARITY: u8 = 0xFE;

const PK_ITSELF: &str = "a half of it is the protect key itself";

/// A TK that passed its checks.
enum Tk {
    Tdes(CheckedTk),
    Aes(ec::Tk),
}

pub(crate) fn translate_tk(hsm: &SoftHsm, command: &TranslateTk) -> Result<TravellingTk, Refusal> {
    let place = place(&command.pin_pad, INDEX)?;
    let pk = Protect::open(hsm, &command.pk, &command.partner, &command.owner)?;
    let tk = load(hsm, &command.tk, pk.cipher(), &command.pin_pad, &command.owner)?;
    let blocks = match (&tk, &pk) {
        (Tk::Tdes(tk), Protect::Tdes(pk)) => {
            (blocks::wrap_outside(pk, tk.tek(), &place), blocks::wrap_outside(pk, tk.auk(), &place))
        }
        (Tk::Aes(tk), Protect::Aes(pk)) => {
            (ec::blocks::wrap_outside(pk, tk.tek(), &place), ec::blocks::wrap_outside(pk, tk.auk(), &place))
        }
        _ => return Err(other_suite()),
    };
    let not_made = |e: blocks::WrapError| Refusal::NotMade { why: e.to_string() };
    Ok(TravellingTk { tek: blocks.0.map_err(not_made)?, auk: blocks.1.map_err(not_made)? })
}

pub(crate) fn import_tk(hsm: &SoftHsm, command: &ImportTk) -> Result<ImportedTk, Refusal> {
    let place = place(&command.pin_pad, INDEX)?;
    let (pin_pad, owner) = (&command.pin_pad, &command.owner);
    let half = |which: &str, e: blocks::BlockRefusal| match e {
        blocks::BlockRefusal::WeakKey(poor) => poor_tk(&format!("its {which} is refused: {poor}")),
        other => refused(&format!("{which}: {other}")),
    };
    match Protect::open(hsm, &command.pk, &command.partner, owner)? {
        Protect::Tdes(pk) => {
            let tek: paycrypto::keys::Tek =
                blocks::unwrap_outside(&pk, &command.tek, &place).map_err(|e| half("TEK", e))?;
            let auk: paycrypto::keys::Auk =
                blocks::unwrap_outside(&pk, &command.auk, &place).map_err(|e| half("AUK", e))?;
            let tk = CheckedTk::from_named(tek, auk).map_err(|defect| poor_tk(&defect.to_string()))?;
            for half in [tk.tek().expose(), tk.auk().expose()] {
                if same_without_parity(half, pk.expose()) {
                    return Err(poor_tk(PK_ITSELF));
                }
            }
            let mut clear = Zeroizing::new([tk.tek().expose(), tk.auk().expose()].concat());
            clear.iter_mut().for_each(|byte| *byte &= NO_PARITY);
            let blocks = transport_key::store(hsm, &tk, pin_pad, owner)?;
            Ok(ImportedTk { blocks, digest: digest_of(hsm, &clear) })
        }
        Protect::Aes(pk) => {
            let tek = ec::blocks::unwrap_outside(&pk, &command.tek, &place).map_err(|e| half("TEK", e))?;
            let auk = ec::blocks::unwrap_outside(&pk, &command.auk, &place).map_err(|e| half("AUK", e))?;
            let tk = ec::Tk::from_keys(tek, auk).map_err(|e| poor_tk(&e.to_string()))?;
            let [tek, auk] = [tk.tek().expose().as_slice(), tk.auk().expose().as_slice()];
            if bool::from(tek.ct_eq(pk.expose()) | auk.ct_eq(pk.expose())) {
                return Err(poor_tk(PK_ITSELF));
            }
            let clear = Zeroizing::new([tek, auk].concat());
            let blocks = transport_key_ec::store(&hsm.lmk, &tk, pin_pad, owner)?;
            Ok(ImportedTk { blocks, digest: digest_of(hsm, &clear) })
        }
    }
}

/// The same for the same TK as long as this HSM's folder lasts; without its secret it tells nothing of the TK.
fn digest_of(hsm: &SoftHsm, clear: &[u8]) -> [u8; digest::SHA256] {
    let key = digest::hmac_sha256(&*hsm.stranger, DIGESTS);
    *digest::hmac_sha256(&*key, clear)
}

pub(crate) fn tk_check_values(hsm: &SoftHsm, command: &TkCheckValues) -> Result<TkValues, Refusal> {
    let cipher = cipher_of(&command.tk);
    Ok(match load(hsm, &command.tk, cipher, &command.pin_pad, &command.owner)? {
        Tk::Tdes(tk) => TkValues { tek: tk.tek().kcv().to_vec(), auk: tk.auk().kcv().to_vec() },
        Tk::Aes(tk) => TkValues { tek: tk.tek().kcv().to_vec(), auk: tk.auk().kcv().to_vec() },
    })
}

/// The TK of the suite of this cipher, its hash and its parts checked.
fn load(hsm: &SoftHsm, source: &TkSource, cipher: Cipher, pin_pad: &str, owner: &str) -> Result<Tk, Refusal> {
    check_name("a PIN pad serial", pin_pad)?;
    let loaded = match (source, cipher) {
        (TkSource::Collected { work_key, ctk_pu }, Cipher::Tdes) => {
            transport_key::open_ciphertext(hsm, work_key, ctk_pu, owner).map(Tk::Tdes)
        }
        (TkSource::Collected { .. }, Cipher::Aes) => Err(other_suite()),
        (TkSource::Held(held), Cipher::Aes) => transport_key_ec::load(hsm, held, pin_pad, owner).map(Tk::Aes),
        (TkSource::Held(held), Cipher::Tdes) => transport_key::load(hsm, held, pin_pad, owner).map(Tk::Tdes),
    };
    match loaded {
        Err(Refusal::WrongUse { .. }) if cipher_of(source) != cipher => Err(other_suite()),
        loaded => loaded,
    }
}

/// What a TK says of itself, to choose how it is opened and what is said of it; it is believed when it has opened so.
fn cipher_of(source: &TkSource) -> Cipher {
    match source {
        TkSource::Held(held) if Purpose::TekAes.is_said_of(&held.tek) => Cipher::Aes,
        TkSource::Held(_) | TkSource::Collected { .. } => Cipher::Tdes,
    }
}

/// A key travels under one of its own cipher only (R7).
fn other_suite() -> Refusal {
    let found = "for keys of the other suite: a TK travels under a protect key of its own cipher".into();
    Refusal::WrongUse { what: "the protect key".into(), found }
}

fn poor_tk(defect: &str) -> Refusal {
    Refusal::TransportKey { defect: defect.into() }
}
