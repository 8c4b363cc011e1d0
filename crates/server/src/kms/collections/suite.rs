//! What collecting in a suite needs of the KMS: packages and collections at the terminal port are taken by one driver each,
//! and a suite answers in a file of its own.

use flows::collect::{
    CollectSuite,
    messages::{CollectKey, Collected},
};
use hsm::Hsm;
use pki::{Certificate, cms::SignedPackage};
use serde::de::DeserializeOwned;
use store::{CollectedTk, Refusal, Store, WindowRecord, WorkKeyRecord};
use wire::{Device, Fields, Frame};

use crate::{
    kms::{
        Failure, Kms,
        package::{Authentic, UploadRefusal},
    },
    trust::Trust,
};

/// Who a terminal says it is, in a package beside its TK.
pub(crate) struct Named<'a> {
    pub(crate) device: &'a Device,
    /// Vendor and model, together or not at all.
    pub(crate) make: Option<(&'a str, &'a str)>,
}

/// The work key that a TK was collected under, and its certificate.
pub(crate) struct Work {
    pub(crate) record: WorkKeyRecord,
    pub(crate) certificate: Certificate,
}

impl Work {
    /// What COLLECT has of it.
    pub(crate) fn collect_key(&self) -> Result<CollectKey, pki::Error> {
        let intermediates = Certificate::all_from_der(&self.record.intermediates)?;
        let intermediates = intermediates.iter().map(|link| link.der().to_vec()).collect();
        Ok(CollectKey::Certificate { leaf: self.certificate.der().to_vec(), intermediates })
    }
}

/// A suite of collecting, as the KMS needs it.
pub(crate) trait CollectingSuite: CollectSuite {
    /// What a package says once, beside what every package says.
    type Head: DeserializeOwned + Send + Sync;
    /// What a package has of each terminal's TK.
    type Entry: DeserializeOwned + Send + Sync;
    /// A TK as it was collected, not opened yet.
    type Sealed: Send + Sync;

    /// Who must have signed a package, and whether they did.
    fn authenticate(trust: &Trust, package: SignedPackage) -> Result<Authentic, UploadRefusal>;

    /// What COLLECT of a package had: found among what this KMS gave to the station, never in the package.
    fn nonce_of<S: Store, H: Hsm>(
        kms: &Kms<S, H>,
        head: &Self::Head,
        station: &str,
    ) -> impl Future<Output = Result<Self::Nonce, UploadRefusal>> + Send;

    /// What COLLECT in a collection window has; the same as long as the window is open.
    fn nonce_in<S: Store, H: Hsm>(
        kms: &Kms<S, H>,
        window: &WindowRecord,
    ) -> impl Future<Output = Result<Self::Nonce, Failure>> + Send;

    /// Bytes that a TK has when it is sealed under this certificate (DF09).
    fn sealed_bytes(certificate: &Certificate) -> Result<usize, Failure>;

    /// A package's entry, read.
    fn entry(entry: &Self::Entry, named: &Named<'_>) -> Result<Self::Sealed, Refusal>;

    /// What a terminal sent, as a package would have it.
    fn answer(frame: &Frame, collected: &Collected<Self>) -> Self::Sealed;

    /// What the terminal tells of its own refusals (FF23), as far as a package carries it.
    fn refusals(sealed: &Self::Sealed) -> &[Fields];

    /// DF09.
    fn df09(sealed: &Self::Sealed) -> &[u8];

    /// The TK as it is kept of a terminal that is refused.
    fn unopened(sealed: &Self::Sealed) -> CollectedTk;

    /// Checks who made the TK, as far as this suite can tell, and has the HSM open it. The outer error is ours.
    fn open<S: Store, H: Hsm>(
        kms: &Kms<S, H>,
        work: &Work,
        nonce: &Self::Nonce,
        device: &Device,
        sealed: &Self::Sealed,
    ) -> impl Future<Output = Result<Result<CollectedTk, Refusal>, Failure>> + Send;
}
