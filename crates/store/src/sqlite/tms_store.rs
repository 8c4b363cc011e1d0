//! [`TmsStore`] for SQLite.

use wire::Serial;

use super::{SqliteStore, acts, reads};
use crate::{
    Counts, Deployment, DeploymentState, Event, FileRecord, NewDeployment, NewPackage, Operator, Package,
    PackageOutcome, StoreError, TmsReport, TmsStore, TmsTerminal, Vendor,
};

impl TmsStore for SqliteStore {
    async fn estate_version(&self) -> Result<i64, StoreError> {
        self.readers().short(reads::estate::version)
    }

    async fn put_vendor(&self, vendor: Vendor, event: Event) -> Result<(), StoreError> {
        self.act(move |tx| acts::vendors::put(tx, &vendor, &event)).await
    }

    async fn vendor(&self, id: &str) -> Result<Option<Vendor>, StoreError> {
        self.readers().short(|db| reads::estate::vendor(db, id))
    }

    async fn vendors(&self) -> Result<Vec<Vendor>, StoreError> {
        self.readers().long(reads::estate::vendors).await
    }

    async fn put_package(&self, package: NewPackage, event: Event) -> Result<PackageOutcome, StoreError> {
        self.act(move |tx| acts::packages::put(tx, &package, &event)).await
    }

    async fn package(&self, id: i64) -> Result<Option<Package>, StoreError> {
        self.readers().short(|db| reads::packages::package(db, id))
    }

    async fn find_package(
        &self,
        vendor: &str,
        name: &str,
        version: &str,
    ) -> Result<Option<Package>, StoreError> {
        self.readers().short(|db| reads::packages::find(db, vendor, name, version))
    }

    async fn packages(&self, vendor: &str) -> Result<Vec<Package>, StoreError> {
        let vendor = vendor.to_owned();
        self.readers().long(move |db| reads::packages::packages(db, &vendor)).await
    }

    async fn withdraw_package(&self, id: i64, event: Event) -> Result<bool, StoreError> {
        self.act(move |tx| acts::packages::withdraw(tx, id, &event)).await
    }

    async fn set_group(
        &self,
        name: &str,
        add: Vec<Serial>,
        remove: Vec<Serial>,
        event: Event,
    ) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.act(move |tx| acts::vendors::set_group(tx, &name, &add, &remove, &event)).await
    }

    async fn groups(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.readers().long(reads::estate::groups).await
    }

    async fn put_deployment(&self, deployment: NewDeployment, event: Event) -> Result<i64, StoreError> {
        self.act(move |tx| acts::deployments::put(tx, &deployment, &event)).await
    }

    async fn deployment(&self, id: i64) -> Result<Option<Deployment>, StoreError> {
        self.readers().short(|db| reads::deployments::deployment(db, id))
    }

    async fn deployments(&self, vendor: Option<&str>) -> Result<Vec<Deployment>, StoreError> {
        let vendor = vendor.map(str::to_owned);
        self.readers().long(move |db| reads::deployments::deployments(db, vendor.as_deref())).await
    }

    async fn running_deployments(&self, vendor: &str) -> Result<Vec<Deployment>, StoreError> {
        self.readers().short(|db| reads::deployments::running(db, vendor))
    }

    async fn deployments_over(&self, now: i64) -> Result<Vec<Deployment>, StoreError> {
        self.readers().long(move |db| reads::deployments::over(db, now)).await
    }

    async fn set_deployment_state(
        &self,
        id: i64,
        from: &[DeploymentState],
        to: DeploymentState,
        event: Event,
    ) -> Result<bool, StoreError> {
        let from = from.to_vec();
        self.act(move |tx| acts::deployments::set_state(tx, id, &from, to, &event)).await
    }

    async fn set_stage(&self, id: i64, from: u32, to: u32, event: Event) -> Result<bool, StoreError> {
        self.act(move |tx| acts::deployments::set_stage(tx, id, from, to, &event)).await
    }

    async fn tms_terminal(&self, sn: &Serial) -> Result<Option<TmsTerminal>, StoreError> {
        self.readers().short(|db| reads::estate::terminal(db, sn))
    }

    async fn record_make(
        &self,
        sn: &Serial,
        vendor: &str,
        model: &str,
        event: Event,
    ) -> Result<bool, StoreError> {
        let (sn, vendor, model) = (sn.clone(), vendor.to_owned(), model.to_owned());
        self.act(move |tx| acts::offers::record_make(tx, &sn, &vendor, &model, &event)).await
    }

    async fn note_inventory(
        &self,
        sn: &Serial,
        installed: Vec<(String, String, u8)>,
        status: Option<String>,
        at: i64,
    ) -> Result<(), StoreError> {
        let sn = sn.clone();
        self.act(move |tx| acts::offers::note_inventory(tx, &sn, &installed, status.as_deref(), at)).await
    }

    async fn offer(&self, sn: &Serial, offers: Vec<(i64, i64)>, event: Event) -> Result<(), StoreError> {
        let sn = sn.clone();
        self.act(move |tx| acts::offers::offer(tx, &sn, &offers, &event)).await
    }

    async fn take_report(&self, report: TmsReport, event: Event) -> Result<Vec<(i64, Counts)>, StoreError> {
        self.act(move |tx| acts::offers::take_report(tx, &report, &event)).await
    }

    async fn put_operator(&self, id: &str, sealed: Vec<u8>, event: Event) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.act(move |tx| acts::operators::put(tx, &id, &sealed, &event)).await
    }

    async fn operator(&self, id: &str) -> Result<Option<Operator>, StoreError> {
        self.readers().short(|db| reads::estate::operator(db, id))
    }

    async fn operator_failed(&self, id: &str, event: Event) -> Result<u32, StoreError> {
        let id = id.to_owned();
        self.act(move |tx| acts::operators::failed(tx, &id, &event)).await
    }

    async fn operator_passed(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.act(move |tx| acts::operators::passed(tx, &id)).await
    }

    async fn unlock_operator(&self, id: &str, event: Event) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.act(move |tx| acts::operators::unlock(tx, &id, &event)).await
    }

    async fn put_file_chunk(
        &self,
        vendor: &str,
        path: &str,
        index: u32,
        data: Vec<u8>,
    ) -> Result<(), StoreError> {
        let (vendor, path) = (vendor.to_owned(), path.to_owned());
        self.act(move |tx| acts::files::put_chunk(tx, &vendor, &path, index, &data)).await
    }

    async fn finish_file(
        &self,
        vendor: &str,
        path: &str,
        size: u64,
        sha256: [u8; 32],
        event: Event,
    ) -> Result<(), StoreError> {
        let (vendor, path) = (vendor.to_owned(), path.to_owned());
        self.act(move |tx| acts::files::finish(tx, (vendor.as_str(), path.as_str()), size, &sha256, &event))
            .await
    }

    async fn file(&self, vendor: &str, path: &str) -> Result<Option<FileRecord>, StoreError> {
        self.readers().short(|db| reads::packages::file(db, vendor, path))
    }

    async fn file_chunk(&self, vendor: &str, path: &str, index: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.readers().short(|db| reads::packages::file_chunk(db, vendor, path, index))
    }
}
