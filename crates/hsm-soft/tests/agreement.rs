//! PK and MAK by certificate, from the vendor's HSM to the KMS's: what comes out, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use hsm::{
    KeyBlock, Refusal,
    commands::{
        BatchText, CheckBatchMac, EcKeyKind, MacBatch, MakeEcKey, MakeWorkKey, Reply, Request, WorkKey,
        ZoneAlgorithm,
    },
};
use keyblock::{Exportability, Header, Kbpk, KeyVersion};
use keyferry_hsm_soft::{
    Duty, HsmSoftError, Offline, SoftHsm,
    agreement::{AgreedKeys, AgreementRefusal, Parties, Travelling, accept, offer},
    create,
};
use paycrypto::{
    digest,
    ec::{PublicPoint, hpke},
    rsa::PublicKey,
};

const PASSPHRASE: &str = "only for this test";
const BOTH: [ZoneAlgorithm; 2] = [ZoneAlgorithm::Tdes, ZoneAlgorithm::Aes];

/// One party's HSM.
struct Site {
    folder: tempfile::TempDir,
    offline: Offline,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), PASSPHRASE).unwrap();
        let offline = Offline::open(folder.path(), PASSPHRASE).unwrap();
        Self { folder, offline }
    }

    fn running(&self) -> SoftHsm {
        SoftHsm::open(self.folder.path(), PASSPHRASE, vec![]).unwrap()
    }

    /// A work key of the KMS's.
    fn work_key(&self, algorithm: ZoneAlgorithm) -> WorkKey {
        let (subject, owner) = ("KMS".into(), "BANK".into());
        let request = match algorithm {
            ZoneAlgorithm::Tdes => Request::MakeWorkKey(MakeWorkKey { bits: 2048, subject, owner }),
            ZoneAlgorithm::Aes => {
                Request::MakeEcKey(MakeEcKey { kind: EcKeyKind::KmsAgreement, subject, owner })
            }
        };
        match self.running().handle(request).unwrap() {
            Reply::MakeWorkKey(made) | Reply::MakeEcKey(made) => made,
            other => panic!("{other:?}"),
        }
    }
}

fn parties() -> Parties {
    Parties { vendor: "VENDOR".into(), buyer: "BANK".into() }
}

fn refusal(outcome: Result<AgreedKeys, HsmSoftError>) -> AgreementRefusal {
    match outcome {
        Err(HsmSoftError::Agreement(refusal)) => refusal,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[test]
fn both_hsms_have_the_same_two_keys_and_each_serves_its_partner_only() {
    let (mtms, kms) = (Site::new(), Site::new());
    for algorithm in BOTH {
        let work = kms.work_key(algorithm);
        let (here, travelling) = offer(&mtms.offline, &parties(), algorithm, &work.public).unwrap();
        let there = accept(&kms.offline, &parties(), algorithm, &work.private, &travelling).unwrap();
        assert_eq!((&here.pk.kcv, &here.mak.kcv), (&there.pk.kcv, &there.mak.kcv));
        assert_ne!(here.pk.kcv, here.mak.kcv);
        assert_eq!(here.pk.kcv.len(), if algorithm == ZoneAlgorithm::Tdes { 3 } else { 5 }, "R16");
        assert_ne!(here.pk.block, there.pk.block, "under two LMKs");

        // What one authenticates the other believes.
        let mac = |partner: &str| {
            let (mak, partner, owner) = (here.mak.block.clone(), partner.into(), "VENDOR".into());
            let (what, text) = (BatchText::Batch, b"{}".to_vec());
            mtms.running().on_duty(Duty::Mtms).handle(Request::MacBatch(MacBatch {
                mak,
                partner,
                owner,
                what,
                text,
            }))
        };
        let Reply::MacBatch(made) = mac("BANK").unwrap() else { panic!("another reply") };
        let check = |partner: &str| {
            let (mak, partner, owner) = (there.mak.block.clone(), partner.into(), "BANK".into());
            let (what, text, mac) = (BatchText::Batch, b"{}".to_vec(), made.clone());
            let command = CheckBatchMac { mak, partner, owner, what, text, mac };
            kms.running().handle(Request::CheckBatchMac(command))
        };
        check("VENDOR").unwrap();
        assert!(matches!(mac("OTHER-BANK"), Err(Refusal::WrongPlace { .. })));
        assert!(matches!(check("OTHER-VENDOR"), Err(Refusal::WrongPlace { .. })));
        assert!(!format!("{here:?} {travelling:?}").contains("key:"));
    }
}

#[test]
fn each_offer_has_keys_of_its_own() {
    let (mtms, kms) = (Site::new(), Site::new());
    let work = kms.work_key(ZoneAlgorithm::Aes);
    let [one, other] =
        [(); 2].map(|()| offer(&mtms.offline, &parties(), ZoneAlgorithm::Aes, &work.public).unwrap());
    assert_ne!(one.0.pk.kcv, other.0.pk.kcv);
    assert_ne!(one.1, other.1);
    // Nor are two of them mixed.
    let mixed = Travelling { sealed: one.1.sealed, ..other.1 };
    let outcome = accept(&kms.offline, &parties(), ZoneAlgorithm::Aes, &work.private, &mixed);
    assert!(matches!(refusal(outcome), AgreementRefusal::Block { which: "PK", .. }));
}

#[test]
fn an_offer_to_another_key_or_for_other_names_is_refused() {
    let (mtms, kms) = (Site::new(), Site::new());
    for algorithm in BOTH {
        let (work, other) = (kms.work_key(algorithm), kms.work_key(algorithm));
        let (_, travelling) = offer(&mtms.offline, &parties(), algorithm, &work.public).unwrap();
        let outcome = accept(&kms.offline, &parties(), algorithm, &other.private, &travelling);
        assert_eq!(refusal(outcome), AgreementRefusal::Sealed, "another work key");

        let replayed = Parties { vendor: "OTHER-VENDOR".into(), ..parties() };
        let refused = refusal(accept(&kms.offline, &replayed, algorithm, &work.private, &travelling));
        match algorithm {
            ZoneAlgorithm::Tdes => assert!(refused.to_string().contains("another vendor"), "{refused}"),
            ZoneAlgorithm::Aes => assert_eq!(refused, AgreementRefusal::Sealed),
        }
        let foreign = Parties { buyer: "OTHER-BANK".into(), ..parties() };
        let outcome = accept(&kms.offline, &foreign, algorithm, &work.private, &travelling);
        assert!(matches!(outcome, Err(HsmSoftError::Refused(Refusal::WrongOwner { .. }))));
        let outcome = accept(&mtms.offline, &parties(), algorithm, &work.private, &travelling);
        assert!(matches!(outcome, Err(HsmSoftError::Refused(Refusal::UnknownKey { .. }))), "another HSM");
    }
    let tdes = kms.work_key(ZoneAlgorithm::Tdes);
    let crossed = offer(&mtms.offline, &parties(), ZoneAlgorithm::Aes, &tdes.public);
    assert!(matches!(crossed, Err(HsmSoftError::Agreement(AgreementRefusal::Recipient(_)))));
    let one = Parties { buyer: "VENDOR".into(), ..parties() };
    let outcome = offer(&mtms.offline, &one, ZoneAlgorithm::Tdes, &tdes.public);
    assert!(matches!(outcome, Err(HsmSoftError::Agreement(AgreementRefusal::OneParty(_)))));
    let nobody = Parties { buyer: String::new(), ..parties() };
    let outcome = offer(&mtms.offline, &nobody, ZoneAlgorithm::Tdes, &tdes.public);
    assert!(matches!(outcome, Err(HsmSoftError::Refused(Refusal::Malformed { .. }))));
}

#[test]
fn what_was_changed_on_the_way_is_refused() {
    let (mtms, kms) = (Site::new(), Site::new());
    for algorithm in BOTH {
        let work = kms.work_key(algorithm);
        let (_, good) = offer(&mtms.offline, &parties(), algorithm, &work.public).unwrap();
        let take =
            |travelling: &Travelling| accept(&kms.offline, &parties(), algorithm, &work.private, travelling);
        for at in [0, good.sealed.len() / 2, good.sealed.len() - 1] {
            let mut changed = good.clone();
            changed.sealed[at] ^= 1;
            assert_eq!(refusal(take(&changed)), AgreementRefusal::Sealed, "byte {at}");
        }
        let short = Travelling { sealed: vec![], ..good.clone() };
        assert_eq!(refusal(take(&short)), AgreementRefusal::Sealed);
        for at in 0..good.pk.len() {
            let flip = |text: &str| {
                let mut bytes = text.to_owned().into_bytes();
                bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
                String::from_utf8(bytes).unwrap()
            };
            let pk = Travelling { pk: flip(&good.pk), ..good.clone() };
            assert!(matches!(refusal(take(&pk)), AgreementRefusal::Block { which: "PK", .. }), "{at}");
            let mak = Travelling { mak: flip(&good.mak), ..good.clone() };
            assert!(matches!(refusal(take(&mak)), AgreementRefusal::Block { which: "MAK", .. }), "{at}");
        }
        let swapped = Travelling { pk: good.mak.clone(), mak: good.pk.clone(), ..good.clone() };
        assert!(matches!(refusal(take(&swapped)), AgreementRefusal::Block { which: "PK", .. }));
    }
}

/// What a vendor's program of other make could send, sealed and wrapped as it should be.
fn forged(
    algorithm: ZoneAlgorithm,
    work: &WorkKey,
    kbpk: &[u8],
    pk: (Header, &[u8]),
    mak: (Header, &[u8]),
) -> Travelling {
    let sealed = match algorithm {
        ZoneAlgorithm::Tdes => PublicKey::from_spki(&work.public).unwrap().oaep_encrypt(kbpk).unwrap(),
        ZoneAlgorithm::Aes => {
            let info = [b"KF2 batch".as_slice(), &digest::sha256(b"VENDOR\0BANK")].concat();
            hpke::seal(&PublicPoint::from_spki(&work.public).unwrap(), &info, &[], kbpk).unwrap()
        }
    };
    let wrap =
        |(header, key): (Header, &[u8])| Kbpk::new(header.version, kbpk).unwrap().wrap(&header, key).unwrap();
    Travelling { sealed, pk: wrap(pk), mak: wrap(mak) }
}

#[test]
fn r6_poor_keys_and_keys_of_another_use_are_refused_however_well_they_are_sealed() {
    let (mtms, kms) = (Site::new(), Site::new());
    for algorithm in BOTH {
        let work = kms.work_key(algorithm);
        let (_, good) = offer(&mtms.offline, &parties(), algorithm, &work.public).unwrap();
        let header = |block: &str| Header::parse(block).unwrap().0;
        let (pk, mak) = (header(&good.pk), header(&good.mak));
        let length = if algorithm == ZoneAlgorithm::Tdes { 24 } else { 32 };
        let key = |label: &[u8]| digest::sha256(label)[..length].to_vec();
        let (kbpk, a, b) = (key(b"kbpk"), key(b"a"), key(b"b"));
        let take = |kbpk: &[u8], pk: (Header, &[u8]), mak: (Header, &[u8])| {
            let travelling = forged(algorithm, &work, kbpk, pk, mak);
            accept(&kms.offline, &parties(), algorithm, &work.private, &travelling)
        };
        take(&kbpk, (pk.clone(), &a), (mak.clone(), &b)).unwrap();

        let poor = a[..length / 3].repeat(3).into_iter().chain([0; 2]).take(length).collect::<Vec<_>>();
        let poor = if algorithm == ZoneAlgorithm::Aes { a[..16].repeat(2) } else { poor };
        let told = refusal(take(&kbpk, (pk.clone(), &poor), (mak.clone(), &b)));
        assert!(matches!(told, AgreementRefusal::Block { which: "PK", .. }), "{told}");
        let told = refusal(take(&kbpk, (pk.clone(), &a), (mak.clone(), &poor)));
        assert!(matches!(told, AgreementRefusal::Block { which: "MAK", .. }), "{told}");
        assert_eq!(refusal(take(&poor, (pk.clone(), &a), (mak.clone(), &b))), AgreementRefusal::Sealed);
        assert_eq!(refusal(take(&kbpk, (pk.clone(), &a), (mak.clone(), &a))), AgreementRefusal::EqualKeys);
        let short = refusal(take(&kbpk, (pk.clone(), &a[..16]), (mak.clone(), &b)));
        assert!(short.to_string().contains("length") || short.to_string().contains("MAC"), "{short}");

        let mut exportable = pk.clone();
        exportable.exportability = Exportability::EXPORTABLE;
        let mut version = pk.clone();
        version.key_version = KeyVersion::parse("01").unwrap();
        let mut nameless = pk.clone();
        nameless.optional.clear();
        for header in [exportable, version, nameless, mak.clone()] {
            let told = refusal(take(&kbpk, (header, &a), (mak.clone(), &b)));
            assert!(matches!(told, AgreementRefusal::Block { which: "PK", .. }), "{told}");
        }
    }
}

#[test]
fn a_work_key_of_another_use_opens_no_offer() {
    let (mtms, kms) = (Site::new(), Site::new());
    let work = kms.work_key(ZoneAlgorithm::Aes);
    let (keys, travelling) = offer(&mtms.offline, &parties(), ZoneAlgorithm::Aes, &work.public).unwrap();
    let signing = Request::MakeEcKey(MakeEcKey {
        kind: EcKeyKind::RksSigning,
        subject: "RKS".into(),
        owner: "BANK".into(),
    });
    let Reply::MakeEcKey(signing) = kms.running().handle(signing).unwrap() else { panic!("another reply") };
    let tdes = kms.work_key(ZoneAlgorithm::Tdes).private;
    for key in [signing.private, tdes] {
        let outcome = accept(&kms.offline, &parties(), ZoneAlgorithm::Aes, &key, &travelling);
        assert!(matches!(outcome, Err(HsmSoftError::Refused(Refusal::WrongUse { .. }))));
    }
    let garbage = KeyBlock::from_text("D0000".into());
    let outcome = accept(&kms.offline, &parties(), ZoneAlgorithm::Aes, &garbage, &travelling);
    assert!(matches!(outcome, Err(HsmSoftError::Refused(Refusal::UnknownKey { .. }))));
    assert!(keys.pk.block.as_str().starts_with('D'));
}
