//! The fields of flows A to C that take terminals' keys and DIK1.

use hsm::commands::{
    ExportDik1, ExportHeld, Held, Load, LoadTerminal, ReleaseRksKeys, ReleaseTmk, Request, RksKeyKind,
    RksWanted, SealRksToken, TransportKeyBlocks,
};

use super::{Field, OWNER, PAD, Room, field};
use crate::{purpose::Purpose, tickets::Party};

impl Room {
    pub(super) fn held_keys(&self) -> Vec<Field> {
        let owner = || OWNER.to_owned();
        let exchange = self.block(Purpose::Exchange, None);
        let (export_under, load) = (exchange.clone(), self.load_terminal());
        let loads = move |load_what| Request::LoadTerminal(LoadTerminal { load: load_what, ..load.clone() });
        let (load_dmk, load_dik2, seal) = (loads.clone(), loads.clone(), self.seal_rks_token());
        let mut fields = vec![
            field("ExportDik1.dik1", Purpose::Dik1, None, move |dik1| {
                Request::ExportDik1(ExportDik1 { dik1, under: export_under.clone(), owner: owner() })
            }),
            field("LoadTerminal.tmk", Purpose::Tmk, Some("SN-1/03"), move |held| {
                loads(Load::Tmk { slot: 3, held: Some(held), avoid: vec![] })
            }),
            field("LoadTerminal.dmk", Purpose::Dmk, Some("SN-1/00"), move |held| {
                load_dmk(Load::Dmk { held: Some(held) })
            }),
            field("LoadTerminal.dik1", Purpose::Dik1, None, move |dik1| {
                load_dik2(Load::Dik2 { dik1, dsn: PAD.into(), factor: None })
            }),
            field("SealRksToken.dik1", Purpose::Dik1, None, move |dik1| {
                Request::SealRksToken(SealRksToken { dik1: Some(dik1), ..seal.clone() })
            }),
        ];
        for (what, takes, place) in [
            (Held::Tmk { slot: 3 }, Purpose::Tmk, "SN-1/03"),
            (Held::Dmk, Purpose::Dmk, "SN-1/00"),
            (Held::Factor, Purpose::Factor, "SN-1/00"),
        ] {
            let under = exchange.clone();
            fields.push(field("ExportHeld.key", takes, Some(place), move |key| {
                let (under, pin_pad) = (under.clone(), PAD.into());
                Request::ExportHeld(ExportHeld { key, what, pin_pad, under, owner: owner() })
            }));
        }
        for (kind, takes) in [
            (RksKeyKind::Tmk, Purpose::Tmk),
            (RksKeyKind::Pik, Purpose::Pik),
            (RksKeyKind::Mak, Purpose::Mak),
        ] {
            let release = self.release_rks_keys();
            fields.push(field("ReleaseRksKeys.pending", takes, Some("SN-1/03"), move |pending| {
                let wanted = vec![RksWanted { slot: 3, kind, pending: Some(pending), avoid: vec![] }];
                Request::ReleaseRksKeys(ReleaseRksKeys { wanted, ..release.clone() })
            }));
        }
        let release = self.release_tmk();
        fields.push(field("ReleaseTmk.pending", Purpose::Tmk, Some("SN-1/03"), move |pending| {
            Request::ReleaseTmk(ReleaseTmk { pending: Some(pending), ..release.clone() })
        }));
        fields
    }

    fn release_tmk(&self) -> ReleaseTmk {
        let tk_hash = paycrypto::digest::sha256(&[self.tek.expose(), self.auk.expose()].concat());
        let rnd2 = [0x81; 8];
        ReleaseTmk {
            ticket: self.hsm.tickets.issue(&Party { pin_pad: PAD, owner: OWNER, tk_hash: &tk_hash }, rnd2),
            crnd2: self.auk.encrypt_block(rnd2),
            transport_key: Some(TransportKeyBlocks {
                tek: self.block(Purpose::Tek, Some("SN-1/00")),
                auk: self.block(Purpose::Auk, Some("SN-1/00")),
            }),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            slot: 3,
            context: [0; 16],
            pending: None,
            avoid: vec![],
        }
    }
}
