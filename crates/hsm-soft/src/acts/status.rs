use hsm::{commands::StatusReport, protocol};

use crate::SoftHsm;

pub(crate) fn status(hsm: &SoftHsm) -> StatusReport {
    let out_of_service = hsm.watch.failure().map(|test| format!("out of service: self-test failed: {test}"));
    StatusReport {
        protocol: protocol::VERSION,
        backend: concat!("keyferry software HSM ", env!("CARGO_PKG_VERSION")).into(),
        lmk_generation: u32::try_from(hsm.lmk.generation()).unwrap_or(u32::MAX),
        lmk_check: hsm.lmk.check().into(),
        warnings: hsm.warnings.iter().cloned().chain(out_of_service).collect(),
    }
}
