//! Who opens a CA, and how they are asked: one person's passphrase, or one from each of two people; of a root on a token,
//! its PIN, or each one's part of it.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use custody::ca::{Ca as Authority, Custodians, Record, Secret};
use zeroize::Zeroizing;

use crate::{secret::Source, time};

/// The CA's folder and what opens it.
#[derive(Args)]
pub(crate) struct Folder {
    /// The CA's folder.
    #[arg(long, default_value = "ca")]
    pub(super) ca: PathBuf,
    /// Read the CA's passphrase, or the PIN of its token, from this file (mode 0600). Where two people keep the CA, twice:
    /// each one's, in the order of their names. Without it, each is asked.
    #[arg(long = "ca-passphrase-file", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Folder {
    /// Opens the CA, having asked everyone who keeps it.
    pub(super) fn open(&self) -> Result<Authority> {
        let closed = Authority::closed(&self.ca)?;
        let given = Asking::of(closed.record()).read(&self.files)?;
        Ok(closed.open(given.secret())?)
    }

    /// The files that secrets come from, if any were named.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

/// Who is to keep a CA.
#[derive(Args)]
pub(super) struct People {
    /// Two people keep the CA: each types a secret of their own, and everything that it signs needs both.
    #[arg(long, requires = "custodians")]
    two_people: bool,
    /// Who keeps it, with --two-people: a name, given twice. The CA's log records them.
    #[arg(long = "custodian", value_name = "NAME", requires = "two_people")]
    custodians: Vec<String>,
}

impl People {
    /// The two, if two are to keep it.
    pub(super) fn custodians(&self) -> Result<Option<Custodians>> {
        match (self.two_people, self.custodians.as_slice()) {
            (true, [first, second]) => Ok(Some(Custodians::new(first, second)?)),
            (true, _) => bail!("--two-people needs two: give --custodian NAME twice"),
            (false, _) => Ok(None),
        }
    }
}

/// Hand the CA over: to other people, to two where one kept it, or put it under a new passphrase. Its root stays the same.
#[derive(Args)]
pub(crate) struct HandOver {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    people: People,
    /// Read the new passphrase, or the new PIN of the root's token, from this file (mode 0600); where two people are to keep
    /// the CA, twice: each one's.
    #[arg(long = "new-passphrase-file", value_name = "FILE")]
    new_files: Vec<PathBuf>,
}

impl HandOver {
    pub(super) fn run(self) -> Result<()> {
        let to = self.people.custodians()?;
        let mut closed = Authority::closed(&self.folder.ca)?;
        let on_token = closed.record().token().is_some();
        let broken_off = closed.record().handing_over().is_some();
        let old = Asking::of(closed.record()).read(self.folder.files())?;
        let asking = Asking { custodians: to.as_ref(), on_token };
        // Of one that was broken off, the new secrets are asked for before any PIN is tried: they may be the ones that stand.
        let begun = if broken_off { Some(asking.choose(&self.new_files)?) } else { None };
        let done = match &begun {
            Some(new) => closed.settle(old.secret(), to.as_ref(), new.secret(), time::now_seconds())?,
            None => false,
        };
        if !done {
            let mut ca = closed.open(old.secret())?;
            let new = begun.map_or_else(|| asking.choose(&self.new_files), Ok)?;
            ca.hand_over(old.secret(), to.as_ref(), new.secret(), time::now_seconds())?;
        }
        match to {
            Some(both) => say!("kept by {both} from now on: everything it signs needs both"),
            None => say!("under its new secret from now on"),
        }
        say!("destroy every copy of the CA's folder under the old secrets: a copy still opens under them");
        if on_token {
            say!("the PIN of the token's security officer is as it was: change it with the maker's program");
        }
        Ok(())
    }
}

/// Secrets as they were read, wiped when dropped.
pub(super) enum Given {
    One(Zeroizing<String>),
    Two([Zeroizing<String>; 2]),
}

impl Given {
    pub(super) fn secret(&self) -> Secret<'_> {
        match self {
            Self::One(one) => Secret::One(one),
            Self::Two([first, second]) => Secret::Two([first, second]),
        }
    }

    /// As one PIN: the parts of two people one after the other.
    pub(super) fn pin(&self) -> Zeroizing<String> {
        match self {
            Self::One(one) => one.clone(),
            Self::Two([first, second]) => Zeroizing::new([first.as_str(), second.as_str()].concat()),
        }
    }
}

/// Whom to ask for what.
pub(super) struct Asking<'a> {
    /// The two people, if two keep the CA.
    pub(super) custodians: Option<&'a Custodians>,
    /// Whether the root's key is on a token.
    pub(super) on_token: bool,
}

impl<'a> Asking<'a> {
    /// Who keeps a CA that exists.
    fn of(record: &'a Record) -> Self {
        Self { custodians: record.custodians(), on_token: record.token().is_some() }
    }

    /// Asks for what exists.
    pub(super) fn read(&self, files: &[PathBuf]) -> Result<Given> {
        self.ask(files, self.what(), Source::read)
    }

    /// Asks for what is being chosen.
    pub(super) fn choose(&self, files: &[PathBuf]) -> Result<Given> {
        self.ask(files, self.what(), Source::choose)
    }

    /// Asks for the new PIN of the token's security officer.
    pub(super) fn choose_officer(&self, files: &[PathBuf]) -> Result<Given> {
        self.ask(files, ["security officer's PIN", "security officer's PIN part"], Source::choose)
    }

    /// What one person has, and what one of two.
    fn what(&self) -> [&'static str; 2] {
        if self.on_token { ["PIN of the root's token", "PIN part"] } else { ["CA passphrase", "passphrase"] }
    }

    /// Asks each keeper in turn.
    fn ask(
        &self,
        files: &[PathBuf],
        [alone, of_two]: [&str; 2],
        how: impl Fn(&Source, &str) -> Result<Zeroizing<String>>,
    ) -> Result<Given> {
        let source = |at: usize| Source::file(files.get(at).map(PathBuf::as_path).map(Path::to_owned));
        match (self.custodians, files.len()) {
            (None, 0 | 1) => Ok(Given::One(how(&source(0), alone)?)),
            (None, _) => Err(custody::Error::OnePerson.into()),
            (Some(both), 0 | 2) => {
                let of = |at: usize, name: &str| {
                    if files.is_empty() {
                        complain!("{name} at the keyboard; everyone else looks away.");
                    }
                    how(&source(at), &format!("{of_two} of {name}"))
                };
                let [first, second] = both.names();
                let given = [of(0, first)?, of(1, second)?];
                // Before it becomes a part of anything: two people, not one.
                if given[0] == given[1] {
                    Err(custody::Error::SameSecret.into())
                } else {
                    Ok(Given::Two(given))
                }
            }
            (Some(both), _) => {
                let custodians = both.to_string();
                Err(anyhow::Error::from(custody::Error::TwoPeople { custodians })
                    .context("the file of a secret is named twice, once for each, or not at all"))
            }
        }
    }
}
