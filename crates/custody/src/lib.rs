//! Signing keys that people hold: PIN-protected key files and the certificate authority.
