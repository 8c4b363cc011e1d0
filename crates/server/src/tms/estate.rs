//! What plans are made of, kept in memory for each vendor: a thousand terminals that ask at once read it once.
//!
//! It is read anew when the store's version of the estate has changed, which another process does too (`keyferry tms`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use store::{Deployment, Package, Store, StoreError, Vendor};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::repository::{self, Repository, RepositoryError};

/// Vendors kept in memory; beyond this they are read each time.
const MAX_KEPT: usize = 64;
/// How long a terminal waits for its place: less than it waits for a byte (2-wire.md section 1).
const WAIT: Duration = Duration::from_secs(20);

/// A vendor as it is now, with its packages, its running deployments and its files.
pub(crate) struct VendorEstate {
    pub(crate) vendor: Vendor,
    pub(crate) packages: Vec<Package>,
    pub(crate) deployments: Vec<Deployment>,
    /// The settings, or what is wrong with them: told to nobody but our own people.
    pub(crate) repository: Result<Arc<dyn Repository>, RepositoryError>,
    /// The estate's version that this was read at.
    pub(crate) version: i64,
    /// Answers with a piece of this vendor's files that may be made at once.
    places: Arc<Semaphore>,
}

/// The vendors that terminals have asked for.
pub(crate) struct Estate {
    answers_at_once: usize,
    kept: Mutex<HashMap<String, Arc<VendorEstate>>>,
    /// Held by the one who reads anew; the others then find what he read.
    reading: tokio::sync::Mutex<()>,
}

impl Estate {
    /// With so many answers that may be made at once for each vendor.
    pub(crate) fn new(answers_at_once: usize) -> Self {
        Self { answers_at_once, kept: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    /// A vendor, if it is known.
    pub(crate) async fn vendor<S: Store>(
        &self,
        store: &Arc<S>,
        id: &str,
    ) -> Result<Option<Arc<VendorEstate>>, StoreError> {
        // Read before everything else: what changes meanwhile is noticed next time.
        let version = store.estate_version().await?;
        if let Some(known) = self.known(id).filter(|known| known.version >= version) {
            return Ok(Some(known));
        }
        let _reading = self.reading.lock().await;
        let known = self.known(id);
        if let Some(known) = known.as_ref().filter(|known| known.version >= version) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(vendor) = store.vendor(id).await? else { return Ok(None) };
        let packages = store.packages(id).await?;
        let deployments = store.running_deployments(id).await?;
        let places = match &known {
            Some(known) => Arc::clone(&known.places),
            None => Arc::new(Semaphore::new(self.answers_at_once)),
        };
        // A repository keeps its cache and its count of requests under way as long as its settings stay.
        let same = known.filter(|known| known.vendor.repository == vendor.repository);
        let repository = match same {
            Some(known) => known.repository.clone(),
            None => repository::open(&vendor.repository, id, Arc::clone(store)).map_err(|error| {
                tracing::error!(vendor = id, %error, "a vendor's repository cannot be used");
                RepositoryError::Unavailable { why: error.to_string() }
            }),
        };
        let read = Arc::new(VendorEstate { vendor, packages, deployments, repository, version, places });
        let mut kept = self.lock();
        if kept.len() < MAX_KEPT || kept.contains_key(id) {
            kept.insert(id.to_owned(), Arc::clone(&read));
        }
        Ok(Some(read))
    }

    fn known(&self, id: &str) -> Option<Arc<VendorEstate>> {
        self.lock().get(id).map(Arc::clone)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<VendorEstate>>> {
        // Nothing in the critical sections can leave the map half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VendorEstate {
    /// Whether this vendor has such a model.
    pub(crate) fn has_model(&self, model: &str) -> bool {
        self.vendor.models.is_empty() || self.vendor.models.iter().any(|known| known == model)
    }

    /// A place for an answer with a piece of a file, taken before the piece is read: a thousand terminals that ask at
    /// once wait without their pieces in memory, and those of a slow repository in nobody else's way.
    pub(crate) async fn place(&self) -> Result<OwnedSemaphorePermit, RepositoryError> {
        let place = timeout(WAIT, Arc::clone(&self.places).acquire_owned()).await;
        place.map_err(|_| RepositoryError::Busy)?.map_err(RepositoryError::unavailable)
    }

    /// A package by name and version, whatever its state.
    pub(crate) fn find(&self, name: &str, version: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name && package.version == version)
    }

    /// A package by its id.
    pub(crate) fn package(&self, id: i64) -> Option<&Package> {
        self.packages.iter().find(|package| package.id == id)
    }

    /// A running deployment.
    pub(crate) fn deployment(&self, id: i64) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.id == id)
    }
}
