//! One terminal of the file: is it known, do its keys open, are their check values those that the file tells?

use hsm::{
    Hsm, HsmError, KeyBlock, Refusal,
    commands::{Held, ImportUnderZone},
};
use store::{HeldDmk, ImportedTerminal, Store, TerminalRecord};
use wire::Kcv;

use super::{
    ImportError,
    file::{Entry, GivenKey},
    report::Why,
};

/// What is to be done with a terminal.
#[derive(Debug)]
pub(super) enum Checked {
    /// It moves in.
    New {
        /// With its keys as the store takes them.
        terminal: Box<ImportedTerminal>,
        /// How many of its check values were compared, and how many not.
        compared: (u64, u64),
    },
    /// It is there already, as the file says.
    Known,
    /// It does not move in.
    Refused(Why),
}

/// Where keys come from and whose they become.
pub(super) struct Keys<'a, H> {
    pub(super) hsm: &'a H,
    /// The zone master key.
    pub(super) under: &'a KeyBlock,
    pub(super) owner: &'a str,
}

/// Why a check ends: the terminal is refused, or the whole import cannot go on.
enum End {
    Refused(Why),
    Stopped(ImportError),
}

/// Looks at a terminal. Nothing is changed.
pub(super) async fn check<S: Store, H: Hsm>(
    keys: &Keys<'_, H>,
    store: &S,
    entry: Entry,
) -> Result<Checked, ImportError> {
    let result = match store.terminal(entry.device.sn()).await? {
        Some(known) => keys.compare(store, &entry, &known).await.map(|()| Checked::Known),
        None => keys.open_all(entry).await,
    };
    match result {
        Ok(checked) => Ok(checked),
        Err(End::Refused(why)) => Ok(Checked::Refused(why)),
        Err(End::Stopped(error)) => Err(error),
    }
}

impl<H: Hsm> Keys<'_, H> {
    async fn open_all(&self, entry: Entry) -> Result<Checked, End> {
        let pin_pad = entry.device.pin_pad().to_string();
        let mut compared = (0, 0);
        let mut count = |given: &GivenKey| match given.kcv {
            Some(_) => compared.0 += 1,
            None => compared.1 += 1,
        };
        let mut tmks = Vec::with_capacity(entry.tmks.len());
        for (slot, given) in &entry.tmks {
            count(given);
            let (block, kcv) = self.open(given, Held::Tmk { slot: slot.index() }, &pin_pad).await?;
            tmks.push((*slot, block, kcv));
        }
        let mut dmk = None;
        if let Some(given) = &entry.dmk {
            count(given);
            let (block, kcv) = self.open(given, Held::Dmk, &pin_pad).await?;
            dmk = Some(HeldDmk { block, kcv });
        }
        let Entry { device, vendor, model, terminal_id, merchant_id, .. } = entry;
        let terminal = ImportedTerminal { device, vendor, model, tmks, dmk, terminal_id, merchant_id };
        Ok(Checked::New { terminal: Box::new(terminal), compared })
    }

    /// A key as the store takes it, and its check value, which is the given one.
    async fn open(&self, given: &GivenKey, what: Held, pin_pad: &str) -> Result<(String, Kcv), End> {
        let command = ImportUnderZone {
            under: self.under.clone(),
            block: given.block.clone(),
            what,
            pin_pad: pin_pad.to_owned(),
            owner: self.owner.to_owned(),
        };
        let held = match self.hsm.call(command).await {
            Ok(held) => held,
            Err(HsmError::Refused(Refusal::Import { defect })) => {
                return Err(End::Refused(Why::Key { key: named(what), defect }));
            }
            // Anything else is not this key's fault: the zone master key is not one, or the HSM is not there.
            Err(error) => return Err(End::Stopped(error.into())),
        };
        let found = Kcv::Tdes(held.kcv);
        match given.kcv {
            Some(given) if given != found => {
                let (given, found) = (given.to_string(), found.to_string());
                Err(End::Refused(Why::CheckValue { key: named(what), given, found }))
            }
            _ => Ok((held.block.into(), found)),
        }
    }

    /// That a known terminal is the file's: pair, owner, and each key by its check value. A key that was renewed since is
    /// still known among those before it.
    async fn compare<S: Store>(&self, store: &S, entry: &Entry, known: &TerminalRecord) -> Result<(), End> {
        if known.acquirer != self.owner {
            return Err(End::Refused(Why::KnownToAnother));
        }
        let pin_pad = entry.device.pin_pad();
        if known.key_serial() != pin_pad {
            let pin_pad = known.key_serial().to_string();
            return Err(End::Refused(Why::KnownWithOtherPinPad { pin_pad }));
        }
        let mut differ = Vec::new();
        for (slot, given) in &entry.tmks {
            let what = Held::Tmk { slot: slot.index() };
            let kcv = self.check_value(given, what, pin_pad.as_str()).await?;
            let held = store.slot(&known.sn, *slot).await.map_err(stopped)?;
            let mut held = held.active.iter().chain(&held.pending).chain(&held.retired);
            if !held.any(|key| key.kcv == kcv) {
                differ.push(named(what));
            }
        }
        if let Some(given) = &entry.dmk {
            let kcv = self.check_value(given, Held::Dmk, pin_pad.as_str()).await?;
            let held = store.device(&known.sn).await.map_err(stopped)?.and_then(|device| device.dmk);
            if held.is_none_or(|dmk| dmk.kcv != kcv) {
                differ.push(named(Held::Dmk));
            }
        }
        if differ.is_empty() {
            return Ok(());
        }
        Err(End::Refused(Why::KnownWithOtherKeys { keys: differ.join(", ") }))
    }

    /// The given check value, or the key's own where none is given.
    async fn check_value(&self, given: &GivenKey, what: Held, pin_pad: &str) -> Result<Kcv, End> {
        match given.kcv {
            Some(kcv) => Ok(kcv),
            None => self.open(given, what, pin_pad).await.map(|(_, kcv)| kcv),
        }
    }
}

fn stopped(error: store::StoreError) -> End {
    End::Stopped(error.into())
}

/// A key's name in a report.
fn named(what: Held) -> String {
    match what {
        Held::Tmk { slot } => format!("TMK of slot {slot:02}"),
        Held::Dmk => "DMK".to_owned(),
        Held::Factor => "factor".to_owned(),
    }
}
