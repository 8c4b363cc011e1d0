//! R5: what an HSM does when its random source is stuck.

use hsm::{
    Refusal,
    commands::{
        EcKeyKind, MakeDik1, MakeDik1Ec, MakeDownloaderKey, MakeEcKey, MakeRksKey, MakeTlsKey, MakeWorkKey,
        MakeWorkingKeys, MakeWorkingKeysEc, MakeZoneKey, OpenLoading, PikLength, Request, ZoneAlgorithm,
    },
};
use paycrypto::random::Stuck;

use crate::{
    policy_tests::{OWNER, PAD, Room},
    purpose::Purpose,
};

const SLOT_3: Option<&str> = Some("SN-1/03");

/// Every command that makes keys and nothing else.
fn makers(room: &Room) -> Vec<Request> {
    let (owner, subject, label) = (|| OWNER.to_owned(), || "subject".to_owned(), || "label".to_owned());
    let mut makers = vec![
        Request::MakeWorkKey(MakeWorkKey { bits: 2048, subject: subject(), owner: owner() }),
        Request::MakeTlsKey(MakeTlsKey { bits: 2048, subject: subject(), owner: owner() }),
        Request::MakeRksKey(MakeRksKey { bits: 2048, subject: subject(), owner: owner() }),
        Request::MakeDownloaderKey(MakeDownloaderKey { bits: 2048, subject: subject(), owner: owner() }),
        Request::MakeDik1(MakeDik1 { owner: owner(), label: label() }),
        Request::MakeDik1Ec(MakeDik1Ec { owner: owner(), label: label() }),
        Request::OpenLoading(OpenLoading { owner: owner() }),
        Request::MakeWorkingKeys(MakeWorkingKeys {
            tmk: room.block(Purpose::Tmk, SLOT_3),
            pin_pad: PAD.into(),
            owner: owner(),
            slot: 3,
            transcript: b"frame".to_vec(),
            pik: PikLength::Triple,
            tdk: true,
            avoid: vec![],
        }),
        Request::MakeWorkingKeysEc(MakeWorkingKeysEc {
            tmk: room.block(Purpose::TmkAes, SLOT_3),
            pin_pad: PAD.into(),
            owner: owner(),
            slot: 3,
            transcript: b"frame".to_vec(),
            tdk: true,
            avoid: vec![],
        }),
    ];
    for kind in [EcKeyKind::KmsAgreement, EcKeyKind::RksSigning, EcKeyKind::KldSigning] {
        makers.push(Request::MakeEcKey(MakeEcKey { kind, subject: subject(), owner: owner() }));
    }
    for algorithm in [ZoneAlgorithm::Tdes, ZoneAlgorithm::Aes] {
        let under = room.block(Purpose::ZoneMasterAes, None);
        makers.push(Request::MakeZoneKey(MakeZoneKey {
            under,
            owner: owner(),
            zone: "zone".into(),
            algorithm,
        }));
    }
    makers
}

#[test]
fn r5_a_stuck_source_makes_no_key_in_the_hsm() {
    let room = Room::new();
    for request in makers(&room) {
        let name = request.name();
        let stuck = Stuck::this_thread();
        let refused = room.hsm.handle(request.clone());
        assert!(matches!(refused, Err(Refusal::NotMade { .. })), "{name}: {}", refused.is_ok());
        drop(stuck);
        room.hsm.handle(request).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    }
    // No maker was forgotten.
    let made: Vec<_> = makers(&room).iter().map(Request::name).collect();
    for name in Request::NAMES.iter().filter(|name| name.starts_with("Make")) {
        assert!(made.contains(name), "{name}");
    }
}

/// What makes a key among other things: a challenge, an ephemeral key, a new TMK.
#[test]
fn r5_a_stuck_source_gives_no_challenge_and_no_key_to_a_terminal() {
    let room = Room::new();
    let fields = room.fields();
    for name in [
        "AnswerTms.dmk",
        "AnswerHello.dmk",
        "BeginRks.work_key",
        "SealRksToken.dik1",
        "LoadTerminal.work_key",
        "AnswerChallenge.tek",
    ] {
        let field = fields.iter().find(|field| field.name == name).unwrap();
        let request = (field.request)(room.block(field.takes[0], field.place));
        let stuck = Stuck::this_thread();
        let refused = room.hsm.handle(request.clone());
        assert!(matches!(refused, Err(Refusal::NotMade { .. })), "{name}: {}", refused.is_ok());
        drop(stuck);
        room.hsm.handle(request).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
    }
}
