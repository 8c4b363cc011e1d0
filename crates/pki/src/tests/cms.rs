//! Signed packages among ourselves.

use super::support::*;
use crate::cms::{CmsRefusal, MAX_CMS_LEN, MAX_PACKAGE_LEN, open, sign};
use crate::tlv;
use crate::*;

/// id-data.
const DATA: &[u8] = &[0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x01];
const CONTENT: &[u8] = br#"{"version":1,"station":"S-1","terminals":[]}"#;

fn package() -> Vec<u8> {
    sign(CONTENT, key(Who::Leaf), &leaf(Role::Operator), &[], NOW).unwrap()
}

#[test]
fn a_package_opens_to_what_was_signed() {
    let leaf = deep_leaf(Role::Operator);
    let der = sign(CONTENT, key(Who::Leaf), &leaf, &[root(), intermediate()], NOW).unwrap();
    let package = open(&der).unwrap();
    let signer = package.only_signer().unwrap();
    assert_eq!(package.content, CONTENT);
    assert_eq!(signer.certificate, leaf);
    assert_eq!(signer.intermediates, [intermediate(), root()], "nearest first, whatever the order given");
    assert_eq!(signer.signing_time, NOW);
    let chain = &signer.intermediates;
    verify_chain(&signer.certificate, chain, &trust(), Role::Operator, NOW, &CrlSet::new()).unwrap();
}

#[test]
fn an_empty_content_can_be_signed() {
    let der = sign(b"", key(Who::Leaf), &leaf(Role::Operator), &[], NOW).unwrap();
    assert_eq!(open(&der).unwrap().content, b"");
}

#[test]
fn another_implementation_reads_the_same() {
    use ::cms::content_info::ContentInfo;
    use ::cms::signed_data::SignedData;
    use der::{Decode, Encode};
    let info = ContentInfo::from_der(&package()).unwrap();
    let data = SignedData::from_der(&info.content.to_der().unwrap()).unwrap();
    assert_eq!(data.encap_content_info.econtent.unwrap().value(), CONTENT);
    assert_eq!(data.signer_infos.0.len(), 1);
    let attributes = data.signer_infos.0.as_slice()[0].signed_attrs.clone().unwrap();
    assert_eq!(attributes.len(), 3);
}

#[test]
fn a_package_changed_in_any_byte_is_refused() {
    let good = package();
    for index in 0..good.len() {
        let mut changed = good.clone();
        changed[index] ^= 0x01;
        if let Ok(package) = open(&changed) {
            // Only the certificate is left: its own signature is checked with the chain.
            let signer = package.only_signer().unwrap();
            assert!(check(&signer.certificate, Role::Operator).is_err(), "byte {index}");
        }
    }
}

#[test]
fn a_package_with_a_byte_more_or_less_is_malformed() {
    let good = package();
    for len in [0, 1, 10, good.len() - 1] {
        assert!(matches!(open(&good[..len]), Err(CmsRefusal::Malformed(_))));
    }
    let mut longer = good;
    longer.push(0);
    assert!(matches!(open(&longer), Err(CmsRefusal::Malformed(_))));
}

#[test]
fn a_changed_content_is_named() {
    let mut der = package();
    let at = der.windows(CONTENT.len()).position(|window| window == CONTENT).unwrap();
    der[at + 12] ^= 1;
    assert_eq!(open(&der).unwrap_err(), CmsRefusal::Digest);
}

#[test]
fn a_changed_signing_time_is_a_bad_signature() {
    let mut der = package();
    // UTCTime of NOW.
    let at = der.windows(4).position(|window| window == [0x31, 0x0F, 0x17, 0x0D]).unwrap();
    der[at + 15] ^= 1;
    assert_eq!(open(&der).unwrap_err(), CmsRefusal::BadSignature);
}

#[test]
fn a_signature_by_another_key_than_the_certificates_is_refused() {
    struct Forger;
    impl Signer for Forger {
        fn spki_der(&self) -> &[u8] {
            key(Who::Leaf).spki_der()
        }
        fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
            key(Who::Stranger).sign(scheme, message)
        }
    }
    // Our own `sign` notices: the refusal is in its error.
    let error = sign(CONTENT, &Forger, &leaf(Role::Operator), &[], NOW).unwrap_err();
    assert!(error.to_string().contains(&CmsRefusal::BadSignature.to_string()), "{error}");
}

#[test]
fn the_key_must_be_the_certificates() {
    let result = sign(CONTENT, key(Who::Stranger), &leaf(Role::Operator), &[], NOW);
    assert!(matches!(result, Err(Error::Request(_))));
}

#[test]
fn a_certificate_on_nobodys_chain_is_refused() {
    let error = sign(CONTENT, key(Who::Leaf), &leaf(Role::Operator), &[intermediate()], NOW).unwrap_err();
    assert!(error.to_string().contains("on no signer's chain"), "{error}");
}

#[test]
fn contents_past_the_limit_are_refused_and_at_it_are_not() {
    let leaf = leaf(Role::Operator);
    let long = vec![b' '; MAX_CMS_LEN + 1];
    assert!(matches!(sign(&long, key(Who::Leaf), &leaf, &[], NOW), Err(Error::TooLong { .. })));
    let der = sign(&long[1..], key(Who::Leaf), &leaf, &[], NOW).unwrap();
    assert_eq!(open(&der).unwrap().content.len(), MAX_CMS_LEN);
    let far = vec![0x30; MAX_PACKAGE_LEN + 1];
    assert!(matches!(open(&far), Err(CmsRefusal::TooLong { .. })));
    assert!(matches!(open(&far[1..]), Err(CmsRefusal::Malformed(_))));
}

/// The package with its SignedData's elements changed, lengths made right again.
fn rebuilt(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let der = package();
    let mut info = tlv::Reader::new(tlv::whole(&der, tlv::SEQUENCE).unwrap().value);
    let oid = info.any().unwrap().raw;
    let data = tlv::whole(info.any().unwrap().value, tlv::SEQUENCE).unwrap().value;
    let mut reader = tlv::Reader::new(data);
    let mut elements = Vec::new();
    while !reader.is_empty() {
        elements.push(reader.any().unwrap().raw.to_vec());
    }
    change(&mut elements);
    let parts: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    let data = tlv::encode(tlv::SEQUENCE, &parts);
    tlv::encode(tlv::SEQUENCE, &[oid, &tlv::encode(tlv::CONTEXT_0, &[&data])])
}

/// The one SignerInfo's elements changed.
fn with_signer_info(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    rebuilt(|elements| {
        let set = tlv::whole(&elements[4], tlv::SET).unwrap().value.to_vec();
        let info = tlv::whole(&set, tlv::SEQUENCE).unwrap().value;
        let mut reader = tlv::Reader::new(info);
        let mut parts = Vec::new();
        while !reader.is_empty() {
            parts.push(reader.any().unwrap().raw.to_vec());
        }
        change(&mut parts);
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        elements[4] = tlv::encode(tlv::SET, &[&tlv::encode(tlv::SEQUENCE, &slices)]);
    })
}

#[test]
fn taking_a_package_apart_and_together_changes_nothing() {
    open(&rebuilt(|_| {})).unwrap();
    open(&with_signer_info(|_| {})).unwrap();
}

#[test]
fn a_package_without_signers_or_with_too_many_is_refused() {
    let none = rebuilt(|elements| elements[4] = vec![tlv::SET, 0]);
    assert!(matches!(open(&none), Err(CmsRefusal::SignerCount { found: 0, .. })));
    let times = |count: usize| {
        rebuilt(|elements| {
            let info = tlv::whole(&elements[4], tlv::SET).unwrap().value.repeat(count);
            elements[4] = tlv::encode(tlv::SET, &[&info]);
        })
    };
    assert_eq!(open(&times(2)).unwrap_err(), CmsRefusal::SameSigner);
    assert!(matches!(open(&times(3)), Err(CmsRefusal::SignerCount { found: 3, wanted: 2 })));
}

#[test]
fn two_signers_are_checked_each_and_are_too_many_for_this_suite() {
    // A second signature, by the intermediate's key as a mere card.
    let ca = root();
    let issuer = issue::Issuer::new(&ca, key(Who::Root)).unwrap();
    let second = issue::leaf(
        &issuer,
        Role::Administrator,
        &name("Second"),
        key(Who::Intermediate).spki_der(),
        years(1),
    )
    .unwrap();
    let other = sign(CONTENT, key(Who::Intermediate), &second, &[], NOW).unwrap();
    let other_info = {
        let mut info = tlv::Reader::new(tlv::whole(&other, tlv::SEQUENCE).unwrap().value);
        info.any().unwrap();
        let data = tlv::whole(info.any().unwrap().value, tlv::SEQUENCE).unwrap().value;
        let mut reader = tlv::Reader::new(data);
        let mut last = reader.any().unwrap();
        while !reader.is_empty() {
            last = reader.any().unwrap();
        }
        last.value.to_vec()
    };
    let both = rebuilt(|elements| {
        let certificates = tlv::whole(&elements[3], tlv::CONTEXT_0).unwrap().value.to_vec();
        elements[3] = tlv::encode_set_of(tlv::CONTEXT_0, vec![certificates, second.der().to_vec()]);
        let first = tlv::whole(&elements[4], tlv::SET).unwrap().value.to_vec();
        elements[4] = tlv::encode_set_of(tlv::SET, vec![first, other_info]);
    });
    let package = open(&both).unwrap();
    assert_eq!(package.signers.len(), 2);
    assert!(matches!(package.only_signer(), Err(CmsRefusal::SignerCount { found: 2, wanted: 1 })));
}

#[test]
fn a_detached_package_is_refused() {
    let der = rebuilt(|elements| elements[2] = tlv::encode(tlv::SEQUENCE, &[DATA]));
    assert_eq!(open(&der).unwrap_err(), CmsRefusal::Detached);
}

#[test]
fn a_package_without_the_signers_certificate_is_refused() {
    let der = rebuilt(|elements| {
        elements.remove(3);
    });
    assert_eq!(open(&der).unwrap_err(), CmsRefusal::NoSignerCertificate);
}

#[test]
fn another_digest_or_signature_algorithm_is_refused() {
    // SHA-1 and ecdsa-with-SHA256.
    let sha1 = vec![0x30, 0x07, 0x06, 0x05, 0x2B, 0x0E, 0x03, 0x02, 0x1A];
    let ecdsa = vec![0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
    let digest = with_signer_info(|parts| parts[2] = sha1.clone());
    let signature = with_signer_info(|parts| parts[4] = ecdsa);
    let outer = rebuilt(|elements| elements[1] = tlv::encode(tlv::SET, &[&sha1]));
    for der in [digest, signature, outer] {
        assert_eq!(open(&der).unwrap_err(), CmsRefusal::Algorithm);
    }
}

#[test]
fn signed_attributes_are_demanded() {
    let der = with_signer_info(|parts| {
        parts.remove(3);
    });
    assert_eq!(open(&der).unwrap_err(), CmsRefusal::SignedAttribute("contentType"));
    // Each of the three in turn taken away, and each twice.
    let names = ["contentType", "signingTime", "messageDigest"];
    for (index, name) in names.into_iter().enumerate() {
        let change = |change: fn(&mut Vec<Vec<u8>>, usize)| {
            with_signer_info(|parts| {
                let mut reader = tlv::Reader::new(tlv::whole(&parts[3], tlv::CONTEXT_0).unwrap().value);
                let mut attributes = Vec::new();
                while !reader.is_empty() {
                    attributes.push(reader.any().unwrap().raw.to_vec());
                }
                change(&mut attributes, index);
                let slices: Vec<&[u8]> = attributes.iter().map(Vec::as_slice).collect();
                parts[3] = tlv::encode(tlv::CONTEXT_0, &slices);
            })
        };
        let without = change(|attributes, index| {
            attributes.remove(index);
        });
        assert_eq!(open(&without).unwrap_err(), CmsRefusal::SignedAttribute(name));
        let out_of_order = change(|attributes, index| {
            let first = attributes.remove(index);
            attributes.insert((index + 1) % 3, first);
        });
        assert!(matches!(open(&out_of_order), Err(CmsRefusal::Malformed(_))));
    }
}

#[test]
fn bytes_that_nobody_signed_are_refused() {
    let unsigned = with_signer_info(|parts| parts.push(vec![0xA1, 0x00]));
    assert!(matches!(open(&unsigned), Err(CmsRefusal::Malformed(_))));
    let crls = rebuilt(|elements| elements.insert(4, vec![0xA1, 0x00]));
    assert!(matches!(open(&crls), Err(CmsRefusal::Malformed(_))));
    let version = rebuilt(|elements| elements[0] = vec![0x02, 0x01, 0x03]);
    assert!(matches!(open(&version), Err(CmsRefusal::Malformed(_))));
}

#[test]
fn certificates_are_counted_read_and_not_repeated() {
    use crate::cms::MAX_CERTIFICATES;
    let with = |certificates: Vec<u8>| {
        rebuilt(move |elements| elements[3] = tlv::encode(tlv::CONTEXT_0, &[&certificates]))
    };
    let one = leaf(Role::Operator).der().to_vec();
    assert_eq!(open(&with(one.repeat(2))).unwrap_err(), CmsRefusal::Malformed("a certificate is repeated"));
    assert_eq!(
        open(&with(one.repeat(MAX_CERTIFICATES + 1))).unwrap_err(),
        CmsRefusal::TooManyCertificates { found: MAX_CERTIFICATES + 1, max: MAX_CERTIFICATES }
    );
    assert!(matches!(open(&with(vec![0x30, 0x00])), Err(CmsRefusal::Certificate(_))));
}
