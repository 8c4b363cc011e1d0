//! The codes of 2-wire.md section 8.

use core::fmt;

macro_rules! codes {
    ($($variant:ident = $number:literal, $meaning:literal, $text:literal;)*) => {
        /// What one side tells the other when it refuses (DF60). Coarse by intent: the exact reason is for the audit.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum ErrorCode {
            $(#[doc = concat!("`", stringify!($number), "`: ", $meaning, ".")]
            $variant = $number,)*
        }

        impl ErrorCode {
            /// Every code, in order.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant),*];

            /// The code with this number; nothing for one that section 8 does not list.
            pub fn from_number(number: u16) -> Option<ErrorCode> {
                match number {
                    $($number => Some(ErrorCode::$variant),)*
                    _ => None,
                }
            }

            /// The meaning, in the words of section 8.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $meaning,)*
                }
            }

            /// What happened and what to do next, for a person: fits into DF61 and says nothing secret.
            pub fn text(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $text,)*
                }
            }
        }
    };
}

codes! {
    Internal = 0x0001, "internal",
        "internal error at the other side; try again, then see its log";
    Malformed = 0x0002, "malformed",
        "the message could not be read; the two sides may have different versions";
    UnexpectedMessage = 0x0003, "unexpected message",
        "this message was not expected now; start the flow again";
    UnknownTerminal = 0x0004, "unknown terminal",
        "this terminal is not on the list; check its serial";
    ServerAuthenticationFailed = 0x0005, "server authentication failed",
        "the server could not prove who it is; check address and certificates";
    TerminalAuthenticationFailed = 0x0006, "terminal authentication failed",
        "the terminal could not prove who it is; check that it was collected here";
    KeyRefused = 0x0007, "key refused",
        "the key was refused; the old one stays in use, try the download again";
    NotPermittedNow = 0x0008, "not permitted now",
        "not permitted in this state; see the terminal's status and the policy";
    SuiteNotSupported = 0x0009, "suite not supported",
        "this cryptographic suite is not supported here; choose another";
    Timeout = 0x000A, "timeout",
        "nothing arrived in time; check the link and try again";
    Busy = 0x000B, "busy, try later",
        "busy, or another attempt was faster; try again later";
    NoKeyForSlot = 0x000C, "no key for this slot",
        "there is no key for this slot; check the slot's number";
    CertificateRefused = 0x000D, "certificate refused",
        "the certificate was refused; check chain, dates, role and revocation";
}

impl ErrorCode {
    /// The number on the wire.
    pub fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X} {}", self.number(), self.meaning())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;
    use crate::limits::MAX_ERROR_TEXT;

    #[test]
    fn codes_run_from_0001_to_000d() {
        assert_eq!(ErrorCode::from_number(0), None);
        for number in 1..=0x000D {
            assert_eq!(ErrorCode::from_number(number).map(ErrorCode::number), Some(number));
        }
        assert_eq!(ErrorCode::from_number(0x000E), None);
        assert_eq!(ErrorCode::ALL.len(), 13);
    }

    #[test]
    fn every_text_fits_into_df61() {
        for code in ErrorCode::ALL {
            assert!(code.text().len() <= MAX_ERROR_TEXT, "{code}");
        }
    }

    #[test]
    fn display_gives_number_and_meaning() {
        assert_eq!(ErrorCode::CertificateRefused.to_string(), "000D certificate refused");
    }
}
