//! What POSPs send and get, as JSON. Hex is upper case in answers, either case in requests.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A text that is borrowed from the request where JSON allows it.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// One PIN block to translate from a terminal's PIK to a zone's key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TranslateItem<'a> {
    /// The terminal's serial; or name it by `terminal_id`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]{1,32}$", example = "N7-00012345")]
    pub(super) sn: Option<Text<'a>>,
    /// The terminal's id, in place of `sn`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    pub(super) terminal_id: Option<Text<'a>>,
    /// The slot of the TMK under which the PIK came, 0 to 99.
    #[schema(maximum = 99)]
    pub(super) slot: u8,
    /// The card's number, 13 to 19 digits. It is the same on both sides.
    #[serde(borrow)]
    #[schema(value_type = String, pattern = "^[0-9]{13,19}$")]
    pub(super) pan: Cow<'a, str>,
    /// The ISO 9564-1 format of the block that came: 0, 1 or 3 under a PIK of suite 01, 4 under one of suite 02.
    pub(super) from: u8,
    /// The format wanted: 0 or 3 in a TDES zone, 4 in an AES zone.
    pub(super) to: u8,
    /// The PIN block as the terminal sent it: 8 bytes, or 16 in format 4; hex.
    #[serde(borrow)]
    #[schema(value_type = String, pattern = "^([0-9A-Fa-f]{16}){1,2}$")]
    pub(super) pin_block: Cow<'a, str>,
    /// The zone whose key it is to be under.
    #[serde(borrow)]
    #[schema(value_type = String, pattern = "^[A-Za-z0-9._-]{1,32}$")]
    pub(super) zone: Cow<'a, str>,
}

/// One MAC to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MacItem<'a> {
    /// The terminal's serial; or name it by `terminal_id`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]{1,32}$")]
    pub(super) sn: Option<Text<'a>>,
    /// The terminal's id, in place of `sn`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    pub(super) terminal_id: Option<Text<'a>>,
    /// The slot of the TMK under which the MAK came, 0 to 99.
    #[schema(maximum = 99)]
    pub(super) slot: u8,
    /// What the MAC is over: 1 to 65 536 bytes, base64; all data of a batch together 512 KiB.
    #[serde(borrow)]
    #[schema(value_type = String, min_length = 4, max_length = 87384)]
    pub(super) data: Cow<'a, str>,
}

/// One MAC to check.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MacCheckItem<'a> {
    /// The terminal's serial; or name it by `terminal_id`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]{1,32}$")]
    pub(super) sn: Option<Text<'a>>,
    /// The terminal's id, in place of `sn`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    pub(super) terminal_id: Option<Text<'a>>,
    /// The slot of the TMK under which the MAK came, 0 to 99.
    #[schema(maximum = 99)]
    pub(super) slot: u8,
    /// What the MAC is over: 1 to 65 536 bytes, base64; all data of a batch together 512 KiB.
    #[serde(borrow)]
    #[schema(value_type = String, min_length = 4, max_length = 87384)]
    pub(super) data: Cow<'a, str>,
    /// The MAC that came: 8 bytes under a MAK of suite 01, 16 under one of suite 02; hex.
    #[serde(borrow)]
    #[schema(value_type = String, pattern = "^([0-9A-Fa-f]{16}){1,2}$")]
    pub(super) mac: Cow<'a, str>,
}

/// Up to 1 024 items, answered in order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch<T> {
    /// The items.
    #[schema(min_items = 1, max_items = 1024)]
    pub(super) items: Vec<T>,
}

/// Up to 1 000 terminals and the names that they are to have: one act of the store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTerminals {
    /// The terminals.
    #[schema(min_items = 1, max_items = 1000)]
    pub(super) items: Vec<NewTerminal>,
}

/// A translated PIN block.
#[derive(Serialize, ToSchema)]
pub(super) struct Translated {
    /// 8 bytes, or 16 in format 4; hex.
    pub(super) pin_block: String,
}

/// A MAC.
#[derive(Serialize, ToSchema)]
pub(super) struct Mac {
    /// 8 bytes under a MAK of suite 01, 16 under one of suite 02; hex.
    pub(super) mac: String,
}

/// Whether a MAC is right.
#[derive(Serialize, ToSchema)]
pub(super) struct Checked {
    /// True when it is.
    pub(super) ok: bool,
}

/// What became of each item of a batch, in order.
#[derive(Serialize, ToSchema)]
pub(super) struct Results {
    /// One for each item.
    pub(super) results: Vec<ItemResult>,
}

/// What became of one item. One bad item does not spoil the others.
#[derive(Default, Serialize, ToSchema)]
pub(super) struct ItemResult {
    /// Whether it was done; for a check, whether the MAC is right.
    pub(super) ok: bool,
    /// The translated PIN block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pin_block: Option<String>,
    /// The MAC made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mac: Option<String>,
    /// Why not: `pin-block`, `wrong-mac`, `no-working-key`, `working-key-expired`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'static str>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
}

/// A terminal's SIGN_IN that came inside the POSP's own message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignInRequest<'a> {
    /// The payload of SIGN_IN (2-wire.md section 3, type 41), hex; without the frame's length.
    #[serde(borrow)]
    #[schema(value_type = String, pattern = "^([0-9A-Fa-f]{2})+$")]
    pub(super) sign_in: Cow<'a, str>,
}

/// New working keys for the terminal. The old ones stay valid until the terminal has confirmed.
#[derive(Serialize, ToSchema)]
pub(super) struct WorkingKeys {
    /// The payload of WORKING_KEYS (type 42), hex.
    pub(super) working_keys: String,
    /// The same key blocks one by one, for a POSP whose message has a field for each.
    pub(super) blocks: Vec<WorkingKeyBlock>,
}

/// One working key under the terminal's TMK.
#[derive(Serialize, ToSchema)]
pub(super) struct WorkingKeyBlock {
    /// `PIK`, `MAK` or `TDK`.
    pub(super) kind: &'static str,
    /// The X9.143 key block.
    pub(super) block: String,
}

/// A terminal's SIGN_IN_CONFIRM that came inside the POSP's own message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmRequest<'a> {
    /// The payload of SIGN_IN_CONFIRM (type 43), hex.
    #[serde(borrow)]
    #[schema(value_type = String, pattern = "^([0-9A-Fa-f]{2})+$")]
    pub(super) sign_in_confirm: Cow<'a, str>,
    /// The terminal's serial; or name it by `terminal_id`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9._-]{1,32}$")]
    pub(super) sn: Option<Text<'a>>,
    /// The terminal's id, in place of `sn`.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    pub(super) terminal_id: Option<Text<'a>>,
    /// The slot of its SIGN_IN.
    #[schema(maximum = 99)]
    pub(super) slot: u8,
}

/// The answer that the terminal waits for.
#[derive(Serialize, ToSchema)]
pub(super) struct Done {
    /// The payload of DONE (type 06), hex.
    pub(super) done: String,
}

/// What a POSP calls a terminal.
#[derive(Serialize, ToSchema)]
pub(super) struct Terminal {
    /// The serial.
    pub(super) sn: String,
    /// The terminal id.
    pub(super) terminal_id: String,
    /// The merchant id; empty where there is none.
    pub(super) merchant_id: String,
}

/// Terminals that were looked up.
#[derive(Serialize, ToSchema)]
pub(super) struct Terminals {
    /// In the order of their serials.
    pub(super) terminals: Vec<Terminal>,
}

/// Names to be given to terminals.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTerminal {
    /// The serial of a terminal that the server knows.
    pub(super) sn: String,
    /// The terminal id, 1 to 64 characters, unique.
    pub(super) terminal_id: String,
    /// The merchant id, up to 64 characters.
    #[serde(default)]
    pub(super) merchant_id: String,
}

/// Why a whole request was refused.
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// The error.
    pub(super) error: ErrorText,
}

/// A code for programs, a text for people.
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorText {
    /// Stays the same while texts get better.
    pub(super) code: &'static str,
    /// What is wrong, and what to do.
    pub(super) text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_borrowed_unless_json_escapes_them() {
        let json = br#"{"sn":"SN-1","slot":1,"pan":"4111111111111111","from":0,"to":3,"pin_block":"00","zone":"a\/b"}"#;
        let item: TranslateItem<'_> = serde_json::from_slice(json).unwrap();
        assert!(matches!(item.sn, Some(Text(Cow::Borrowed("SN-1")))));
        assert!(matches!(item.pan, Cow::Borrowed(_)));
        assert_eq!(item.zone, "a/b");
        assert!(item.terminal_id.is_none());
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let json = br#"{"items":[],"more":1}"#;
        assert!(serde_json::from_slice::<Batch<NewTerminal>>(json).is_err());
    }
}
