//! What a suite is at a station: what a run needs beside the cards, how an answer is checked, what a package holds.

use flows::collect::{CollectSuite, Collected};
use pki::{CertificateRefusal, Verified};
use serde::{Serialize, de::DeserializeOwned};
use wire::Frame;

use super::{CollectFault, CollectedTerminal};
use crate::{BothCards, Ceremony, Checks, Error, package::Packed};

/// A suite of collecting. One run collects one suite, and a package holds terminals of one.
pub trait StationSuite: CollectSuite {
    /// What a run needs beside cards and work certificate.
    type Ceremony: std::fmt::Debug + Clone + Send + Sync;
    /// What a package of this suite has beside its terminals.
    type Head: Serialize + DeserializeOwned;
    /// What a terminal has in a package beside its names.
    type Entry: Serialize + DeserializeOwned;

    /// 1 or 2: which suite this is.
    const NUMBER: u8;
    /// Whether an answer proves that nothing changed it on its way: the device signs it.
    const PROVES_ANSWERS: bool;
    /// Most terminals in one run: their package stays below the 16 MiB that a CMS package may have.
    const MAX_TERMINALS: usize;
    /// Where the KMS gives out the certificate that it uses now.
    const WORK_CERTIFICATE: &'static str;

    /// Bytes that a TK takes under the key of this work certificate, whose chain and role were checked.
    ///
    /// # Errors
    /// The [`CertificateRefusal`] of a key that this suite does not collect under.
    fn sealed_bytes(work: &Verified) -> Result<usize, CertificateRefusal>;

    /// What COLLECT has of the ceremony.
    fn nonce(ceremony: &Self::Ceremony) -> Self::Nonce;

    /// What a journal keeps of the ceremony.
    fn kept(ceremony: &Self::Ceremony) -> Option<&Ceremony>;

    /// The ceremony of what a journal kept; none where the suite needs one and the journal has none.
    fn restored(kept: Option<Ceremony>) -> Option<Self::Ceremony>;

    /// Whether the ceremony may be collected under at this time, unix seconds.
    ///
    /// # Errors
    /// [`Error::CeremonyOver`].
    fn is_open(ceremony: &Self::Ceremony, at: i64) -> Result<(), Error>;

    /// Checks who made an answer, as far as the suite can tell: COLLECT, COLLECTED and what was read of it.
    ///
    /// # Errors
    /// The fault that applies; what the terminal is told is in `CollectFault::code`.
    fn check_maker(
        said: (&Frame, &Frame),
        answer: &Collected<Self>,
        checks: &Checks,
    ) -> Result<(), CollectFault>;

    /// The key that makers are told apart by, SubjectPublicKeyInfo in DER; none where the suite has none.
    fn maker_key(answer: &Collected<Self>) -> Option<Vec<u8>>;

    /// What the package has of its ceremony.
    ///
    /// # Errors
    /// [`Error::CeremonyMixed`], [`Error::CeremonyOfOtherStation`].
    fn head(collected: &[CollectedTerminal<Self>], station: &str) -> Result<Self::Head, Error>;

    /// A terminal in the package.
    fn entry(terminal: &CollectedTerminal<Self>) -> Self::Entry;

    /// What an entry of a package that was read back holds: `named` has the names beside it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn packed(entry: &Self::Entry, named: wire::Device) -> Result<Packed, String>;

    /// Signs a package with the cards whose signatures it carries, at this time, unix seconds.
    ///
    /// # Errors
    /// [`Error::CardMissing`], [`Error::CardRefused`], [`Error::Signing`].
    fn sign(cards: &BothCards, content: &[u8], at: i64) -> Result<Vec<u8>, Error>;
}
