use hsm::{
    Refusal,
    commands::{PinFormat, PinOutcome, PinRefusal, PinTranslation, TranslatePins},
};
use paycrypto::keys::Pik;
use pinblock::{Format, Pan, Pin, translation};
use zeroize::Zeroizing;

use super::{
    batch,
    held_key::{self, Which},
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
    // A terminal of suite 01 has a TDES key.
    if from == Format::Iso4 {
        return Err(PinRefusal::Format);
    }
    let pan = check_pan(item.pan.expose(), from, to)?;
    let zone = zones.get(&item.zone, &item.zone_key)?;
    if matches!(zone, ZonePin::Aes(_)) != (to == Format::Iso4) {
        return Err(PinRefusal::Format);
    }
    let place = place(&item.pin_pad, item.slot)?;
    let bound = Binding { place: Some(&place), owner, tk_hash: None };
    let pik: Pik = held_key::load(hsm, Which { name: "the PIK", purpose: Purpose::Pik, bound }, &item.pik)?;
    let pin = open(&pik, from, item, &pan).ok_or(PinRefusal::Block)?;
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

fn open(pik: &Pik, from: Format, item: &PinTranslation, pan: &Pan) -> Option<Pin> {
    let block = <[u8; 8]>::try_from(item.block.expose().as_slice()).ok()?;
    let clear = Zeroizing::new(pik.key().decrypt_block(block));
    pinblock::decode(from, &clear, Some(pan)).ok()
}

fn seal(zone: &ZonePin, to: Format, pin: &Pin, pan: &Pan) -> PinOutcome {
    let not_made = |e: &dyn std::fmt::Display| PinRefusal::Key(Refusal::NotMade { why: e.to_string() });
    match zone {
        ZonePin::Tdes(key) => {
            let clear = pinblock::encode(to, pin, Some(pan)).map_err(|e| not_made(&e))?;
            Ok(key.encrypt_block(*clear.expose()).to_vec())
        }
        ZonePin::Aes(key) => {
            let block = pinblock::encode_format4(pin, pan, key).map_err(|e| not_made(&e))?;
            Ok(block.to_vec())
        }
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
