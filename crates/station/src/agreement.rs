//! An agreement: PK and MAK on their way from a vendor's MTMS to an acquirer's KMS, signed by the card of the MTMS
//! (role `.6`) and by an administrator's. The keys in it are the HSMs' matter; who signed, and for whom it is, is said here.

use base64ct::{Base64, Encoding};
use pki::{
    Certificate, CertificateRefusal, KeyFamily, Role, Verified,
    cms::{self, BothRefusal, CmsRefusal},
};
use serde::{Deserialize, Serialize};

use crate::{Card, Checks, Error, both_cards::in_common, card::Opened, clock, text::printable};

/// Longest agreement read, in bytes: several times what two chains and a handful of short texts take.
pub const MAX_AGREEMENT: usize = 256 * 1024;

/// Oldest agreement taken, by the earlier of its two signing times, in seconds: 30 days. A file that lay about for longer
/// may bring keys back that both houses have left.
pub const MAX_AGE: i64 = 30 * 24 * 60 * 60;
/// How far a signer's clock may be ahead of this one, in seconds: an hour.
pub const MAX_AHEAD: i64 = 60 * 60;

const VERSION: u32 = 1;
const KIND: &str = "agreement";
/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;
/// The roles of the two signers.
const ROLES: [Role; 2] = [Role::Mtms, Role::Administrator];

/// What both cards sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    version: u32,
    kind: String,
    /// The vendor, whose MTMS sends batches.
    pub vendor: String,
    /// The acquirer, whose KMS takes them.
    pub buyer: String,
    /// The suite of the transport keys that PK will protect: 1 or 2.
    pub suite: u8,
    /// The work certificate of the KMS that it is encrypted to: SHA-256, lower-case hex.
    pub kms_certificate_sha256: String,
    /// The one-time key, encrypted to that certificate: base64.
    sealed: String,
    /// PK under the one-time key: an X9.143 block.
    pub pk: String,
    /// MAK under the one-time key.
    pub mak: String,
    /// PK's check value, upper-case hex, for people to compare.
    pub pk_kcv: String,
    /// MAK's check value.
    pub mak_kcv: String,
}

/// The parts of an agreement.
#[derive(Debug, Clone)]
pub struct Offer<'a> {
    /// The vendor.
    pub vendor: &'a str,
    /// The acquirer.
    pub buyer: &'a str,
    /// 1 or 2.
    pub suite: u8,
    /// SHA-256 of the KMS's work certificate, lower-case hex.
    pub kms_certificate_sha256: &'a str,
    /// The one-time key, encrypted to that certificate.
    pub sealed: &'a [u8],
    /// PK's block.
    pub pk: &'a str,
    /// MAK's block.
    pub mak: &'a str,
    /// PK's check value, hex.
    pub pk_kcv: &'a str,
    /// MAK's check value, hex.
    pub mak_kcv: &'a str,
}

/// Why a file is no agreement that this side may take.
#[derive(Debug, thiserror::Error)]
pub enum AgreementRefusal {
    /// The file is no signed package.
    #[error("the agreement is refused: {0}")]
    Package(#[from] CmsRefusal),
    /// Its two signers are not the two that it needs.
    #[error("the agreement's signers are refused: {0}; it needs the MTMS's card and an administrator's")]
    Signers(#[from] BothRefusal),
    /// The administrator's certificate is of another house's root.
    #[error("the agreement's two signers are of two houses: the administrator must be the vendor's own")]
    TwoHouses,
    /// The MTMS's certificate is the one that terminals encrypt to: it signs nothing.
    #[error("the MTMS's certificate is not for signatures: {0}")]
    Use(CertificateRefusal),
    /// Signed under another root than the vendor's.
    #[error(
        "the agreement says that it is {vendor}'s, but its signers' root has the SHA-256 {found}; {vendor}'s root, as it was \
         named here, has {named}: nothing was taken. Compare the roots with {vendor} over the telephone"
    )]
    OtherRoot {
        /// Whose it says it is.
        vendor: String,
        /// The root that the signers' chains end at: SHA-256, lower-case hex.
        found: String,
        /// The root that the vendor was said to have.
        named: String,
    },
    /// Signed too long ago.
    #[error("the agreement was signed {} days ago; at most {} are taken: ask the vendor for another", .age / DAY, MAX_AGE / DAY)]
    TooOld {
        /// How long ago, seconds.
        age: i64,
    },
    /// Signed in the future.
    #[error("the agreement was signed {ahead} seconds in the future; compare the clocks of both ends")]
    InTheFuture {
        /// How far ahead of this clock, seconds.
        ahead: i64,
    },
    /// What was signed is not what an agreement says.
    #[error("the agreement's content is refused: {0}")]
    Content(String),
}

impl Agreement {
    /// What both cards are to sign.
    #[must_use]
    pub fn of(offer: &Offer<'_>) -> Agreement {
        Agreement {
            version: VERSION,
            kind: KIND.to_owned(),
            vendor: offer.vendor.to_owned(),
            buyer: offer.buyer.to_owned(),
            suite: offer.suite,
            kms_certificate_sha256: offer.kms_certificate_sha256.to_owned(),
            sealed: Base64::encode_string(offer.sealed),
            pk: offer.pk.to_owned(),
            mak: offer.mak.to_owned(),
            pk_kcv: offer.pk_kcv.to_owned(),
            mak_kcv: offer.mak_kcv.to_owned(),
        }
    }

    /// Has both cards sign it, each with a SignerInfo of its own: CMS in DER.
    ///
    /// # Errors
    /// [`Error::CardMissing`], [`Error::CardRefused`], [`Error::Signing`].
    pub fn sign(&self, cards: &AgreementCards) -> Result<Vec<u8>, Error> {
        let signing = |why: String| Error::Signing { card: "MTMS or administrator".to_owned(), why };
        let content = serde_json::to_vec(self).map_err(|error| signing(error.to_string()))?;
        cards.mtms.check()?;
        cards.administrator.check()?;
        let both = [cards.mtms.signatory(), cards.administrator.signatory()];
        cms::sign_by_both(&content, both, clock::now()).map_err(|error| signing(error.to_string()))
    }

    /// Reads a signed agreement: both signatures, both chains, dates, roles and revocation, two people, how long ago
    /// they signed ([`MAX_AGE`]), and the content's form. Whose root it is, [`Agreement::is_under`] says; for whom it is and what it holds is the caller's to check. Gives the MTMS's and the administrator's certificate.
    ///
    /// # Errors
    /// [`AgreementRefusal`].
    pub fn open(der: &[u8], checks: &Checks) -> Result<(Agreement, [Verified; 2]), AgreementRefusal> {
        if der.len() > MAX_AGREEMENT {
            return Err(CmsRefusal::TooLong { len: der.len(), max: MAX_AGREEMENT }.into());
        }
        let package = cms::open(der)?;
        let verified = cms::verify_both(&package, ROLES, |signer, role| {
            checks.verify(&signer.certificate, &signer.intermediates, role, clock::now())
        })?;
        let [mtms, administrator] = &verified;
        if mtms.root() != administrator.root() {
            return Err(AgreementRefusal::TwoHouses);
        }
        for_signatures(mtms).map_err(AgreementRefusal::Use)?;
        package.signers.iter().try_for_each(|signer| is_fresh(signer.signing_time, clock::now()))?;
        let agreement: Agreement = serde_json::from_slice(&package.content)
            .map_err(|error| AgreementRefusal::Content(printable(&error.to_string())))?;
        agreement.check()?;
        Ok((agreement, verified))
    }

    /// Whether it was signed under the vendor's own root. The vendor's name stands in what was signed, so any vendor that is
    /// believed could write any name there: only the root tells whose it is.
    ///
    /// # Errors
    /// [`AgreementRefusal::OtherRoot`].
    pub fn is_under(&self, vendor_root: &Certificate, mtms: &Verified) -> Result<(), AgreementRefusal> {
        let (named, found) = (vendor_root.sha256_hex(), mtms.root().sha256_hex());
        if named == found {
            return Ok(());
        }
        Err(AgreementRefusal::OtherRoot { vendor: self.vendor.clone(), found, named })
    }

    /// The one-time key, encrypted.
    ///
    /// # Errors
    /// [`AgreementRefusal::Content`].
    pub fn sealed(&self) -> Result<Vec<u8>, AgreementRefusal> {
        Base64::decode_vec(&self.sealed)
            .map_err(|_| AgreementRefusal::Content("sealed is no base64".to_owned()))
    }

    fn check(&self) -> Result<(), AgreementRefusal> {
        let bad = |text: &str| Err(AgreementRefusal::Content(text.to_owned()));
        if self.version != VERSION {
            return bad("its version is not known; this program knows version 1");
        }
        if self.kind != KIND {
            return bad("it is another document than an agreement");
        }
        if !matches!(self.suite, 1 | 2) {
            return bad("its suite is neither 1 nor 2");
        }
        self.sealed().map(|_| ())
    }
}

/// The card of the MTMS and an administrator's, opened with their PINs, and of two people.
#[derive(Debug)]
pub struct AgreementCards {
    mtms: Opened,
    administrator: Opened,
}

impl AgreementCards {
    /// Opens both cards; they are compared before anything else.
    ///
    /// # Errors
    /// [`Error::SameCard`]; for either card [`Error::CardMissing`], [`Error::CardRefused`] (chain, dates, role `.6` or
    /// `.5`, revocation, and in suite 02 a key for signatures), [`Error::CardPin`], [`Error::CardKey`].
    pub fn open(
        mtms: Box<dyn Card>,
        mtms_pin: &str,
        administrator: Box<dyn Card>,
        administrator_pin: &str,
        checks: &Checks,
    ) -> Result<AgreementCards, Error> {
        let [role, administrators] = ROLES;
        if let Some(what) = in_common(mtms.certificate(), administrator.certificate()) {
            return Err(Error::SameCard { what });
        }
        checks
            .verify(mtms.certificate(), mtms.chain(), role, clock::now())
            .and_then(|verified| for_signatures(&verified))
            .map_err(|reason| Error::CardRefused { card: mtms.name().to_owned(), role, reason })?;
        Ok(AgreementCards {
            mtms: Opened::open(mtms, mtms_pin, role, checks)?,
            administrator: Opened::open(administrator, administrator_pin, administrators, checks)?,
        })
    }
}

/// Both times in unix seconds.
fn is_fresh(signed: i64, now: i64) -> Result<(), AgreementRefusal> {
    let age = now.saturating_sub(signed);
    if age > MAX_AGE {
        return Err(AgreementRefusal::TooOld { age });
    }
    if age < -MAX_AHEAD {
        return Err(AgreementRefusal::InTheFuture { ahead: age.saturating_neg() });
    }
    Ok(())
}

/// In suite 02 the role `.6` has certificates of two uses; RSA's is for signatures.
fn for_signatures(verified: &Verified) -> Result<(), CertificateRefusal> {
    match KeyFamily::of(verified.certificate().spki_der()) {
        Ok(KeyFamily::P256) => verified.signing_key().map(|_| ()),
        _ => Ok(()),
    }
}
