//! Tags: two opaque bytes in the EMV manner.

use core::fmt;

use crate::Malformed;

/// First and last primitive tag.
const PRIMITIVE: core::ops::RangeInclusive<u16> = 0xDF01..=0xDF7F;
/// First and last template.
const TEMPLATE: core::ops::RangeInclusive<u16> = 0xFF21..=0xFF2F;

/// The tag of a field: `DF01`–`DF7F` primitive, `FF21`–`FF2F` template. Nothing else is a tag.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u16);

impl Tag {
    /// The tag with these two bytes.
    ///
    /// # Errors
    /// [`Malformed::TagOutOfRange`] for anything outside the two ranges of 2-wire.md section 1.
    pub fn new(number: u16) -> Result<Tag, Malformed> {
        if PRIMITIVE.contains(&number) || TEMPLATE.contains(&number) {
            Ok(Tag(number))
        } else {
            Err(Malformed::TagOutOfRange { found: number })
        }
    }

    /// The two bytes as a number.
    pub fn number(self) -> u16 {
        self.0
    }

    /// Whether the tag holds fields.
    pub fn is_template(self) -> bool {
        TEMPLATE.contains(&self.0)
    }

    /// One bit for each primitive tag, to see a repetition at once; 0 for a template.
    pub(crate) fn bit(self) -> u128 {
        if self.is_template() { 0 } else { 1 << (self.0 & 0x7F) }
    }
}

macro_rules! tags {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl Tag {
            $(#[doc = concat!("`", stringify!($number), "`: ", $text, " (2-wire.md section 2; DF13 to DF1A: 3-hardened.md).")]
            pub const $name: Tag = Tag($number);)*

            /// Every tag that 2-wire.md section 2 and 3-hardened.md list, ascending.
            pub const LISTED: &'static [Tag] = &[$(Tag($number)),*];

            /// What the tag is called; nothing for one that is not listed.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

tags! {
    SUITE = 0xDF01, "suite";
    SERIAL = 0xDF02, "terminal serial";
    PIN_PAD_SERIAL = 0xDF03, "PIN pad serial";
    SLOT = 0xDF04, "key index";
    RND1 = 0xDF05, "Rnd1";
    RND2 = 0xDF06, "Rnd2";
    CRND1 = 0xDF07, "Crnd1";
    CRND2 = 0xDF08, "Crnd2";
    CTK_PU = 0xDF09, "Ctk_Pu";
    KCV = 0xDF0B, "key check value";
    CERTIFICATE = 0xDF0C, "certificate";
    INTERMEDIATES = 0xDF0D, "intermediates";
    C_RND1_RND2 = 0xDF10, "C_rnd1_rnd2";
    C_CTMK_RND2 = 0xDF11, "C_ctmk_rnd2";
    BARE_KEY = 0xDF12, "bare public key";
    EPHEMERAL_KEY = 0xDF13, "ephemeral public key";
    NONCE = 0xDF14, "nonce";
    CONFIRMATION = 0xDF15, "confirmation";
    TRANSCRIPT_SIGNATURE = 0xDF16, "signature over the transcript";
    RECEIPT = 0xDF17, "receipt";
    COUNTER = 0xDF18, "counter";
    ENCRYPTED_DATA = 0xDF19, "encrypted data";
    DEVICE_CERTIFICATE = 0xDF1A, "device certificate";
    FACTOR_CIPHERTEXT = 0xDF20, "factor ciphertext";
    AT_TK1 = 0xDF21, "AT_TK1";
    AT_TK2_TK_SHA2 = 0xDF22, "AT_TK2_TK_SHA2";
    FACTOR = 0xDF23, "diversification factor";
    MORE = 0xDF24, "more";
    REPAIR_CHALLENGE = 0xDF26, "repair challenge";
    REPAIR_EXPIRY = 0xDF27, "repair expiry";
    REFUSAL_CHECK = 0xDF28, "refusal: check";
    REFUSAL_READING = 0xDF29, "refusal: reading";
    REFUSAL_WHEN = 0xDF2A, "refusal: when";
    STATUS = 0xDF2D, "status";
    VENDOR_ID = 0xDF30, "vendor id";
    MODEL_ID = 0xDF31, "model id";
    TMS_VERSION = 0xDF32, "TMS version supported";
    TRANSACTION_CODE = 0xDF33, "transaction code";
    T_DATA = 0xDF34, "T_DATA";
    S_DATA = 0xDF35, "S_DATA";
    TAC_1 = 0xDF36, "TAC_1";
    DWK_1 = 0xDF37, "DWK_1";
    SAC_1 = 0xDF38, "SAC_1";
    DWK_MODE = 0xDF39, "DWK encryption mode";
    STAGE = 0xDF3A, "authentication stage";
    SRC = 0xDF3B, "SRC, return code";
    RESULT = 0xDF3C, "result";
    OPERATOR_ID = 0xDF3D, "operator id";
    OPERATOR_PROOF = 0xDF3E, "operator proof";
    OPERATOR_DEMANDED = 0xDF3F, "operator demanded";
    KEY_BLOCK = 0xDF40, "key block";
    PACKAGE_NAME = 0xDF41, "package name";
    PACKAGE_VERSION = 0xDF42, "package version";
    PACKAGE_KIND = 0xDF43, "package kind";
    PACKAGE_SIZE = 0xDF44, "package size";
    PACKAGE_SHA256 = 0xDF45, "package SHA-256";
    OFFSET = 0xDF46, "offset";
    LENGTH_WANTED = 0xDF47, "length wanted";
    DATA = 0xDF48, "data";
    SIGNATURE = 0xDF49, "signature";
    SEALED_MESSAGE = 0xDF4A, "sealed message";
    CERTIFICATION_REQUEST = 0xDF50, "certification request";
    MESSAGE_MAC = 0xDF52, "message MAC";
    ERROR_CODE = 0xDF60, "error code";
    ERROR_TEXT = 0xDF61, "error text";
    KEY_ENTRY = 0xFF21, "key entry";
    PACKAGE_ENTRY = 0xFF22, "package entry";
    REFUSAL_RECORD = 0xFF23, "refusal record";
    APPROVAL = 0xFF24, "approval of a package by the acquirer";
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{:04X} ({name})", self.0),
            None => write!(f, "{:04X}", self.0),
        }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn ranges_end_where_the_specification_says() {
        for (good, bad) in [(0xDF01, 0xDF00), (0xDF7F, 0xDF80), (0xFF21, 0xFF20), (0xFF2F, 0xFF30)] {
            assert_eq!(Tag::new(good).map(Tag::number), Ok(good));
            assert_eq!(Tag::new(bad), Err(Malformed::TagOutOfRange { found: bad }));
        }
        assert_eq!(Tag::new(0), Err(Malformed::TagOutOfRange { found: 0 }));
    }

    #[test]
    fn only_ff_tags_are_templates() {
        assert!(Tag::KEY_ENTRY.is_template());
        assert!(!Tag::KEY_BLOCK.is_template());
    }

    #[test]
    fn every_listed_tag_is_in_range_named_once_and_has_a_bit_of_its_own() {
        let mut bits = 0_u128;
        for tag in Tag::LISTED {
            assert_eq!(Tag::new(tag.number()), Ok(*tag));
            assert!(tag.name().is_some());
            assert_eq!(bits & tag.bit(), 0, "{tag}");
            bits |= tag.bit();
        }
        assert_eq!(Tag::LISTED.len(), 69);
        assert!(Tag::LISTED.is_sorted());
    }

    #[test]
    fn display_names_what_is_listed() {
        assert_eq!(Tag::SERIAL.to_string(), "DF02 (terminal serial)");
        assert_eq!(Tag::new(0xDF7E).unwrap().to_string(), "DF7E");
    }
}
