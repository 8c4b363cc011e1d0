//! The operator station: collects terminals' transport keys under two cards, packs and signs them, uploads them
//! (`docs/spec/1-systems.md` A, steps 3–6; `docs/spec/2-wire.md` sections 1–6).
//!
//! ```text
//! FileCard ─┐                                    targets
//! FileCard ─┴► BothCards ─► collect() ◄─ WorkCertificate
//!                  │            │
//!                  │            ├─► CollectionRun: collected, failed (each with a reason and advice), missing
//!                  │            ▼ each answer
//!                  │         Journal ◄──► upload() ─► a result and a fingerprint for each terminal
//!                  └► pack_collected() ▲
//! ```
//!
//! Nothing here ever holds a clear key: a terminal's TK arrives encrypted to the KMS's work certificate. The crate
//! blocks and uses threads; collecting needs no runtime.
//!
//! [`repair`] takes a terminal out of *deployed* or *tampered*, under a vendor's repair authorisation card.
//!
//! [`console`] is the same on a full screen, for who works at it all day.
//!
//! [`device`] brings a PIN pad's request for its device certificate to the CA, and the certificate back.
//!
//! [`kld`] is the house's other device that works under two cards at a terminal's cable: the key loading device, whose
//! keys are in an HSM process of its own.

pub mod agreement;
pub mod allowance;
pub mod approve;
mod batches;
mod both_cards;
mod card;
pub mod cards;
mod ceremony;
mod checks;
mod clock;
pub mod collect;
pub mod console;
pub mod device;
pub mod diagnosis;
mod error;
mod files;
mod http;
pub mod journal;
pub mod kld;
pub mod link;
pub mod orders;
mod package;
pub mod ports;
mod progress;
pub mod repair;
mod results;
mod revocation;
mod text;
mod upload;
pub mod windows;
mod work_certificate;

pub use batches::BatchAnswer;
pub use both_cards::BothCards;
pub use card::{AdministratorCard, Card, OperatorCard};
pub use cards::{CardSource, FileCard, TokenCard};
pub use ceremony::Ceremony;
pub use checks::Checks;
pub use collect::{
    CollectFault, CollectSettings, CollectedTerminal, CollectionRun, FailedTerminal, StationSuite, Target,
    collect,
};
pub use error::Error;
pub use http::{Server, ServerSettings};
pub use journal::{Journal, JournalError, PackageName, pack_collected};
pub use link::LinkLimits;
pub use package::{MAX_STATION_NAME, PackSettings, Package, Packed};
pub use progress::{Bar, Progress, Quiet};
pub use results::{FingerprintCheck, TerminalResult};
pub use revocation::{FreshLists, RevocationFile};
pub use upload::{Delivery, Upload, upload, upload_waiting};
pub use work_certificate::WorkCertificate;
