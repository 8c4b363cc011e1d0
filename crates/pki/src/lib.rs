//! Certificates by role: issuing requests, chain and revocation checks, CMS; public keys only.
