use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use hsm::{KeyBlock, commands::ZoneAlgorithm};
use hsm_soft::{
    Offline,
    components::{self, AES_COMPONENT_LEN, Ceremony, Target},
};
use serde::{Deserialize, Serialize};
use wire::{Kcv, Serial, Slot};
use zeroize::Zeroizing;

use super::hsm::Folder;
use crate::{files::write, secret::Source};

/// Keys from components.
#[derive(Subcommand)]
pub(crate) enum Component {
    /// Type one component; it leaves as a key block that opens in this HSM only.
    Enter(Enter),
    /// Combine all components of a key.
    Combine(Combine),
}

/// Which key the components make: the same for each of them, and for combining.
#[derive(Args)]
struct Which {
    /// The key's name, 1–32 of A-Z a-z 0-9 - . _
    #[arg(long)]
    name: String,
    /// The acquirer that it will belong to.
    #[arg(long)]
    acquirer: String,
    /// Which ceremony this is, so that components of two are never mixed; characters as for the name.
    #[arg(long)]
    session: String,
    /// How many components there are, 2 or 3.
    #[arg(long, default_value_t = 3)]
    parts: u8,
    /// What the key will be.
    #[arg(long = "for", value_enum, default_value_t = Kind::Exchange)]
    kind: Kind,
    /// The PIN pad of a TMK or DMK.
    #[arg(long)]
    pin_pad: Option<Serial>,
    /// The slot of a TMK, 0–99.
    #[arg(long)]
    slot: Option<u8>,
    /// The other side of a PK or MAK for batches: at the MTMS the acquirer's name, at the KMS the vendor's.
    #[arg(long)]
    partner: Option<String>,
}

/// What a key from components will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The key between a KLD and the KMS for keys of suite 01, TDES.
    Exchange,
    /// The key between a KLD and the KMS for keys of suite 02, AES-256.
    ExchangeAes,
    /// A terminal master key.
    Tmk,
    /// A device master key.
    Dmk,
    /// A zone master key, TDES: protects keys that travel between this system and another's.
    ZoneMaster,
    /// A zone master key, AES-256.
    ZoneMasterAes,
    /// PK between an MTMS and a KMS, TDES: protects the transport keys of suite 01 in batches.
    Protect,
    /// PK between an MTMS and a KMS, AES-256: protects the transport keys of suite 02 in batches.
    ProtectAes,
    /// MAK between an MTMS and a KMS, TDES: authenticates batches of suite 01 and their receipts.
    BatchMac,
    /// MAK between an MTMS and a KMS, AES-256: authenticates batches of suite 02 and their receipts.
    BatchMacAes,
}

/// Type one component.
#[derive(Args)]
pub(crate) struct Enter {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    which: Which,
    /// Which part this is, from 1.
    #[arg(long)]
    part: u8,
    /// Who types it.
    #[arg(long)]
    person: String,
    /// The check value on the sheet: 6 hex digits, 10 for an AES key.
    #[arg(long)]
    check_value: Kcv,
    /// Read the component, 48 hex digits (64 for an AES key), from this file (mode 0600) instead of asking for it.
    #[arg(long, value_name = "FILE")]
    component_file: Option<PathBuf>,
    /// Where its key block goes.
    #[arg(long)]
    out: PathBuf,
}

/// Combine all components of a key.
#[derive(Args)]
pub(crate) struct Combine {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    which: Which,
    /// A component's file; once for each part.
    #[arg(long = "component", value_name = "FILE", required = true)]
    components: Vec<PathBuf>,
    /// The key's check value, 6 hex digits (10 for an AES key), from whoever made the components.
    #[arg(long)]
    check_value: Kcv,
    /// Where the key goes: a JSON file with its key block, which opens in this HSM only.
    #[arg(long)]
    out: PathBuf,
}

/// What `combine` writes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CombinedKey {
    pub(crate) name: String,
    #[serde(rename = "for")]
    pub(crate) kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pin_pad: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slot: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) partner: Option<String>,
    pub(crate) kcv: String,
    pub(crate) block: String,
}

impl Component {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Enter(enter) => enter.run(),
            Self::Combine(combine) => combine.run(),
        }
    }
}

impl Enter {
    fn run(self) -> Result<()> {
        let ceremony = self.which.ceremony()?;
        let hsm = open(&self.folder)?;
        let typed = Source::file(self.component_file).read(&format!("component {}", self.part))?;
        let (part, person, clear) = (self.part, self.person, bytes(&typed)?);
        let block = match self.check_value {
            Kcv::Tdes(check_value) => components::enter(
                &hsm,
                &ceremony,
                &components::Component { part, person, clear, check_value },
            ),
            Kcv::Aes(check_value) => components::enter(
                &hsm,
                &ceremony,
                &components::Component { part, person, clear, check_value },
            ),
        }?;
        write(&self.out, block.as_str(), 0o600)?;
        say!("component {} of {}: {}", self.part, ceremony.of, self.out.display());
        Ok(())
    }
}

impl Combine {
    fn run(self) -> Result<()> {
        let ceremony = self.which.ceremony()?;
        let mut blocks = Vec::new();
        for path in &self.components {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            blocks.push(KeyBlock::from_text(text.trim().to_owned()));
        }
        let hsm = open(&self.folder)?;
        let (kcv, block) = (
            self.check_value.to_string(),
            match self.check_value {
                Kcv::Tdes(check_value) => components::combine(&hsm, &ceremony, &blocks, check_value)?.block,
                Kcv::Aes(check_value) => components::combine(&hsm, &ceremony, &blocks, check_value)?.block,
            },
        );
        let combined = CombinedKey {
            name: ceremony.name,
            kind: self.which.kind,
            pin_pad: self.which.pin_pad.map(|serial| serial.to_string()),
            slot: self.which.slot,
            partner: self.which.partner,
            kcv: kcv.clone(),
            block: block.into(),
        };
        write(&self.out, &serde_json::to_string_pretty(&combined)?, 0o600)?;
        say!("key {} with check value {kcv}: {}", combined.name, self.out.display());
        say!("the components' files are of no more use: delete them");
        Ok(())
    }
}

impl Which {
    fn ceremony(&self) -> Result<Ceremony> {
        let pin_pad = || self.pin_pad.as_ref().map(ToString::to_string);
        let target = match (self.kind, pin_pad(), self.slot, self.partner.clone()) {
            (Kind::Exchange, None, None, None) => Target::Exchange,
            (Kind::ExchangeAes, None, None, None) => Target::ExchangeAes,
            (Kind::Tmk, Some(pin_pad), Some(slot), None) => {
                Target::Tmk { pin_pad, slot: Slot::new(slot)?.index() }
            }
            (Kind::Dmk, Some(pin_pad), None, None) => Target::Dmk { pin_pad },
            (Kind::ZoneMaster, None, None, None) => Target::ZoneMaster { algorithm: ZoneAlgorithm::Tdes },
            (Kind::ZoneMasterAes, None, None, None) => Target::ZoneMaster { algorithm: ZoneAlgorithm::Aes },
            (Kind::Protect, None, None, Some(partner)) => {
                Target::BatchProtect { partner, algorithm: ZoneAlgorithm::Tdes }
            }
            (Kind::ProtectAes, None, None, Some(partner)) => {
                Target::BatchProtect { partner, algorithm: ZoneAlgorithm::Aes }
            }
            (Kind::BatchMac, None, None, Some(partner)) => {
                Target::BatchMac { partner, algorithm: ZoneAlgorithm::Tdes }
            }
            (Kind::BatchMacAes, None, None, Some(partner)) => {
                Target::BatchMac { partner, algorithm: ZoneAlgorithm::Aes }
            }
            _ => bail!(
                "a TMK needs --pin-pad and --slot, a DMK --pin-pad, a PK or MAK for batches --partner, other keys none \
                 of these"
            ),
        };
        Ok(Ceremony {
            name: self.name.clone(),
            owner: self.acquirer.clone(),
            session: self.session.clone(),
            of: self.parts,
            target,
        })
    }
}

/// Protects this process first: from here on it holds keys.
pub(super) fn open(folder: &Folder) -> Result<Offline> {
    let passphrase = folder.passphrase().read("HSM passphrase")?;
    for warning in hsm_soft::protect()? {
        complain!("keyferry hsm: warning: {warning}");
    }
    Ok(Offline::open(&folder.folder, &passphrase)?)
}

/// The bytes of typed hex digits; spaces between groups are allowed.
fn bytes(typed: &str) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(AES_COMPONENT_LEN));
    let mut high = None;
    for digit in typed.chars().filter(|c| !c.is_whitespace()) {
        let Some(digit) = digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()) else {
            bail!("a component is typed as hex digits: check the sheet");
        };
        match high.take() {
            None => high = Some(digit),
            // Longer than its capacity it would leave a copy behind.
            Some(_) if bytes.len() == AES_COMPONENT_LEN => bail!("more than 64 digits: check the sheet"),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    if high.is_some() {
        bail!("an odd number of digits: check the sheet");
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_component_is_typed_in_groups_of_digits() {
        assert_eq!(**bytes("01 23\t45 ab CD").unwrap(), [0x01, 0x23, 0x45, 0xAB, 0xCD]);
        assert_eq!(bytes(&"0123456789ABCDEF".repeat(3)).unwrap().len(), 24);
        for typed in ["0", "0G", "012", &"01".repeat(33)] {
            assert!(bytes(typed).is_err(), "{typed}");
        }
    }
}
