//! What is slow to make, made once: RSA keys, certificates, and a software HSM that serves its real socket.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use hsm::{
    Client, Command, Hsm,
    commands::{MakeTlsKey, MakeWorkKey},
};
use hsm_soft::{SoftHsm, serve};
use paycrypto::rsa::PrivateKey;
use pki::{
    Certificate, Name, RevocationReason, Role, Scheme, SignError, Signer,
    issue::{self, Issuer, Revoked, Validity},
};

use super::rks::{self, RksKeys};

/// The acquirer that every test works for.
pub(crate) const ACQUIRER: &str = "ACQ-1";
/// What the HSM's folder is sealed under.
pub(crate) const PASSPHRASE: &str = "only for these tests";
pub(crate) const DAY: i64 = 86_400;

/// A private key that signs.
pub(crate) struct Key(PrivateKey);

impl Key {
    pub(super) fn new() -> Key {
        Key(PrivateKey::generate(2048).unwrap())
    }

    /// PKCS #8, unencrypted, PEM: for the HTTPS server.
    pub(crate) fn pem(&self) -> String {
        let text = rustls::pki_types::PrivatePkcs8KeyDer::from(self.0.to_pkcs8().to_vec());
        let base64 = base64ct::Base64::encode_string(text.secret_pkcs8_der());
        let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    }
}

use base64ct::Encoding as _;

impl Signer for Key {
    fn spki_der(&self) -> &[u8] {
        self.0.spki_der()
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        assert_eq!(scheme, Scheme::Pkcs1Sha256);
        Ok(self.0.sign_pkcs1_sha256(message).unwrap())
    }
}

/// Someone with a card.
pub(crate) struct Person {
    pub(crate) certificate: Certificate,
    key: Arc<Key>,
}

impl Person {
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn subject(&self) -> String {
        self.certificate.subject().to_string()
    }
}

/// The work key, as the database keeps it.
pub(crate) struct WorkKey {
    pub(crate) certificate: Certificate,
    pub(crate) private_block: String,
}

/// All of it.
pub(crate) struct Estate {
    pub(crate) root: Certificate,
    root_key: Key,
    card_key: Arc<Key>,
    other_card_key: Arc<Key>,
    pub(crate) operator: Person,
    pub(crate) administrator: Person,
    pub(crate) work: WorkKey,
    pub(crate) rks: RksKeys,
    pub(crate) tls: Certificate,
    pub(crate) tls_key: Key,
    folder: PathBuf,
}

/// Made at first use; its folder stays in Cargo's folder for tests.
pub(crate) static ESTATE: LazyLock<Estate> = LazyLock::new(Estate::new);

pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

pub(crate) fn name(common_name: &str) -> Name {
    Name::new(common_name, Some("Test acquirer")).unwrap()
}

pub(crate) fn valid() -> Validity {
    Validity { not_before: now() - DAY, not_after: now() + 30 * DAY }
}

/// For a root: what it issues a second later must not outlive it.
pub(crate) fn root_valid() -> Validity {
    Validity { not_before: now() - 2 * DAY, not_after: now() + 60 * DAY }
}

impl Estate {
    fn new() -> Estate {
        let folder = tempfile::Builder::new().prefix("hsm").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let folder = folder.keep();
        hsm_soft::create(&folder.join("lmk"), PASSPHRASE).unwrap();
        let exchange = rks::exchange_key(&folder.join("lmk"));
        let hsm = SoftHsm::open(&folder.join("lmk"), PASSPHRASE, vec![]).unwrap();
        let server = serve::Server::bind(&folder.join("s"), Arc::new(hsm)).unwrap();
        thread::spawn(move || server.run());

        let root_key = Key::new();
        let long = Validity { not_before: now() - 100 * DAY, not_after: now() + 1000 * DAY };
        let root = issue::root(&name("Test root"), &root_key, long, 1).unwrap();
        let issuer = Issuer::new(&root, &root_key).unwrap();
        let [card_key, other_card_key] = [(); 2].map(|()| Arc::new(Key::new()));
        let card = |role, subject: &str, key: &Arc<Key>| Person {
            certificate: issue::leaf(&issuer, role, &name(subject), key.spki_der(), valid()).unwrap(),
            key: Arc::clone(key),
        };
        let operator = card(Role::Operator, "Olga Operator", &card_key);
        let administrator = card(Role::Administrator, "Adam Admin", &other_card_key);
        let tls_key = Key::new();
        let names = ["127.0.0.1".parse().unwrap()];
        let tls =
            issue::tls_server(&issuer, &name("Test server"), tls_key.spki_der(), valid(), &names).unwrap();
        let work = work_key(&folder.join("s"), &issuer);
        let rks = RksKeys::make(&folder.join("s"), &issuer, exchange);
        Estate {
            root,
            root_key,
            card_key,
            other_card_key,
            operator,
            administrator,
            work,
            rks,
            tls,
            tls_key,
            folder,
        }
    }

    pub(crate) fn root_key(&self) -> &Key {
        &self.root_key
    }

    /// Where the HSM listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    /// The HSM's own folder.
    pub(crate) fn hsm_folder(&self) -> PathBuf {
        self.folder.join("lmk")
    }

    fn issuer(&self) -> Issuer<'_> {
        Issuer::new(&self.root, &self.root_key).unwrap()
    }

    /// Another card, on the operator's key.
    pub(crate) fn card(&self, role: Role, subject: &str, validity: Validity) -> Person {
        let spki = self.card_key.spki_der();
        let certificate = issue::leaf(&self.issuer(), role, &name(subject), spki, validity).unwrap();
        Person { certificate, key: Arc::clone(&self.card_key) }
    }

    /// Another card, on the administrator's key.
    pub(crate) fn card_of_other_key(&self, role: Role, subject: &str) -> Person {
        let spki = self.other_card_key.spki_der();
        let certificate = issue::leaf(&self.issuer(), role, &name(subject), spki, valid()).unwrap();
        Person { certificate, key: Arc::clone(&self.other_card_key) }
    }

    /// An operator card of a root that nobody here knows, although it has the same name.
    pub(crate) fn foreign_operator(&self) -> Person {
        let root = issue::root(&name("Test root"), &*self.other_card_key, root_valid(), 1).unwrap();
        let issuer = Issuer::new(&root, &*self.other_card_key).unwrap();
        let spki = self.card_key.spki_der();
        let certificate =
            issue::leaf(&issuer, Role::Operator, &name("Olga Operator"), spki, valid()).unwrap();
        Person { certificate, key: Arc::clone(&self.card_key) }
    }

    /// A POSP with a client certificate.
    pub(crate) fn posp(&self, common_name: &str) -> Person {
        self.posp_valid(common_name, valid())
    }

    pub(crate) fn posp_valid(&self, common_name: &str, validity: Validity) -> Person {
        let spki = self.other_card_key.spki_der();
        let certificate = issue::tls_client(&self.issuer(), &name(common_name), spki, validity).unwrap();
        Person { certificate, key: Arc::clone(&self.other_card_key) }
    }

    /// Somebody who has a TLS server's certificate.
    pub(crate) fn tls_person(&self) -> Person {
        let names = ["127.0.0.1".parse().unwrap()];
        let spki = self.card_key.spki_der();
        let certificate = issue::tls_server(&self.issuer(), &name("posp-1"), spki, valid(), &names).unwrap();
        Person { certificate, key: Arc::clone(&self.card_key) }
    }

    /// A POSP whose certificate a root of the same name issued that nobody here knows.
    pub(crate) fn foreign_posp(&self, common_name: &str) -> Person {
        let root = issue::root(&name("Test root"), &*self.other_card_key, root_valid(), 1).unwrap();
        let issuer = Issuer::new(&root, &*self.other_card_key).unwrap();
        let spki = self.card_key.spki_der();
        let certificate = issue::tls_client(&issuer, &name(common_name), spki, valid()).unwrap();
        Person { certificate, key: Arc::clone(&self.card_key) }
    }

    /// A TLS certificate whose key the HSM holds, and the key's block.
    pub(crate) fn tls_in_hsm(&self) -> (Certificate, String) {
        let command = MakeTlsKey { bits: 2048, subject: "Test server".into(), owner: ACQUIRER.into() };
        let made = ask_hsm(&self.socket(), command);
        let names = ["127.0.0.1".parse().unwrap()];
        let certificate =
            issue::tls_server(&self.issuer(), &name("Test server"), &made.public, valid(), &names).unwrap();
        (certificate, made.private.into())
    }

    /// The root's revocation list.
    pub(crate) fn crl(&self, number: u64, revoked: &[&Certificate]) -> String {
        self.crl_until(number, revoked, now() + DAY)
    }

    /// The same, with the time by which the next one is due.
    pub(crate) fn crl_until(&self, number: u64, revoked: &[&Certificate], next_update: i64) -> String {
        let revoked: Vec<_> = revoked
            .iter()
            .map(|certificate| Revoked {
                serial: certificate.serial().to_vec(),
                when: now() - 60,
                reason: RevocationReason::KeyCompromise,
            })
            .collect();
        issue::build_crl(&self.issuer(), number, now() - 60, next_update, &revoked).unwrap().pem()
    }
}

/// One command, in a runtime of its own.
fn ask_hsm<C: Command>(socket: &Path, command: C) -> C::Reply {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { Client::connect(socket).await.unwrap().call(command).await.unwrap() })
}

fn work_key(socket: &Path, issuer: &Issuer<'_>) -> WorkKey {
    let command = MakeWorkKey { bits: 2048, subject: "KMS work".into(), owner: ACQUIRER.into() };
    let made = ask_hsm(socket, command);
    let request = pki::csr::parse_and_verify(&made.request).unwrap();
    assert_eq!(request.spki, made.public);
    let certificate = issue::leaf(issuer, Role::KmsWork, &request.subject, &made.public, valid()).unwrap();
    WorkKey { certificate, private_block: made.private.into() }
}
