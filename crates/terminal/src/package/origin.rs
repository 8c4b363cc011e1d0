//! Whose a package is: the vendor's signature and the acquirer's approval.

use pki::{Certificate, CrlSet, KeyFamily, Policy, Role, TrustList, verify_signature};
use wire::{PackageSignature, PlanEntry};

use super::PackageRefusal;
use crate::device::DeviceState;

/// Checks the vendor's signature and, where this terminal demands it, the acquirer's approval, at this time.
pub(crate) fn check(entry: &PlanEntry, device: &DeviceState, at: i64) -> Result<(), PackageRefusal> {
    let signed = entry.manifest.signed_bytes();
    verify(&entry.signature, &signed, &device.vendor_trust(), &device.crls, at)
        .map_err(|why| PackageRefusal::Signature { why })?;
    if !device.settings.packages.approval_demanded {
        return Ok(());
    }
    let approval = entry.approval.as_ref().ok_or(PackageRefusal::NotApproved)?;
    verify(approval, &signed, &device.approval_trust(), &device.crls, at)
        .map_err(|why| PackageRefusal::Approval { why })
}

fn verify(
    by: &PackageSignature,
    signed: &[u8],
    trust: &TrustList,
    crls: &CrlSet,
    at: i64,
) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let leaf = Certificate::from_der(&by.certificate).map_err(|error| text(&error))?;
    let intermediates = match by.intermediates.as_slice() {
        [] => Vec::new(),
        some => Certificate::all_from_der(some).map_err(|error| text(&error))?,
    };
    // Vendors have chains of either kind.
    let family = KeyFamily::of(leaf.spki_der()).map_err(|defect| text(&defect))?;
    let policy = Policy { family, ..Policy::default() };
    policy
        .verify_chain(&leaf, &intermediates, trust, Role::PackageSigning, at, crls)
        .map_err(|refusal| text(&refusal))?;
    verify_signature(leaf.spki_der(), family.text_scheme(), signed, &by.signature)
        .map_err(|_| "it is not over this name, version, kind, size and hash".into())
}
