//! A root, an intermediate, keys, and the cards and certificates that tests issue from them.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use custody::{card::write_card, keyfile};
use keyferry_station::{BothCards, Checks, Error, FileCard, WorkCertificate};
use pki::{
    Certificate, CrlSet, Name, RevocationReason, Role, Signer, TrustList,
    issue::{self, Issuer, Revoked, Validity},
};

pub(crate) const OPERATOR_PIN: &str = "operator-pin";
pub(crate) const ADMINISTRATOR_PIN: &str = "administrator-pin";

/// A key with its file under a PIN.
pub(crate) struct Key {
    pub(crate) signer: keyfile::SoftSigner,
    pub(crate) pem: String,
}

impl Key {
    pub(crate) fn new(pin: &str) -> Key {
        let (signer, pem) = keyfile::generate(keyfile::KeyKind::Rsa(2048), pin).unwrap();
        Key { signer, pem }
    }
}

/// What all tests share: making RSA keys takes time.
pub(crate) struct Estate {
    root_key: Key,
    pub(crate) root: Certificate,
    intermediate_key: Key,
    pub(crate) intermediate: Certificate,
    pub(crate) operator: Key,
    pub(crate) administrator: Key,
    pub(crate) work: Key,
}

pub(crate) static ESTATE: LazyLock<Estate> = LazyLock::new(|| {
    let root_key = Key::new("root-passphrase");
    let long = Validity { not_before: now() - 100 * DAY, not_after: now() + 1000 * DAY };
    let root = issue::root(&name("Test root"), &root_key.signer, long, 1).unwrap();
    let intermediate_key = Key::new("intermediate-passphrase");
    let issuer = Issuer::new(&root, &root_key.signer).unwrap();
    let spki = intermediate_key.signer.spki_der();
    let intermediate = issue::intermediate(&issuer, &name("Test cards"), spki, long, 0).unwrap();
    Estate {
        root_key,
        root,
        intermediate_key,
        intermediate,
        operator: Key::new(OPERATOR_PIN),
        administrator: Key::new(ADMINISTRATOR_PIN),
        work: Key::new("work-passphrase"),
    }
});

/// Good cards, opened, for tests that leave them in: opening takes time by design.
pub(crate) static BOTH: LazyLock<(Cards, BothCards)> = LazyLock::new(|| {
    let cards = Cards::good();
    let both = cards.open().unwrap();
    (cards, both)
});

pub(crate) const DAY: i64 = 86_400;

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

pub(crate) fn name(common_name: &str) -> Name {
    Name::new(common_name, Some("Test acquirer")).unwrap()
}

pub(crate) fn valid() -> Validity {
    Validity { not_before: now() - DAY, not_after: now() + 30 * DAY }
}

pub(crate) fn expired() -> Validity {
    Validity { not_before: now() - 10 * DAY, not_after: now() - DAY }
}

impl Estate {
    /// Issues from the intermediate.
    pub(crate) fn leaf(&self, role: Role, subject: &str, key: &Key, validity: Validity) -> Certificate {
        self.leaf_of(role, subject, key.signer.spki_der(), validity)
    }

    /// Issues from the intermediate for a key that is elsewhere.
    pub(crate) fn leaf_of(&self, role: Role, subject: &str, spki: &[u8], validity: Validity) -> Certificate {
        let issuer = Issuer::new(&self.intermediate, &self.intermediate_key.signer).unwrap();
        issue::leaf(&issuer, role, &name(subject), spki, validity).unwrap()
    }

    /// The certificate of a TLS server on 127.0.0.1, straight from the root.
    pub(crate) fn tls_server(&self, key: &Key) -> Certificate {
        let issuer = Issuer::new(&self.root, &self.root_key.signer).unwrap();
        let names = ["127.0.0.1".parse().unwrap()];
        issue::tls_server(&issuer, &name("Test server"), key.signer.spki_der(), valid(), &names).unwrap()
    }

    pub(crate) fn chain(&self) -> Vec<Certificate> {
        vec![self.intermediate.clone()]
    }

    /// A work certificate that was not checked yet.
    pub(crate) fn work_leaf(&self, role: Role) -> Certificate {
        self.leaf(role, "KMS work", &self.work, valid())
    }

    pub(crate) fn work_certificate(&self) -> WorkCertificate {
        WorkCertificate::check(self.work_leaf(Role::KmsWork), &self.chain(), &self.checks()).unwrap()
    }

    pub(crate) fn crl(&self, number: u64, revoked: &[&Certificate]) -> pki::Crl {
        let entry = |certificate: &&Certificate| Revoked {
            serial: certificate.serial().to_vec(),
            when: now() - 60,
            reason: RevocationReason::KeyCompromise,
        };
        let revoked: Vec<_> = revoked.iter().map(entry).collect();
        let issuer = Issuer::new(&self.intermediate, &self.intermediate_key.signer).unwrap();
        issue::build_crl(&issuer, number, now() - 60, now() + DAY, &revoked).unwrap()
    }

    /// Every role trusted, lists of both CAs at hand; these certificates are revoked.
    pub(crate) fn checks_revoking(&self, revoked: &[&Certificate]) -> Checks {
        let mut crls = CrlSet::new();
        crls.add(self.crl(1, revoked));
        let issuer = Issuer::new(&self.root, &self.root_key.signer).unwrap();
        crls.add(issue::build_crl(&issuer, 1, now() - 60, now() + DAY, &[]).unwrap());
        let mut trust = TrustList::new();
        trust.add(self.root.clone(), &Role::ALL);
        Checks::new(trust, crls)
    }

    pub(crate) fn checks(&self) -> Checks {
        self.checks_revoking(&[])
    }
}

/// The two cards of a station, as files in a folder of their own.
pub(crate) struct Cards {
    pub(crate) folder: tempfile::TempDir,
}

impl Cards {
    /// An operator's and an administrator's card, both good.
    pub(crate) fn good() -> Cards {
        let cards = Cards::none();
        let operator = ESTATE.leaf(Role::Operator, "Olga Operator", &ESTATE.operator, valid());
        let administrator = ESTATE.leaf(Role::Administrator, "Adam Admin", &ESTATE.administrator, valid());
        cards.write("operator.pem", &ESTATE.operator, &operator);
        cards.write("administrator.pem", &ESTATE.administrator, &administrator);
        cards
    }

    pub(crate) fn none() -> Cards {
        Cards { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn write(&self, file: &str, key: &Key, certificate: &Certificate) {
        let path = self.path(file);
        let _ = std::fs::remove_file(&path);
        write_card(&path, &key.pem, certificate, &ESTATE.chain()).unwrap();
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn remove(&self, file: &str) {
        std::fs::remove_file(self.path(file)).unwrap();
    }

    pub(crate) fn open(&self) -> Result<BothCards, Error> {
        self.open_with(&ESTATE.checks())
    }

    pub(crate) fn open_with(&self, checks: &Checks) -> Result<BothCards, Error> {
        open_files(&self.path("operator.pem"), &self.path("administrator.pem"), checks)
    }
}

pub(crate) fn open_files(operator: &Path, administrator: &Path, checks: &Checks) -> Result<BothCards, Error> {
    let operator = Box::new(FileCard::insert(operator)?);
    let administrator = Box::new(FileCard::insert(administrator)?);
    BothCards::open(operator, OPERATOR_PIN, administrator, ADMINISTRATOR_PIN, checks)
}
