//! Receipts: that a KMS has a batch, and what it made of each terminal. Believed only after every check.

use base64ct::{Base64, Encoding as _};
use batch::{Answer, Batch, Receipt};
use hsm::{
    Hsm, HsmError, Refusal,
    commands::{BatchText, CheckBatchMac},
};
use sha2::{Digest, Sha256};

use crate::{Error, Partner, refused};

/// A batch that was or will be sent.
pub(crate) struct Sent {
    /// The store's number for it.
    pub(crate) id: i64,
    /// What it says.
    pub(crate) batch: Batch,
    /// SHA-256 of its content, lower-case hex: what its receipt names.
    pub(crate) digest: String,
    /// What was signed.
    pub(crate) content: Vec<u8>,
    /// The certificate of the card that signed it, DER.
    pub(crate) signed_by: Vec<u8>,
}

/// What became of one terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sn: String,
    pub(crate) ok: bool,
    pub(crate) code: String,
    pub(crate) text: String,
}

/// A receipt that was checked.
pub(crate) struct Checked {
    pub(crate) receipt: Receipt,
    pub(crate) lines: Vec<Line>,
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a batch's receipt names it by.
pub(crate) fn digest(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

impl Sent {
    /// Reads back what was stored before it was sent.
    pub(crate) fn read(id: i64, package: &[u8]) -> Result<Self, Error> {
        let damaged = |why: String| Error::PackageDamaged { id, why };
        let opened = pki::cms::open(package).map_err(|refusal| damaged(refusal.to_string()))?;
        let signer = opened.only_signer().map_err(|refusal| damaged(refusal.to_string()))?;
        let signed_by = signer.certificate.der().to_vec();
        let batch = Batch::read(&opened.content).map_err(|error| damaged(error.to_string()))?.batch;
        Ok(Self { id, batch, digest: hex(&digest(&opened.content)), content: opened.content, signed_by })
    }

    /// Checks the receipt in a KMS's answer: that it is for this very batch, order and terminals, and its MAC.
    pub(crate) async fn check<H: Hsm>(
        &self,
        body: &[u8],
        hsm: &H,
        partner: &Partner,
        owner: &str,
    ) -> Result<Checked, Error> {
        let receipt = Receipt::read(body)
            .map_err(|error| Error::ReceiptMalformed { id: self.id, why: error.to_string() })?;
        if receipt.batch != self.digest {
            let (sent, found) = (self.digest.clone(), receipt.batch);
            return Err(Error::ReceiptForAnotherBatch { id: self.id, sent, found });
        }
        self.fits(&receipt)?;
        let malformed = |what: &str| Error::ReceiptMalformed { id: self.id, why: what.into() };
        let check = CheckBatchMac {
            mak: partner.mak.clone(),
            partner: partner.name.clone(),
            owner: owner.to_owned(),
            what: BatchText::Receipt,
            text: receipt.covered()?,
            mac: unhex(&receipt.mac).ok_or_else(|| malformed("its mac is no hex"))?,
        };
        match hsm.call(check).await {
            Ok(()) => {}
            Err(HsmError::Refused(Refusal::BatchMac)) => {
                return Err(Error::ReceiptMac { id: self.id, partner: partner.name.clone() });
            }
            Err(error) => return Err(error.into()),
        }
        let lines = lines(&receipt, body);
        Ok(Checked { receipt, lines })
    }

    fn fits(&self, receipt: &Receipt) -> Result<(), Error> {
        let misfit = |why: String| Err(Error::ReceiptDoesNotFit { id: self.id, why });
        if receipt.order != self.batch.order {
            return misfit(format!("it is for order {}", refused::text(&receipt.order)));
        }
        let (found, sent) = (receipt.results.len(), self.batch.terminals.len());
        if found != sent {
            return misfit(format!("it has {found} terminals of {sent}"));
        }
        for (line, entry) in receipt.results.iter().zip(&self.batch.terminals) {
            if line.sn != entry.sn {
                return misfit(format!("it names {:?} where {} was sent", refused::text(&line.sn), entry.sn));
            }
        }
        Ok(())
    }
}

/// The receipt's lines, with the texts for people that the first answer has beside it. Those have no MAC: they are shown,
/// and decide nothing.
fn lines(receipt: &Receipt, body: &[u8]) -> Vec<Line> {
    let told = Answer::read(body).map(|answer| answer.results).unwrap_or_default();
    let line = |(at, line): (usize, &batch::Outcome)| {
        let same = told.get(at).filter(|told| told.sn == line.sn && told.code == line.code);
        let text = same.map(|told| refused::text(&told.text)).unwrap_or_default();
        Line { sn: line.sn.clone(), ok: line.ok, code: refused::code(&line.code), text }
    };
    receipt.results.iter().enumerate().map(line).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}

/// DER in base64, as entries of suite 02 have device certificates.
pub(crate) fn base64(der: &[u8]) -> String {
    Base64::encode_string(der)
}
