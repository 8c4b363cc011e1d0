//! A signing key at rest, RSA or P-256: encrypted PKCS #8 in PEM (RFC 5958, RFC 7468 section 11) under a PIN or
//! passphrase, by PBES2 (RFC 8018 section 6.2) with scrypt (RFC 7914) and AES-256-CBC. `openssl pkey` opens it.

use std::path::Path;

use pkcs8::der::pem::{LineEnding, decode_vec, encode_string};
use pkcs8::der::{Decode as _, Encode as _};
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::pkcs5::{EncryptionScheme, scrypt};
use pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::files::{self, Mode};

pub use crate::signer::{DEFAULT_RSA_BITS, KeyKind, SoftSigner};

/// Fewest characters of a PIN for a new key. A file cannot count tries: six is little, more is better.
pub const MIN_PIN_CHARS: usize = 6;
/// Longest key file read, in bytes.
pub const MAX_KEY_FILE_LEN: u64 = 64 * 1024;

pub(crate) const LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// scrypt's cost: 16 MiB and five rounds for each try. OpenSSL opens PKCS #8 within 32 MiB only; of the
/// settings that OWASP's password storage guide counts as equal (N = 2^17 with p = 1 down to N = 2^13 with
/// p = 10) this is the one with the most memory below that.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 5;
/// What a file from elsewhere may ask of us: memory in bytes, rounds, PBKDF2 iterations.
const MAX_SCRYPT_MEMORY: u64 = 256 * 1024 * 1024;
const MAX_SCRYPT_P: u16 = 16;
const MAX_PBKDF2_ITERATIONS: u32 = 10_000_000;
/// Bytes of an AES block, the most that padding adds.
const AES_BLOCK: usize = 16;

/// Makes a key of this kind and gives it open and as PEM under `pin`.
///
/// # Errors
/// [`Error::KeySize`], [`Error::ShortPin`] (fewer than [`MIN_PIN_CHARS`]), [`Error::Crypto`].
pub fn generate(kind: KeyKind, pin: &str) -> Result<(SoftSigner, String), Error> {
    check_new_pin(pin, MIN_PIN_CHARS)?;
    let (signer, pkcs8) = SoftSigner::generate(kind)?;
    let pem = encrypt(&pkcs8, pin)?;
    Ok((signer, pem))
}

/// Opens a key with its PIN.
///
/// Other software's key files open too, where they use PBES2 with scrypt or PBKDF2 and AES-CBC and ask for no
/// more memory and time than a limit.
///
/// # Errors
/// [`Error::WrongPin`], [`Error::KeyFile`], or [`Error::Pki`] for a key that this suite does not use.
pub fn open(pem: &str, pin: &str) -> Result<SoftSigner, Error> {
    SoftSigner::from_pkcs8(&decrypt(pem, pin)?)
}

/// Encrypts the key of `pem` anew under another PIN.
///
/// # Errors
/// As [`open`] and [`generate`].
pub fn change_pin(pem: &str, pin: &str, new_pin: &str) -> Result<String, Error> {
    check_new_pin(new_pin, MIN_PIN_CHARS)?;
    let pkcs8 = decrypt(pem, pin)?;
    SoftSigner::from_pkcs8(&pkcs8)?;
    encrypt(&pkcs8, new_pin)
}

/// Writes an encrypted key to a file that must not exist yet: mode 0600, on disk when this returns.
///
/// # Errors
/// [`Error::Exists`], [`Error::Io`], or [`Error::KeyFile`] when `pem` is not an encrypted key.
pub fn write(path: &Path, pem: &str) -> Result<(), Error> {
    parse(pem)?;
    files::create(path, pem.as_bytes(), Mode::Secret)
}

/// Reads the text of a key file, at most [`MAX_KEY_FILE_LEN`].
///
/// # Errors
/// [`Error::Io`] or [`Error::TooLong`].
pub fn read(path: &Path) -> Result<String, Error> {
    files::read(path, MAX_KEY_FILE_LEN)
}

/// The clear PKCS #8 of a key file, wiped when dropped: only for libraries that take a key no other way (a TLS
/// server's own key). Signing keys of people are used through [`open`].
///
/// # Errors
/// [`Error::WrongPin`] or [`Error::KeyFile`].
pub fn decrypt(pem: &str, pin: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let der = parse(pem)?;
    let info = EncryptedPrivateKeyInfo::from_der(&der)
        .map_err(|_| Error::KeyFile("it is no encrypted PKCS #8 key under PBES2"))?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
        return Err(Error::KeyFile("it is encrypted by PBES1, which is too weak: encrypt it by PBES2"));
    };
    check_cost(parameters)?;
    let mut buffer = Zeroizing::new(info.encrypted_data.to_vec());
    let len = parameters
        .decrypt_in_place(pin.as_bytes(), &mut buffer)
        .map(<[u8]>::len)
        .map_err(|_| Error::WrongPin)?;
    buffer.truncate(len);
    // A wrong PIN leaves padding that looks right in one case of 256; then what is inside is no key.
    PrivateKeyInfo::from_der(&buffer).map_err(|_| Error::WrongPin)?;
    Ok(buffer)
}

pub(crate) fn check_new_pin(pin: &str, min: usize) -> Result<(), Error> {
    if pin.chars().count() < min { Err(Error::ShortPin { min }) } else { Ok(()) }
}

fn encrypt(pkcs8: &[u8], pin: &str) -> Result<String, Error> {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| Error::Crypto("the operating system gave no random numbers"))?;
    let (salt, iv) = random.split_at(16);
    let iv: &[u8; AES_BLOCK] = iv.try_into().map_err(|_| Error::Crypto("no IV could be made"))?;
    let failed = |_: pkcs8::pkcs5::Error| Error::Crypto("the key could not be encrypted");
    let cost = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P, scrypt::Params::RECOMMENDED_LEN)
        .map_err(|_| Error::Crypto("the key could not be encrypted"))?;
    let parameters = Parameters::scrypt_aes256cbc(cost, salt, iv).map_err(failed)?;

    let mut buffer = Zeroizing::new(vec![0; pkcs8.len() + AES_BLOCK]);
    let (message, _) = buffer.split_at_mut(pkcs8.len());
    message.copy_from_slice(pkcs8);
    let encrypted = parameters.encrypt_in_place(pin.as_bytes(), &mut buffer, pkcs8.len()).map_err(failed)?;
    let info = EncryptedPrivateKeyInfo {
        encryption_algorithm: EncryptionScheme::Pbes2(parameters),
        encrypted_data: encrypted,
    };
    let der = info.to_der().map_err(|_| Error::Crypto("the key could not be encoded"))?;
    encode_string(LABEL, LineEnding::LF, &der).map_err(|_| Error::Crypto("the key could not be encoded"))
}

fn parse(pem: &str) -> Result<Vec<u8>, Error> {
    if u64::try_from(pem.len()).unwrap_or(u64::MAX) > MAX_KEY_FILE_LEN {
        return Err(Error::KeyFile("it is too long"));
    }
    match decode_vec(pem.as_bytes()) {
        Ok((LABEL, der)) => Ok(der),
        Ok(_) => Err(Error::KeyFile("it is no ENCRYPTED PRIVATE KEY; keys in clear are not read")),
        Err(_) => Err(Error::KeyFile("it is not in PEM")),
    }
}

/// A file must not make us spend memory or time without end.
fn check_cost(parameters: &Parameters<'_>) -> Result<(), Error> {
    let bearable = match &parameters.kdf {
        Kdf::Scrypt(scrypt) => {
            let memory =
                scrypt.cost_parameter.saturating_mul(u64::from(scrypt.block_size)).saturating_mul(128);
            scrypt.cost_parameter.is_power_of_two()
                && memory <= MAX_SCRYPT_MEMORY
                && scrypt.parallelization <= MAX_SCRYPT_P
        }
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= MAX_PBKDF2_ITERATIONS,
        _ => false,
    };
    if bearable { Ok(()) } else { Err(Error::KeyFile("opening it would take too much memory or time")) }
}
