//! The fields of the commands between an MTMS and a KMS.

use hsm::{
    KeyBlock,
    commands::{
        BatchText, CheckBatchMac, ImportTk, MacBatch, Request, TkCheckValues, TkSource, TranslateTk,
        TransportKeyBlocks,
    },
};

use super::{Field, OWNER, PAD, Room, field};
use crate::purpose::Purpose;

pub(crate) const PARTNER: &str = "BANK";
const WITH_PARTNER: Option<&str> = Some("partner/BANK");
const PLACE: Option<&str> = Some("SN-1/00");
const EITHER_PK: &[Purpose; 2] = &[Purpose::BatchProtect, Purpose::BatchProtectAes];
const EITHER_MAK: &[Purpose; 2] = &[Purpose::BatchMac, Purpose::BatchMacAes];
/// TEK, AUK and PK of each suite.
const SUITES: [[Purpose; 3]; 2] = [
    [Purpose::Tek, Purpose::Auk, Purpose::BatchProtect],
    [Purpose::TekAes, Purpose::AukAes, Purpose::BatchProtectAes],
];

impl Room {
    pub(super) fn batches(&self) -> Vec<Field> {
        let mut fields = self.maks();
        for suite in SUITES {
            fields.extend(self.translated(suite));
        }
        let ctk_pu = self.ctk_pu();
        let (pk, again) = (self.block(Purpose::BatchProtect, WITH_PARTNER), ctk_pu.clone());
        fields.extend([
            field("TranslateTk.work_key", Purpose::KmsWork, None, move |work_key| {
                translate(TkSource::Collected { work_key, ctk_pu: ctk_pu.clone() }, pk.clone())
            }),
            field("TkCheckValues.work_key", Purpose::KmsWork, None, move |work_key| {
                values(TkSource::Collected { work_key, ctk_pu: again.clone() })
            }),
            field("ImportTk.pk", EITHER_PK, WITH_PARTNER, |pk| {
                Request::ImportTk(ImportTk {
                    tek: String::new(),
                    auk: String::new(),
                    pin_pad: PAD.into(),
                    owner: OWNER.into(),
                    pk,
                    partner: PARTNER.into(),
                })
            }),
        ]);
        fields
    }

    fn translated(&self, [of_tek, of_auk, of_pk]: [Purpose; 3]) -> Vec<Field> {
        let (tek, auk) = (self.block(of_tek, PLACE), self.block(of_auk, PLACE));
        let pk = self.block(of_pk, WITH_PARTNER);
        let with_tek = {
            let auk = auk.clone();
            move |tek| TkSource::Held(TransportKeyBlocks { tek, auk: auk.clone() })
        };
        let with_auk = {
            let tek = tek.clone();
            move |auk| TkSource::Held(TransportKeyBlocks { tek: tek.clone(), auk })
        };
        let (values_tek, values_auk) = (with_tek.clone(), with_auk.clone());
        let other_pk = pk.clone();
        let held = TransportKeyBlocks { tek, auk };
        vec![
            field("TranslateTk.tek", of_tek, PLACE, move |tek| translate(with_tek(tek), pk.clone())),
            field("TranslateTk.auk", of_auk, PLACE, move |auk| translate(with_auk(auk), other_pk.clone())),
            field("TranslateTk.pk", of_pk, WITH_PARTNER, move |pk| {
                translate(TkSource::Held(held.clone()), pk)
            }),
            field("TkCheckValues.tek", of_tek, PLACE, move |tek| values(values_tek(tek))),
            field("TkCheckValues.auk", of_auk, PLACE, move |auk| values(values_auk(auk))),
        ]
    }

    fn maks(&self) -> Vec<Field> {
        vec![
            field("MacBatch.mak", EITHER_MAK, WITH_PARTNER, |mak| {
                Request::MacBatch(MacBatch {
                    mak,
                    partner: PARTNER.into(),
                    owner: OWNER.into(),
                    what: BatchText::Batch,
                    text: b"{}".to_vec(),
                })
            }),
            field("CheckBatchMac.mak", EITHER_MAK, WITH_PARTNER, |mak| {
                Request::CheckBatchMac(CheckBatchMac {
                    mak,
                    partner: PARTNER.into(),
                    owner: OWNER.into(),
                    what: BatchText::Receipt,
                    text: b"{}".to_vec(),
                    mac: vec![0; 8],
                })
            }),
        ]
    }
}

fn translate(tk: TkSource, pk: KeyBlock) -> Request {
    let (pin_pad, owner, partner) = (PAD.into(), OWNER.into(), PARTNER.into());
    Request::TranslateTk(TranslateTk { tk, pin_pad, owner, pk, partner })
}

fn values(tk: TkSource) -> Request {
    Request::TkCheckValues(TkCheckValues { tk, pin_pad: PAD.into(), owner: OWNER.into() })
}
