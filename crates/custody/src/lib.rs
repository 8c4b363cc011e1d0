//! Signing keys that people hold: PIN-protected key files, tokens, and the certificate authority.
//!
//! * [`keyfile`]: a signing key, RSA or P-256, as encrypted PKCS #8 under a PIN or passphrase.
//! * [`card`]: an operator's or administrator's card as one file: such a key with its certificates.
//! * [`token`]: such a key on a smart card or another token, by PKCS #11.
//! * [`ca`]: a small certificate authority in a folder, with a log of everything it ever signed.
//!
//! What a file cannot do: **count wrong PINs**. Whoever copies a key file may try PINs on the copy for as long
//! as they like; only the cost of each try (scrypt, some tenths of a second) and the length of the PIN stand in
//! the way. A smart card ([`token`]) locks itself; a file cannot, and nothing here pretends that it does. Use long PINs and
//! keep the files on media that are locked away.

pub mod ca;
pub mod card;
pub mod keyfile;
pub mod token;

mod error;
mod files;
mod signer;

pub use error::Error;
