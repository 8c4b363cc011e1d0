//! Making tokens ready, keys on them, and keeping certificates there.

use cryptoki::context::Pkcs11;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, CertificateType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use pkcs8::der::Encode as _;
use pkcs8::der::asn1::UintRef;
use pki::{Certificate, KeyFamily};

use crate::error::Error;
use crate::keyfile::{MIN_PIN_CHARS, check_new_pin};
use crate::signer::KeyKind;

use super::face::{certificates, objects};
use super::keys::{self, P256_PARAMS, PrivateKey, rsa_bits};
use super::module::{Entered, Module};
use super::slot::Identity;
use super::{MAX_LABEL_LEN, Token, TokenSigner, TokenUri, fault, login};

/// Bytes of a key's identifier. It only has to be unique on its token.
const ID_LEN: usize = 16;
/// The exponent 65 537 of a new RSA key, big-endian.
const RSA_EXPONENT: &[u8] = &[1, 0, 1];

pub(super) fn initialise(uri: &TokenUri, so_pin: &str, pin: &str) -> Result<Token, Error> {
    let (module, label) = (uri.module(), uri.label());
    if label.is_empty() || label.len() > MAX_LABEL_LEN || label.chars().any(char::is_control) {
        let why = format!("a token's label has 1 to {MAX_LABEL_LEN} bytes and no control characters");
        return Err(Error::TokenUri { why });
    }
    check_new_pin(so_pin, MIN_PIN_CHARS)?;
    check_new_pin(pin, MIN_PIN_CHARS)?;
    let context = Module::at(module)?;
    let serial = {
        let entered = context.enter();
        let tokens = entered.tokens()?;
        if tokens.iter().any(|(_, info)| info.token_initialized() && info.label() == label) {
            return Err(Error::TokenTaken { label: label.to_owned() });
        }
        let blanks = tokens.iter().filter(|(_, info)| !info.token_initialized());
        let slot = only_blank(blanks.map(|(slot, info)| (*slot, Identity::of(info))), uri)?;
        let info = entered.info(slot, label)?;
        for pin in [so_pin, pin] {
            login::fits(label, pin, info.min_pin_length(), info.max_pin_length())?;
        }
        let so_pin = AuthPin::from(so_pin);
        let fault = |act| fault::of(label, act);
        entered.context().init_token(slot, &so_pin, label).map_err(fault("initialise it"))?;
        set_first_pin(entered.context(), slot, &so_pin, pin).map_err(fault("set its first PIN"))?;
        entered.info(slot, label)?.serial_number().to_owned()
    };
    Token::find(&TokenUri::new(module, label).with_serial(&serial))
}

/// The slot of the blank token that the URI means: initialising the wrong one cannot be taken back.
fn only_blank(blanks: impl Iterator<Item = (Slot, Identity)>, uri: &TokenUri) -> Result<Slot, Error> {
    let mut fitting = blanks.filter(|(_, blank)| blank.fits_unlabelled(uri));
    match (fitting.next(), fitting.next()) {
        (None, _) => Err(Error::NoFreeToken { module: uri.module().to_owned() }),
        (Some((slot, _)), None) => Ok(slot),
        (Some((_, one)), Some((_, other))) => Err(Error::TokenAmbiguous {
            token: uri.label().to_owned(),
            what: format!("blank tokens (serials {} and {})", one.serial, other.serial),
            by: "serial",
        }),
    }
}

fn set_first_pin(
    context: &Pkcs11,
    slot: Slot,
    so_pin: &AuthPin,
    pin: &str,
) -> Result<(), cryptoki::error::Error> {
    let session = context.open_rw_session(slot)?;
    session.login(UserType::So, Some(so_pin))?;
    session.init_pin(&AuthPin::from(pin))
}

pub(super) fn make_key(token: &Token, pin: &str, kind: KeyKind, label: &str) -> Result<TokenSigner, Error> {
    if let KeyKind::Rsa(bits) = kind
        && !matches!(bits, 2048 | 3072 | 4096)
    {
        return Err(Error::KeySize { bits });
    }
    let entered = token.module.enter();
    let slot = entered.slot_of(&token.identity)?;
    let session = writing(&entered, slot, token.label(), pin)?;
    let taken = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(label.as_bytes().to_vec())];
    if !objects(&session, &taken, token.label())?.is_empty() {
        return Err(Error::TokenKeyExists { token: token.label().to_owned(), label: label.to_owned() });
    }
    let (public, private) = generate(&session, token.label(), kind, label)?;
    let key = checked(&session, token.label(), kind, private).inspect_err(|_| {
        // What is not as asked must not stay; the refusal is the error that tells.
        let _ = session.destroy_object(private);
        let _ = session.destroy_object(public);
    })?;
    TokenSigner::new(token, &entered, slot, session, key, pin)
}

/// A session for writing, logged in.
fn writing(entered: &Entered<'_>, slot: Slot, token: &str, pin: &str) -> Result<Session, Error> {
    let session =
        entered.context().open_rw_session(slot).map_err(fault::of(token, "open a session for writing"))?;
    login::user(entered, slot, &session, token, pin)?;
    Ok(session)
}

fn generate(
    session: &Session,
    token: &str,
    kind: KeyKind,
    label: &str,
) -> Result<(ObjectHandle, ObjectHandle), Error> {
    let mut id = [0; ID_LEN];
    aws_lc_rs::rand::fill(&mut id)
        .map_err(|_| Error::Crypto("the operating system gave no random numbers"))?;
    let named =
        [Attribute::Token(true), Attribute::Label(label.as_bytes().to_vec()), Attribute::Id(id.to_vec())];
    let mut public = named.to_vec();
    public.extend([
        Attribute::Private(false),
        Attribute::Verify(true),
        Attribute::Encrypt(false),
        Attribute::Wrap(false),
    ]);
    let mechanism = match kind {
        KeyKind::Rsa(bits) => {
            let size = u64::try_from(bits).map_err(|_| Error::KeySize { bits })?;
            public.push(Attribute::ModulusBits(size.into()));
            public.push(Attribute::PublicExponent(RSA_EXPONENT.to_vec()));
            Mechanism::RsaPkcsKeyPairGen
        }
        KeyKind::P256 => {
            public.push(Attribute::EcParams(P256_PARAMS.to_vec()));
            Mechanism::EccKeyPairGen
        }
    };
    // One use, and no way out (docs/spec/4-requirements.md R8, R24).
    let mut private = named.to_vec();
    private.extend([
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ]);
    session.generate_key_pair(&mechanism, &public, &private).map_err(fault::of(token, "make a key"))
}

/// Reads back what was asked for: a module that ignores a template makes keys that can be taken out.
fn checked(session: &Session, token: &str, kind: KeyKind, handle: ObjectHandle) -> Result<PrivateKey, Error> {
    let wrong = |why: String| Error::TokenKey { token: token.to_owned(), why };
    let wanted = [
        (AttributeType::Sensitive, Attribute::Sensitive(true)),
        (AttributeType::AlwaysSensitive, Attribute::AlwaysSensitive(true)),
        (AttributeType::Extractable, Attribute::Extractable(false)),
        (AttributeType::NeverExtractable, Attribute::NeverExtractable(true)),
        (AttributeType::Local, Attribute::Local(true)),
        (AttributeType::Sign, Attribute::Sign(true)),
        (AttributeType::Decrypt, Attribute::Decrypt(false)),
        (AttributeType::Unwrap, Attribute::Unwrap(false)),
        (AttributeType::Derive, Attribute::Derive(false)),
    ];
    for (kind, wanted) in wanted {
        let found = session.get_attributes(handle, &[kind]).map_err(fault::of(token, "read the new key"))?;
        if found != [wanted] {
            return Err(wrong(format!("it made a key whose {kind} is not as asked")));
        }
    }
    let key = keys::read(session, handle, token, None)?;
    let as_asked = match kind {
        KeyKind::Rsa(bits) => rsa_bits(&key.spki) == Some(bits),
        KeyKind::P256 => key.family == KeyFamily::P256,
    };
    if as_asked { Ok(key) } else { Err(wrong("it made a key of another kind or size than asked".to_owned())) }
}

pub(super) fn keep_certificates(
    token: &Token,
    pin: &str,
    leaf: &Certificate,
    chain: &[Certificate],
) -> Result<(), Error> {
    let entered = token.module.enter();
    let slot = entered.slot_of(&token.identity)?;
    let session = writing(&entered, slot, token.label(), pin)?;
    let key = keys::all(&session, token.label())?.into_iter().find(|key| key.spki == leaf.spki_der());
    let key = key.ok_or_else(|| Error::TokenNoKey { token: token.label().to_owned() })?;
    let held = certificates(&session, token.label())?;
    let create = |certificate: &Certificate, id: &[u8], label: &[u8]| {
        if held.iter().any(|held| held.der == certificate.der() && held.id == id) {
            return Ok(());
        }
        let object = certificate_object(certificate, id, label);
        session.create_object(&object).map(|_| ()).map_err(fault::of(token.label(), "keep a certificate"))
    };
    for authority in chain {
        create(authority, &[], authority.subject().to_string().as_bytes())?;
    }
    create(leaf, &key.id, &key.label)?;
    // The new one is there: only now the older ones of this key go.
    for old in held.iter().filter(|held| held.id == key.id && held.der != leaf.der()) {
        session
            .destroy_object(old.handle)
            .map_err(fault::of(token.label(), "take an older certificate away"))?;
    }
    Ok(())
}

fn certificate_object(certificate: &Certificate, id: &[u8], label: &[u8]) -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::CERTIFICATE),
        Attribute::CertificateType(CertificateType::X_509),
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Label(label.to_vec()),
        Attribute::Id(id.to_vec()),
        Attribute::Subject(certificate.subject().der().to_vec()),
        Attribute::Issuer(certificate.issuer().der().to_vec()),
        Attribute::SerialNumber(serial_der(certificate.serial())),
        Attribute::Value(certificate.der().to_vec()),
    ]
}

/// CKA_SERIAL_NUMBER is the DER of an INTEGER.
fn serial_der(serial: &[u8]) -> Vec<u8> {
    UintRef::new(serial).and_then(|serial| serial.to_der()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Error, Identity, Slot, TokenUri, only_blank};

    fn blank(id: u64, serial: &str, model: &str) -> (Slot, Identity) {
        (Slot::try_from(id).unwrap(), Identity::new("", serial, "Maker", model))
    }

    fn chosen(blanks: &[(Slot, Identity)], uri: &str) -> Result<Slot, Error> {
        only_blank(blanks.iter().cloned(), &format!("{uri}?module-path=/m.so").parse().unwrap())
    }

    #[test]
    fn of_two_blank_tokens_none_is_taken_unless_the_uri_says_which() {
        let blanks = [blank(1, "S1", "M1"), blank(2, "S2", "M2")];
        let refused = chosen(&blanks, "pkcs11:token=T");
        assert!(
            matches!(&refused, Err(Error::TokenAmbiguous { what, by: "serial", .. }) if what.contains("S1 and S2")),
            "{refused:?}"
        );
        assert_eq!(chosen(&blanks, "pkcs11:token=T;serial=S2").unwrap(), blanks[1].0);
        assert_eq!(chosen(&blanks, "pkcs11:token=T;model=M1").unwrap(), blanks[0].0);
        assert!(matches!(
            chosen(&blanks, "pkcs11:token=T;manufacturer=Maker"),
            Err(Error::TokenAmbiguous { .. })
        ));
        assert_eq!(chosen(&blanks[..1], "pkcs11:token=T").unwrap(), blanks[0].0);
    }

    /// SoftHSM always has another empty token, so no test with it comes here.
    #[test]
    fn a_blank_token_that_is_not_the_one_named_is_left_alone() {
        let blanks = [blank(1, "S1", "M1")];
        for uri in
            ["pkcs11:token=T;serial=S2", "pkcs11:token=T;model=M2", "pkcs11:token=T;manufacturer=Other"]
        {
            let none = chosen(&blanks, uri);
            assert!(matches!(&none, Err(Error::NoFreeToken { .. })), "{none:?}");
        }
        let none = only_blank(std::iter::empty(), &TokenUri::new(Path::new("/m.so"), "T"));
        assert!(matches!(&none, Err(Error::NoFreeToken { .. })), "{none:?}");
    }
}
