//! PIN blocks of format 4 under an AES PIK: the suite plays the PIN pad and the issuer (R27).

use paycrypto::{AesKey, TdesKey};
use pinblock::{Format, Format4Key, Pan, Pin};

use super::{
    super::{Entered, OWNER, PAD, pins::zone_keys},
    sign_in::Terminal,
};
use crate::{
    Hsm, KeyBlock, Refusal,
    commands::{PinFormat, PinOutcome, PinRefusal, PinTranslation, TranslatePins},
};

const PAN: &str = "4012345678909";
const PIN: &str = "1234";
const TDES_ZONE: &str = "ISSUER-3";
const AES_ZONE: &str = "ISSUER-4";

pub(in super::super) async fn run(hsm: &impl Hsm, entered: &Entered) {
    let host = Host::prepare(hsm, entered).await;
    host.a_pin_of_format_4_goes_to_either_zone(hsm).await;
    host.an_aes_pik_has_format_4_alone(hsm).await;
    host.whatever_is_wrong_in_a_block_is_one_refusal(hsm).await;
}

struct Host {
    pik: Format4Key,
    pik_block: KeyBlock,
    tdes: TdesKey,
    tdes_block: KeyBlock,
    aes: Format4Key,
    aes_block: KeyBlock,
}

impl Host {
    async fn prepare(hsm: &impl Hsm, entered: &Entered) -> Self {
        let (pik, pik_block) = Terminal::prepare(hsm, &entered.exchange_aes).await.pik(hsm).await;
        let (tdes, aes) = (TdesKey::generate24().unwrap(), AesKey::generate32().unwrap());
        let zones = zone_keys(hsm, entered, (TDES_ZONE, &tdes), (AES_ZONE, &aes)).await;
        Self {
            pik: Format4Key::new(pik.expose()).unwrap(),
            pik_block,
            tdes,
            tdes_block: zones.0,
            aes: Format4Key::new(aes.expose()).unwrap(),
            aes_block: zones.1,
        }
    }

    /// A PIN block of the terminal, and what is asked for it.
    fn ask(&self, to: PinFormat) -> PinTranslation {
        let (zone, zone_key) = match to {
            PinFormat::Iso4 => (AES_ZONE, &self.aes_block),
            _ => (TDES_ZONE, &self.tdes_block),
        };
        let block = pinblock::encode_format4(&pin(), &pan(), &self.pik).unwrap();
        PinTranslation {
            pin_pad: PAD.into(),
            slot: 3,
            pik: self.pik_block.clone(),
            zone: zone.into(),
            zone_key: zone_key.clone(),
            from: PinFormat::Iso4,
            to,
            block: block.to_vec().into(),
            pan: PAN.to_owned().into(),
        }
    }

    async fn a_pin_of_format_4_goes_to_either_zone(&self, hsm: &impl Hsm) {
        for (to, format) in [(PinFormat::Iso0, Format::Iso0), (PinFormat::Iso3, Format::Iso3)] {
            let block = one(hsm, self.ask(to)).await.unwrap();
            let clear = self.tdes.decrypt_block(block.as_slice().try_into().unwrap());
            assert!(pinblock::decode(format, &clear, Some(&pan())).unwrap().matches(&pin()), "{to:?}");
        }
        let block = one(hsm, self.ask(PinFormat::Iso4)).await.unwrap();
        let block = block.as_slice().try_into().unwrap();
        assert!(pinblock::decode_format4(block, &pan(), &self.aes).unwrap().matches(&pin()));
    }

    async fn an_aes_pik_has_format_4_alone(&self, hsm: &impl Hsm) {
        for to in [PinFormat::Iso0, PinFormat::Iso3, PinFormat::Iso4] {
            for from in [PinFormat::Iso0, PinFormat::Iso1, PinFormat::Iso3] {
                for length in [8, 16] {
                    let block = vec![0; length].into();
                    let asked = PinTranslation { from, block, ..self.ask(to) };
                    assert_eq!(one(hsm, asked).await, Err(PinRefusal::Format), "{from:?} to {to:?}");
                }
            }
        }
        for to in [PinFormat::Iso1, PinFormat::Iso2] {
            assert_eq!(one(hsm, self.ask(to)).await, Err(PinRefusal::Format), "to {to:?}");
        }
        let crossed = PinTranslation { to: PinFormat::Iso4, ..self.ask(PinFormat::Iso0) };
        assert_eq!(one(hsm, crossed).await, Err(PinRefusal::Format));
        let crossed = PinTranslation { to: PinFormat::Iso0, ..self.ask(PinFormat::Iso4) };
        assert_eq!(one(hsm, crossed).await, Err(PinRefusal::Format));
    }

    async fn whatever_is_wrong_in_a_block_is_one_refusal(&self, hsm: &impl Hsm) {
        let good = self.ask(PinFormat::Iso4);
        let mut cases =
            vec![("another PAN", PinTranslation { pan: "4012345678990".to_owned().into(), ..good.clone() })];
        for at in [0, 15] {
            let mut block = good.block.expose().clone();
            block[at] ^= 1;
            cases.push(("a bit changed", PinTranslation { block: block.into(), ..good.clone() }));
        }
        for length in [0, 8, 15, 17] {
            cases.push(("another length", PinTranslation { block: vec![1; length].into(), ..good.clone() }));
        }
        for (case, asked) in cases {
            assert_eq!(one(hsm, asked).await, Err(PinRefusal::Block), "{case}");
        }
        let other = PinTranslation { slot: 4, ..good };
        assert!(matches!(one(hsm, other).await, Err(PinRefusal::Key(Refusal::WrongPlace { .. }))));
    }
}

async fn one(hsm: &impl Hsm, item: PinTranslation) -> PinOutcome {
    hsm.call(TranslatePins { owner: OWNER.into(), items: vec![item] }).await.unwrap().remove(0)
}

fn pin() -> Pin {
    Pin::new(PIN).unwrap()
}

fn pan() -> Pan {
    Pan::new(PAN).unwrap()
}
