//! The part of [`Store`](crate::Store) for terminal management: vendors, packages, deployments, operators, files.

use std::future::Future;

use wire::Serial;

use crate::{
    Counts, Deployment, DeploymentState, Event, FileRecord, NewDeployment, NewPackage, Operator, Package,
    PackageOutcome, StoreError, TmsReport, TmsTerminal, Vendor,
};

/// What terminal management remembers. The rules of [`Store`](crate::Store) hold for acts here too. What takes no
/// event is state that neither a person nor a key decides; its answer too means that it is on the disk.
pub trait TmsStore: Send + Sync + 'static {
    // --- the estate

    /// A number that every act on vendors, packages, groups and deployments raises, also one of another process; a
    /// report or an offer does not. Whoever keeps what [`TmsStore::running_deployments`] gave reads it anew when this
    /// has changed.
    fn estate_version(&self) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Enters a vendor, or changes one.
    fn put_vendor(&self, vendor: Vendor, event: Event)
    -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A vendor by its id.
    fn vendor(&self, id: &str) -> impl Future<Output = Result<Option<Vendor>, StoreError>> + Send;

    /// All vendors, by id.
    fn vendors(&self) -> impl Future<Output = Result<Vec<Vendor>, StoreError>> + Send;

    /// Publishes a package. Two packages of a vendor with one name and version have one kind, size, hash, models and
    /// requirements.
    fn put_package(
        &self,
        package: NewPackage,
        event: Event,
    ) -> impl Future<Output = Result<PackageOutcome, StoreError>> + Send;

    /// A package by its id.
    fn package(&self, id: i64) -> impl Future<Output = Result<Option<Package>, StoreError>> + Send;

    /// A vendor's package by name and version.
    fn find_package(
        &self,
        vendor: &str,
        name: &str,
        version: &str,
    ) -> impl Future<Output = Result<Option<Package>, StoreError>> + Send;

    /// All packages of a vendor, withdrawn ones too, in the order in which they were published.
    fn packages(&self, vendor: &str) -> impl Future<Output = Result<Vec<Package>, StoreError>> + Send;

    /// Withdraws a package for good, and says whether this did it.
    fn withdraw_package(
        &self,
        id: i64,
        event: Event,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Puts terminals into a group and takes others out; a group is there as long as a terminal is in it. All or
    /// nothing: [`StoreError::NoSuchTerminal`] names the first that is not known.
    fn set_group(
        &self,
        name: &str,
        add: Vec<Serial>,
        remove: Vec<Serial>,
        event: Event,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All groups by name, with how many terminals are in each.
    fn groups(&self) -> impl Future<Output = Result<Vec<(String, u64)>, StoreError>> + Send;

    // --- deployments

    /// Starts a deployment of a package that is not withdrawn, and gives its id.
    fn put_deployment(
        &self,
        deployment: NewDeployment,
        event: Event,
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// A deployment by its id.
    fn deployment(&self, id: i64) -> impl Future<Output = Result<Option<Deployment>, StoreError>> + Send;

    /// Deployments of one vendor or of all, newest first, at most [`limits::PAGE`](crate::limits::PAGE).
    fn deployments(
        &self,
        vendor: Option<&str>,
    ) -> impl Future<Output = Result<Vec<Deployment>, StoreError>> + Send;

    /// A vendor's deployments that run, oldest first: a single indexed read.
    fn running_deployments(
        &self,
        vendor: &str,
    ) -> impl Future<Output = Result<Vec<Deployment>, StoreError>> + Send;

    /// Deployments, running or paused, whose time is over at `now` (Unix milliseconds), those that ended first in front,
    /// at most [`limits::PAGE`](crate::limits::PAGE): a single indexed read.
    fn deployments_over(&self, now: i64) -> impl Future<Output = Result<Vec<Deployment>, StoreError>> + Send;

    /// Changes a deployment's state if it is one of `from`, and says whether this did it.
    fn set_deployment_state(
        &self,
        id: i64,
        from: &[DeploymentState],
        to: DeploymentState,
        event: Event,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Takes a running deployment from one stage to another if it is at that one, and says whether this did it.
    fn set_stage(
        &self,
        id: i64,
        from: u32,
        to: u32,
        event: Event,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    // --- terminals

    /// What is known of a terminal, read at one moment; `None` if it is not in the estate.
    fn tms_terminal(
        &self,
        sn: &Serial,
    ) -> impl Future<Output = Result<Option<TmsTerminal>, StoreError>> + Send;

    /// Records vendor and model of a terminal that proved itself and of which neither is known, and says whether this did
    /// it: from then on it keeps to them. With nothing new nothing is written.
    fn record_make(
        &self,
        sn: &Serial,
        vendor: &str,
        model: &str,
        event: Event,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Keeps what a terminal told to be installed (TMS_INVENTORY): name, version and kind.
    fn note_inventory(
        &self,
        sn: &Serial,
        installed: Vec<(String, String, u8)>,
        status: Option<String>,
        at: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps which deployments' packages a plan offers to a terminal: pairs of deployment and package. What it was
    /// offered before stays as it is and counts once; with nothing new nothing is written, the event neither.
    fn offer(
        &self,
        sn: &Serial,
        offers: Vec<(i64, i64)>,
        event: Event,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps what a terminal reported, and gives the counts of the deployments that it spoke of.
    fn take_report(
        &self,
        report: TmsReport,
        event: Event,
    ) -> impl Future<Output = Result<Vec<(i64, Counts)>, StoreError>> + Send;

    // --- operators

    /// Enters an operator, or gives one a new password; he is not locked then.
    fn put_operator(
        &self,
        id: &str,
        sealed: Vec<u8>,
        event: Event,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// An operator by his id.
    fn operator(&self, id: &str) -> impl Future<Output = Result<Option<Operator>, StoreError>> + Send;

    /// Counts a wrong proof, locks at the [fifth](crate::limits::OPERATOR_FAILURES), and gives how many in a row there
    /// were. 0 for one who is not known: nothing was written.
    fn operator_failed(&self, id: &str, event: Event)
    -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// A right proof: wrong ones are forgotten. `false` if the operator is not known or was locked meanwhile, by wrong
    /// proofs of other sessions: the proof does not count then.
    fn operator_passed(&self, id: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Lets a locked operator in again, and says whether this did it.
    fn unlock_operator(
        &self,
        id: &str,
        event: Event,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    // --- files of the database repository

    /// Keeps one chunk of a file that is not finished: [`limits::FILE_CHUNK`](crate::limits::FILE_CHUNK) bytes, the
    /// last one fewer. A chunk that is there already is written over.
    fn put_file_chunk(
        &self,
        vendor: &str,
        path: &str,
        index: u32,
        data: Vec<u8>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes a file of the chunks put before; from now on it never changes. [`StoreError::Unfinished`] if they are not
    /// `size` bytes. Chunks beyond are erased. That they have this SHA-256 is the caller's word.
    fn finish_file(
        &self,
        vendor: &str,
        path: &str,
        size: u64,
        sha256: [u8; 32],
        event: Event,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A finished file.
    fn file(
        &self,
        vendor: &str,
        path: &str,
    ) -> impl Future<Output = Result<Option<FileRecord>, StoreError>> + Send;

    /// One chunk of a finished file.
    fn file_chunk(
        &self,
        vendor: &str,
        path: &str,
        index: u32,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send;
}
