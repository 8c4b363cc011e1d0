//! TK as the PIN pad keeps it: of either suite, with a hash that is checked each time it is stored or used
//! (1-systems.md A, step 3).

use paycrypto::digest::sha256;
use paycrypto::ec;
use paycrypto::tk::{CheckedTk, TkDefect, UncheckedTk};
use subtle::ConstantTimeEq;
use wire::{Kcv, Suite};
use zeroize::Zeroizing;

use super::codec::{Reader, Writer};
use crate::TkCheck;

/// Where TEK and AUK are in a kept TK of suite 01: 24 bytes each, then their hash.
const TDES: [std::ops::Range<usize>; 2] = [0..24, 24..48];
/// The same in suite 02: 32 bytes each.
const EC_AES: [std::ops::Range<usize>; 2] = [0..EC_KEY, EC_KEY..2 * EC_KEY];
/// Bytes of TEK and of AUK in suite 02.
const EC_KEY: usize = 32;

/// A TK with its hash.
pub(super) struct HeldTk {
    suite: Suite,
    /// TEK ‖ AUK ‖ SHA-256(TEK ‖ AUK).
    bytes: Zeroizing<Vec<u8>>,
}

impl HeldTk {
    /// Keeps a TK of suite 01.
    pub(super) fn tdes(tk: &CheckedTk) -> HeldTk {
        HeldTk { suite: Suite::TDES, bytes: tk.to_clear() }
    }

    /// Keeps a TK of suite 02.
    pub(super) fn ec_aes(tk: &ec::Tk) -> HeldTk {
        let mut bytes = Zeroizing::new(Vec::with_capacity(3 * EC_KEY));
        bytes.extend_from_slice(tk.tek().expose());
        bytes.extend_from_slice(tk.auk().expose());
        let hash = sha256(&bytes);
        bytes.extend_from_slice(&hash);
        HeldTk { suite: Suite::EC_AES, bytes }
    }

    /// Its suite.
    pub(super) fn suite(&self) -> Suite {
        self.suite
    }

    /// The TK of suite 01, checked for one use; nothing when it is of another suite.
    pub(super) fn check_tdes(&self) -> Result<Option<CheckedTk>, TkDefect> {
        if self.suite != Suite::TDES {
            return Ok(None);
        }
        UncheckedTk::new(self.bytes.clone()).check().map(Some)
    }

    /// The TK of suite 02, checked for one use; nothing when it is of another suite.
    pub(super) fn check_ec_aes(&self) -> Result<Option<ec::Tk>, TkDefect> {
        if self.suite != Suite::EC_AES {
            return Ok(None);
        }
        let (keys, hash) = self.bytes.split_first_chunk::<{ 2 * EC_KEY }>().ok_or(TkDefect::Length)?;
        if !bool::from(sha256(keys).as_slice().ct_eq(hash)) {
            return Err(TkDefect::Hash);
        }
        let (tek, auk) = keys.split_first_chunk::<EC_KEY>().ok_or(TkDefect::Length)?;
        let auk: &[u8; EC_KEY] = auk.try_into().map_err(|_| TkDefect::Length)?;
        ec::Tk::from_keys(ec::keys::Tek::from_bytes(tek), ec::keys::Auk::from_bytes(auk))
            .map(Some)
            .map_err(|_| TkDefect::EqualKeys)
    }

    /// Whether it is whole, whatever its suite.
    pub(super) fn check(&self) -> Result<(), TkDefect> {
        match self.suite {
            Suite::EC_AES => self.check_ec_aes().map(drop),
            _ => self.check_tdes().map(drop),
        }
    }

    /// The check values of a TK that is whole, and of no other.
    pub(super) fn check_values(&self) -> Option<TkCheck> {
        if let Some(tk) = self.check_tdes().ok()? {
            return Some(TkCheck { tek: tk.tek().kcv().into(), auk: tk.auk().kcv().into() });
        }
        let tk = self.check_ec_aes().ok()??;
        Some(TkCheck { tek: Kcv::Aes(tk.tek().kcv()), auk: Kcv::Aes(tk.auk().kcv()) })
    }

    /// TEK and AUK, to be compared with keys of other uses.
    pub(super) fn parts(&self) -> [&[u8]; 2] {
        let parts = if self.suite == Suite::EC_AES { EC_AES } else { TDES };
        parts.map(|range| self.bytes.get(range).unwrap_or_default())
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.byte(self.suite.byte());
        writer.sized(&self.bytes);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<HeldTk> {
        let suite = Suite::new(reader.byte()?);
        [Suite::TDES, Suite::EC_AES].contains(&suite).then_some(())?;
        Some(HeldTk { suite, bytes: Zeroizing::new(reader.sized()?.to_vec()) })
    }

    /// Takes what an older version of the state kept: 80 bytes of suite 01.
    pub(super) fn of_older(bytes: &[u8]) -> HeldTk {
        HeldTk { suite: Suite::TDES, bytes: Zeroizing::new(bytes.to_vec()) }
    }

    /// Spoils one bit of TEK.
    #[cfg(test)]
    pub(super) fn damage(&mut self) {
        if let Some(byte) = self.bytes.first_mut() {
            *byte ^= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tk_of_each_suite_is_read_back_and_is_none_of_the_other() {
        let tdes = HeldTk::tdes(&CheckedTk::generate().unwrap());
        let made = ec::Tk::generate().unwrap();
        let ec_aes = HeldTk::ec_aes(&made);
        assert_eq!((tdes.parts().map(<[u8]>::len), ec_aes.parts().map(<[u8]>::len)), ([24; 2], [32; 2]));
        assert_eq!(ec_aes.parts(), [made.tek().expose().as_slice(), made.auk().expose()]);
        for held in [tdes, ec_aes] {
            let mut writer = Writer::new();
            held.write(&mut writer);
            let bytes = writer.finish();
            let read = HeldTk::read(&mut Reader::new(&bytes)).unwrap();
            read.check().unwrap();
            assert_eq!((read.suite(), read.parts()), (held.suite(), held.parts()));
            assert_eq!(read.check_tdes().unwrap().is_some(), held.suite() == Suite::TDES);
            assert_eq!(read.check_ec_aes().unwrap().is_some(), held.suite() == Suite::EC_AES);
        }
    }

    #[test]
    fn r16_a_tk_has_the_check_values_of_its_cipher_and_a_damaged_one_has_none() {
        let (tdes, ec_aes) = (CheckedTk::generate().unwrap(), ec::Tk::generate().unwrap());
        let mut of_tdes = HeldTk::tdes(&tdes);
        let check = of_tdes.check_values().unwrap();
        assert_eq!(check.tek, Kcv::Tdes(tdes.tek().kcv()));
        assert_eq!(check.auk, Kcv::Tdes(tdes.auk().kcv()));
        let mut of_ec_aes = HeldTk::ec_aes(&ec_aes);
        let check = of_ec_aes.check_values().unwrap();
        assert_eq!(check.tek, Kcv::Aes(ec_aes.tek().kcv()));
        assert_eq!(check.auk, Kcv::Aes(ec_aes.auk().kcv()));
        for held in [&mut of_tdes, &mut of_ec_aes] {
            held.damage();
            assert_eq!(held.check_values(), None);
        }
    }

    #[test]
    fn a_tk_with_a_wrong_hash_is_not_used_in_either_suite() {
        let tks =
            [HeldTk::tdes(&CheckedTk::generate().unwrap()), HeldTk::ec_aes(&ec::Tk::generate().unwrap())];
        for mut held in tks {
            held.damage();
            assert_eq!(held.check(), Err(TkDefect::Hash));
        }
    }

    #[test]
    fn a_tk_of_suite_02_of_another_length_or_with_equal_parts_is_refused() {
        let held = |bytes: Vec<u8>| HeldTk { suite: Suite::EC_AES, bytes: Zeroizing::new(bytes) };
        assert_eq!(held(vec![1; 63]).check(), Err(TkDefect::Length));
        let mut equal = vec![1; 64];
        equal.extend(sha256(&[1; 64]));
        assert_eq!(held(equal.clone()).check(), Err(TkDefect::EqualKeys));
        equal.push(0);
        assert_eq!(held(equal).check(), Err(TkDefect::Hash));
    }
}
