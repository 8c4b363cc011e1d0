//! The policy as a whole: which key each command takes, and that it takes no other (R8 of 4-requirements.md).

mod batch;
mod held_keys;
mod sessions;
mod suite_02;

use std::collections::HashSet;

use hsm::{
    KeyBlock, Refusal,
    commands::{
        AnswerChallenge, CheckAnswer, CheckCollected, CheckWorkKey, ExportDik1, ExportHeld, Held, ImportDik1,
        Load, LoadTerminal, OpenCollected, PinRefusal, ReleaseRksKeys, Reply, Request, RksKeyKind, RksWanted,
        SealRksToken, SignTls, TlsScheme, TransportKeyBlocks, WorkKeyOf,
    },
};
use keyblock::{KeyVersion, Version};
use paycrypto::{AesKey, TdesKey, keys::Rnd1, rks::AtTk1, rsa::PrivateKey, rsa::PublicKey};

use crate::{Duty, SoftHsm, create, hex, lmk::Binding, purpose::Purpose, rks_tickets::Token};

pub(crate) const OWNER: &str = "ACQ";
pub(crate) const PAD: &str = "SN-1";
const EXCHANGE: &[Purpose; 2] = &[Purpose::Exchange, Purpose::ExchangeAes];

/// The table, so that a change to it is seen.
#[test]
fn every_purpose_has_its_line() {
    let lines: Vec<_> = Purpose::ALL
        .iter()
        .map(|purpose| {
            let rule = purpose.rule();
            format!("{} {}{}{}", rule.text, rule.usage, rule.algorithm, rule.mode)
        })
        .collect();
    assert_eq!(
        lines,
        [
            "KMS-WORK K3RD",
            "TLS-SERVER S0RS",
            "TEK K1TE",
            "AUK D0TE",
            "TMK K1TB",
            "KLD-WORK K3RT",
            "RKS-WORK K3RD",
            "DIK1 B3TX",
            "DMK 11TN",
            "FACTOR 13TN",
            "PIK P0TE",
            "MAK M3TC",
            "EXCHANGE K1TB",
            "COMPONENT K1TB",
            "COMPONENT-AES K1AB",
            "TDK D0TE",
            "ZONE-MASTER K1TB",
            "ZONE-MASTER-AES K1AB",
            "ZONE-PIN P0TE",
            "ZONE-PIN-AES P0AE",
            "OPERATOR 14HV",
            "TMK-AES K1AB",
            "PIK-AES P0AE",
            "MAK-AES M6AC",
            "TDK-AES D0AE",
            "DMK-AES 11AN",
            "KMS-AGREEMENT K3EX",
            "RKS-SIGNING S0ES",
            "KLD-SIGNING S0ES",
            "TEK-AES B3AX",
            "AUK-AES B3AX",
            "DIK1-AES B3AX",
            "FACTOR-AES 13AN",
            "EXCHANGE-AES K1AB",
            "BATCH-PROTECT K1TB",
            "BATCH-PROTECT-AES K1AB",
            "BATCH-MAC M6TC",
            "BATCH-MAC-AES M6AC",
        ]
    );
    let texts: HashSet<_> = Purpose::ALL.iter().map(|purpose| purpose.rule().text).collect();
    assert_eq!(texts.len(), Purpose::ALL.len(), "no two purposes share a text");
}

/// A key block in some field of a command.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// One purpose, or the two of a key that may be of either cipher.
    pub(crate) takes: &'static [Purpose],
    /// The place of the key that the field takes.
    pub(crate) place: Option<&'static str>,
    pub(crate) request: Box<dyn Fn(KeyBlock) -> Request>,
}

#[test]
fn r8_every_usage_by_every_operation() {
    let room = Room::new();
    for field in room.fields() {
        for purpose in Purpose::ALL {
            let block = room.block(purpose, field.place);
            let refusal = room.refusal((field.request)(block));
            let wrong_use = matches!(refusal, Some(Refusal::WrongUse { .. }));
            let taken = field.takes.contains(&purpose);
            assert_eq!(wrong_use, !taken, "{} with {purpose:?}: {refusal:?}", field.name);
        }
    }
}

#[test]
fn r4_every_field_of_every_command_is_bound_to_its_owner_and_place() {
    let room = Room::new();
    for field in room.fields() {
        for takes in field.takes {
            let foreign = Binding { place: field.place, owner: "ACQ-2", tk_hash: Some(&room.tk_hash) };
            let refusal = room.refusal((field.request)(room.wrap(*takes, foreign)));
            assert!(matches!(refusal, Some(Refusal::WrongOwner { .. })), "{}: {refusal:?}", field.name);
            let elsewhere = Binding { place: Some("SN-2/03"), owner: OWNER, tk_hash: Some(&room.tk_hash) };
            let refusal = room.refusal((field.request)(room.wrap(*takes, elsewhere)));
            assert!(matches!(refusal, Some(Refusal::WrongPlace { .. })), "{}: {refusal:?}", field.name);
        }
        let garbage = KeyBlock::from_text("D0000".into());
        let refusal = room.refusal((field.request)(garbage));
        assert!(matches!(refusal, Some(Refusal::UnknownKey { .. })), "{}: {refusal:?}", field.name);
    }
}

/// An HSM with one good key of each purpose.
pub(crate) struct Room {
    pub(crate) hsm: SoftHsm,
    pair: PrivateKey,
    pub(crate) tek: TdesKey,
    auk: TdesKey,
    mak: TdesKey,
    pub(crate) aes: AesKey,
    pub(crate) aes16: AesKey,
    pub(crate) tk_hash: String,
    _folder: tempfile::TempDir,
}

impl Room {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path(), "only for this test").unwrap();
        let hsm =
            SoftHsm::open(folder.path(), "only for this test", vec![]).unwrap().on_duty(Duty::Laboratory);
        let pair = PrivateKey::generate(2048).unwrap();
        let (tek, auk) = (TdesKey::generate24().unwrap(), TdesKey::generate24().unwrap());
        let (mak, aes) = (TdesKey::generate16().unwrap(), AesKey::generate32().unwrap());
        let aes16 = AesKey::generate16().unwrap();
        let tk_hash = hex(&paycrypto::digest::sha256(&[tek.expose(), auk.expose()].concat()));
        Self { hsm, pair, tek, auk, mak, aes, aes16, tk_hash, _folder: folder }
    }

    /// Why a command is refused, or its one item.
    pub(crate) fn refusal(&self, request: Request) -> Option<Refusal> {
        match self.hsm.handle(request) {
            Err(refusal) => Some(refusal),
            Ok(Reply::TerminalMacs(mut outcomes)) => outcomes.remove(0).err(),
            Ok(Reply::TranslatePins(mut outcomes)) => match outcomes.remove(0) {
                Err(PinRefusal::Key(refusal)) => Some(refusal),
                _ => None,
            },
            Ok(_) => None,
        }
    }

    pub(crate) fn wrap(&self, purpose: Purpose, bound: Binding<'_>) -> KeyBlock {
        let pkcs8 = self.pair.to_pkcs8();
        let key = match purpose {
            Purpose::KmsWork | Purpose::RksWork | Purpose::KldWork | Purpose::TlsServer => pkcs8.as_slice(),
            Purpose::Auk => self.auk.expose(),
            Purpose::Mak => self.mak.expose(),
            Purpose::ComponentAes | Purpose::ZoneMasterAes | Purpose::ZonePinAes | Purpose::Operator => {
                self.aes.expose()
            }
            Purpose::DmkAes
            | Purpose::TekAes
            | Purpose::AukAes
            | Purpose::Dik1Aes
            | Purpose::FactorAes
            | Purpose::ExchangeAes
            | Purpose::BatchProtectAes
            | Purpose::BatchMacAes
            | Purpose::KmsAgreement
            | Purpose::RksSigning
            | Purpose::KldSigning => self.aes.expose(),
            Purpose::TmkAes | Purpose::PikAes | Purpose::MakAes | Purpose::TdkAes => self.aes16.expose(),
            _ => self.tek.expose(),
        };
        let notes = [(crate::lmk::NAME, "name")];
        self.hsm.lmk.wrap_noted(purpose, bound, KeyVersion::UNUSED, &notes, key).unwrap()
    }

    pub(crate) fn block(&self, purpose: Purpose, place: Option<&str>) -> KeyBlock {
        self.wrap(purpose, Binding { place, owner: OWNER, tk_hash: Some(&self.tk_hash) })
    }

    pub(crate) fn encrypt(&self, clear: &[u8]) -> Vec<u8> {
        PublicKey::from_spki(self.pair.spki_der()).unwrap().oaep_encrypt(clear).unwrap()
    }

    /// A TK that was collected under the room's key pair.
    fn ctk_pu(&self) -> Vec<u8> {
        let keys = [self.tek.expose(), self.auk.expose()].concat();
        self.encrypt(&[keys.as_slice(), &paycrypto::digest::sha256(&keys)].concat())
    }

    pub(crate) fn fields(&self) -> Vec<Field> {
        let mut fields = self.pairs();
        fields.extend(self.transport_keys());
        fields.extend(self.exchange_keys());
        fields.extend(self.held_keys());
        fields.extend(self.sessions());
        fields.extend(self.working_keys());
        fields.extend(self.suite_02());
        fields.extend(self.zone_keys());
        fields.extend(self.batches());
        fields
    }

    fn pairs(&self) -> Vec<Field> {
        let owner = || OWNER.to_owned();
        let ctk_pu = self.encrypt(&[1; 80]);
        let (open, public) = (ctk_pu.clone(), self.pair.spki_der().to_vec());
        let public_rks = public.clone();
        let (load, seal, release) = (self.load_terminal(), self.seal_rks_token(), self.release_rks_keys());
        vec![
            field("CheckCollected.work_key", Purpose::KmsWork, None, move |work_key| {
                Request::CheckCollected(CheckCollected { work_key, ctk_pu: ctk_pu.clone(), owner: owner() })
            }),
            field("CheckWorkKey.work_key", Purpose::KmsWork, None, move |work_key| {
                let (public, of) = (public.clone(), WorkKeyOf::Kms);
                Request::CheckWorkKey(CheckWorkKey { work_key, public, owner: owner(), of })
            }),
            field("CheckWorkKey.work_key of an RKS", Purpose::RksWork, None, move |work_key| {
                let (public, of) = (public_rks.clone(), WorkKeyOf::Rks);
                Request::CheckWorkKey(CheckWorkKey { work_key, public, owner: owner(), of })
            }),
            field("OpenCollected.work_key", Purpose::KmsWork, None, move |work_key| {
                let (ctk_pu, pin_pad) = (open.clone(), PAD.into());
                Request::OpenCollected(OpenCollected { work_key, ctk_pu, pin_pad, owner: owner() })
            }),
            field("SignTls.key", Purpose::TlsServer, None, move |key| {
                let (scheme, message) = (TlsScheme::PssSha256, b"m".to_vec());
                Request::SignTls(SignTls { key, owner: owner(), scheme, message })
            }),
            field("LoadTerminal.work_key", Purpose::KldWork, None, move |work_key| {
                Request::LoadTerminal(LoadTerminal { work_key, ..load.clone() })
            }),
            field("SealRksToken.work_key", Purpose::RksWork, None, move |work_key| {
                Request::SealRksToken(SealRksToken { work_key, ..seal.clone() })
            }),
            field("ReleaseRksKeys.work_key", Purpose::RksWork, None, move |work_key| {
                Request::ReleaseRksKeys(ReleaseRksKeys { work_key, ..release.clone() })
            }),
        ]
    }

    fn transport_keys(&self) -> Vec<Field> {
        let (tek, auk) =
            (self.block(Purpose::Tek, Some("SN-1/00")), self.block(Purpose::Auk, Some("SN-1/00")));
        let answer = |transport_key| AnswerChallenge {
            transport_key,
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            rnd1: [1; 8],
        };
        let check = |transport_key| CheckAnswer {
            ticket: vec![],
            crnd2: [0; 8],
            transport_key,
            pin_pad: PAD.into(),
            owner: OWNER.into(),
        };
        let (other_tek, other_auk) = (tek.clone(), auk.clone());
        vec![
            field("AnswerChallenge.tek", Purpose::Tek, Some("SN-1/00"), move |tek| {
                Request::AnswerChallenge(answer(TransportKeyBlocks { tek, auk: auk.clone() }))
            }),
            field("AnswerChallenge.auk", Purpose::Auk, Some("SN-1/00"), move |auk| {
                Request::AnswerChallenge(answer(TransportKeyBlocks { tek: tek.clone(), auk }))
            }),
            field("CheckAnswer.tek", Purpose::Tek, Some("SN-1/00"), move |tek| {
                Request::CheckAnswer(check(TransportKeyBlocks { tek, auk: other_auk.clone() }))
            }),
            field("CheckAnswer.auk", Purpose::Auk, Some("SN-1/00"), move |auk| {
                Request::CheckAnswer(check(TransportKeyBlocks { tek: other_tek.clone(), auk }))
            }),
        ]
    }

    fn exchange_keys(&self) -> Vec<Field> {
        let (pin_pad, owner) = (|| PAD.to_owned(), || OWNER.to_owned());
        let dik1 = self.block(Purpose::Dik1, None);
        let tmk = self.block(Purpose::Tmk, Some("SN-1/03"));
        let load = self.load_terminal();
        let what = Held::Tmk { slot: 3 };
        vec![
            field("ExportDik1.under", Purpose::Exchange, None, move |under| {
                Request::ExportDik1(ExportDik1 { dik1: dik1.clone(), under, owner: owner() })
            }),
            field("ImportDik1.under", Purpose::Exchange, None, move |under| {
                let (block, label) = (String::new(), "L".into());
                Request::ImportDik1(ImportDik1 { block, under, owner: owner(), label })
            }),
            field("ImportLoaded.under", EXCHANGE, None, suite_02::import_loaded),
            field("ExportHeld.under", Purpose::Exchange, None, move |under| {
                let key = tmk.clone();
                Request::ExportHeld(ExportHeld { key, what, pin_pad: pin_pad(), under, owner: owner() })
            }),
            field("LoadTerminal.escrow_under", Purpose::Exchange, None, move |under| {
                Request::LoadTerminal(LoadTerminal { escrow_under: Some(under), ..load.clone() })
            }),
        ]
    }

    fn load_terminal(&self) -> LoadTerminal {
        let rnd1 = Rnd1::generate().unwrap();
        LoadTerminal {
            work_key: self.block(Purpose::KldWork, None),
            c_rnd1_rnd2: self.encrypt(&[rnd1.expose(), &[1; 8]].concat()),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            context: [0; 16],
            load: Load::Dmk { held: None },
            escrow_under: None,
        }
    }

    pub(crate) fn seal_rks_token(&self) -> SealRksToken {
        SealRksToken {
            work_key: self.block(Purpose::RksWork, None),
            df20: self.encrypt(b"factor"),
            dik1: None,
            dsn: PAD.into(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            factor_digest: None,
            context: [0; 16],
        }
    }

    pub(crate) fn release_rks_keys(&self) -> ReleaseRksKeys {
        let at_tk1 = AtTk1::generate().unwrap();
        let proof = at_tk1.prove().unwrap();
        let token = Token { at_tk1, counts: true };
        ReleaseRksKeys {
            work_key: self.block(Purpose::RksWork, None),
            df22: self.encrypt(proof.clear()),
            ticket: self.hsm.rks_tickets.issue(PAD, OWNER, &token).unwrap(),
            owner: OWNER.into(),
            pin_pad: PAD.into(),
            wanted: vec![RksWanted { slot: 3, kind: RksKeyKind::Tmk, pending: None, avoid: vec![] }],
            transcript: vec![0],
        }
    }
}

/// What a field takes, written as a purpose or as the two of either cipher.
struct Takes(&'static [Purpose]);

impl From<Purpose> for Takes {
    fn from(purpose: Purpose) -> Self {
        let all: &'static [Purpose] = &Purpose::ALL;
        let at = all.iter().position(|one| *one == purpose).unwrap();
        Self(&all[at..=at])
    }
}

impl From<&'static [Purpose; 2]> for Takes {
    fn from(either: &'static [Purpose; 2]) -> Self {
        Self(either)
    }
}

fn field(
    name: &'static str,
    takes: impl Into<Takes>,
    place: Option<&'static str>,
    request: impl Fn(KeyBlock) -> Request + 'static,
) -> Field {
    Field { name, takes: takes.into().0, place, request: Box::new(request) }
}

/// What leaves has the version of its exchange key, whatever its own version under the LMK.
#[test]
fn what_leaves_under_an_exchange_key_has_its_version_and_is_not_exportable() {
    let room = Room::new();
    for (fields, version) in [(room.held_keys(), Version::B), (room.exchanged_ec(), Version::D)] {
        for field in fields.into_iter().filter(|field| field.name.starts_with("Export")) {
            let outcome = room.hsm.handle((field.request)(room.block(field.takes[0], field.place))).unwrap();
            let (Reply::ExportDik1(text) | Reply::ExportHeld(text)) = outcome else {
                panic!("another reply")
            };
            let header = keyblock::Header::parse(&text).unwrap().0;
            assert_eq!((header.version, header.exportability.as_str()), (version, "N"));
        }
    }
}
