//! The fields of flows E and F: sessions, working keys, zone keys.

use hsm::commands::{
    AnswerTms, ConfirmSignIn, Held, ImportUnderZone, ImportZoneKey, MacItem, MakeWorkingKeys, MakeZoneKey,
    OpenTmsSession, OperatorClaim, PikLength, PinFormat, PinTranslation, Request, TerminalMacs, TmkWanted,
    TranslatePins, ZoneAlgorithm,
};
use paycrypto::keys::Dwk;

use super::{Field, OWNER, PAD, Room, field};
use crate::{purpose::Purpose, tms_tickets::Challenge};

const SLOT_3: Option<&str> = Some("SN-1/03");
const ZONE_MASTER: &[Purpose; 2] = &[Purpose::ZoneMasterTdes, Purpose::ZoneMasterAes];
const ZONE_PIN: &[Purpose; 2] = &[Purpose::ZonePinTdes, Purpose::ZonePinAes];
/// What every key of the room is called where it has a name.
const NAME: &str = "name";

impl Room {
    pub(super) fn sessions(&self) -> Vec<Field> {
        let owner = || OWNER.to_owned();
        let (with_tmk, with_operator) = (self.open_tms_session(), self.open_tms_session());
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
            field("TerminalMacs.mak", Purpose::Mak, SLOT_3, move |mak| {
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
            field("TranslatePins.pik", Purpose::Pik, SLOT_3, move |pik| translate(pik, zone_key.clone())),
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
}
