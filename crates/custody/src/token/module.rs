//! Modules: one context for each in this process, entered by one thread at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Pkcs11Error, RvError};

use crate::error::Error;

use super::fault;

/// Every module that was ever used, by the file that it is.
static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

/// A loaded and initialised PKCS #11 module. It stays loaded until the process ends.
pub(super) struct Module {
    context: Pkcs11,
    path: PathBuf,
    /// Held during each act: login, search and signature belong together, and not every module is as thread-safe as it
    /// says.
    gate: Mutex<()>,
    /// How many sessions outlive an act.
    open: AtomicUsize,
}

impl Module {
    /// The module in this file, loaded now if it was not before.
    pub(super) fn at(path: &Path) -> Result<Arc<Self>, Error> {
        let refused = |why: String| Error::TokenModule { module: path.to_owned(), why };
        // Two names of one file are one module.
        let file = path.canonicalize().map_err(|error| refused(error.to_string()))?;
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(&file) {
            return Ok(Arc::clone(module));
        }
        let context = Pkcs11::new(&file).map_err(|error| refused(fault::why(&error)))?;
        initialise(&context).map_err(|error| refused(fault::why(&error)))?;
        let module =
            Arc::new(Self { context, path: file.clone(), gate: Mutex::new(()), open: AtomicUsize::new(0) });
        modules.insert(file, Arc::clone(&module));
        Ok(module)
    }

    /// Waits until no other thread is inside.
    pub(super) fn enter(&self) -> Entered<'_> {
        Entered { module: self, _gate: self.gate.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// A session begins that outlives its act, until the result is dropped.
    pub(super) fn keep_open(self: &Arc<Self>) -> KeptOpen {
        self.open.fetch_add(1, Ordering::SeqCst);
        KeptOpen(Arc::clone(self))
    }
}

/// A count in [`Module`].
pub(super) struct KeptOpen(Arc<Module>);

impl Drop for KeptOpen {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The right to use a module now.
pub(super) struct Entered<'a> {
    module: &'a Module,
    _gate: MutexGuard<'a, ()>,
}

impl Entered<'_> {
    pub(super) fn context(&self) -> &Pkcs11 {
        &self.module.context
    }

    pub(super) fn path(&self) -> &Path {
        &self.module.path
    }

    /// Ends the module and starts it again, so that it looks for tokens anew; not while a token is open, which would
    /// close it. Gives whether it did.
    pub(super) fn start_again(&self) -> Result<bool, Error> {
        if self.module.open.load(Ordering::SeqCst) > 0 {
            return Ok(false);
        }
        let refused = |error: Pkcs11Error| Error::TokenModule {
            module: self.module.path.clone(),
            why: fault::why(&error),
        };
        match self.module.context.clone().finalize() {
            Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::CryptokiNotInitialized, _)) => {}
            Err(error) => return Err(refused(error)),
        }
        initialise(&self.module.context).map_err(refused)?;
        Ok(true)
    }
}

fn initialise(context: &Pkcs11) -> Result<(), Pkcs11Error> {
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Another library in this process did.
        Err(Pkcs11Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        other => other,
    }
}
