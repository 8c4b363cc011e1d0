//! The trust list: root → the roles that it may issue (2-wire.md section 5).

use crate::certificate::Certificate;
use crate::role::Role;

/// The roots that are believed, each for the roles that it may issue. A root is known by its bytes, not by its
/// name or key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustList {
    roots: Vec<(Certificate, Vec<Role>)>,
}

impl TrustList {
    /// A list that trusts nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts `root` for these roles, beside those it was trusted for before.
    pub fn add(&mut self, root: Certificate, roles: &[Role]) {
        let known = self.roots.iter_mut().find(|(known, _)| *known == root);
        match known {
            Some((_, allowed)) => {
                allowed.extend_from_slice(roles);
                allowed.sort_unstable();
                allowed.dedup();
            }
            None => self.roots.push((root, roles.to_vec())),
        }
    }

    /// The roots.
    pub fn roots(&self) -> impl Iterator<Item = &Certificate> {
        self.roots.iter().map(|(root, _)| root)
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// Whether this very certificate is a root here.
    #[must_use]
    pub fn contains(&self, certificate: &Certificate) -> bool {
        self.roots().any(|root| root == certificate)
    }

    /// Whether this root may issue certificates of this role.
    #[must_use]
    pub fn allows(&self, root: &Certificate, role: Role) -> bool {
        self.roots.iter().any(|(known, roles)| known == root && roles.contains(&role))
    }
}
