//! Flow B of suite 02 inside the HSM of a KLD (3-hardened.md, "B").

use hsm::{
    KeyBlock, Refusal,
    commands::{Held, LoadEc, LoadTerminalEc, LoadedEc, LoadingOpened, OpenLoading},
};
use paycrypto::ec::{
    AgreementKey, Kbpk, LoadedKey, Nonces, Schedule, StaticSecret,
    blocks::{self, BlockKey, Protects},
    derive_dik2,
    keys::{Dmk, Tmk},
};
use zeroize::Zeroizing;

use super::{
    context::context,
    dik1_ec,
    ephemeral::{Checked, Ephemeral, th},
    exchange::{self, Cipher, Exchange, Travels},
    held_key_ec::{self, KeptEc},
    load_terminal::{FACTOR_TAG, KEY_BLOCK, MADE_FACTOR, field},
    release_tmk_ec::SendTmk,
};
use crate::{
    SoftHsm,
    lmk::Binding,
    process_seal::{Kind, Party},
    purpose::Purpose,
    soft_hsm::{check_name, place},
};

/// The flow's letter.
const LETTER: u8 = b'B';
/// FF21, key entry.
const KEY_ENTRY: [u8; 2] = [0xFF, 0x21];
/// Version of the wire, and KLD_KEY.
const KLD_KEY: [u8; 2] = [0x01, 0x23];
/// DMK and DIK2 belong to the PIN pad, not to a slot: their place has index 00.
const INDEX: u8 = 0;

pub(crate) fn open_loading(hsm: &SoftHsm, command: &OpenLoading) -> Result<LoadingOpened, Refusal> {
    check_name("an owner", &command.owner)?;
    let ours = Ephemeral::make()?;
    let scalar = ours.key.expose().map_err(|e| not_made(&e))?;
    let ticket = hsm.ec_tickets.seal(loading(&command.owner), &[&*scalar, &ours.nonce])?;
    Ok(LoadingOpened { point: ours.key.public().to_vec(), nonce: ours.nonce, ticket })
}

pub(crate) fn load_terminal_ec(hsm: &SoftHsm, command: &LoadTerminalEc) -> Result<LoadedEc, Refusal> {
    let (connect, accept) = (&command.connect, &command.accept);
    Checked::new(&command.peer, accept)?;
    let peer = Checked::new(&command.peer, &command.accept_bare)?;
    let work =
        hsm.key_pairs.open_signing(&hsm.lmk, &command.work_key, Purpose::KldSigning, &command.owner)?;
    let escrow = match &command.escrow_under {
        Some(under) => Some(Exchange::open(hsm, under, &command.owner, &[Cipher::Aes])?),
        None => None,
    };
    let ours = reopen(hsm, command)?;
    let nonces = Nonces { opener: &ours.nonce, answerer: peer.nonce };
    let th12 = th(LETTER, &[connect, &command.accept_bare]);
    let schedule = Schedule::new(&StaticSecret::LocalLoad, &ours.agree(&peer)?, &nonces, &th12);
    let key = choose(hsm, command, &schedule.kbpk(), &[connect.as_slice(), accept].concat())?;

    let frame = kld_key(key.factor.as_deref(), &key.wrapped)?;
    let signature =
        work.sign_transcript(&th(LETTER, &[connect, accept, &frame])).map_err(|e| not_made(&e))?;
    let place = exchange::place_of(key.what, &command.pin_pad)?;
    let escrow =
        escrow.map(|escrow| escrow.wrap(&Travels::held(key.what, &place), &key.reported)).transpose()?;
    let index = if let Held::Tmk { slot } = key.what { slot } else { INDEX };
    let loaded = LoadedKey { index, kcv: key.kcv };
    let ticket = hsm.ec_tickets.seal_released(&command.pin_pad, &command.owner, &schedule, &[loaded])?;
    Ok(LoadedEc {
        factor: key.factor,
        wrapped: key.wrapped,
        signature: signature.to_vec(),
        kcv: key.kcv,
        held: key.held,
        escrow,
        ticket,
    })
}

/// The key and nonce of KLD_CONNECT, which must be the ones that it carries.
fn reopen(hsm: &SoftHsm, command: &LoadTerminalEc) -> Result<Ephemeral, Refusal> {
    let clear = hsm.ec_tickets.open(loading(&command.owner), &command.ticket)?;
    let ([scalar, nonce], []) = clear.as_chunks::<32>() else { return Err(Refusal::NotProven) };
    let key = AgreementKey::from_scalar(scalar).map_err(|_| Refusal::NotProven)?;
    let ours = Ephemeral { key, nonce: *nonce };
    ours.check_in(&command.connect)?;
    Ok(ours)
}

/// The key to load, as each of its readers gets it.
struct Chosen {
    what: Held,
    wrapped: String,
    kcv: [u8; 5],
    held: KeyBlock,
    /// What the report carries: the key, or a DIK2's factor.
    reported: Zeroizing<Vec<u8>>,
    factor: Option<Vec<u8>>,
}

fn choose(hsm: &SoftHsm, command: &LoadTerminalEc, kbpk: &Kbpk, said: &[u8]) -> Result<Chosen, Refusal> {
    let place = place(&command.pin_pad, INDEX)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    match &command.load {
        LoadEc::Tmk { slot, counter, held, avoid } => {
            let send = SendTmk {
                pin_pad: &command.pin_pad,
                owner: &command.owner,
                slot: *slot,
                counter: *counter,
                pending: held.as_ref(),
                avoid,
            };
            let (tmk, sent) = send.with_key(hsm, kbpk, said)?;
            Ok(Chosen {
                what: Held::Tmk { slot: *slot },
                wrapped: sent.wrapped,
                kcv: sent.kcv,
                held: sent.block,
                reported: reported(Tmk::expose(&tmk)),
                factor: None,
            })
        }
        LoadEc::Dmk { held } => {
            let KeptEc { key, block } =
                held_key_ec::load_or_make::<Dmk>(hsm, "the DMK", bound, held.as_ref(), &[])?;
            Ok(Chosen {
                what: Held::Dmk,
                wrapped: wrap(kbpk, &key, &place, said)?,
                kcv: key.kcv(),
                held: block,
                reported: reported(key.expose()),
                factor: None,
            })
        }
        LoadEc::Dik2 { dik1, dsn, factor } => {
            check_name("a DSN", dsn)?;
            let dik1 = dik1_ec::load(hsm, dik1, &command.owner)?;
            let factor = factor_of(factor.as_deref())?;
            let dik2 = derive_dik2(&dik1, dsn, &factor).map_err(|e| not_made(&e))?;
            Ok(Chosen {
                what: Held::Factor,
                wrapped: wrap(kbpk, &dik2, &place, said)?,
                kcv: dik2.kcv(),
                held: hsm.lmk.wrap(Purpose::FactorAes, bound, &factor)?,
                reported: reported(&factor),
                factor: Some(factor),
            })
        }
    }
}

/// The factor given, or a new one.
fn factor_of(given: Option<&[u8]>) -> Result<Vec<u8>, Refusal> {
    if let Some(factor) = given {
        exchange::check_factor(factor).map_err(|e| Refusal::Malformed { what: e.to_string() })?;
        return Ok(factor.to_vec());
    }
    let mut factor = vec![0; MADE_FACTOR];
    paycrypto::random::fill(&mut factor).map_err(|e| not_made(&e))?;
    Ok(factor)
}

fn wrap<K: BlockKey>(kbpk: &Kbpk, key: &K, place: &str, said: &[u8]) -> Result<String, Refusal>
where
    Kbpk: Protects<K>,
{
    blocks::wrap(kbpk, key, place, &context(said)).map_err(|e| not_made(&e))
}

/// `KLD_KEY [DF23] FF21{DF40}` with its length: the frame without its signature, fields in ascending order.
fn kld_key(factor: Option<&[u8]>, wrapped: &str) -> Result<Vec<u8>, Refusal> {
    let (mut payload, mut entry) = (KLD_KEY.to_vec(), vec![]);
    if let Some(factor) = factor {
        field(&mut payload, FACTOR_TAG, factor);
    }
    field(&mut entry, KEY_BLOCK, wrapped.as_bytes());
    field(&mut payload, KEY_ENTRY, &entry);
    let length = u16::try_from(payload.len()).map_err(|e| not_made(&e))?;
    Ok([length.to_be_bytes().as_slice(), &payload].concat())
}

fn reported(key: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(key.to_vec())
}

/// A KLD does not know yet whose terminal will answer.
fn loading(owner: &str) -> Party<'_> {
    Party { kind: Kind::Loading, pin_pad: "", owner }
}

fn not_made(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::NotMade { why: error.to_string() }
}
