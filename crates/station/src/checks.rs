//! What the station believes certificates by.

use std::sync::Arc;

use pki::{Certificate, CertificateRefusal, CrlPolicy, CrlSet, KeyFamily, Policy, Role, TrustList, Verified};

use crate::{Error, FreshLists};

/// Roots, revocation lists, and how strict the station is without a list.
///
/// 1-systems.md A, step 5: both cards must pass validation by the CA: chain, dates, revocation, role. So a missing
/// revocation list is refused unless the station is set up to do without.
#[derive(Debug, Clone)]
pub struct Checks {
    /// Root → the roles that it may issue.
    pub trust: TrustList,
    /// The revocation lists at hand; see [`RevocationFile`](crate::RevocationFile).
    pub crls: CrlSet,
    /// What a missing list means, and how long chains may be. Its family is set for each chain: that of the leaf's key.
    pub policy: Policy,
    /// Lists that stay young, in place of `crls`.
    fresh: Option<Arc<FreshLists>>,
}

impl Checks {
    /// Checks under which every issuer needs a revocation list.
    pub fn new(trust: TrustList, crls: CrlSet) -> Checks {
        let policy = Policy { missing_crl: CrlPolicy::Required, ..Policy::default() };
        Checks { trust, crls, policy, fresh: None }
    }

    /// The same with lists that are read and fetched again while the station works: a card that is revoked meanwhile is
    /// refused at the next check, and every card once the lists are too old.
    pub fn kept_fresh(trust: TrustList, lists: Arc<FreshLists>) -> Checks {
        Checks { fresh: Some(lists), ..Checks::new(trust, CrlSet::new()) }
    }

    /// The same for a station that has no revocation lists: a list that is at hand still counts.
    pub fn without_required_lists(trust: TrustList, crls: CrlSet) -> Checks {
        Checks { trust, crls, policy: Policy::default(), fresh: None }
    }

    /// Checks a chain, which is of one family from root to leaf: a card of either suite is as good as its root.
    pub(crate) fn verify(
        &self,
        leaf: &Certificate,
        chain: &[Certificate],
        role: Role,
        at: i64,
    ) -> Result<Verified, CertificateRefusal> {
        let family = KeyFamily::of(leaf.spki_der())
            .map_err(|defect| CertificateRefusal::WeakKey { subject: leaf.subject().to_string(), defect })?;
        let policy = Policy { family, ..self.policy };
        match &self.fresh {
            None => policy.verify_chain(leaf, chain, &self.trust, role, at, &self.crls),
            Some(fresh) => {
                // Lists that are too old are none: the policy refuses that.
                let lists = fresh.lists().unwrap_or_default();
                policy.verify_chain(leaf, chain, &self.trust, role, at, &lists)
            }
        }
    }

    /// Whether the lists are young enough to check anything by.
    ///
    /// # Errors
    /// As [`FreshLists::lists`].
    pub(crate) fn are_fresh(&self) -> Result<(), Error> {
        self.fresh.as_ref().map_or(Ok(()), |fresh| fresh.lists().map(|_| ()))
    }
}
