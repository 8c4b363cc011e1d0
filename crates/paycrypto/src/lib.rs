//! Clear payment keys and what is done with them: TDES, AES, MACs, check values, RSA, P-256.
//!
//! This crate is the one home of clear keys (ARCHITECTURE.md): only the software HSM, the software PIN
//! pad and the calculator may use it. Its types have no `Clone`, no `Debug` of bytes, no `==` and no
//! serialisation; they wipe themselves when dropped.
//!
//! * [`SingleDesKey`], [`TdesKey`], [`AesKey`]: plain keys. They report what is wrong with a key
//!   ([`hygiene`]) and refuse nothing; `refuse_poor` is the strict check that a PIN pad, an HSM command
//!   and an import call.
//! * [`keys`]: the named keys of `docs/spec/1-systems.md`, a type each; [`tk`]: the terminal key pair
//!   TEK and AUK, usable only once it was checked; [`rks`]: token and proof of a download from the RKS.
//! * [`blocks`]: which key travels in which key block (2-wire.md section 4), and the strict receiver.
//! * [`seal`], [`operator`]: sealed messages and operators' proofs of flow E.
//! * [`ec`]: suite 02, with named keys of its own.
//! * [`mac`], [`digest`], [`gcm`], [`rsa`], [`mod@derive`]: the primitives.
//! * [`random`]: the operating system's random numbers behind a continuous health test.
//!
//! # What does not compile
//!
//! A key has no copy and no `==`:
//! ```compile_fail,E0599
//! let key = paycrypto::TdesKey::generate24()?;
//! let copy = key.clone();
//! # Ok::<(), paycrypto::Error>(())
//! ```
//! ```compile_fail,E0369
//! let key = paycrypto::keys::Tmk::generate()?;
//! let same = key == paycrypto::keys::Tmk::generate()?;
//! # Ok::<(), paycrypto::Error>(())
//! ```
//! A TK that was not checked lends out no keys:
//! ```compile_fail,E0599
//! let tk = paycrypto::tk::UncheckedTk::from_slice(b"80 bytes from a stranger");
//! let tek = tk.tek();
//! ```
//! A key protects only what 2-wire.md section 4 lets it protect; here, a PIK under TEK:
//! ```compile_fail,E0277
//! use paycrypto::{blocks, keys::{Pik, Tek}};
//! let (tek, pik) = (Tek::generate()?, Pik::generate()?);
//! let block = blocks::wrap(&tek, &pik, "SN-1001/03", &[0; 16]);
//! # Ok::<(), paycrypto::Error>(())
//! ```
//! and outside of a flow only what travels there; here, a TMK under PK:
//! ```compile_fail,E0277
//! use paycrypto::{blocks, keys::{Pk, Tmk}};
//! let (pk, tmk) = (Pk::generate()?, Tmk::generate()?);
//! let block = blocks::wrap_outside(&pk, &tmk, "SN-1001/03");
//! # Ok::<(), paycrypto::Error>(())
//! ```

pub mod blocks;
pub mod derive;
pub mod digest;
pub mod ec;
pub mod gcm;
pub mod hygiene;
pub mod keys;
pub mod mac;
pub mod operator;
pub mod random;
pub mod rks;
pub mod rsa;
pub mod seal;
pub mod tk;

mod aes_key;
mod error;
mod tdes;

pub use aes_key::AesKey;
pub use error::Error;
pub use tdes::{BLOCK, DesKey, SingleDesKey, TdesKey, TdesLength};
