//! Keys that a KLD is given: the exchange key, DIK1, TMKs and DMKs. Under both cards.

use hsm::{
    KeyBlock,
    commands::{Held, HeldKey, HeldKeyEc, ImportDik1, ImportDik1Ec, ImportLoaded, Imported as Reply},
};
use wire::{Kcv, Serial, Suite};

use super::{
    Kld, KldError, What,
    state::{Imported, Kept},
    suite::{of_block, of_kcv},
};
use crate::BothCards;

/// A TMK or a DMK, and the place that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The PIN pad that it belongs to.
    pub pin_pad: Serial,
    /// The slot of a TMK; none for a DMK.
    pub slot: Option<wire::Slot>,
}

impl Place {
    fn what(&self) -> Held {
        self.slot.map_or(Held::Dmk, |slot| Held::Tmk { slot: slot.index() })
    }
}

/// A key block under the KLD's LMK, as combining components gave it.
#[derive(Debug, Clone)]
pub struct Combined {
    /// The key's name.
    pub name: String,
    /// The block.
    pub block: String,
    /// Its check value.
    pub kcv: Kcv,
}

impl Kld {
    /// Takes the exchange key that two or three people entered as components: a TDES key for suite 01, an AES key for suite
    /// 02, since TDES carries no AES key. It replaces the one before of its suite, and not while a run is open: all of a
    /// report is under one key.
    ///
    /// # Errors
    /// What [`BothCards::check`] says; [`KldError::RunOpen`]; [`Error::File`](crate::Error::File).
    pub fn take_exchange_key(&mut self, cards: &BothCards, key: Combined) -> Result<(), KldError> {
        cards.check()?;
        match self.current_run() {
            Ok(run) => return Err(KldError::RunOpen { run: run.name().to_owned() }),
            Err(KldError::NoRun) => {}
            Err(error) => return Err(error),
        }
        let Combined { name, block, kcv } = key;
        self.state.exchange.retain(|kept| !kept.is_of(of_kcv(kcv)));
        self.state.exchange.push(Kept { name, block: KeyBlock::from_text(block), kcv: kcv.to_string() });
        self.save()
    }

    /// Imports a DIK1 that the RKS exported, X9.143 under the exchange key of its suite: version B for suite 01, D for 02.
    /// Gives its check value. One of the same label and suite is replaced.
    ///
    /// # Errors
    /// What [`BothCards::check`] says; [`KldError::NoExchangeKey`]; [`KldError::Hsm`] for a block that does not open, has
    /// another label, or holds a key that must not be used.
    pub fn import_dik1(&mut self, cards: &BothCards, block: &str, label: &str) -> Result<Kcv, KldError> {
        cards.check()?;
        let suite = of_block(block.trim());
        let ((_, under), owner) = (self.exchange(suite)?, self.state.owner.clone());
        let (block, label) = (block.trim().to_owned(), label.to_owned());
        let (block, kcv) = match suite {
            Suite::EC_AES => {
                let command = ImportDik1Ec { block, under, owner, label: label.clone() };
                let HeldKeyEc { block, kcv } = self.hsm()?.call(command)?;
                (block, Kcv::Aes(kcv))
            }
            _ => {
                let command = ImportDik1 { block, under, owner, label: label.clone() };
                let HeldKey { block, kcv } = self.hsm()?.call(command)?;
                (block, Kcv::Tdes(kcv))
            }
        };
        self.state.dik1.retain(|kept| kept.name != label || !kept.is_of(suite));
        self.state.dik1.push(Kept { name: label, block, kcv: kcv.to_string() });
        self.save()?;
        Ok(kcv)
    }

    /// Imports a TMK or a DMK that the KMS made, X9.143 under the exchange key. A run that loads this place into this PIN
    /// pad then loads this key. Gives its check value.
    ///
    /// # Errors
    /// As [`Kld::import_dik1`].
    pub fn import_key(&mut self, cards: &BothCards, place: &Place, block: &str) -> Result<Kcv, KldError> {
        cards.check()?;
        let command = ImportLoaded {
            under: self.exchange(of_block(block.trim()))?.1,
            block: block.trim().to_owned(),
            pin_pad: place.pin_pad.to_string(),
            what: place.what(),
            owner: self.state.owner.clone(),
        };
        match self.hsm()?.call(command)? {
            Reply::Key(HeldKey { block, kcv }) => self.keep(place, block, Kcv::Tdes(kcv)),
            Reply::KeyEc(HeldKeyEc { block, kcv }) => self.keep(place, block, Kcv::Aes(kcv)),
            Reply::Factor { .. } => Err(hsm::HsmError::WrongReply("ImportLoaded").into()),
        }
    }

    /// Takes a TMK or a DMK that two or three people entered as components for this place. That it is one, the HSM says
    /// when it is loaded.
    ///
    /// # Errors
    /// What [`BothCards::check`] says; [`Error::File`](crate::Error::File).
    pub fn take_key(&mut self, cards: &BothCards, place: &Place, key: Combined) -> Result<Kcv, KldError> {
        cards.check()?;
        self.keep(place, KeyBlock::from_text(key.block), key.kcv)
    }

    fn keep(&mut self, place: &Place, block: KeyBlock, kcv: Kcv) -> Result<Kcv, KldError> {
        let slot = place.slot.map(wire::Slot::index);
        let pin_pad = place.pin_pad.to_string();
        let suite = of_kcv(kcv);
        self.state.imported.retain(|key| key.pin_pad != pin_pad || key.slot != slot || !key.is_of(suite));
        self.state.imported.push(Imported { pin_pad, slot, block, kcv: kcv.to_string() });
        self.save()?;
        Ok(kcv)
    }

    /// The exchange key of this suite, and its name.
    pub(super) fn exchange(&self, suite: Suite) -> Result<(&str, KeyBlock), KldError> {
        let kept = self.state.exchange.iter().find(|kept| kept.is_of(suite));
        let kept = kept.ok_or(KldError::NoExchangeKey { suite })?;
        Ok((&kept.name, kept.block.clone()))
    }

    /// The DIK1 of this suite and label, or the only one of this suite.
    pub(super) fn dik1(&self, suite: Suite, label: Option<&str>) -> Result<(&str, &KeyBlock), KldError> {
        let mut all = self.state.dik1.iter().filter(|kept| kept.is_of(suite));
        let found = match label {
            Some(label) => all.find(|kept| kept.name == label),
            None => match (all.next(), all.next()) {
                (Some(_), Some(_)) => return Err(KldError::WhichDik1),
                (only, _) => only,
            },
        };
        let found = found.ok_or_else(|| KldError::NoDik1 { label: label.map(str::to_owned) })?;
        Ok((&found.name, &found.block))
    }

    /// The key of this suite that was given for this place, if there is one.
    pub(super) fn given(&self, pin_pad: &str, slot: Option<u8>, suite: Suite) -> Option<KeyBlock> {
        let mut of_suite = self.state.imported.iter().filter(|key| key.is_of(suite));
        let given = of_suite.find(|key| key.pin_pad == pin_pad && key.slot == slot);
        given.map(|key| key.block.clone())
    }

    /// Forgets the key of this suite that was given for this place, if there is one.
    pub(super) fn forget(&mut self, pin_pad: &str, what: &What, suite: Suite) -> Result<(), KldError> {
        if matches!(what, What::Dik2 { .. }) || self.given(pin_pad, what.slot(), suite).is_none() {
            return Ok(());
        }
        self.state
            .imported
            .retain(|key| key.pin_pad != pin_pad || key.slot != what.slot() || !key.is_of(suite));
        self.save()
    }

    /// What is kept here, for people: kind and name or place, and check value.
    pub fn keys(&self) -> Vec<(String, String)> {
        let exchange =
            self.state.exchange.iter().map(|kept| (format!("exchange key {}", kept.name), kept.kcv.clone()));
        let dik1 = self.state.dik1.iter().map(|kept| (format!("DIK1 {}", kept.name), kept.kcv.clone()));
        let given = self.state.imported.iter().map(|key| {
            let what = key.slot.map_or("DMK".to_owned(), |slot| format!("TMK {slot:02}"));
            (format!("{what} for {}", key.pin_pad), key.kcv.clone())
        });
        exchange.chain(dik1).chain(given).collect()
    }
}
