use hsm::{
    Refusal,
    commands::{PinFormat, PinOutcome, PinRefusal, PinTranslation, TranslatePins},
};
use paycrypto::{TdesKey, keys};
use pinblock::{Format, Format4Key, Pan, Pin, translation};
use zeroize::Zeroizing;

use super::{
    batch,
    zone_key::{ZonePin, ZonePins},
};
use crate::{SoftHsm, lmk::Binding, purpose::Purpose, soft_hsm::place};

/// The fewest digits of a PAN: formats 0 and 3 bind the last twelve and the check digit.
const MIN_PAN: usize = 13;

pub(crate) fn translate_pins(hsm: &SoftHsm, command: &TranslatePins) -> Result<Vec<PinOutcome>, Refusal> {
    batch::check_count(command.items.len())?;
    Ok(batch::in_halves(&command.items, |items| {
        let mut zones = ZonePins::new(hsm, &command.owner);
        items.iter().map(|item| translate(hsm, &command.owner, &mut zones, item)).collect()
    }))
}

/// Format and PAN are looked at before any key, and the keys before the PIN block: what is told of those two says
/// nothing of a PIN. Whatever is wrong in the PIN block itself is one refusal.
fn translate<'a>(
    hsm: &'a SoftHsm,
    owner: &'a str,
    zones: &mut ZonePins<'a>,
    item: &'a PinTranslation,
) -> PinOutcome {
    let (from, to) = (format(item.from), format(item.to));
    translation::allowed(from, to).map_err(|_| PinRefusal::Format)?;
    let pan = check_pan(item.pan.expose(), from, to)?;
    let zone = zones.get(&item.zone, &item.zone_key)?;
    if matches!(zone, ZonePin::Aes(_)) != (to == Format::Iso4) {
        return Err(PinRefusal::Format);
    }
    let place = place(&item.pin_pad, item.slot)?;
    let bound = Binding { place: Some(&place), owner, tk_hash: None };
    let pik = PinKey::open(hsm, bound, item)?;
    if matches!(pik, PinKey::Aes(_)) != (from == Format::Iso4) {
        return Err(PinRefusal::Format);
    }
    let pin = pik.decode(from, item, &pan).ok_or(PinRefusal::Block)?;
    seal(zone, to, &pin, &pan)
}

/// A PAN that both formats can be bound to, and long enough to be a card's whichever they are.
fn check_pan(digits: &str, from: Format, to: Format) -> Result<Pan, PinRefusal> {
    let pan = Pan::new(digits).map_err(|_| PinRefusal::Pan)?;
    if digits.len() < MIN_PAN || pan.fits(from).is_err() || pan.fits(to).is_err() {
        return Err(PinRefusal::Pan);
    }
    Ok(pan)
}

/// A PIK of either suite.
enum PinKey {
    Tdes(keys::Pik),
    Aes(Format4Key),
}

impl PinKey {
    fn open(hsm: &SoftHsm, bound: Binding<'_>, item: &PinTranslation) -> Result<Self, Refusal> {
        const WHAT: &str = "the PIK";
        let (purpose, opened) =
            hsm.lmk.open_one_of(WHAT, &item.pik, &[Purpose::Pik, Purpose::PikAes], bound)?;
        let poor = |e: &dyn std::fmt::Display| Refusal::WrongUse { what: WHAT.into(), found: e.to_string() };
        if purpose == Purpose::PikAes {
            return Format4Key::new(&opened.key).map(Self::Aes).map_err(|e| poor(&e));
        }
        let key = TdesKey::from_bytes(&opened.key).and_then(keys::Pik::from_key);
        key.map(Self::Tdes).map_err(|e| poor(&e))
    }

    /// The PIN in a block of this key; `from` is a format of its cipher.
    fn decode(&self, from: Format, item: &PinTranslation, pan: &Pan) -> Option<Pin> {
        let block = item.block.expose().as_slice();
        match self {
            Self::Tdes(pik) => {
                let clear = Zeroizing::new(pik.key().decrypt_block(block.try_into().ok()?));
                pinblock::decode(from, &clear, Some(pan)).ok()
            }
            Self::Aes(key) => pinblock::decode_format4(block.try_into().ok()?, pan, key).ok(),
        }
    }
}

fn seal(zone: &ZonePin, to: Format, pin: &Pin, pan: &Pan) -> PinOutcome {
    let not_made = |e: &dyn std::fmt::Display| PinRefusal::Key(Refusal::NotMade { why: e.to_string() });
    // Formats 3 and 4 have random fill: from the source that keys come from, which is tested.
    let mut fill = Zeroizing::new([0; 8]);
    paycrypto::random::fill(&mut *fill).map_err(|e| not_made(&e))?;
    match zone {
        ZonePin::Tdes(key) => {
            let clear = pinblock::encode_filled(to, pin, Some(pan), &fill).map_err(|e| not_made(&e))?;
            Ok(key.encrypt_block(*clear.expose()).to_vec())
        }
        ZonePin::Aes(key) => Ok(pinblock::encode_format4_filled(pin, pan, key, &fill).to_vec()),
    }
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
