//! Names of tokens and of the objects on them: PKCS #11 URIs (RFC 7512), as far as they are used here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::Error;

/// Longest URI read, in bytes.
pub const MAX_URI_LEN: usize = 1024;

const SCHEME: &str = "pkcs11:";

/// A PKCS #11 URI (RFC 7512): which token behind which module, and which key on it.
///
/// `pkcs11:token=LABEL[;serial=S][;manufacturer=M][;model=M][;object=LABEL][;id=ID]?module-path=/…/module.so`. Values are
/// percent-encoded. `type=private` and `type=cert` are taken and mean nothing here, since both are looked for. A PIN never
/// stands in a URI, which is kept in files and shown: `pin-value` and `pin-source` are refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenUri {
    token: String,
    serial: Option<String>,
    manufacturer: Option<String>,
    model: Option<String>,
    object: Option<String>,
    id: Option<Vec<u8>>,
    module: PathBuf,
}

impl TokenUri {
    /// The token of this label behind a module.
    #[must_use]
    pub fn new(module: &Path, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            serial: None,
            manufacturer: None,
            model: None,
            object: None,
            id: None,
            module: module.to_owned(),
        }
    }

    /// The same with the token's serial: another token with the same label is then not meant.
    #[must_use]
    pub fn with_serial(mut self, serial: &str) -> Self {
        self.serial = Some(serial.to_owned());
        self
    }

    /// The same with the label of a key and its certificate.
    #[must_use]
    pub fn with_object(mut self, label: &str) -> Self {
        self.object = Some(label.to_owned());
        self
    }

    /// Whether a text means a token, and not a file.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME))
    }

    /// The token's label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.token
    }

    /// The token's serial, where it is named.
    #[must_use]
    pub fn serial(&self) -> Option<&str> {
        self.serial.as_deref()
    }

    /// The label of the key and its certificate, where it is named.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// The module: a shared library.
    #[must_use]
    pub fn module(&self) -> &Path {
        &self.module
    }

    pub(super) fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }

    pub(super) fn manufacturer(&self) -> Option<&str> {
        self.manufacturer.as_deref()
    }

    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }
}

impl FromStr for TokenUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map_err(|why| Error::TokenUri { why })
    }
}

fn parse(text: &str) -> Result<TokenUri, String> {
    if text.len() > MAX_URI_LEN {
        return Err(format!("it has more than {MAX_URI_LEN} bytes"));
    }
    if !TokenUri::is_meant(text) {
        return Err(format!("it does not begin with {SCHEME}"));
    }
    let rest = text.get(SCHEME.len()..).unwrap_or_default();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut found = Attributes::default();
    for pair in path.split(';').filter(|pair| !pair.is_empty()) {
        let (name, value) = split(pair)?;
        match name {
            "token" => once(&mut found.token, name, words(name, value)?)?,
            "serial" => once(&mut found.serial, name, words(name, value)?)?,
            "manufacturer" => once(&mut found.manufacturer, name, words(name, value)?)?,
            "model" => once(&mut found.model, name, words(name, value)?)?,
            "object" => once(&mut found.object, name, words(name, value)?)?,
            "id" => once(&mut found.id, name, decode(name, value)?)?,
            "type" if matches!(value, "private" | "cert") => once(&mut found.kind, name, ())?,
            "type" => return Err("type must be private or cert, or be left out".to_owned()),
            _ => return Err(unknown(name)),
        }
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = split(pair)?;
        match name {
            "module-path" => once(&mut found.module, name, words(name, value)?)?,
            "pin-value" | "pin-source" => {
                return Err(format!(
                    "{name} does not belong into it: a PIN is asked for, or read from a file"
                ));
            }
            _ => return Err(unknown(name)),
        }
    }
    let token = found.token.ok_or("it names no token: write token=LABEL")?;
    let module = found.module.ok_or("it names no module: end it with ?module-path=/…/module.so")?;
    let module = PathBuf::from(module);
    if !module.is_absolute() {
        return Err(
            "module-path must begin with /: a module is code, and must be the one that you mean".to_owned()
        );
    }
    let Attributes { serial, manufacturer, model, object, id, .. } = found;
    Ok(TokenUri { token, serial, manufacturer, model, object, id, module })
}

#[derive(Default)]
struct Attributes {
    token: Option<String>,
    serial: Option<String>,
    manufacturer: Option<String>,
    model: Option<String>,
    object: Option<String>,
    id: Option<Vec<u8>>,
    kind: Option<()>,
    module: Option<String>,
}

fn split(pair: &str) -> Result<(&str, &str), String> {
    pair.split_once('=').ok_or_else(|| "it has an attribute without a value".to_owned())
}

/// A name is shown as long as it can be one; what may be a mistyped PIN is not.
fn unknown(name: &str) -> String {
    let plain = name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let name = if plain { name } else { "one of its attributes" };
    format!("{name} is not known here; use token, serial, manufacturer, model, object, id and module-path")
}

fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{name} stands in it twice")),
    }
}

fn words(name: &str, value: &str) -> Result<String, String> {
    let text = String::from_utf8(decode(name, value)?).map_err(|_| format!("{name} is not UTF-8"))?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(format!("{name} is empty or has control characters"));
    }
    Ok(text)
}

fn decode(name: &str, value: &str) -> Result<Vec<u8>, String> {
    let mut bytes = value.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(format!("{name} has a % that no two hex digits follow"));
        };
        out.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    Ok(out)
}

impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}token={}", Encoded(self.token.as_bytes(), b""))?;
        let texts = [
            ("serial", &self.serial),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("object", &self.object),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                write!(f, ";{name}={}", Encoded(value.as_bytes(), b""))?;
            }
        }
        if let Some(id) = &self.id {
            write!(f, ";id=")?;
            id.iter().try_for_each(|byte| write!(f, "%{byte:02X}"))?;
        }
        write!(f, "?module-path={}", Encoded(self.module.as_os_str().as_encoded_bytes(), b"/"))
    }
}

/// Bytes with everything but RFC 3986's unreserved characters, and those of the second part, percent-encoded.
struct Encoded<'a>(&'a [u8], &'a [u8]);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || self.1.contains(byte) {
                write!(f, "{}", char::from(*byte))
            } else {
                write!(f, "%{byte:02X}")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, MAX_URI_LEN, Path, TokenUri};

    fn refused(text: &str) -> String {
        match text.parse::<TokenUri>() {
            Err(Error::TokenUri { why }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_uri_names_token_key_and_module() {
        let text = "pkcs11:token=Operator%207;serial=a1b2;object=card?module-path=/usr/lib/m.so";
        let uri: TokenUri = text.parse().unwrap();
        assert_eq!((uri.label(), uri.serial(), uri.object()), ("Operator 7", Some("a1b2"), Some("card")));
        assert_eq!(uri.module(), Path::new("/usr/lib/m.so"));
        assert_eq!(uri.to_string(), text);
        assert_eq!(uri, TokenUri::new(uri.module(), "Operator 7").with_serial("a1b2").with_object("card"));
    }

    /// As `p11tool --list-tokens` and `pkcs11-tool` print them for a PIV card.
    #[test]
    fn uris_of_other_tools_are_read() {
        let text = "pkcs11:model=PKCS%2315%20emulated;manufacturer=piv_II;serial=00000000;token=Olga;id=%02;\
                    object=SIGN%20key;type=private?module-path=/usr/lib/opensc-pkcs11.so";
        let uri: TokenUri = text.parse().unwrap();
        assert_eq!((uri.manufacturer(), uri.model()), (Some("piv_II"), Some("PKCS#15 emulated")));
        assert_eq!((uri.id(), uri.object()), (Some(&[2][..]), Some("SIGN key")));
        assert_eq!(uri.to_string().parse::<TokenUri>().unwrap(), uri);
    }

    #[test]
    fn a_pin_in_a_uri_is_refused_and_not_repeated() {
        for name in ["pin-value", "pin-source"] {
            let why = refused(&format!("pkcs11:token=a?module-path=/m.so&{name}=271828"));
            assert!(why.starts_with(name) && !why.contains("271828"), "{why}");
        }
        assert!(!refused("pkcs11:token=a;271828=x?module-path=/m.so").contains("271828"));
    }

    #[test]
    fn each_defect_of_a_uri_is_named() {
        for (text, says) in [
            ("file:token=a", "does not begin"),
            ("pkcs11:serial=1?module-path=/m.so", "names no token"),
            ("pkcs11:token=a", "names no module"),
            ("pkcs11:token=a?module-path=m.so", "must begin with /"),
            ("pkcs11:token=a;token=b?module-path=/m.so", "token stands in it twice"),
            ("pkcs11:token=a;type=private;type=cert?module-path=/m.so", "type stands in it twice"),
            ("pkcs11:token=a;type=public?module-path=/m.so", "type must be"),
            ("pkcs11:token=a;slot-id=3?module-path=/m.so", "slot-id is not known"),
            ("pkcs11:token=a?module-name=softhsm2", "module-name is not known"),
            ("pkcs11:token=a;serial?module-path=/m.so", "without a value"),
            ("pkcs11:token=%4?module-path=/m.so", "token has a %"),
            ("pkcs11:token=%FF?module-path=/m.so", "token is not UTF-8"),
            ("pkcs11:token=?module-path=/m.so", "token is empty"),
            ("pkcs11:token=%0A?module-path=/m.so", "control characters"),
        ] {
            let why = refused(text);
            assert!(why.contains(says), "{text}: {why}");
        }
        let long = |len: usize| {
            let head = "pkcs11:token=a?module-path=/";
            format!("{head}{}", "m".repeat(len - head.len()))
        };
        long(MAX_URI_LEN).parse::<TokenUri>().unwrap();
        assert!(refused(&long(MAX_URI_LEN + 1)).contains("more than"));
    }
}
