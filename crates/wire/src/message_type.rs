//! The message types of 2-wire.md section 3.

use core::fmt;

use crate::Malformed;

macro_rules! message_types {
    ($($variant:ident = $number:literal, $name:literal, $from:literal;)*) => {
        /// The type of a message, by the names of 2-wire.md section 3.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum MessageType {
            $(#[doc = concat!("`", $name, "`, ", $from, ".")]
            $variant = $number,)*
        }

        impl MessageType {
            /// Every type, in the order of section 3.
            pub const ALL: &'static [MessageType] = &[$(MessageType::$variant),*];

            /// The type with this byte.
            ///
            /// # Errors
            /// [`Malformed::UnknownMessageType`], whose code is 0003.
            pub fn from_byte(byte: u8) -> Result<MessageType, Malformed> {
                match byte {
                    $($number => Ok(MessageType::$variant),)*
                    found => Err(Malformed::UnknownMessageType { found }),
                }
            }

            /// The name, as section 3 writes it.
            pub fn name(self) -> &'static str {
                match self {
                    $(MessageType::$variant => $name,)*
                }
            }
        }
    };
}

message_types! {
    TkHello = 0x01, "TK_HELLO", "terminal → KMS";
    TkChallenge = 0x02, "TK_CHALLENGE", "KMS → terminal";
    TkReply = 0x03, "TK_REPLY", "terminal → KMS";
    TkKey = 0x04, "TK_KEY", "KMS → terminal";
    KeyConfirm = 0x05, "KEY_CONFIRM", "the one loaded → the loader";
    Done = 0x06, "DONE", "the loader → the one loaded";
    RksAuth = 0x11, "RKS_AUTH", "device → RKS";
    RksCert = 0x12, "RKS_CERT", "RKS → device";
    RksFactor = 0x13, "RKS_FACTOR", "device → RKS";
    RksToken = 0x14, "RKS_TOKEN", "RKS → device";
    RksProof = 0x15, "RKS_PROOF", "device → RKS";
    RksKeys = 0x16, "RKS_KEYS", "RKS → device";
    KldConnect = 0x21, "KLD_CONNECT", "KLD → terminal";
    KldAccept = 0x22, "KLD_ACCEPT", "terminal → KLD";
    KldKey = 0x23, "KLD_KEY", "KLD → terminal";
    TmsHello = 0x31, "TMS_HELLO", "terminal → TMS";
    TmsChallenge = 0x32, "TMS_CHALLENGE", "TMS → terminal";
    TmsProof = 0x33, "TMS_PROOF", "terminal → TMS";
    TmsKey = 0x34, "TMS_KEY", "TMS → terminal";
    TmsInventory = 0x35, "TMS_INVENTORY", "terminal → TMS, sealed";
    TmsPlan = 0x36, "TMS_PLAN", "TMS → terminal, sealed";
    TmsGet = 0x37, "TMS_GET", "terminal → TMS, sealed";
    TmsData = 0x38, "TMS_DATA", "TMS → terminal, sealed";
    TmsReport = 0x39, "TMS_REPORT", "terminal → TMS, sealed";
    Sealed = 0x3F, "SEALED", "both";
    SignIn = 0x41, "SIGN_IN", "terminal → host";
    WorkingKeys = 0x42, "WORKING_KEYS", "host → terminal";
    SignInConfirm = 0x43, "SIGN_IN_CONFIRM", "terminal → host";
    Collect = 0x51, "COLLECT", "station, or KMS/MTMS after COLLECT_ASK → terminal";
    Collected = 0x52, "COLLECTED", "terminal → who asked";
    CollectAsk = 0x53, "COLLECT_ASK", "terminal → KMS or MTMS";
    RepairChallenge = 0x54, "REPAIR_CHALLENGE", "terminal → station";
    Repair = 0x55, "REPAIR", "station → terminal";
    RepairAsk = 0x56, "REPAIR_ASK", "station → terminal";
    DeviceAsk = 0x57, "DEVICE_ASK", "station or KLD → terminal";
    DeviceRequest = 0x58, "DEVICE_REQUEST", "terminal → station or KLD";
    DeviceCertificate = 0x59, "DEVICE_CERTIFICATE", "station or KLD → terminal";
    Error = 0x7F, "ERROR", "both";
}

impl MessageType {
    /// The byte on the wire.
    pub fn byte(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    #[test]
    fn every_byte_is_a_listed_type_or_refused_with_0003() {
        let mut known = 0;
        for byte in 0..=u8::MAX {
            match MessageType::from_byte(byte) {
                Ok(kind) => {
                    known += 1;
                    assert_eq!(kind.byte(), byte);
                }
                Err(error) => {
                    assert_eq!(error, Malformed::UnknownMessageType { found: byte });
                    assert_eq!(error.code(), ErrorCode::UnexpectedMessage);
                }
            }
        }
        assert_eq!(known, MessageType::ALL.len());
        assert_eq!(known, 38);
    }
}
