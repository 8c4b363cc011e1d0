//! The small values of flow E: version, transaction code, stage and return code (2-wire.md section 2, DF32 to DF3B).

use core::{fmt, str::FromStr};

use crate::{Fields, Malformed, Tag};

/// A version of the TMS protocol (DF32): two digits, a point, two digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TmsVersion {
    major: u8,
    minor: u8,
}

impl TmsVersion {
    /// Bytes of the field.
    pub const LENGTH: usize = 5;
    /// The version that 2-wire.md describes: `01.00`.
    pub const CURRENT: TmsVersion = TmsVersion { major: 1, minor: 0 };

    /// Reads the field.
    ///
    /// # Errors
    /// [`Malformed::FieldValue`] for anything but `nn.nn`.
    pub fn from_bytes(bytes: [u8; TmsVersion::LENGTH]) -> Result<TmsVersion, Malformed> {
        let [tens, ones, point, tenths, hundredths] = bytes;
        match (two_digits(tens, ones), point, two_digits(tenths, hundredths)) {
            (Some(major), b'.', Some(minor)) => Ok(TmsVersion { major, minor }),
            _ => Err(Malformed::FieldValue { tag: Tag::TMS_VERSION }),
        }
    }

    /// The bytes, as they stand in the field.
    pub fn bytes(self) -> [u8; TmsVersion::LENGTH] {
        let [tens, ones] = digits(self.major);
        let [tenths, hundredths] = digits(self.minor);
        [tens, ones, b'.', tenths, hundredths]
    }
}

impl FromStr for TmsVersion {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<TmsVersion, Malformed> {
        let tag = Tag::TMS_VERSION;
        let bytes = text.as_bytes();
        TmsVersion::from_bytes(
            bytes.try_into().map_err(|_| Malformed::FieldLength { tag, found: bytes.len() })?,
        )
    }
}

impl fmt::Display for TmsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}.{:02}", self.major, self.minor)
    }
}

impl fmt::Debug for TmsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TmsVersion({self})")
    }
}

/// What a terminal wants of its TMS (DF33).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionCode {
    /// `0001`: remote key download.
    KeyDownload,
    /// `0002`: remote program download.
    ProgramDownload,
}

impl TransactionCode {
    /// Bytes of the field.
    pub const LENGTH: usize = 4;

    /// The digits, as they stand in the field.
    pub fn digits(self) -> [u8; TransactionCode::LENGTH] {
        match self {
            Self::KeyDownload => *b"0001",
            Self::ProgramDownload => *b"0002",
        }
    }

    /// The code with these digits; nothing for one that 2-wire.md does not list, which a TMS answers with
    /// [`Src::TransactionNotSupported`].
    pub fn from_digits(digits: [u8; TransactionCode::LENGTH]) -> Option<TransactionCode> {
        [Self::KeyDownload, Self::ProgramDownload].into_iter().find(|code| code.digits() == digits)
    }
}

impl fmt::Display for TransactionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyDownload => "0001 remote key download",
            Self::ProgramDownload => "0002 remote program download",
        })
    }
}

/// Where in its authentication a session stands (DF3A). Each message of the handshake has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Stage {
    /// TMS_HELLO.
    Hello = 1,
    /// TMS_CHALLENGE.
    Challenge = 2,
    /// TMS_PROOF.
    Proof = 3,
    /// TMS_KEY.
    Key = 4,
}

impl Stage {
    /// The byte, as it stands in the field.
    pub fn byte(self) -> u8 {
        self as u8
    }
}

macro_rules! return_codes {
    ($($variant:ident = $digits:literal, $meaning:literal;)*) => {
        /// What a TMS says of a request (DF3B, the SRC of 2-wire.md section 8).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Src {
            $(#[doc = concat!("`", $digits, "`: ", $meaning, ".")]
            $variant,)*
        }

        impl Src {
            /// Every code, in order.
            pub const ALL: &'static [Src] = &[$(Src::$variant),*];

            /// The two digits, as they stand in the field.
            pub fn digits(self) -> &'static str {
                match self {
                    $(Src::$variant => $digits,)*
                }
            }

            /// The meaning, in the words of section 8.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Src::$variant => $meaning,)*
                }
            }
        }
    };
}

return_codes! {
    Good = "00", "good";
    UnknownVendorOrModel = "01", "unknown vendor or model";
    VersionNotSupported = "02", "version not supported";
    TransactionNotSupported = "03", "transaction code not supported";
    TerminalNotAllowed = "04", "terminal not allowed";
    DateOutOfRange = "05", "date out of range";
    AuthenticationFailed = "06", "authentication failed";
    OperatorRefused = "07", "operator refused";
    SystemError = "96", "system error";
}

impl Src {
    /// The code with these two digits.
    ///
    /// # Errors
    /// [`Malformed::FieldValue`] for digits that section 8 does not list.
    pub fn from_digits(digits: [u8; 2]) -> Result<Src, Malformed> {
        let code = Src::ALL.iter().find(|code| code.digits().as_bytes() == digits);
        code.copied().ok_or(Malformed::FieldValue { tag: Tag::SRC })
    }
}

impl fmt::Display for Src {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SRC {} {}", self.digits(), self.meaning())
    }
}

impl Fields {
    /// The TMS version (DF32).
    ///
    /// # Errors
    /// When it is missing, not five bytes, or not `nn.nn`.
    pub fn tms_version(&self) -> Result<TmsVersion, Malformed> {
        TmsVersion::from_bytes(self.exactly(Tag::TMS_VERSION)?)
    }

    /// The return code (DF3B).
    ///
    /// # Errors
    /// When it is missing, not two bytes, or none that section 8 lists.
    pub fn src(&self) -> Result<Src, Malformed> {
        Src::from_digits(self.exactly(Tag::SRC)?)
    }

    /// Checks that the authentication stage (DF3A) is this one.
    ///
    /// # Errors
    /// [`Malformed::FieldValue`] for another; when it is missing or not one byte.
    pub fn expect_stage(&self, expected: Stage) -> Result<(), Malformed> {
        let tag = Tag::STAGE;
        let [stage] = self.exactly(tag)?;
        if stage == expected.byte() { Ok(()) } else { Err(Malformed::FieldValue { tag }) }
    }
}

/// A number below 100 as two ASCII digits.
fn digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

fn two_digits(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + (ones - b'0'))
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn with(tag: Tag, value: &[u8]) -> Fields {
        let mut fields = Fields::new();
        fields.push(tag, value).unwrap();
        fields
    }

    #[test]
    fn version_is_read_back_and_nothing_else_is_read() {
        assert_eq!(TmsVersion::CURRENT.bytes(), *b"01.00");
        assert_eq!(TmsVersion::CURRENT.to_string(), "01.00");
        for text in ["00.00", "01.00", "09.10", "99.99"] {
            let version: TmsVersion = text.parse().unwrap();
            assert_eq!((version.to_string().as_str(), version.bytes().as_slice()), (text, text.as_bytes()));
        }
        for text in ["01,00", "0100.", "a1.00", "01.0a", "+1.00", " 1.00"] {
            let refused = Malformed::FieldValue { tag: Tag::TMS_VERSION };
            assert_eq!(text.parse::<TmsVersion>(), Err(refused), "{text}");
        }
        let refused = Malformed::FieldLength { tag: Tag::TMS_VERSION, found: 3 };
        assert_eq!("1.0".parse::<TmsVersion>(), Err(refused));
        assert_eq!(
            with(Tag::TMS_VERSION, b"01.0").tms_version().map(drop),
            "01.0".parse::<TmsVersion>().map(drop)
        );
    }

    #[test]
    fn versions_have_an_order() {
        let [old, new, newest]: [TmsVersion; 3] =
            ["01.09", "01.10", "02.00"].map(|text| text.parse().unwrap());
        assert!(old < new && new < newest);
    }

    #[test]
    fn only_the_two_listed_transactions_are_codes() {
        for code in [TransactionCode::KeyDownload, TransactionCode::ProgramDownload] {
            assert_eq!(TransactionCode::from_digits(code.digits()), Some(code));
        }
        for digits in [*b"0000", *b"0003", *b"1000", *b"    "] {
            assert_eq!(TransactionCode::from_digits(digits), None);
        }
    }

    #[test]
    fn return_codes_are_those_of_section_8() {
        let listed: std::vec::Vec<&str> = Src::ALL.iter().map(|code| code.digits()).collect();
        assert_eq!(listed, ["00", "01", "02", "03", "04", "05", "06", "07", "96"]);
        for code in Src::ALL {
            let digits = code.digits().as_bytes().try_into().unwrap();
            assert_eq!(Src::from_digits(digits), Ok(*code));
            assert_eq!(with(Tag::SRC, code.digits().as_bytes()).src(), Ok(*code));
        }
        for digits in [*b"08", *b"95", *b"0 ", [0, 0]] {
            assert_eq!(Src::from_digits(digits), Err(Malformed::FieldValue { tag: Tag::SRC }));
        }
        let refused = Malformed::FieldLength { tag: Tag::SRC, found: 3 };
        assert_eq!(with(Tag::SRC, b"000").src(), Err(refused));
        assert_eq!(Src::OperatorRefused.to_string(), "SRC 07 operator refused");
    }

    #[test]
    fn each_message_has_one_stage() {
        let tag = Tag::STAGE;
        for stage in [Stage::Hello, Stage::Challenge, Stage::Proof, Stage::Key] {
            for byte in 0..=5 {
                let result = with(tag, &[byte]).expect_stage(stage);
                let expected = if byte == stage.byte() { Ok(()) } else { Err(Malformed::FieldValue { tag }) };
                assert_eq!(result, expected);
            }
        }
        assert_eq!(Fields::new().expect_stage(Stage::Key), Err(Malformed::MissingField { tag }));
    }
}
