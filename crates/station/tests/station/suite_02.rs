//! The estate of suite 02: a P-256 root, cards of either kind, devices that sign what they answer.

use std::{io::Write, sync::LazyLock};

use custody::{card::write_card, keyfile};
use flows::{
    EcAes,
    collect::{Collected, DeviceProof, SEALED_TK, terminal::Ask},
    suite::Signature,
};
use keyferry_station::{BothCards, Ceremony, Checks, FileCard, Target, WorkCertificate};
use pki::{
    Certificate, CrlSet, Name, RevocationReason, Role, Scheme, Signer as _, TrustList,
    issue::{self, Issuer, Revoked, Validity},
};
use wire::{Device, Frame, Proof};

use crate::{
    estate::{ADMINISTRATOR_PIN, Cards, DAY, Key, OPERATOR_PIN, name, now, valid},
    fake_server::client,
    fake_terminal::{receive, serial, terminal},
};

pub(crate) const STATION: &str = "Counter 7";

/// What the tests of suite 02 share.
pub(crate) struct EcEstate {
    root_key: Key,
    pub(crate) root: Certificate,
    operator: Key,
    administrator: Key,
    work: Key,
}

pub(crate) fn ec_key(pin: &str) -> Key {
    let (signer, pem) = keyfile::generate(keyfile::KeyKind::P256, pin).unwrap();
    Key { signer, pem }
}

pub(crate) static EC: LazyLock<EcEstate> = LazyLock::new(|| {
    let root_key = ec_key("root-passphrase");
    let long = Validity { not_before: now() - 100 * DAY, not_after: now() + 1000 * DAY };
    let root = issue::root(&name("EC root"), &root_key.signer, long, 0).unwrap();
    EcEstate {
        root_key,
        root,
        operator: ec_key(OPERATOR_PIN),
        administrator: ec_key(ADMINISTRATOR_PIN),
        work: ec_key("work-passphrase"),
    }
});

impl EcEstate {
    pub(crate) fn issuer(&self) -> Issuer<'_> {
        Issuer::new(&self.root, &self.root_key.signer).unwrap()
    }

    pub(crate) fn leaf(&self, role: Role, subject: &Name, spki: &[u8], validity: Validity) -> Certificate {
        issue::leaf(&self.issuer(), role, subject, spki, validity).unwrap()
    }

    /// Every role trusted, a list at hand; these certificates are revoked.
    pub(crate) fn checks_revoking(&self, revoked: &[&Certificate]) -> Checks {
        let entry = |certificate: &&Certificate| Revoked {
            serial: certificate.serial().to_vec(),
            when: now() - 60,
            reason: RevocationReason::KeyCompromise,
        };
        let revoked: Vec<_> = revoked.iter().map(entry).collect();
        let issuer = self.issuer();
        let mut crls = CrlSet::new();
        crls.add(issue::build_crl(&issuer, 1, now() - 60, now() + DAY, &revoked).unwrap());
        let mut trust = TrustList::new();
        trust.add(self.root.clone(), &Role::ALL);
        Checks::new(trust, crls)
    }

    pub(crate) fn checks(&self) -> Checks {
        self.checks_revoking(&[])
    }

    pub(crate) fn work_leaf(&self) -> Certificate {
        self.leaf(Role::KmsWork, &name("KMS agreement"), self.work.signer.spki_der(), valid())
    }

    /// The KMS's certificate, for a run in a ceremony of today.
    pub(crate) fn work(&self) -> WorkCertificate<EcAes> {
        self.work_checked_by(&self.checks())
    }

    /// For a run in another ceremony.
    pub(crate) fn work_in(&self, ceremony: Ceremony) -> WorkCertificate<EcAes> {
        WorkCertificate::check_under(ceremony, self.work_leaf(), &[], &self.checks()).unwrap()
    }

    pub(crate) fn work_checked_by(&self, checks: &Checks) -> WorkCertificate<EcAes> {
        WorkCertificate::check_under(ceremony(), self.work_leaf(), &[], checks).unwrap()
    }

    /// Both cards, P-256.
    pub(crate) fn cards(&self) -> (Cards, BothCards) {
        let cards = Cards::none();
        let write = |file: &str, role, subject: &str, key: &Key| {
            let leaf = self.leaf(role, &name(subject), key.signer.spki_der(), valid());
            write_card(&cards.path(file), &key.pem, &leaf, &[]).unwrap();
        };
        write("operator.pem", Role::Operator, "Olga Operator", &self.operator);
        write("administrator.pem", Role::Administrator, "Adam Admin", &self.administrator);
        let operator = Box::new(FileCard::insert(&cards.path("operator.pem")).unwrap());
        let administrator = Box::new(FileCard::insert(&cards.path("administrator.pem")).unwrap());
        let both = BothCards::open(operator, OPERATOR_PIN, administrator, ADMINISTRATOR_PIN, &self.checks());
        (cards, both.unwrap())
    }
}

/// Both cards, opened once: opening takes time by design.
pub(crate) static EC_CARDS: LazyLock<(Cards, BothCards)> = LazyLock::new(|| EC.cards());

/// What a KMS answers to a station that asks for a ceremony.
pub(crate) fn ceremony_answer(nonce: &[u8], expires_at: &str) -> Vec<u8> {
    use base64ct::{Base64, Encoding as _};
    let nonce = Base64::encode_string(nonce);
    format!(r#"{{"ceremony":"{nonce}","expires_at":"{expires_at}"}}"#).into_bytes()
}

/// A ceremony that ends then, unix seconds, from a server; nothing where it is over by now.
pub(crate) fn ceremony_until(ends: i64) -> Option<Ceremony> {
    let ends = time::OffsetDateTime::from_unix_timestamp(ends).unwrap();
    let ends = ends.format(&time::format_description::well_known::Rfc3339).unwrap();
    let (url, _requests) = crate::fake_server::listen(move |_| (200, ceremony_answer(&[0xCF; 32], &ends)));
    Ceremony::ask(&client(&url), &EC_CARDS.1, STATION).ok()
}

/// Today's ceremony, from a server.
pub(crate) fn ceremony() -> Ceremony {
    static CEREMONY: LazyLock<Ceremony> = LazyLock::new(|| {
        let (url, _requests) =
            crate::fake_server::listen(|_| (200, ceremony_answer(&[0xCE; 32], "2099-01-01T00:00:00Z")));
        Ceremony::ask(&client(&url), &EC_CARDS.1, STATION).unwrap()
    });
    CEREMONY.clone()
}

/// A device: its key, its certificate, and what it says of itself.
pub(crate) struct Pad {
    pub(crate) key: Key,
    pub(crate) certificate: Certificate,
    pub(crate) device: Device,
}

impl Pad {
    /// A PIN pad whose certificate names it as it should.
    pub(crate) fn new(sn: &str, pin_pad: Option<&str>) -> Pad {
        let key = ec_key("device-passphrase");
        let certificate = certify(pin_pad.unwrap_or(sn), &key, valid());
        Pad { key, certificate, device: Device::new(serial(sn), pin_pad.map(serial)).unwrap() }
    }

    /// What this device answers to COLLECT, signed over both.
    pub(crate) fn answer(&self, collect: &Frame) -> Frame {
        let unsigned = self.collected(Signature([0; 64])).write().unwrap();
        let bare = unsigned.without(Proof::Signature).unwrap();
        // 3-hardened.md, "Transcript and keys": "KF2", the flow letter, the frames with their lengths.
        let transcript = [b"KF2K", collect.bytes(), bare.bytes()].concat();
        let signature = self.key.signer.sign(Scheme::EcdsaP256Sha256, &transcript).unwrap();
        self.collected(Signature(signature.try_into().unwrap())).write().unwrap()
    }

    fn collected(&self, signature: Signature) -> Collected<EcAes> {
        Collected {
            device: self.device.clone(),
            vendor: Some("KF".parse().unwrap()),
            model: Some("SIM-2".parse().unwrap()),
            ctk_pu: self.device.sn().as_str().bytes().cycle().take(SEALED_TK).collect(),
            maker: DeviceProof { generation: 1, certificate: self.certificate.der().to_vec(), signature },
            refusals: Vec::new(),
        }
    }

    /// Listens and answers as it should.
    pub(crate) fn listen(self) -> Target {
        self.listen_changing(|frame| frame)
    }

    /// Listens; what it answers is changed on the way.
    pub(crate) fn listen_changing(self, change: impl Fn(Frame) -> Frame + Send + 'static) -> Target {
        terminal(move |mut stream| {
            let collect = receive(&mut stream);
            Ask::<EcAes>::read(&collect).unwrap();
            let _ = stream.write_all(change(self.answer(&collect)).bytes());
        })
    }
}

pub(crate) fn certify(serial: &str, key: &Key, validity: Validity) -> Certificate {
    let subject = Name::device("PIN pad", None, serial).unwrap();
    EC.leaf(Role::Device, &subject, key.signer.spki_der(), validity)
}
