//! The part of [`Store`](crate::Store) for suites: records, allowances, ceremonies, device keys (3-hardened.md).

use std::future::Future;

use wire::{Serial, Suite};

use crate::{
    AllowOutcome, AllowSuite, CeremonyRecord, DeviceCertificateRecord, Event, NewCeremony, StoreError,
    SuiteRecords,
};

/// What the servers remember of suites. The rules of [`Store`](crate::Store) hold for acts here too.
///
/// Records go up inside the acts that take a key into use ([`Store::confirm`](crate::Store::confirm) and its kin,
/// collections, reports); nothing here raises one by itself.
pub trait SuiteStore: Send + Sync + 'static {
    /// What is on record of a terminal: two indexed reads at one moment that no writer holds up. An unknown terminal
    /// has no keys.
    fn suite_records(&self, sn: &Serial) -> impl Future<Output = Result<SuiteRecords, StoreError>> + Send;

    /// Terminals that hold a key of a suite below `below` in the order of their serials, from the one after `after`, at
    /// most `limit` and at most [`limits::PAGE`](crate::limits::PAGE): who is on an old suite, and until when.
    fn estate_suites(
        &self,
        below: Suite,
        after: Option<&Serial>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<SuiteRecords>, StoreError>> + Send;

    /// Gives a terminal leave to use a lower suite until a time, in place of leave given before; or ends it, when that
    /// time has passed.
    fn allow_suite(
        &self,
        allow: AllowSuite,
        event: Event,
    ) -> impl Future<Output = Result<AllowOutcome, StoreError>> + Send;

    /// Gives out a nonce, and says which is in force: the window's own, where it has one already (then nothing is
    /// written).
    fn put_ceremony(
        &self,
        ceremony: NewCeremony,
        event: Event,
    ) -> impl Future<Output = Result<CeremonyRecord, StoreError>> + Send;

    /// A nonce that was given out, good or expired.
    fn ceremony(
        &self,
        nonce: [u8; 32],
    ) -> impl Future<Output = Result<Option<CeremonyRecord>, StoreError>> + Send;

    /// The device certificate that came last with a terminal's PIN pad.
    fn device_certificate(
        &self,
        sn: &Serial,
    ) -> impl Future<Output = Result<Option<DeviceCertificateRecord>, StoreError>> + Send;
}
