//! Which area is current, and its first start: one small file, replaced as a whole.

use serde::{Deserialize, Serialize};
use wire::{PackageId, PackageKind, PackageName, PackageVersion};

use super::storage::{FileName, PackageStorage, Room, read_whole};
use super::{AreaError, Areas, StartHook, installed};

/// Version of the stored form.
const VERSION: u32 = 1;
/// The file's name.
const FILE: &str = "selection.json";
/// What a person calls it.
const WHAT: &str = "selection of the current area";
/// Longest file, bytes: some packages named twice, and a reason.
const MAX_FILE: usize = 1 << 20;
/// Longest reason of a failed start that is kept, characters.
const MAX_WHY: usize = 200;

/// How a start went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Started {
    /// The area that ran before.
    AsBefore,
    /// The first start of a new area went well; it is the current one for good.
    New {
        /// What is new in it.
        packages: Vec<PackageId>,
    },
    /// The new area does not start: the one before runs.
    Returned(
        /// What was new and why it failed, which the TMS is told at the next contact.
        FailedStart,
    ),
}

/// A first start that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStart {
    /// What was new in the area.
    pub packages: Vec<PackageId>,
    /// The start hook's reason, or that the power failed.
    pub why: String,
}

/// Which area is current.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    second: bool,
    /// Its first start, until that went well. The other area is the one before.
    trial: Option<Trial>,
    /// A failed start that the TMS was not told of.
    failed: Option<FailedStart>,
    /// Whether anything else changed that it was not told of.
    untold: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Trial {
    /// Whether the start has begun: found set after a power cut, it has failed.
    begun: bool,
    packages: Vec<PackageId>,
}

impl Selection {
    /// The current area.
    pub(super) fn room(&self) -> Room {
        if self.second { Room::B } else { Room::A }
    }

    /// The other one.
    pub(super) fn other(&self) -> Room {
        if self.second { Room::A } else { Room::B }
    }

    /// Whether the other area may be written to.
    pub(super) fn is_settled(&self) -> bool {
        self.trial.is_none()
    }

    /// The other area as the current one, not started yet. Of a failed start before nothing is lost.
    pub(super) fn switched(&self, packages: Vec<PackageId>) -> Selection {
        let trial = Some(Trial { begun: false, packages });
        Selection { second: !self.second, trial, failed: self.failed.clone(), untold: true }
    }

    /// Reads it; none in storage that was never used.
    pub(super) fn load(storage: &dyn PackageStorage) -> Result<Option<Selection>, AreaError> {
        let name = FileName::fixed(FILE);
        let Some(bytes) = read_whole(storage, Room::Selection, &name, MAX_FILE)? else {
            return match storage.length(Room::Selection, &name)? {
                None => Ok(None),
                Some(_) => Err(AreaError::Damaged { what: WHAT }),
            };
        };
        let stored = serde_json::from_slice(&bytes).ok().and_then(Stored::selection);
        stored.map(Some).ok_or(AreaError::Damaged { what: WHAT })
    }

    /// Puts it in place of the one before; it is safe when this returns.
    pub(super) fn store(&self, storage: &mut dyn PackageStorage) -> Result<(), AreaError> {
        let bytes = serde_json::to_vec(&Stored::of(self)).map_err(|_| AreaError::Damaged { what: WHAT })?;
        storage.replace(Room::Selection, &FileName::fixed(FILE), &bytes)
    }
}

impl Areas {
    /// Starts the current area, as after power-on and after every update. A new area whose start fails, or whose start
    /// a power cut ended, is left for the one before, which is started then.
    ///
    /// # Errors
    /// [`AreaError::Start`] when an area that ran before does not start; [`AreaError`] when the disk fails, and then
    /// the next start tries again.
    pub fn start(&mut self, hook: &mut StartHook<'_>) -> Result<Started, AreaError> {
        let Some(trial) = self.selection.trial.clone() else {
            hook(&self.running()).map_err(|why| AreaError::Start { why })?;
            return Ok(Started::AsBefore);
        };
        if trial.begun {
            return self.go_back(trial.packages, "the power failed during its first start", hook);
        }
        let begun = Trial { begun: true, packages: trial.packages.clone() };
        self.select(Selection { trial: Some(begun), ..self.selection.clone() })?;
        match hook(&self.running()) {
            Ok(()) => {
                self.select(Selection { trial: None, ..self.selection.clone() })?;
                Ok(Started::New { packages: trial.packages })
            }
            Err(why) => self.go_back(trial.packages, &why, hook),
        }
    }

    /// Whether the current area waits for its first start.
    #[must_use]
    pub fn is_new(&self) -> bool {
        !self.selection.is_settled()
    }

    /// A failed start that the TMS was not told of yet.
    #[must_use]
    pub fn failed_start(&self) -> Option<&FailedStart> {
        self.selection.failed.as_ref()
    }

    /// Whether the TMS was not told of the last change.
    pub(crate) fn is_untold(&self) -> bool {
        self.selection.untold
    }

    /// The TMS knows what is installed, and of a failed start.
    pub(crate) fn told(&mut self) -> Result<(), AreaError> {
        if !self.selection.untold {
            return Ok(());
        }
        self.select(Selection { failed: None, untold: false, ..self.selection.clone() })
    }

    /// Makes a selection the one that holds, on the disk first.
    pub(super) fn select(&mut self, selection: Selection) -> Result<(), AreaError> {
        selection.store(self.storage.as_mut())?;
        self.selection = selection;
        Ok(())
    }

    fn go_back(
        &mut self,
        packages: Vec<PackageId>,
        why: &str,
        hook: &mut StartHook<'_>,
    ) -> Result<Started, AreaError> {
        let failed = FailedStart { packages, why: why.chars().take(MAX_WHY).collect() };
        let before = installed::load_or_empty(self.storage.as_ref(), self.selection.other())?;
        let second = !self.selection.second;
        self.select(Selection { second, trial: None, failed: Some(failed.clone()), untold: true })?;
        self.hold(before)?;
        hook(&self.running()).map_err(|why| AreaError::Start { why })?;
        Ok(Started::Returned(failed))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    second: bool,
    trial: Option<StoredTrial>,
    failed: Option<StoredFailure>,
    untold: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredTrial {
    begun: bool,
    packages: Vec<StoredId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFailure {
    packages: Vec<StoredId>,
    why: String,
}

/// Name, version, kind.
#[derive(Serialize, Deserialize)]
struct StoredId(String, String, u8);

impl Stored {
    fn of(selection: &Selection) -> Stored {
        let ids = |packages: &[PackageId]| packages.iter().map(StoredId::of).collect();
        Stored {
            version: VERSION,
            second: selection.second,
            trial: (selection.trial.as_ref())
                .map(|trial| StoredTrial { begun: trial.begun, packages: ids(&trial.packages) }),
            failed: (selection.failed.as_ref())
                .map(|failed| StoredFailure { packages: ids(&failed.packages), why: failed.why.clone() }),
            untold: selection.untold,
        }
    }

    fn selection(self) -> Option<Selection> {
        let ids = |packages: Vec<StoredId>| packages.into_iter().map(StoredId::id).collect::<Option<_>>();
        let trial = match self.trial {
            Some(trial) => Some(Trial { begun: trial.begun, packages: ids(trial.packages)? }),
            None => None,
        };
        let failed = match self.failed {
            Some(failed) => Some(FailedStart { packages: ids(failed.packages)?, why: failed.why }),
            None => None,
        };
        let selection = Selection { second: self.second, trial, failed, untold: self.untold };
        (self.version == VERSION).then_some(selection)
    }
}

impl StoredId {
    fn of(id: &PackageId) -> StoredId {
        StoredId(id.name.as_str().to_owned(), id.version.to_string(), id.kind.byte())
    }

    fn id(self) -> Option<PackageId> {
        Some(PackageId {
            name: PackageName::parse(&self.0).ok()?,
            version: PackageVersion::parse(&self.1).ok()?,
            kind: PackageKind::from_byte(self.2).ok()?,
        })
    }
}
