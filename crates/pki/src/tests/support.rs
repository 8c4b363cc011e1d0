//! Keys, a small estate of certificates, and the real `openssl`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair};

use crate::issue::{self, Issuer, Template, Validity};
use crate::{
    Certificate, CertificateRefusal, CrlSet, Name, Role, Scheme, SignError, Signer, TrustList, Verified,
    verify_chain,
};

/// The time of all tests: 2026-09-21.
pub(super) const NOW: i64 = 1_790_000_000;
pub(super) const DAY: i64 = 86_400;

/// A private key of the tests.
pub(super) struct Key {
    pair: RsaKeyPair,
    spki: Vec<u8>,
}

impl Key {
    fn new() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let spki = spki.as_ref().to_vec();
        Self { pair, spki }
    }

    pub(super) fn pkcs8(&self) -> Vec<u8> {
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = self.pair.as_der().unwrap();
        der.as_ref().to_vec()
    }
}

impl Signer for Key {
    fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let rng = SystemRandom::new();
        match scheme {
            Scheme::Pkcs1Sha256 => self.pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature),
            Scheme::PssSha256 => self.pair.sign(&RSA_PSS_SHA256, &rng, message, &mut signature),
            Scheme::EcdsaP256Sha256 => return Err(SignError::new("an RSA key")),
        }
        .unwrap();
        Ok(signature)
    }
}

/// Who has which key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    Root,
    Intermediate,
    Leaf,
    Stranger,
}

pub(super) fn key(who: Who) -> &'static Key {
    static KEYS: LazyLock<[Key; 4]> = LazyLock::new(|| std::array::from_fn(|_| Key::new()));
    &KEYS[who as usize]
}

pub(super) fn name(common_name: &str) -> Name {
    Name::new(common_name, Some("Keyferry tests")).unwrap()
}

pub(super) fn years(count: i64) -> Validity {
    Validity { not_before: NOW - DAY, not_after: NOW + count * 365 * DAY }
}

/// The root of all tests; it allows two CAs below it.
pub(super) fn root() -> Certificate {
    static ROOT: LazyLock<Certificate> =
        LazyLock::new(|| issue::root(&name("Root"), key(Who::Root), years(10), 2).unwrap());
    ROOT.clone()
}

/// A CA between root and leaf that allows none below it.
pub(super) fn intermediate() -> Certificate {
    static CA: LazyLock<Certificate> = LazyLock::new(|| {
        let root = root();
        let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
        issue::intermediate(&issuer, &name("Intermediate"), key(Who::Intermediate).spki_der(), years(5), 0)
            .unwrap()
    });
    CA.clone()
}

/// A leaf under the root.
pub(super) fn leaf(role: Role) -> Certificate {
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    issue::leaf(&issuer, role, &name("Leaf"), key(Who::Leaf).spki_der(), years(1)).unwrap()
}

/// A leaf under the intermediate.
pub(super) fn deep_leaf(role: Role) -> Certificate {
    let ca = intermediate();
    let issuer = Issuer::new(&ca, key(Who::Intermediate)).unwrap();
    issue::leaf(&issuer, role, &name("Deep leaf"), key(Who::Leaf).spki_der(), years(1)).unwrap()
}

/// The bare beginning of an operator's certificate under the root, for `change` to complete.
pub(super) fn odd_leaf(change: impl FnOnce(&mut Template)) -> Certificate {
    let mut template =
        Template::new(root().subject(), &name("Odd leaf"), key(Who::Leaf).spki_der(), years(1)).unwrap();
    change(&mut template);
    template.sign(key(Who::Root)).unwrap()
}

/// Every role, under the root of all tests.
pub(super) fn trust() -> TrustList {
    let mut trust = TrustList::new();
    trust.add(root(), &Role::SUITE_01);
    trust
}

pub(super) fn check(leaf: &Certificate, role: Role) -> Result<Verified, CertificateRefusal> {
    verify_chain(leaf, &[], &trust(), role, NOW, &CrlSet::new())
}

pub(super) fn refusal(leaf: &Certificate, role: Role) -> CertificateRefusal {
    check(leaf, role).expect_err("must be refused")
}

/// A scratch folder with the estate's certificates and keys as files for `openssl`.
pub(super) struct Shell {
    dir: tempfile::TempDir,
}

impl Shell {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(super) fn write_key(&self, name: &str, key: &Key) {
        self.write(
            name,
            der::pem::encode_string("PRIVATE KEY", der::pem::LineEnding::LF, &key.pkcs8()).unwrap(),
        );
    }

    /// Runs `openssl` in the folder; gives what it printed, and panics with that when it failed.
    pub(super) fn openssl(&self, args: &str) -> String {
        match self.try_openssl(args) {
            Ok(output) => output,
            Err(output) => panic!("openssl {args}\n{output}"),
        }
    }

    /// Runs `openssl`; `Err` holds what it printed when it failed.
    pub(super) fn try_openssl(&self, args: &str) -> Result<String, String> {
        run(self.dir.path(), args)
    }
}

fn run(dir: &Path, args: &str) -> Result<String, String> {
    let output = Command::new("openssl")
        .current_dir(dir)
        .args(args.split_whitespace())
        .output()
        .expect("these tests need the openssl command: install it (apt-get install openssl)");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text) } else { Err(text) }
}

/// A key that only `openssl` would make, and signs with it.
pub(super) struct OpensslKey {
    shell: Shell,
    spki: Vec<u8>,
}

impl OpensslKey {
    /// `arguments` of `openssl genrsa`.
    pub(super) fn rsa(arguments: &str) -> Self {
        let shell = Shell::new();
        shell.openssl(&format!("genrsa -out key.pem {arguments}"));
        Self::finish(shell)
    }

    pub(super) fn ec() -> Self {
        Self::curve("prime256v1")
    }

    pub(super) fn curve(name: &str) -> Self {
        let shell = Shell::new();
        shell.openssl(&format!("ecparam -name {name} -genkey -noout -out key.pem"));
        Self::finish(shell)
    }

    fn finish(shell: Shell) -> Self {
        shell.openssl("pkey -in key.pem -pubout -outform DER -out spki.der");
        let spki = shell.read("spki.der");
        Self { shell, spki }
    }
}

impl Signer for OpensslKey {
    fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    fn sign(&self, _: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.shell.write("message", message);
        self.shell.openssl("dgst -sha256 -sign key.pem -out signature message");
        Ok(self.shell.read("signature"))
    }
}
