//! What is published: only what every terminal would take.

use std::fs;

use base64ct::{Base64, Encoding};
use keyferry_server::tms::{Manifest, PublishError, Whose};
use pki::{CertificateRefusal, Role};
use serde_json::{Value, json};

use crate::support::{
    estate::ESTATE,
    shop::{Maker, Shop},
    tms::VENDOR,
    world::Options,
};

const CONTENT: &[u8] = b"an application";

/// The world's roots, with one that may issue package signers.
fn shop() -> Shop {
    let shop = Shop::with(&[], "");
    fs::write(shop.files().join("pay-app-1.2.0.bin"), CONTENT).unwrap();
    shop
}

fn good(shop: &Shop) -> Value {
    shop.maker.manifest("pay-app", "1.2.0", CONTENT)
}

fn refused(shop: &Shop, manifest: &Value) -> PublishError {
    let refusal = shop.publish(manifest, None).unwrap_err();
    assert_eq!(shop.world.count("packages"), 0, "{refusal}");
    refusal
}

fn encoded(certificate: &pki::Certificate) -> Value {
    json!(Base64::encode_string(certificate.der()))
}

#[test]
fn a_good_package_is_published_once_and_its_event_says_who_signed() {
    let shop = shop();
    let first = shop.publish(&good(&shop), None).unwrap();
    assert!(!first.already_there);
    // Another signature over the same package is the same package.
    let again = shop.publish(&good(&shop), None).unwrap();
    assert_eq!((again.id, again.already_there), (first.id, true));
    let events = shop.world.events("tms.package-published", "pay-app 1.2.0");
    assert_eq!(events[0].detail["size"], json!(CONTENT.len()));
    assert!(events[0].detail["signer"].as_str().unwrap().contains("Vendor packages"));
    shop.world.assert_audit_good();
}

#[test]
fn other_content_under_a_published_version_is_refused() {
    let shop = shop();
    shop.publish(&good(&shop), None).unwrap();
    fs::write(shop.files().join("pay-app-1.2.0.bin"), b"other bytes").unwrap();
    let other = shop.maker.manifest("pay-app", "1.2.0", b"other bytes");
    assert!(matches!(shop.publish(&other, None), Err(PublishError::Differs)));
}

#[test]
fn an_unknown_vendor_or_model_is_refused() {
    let shop = shop();
    let mut manifest = good(&shop);
    manifest["vendor"] = json!("OTHER");
    assert!(matches!(refused(&shop, &manifest), PublishError::UnknownVendor(_)));
    let mut manifest = good(&shop);
    manifest["models"] = json!(["M-1", "M-2"]);
    assert!(matches!(refused(&shop, &manifest), PublishError::UnknownModel(model) if model == "M-2"));
}

#[test]
fn a_signature_over_anything_else_is_refused() {
    let shop = shop();
    fs::write(shop.files().join("other.bin"), CONTENT).unwrap();
    for (name, value) in [
        ("name", json!("pay-bpp")),
        ("version", json!("1.2.1")),
        ("kind", json!("data-file")),
        ("size", json!(CONTENT.len() + 1)),
        ("sha256", json!("00".repeat(32))),
        ("signature", json!(Base64::encode_string(&[1; 256]))),
    ] {
        let mut manifest = good(&shop);
        manifest[name] = value;
        let refusal = refused(&shop, &manifest);
        assert!(matches!(refusal, PublishError::Signature { whose: Whose::Vendor }), "{name}: {refusal}");
    }
}

#[test]
fn a_signer_of_another_role_another_root_or_no_certificate_is_refused() {
    let shop = shop();
    let with = |certificate: Value| {
        let mut manifest = good(&shop);
        manifest["certificate"] = certificate;
        refused(&shop, &manifest)
    };
    let role = with(encoded(&shop.maker.certificate(Role::Operator)));
    let wrong_role = |source: &CertificateRefusal| matches!(source, CertificateRefusal::WrongRole { .. });
    assert!(
        matches!(&role, PublishError::Chain { whose: Whose::Vendor, source } if wrong_role(source)),
        "{role}"
    );
    let root = with(encoded(&Maker::new().signer));
    assert!(matches!(root, PublishError::Chain { whose: Whose::Vendor, .. }), "{root}");
    let approver = with(encoded(&shop.maker.approver()));
    assert!(
        matches!(approver, PublishError::Chain { whose: Whose::Vendor, .. }),
        "the acquirer is no vendor"
    );
    assert!(matches!(with(json!("AAAA")), PublishError::Certificate { whose: Whose::Vendor, .. }));
}

#[test]
fn r10_a_vendors_root_for_trials_signs_nothing_in_production() {
    let shop = shop();
    let trial = shop.maker.trial_root();
    let vendor = shop.maker.vendor(&shop.files());
    shop.put_vendor(store::Vendor { roots: vec![trial.der().to_vec()], ..vendor });
    let refusal = refused(&shop, &good(&shop));
    assert!(
        matches!(
            &refusal,
            PublishError::Certificate {
                whose: Whose::Vendor,
                source: pki::Error::OtherEstate { production: false, .. }
            }
        ),
        "{refusal}"
    );
    shop.put_vendor(shop.maker.vendor(&shop.files()));
    shop.publish(&good(&shop), None).unwrap();
}

#[test]
fn a_file_that_is_missing_short_long_or_another_one_is_refused() {
    let shop = shop();
    let file = shop.files().join("pay-app-1.2.0.bin");
    for (content, wanted) in [(&b"an applicatio"[..], 13), (b"an application!", 15)] {
        fs::write(&file, content).unwrap();
        let refusal = refused(&shop, &good(&shop));
        assert!(matches!(refusal, PublishError::Size { found, .. } if found == wanted), "{refusal}");
    }
    fs::write(&file, b"an APPlication").unwrap();
    assert!(matches!(refused(&shop, &good(&shop)), PublishError::Hash));
    fs::remove_file(&file).unwrap();
    assert!(matches!(refused(&shop, &good(&shop)), PublishError::Read { .. }));
    let vendor = shop.maker.vendor(&shop.files());
    shop.put_vendor(store::Vendor { repository: "{\"kind\":\"moon\"}".into(), ..vendor });
    assert!(matches!(refused(&shop, &good(&shop)), PublishError::Open(_)));
}

#[test]
fn where_the_acquirer_approves_a_package_needs_its_good_approval() {
    let shop = shop();
    let vendor = shop.maker.vendor(&shop.files());
    shop.put_vendor(store::Vendor { approval_required: true, ..vendor });
    let manifest = good(&shop);
    assert!(matches!(refused(&shop, &manifest), PublishError::NotApproved));
    let signed = Manifest::from_json(&manifest.to_string()).unwrap().signed_bytes();
    let mut approval =
        json!({ "signature": shop.maker.sign(&signed), "certificate": encoded(&shop.maker.approver()) });
    // The world's root may not issue package signers so far.
    let refusal = shop.publish(&manifest, Some(&approval)).unwrap_err();
    assert!(matches!(refusal, PublishError::Chain { whose: Whose::Acquirer, .. }), "{refusal}");
    let path = shop.world.folder().join("keyferry.toml");
    let text =
        fs::read_to_string(&path).unwrap().replace("\"operator\",", "\"operator\", \"package-signing\",");
    fs::write(&path, text).unwrap();
    let other = shop.maker.sign(b"something else");
    let mut wrong = approval.clone();
    wrong["signature"] = json!(other);
    let refusal = shop.publish(&manifest, Some(&wrong)).unwrap_err();
    assert!(matches!(refusal, PublishError::Signature { whose: Whose::Acquirer }), "{refusal}");
    approval["certificate"] = encoded(&shop.maker.signer);
    let refusal = shop.publish(&manifest, Some(&approval)).unwrap_err();
    assert!(
        matches!(refusal, PublishError::Chain { whose: Whose::Acquirer, .. }),
        "the vendor is no acquirer"
    );
    approval["certificate"] = encoded(&shop.maker.approver());
    shop.publish(&manifest, Some(&approval)).unwrap();
    let events = shop.world.events("tms.package-published", "pay-app 1.2.0");
    assert!(events[0].detail["approver"].as_str().unwrap().contains("Approver"));
}

#[test]
fn a_chain_of_too_many_certificates_is_refused() {
    let shop = shop();
    let mut manifest = good(&shop);
    manifest["intermediates"] = json!(vec![encoded(&ESTATE.root); 6]);
    let refusal = refused(&shop, &manifest);
    assert!(matches!(refusal, PublishError::Certificate { whose: Whose::Vendor, .. }), "{refusal}");
}

/// Publishing is for people with the store; the vendor needs no server.
#[test]
fn publishing_works_where_terminals_are_not_served() {
    let shop = Shop::with_options(&[], &Options::default());
    fs::write(shop.files().join("pay-app-1.2.0.bin"), CONTENT).unwrap();
    shop.publish(&good(&shop), None).unwrap();
    assert_eq!(VENDOR, "VND");
}
