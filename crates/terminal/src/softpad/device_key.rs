//! The device key: made in the PIN pad at production, never given out, certified by the vendor's CA (3-hardened.md,
//! "Primitives").

use std::sync::OnceLock;

use paycrypto::ec::{SCALAR, SIGNATURE, SigningKey, TranscriptHash};
use pki::{Certificate, Name, Role, Scheme, SignError, Signer};
use wire::Serial;

use super::codec::{Reader, Writer};
use crate::Error;

/// The device key, and its certificate once there is one.
pub(super) struct DeviceKey {
    key: SigningKey,
    spki: OnceLock<Vec<u8>>,
    /// X.509 DER.
    certificate: Option<Vec<u8>>,
}

impl DeviceKey {
    /// Makes one.
    pub(super) fn generate() -> Result<DeviceKey, Error> {
        Ok(DeviceKey::of(SigningKey::generate()?, None))
    }

    /// A key and its certificate.
    pub(super) fn of(key: SigningKey, certificate: Option<Vec<u8>>) -> DeviceKey {
        DeviceKey { key, spki: OnceLock::new(), certificate }
    }

    /// Its certificate, if it has one.
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// A certification request (PKCS #10, DER) for this PIN pad's name.
    pub(super) fn request(&self, serial: &Serial) -> Result<Vec<u8>, pki::Error> {
        pki::csr::build(&Name::device(serial.as_str(), None, serial.as_str())?, self)
    }

    /// Takes the certificate of this very key.
    ///
    /// # Errors
    /// In words for a person, when it is another key's or another PIN pad's, or of another role.
    pub(super) fn certified(&mut self, certificate: &Certificate, serial: &Serial) -> Result<(), String> {
        if certificate.role() != Some(Role::Device) {
            return Err("the certificate is not a device's".into());
        }
        if certificate.spki_der() != self.spki_der() {
            return Err("the certificate is for another key than this PIN pad's".into());
        }
        if certificate.subject().serial_number() != Some(serial.as_str()) {
            return Err(format!("the certificate does not name the PIN pad {serial}"));
        }
        self.certificate = Some(certificate.der().to_vec());
        Ok(())
    }

    /// Signs the transcript with this digest (DF16).
    pub(super) fn sign_transcript(&self, th: &TranscriptHash) -> Result<[u8; SIGNATURE], paycrypto::Error> {
        self.key.sign_transcript(th)
    }

    /// Signs a text of the PIN pad's own, such as a record of the log of refusals. What is signed begins with a text that
    /// no transcript begins with.
    pub(super) fn sign_text(&self, text: &[u8]) -> Result<[u8; SIGNATURE], paycrypto::Error> {
        self.key.sign(text)
    }

    pub(super) fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        writer.bytes(self.key.expose()?.as_slice());
        writer.sized(self.certificate.as_deref().unwrap_or_default());
        Ok(())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<DeviceKey> {
        let scalar = zeroize::Zeroizing::new(reader.array::<SCALAR>()?);
        let key = SigningKey::from_scalar(&scalar).ok()?;
        let certificate = match reader.sized()? {
            [] => None,
            der => Some(der.to_vec()),
        };
        Some(DeviceKey::of(key, certificate))
    }
}

impl Signer for DeviceKey {
    fn spki_der(&self) -> &[u8] {
        self.spki.get_or_init(|| self.key.spki_der())
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match scheme {
            Scheme::EcdsaP256Sha256 => {
                self.key.sign(message).map(Vec::from).map_err(|error| SignError::new(error.to_string()))
            }
            _ => Err(SignError::new("a device key signs by ECDSA alone")),
        }
    }
}

#[cfg(test)]
mod tests {
    use pki::issue::{self, Issuer, Validity};

    use super::*;

    #[test]
    fn a_request_names_the_pin_pad_and_shows_the_key() {
        let key = DeviceKey::generate().unwrap();
        let serial = Serial::parse("PP-1").unwrap();
        let request = pki::csr::parse_and_verify(&key.request(&serial).unwrap()).unwrap();
        assert_eq!(request.subject.serial_number(), Some("PP-1"));
        assert_eq!(request.spki, key.spki_der());
    }

    #[test]
    fn a_certificate_of_another_role_key_or_pin_pad_is_not_taken() {
        let (mut key, other) = (DeviceKey::generate().unwrap(), DeviceKey::generate().unwrap());
        let serial = Serial::parse("PP-1").unwrap();
        let dates = |days| Validity::days(0, days);
        let root = issue::root(&Name::new("Root", None).unwrap(), &other, dates(90), 0).unwrap();
        let issuer = Issuer::new(&root, &other).unwrap();
        let certificate = |role, serial, key: &DeviceKey| {
            let subject = Name::device("PIN pad", None, serial).unwrap();
            issue::leaf(&issuer, role, &subject, key.spki_der(), dates(30)).unwrap()
        };
        for (what, wrong) in [
            ("role", certificate(Role::Operator, "PP-1", &key)),
            ("key", certificate(Role::Device, "PP-1", &other)),
            ("PIN pad", certificate(Role::Device, "PP-2", &key)),
        ] {
            assert!(key.certified(&wrong, &serial).is_err(), "{what}");
            assert!(key.certificate().is_none(), "{what}");
        }
        let right = certificate(Role::Device, "PP-1", &key);
        key.certified(&right, &serial).unwrap();
        assert_eq!(key.certificate(), Some(right.der()));
    }

    #[test]
    fn a_device_key_is_read_back() {
        let key = DeviceKey::of(SigningKey::generate().unwrap(), Some(vec![1, 2, 3]));
        let mut writer = Writer::new();
        key.write(&mut writer).unwrap();
        let bytes = writer.finish();
        let read = DeviceKey::read(&mut Reader::new(&bytes)).unwrap();
        assert_eq!((read.spki_der(), read.certificate()), (key.spki_der(), Some(&[1, 2, 3][..])));
    }

    #[test]
    fn it_signs_in_its_own_suite_alone() {
        let key = DeviceKey::generate().unwrap();
        assert!(key.sign(Scheme::EcdsaP256Sha256, b"x").is_ok());
        assert!(key.sign(Scheme::PssSha256, b"x").is_err());
        assert!(key.sign(Scheme::Pkcs1Sha256, b"x").is_err());
    }
}
