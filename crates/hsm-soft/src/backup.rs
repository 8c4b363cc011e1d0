//! The backup of a work key pair, for dual control: a file that only its shares open, and shares for different people
//! (1-systems.md C: "kept in safe media with a backup").
//!
//! The file is `"KFBACK01" ‖ identifier (8) ‖ threshold (1) ‖ shares (1) ‖ purpose ‖ owner ‖ AES-256-GCM of the key`,
//! texts with a length byte before them; all of the head is authenticated. Its AES key exists only as the shares.

use hsm::{KeyBlock, Refusal};
use paycrypto::{AesKey, digest, gcm::GcmKey, rsa::PrivateKey};
use zeroize::Zeroizing;

use crate::{
    HsmSoftError, Offline, hex, key_pairs,
    lmk::Binding,
    purpose::Purpose,
    shamir::{self, SECRET, Share},
};

/// The most shares.
pub const MAX_SHARES: u8 = 16;
/// The fewest shares that open a backup: no one person does.
pub const MIN_THRESHOLD: u8 = 2;

const MAGIC: &[u8; 8] = b"KFBACK01";
const ID: usize = 8;
const SHARE_MAGIC: &str = "KFS1";
/// Bytes of a share's own check value.
const CHECK: usize = 4;
/// Identifier, x, threshold, y.
const SHARE_BODY: usize = ID + 2 + SECRET;

/// A backup and its shares.
pub struct Backup {
    /// To be kept anywhere; worth nothing without the shares.
    pub file: Vec<u8>,
    /// Texts, each for one person, to be kept apart: `KFS1` and groups of hex, with a check value.
    pub shares: Vec<Zeroizing<String>>,
}

/// A key pair that came back.
#[derive(Debug)]
pub struct Restored {
    /// The private key under this HSM's LMK.
    pub private: KeyBlock,
    /// The public key, `SubjectPublicKeyInfo` in DER.
    pub public: Vec<u8>,
}

/// Why a backup is not made, or does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupRefusal {
    /// The numbers do not make a dual control.
    #[error("{threshold} of {shares} shares: from {MIN_THRESHOLD} to all of them, at most {MAX_SHARES}")]
    Numbers {
        /// How many are needed.
        threshold: u8,
        /// How many there are.
        shares: u8,
    },
    /// The file is not a backup, or was cut.
    #[error("this is no backup of a key pair, or it was cut")]
    NotABackup,
    /// A share's text is not one, or was mistyped.
    #[error("share number {number} as given is mistyped: its check value is another; check the sheet")]
    Mistyped {
        /// Its position among those given, from 1.
        number: usize,
    },
    /// A share is of another backup.
    #[error("share number {number} as given is of another backup")]
    OtherBackup {
        /// Its position among those given, from 1.
        number: usize,
    },
    /// One share was given twice.
    #[error("share number {number} as given was given before")]
    ShareTwice {
        /// Its position among those given, from 1.
        number: usize,
    },
    /// Not enough shares.
    #[error("{found} shares; {wanted} are needed")]
    TooFew {
        /// How many were given.
        found: usize,
        /// How many are needed.
        wanted: u8,
    },
    /// The shares' key does not open the file: it was changed.
    #[error("the backup does not open under these shares: it was changed")]
    Changed,
    /// The key is of another owner than asked for.
    #[error("the backup is of a key of {found}")]
    OtherOwner {
        /// Whose.
        found: String,
    },
}

/// Makes a backup of a key pair that others encrypt to: the work key pairs of suite 01 (KMS, RKS, KLD), the KMS's key
/// for key agreement of suite 02.
///
/// # Errors
/// [`HsmSoftError::Backup`] with [`BackupRefusal::Numbers`]; [`HsmSoftError::Refused`] where `key` is not such a pair;
/// [`HsmSoftError::Random`].
pub fn back_up(
    hsm: &Offline,
    key: &KeyBlock,
    owner: &str,
    shares: u8,
    threshold: u8,
) -> Result<Backup, HsmSoftError> {
    if !(MIN_THRESHOLD..=shares).contains(&threshold) || shares > MAX_SHARES {
        return Err(BackupRefusal::Numbers { threshold, shares }.into());
    }
    let (purpose, pair) = open_pair(hsm, key, owner)?;
    let mut id = [0; ID];
    paycrypto::random::fill(&mut id).map_err(|e| HsmSoftError::Random(e.to_string()))?;
    let head = Head { id, threshold, shares, purpose, owner: owner.into() }.to_bytes()?;
    let sealing = AesKey::generate32().map_err(|e| HsmSoftError::Random(e.to_string()))?;
    let sealed = gcm(&sealing)?.seal(&head, &pair).map_err(|_| HsmSoftError::Internal("sealing failed"))?;
    let secret = sealing.expose().try_into().map(Zeroizing::new);
    let secret = secret.map_err(|_| HsmSoftError::Internal("AES key"))?;
    let shares = shamir::split(&secret, shares, threshold)?;
    Ok(Backup {
        file: [head, sealed].concat(),
        shares: shares.iter().map(|share| write_share(&id, threshold, share)).collect(),
    })
}

/// Takes a key pair back from its backup, under this HSM's LMK. More shares than needed are all looked at.
///
/// # Errors
/// [`HsmSoftError::Backup`].
pub fn restore(
    hsm: &Offline,
    file: &[u8],
    shares: &[Zeroizing<String>],
    owner: &str,
) -> Result<Restored, HsmSoftError> {
    let (head, sealed) = Head::parse(file)?;
    if head.owner != owner {
        return Err(BackupRefusal::OtherOwner { found: head.owner }.into());
    }
    let mut points: Vec<Share> = Vec::with_capacity(shares.len());
    for (number, text) in (1..).zip(shares) {
        let (id, threshold, share) = read_share(text).ok_or(BackupRefusal::Mistyped { number })?;
        if id != head.id || threshold != head.threshold || !(1..=head.shares).contains(&share.x) {
            return Err(BackupRefusal::OtherBackup { number }.into());
        }
        if points.iter().any(|point| point.x == share.x) {
            return Err(BackupRefusal::ShareTwice { number }.into());
        }
        points.push(share);
    }
    let wanted = usize::from(head.threshold);
    let Some(points) = points.get(..wanted) else {
        return Err(BackupRefusal::TooFew { found: shares.len(), wanted: head.threshold }.into());
    };
    let secret = shamir::combine(points);
    let key = AesKey::from_bytes(&*secret).map_err(|_| HsmSoftError::Internal("AES key"))?;
    let pair = gcm(&key)?.open(&head.to_bytes()?, sealed).map_err(|_| BackupRefusal::Changed)?;
    let private = hsm.lmk.wrap(head.purpose, bound(owner), &pair)?;
    let public = if head.purpose == Purpose::KmsAgreement {
        key_pairs::ec_public(&hsm.lmk, &private, head.purpose, owner).map_err(|_| BackupRefusal::Changed)?
    } else {
        PrivateKey::from_pkcs8(&pair).map_err(|_| BackupRefusal::Changed)?.spki_der().to_vec()
    };
    Ok(Restored { private, public })
}

/// Opens `key` as the pair that it is.
fn open_pair(
    hsm: &Offline,
    key: &KeyBlock,
    owner: &str,
) -> Result<(Purpose, Zeroizing<Vec<u8>>), HsmSoftError> {
    let mut refused = HsmSoftError::Internal("no purposes");
    for purpose in Purpose::BACKED_UP {
        match hsm.lmk.open("the key pair", key, purpose, bound(owner)) {
            Ok(opened) => return Ok((purpose, opened.key)),
            // It may be another of these pairs.
            Err(refusal @ Refusal::WrongUse { .. }) => refused = refusal.into(),
            Err(refusal) => return Err(refusal.into()),
        }
    }
    Err(refused)
}

struct Head {
    id: [u8; ID],
    threshold: u8,
    shares: u8,
    purpose: Purpose,
    owner: String,
}

impl Head {
    fn to_bytes(&self) -> Result<Vec<u8>, HsmSoftError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.id);
        bytes.extend([self.threshold, self.shares]);
        for text in [self.purpose.rule().text, &self.owner] {
            let length = u8::try_from(text.len()).map_err(|_| HsmSoftError::Internal("an owner's name"))?;
            bytes.push(length);
            bytes.extend_from_slice(text.as_bytes());
        }
        Ok(bytes)
    }

    /// The head, and what follows it.
    fn parse(file: &[u8]) -> Result<(Self, &[u8]), BackupRefusal> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let parse = || {
            let (id, rest) = file.strip_prefix(MAGIC)?.split_first_chunk::<ID>()?;
            let ([threshold, shares, length], rest) = rest.split_first_chunk::<3>()?;
            let (purpose, rest) = rest.split_at_checked(usize::from(*length))?;
            let (length, rest) = rest.split_first()?;
            let (owner, sealed) = rest.split_at_checked(usize::from(*length))?;
            let purpose = Purpose::BACKED_UP.into_iter().find(|p| p.rule().text.as_bytes() == purpose)?;
            let (threshold, shares) = (*threshold, *shares);
            (threshold >= MIN_THRESHOLD)
                .then_some((Self { id: *id, threshold, shares, purpose, owner: text(owner)? }, sealed))
        };
        parse().ok_or(BackupRefusal::NotABackup)
    }
}

/// `KFS1-` and the body and its check value in hex, in groups of four.
fn write_share(id: &[u8; ID], threshold: u8, share: &Share) -> Zeroizing<String> {
    let mut body = Zeroizing::new(Vec::with_capacity(SHARE_BODY + CHECK));
    body.extend_from_slice(id);
    body.extend_from_slice(&[share.x, threshold]);
    body.extend_from_slice(&*share.y);
    let check = check_of(&body);
    body.extend_from_slice(&check);
    let digits = Zeroizing::new(hex(&body));
    let mut text = Zeroizing::new(String::with_capacity(SHARE_MAGIC.len() + digits.len() * 5 / 4 + 1));
    text.push_str(SHARE_MAGIC);
    for (index, digit) in digits.chars().enumerate() {
        if index % 4 == 0 {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// A share from its text; case, blanks and dashes do not matter.
fn read_share(text: &str) -> Option<([u8; ID], u8, Share)> {
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    plain.extend(text.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_uppercase()));
    let digits = plain.strip_prefix(SHARE_MAGIC)?;
    if digits.len() != 2 * (SHARE_BODY + CHECK) {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(SHARE_BODY + CHECK));
    for pair in digits.as_bytes().as_chunks::<2>().0 {
        bytes.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
    }
    let (body, check) = bytes.split_at_checked(SHARE_BODY)?;
    if check_of(body) != check {
        return None;
    }
    let (id, rest) = body.split_first_chunk::<ID>()?;
    let ([x, threshold], y) = rest.split_first_chunk::<2>()?;
    let y = <[u8; SECRET]>::try_from(y).map(Zeroizing::new).ok()?;
    Some((*id, *threshold, Share { x: *x, y }))
}

fn check_of(body: &[u8]) -> [u8; CHECK] {
    let hash = digest::sha256(&Zeroizing::new([b"KF share".as_slice(), body].concat()));
    std::array::from_fn(|index| hash.get(index).copied().unwrap_or_default())
}

fn gcm(key: &AesKey) -> Result<GcmKey, HsmSoftError> {
    GcmKey::new(key).map_err(|_| HsmSoftError::Internal("AES key"))
}

fn bound(owner: &str) -> Binding<'_> {
    Binding { place: None, owner, tk_hash: None }
}
