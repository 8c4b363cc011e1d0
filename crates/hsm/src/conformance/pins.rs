//! PIN blocks: the suite plays the PIN pad and the issuer.

use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use paycrypto::{
    AesKey, TdesKey, blocks, digest,
    keys::{Pik, Tmk},
};
use pinblock::{Format, Format4Key, Pan, Pin};

use super::{Entered, OWNER, PAD, exchange::imported, refused};
use crate::{
    Hsm, HsmError, KeyBlock, Refusal,
    commands::{
        Held, ImportZoneKey, MAX_ITEMS, MakeWorkingKeys, PikLength, PinFormat, PinOutcome, PinRefusal,
        PinTranslation, TranslatePins,
    },
};

const PAN: &str = "4012345678909";
const PIN: &str = "1234";
const TDES_ZONE: &str = "ISSUER-1";
const AES_ZONE: &str = "ISSUER-2";
const SIGN_IN: &[u8] = b"sign-in";

pub(super) async fn run(hsm: &impl Hsm, entered: &Entered) {
    let host = Host::prepare(hsm, entered).await;
    host.a_pin_goes_from_its_terminal_to_its_issuer(hsm).await;
    host.formats_go_together_by_the_table_only(hsm).await;
    host.whatever_is_wrong_in_a_block_is_one_refusal(hsm).await;
    host.a_pan_is_looked_at_first(hsm).await;
    host.keys_are_refused_out_of_place(hsm).await;
    host.a_batch_is_answered_in_order(hsm).await;
}

struct Host {
    pik: Pik,
    pik_block: KeyBlock,
    tdes: TdesKey,
    tdes_block: KeyBlock,
    aes: Format4Key,
    aes_block: KeyBlock,
}

impl Host {
    async fn prepare(hsm: &impl Hsm, entered: &Entered) -> Self {
        let tmk = Tmk::generate().unwrap();
        let held = imported(hsm, &entered.exchange, Held::Tmk { slot: 3 }, tmk.key()).await.block;
        let sign_in = MakeWorkingKeys {
            tmk: held,
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            slot: 3,
            transcript: SIGN_IN.to_vec(),
            pik: PikLength::Double,
            tdk: false,
            avoid: vec![],
        };
        let keys = hsm.call(sign_in).await.unwrap();
        let context = digest::sha256(SIGN_IN)[..16].try_into().unwrap();
        let pik = blocks::unwrap(&tmk, &keys[0].under_tk, "SN-1001/03", &context).unwrap();

        let (tdes, aes) = (TdesKey::generate24().unwrap(), AesKey::generate32().unwrap());
        let (tdes_block, aes_block) = zone_keys(hsm, entered, (TDES_ZONE, &tdes), (AES_ZONE, &aes)).await;
        Self {
            pik,
            pik_block: keys[0].block.clone(),
            tdes,
            tdes_block,
            aes: Format4Key::new(aes.expose()).unwrap(),
            aes_block,
        }
    }

    /// A PIN block of the terminal, and what is asked for it.
    fn ask(&self, from: PinFormat, to: PinFormat, clear: [u8; 8]) -> PinTranslation {
        let (zone, zone_key) = match to {
            PinFormat::Iso4 => (AES_ZONE, &self.aes_block),
            _ => (TDES_ZONE, &self.tdes_block),
        };
        PinTranslation {
            pin_pad: PAD.into(),
            slot: 3,
            pik: self.pik_block.clone(),
            zone: zone.into(),
            zone_key: zone_key.clone(),
            from,
            to,
            block: self.pik.key().encrypt_block(clear).to_vec().into(),
            pan: PAN.to_owned().into(),
        }
    }

    fn good(&self, from: PinFormat, to: PinFormat) -> PinTranslation {
        let clear = pinblock::encode(format(from), &pin(PIN), Some(&pan())).unwrap();
        self.ask(from, to, *clear.expose())
    }

    /// The PIN that an issuer finds in a translated block.
    fn at_the_issuer(&self, to: PinFormat, block: &[u8]) -> Pin {
        match to {
            PinFormat::Iso4 => {
                pinblock::decode_format4(block.try_into().unwrap(), &pan(), &self.aes).unwrap()
            }
            _ => {
                let clear = self.tdes.decrypt_block(block.try_into().unwrap());
                pinblock::decode(format(to), &clear, Some(&pan())).unwrap()
            }
        }
    }

    async fn a_pin_goes_from_its_terminal_to_its_issuer(&self, hsm: &impl Hsm) {
        for from in [PinFormat::Iso0, PinFormat::Iso1, PinFormat::Iso3] {
            for to in [PinFormat::Iso0, PinFormat::Iso3, PinFormat::Iso4] {
                let translated = one(hsm, self.good(from, to)).await.unwrap();
                assert!(self.at_the_issuer(to, &translated).matches(&pin(PIN)), "{from:?} to {to:?}");
            }
        }
    }

    async fn formats_go_together_by_the_table_only(&self, hsm: &impl Hsm) {
        use PinFormat::{Iso0, Iso1, Iso2, Iso3, Iso4};
        let mut bad = vec![(Iso2, Iso0), (Iso2, Iso3), (Iso2, Iso4)];
        bad.extend([Iso0, Iso1, Iso2, Iso3, Iso4].into_iter().flat_map(|from| [(from, Iso1), (from, Iso2)]));
        for (from, to) in bad {
            // Nothing else of it is right: the pair is looked at first.
            let pan = "x".to_owned().into();
            let asked = PinTranslation { from, to, pan, ..self.ask(Iso0, Iso0, [0; 8]) };
            assert_eq!(one(hsm, asked).await, Err(PinRefusal::Format), "{from:?} to {to:?}");
        }
        // A zone takes its own cipher's formats, and a PIK has its own.
        let to_tdes = PinTranslation { to: Iso4, ..self.good(Iso0, Iso0) };
        let to_aes = PinTranslation { to: Iso3, ..self.good(Iso0, Iso4) };
        let from_tdes = PinTranslation { from: Iso4, ..self.good(Iso0, Iso0) };
        let as_long = PinTranslation { block: vec![0; 16].into(), ..from_tdes.clone() };
        for asked in [to_tdes, to_aes, from_tdes, as_long] {
            assert_eq!(one(hsm, asked).await, Err(PinRefusal::Format));
        }
    }

    async fn whatever_is_wrong_in_a_block_is_one_refusal(&self, hsm: &impl Hsm) {
        let good = pinblock::encode(Format::Iso0, &pin(PIN), Some(&pan())).unwrap();
        let changed = |at: usize, mask: u8| {
            let mut clear = *good.expose();
            clear[at] ^= mask;
            clear
        };
        let ask = |clear| self.ask(PinFormat::Iso0, PinFormat::Iso0, clear);
        let mut bad = vec![
            ("another format", ask(changed(0, 0x10))),
            ("a length of 3", ask(changed(0, 0x07))),
            ("a length of 13", ask(changed(0, 0x09))),
            ("a length of 5: a filler as a digit", ask(changed(0, 0x01))),
            ("a digit past 9", ask(changed(1, 0xF0))),
            ("a filler that is none", ask(changed(7, 0x01))),
            ("random bytes", ask([0x9C; 8])),
        ];
        let wrong_pan = "4012345678990".to_owned().into();
        let good = self.good(PinFormat::Iso0, PinFormat::Iso0);
        bad.push(("another PAN", PinTranslation { pan: wrong_pan, ..good.clone() }));
        for length in [0, 7, 9, 16] {
            bad.push(("another length", PinTranslation { block: vec![1; length].into(), ..good.clone() }));
        }
        bad.push(("format 0 as 3", PinTranslation { from: PinFormat::Iso3, ..good.clone() }));
        bad.push(("format 0 as 1", PinTranslation { from: PinFormat::Iso1, ..good }));
        for (case, asked) in bad {
            assert_eq!(one(hsm, asked).await, Err(PinRefusal::Block), "{case}");
        }
    }

    async fn a_pan_is_looked_at_first(&self, hsm: &impl Hsm) {
        let twenty = "1".repeat(20);
        for digits in ["", "401234567890", "40123456789O9", " 4012345678909", &twenty] {
            for (from, to) in [
                (PinFormat::Iso0, PinFormat::Iso3),
                (PinFormat::Iso0, PinFormat::Iso4),
                (PinFormat::Iso1, PinFormat::Iso4),
            ] {
                let pan = digits.to_owned().into();
                let asked = PinTranslation { pan, ..self.ask(from, to, [0; 8]) };
                assert_eq!(one(hsm, asked).await, Err(PinRefusal::Pan), "{digits:?}");
            }
        }
        for digits in ["4012345678909", &"1".repeat(19)] {
            let pan = digits.to_owned().into();
            let asked = PinTranslation { pan, ..self.good(PinFormat::Iso1, PinFormat::Iso4) };
            one(hsm, asked).await.unwrap();
        }
    }

    async fn keys_are_refused_out_of_place(&self, hsm: &impl Hsm) {
        let good = self.good(PinFormat::Iso0, PinFormat::Iso0);
        for (case, asked) in [
            ("another PIN pad", PinTranslation { pin_pad: "SN-2002".into(), ..good.clone() }),
            ("another slot", PinTranslation { slot: 4, ..good.clone() }),
            ("another zone", PinTranslation { zone: AES_ZONE.into(), ..good.clone() }),
        ] {
            let outcome = one(hsm, asked).await;
            assert!(matches!(outcome, Err(PinRefusal::Key(Refusal::WrongPlace { .. }))), "{case}");
        }
        for (case, asked) in [
            ("a zone key as PIK", PinTranslation { pik: self.tdes_block.clone(), ..good.clone() }),
            ("a PIK as zone key", PinTranslation { zone_key: self.pik_block.clone(), ..good.clone() }),
        ] {
            let outcome = one(hsm, asked).await;
            assert!(matches!(outcome, Err(PinRefusal::Key(Refusal::WrongUse { .. }))), "{case}");
        }
        let foreign = TranslatePins { owner: "ACQ-2".into(), items: vec![good] };
        let outcomes = hsm.call(foreign).await.unwrap();
        assert!(matches!(outcomes.as_slice(), [Err(PinRefusal::Key(Refusal::WrongOwner { .. }))]));
    }

    async fn a_batch_is_answered_in_order(&self, hsm: &impl Hsm) {
        let bad = self.ask(PinFormat::Iso0, PinFormat::Iso0, [0x9C; 8]);
        let items: Vec<_> = (0..MAX_ITEMS)
            .map(|at| match at % 3 {
                0 => self.good(PinFormat::Iso0, PinFormat::Iso3),
                1 => bad.clone(),
                _ => self.good(PinFormat::Iso3, PinFormat::Iso4),
            })
            .collect();
        let outcomes = translate(hsm, items.clone()).await.unwrap();
        assert_eq!(outcomes.len(), MAX_ITEMS);
        for (at, outcome) in outcomes.iter().enumerate() {
            match (at % 3, outcome) {
                (0, Ok(block)) => assert!(self.at_the_issuer(PinFormat::Iso3, block).matches(&pin(PIN))),
                (1, Err(PinRefusal::Block)) => {}
                (2, Ok(block)) => assert!(self.at_the_issuer(PinFormat::Iso4, block).matches(&pin(PIN))),
                (_, outcome) => panic!("item {at}: {outcome:?}"),
            }
        }
        let past = [items, vec![bad]].concat();
        for items in [vec![], past] {
            refused(translate(hsm, items).await, |r| matches!(r, Refusal::Malformed { .. }));
        }
    }
}

/// Takes these keys in as those of a TDES zone and of an AES zone.
pub(super) async fn zone_keys(
    hsm: &impl Hsm,
    entered: &Entered,
    (tdes_zone, tdes): (&str, &TdesKey),
    (aes_zone, aes): (&str, &AesKey),
) -> (KeyBlock, KeyBlock) {
    let master = Kbpk::new(Version::D, entered.zone_aes.key.expose()).unwrap();
    let import = |zone: &str, algorithm, key: &[u8]| {
        let exportability = Exportability::NOT_EXPORTABLE;
        let header = Header::new(Version::D, Usage::PIN_ENCRYPTION, algorithm, Mode::ENCRYPT, exportability);
        ImportZoneKey {
            under: entered.zone_aes.block.clone(),
            block: master.wrap(&header, key).unwrap(),
            owner: OWNER.into(),
            zone: zone.into(),
        }
    };
    let tdes = import(tdes_zone, Algorithm::TDES, tdes.expose());
    let aes = import(aes_zone, Algorithm::AES, aes.expose());
    (hsm.call(tdes).await.unwrap().block, hsm.call(aes).await.unwrap().block)
}

async fn translate(hsm: &impl Hsm, items: Vec<PinTranslation>) -> Result<Vec<PinOutcome>, HsmError> {
    hsm.call(TranslatePins { owner: OWNER.into(), items }).await
}

async fn one(hsm: &impl Hsm, item: PinTranslation) -> PinOutcome {
    translate(hsm, vec![item]).await.unwrap().remove(0)
}

fn pin(digits: &str) -> Pin {
    Pin::new(digits).unwrap()
}

fn pan() -> Pan {
    Pan::new(PAN).unwrap()
}

fn format(format: PinFormat) -> Format {
    match format {
        PinFormat::Iso0 => Format::Iso0,
        PinFormat::Iso1 => Format::Iso1,
        PinFormat::Iso2 => Format::Iso2,
        PinFormat::Iso3 => Format::Iso3,
        PinFormat::Iso4 => Format::Iso4,
    }
}
