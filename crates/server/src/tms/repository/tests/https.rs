//! A vendor's server over TLS: believed under the vendor's own CA, and under no other.

use std::{
    fs,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use paycrypto::rsa::PrivateKey;
use pki::{
    Certificate, Name, Scheme, SignError, Signer,
    issue::{self, Issuer, Validity},
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};
use serde_json::json;

use super::{
    super::{RepositoryError, conformance},
    PATH, content,
    http_server::Server,
    known, opened,
};

struct Key(PrivateKey);

impl Signer for Key {
    fn spki_der(&self) -> &[u8] {
        self.0.spki_der()
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        assert_eq!(scheme, Scheme::Pkcs1Sha256);
        Ok(self.0.sign_pkcs1_sha256(message).unwrap())
    }
}

fn valid() -> Validity {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(now).unwrap();
    Validity { not_before: now - 86_400, not_after: now + 86_400 }
}

/// A root and a server's settings with a certificate for this name under it.
fn server_under_a_root(host: &str) -> (Certificate, ServerConfig) {
    let [root_key, key] = [(); 2].map(|()| Key(PrivateKey::generate(2048).unwrap()));
    let name = |text| Name::new(text, Some("ACME")).unwrap();
    let root = issue::root(&name("ACME files"), &root_key, valid(), 1).unwrap();
    let issuer = Issuer::new(&root, &root_key).unwrap();
    let names = [host.parse().unwrap()];
    let leaf = issue::tls_server(&issuer, &name("files"), key.spki_der(), valid(), &names).unwrap();
    let chain = vec![CertificateDer::from(leaf.der().to_vec())];
    let private = PrivatePkcs8KeyDer::from(key.0.to_pkcs8().to_vec()).into();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .unwrap();
    (root, config)
}

#[tokio::test]
async fn https_under_the_vendors_ca_fulfils_the_conformance_suite() {
    let (root, tls) = server_under_a_root("127.0.0.1");
    let content = content();
    let server = Server::start_tls("pay/1.2.0/pay%20app.bin", content.clone(), tls).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, root.pem()).unwrap();
    let settings = json!({ "kind": "http", "url": server.url, "ca": ca, "timeout_seconds": 20 });
    conformance::run(&*opened(&settings).unwrap(), known(&content)).await.unwrap();
}

#[tokio::test]
async fn another_root_or_another_name_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let (_, tls) = server_under_a_root("127.0.0.1");
    let (other_root, tls_for_other_name) = server_under_a_root("files.vendor.example");
    fs::write(&ca, other_root.pem()).unwrap();
    for tls in [tls, tls_for_other_name] {
        let server = Server::start_tls("pay/1.2.0/pay%20app.bin", content(), tls).await;
        let settings = json!({ "kind": "http", "url": server.url, "ca": ca, "timeout_seconds": 20 });
        let read = opened(&settings).unwrap().read(PATH, 0, 10).await;
        assert!(matches!(read, Err(RepositoryError::Unavailable { .. })), "{read:?}");
        assert_eq!(server.asked(), 0, "nothing was said to it");
    }
}
