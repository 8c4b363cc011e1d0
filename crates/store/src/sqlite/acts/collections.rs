//! Taking a collected package (2-wire.md section 6): one bad terminal does not spoil the others.

use rusqlite::{OptionalExtension, params};
use serde_json::{Value, json};
use wire::Serial;

use super::super::error::Db;
use super::super::rows;
use super::super::writer::Tx;
use super::{at_most, ceremonies, integer, suites, tks, with_facts};
use crate::audit::hex;
use crate::{
    CollectedTerminal, CollectedTk, CollectionImport, Event, ImportOutcome, KeyName, PerTerminal, Person,
    Refusal, StoreError, limits,
};

/// Said of a generation that SQLite's integers do not hold.
const GENERATION: &str = "a generation is below 2^63";

pub(in crate::sqlite) fn import(
    tx: &Tx<'_>,
    import: &CollectionImport,
    event: &Event,
) -> Result<ImportOutcome, StoreError> {
    at_most("a collection", import.package.len(), limits::PACKAGE)?;
    let known = tx.prepare("SELECT 1 FROM acquirers WHERE id = ?1")?.exists([&import.acquirer]).db()?;
    if !known {
        return Err(StoreError::NoSuchAcquirer(import.acquirer.clone()));
    }
    let package = Package {
        digest: &import.digest,
        bytes: &import.package,
        signer: &import.signer,
        second_signer: import.second_signer.as_ref(),
        acquirer: &import.acquirer,
        station: &import.station,
        collected_at: import.collected_at,
    };
    let Some(collection) = enter(tx, &package, event.at)? else { return Ok(ImportOutcome::Duplicate) };
    tx.append(&with_facts(
        event,
        json!({ "collection": collection, "digest": hex(&import.digest), "terminals": import.terminals.len() }),
    ))?;
    let mut outcomes = Vec::with_capacity(import.terminals.len());
    for collected in &import.terminals {
        let taking = Taking { tx, acquirer: &import.acquirer, collection, at: event.at, by_batch: false };
        let outcome = taking.take(collected)?;
        tx.append(&Event {
            at: event.at,
            kind: "collection.terminal".into(),
            actor: event.actor.clone(),
            subject: collected.device.sn().to_string(),
            detail: told(collected, collection, &outcome),
        })?;
        outcomes.push(outcome);
    }
    Ok(ImportOutcome::Stored(outcomes))
}

/// A signed package, of a station or of an MTMS.
pub(super) struct Package<'a> {
    pub(super) digest: &'a [u8; 32],
    pub(super) bytes: &'a [u8],
    pub(super) signer: &'a Person,
    pub(super) second_signer: Option<&'a Person>,
    pub(super) acquirer: &'a str,
    pub(super) station: &'a str,
    pub(super) collected_at: i64,
}

/// Enters the package itself; `None` if these bytes were taken before.
pub(super) fn enter(tx: &Tx<'_>, package: &Package<'_>, at: i64) -> Result<Option<i64>, StoreError> {
    tx.prepare(
        "INSERT INTO collections
            (digest, package, signer, signer_serial, acquirer, station, collected_at, uploaded_at, second_signer,
             second_signer_serial)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (digest) DO NOTHING RETURNING id",
    )?
    .query_row(
        params![
            package.digest,
            package.bytes,
            package.signer.subject,
            package.signer.certificate_serial,
            package.acquirer,
            package.station,
            package.collected_at,
            at,
            package.second_signer.map(|signer| &signer.subject),
            package.second_signer.map(|signer| &signer.certificate_serial)
        ],
        |row| row.get(0),
    )
    .optional()
    .db()
}

/// What holds for all terminals of one package.
pub(super) struct Taking<'a> {
    pub(super) tx: &'a Tx<'a>,
    /// Whose terminals they are.
    pub(super) acquirer: &'a str,
    /// The package's row.
    pub(super) collection: i64,
    pub(super) at: i64,
    /// Whether it is a vendor's batch: then the TK was collected under a work certificate of the vendor's.
    pub(super) by_batch: bool,
}

impl Taking<'_> {
    /// Takes one terminal, or says why not.
    pub(super) fn take(&self, collected: &CollectedTerminal) -> Result<PerTerminal, StoreError> {
        let Self { tx, acquirer, collection, at, .. } = *self;
        if let Some(refusal) = &collected.refused {
            return Ok(PerTerminal::Refused(refusal.clone()));
        }
        let suite = collected.tk.suite();
        check_tk(&collected.tk)?;
        if let Some(refusal) = beyond_keeping(&collected.tk) {
            return Ok(PerTerminal::Refused(refusal));
        }
        self.check_work_key(collected)?;
        if let Some(by) = pad_taken(tx, collected.device.sn(), collected.device.pin_pad())? {
            return Ok(PerTerminal::SerialPairTaken { by });
        }
        let known: Option<Known> = tx
            .prepare(
                "SELECT key_serial, acquirer, fingerprint, device_generation, tk_digest FROM terminals
                 WHERE sn = ?1",
            )?
            .query_row([collected.device.sn().as_str()], |row| {
                Ok(Known {
                    key_serial: row.get(0)?,
                    acquirer: row.get(1)?,
                    fingerprint: row.get(2)?,
                    generation: row.get(3)?,
                    digest: row.get(4)?,
                })
            })
            .optional()
            .db()?;
        let Some(known) = known else {
            if let Some(refusal) = taken_tk(tx, collected, None)? {
                return Ok(PerTerminal::Refused(refusal));
            }
            if let Some(refusal) = refused_device(tx, collected)? {
                return Ok(PerTerminal::Refused(refusal));
            }
            keep_device(tx, collected, at)?;
            self.insert(collected)?;
            suites::record(tx, collected.device.sn(), KeyName::Tk, suite, at)?;
            return Ok(PerTerminal::Stored);
        };
        if known.acquirer != acquirer {
            return Ok(PerTerminal::OtherAcquirer);
        }
        if known.is(collected) {
            return Ok(PerTerminal::AlreadyKnown { same: true });
        }
        if let Some(refusal) = taken_tk(tx, collected, known.digest)? {
            return Ok(PerTerminal::Refused(refusal));
        }
        if !collected.replaces {
            return Ok(PerTerminal::AlreadyKnown { same: false });
        }
        if !suites::permitted(tx, collected.device.sn(), KeyName::Tk, suite, at)? {
            return Ok(PerTerminal::Refused(suites::lower_suite(KeyName::Tk, suite)));
        }
        if let Some(id) = waits_already(tx, collected)? {
            return Ok(PerTerminal::AwaitsApproval { id });
        }
        if let Some(refusal) = refused_device(tx, collected)? {
            return Ok(PerTerminal::Refused(refusal));
        }
        let id = wait(tx, collection, collected, self.own_certificate(collected), at)?;
        Ok(PerTerminal::AwaitsApproval { id })
    }

    /// A collected TK is under one of our work keys.
    fn check_work_key(&self, collected: &CollectedTerminal) -> Result<(), StoreError> {
        let Some(certificate) = self.own_certificate(collected) else { return Ok(()) };
        let known = self
            .tx
            .prepare(
                "SELECT 1 FROM work_keys WHERE certificate_sha256 = ?1 AND role = 'kms-work' AND suite = ?2",
            )?
            .exists(params![certificate, collected.tk.suite().byte()])
            .db()?;
        if known { Ok(()) } else { Err(StoreError::NoSuchCertificate(certificate.to_owned())) }
    }

    /// The work certificate, if it is one of ours.
    fn own_certificate<'c>(&self, collected: &'c CollectedTerminal) -> Option<&'c str> {
        (!self.by_batch).then_some(&*collected.work_certificate_sha256)
    }

    fn insert(&self, collected: &CollectedTerminal) -> Result<(), StoreError> {
        let (ctk_pu, tek, auk, generation) = columns(&collected.tk)?;
        let certificate = self.own_certificate(collected);
        self.tx
            .prepare(
                "INSERT INTO terminals
                    (sn, key_serial, acquirer, vendor, model, suite, ctk_pu, work_certificate_sha256, tk_generation,
                     fingerprint, collection, created_at, changed_at, tek, auk, device_generation, collected_under,
                     tk_digest)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9, ?10, ?11, ?11, ?12, ?13, ?14, ?15, ?16)",
            )?
            .execute(params![
                collected.device.sn().as_str(),
                collected.device.pin_pad().as_str(),
                self.acquirer,
                collected.vendor,
                collected.model,
                collected.tk.suite().byte(),
                ctk_pu,
                // Needed only to open the ciphertext.
                ctk_pu.and(certificate),
                collected.fingerprint,
                self.collection,
                self.at,
                tek,
                auk,
                generation,
                certificate,
                collected.tk.digest()
            ])
            .db()?;
        keep_seen(self.tx, collected)
    }
}

struct Known {
    key_serial: String,
    acquirer: String,
    fingerprint: String,
    generation: Option<i64>,
    digest: Option<[u8; 32]>,
}

impl Known {
    /// Whether this very TK is known. What a vendor says of a TK, its fingerprint and its generation, tells nothing: the
    /// digest does. A station's TK of suite 02 is sealed anew for each ceremony, so its generation tells; and the
    /// fingerprint is of the ciphertext itself, where one was opened before digests were kept.
    fn is(&self, collected: &CollectedTerminal) -> bool {
        let same = match &collected.tk {
            CollectedTk::Blocks { generation, digest: None, .. } => {
                self.digest.is_none() && self.generation.map(i64::unsigned_abs) == Some(*generation)
            }
            CollectedTk::Ciphertext(_) if self.digest.is_none() => self.fingerprint == collected.fingerprint,
            tk => self.digest.is_some() && self.digest == tk.digest(),
        };
        same && self.key_serial == collected.device.pin_pad().as_str()
    }
}

fn check_tk(tk: &CollectedTk) -> Result<(), StoreError> {
    match tk {
        CollectedTk::Ciphertext(ctk_pu) => at_most("a Ctk_Pu", ctk_pu.len(), limits::CTK_PU),
        CollectedTk::Blocks { tek, auk, .. } | CollectedTk::Opened { tek, auk, .. } => {
            at_most("TEK's block", tek.len(), limits::KEY_BLOCK)?;
            at_most("AUK's block", auk.len(), limits::KEY_BLOCK)
        }
        CollectedTk::None(_) => Err(StoreError::Invalid("a terminal without a TK is one that was refused")),
    }
}

/// Why a generation (DF18) that SQLite's integers do not hold is refused: it is the terminal's own word, so that it may
/// spoil nothing but its own entry.
fn beyond_keeping(tk: &CollectedTk) -> Option<Refusal> {
    let CollectedTk::Blocks { generation, .. } = tk else { return None };
    let text = format!("the PIN pad's generation {generation} is none that a PIN pad reaches: {GENERATION}");
    i64::try_from(*generation).is_err().then(|| Refusal { code: "generation-too-high".into(), text })
}

/// Why a TK that was seen before is refused: two terminals cannot have one, and one that was replaced or rejected does not
/// come back. `current` is the digest of the terminal's own.
fn taken_tk(
    tx: &Tx<'_>,
    collected: &CollectedTerminal,
    current: Option<[u8; 32]>,
) -> Result<Option<Refusal>, StoreError> {
    let Some(digest) = collected.tk.digest() else { return Ok(None) };
    let sn = collected.device.sn();
    let Some(owner) = tks::seen(tx, &digest)? else { return Ok(None) };
    let (code, text) = if owner != *sn {
        (
            "same-transport-key",
            "another terminal has this very transport key; make this one's anew and collect it",
        )
    } else if current == Some(digest) || waiting_digest(tx, sn)? == Some(digest) {
        return Ok(None);
    } else {
        (
            "old-transport-key",
            "this transport key was replaced or rejected before; make a new one and collect it",
        )
    };
    Ok(Some(Refusal { code: code.into(), text: text.into() }))
}

fn waiting_digest(tx: &Tx<'_>, sn: &Serial) -> Result<Option<[u8; 32]>, StoreError> {
    tx.prepare("SELECT tk_digest FROM replacements WHERE sn = ?1 AND state = 'waiting'")?
        .query_row([sn.as_str()], |row| row.get(0))
        .optional()
        .db()
        .map(Option::flatten)
}

fn keep_seen(tx: &Tx<'_>, collected: &CollectedTerminal) -> Result<(), StoreError> {
    collected.tk.digest().map_or(Ok(()), |digest| tks::keep_seen(tx, &digest, collected.device.sn()))
}

/// The replacement that waits with this very TK: the same digest, or in suite 02 the same generation, collected under an
/// earlier ceremony.
fn waits_already(tx: &Tx<'_>, collected: &CollectedTerminal) -> Result<Option<i64>, StoreError> {
    if let Some(digest) = collected.tk.digest() {
        return tx
            .prepare(
                "SELECT id FROM replacements WHERE sn = ?1 AND key_serial = ?2 AND tk_digest = ?3
                 AND state = 'waiting'",
            )?
            .query_row(
                params![collected.device.sn().as_str(), collected.device.pin_pad().as_str(), digest],
                |row| row.get(0),
            )
            .optional()
            .db();
    }
    let CollectedTk::Blocks { generation, .. } = &collected.tk else { return Ok(None) };
    tx.prepare(
        "SELECT id FROM replacements WHERE sn = ?1 AND key_serial = ?2 AND device_generation = ?3
         AND tk_digest IS NULL AND state = 'waiting'",
    )?
    .query_row(
        params![
            collected.device.sn().as_str(),
            collected.device.pin_pad().as_str(),
            integer(GENERATION, *generation)?
        ],
        |row| row.get(0),
    )
    .optional()
    .db()
}

/// Keeps the device key that signed a TK of suite 02, which was looked at before.
fn keep_device(tx: &Tx<'_>, collected: &CollectedTerminal, at: i64) -> Result<(), StoreError> {
    let CollectedTk::Blocks { device, generation, .. } = &collected.tk else { return Ok(()) };
    let pair = (collected.device.sn(), collected.device.pin_pad());
    ceremonies::keep(tx, pair, device, *generation, at)
}

/// Why the device key that signed a TK of suite 02 may not have: it is another PIN pad's, or the generation is none that
/// only this collection can have.
fn refused_device(tx: &Tx<'_>, collected: &CollectedTerminal) -> Result<Option<Refusal>, StoreError> {
    let CollectedTk::Blocks { device, generation, .. } = &collected.tk else { return Ok(None) };
    at_most("a device certificate", device.der.len(), limits::DER)?;
    if let Some(other) = ceremonies::key_of_other(tx, &collected.device, device)? {
        let text = format!("the device key belongs to PIN pad {other}: two PIN pads cannot have one key");
        return Ok(Some(Refusal { code: "device-key-taken".into(), text }));
    }
    let signed = ceremonies::generation(tx, collected.device.pin_pad())?;
    if let Some(before) = signed.max(ceremonies::waiting_generation(tx, &collected.device)?)
        && *generation <= before
    {
        let text = format!(
            "the PIN pad's generation {generation} is not above {before}, which was collected before; collect it again"
        );
        return Ok(Some(Refusal { code: "generation-not-higher".into(), text }));
    }
    Ok(None)
}

/// A TK as columns: ciphertext, TEK's block, AUK's block, generation.
type Columns<'a> = (Option<&'a [u8]>, Option<&'a str>, Option<&'a str>, Option<i64>);

fn columns(tk: &CollectedTk) -> Result<Columns<'_>, StoreError> {
    Ok(match tk {
        CollectedTk::Ciphertext(ctk_pu) => (Some(ctk_pu), None, None, None),
        CollectedTk::Blocks { tek, auk, generation, .. } => {
            (None, Some(tek), Some(auk), Some(integer(GENERATION, *generation)?))
        }
        CollectedTk::Opened { tek, auk, .. } => (None, Some(tek), Some(auk), None),
        CollectedTk::None(_) => (None, None, None, None),
    })
}

/// The terminal other than `sn` that keys at `key_serial` belong to.
pub(super) fn pad_taken(tx: &Tx<'_>, sn: &Serial, key_serial: &Serial) -> Result<Option<Serial>, StoreError> {
    tx.prepare("SELECT sn FROM terminals WHERE key_serial = ?1 AND sn <> ?2")?
        .query_row([key_serial.as_str(), sn.as_str()], |row| rows::serial(row, 0))
        .optional()
        .db()
}

/// Keeps a replacement aside. A later one overtakes an earlier: approvals name an id and a fingerprint, so an
/// approver who looked at the earlier one approves nothing else.
fn wait(
    tx: &Tx<'_>,
    collection: i64,
    collected: &CollectedTerminal,
    certificate: Option<&str>,
    at: i64,
) -> Result<i64, StoreError> {
    let sn = collected.device.sn().as_str();
    tx.prepare(
        "UPDATE replacements SET state = 'overtaken', decided_at = ?2 WHERE sn = ?1 AND state = 'waiting'",
    )?
    .execute(params![sn, at])
    .db()?;
    let (ctk_pu, tek, auk, generation) = columns(&collected.tk)?;
    // It takes effect with the approval.
    let device = match &collected.tk {
        CollectedTk::Blocks { device, .. } => Some(device),
        _ => None,
    };
    keep_seen(tx, collected)?;
    tx.prepare(
        "INSERT INTO replacements
            (sn, key_serial, vendor, model, suite, ctk_pu, work_certificate_sha256, fingerprint, collection, state,
             tek, auk, device_generation, tk_digest, device_spki_sha256, device_sha256, device_der)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'waiting', ?10, ?11, ?12, ?13, ?14, ?15, ?16) RETURNING id",
    )?
    .query_row(
        params![
            sn,
            collected.device.pin_pad().as_str(),
            collected.vendor,
            collected.model,
            collected.tk.suite().byte(),
            ctk_pu,
            certificate,
            collected.fingerprint,
            collection,
            tek,
            auk,
            generation,
            collected.tk.digest(),
            device.map(|device| &device.spki_sha256),
            device.map(|device| &device.sha256),
            device.map(|device| &device.der)
        ],
        |row| row.get(0),
    )
    .db()
}

/// What the audit is told about one terminal of the package.
fn told(collected: &CollectedTerminal, collection: i64, outcome: &PerTerminal) -> Value {
    let result = match outcome {
        PerTerminal::Stored => json!({ "outcome": "stored" }),
        PerTerminal::AwaitsApproval { id } => json!({ "outcome": "awaits-approval", "replacement": id }),
        PerTerminal::AlreadyKnown { same } => json!({ "outcome": "already-known", "same": same }),
        PerTerminal::SerialPairTaken { by } => json!({ "outcome": "serial-pair-taken", "by": by.as_str() }),
        PerTerminal::OtherAcquirer => json!({ "outcome": "other-acquirer" }),
        PerTerminal::Refused(refusal) => {
            json!({ "outcome": "refused", "code": refusal.code, "text": refusal.text })
        }
    };
    json!({
        "collection": collection,
        "pin_pad": collected.device.external_pin_pad().map(Serial::as_str),
        "fingerprint": collected.fingerprint,
        "work_certificate": collected.work_certificate_sha256,
        "suite": collected.tk.suite().byte(),
        "result": result,
    })
}
