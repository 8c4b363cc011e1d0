//! The fields of flows E and F: sessions, working keys, zone keys.

use hsm::commands::{
    AnswerTms, ConfirmSignIn, ConfirmSignInEc, Held, ImportUnderZone, ImportZoneKey, MacItem,
    MakeWorkingKeys, MakeWorkingKeysEc, MakeZoneKey, OpenTmsSession, OpenTmsSessionEc, OperatorClaim,
    PikLength, PinFormat, PinTranslation, Request, TerminalMacs, TmkWanted, TmkWantedEc, TranslatePins,
    ZoneAlgorithm,
};
use paycrypto::{
    ec::{Nonces, Schedule, SharedSecret, StaticSecret, keys::Dmk},
    keys::Dwk,
};

use super::{Field, OWNER, PAD, Room, field};
use crate::{
    ec_tickets::Run,
    process_seal::{Kind, Party},
    purpose::Purpose,
    tms_tickets::Challenge,
};

const SLOT_3: Option<&str> = Some("SN-1/03");
const ZONE_MASTER: &[Purpose; 2] = &[Purpose::ZoneMasterTdes, Purpose::ZoneMasterAes];
const MAK: &[Purpose; 2] = &[Purpose::Mak, Purpose::MakAes];
const PIK: &[Purpose; 2] = &[Purpose::Pik, Purpose::PikAes];
const ZONE_PIN: &[Purpose; 2] = &[Purpose::ZonePinTdes, Purpose::ZonePinAes];
/// What every key of the room is called where it has a name.
const NAME: &str = "name";

impl Room {
    pub(super) fn sessions(&self) -> Vec<Field> {
        let owner = || OWNER.to_owned();
        let (with_tmk, with_operator) = (self.open_tms_session(), self.open_tms_session());
        let (with_tmk_ec, with_operator_ec) = (self.open_tms_session_ec(), self.open_tms_session_ec());
        vec![
            field("AnswerTms.dmk", Purpose::Dmk, Some("SN-1/00"), move |dmk| {
                Request::AnswerTms(AnswerTms {
                    dmk: Some(dmk),
                    pin_pad: PAD.into(),
                    owner: owner(),
                    t_data: [1; 10],
                    when: [0x26, 0x11, 0x21, 0, 0, 0],
                    hello: b"frame".to_vec(),
                })
            }),
            field("OpenTmsSession.pending", Purpose::Tmk, SLOT_3, move |tmk| {
                let tmk = Some(TmkWanted { slot: 3, pending: Some(tmk), avoid: vec![] });
                Request::OpenTmsSession(OpenTmsSession { tmk, ..with_tmk.clone() })
            }),
            field("OpenTmsSession.verifier", Purpose::Operator, None, move |verifier| {
                let verifier = Some(String::from(verifier).into_bytes());
                let operator = Some(OperatorClaim { operator: NAME.into(), verifier, proof: [0; 32] });
                Request::OpenTmsSession(OpenTmsSession { operator, ..with_operator.clone() })
            }),
            field("OpenTmsSessionEc.pending", Purpose::TmkAes, SLOT_3, move |tmk| {
                let tmk = Some(TmkWantedEc { slot: 3, counter: 1, pending: Some(tmk), avoid: vec![] });
                Request::OpenTmsSessionEc(OpenTmsSessionEc { tmk, ..with_tmk_ec.clone() })
            }),
            field("OpenTmsSessionEc.verifier", Purpose::Operator, None, move |verifier| {
                let verifier = Some(String::from(verifier).into_bytes());
                let operator = Some(OperatorClaim { operator: NAME.into(), verifier, proof: [0; 32] });
                Request::OpenTmsSessionEc(OpenTmsSessionEc { operator, ..with_operator_ec.clone() })
            }),
        ]
    }

    pub(super) fn working_keys(&self) -> Vec<Field> {
        let (pin_pad, owner) = (|| PAD.to_owned(), || OWNER.to_owned());
        vec![
            field("MakeWorkingKeys.tmk", Purpose::Tmk, SLOT_3, move |tmk| {
                Request::MakeWorkingKeys(MakeWorkingKeys {
                    tmk,
                    pin_pad: pin_pad(),
                    owner: owner(),
                    slot: 3,
                    transcript: b"frame".to_vec(),
                    pik: PikLength::Triple,
                    tdk: true,
                    avoid: vec![],
                })
            }),
            field("ConfirmSignIn.mak", Purpose::Mak, SLOT_3, move |mak| {
                Request::ConfirmSignIn(ConfirmSignIn {
                    mak,
                    pin_pad: pin_pad(),
                    owner: owner(),
                    slot: 3,
                    rnd1: [1; 8],
                    kcvs: vec![[0; 3]; 2],
                    mac: [0; 8],
                })
            }),
            field("MakeWorkingKeysEc.tmk", Purpose::TmkAes, SLOT_3, move |tmk| {
                Request::MakeWorkingKeysEc(MakeWorkingKeysEc {
                    tmk,
                    pin_pad: pin_pad(),
                    owner: owner(),
                    slot: 3,
                    transcript: b"frame".to_vec(),
                    tdk: true,
                    avoid: vec![],
                })
            }),
            field("ConfirmSignInEc.mak", Purpose::MakAes, SLOT_3, move |mak| {
                Request::ConfirmSignInEc(ConfirmSignInEc {
                    mak,
                    pin_pad: pin_pad(),
                    owner: owner(),
                    slot: 3,
                    nonce: [1; 32],
                    kcvs: vec![[0; 5]; 2],
                    mac: [0; 16],
                })
            }),
            field("TerminalMacs.mak", MAK, SLOT_3, move |mak| {
                let item =
                    MacItem { pin_pad: pin_pad(), slot: 3, mak, data: b"data".to_vec().into(), mac: None };
                Request::TerminalMacs(TerminalMacs { owner: owner(), items: vec![item] })
            }),
        ]
    }

    pub(super) fn zone_keys(&self) -> Vec<Field> {
        let (pin_pad, owner, zone) = (|| PAD.to_owned(), || OWNER.to_owned(), || NAME.to_owned());
        let translate = |pik, zone_key| {
            let item = PinTranslation {
                pin_pad: PAD.into(),
                slot: 3,
                pik,
                zone: NAME.into(),
                zone_key,
                from: PinFormat::Iso0,
                to: PinFormat::Iso0,
                block: vec![0; 8].into(),
                pan: "4012345678909".to_owned().into(),
            };
            Request::TranslatePins(TranslatePins { owner: OWNER.into(), items: vec![item] })
        };
        let (pik, zone_key) = (self.block(Purpose::Pik, SLOT_3), self.block(Purpose::ZonePinTdes, None));
        vec![
            field("TranslatePins.pik", PIK, SLOT_3, move |pik| translate(pik, zone_key.clone())),
            field("TranslatePins.zone_key", ZONE_PIN, None, move |zone_key| translate(pik.clone(), zone_key)),
            field("ImportZoneKey.under", ZONE_MASTER, None, move |under| {
                let block = String::new();
                Request::ImportZoneKey(ImportZoneKey { under, block, owner: owner(), zone: zone() })
            }),
            field("MakeZoneKey.under", ZONE_MASTER, None, move |under| {
                let algorithm = ZoneAlgorithm::Tdes;
                Request::MakeZoneKey(MakeZoneKey { under, owner: owner(), zone: zone(), algorithm })
            }),
            field("ImportUnderZone.under", ZONE_MASTER, None, move |under| {
                let (block, what) = (String::new(), Held::Tmk { slot: 3 });
                let (pin_pad, owner) = (pin_pad(), owner());
                Request::ImportUnderZone(ImportUnderZone { under, block, what, pin_pad, owner })
            }),
        ]
    }

    fn open_tms_session(&self) -> OpenTmsSession {
        let dwk = Dwk::generate().unwrap();
        let s_data = [0x81; 10];
        let sac_1 = dwk.mac(&s_data);
        let challenge = Challenge { dwk, t_data: [1; 10], s_data, counts: true };
        OpenTmsSession {
            ticket: self.hsm.tms_tickets.issue(PAD, OWNER, &challenge).unwrap(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            sac_1,
            operator: None,
            transcript: b"frames".to_vec(),
            tmk: None,
        }
    }

    /// A session whose terminal has proved itself.
    fn open_tms_session_ec(&self) -> OpenTmsSessionEc {
        let nonces = Nonces { opener: &[2; 32], answerer: &[3; 32] };
        let (z, dmk) = (SharedSecret::from_bytes(&[1; 32]), Dmk::generate().unwrap());
        let schedule = Schedule::new(&StaticSecret::TmsSession(&dmk), &z, &nonces, &[4; 32]);
        let said = [0; 6].to_vec();
        let th = paycrypto::digest::sha256(&[b"KF2E", said.as_slice()].concat());
        let confirmation = schedule.terminal_confirm().confirm(&th);
        let party = Party { kind: Kind::TmsHello, pin_pad: PAD, owner: OWNER };
        OpenTmsSessionEc {
            ticket: self.hsm.ec_tickets.seal_run(party, &Run { schedule, counts: true }).unwrap(),
            confirmation,
            transcript: said.clone(),
            said,
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            t_data: [1; 10],
            s_data: [0x81; 10],
            operator: None,
            tmk: None,
        }
    }
}
