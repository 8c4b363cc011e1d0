//! R27: which PIN block becomes which, the whole matrix.

use hsm::commands::{PinFormat, PinRefusal, PinTranslation, Reply, Request, TranslatePins};
use paycrypto::AesKey;
use pinblock::{Format, Format4Key, Pan, Pin};

use crate::{
    policy_tests::{OWNER, PAD, Room},
    purpose::Purpose,
};

const PAN: &str = "4012345678909";
const FORMATS: [PinFormat; 5] =
    [PinFormat::Iso0, PinFormat::Iso1, PinFormat::Iso2, PinFormat::Iso3, PinFormat::Iso4];

/// The PIN block of a terminal in this format under its PIK.
fn block(room: &Room, from: PinFormat) -> Vec<u8> {
    let (pin, pan) = (Pin::new("1234").unwrap(), Pan::new(PAN).unwrap());
    let tdes = |format| {
        let clear = pinblock::encode(format, &pin, Some(&pan)).unwrap();
        room.tek.encrypt_block(*clear.expose()).to_vec()
    };
    match from {
        PinFormat::Iso0 => tdes(Format::Iso0),
        PinFormat::Iso1 => tdes(Format::Iso1),
        PinFormat::Iso3 => tdes(Format::Iso3),
        PinFormat::Iso2 => vec![0; 8],
        PinFormat::Iso4 => pinblock::encode_format4(&pin, &pan, &format4(&room.aes16)).unwrap().to_vec(),
    }
}

fn format4(key: &AesKey) -> Format4Key {
    Format4Key::new(key.expose()).unwrap()
}

#[test]
fn r27_a_pin_block_becomes_what_the_table_says_and_nothing_else() {
    use PinFormat::{Iso0, Iso1, Iso3, Iso4};
    let room = Room::new();
    let place = Some("SN-1/03");
    for from in FORMATS {
        for to in FORMATS {
            for (pik, pik_is_aes) in [(Purpose::Pik, false), (Purpose::PikAes, true)] {
                for (zone, zone_is_aes) in [(Purpose::ZonePinTdes, false), (Purpose::ZonePinAes, true)] {
                    let item = PinTranslation {
                        pin_pad: PAD.into(),
                        slot: 3,
                        pik: room.block(pik, place),
                        zone: "name".into(),
                        zone_key: room.block(zone, None),
                        from,
                        to,
                        block: block(&room, from).into(),
                        pan: PAN.to_owned().into(),
                    };
                    let command = TranslatePins { owner: OWNER.into(), items: vec![item] };
                    let Reply::TranslatePins(mut outcomes) =
                        room.hsm.handle(Request::TranslatePins(command)).unwrap()
                    else {
                        panic!("another reply")
                    };
                    let table = matches!(from, Iso0 | Iso1 | Iso3 | Iso4) && matches!(to, Iso0 | Iso3 | Iso4);
                    let keys = pik_is_aes == (from == Iso4) && zone_is_aes == (to == Iso4);
                    let case = format!("{from:?} under {pik:?} to {to:?} under {zone:?}");
                    match outcomes.remove(0) {
                        Ok(translated) => {
                            assert!(table && keys, "{case}");
                            assert_eq!(translated.len(), if zone_is_aes { 16 } else { 8 }, "{case}");
                        }
                        Err(PinRefusal::Format) => assert!(!(table && keys), "{case}"),
                        Err(other) => panic!("{case}: {other}"),
                    }
                }
            }
        }
    }
}
