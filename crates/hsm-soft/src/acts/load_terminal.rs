//! Flow B inside the HSM of a KLD (2-wire.md section 4).

use hsm::{
    KeyBlock, Refusal,
    commands::{Held, Load, LoadTerminal, Loaded},
};
use paycrypto::{
    Error, TdesKey,
    blocks::{self, BlockKey, Protects},
    derive::derive_dik2,
    keys::{Dik2, Dmk, Rnd1, Tmk},
    rsa::PrivateKey,
};
use zeroize::Zeroizing;

use super::{
    dik1,
    exchange::{self, Cipher, Exchange, Travels},
    held_key::{self, Kept, Length, Which},
};
use crate::{
    SoftHsm,
    lmk::Binding,
    purpose::Purpose,
    soft_hsm::{check_name, place},
};

/// Bytes of a factor that is made here.
pub(super) const MADE_FACTOR: usize = 16;
/// How often a factor is made again because DIK2 came out poor: once in about 2^50.
const MAX_TRIES: usize = 8;
/// What is signed has less than the longest modulus.
const MAX_SIGNED: usize = 512;
/// Bytes of Rnd2.
const RND2: usize = 8;

pub(super) const KEY_BLOCK: [u8; 2] = [0xDF, 0x40];
const RND2_TAG: [u8; 2] = [0xDF, 0x06];
pub(super) const FACTOR_TAG: [u8; 2] = [0xDF, 0x23];

pub(crate) fn load_terminal(hsm: &SoftHsm, command: &LoadTerminal) -> Result<Loaded, Refusal> {
    let work = hsm.key_pairs.open(&hsm.lmk, &command.work_key, Purpose::KldWork, &command.owner)?;
    let escrow = match &command.escrow_under {
        Some(under) => Some(Exchange::open(hsm, under, &command.owner, &[Cipher::Tdes])?),
        None => None,
    };
    let terminal = Terminal::open(&work, &command.c_rnd1_rnd2)?;
    let key = choose(hsm, command, &terminal.rnd1)?;

    // Sized beforehand: a vector that grows leaves its old bytes behind.
    let mut signed = Zeroizing::new(Vec::with_capacity(MAX_SIGNED));
    field(&mut signed, KEY_BLOCK, key.under_rnd1.as_bytes());
    field(&mut signed, RND2_TAG, &*terminal.rnd2);
    if let Some(factor) = &key.factor {
        field(&mut signed, FACTOR_TAG, factor);
    }
    let c_ctmk_rnd2 = work.type1_sign(&signed).map_err(|e| Refusal::NotMade { why: e.to_string() })?;

    let place = exchange::place_of(key.what, &command.pin_pad)?;
    let escrow =
        escrow.map(|escrow| escrow.wrap(&Travels::held(key.what, &place), &key.reported)).transpose()?;
    Ok(Loaded { c_ctmk_rnd2, kcv: key.kcv, held: key.held, escrow })
}

/// What KLD_ACCEPT carried, opened.
struct Terminal {
    rnd1: Rnd1,
    rnd2: Zeroizing<[u8; RND2]>,
}

impl Terminal {
    fn open(work: &PrivateKey, c_rnd1_rnd2: &[u8]) -> Result<Self, Refusal> {
        let refused = |defect: &str| Refusal::FromTerminal { defect: defect.into() };
        let clear =
            work.oaep_decrypt(c_rnd1_rnd2).map_err(|_| refused("it does not open under this KLD's key"))?;
        let length = || refused("it does not hold Rnd1 and Rnd2, 32 bytes");
        let (rnd1, rnd2) = clear.split_at_checked(exchange::TRIPLE).ok_or_else(length)?;
        let rnd2 = <[u8; RND2]>::try_from(rnd2).map(Zeroizing::new).map_err(|_| length())?;
        let rnd1 = TdesKey::from_bytes(rnd1)
            .and_then(Rnd1::from_key)
            .map_err(|e| refused(&format!("Rnd1 is no key to use: {e}")))?;
        Ok(Self { rnd1, rnd2 })
    }
}

/// The key to load, as each of its readers gets it.
struct Chosen {
    what: Held,
    under_rnd1: String,
    kcv: [u8; 3],
    held: KeyBlock,
    /// What the report carries: the key, or a DIK2's factor.
    reported: Zeroizing<Vec<u8>>,
    factor: Option<Vec<u8>>,
}

fn choose(hsm: &SoftHsm, command: &LoadTerminal, rnd1: &Rnd1) -> Result<Chosen, Refusal> {
    match &command.load {
        Load::Tmk { slot, held, avoid } => {
            let what = Held::Tmk { slot: *slot };
            symmetric::<Tmk>(hsm, command, rnd1, what, "the TMK", held.as_ref(), avoid)
        }
        Load::Dmk { held } => symmetric::<Dmk>(hsm, command, rnd1, Held::Dmk, "the DMK", held.as_ref(), &[]),
        Load::Dik2 { dik1, dsn, factor } => identity(hsm, command, rnd1, dik1, dsn, factor.as_deref()),
    }
}

fn symmetric<K: BlockKey>(
    hsm: &SoftHsm,
    command: &LoadTerminal,
    rnd1: &Rnd1,
    what: Held,
    name: &'static str,
    held: Option<&KeyBlock>,
    avoid: &[[u8; 3]],
) -> Result<Chosen, Refusal>
where
    Rnd1: Protects<K>,
{
    let place = exchange::place_of(what, &command.pin_pad)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let which = Which { name, purpose: Cipher::Tdes.held(what), bound };
    let Kept { key, block } = held_key::load_or_make::<K>(hsm, which, held, Length::Triple, avoid)?;
    Ok(Chosen {
        what,
        under_rnd1: under_rnd1(rnd1, &key, &place, command)?,
        kcv: key.key().kcv(),
        held: block,
        reported: Zeroizing::new(key.key().expose().to_vec()),
        factor: None,
    })
}

fn identity(
    hsm: &SoftHsm,
    command: &LoadTerminal,
    rnd1: &Rnd1,
    dik1: &KeyBlock,
    dsn: &str,
    factor: Option<&[u8]>,
) -> Result<Chosen, Refusal> {
    check_name("a DSN", dsn)?;
    let place = place(&command.pin_pad, 0)?;
    let dik1 = dik1::load(hsm, dik1, &command.owner)?;
    let (dik2, factor) = derive(&dik1, dsn, factor)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    Ok(Chosen {
        what: Held::Factor,
        under_rnd1: under_rnd1(rnd1, &dik2, &place, command)?,
        kcv: dik2.kcv(),
        held: hsm.lmk.wrap(Purpose::Factor, bound, &factor)?,
        reported: Zeroizing::new(factor.clone()),
        factor: Some(factor),
    })
}

fn derive(dik1: &TdesKey, dsn: &str, factor: Option<&[u8]>) -> Result<(Dik2, Vec<u8>), Refusal> {
    let not_made = |e: Error| Refusal::NotMade { why: e.to_string() };
    if let Some(factor) = factor {
        exchange::check_factor(factor).map_err(|e| Refusal::Malformed { what: e.to_string() })?;
        return Ok((derive_dik2(dik1, dsn, factor).map_err(not_made)?, factor.to_vec()));
    }
    let mut factor = vec![0; MADE_FACTOR];
    for _ in 0..MAX_TRIES {
        paycrypto::random::fill(&mut factor).map_err(not_made)?;
        match derive_dik2(dik1, dsn, &factor) {
            Ok(dik2) => return Ok((dik2, factor)),
            Err(Error::Poor(_)) => {}
            Err(e) => return Err(not_made(e)),
        }
    }
    Err(Refusal::NotMade { why: "every DIK2 has weak or equal parts: DIK1 must not be used".into() })
}

fn under_rnd1<K: BlockKey>(
    rnd1: &Rnd1,
    key: &K,
    place: &str,
    command: &LoadTerminal,
) -> Result<String, Refusal>
where
    Rnd1: Protects<K>,
{
    blocks::wrap(rnd1, key, place, &command.context).map_err(|e| Refusal::NotMade { why: e.to_string() })
}

/// Appends a field: tag, minimal length, value (2-wire.md section 1). What is signed is shorter than 65 536 bytes.
pub(super) fn field(out: &mut Vec<u8>, tag: [u8; 2], value: &[u8]) {
    out.extend(tag);
    match u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes() {
        [0, short @ 0..=0x7F] => out.push(short),
        [0, long] => out.extend([0x81, long]),
        [high, low] => out.extend([0x82, high, low]),
    }
    out.extend_from_slice(value);
}
