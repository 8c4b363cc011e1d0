//! The fields of suite 02's commands of flows A, B and C, and of its exchange keys.

use hsm::{
    KeyBlock,
    commands::{
        AnswerFactor, AnswerHello, BeginRks, CheckWorkKey, EcKeyKind, ExportDik1, ExportHeld, Held,
        HelloFlow, HelloSecret, Hole, ImportDik1Ec, ImportLoaded, LoadEc, LoadTerminalEc, OpenCollectedEc,
        OpenLoading, Peer, ReleaseRksKeysEc, ReleaseTmkEc, Reply, Request, RksKeyKind, RksWantedEc,
        TransportKeyBlocks, WorkKeyOf,
    },
};
use paycrypto::{
    digest,
    ec::{AgreementKey, Nonces, POINT, Schedule, SharedSecret, StaticSecret, Tk, keys::Dik2},
};

use super::{Field, OWNER, PAD, Room, field};
use crate::{
    ec_tickets::Run,
    process_seal::{Kind, Party},
    purpose::Purpose,
};

const PLACE: Option<&str> = Some("SN-1/00");
const SLOT_3: Option<&str> = Some("SN-1/03");
/// What is said in each run.
const SAID: &[u8] = b"frames";

impl Room {
    pub(super) fn suite_02(&self) -> Vec<Field> {
        let mut fields = self.pairs_ec();
        fields.extend(self.transport_keys_ec());
        fields.extend(self.released_ec());
        fields.extend(self.loaded_ec());
        fields.extend(self.exchanged_ec());
        fields
    }

    fn pairs_ec(&self) -> Vec<Field> {
        let owner = || OWNER.to_owned();
        let (side, frame) = side();
        let begin = BeginRks {
            work_key: KeyBlock::from_text(String::new()),
            owner: owner(),
            pin_pad: PAD.into(),
            auth: frame,
            peer: side,
            hole: hole(),
        };
        let load = self.load_terminal_ec();
        let mut fields = vec![
            field("OpenCollectedEc.work_key", Purpose::KmsAgreement, None, move |work_key| {
                Request::OpenCollectedEc(OpenCollectedEc {
                    work_key,
                    collect: vec![0, 0],
                    sn: PAD.into(),
                    pin_pad: PAD.into(),
                    generation: 1,
                    df09: vec![],
                    owner: owner(),
                })
            }),
            field("BeginRks.work_key", Purpose::RksSigning, None, move |work_key| {
                Request::BeginRks(BeginRks { work_key, ..begin.clone() })
            }),
            field("LoadTerminalEc.work_key", Purpose::KldSigning, None, move |work_key| {
                Request::LoadTerminalEc(LoadTerminalEc { work_key, ..load.clone() })
            }),
        ];
        for (kind, takes) in [
            (EcKeyKind::KmsAgreement, Purpose::KmsAgreement),
            (EcKeyKind::RksSigning, Purpose::RksSigning),
            (EcKeyKind::KldSigning, Purpose::KldSigning),
        ] {
            // The room's key pairs of P-256 all have the scalar of its AES key.
            let scalar = self.aes.expose().try_into().unwrap();
            let public = AgreementKey::from_scalar(scalar).unwrap().spki_der();
            fields.push(field("CheckWorkKey.work_key of suite 02", takes, None, move |work_key| {
                let (public, of) = (public.clone(), WorkKeyOf::Ec(kind));
                Request::CheckWorkKey(CheckWorkKey { work_key, public, owner: owner(), of })
            }));
        }
        fields
    }

    fn transport_keys_ec(&self) -> Vec<Field> {
        let (side, frame) = side();
        let hello = move |secret, flow| {
            Request::AnswerHello(AnswerHello {
                secret,
                flow,
                pin_pad: PAD.into(),
                owner: OWNER.into(),
                hello: frame.clone(),
                peer: side.clone(),
                hole: hole(),
            })
        };
        let (with_tek, with_auk) = (hello.clone(), hello.clone());
        let (tek, auk) = (self.block(Purpose::TekAes, PLACE), self.block(Purpose::AukAes, PLACE));
        vec![
            field("AnswerHello.tek", Purpose::TekAes, PLACE, move |tek| {
                let secret = HelloSecret::Tk(TransportKeyBlocks { tek, auk: auk.clone() });
                with_tek(secret, HelloFlow::Download)
            }),
            field("AnswerHello.auk", Purpose::AukAes, PLACE, move |auk| {
                let secret = HelloSecret::Tk(TransportKeyBlocks { tek: tek.clone(), auk });
                with_auk(secret, HelloFlow::Download)
            }),
            field("AnswerHello.dmk", Purpose::DmkAes, PLACE, move |dmk| {
                hello(HelloSecret::Dmk(dmk), HelloFlow::Tms)
            }),
        ]
    }

    fn released_ec(&self) -> Vec<Field> {
        let (release, answer) = (self.release_tmk_ec(), self.answer_factor());
        let mut fields = vec![
            field("ReleaseTmkEc.pending", Purpose::TmkAes, SLOT_3, move |pending| {
                Request::ReleaseTmkEc(ReleaseTmkEc { pending: Some(pending), ..release.clone() })
            }),
            field("AnswerFactor.dik1", Purpose::Dik1Aes, None, move |dik1| {
                Request::AnswerFactor(AnswerFactor { dik1: Some(dik1), ..answer.clone() })
            }),
        ];
        for (kind, counter, takes) in [
            (RksKeyKind::Tmk, Some(1), Purpose::TmkAes),
            (RksKeyKind::Pik, None, Purpose::PikAes),
            (RksKeyKind::Mak, None, Purpose::MakAes),
        ] {
            let release = self.release_rks_keys_ec();
            fields.push(field("ReleaseRksKeysEc.pending", takes, SLOT_3, move |pending| {
                let pending = Some(pending);
                let wanted = vec![RksWantedEc { slot: 3, kind, counter, pending, avoid: vec![] }];
                Request::ReleaseRksKeysEc(ReleaseRksKeysEc { wanted, ..release.clone() })
            }));
        }
        fields
    }

    fn loaded_ec(&self) -> Vec<Field> {
        let load = self.load_terminal_ec();
        let loads =
            move |load_what| Request::LoadTerminalEc(LoadTerminalEc { load: load_what, ..load.clone() });
        let (load_dmk, load_dik2, escrow) = (loads.clone(), loads.clone(), self.load_terminal_ec());
        vec![
            field("LoadTerminalEc.tmk", Purpose::TmkAes, SLOT_3, move |held| {
                loads(LoadEc::Tmk { slot: 3, counter: 1, held: Some(held), avoid: vec![] })
            }),
            field("LoadTerminalEc.dmk", Purpose::DmkAes, PLACE, move |held| {
                load_dmk(LoadEc::Dmk { held: Some(held) })
            }),
            field("LoadTerminalEc.dik1", Purpose::Dik1Aes, None, move |dik1| {
                load_dik2(LoadEc::Dik2 { dik1, dsn: PAD.into(), factor: None })
            }),
            field("LoadTerminalEc.escrow_under", Purpose::ExchangeAes, None, move |under| {
                Request::LoadTerminalEc(LoadTerminalEc { escrow_under: Some(under), ..escrow.clone() })
            }),
        ]
    }

    /// Fields of commands that take the exchange keys of both suites, with keys of this one.
    pub(super) fn exchanged_ec(&self) -> Vec<Field> {
        let (pin_pad, owner) = (|| PAD.to_owned(), || OWNER.to_owned());
        let exchange = self.block(Purpose::ExchangeAes, None);
        let (dik1, tmk) = (self.block(Purpose::Dik1Aes, None), self.block(Purpose::TmkAes, SLOT_3));
        let export_under = exchange.clone();
        let mut fields = vec![
            field("ExportDik1.dik1 of suite 02", Purpose::Dik1Aes, None, move |dik1| {
                Request::ExportDik1(ExportDik1 { dik1, under: export_under.clone(), owner: owner() })
            }),
            field("ExportDik1.under of suite 02", Purpose::ExchangeAes, None, move |under| {
                Request::ExportDik1(ExportDik1 { dik1: dik1.clone(), under, owner: owner() })
            }),
            field("ImportDik1Ec.under", Purpose::ExchangeAes, None, move |under| {
                let (block, label) = (String::new(), "L".into());
                Request::ImportDik1Ec(ImportDik1Ec { block, under, owner: owner(), label })
            }),
            field("ExportHeld.under of suite 02", Purpose::ExchangeAes, None, move |under| {
                let (key, what) = (tmk.clone(), Held::Tmk { slot: 3 });
                Request::ExportHeld(ExportHeld { key, what, pin_pad: pin_pad(), under, owner: owner() })
            }),
        ];
        for (what, takes, place) in [
            (Held::Tmk { slot: 3 }, Purpose::TmkAes, SLOT_3),
            (Held::Dmk, Purpose::DmkAes, PLACE),
            (Held::Factor, Purpose::FactorAes, PLACE),
        ] {
            let under = exchange.clone();
            fields.push(field("ExportHeld.key of suite 02", takes, place, move |key| {
                let under = under.clone();
                Request::ExportHeld(ExportHeld { key, what, pin_pad: pin_pad(), under, owner: owner() })
            }));
        }
        fields
    }

    fn release_tmk_ec(&self) -> ReleaseTmkEc {
        let tk = Tk::generate().unwrap();
        let schedule = schedule(&StaticSecret::TmkDownload(&tk));
        ReleaseTmkEc {
            confirmation: schedule.terminal_confirm().confirm(&th(b'A')),
            ticket: self.run_ticket(Kind::DownloadHello, schedule),
            said: SAID.to_vec(),
            transcript: SAID.to_vec(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            slot: 3,
            counter: 1,
            pending: None,
            avoid: vec![],
        }
    }

    fn answer_factor(&self) -> AnswerFactor {
        let party = Party { kind: Kind::RksBegun, pin_pad: PAD, owner: OWNER };
        AnswerFactor {
            ticket: self.hsm.ec_tickets.seal(party, &[&[1; 128]]).unwrap(),
            df19: vec![],
            dik1: None,
            dsn: PAD.into(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            factor_digest: None,
            said: SAID.to_vec(),
        }
    }

    fn release_rks_keys_ec(&self) -> ReleaseRksKeysEc {
        let schedule = schedule(&StaticSecret::RksLoad(&Dik2::from_bytes(&[2; 32])));
        ReleaseRksKeysEc {
            confirmation: schedule.terminal_confirm().confirm(&th(b'C')),
            ticket: self.run_ticket(Kind::RksFactor, schedule),
            said: SAID.to_vec(),
            transcript: SAID.to_vec(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            wanted: vec![],
        }
    }

    fn load_terminal_ec(&self) -> LoadTerminalEc {
        let opened = match self.hsm.handle(Request::OpenLoading(OpenLoading { owner: OWNER.into() })) {
            Ok(Reply::OpenLoading(opened)) => opened,
            other => panic!("{other:?}"),
        };
        let (side, accept) = side();
        LoadTerminalEc {
            ticket: opened.ticket,
            work_key: self.block(Purpose::KldSigning, None),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            peer: side,
            connect: framed(&opened.point.try_into().unwrap(), &opened.nonce),
            accept: accept.clone(),
            accept_bare: accept,
            load: LoadEc::Dmk { held: None },
            escrow_under: None,
        }
    }

    fn run_ticket(&self, kind: Kind, schedule: Schedule) -> Vec<u8> {
        let party = Party { kind, pin_pad: PAD, owner: OWNER };
        self.hsm.ec_tickets.seal_run(party, &Run { schedule, counts: true }).unwrap()
    }
}

/// Blocks to import say nothing of their suite before they are opened.
pub(super) fn import_loaded(under: KeyBlock) -> Request {
    let (block, what) = (String::new(), Held::Tmk { slot: 3 });
    Request::ImportLoaded(ImportLoaded { under, block, pin_pad: PAD.into(), what, owner: OWNER.into() })
}

fn schedule(secret: &StaticSecret<'_>) -> Schedule {
    let nonces = Nonces { opener: &[1; 32], answerer: &[2; 32] };
    Schedule::new(secret, &SharedSecret::from_bytes(&[3; 32]), &nonces, &[4; 32])
}

fn th(letter: u8) -> [u8; 32] {
    digest::sha256(&[b"KF2", [letter].as_slice(), SAID].concat())
}

/// A peer, and its frame.
fn side() -> (Peer, Vec<u8>) {
    let key = AgreementKey::generate().unwrap();
    let peer = Peer { point: key.public().to_vec(), nonce: [5; 32] };
    (peer, framed(key.public(), &[5; 32]))
}

fn hole() -> Hole {
    Hole { before: vec![0, 105, 1, 2], after: vec![] }
}

fn framed(point: &[u8; POINT], nonce: &[u8; 32]) -> Vec<u8> {
    [&[0, 105, 1, 1, 0xDF, 0x13, 0x41], point.as_slice(), &[0xDF, 0x14, 0x20], nonce].concat()
}
