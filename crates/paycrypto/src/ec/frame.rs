//! Sealed messages of flow E: the value of DF4A.
//!
//! `AES-256-GCM(K(frame t or s), nonce = 4 zero bytes ‖ counter (8), aad = direction byte, inner payload)`. Who seals or
//! opens counts: a message that was sent again, left out, moved or turned around does not open, and no nonce is used
//! twice.

use zeroize::Zeroizing;

use super::Secret32;
use super::aead::{GcmKey, TAG};
use crate::Error;
use crate::seal::{INNER_MAX, NotAuthentic};

macro_rules! directions {
    ($($(#[$doc:meta])* $name:ident = $direction:literal;)*) => {$(
        $(#[$doc])*
        pub struct $name(Secret32);

        impl $name {
            pub(super) fn new(key: Secret32) -> Self {
                Self(key)
            }

            /// Takes the key of worked values; a session's own comes from its [`Schedule`](super::Schedule). The caller
            /// wipes its copy.
            pub fn from_bytes(key: &[u8; 32]) -> Self {
                Self(super::secret(key))
            }

            /// For the side that sends: `next` is the number of the next message, 0 in a new session. Who goes on with
            /// a session gives a number above every one that was used: a nonce used twice gives the key away.
            ///
            /// # Errors
            /// [`Error::Seal`] when the library refuses the key.
            pub fn sealing(self, next: u64) -> Result<FrameSealer, Error> {
                GcmKey::new(&self.0).map(|key| FrameSealer { key, direction: $direction, next })
            }

            /// For the side that receives: `next` is the number of the message that must come next.
            ///
            /// # Errors
            /// [`Error::Seal`] when the library refuses the key.
            pub fn opening(self, next: u64) -> Result<FrameOpener, Error> {
                GcmKey::new(&self.0).map(|key| FrameOpener { key, direction: $direction, next })
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

directions! {
    /// K(frame t): what the terminal sends.
    FrameTerminal = 0;
    /// K(frame s): what the server sends.
    FrameServer = 1;
}

/// Seals one direction's messages, one number each.
pub struct FrameSealer {
    key: GcmKey,
    direction: u8,
    next: u64,
}

impl FrameSealer {
    /// Seals the next message.
    ///
    /// # Errors
    /// [`Error::MessageTooLong`] above [`INNER_MAX`]; [`Error::Seal`] also when the counter is used up.
    pub fn seal(&mut self, inner: &[u8]) -> Result<Vec<u8>, Error> {
        if inner.len() > INNER_MAX {
            return Err(Error::MessageTooLong);
        }
        // Counted up before the nonce is used: one that failed is not used again.
        let counter = self.next;
        self.next = counter.checked_add(1).ok_or(Error::Seal)?;
        self.key.seal(nonce(counter), &[self.direction], inner)
    }

    /// Number of the next message, for who keeps a session.
    pub fn next(&self) -> u64 {
        self.next
    }
}

/// Opens one direction's messages in order.
pub struct FrameOpener {
    key: GcmKey,
    direction: u8,
    next: u64,
}

impl FrameOpener {
    /// Opens the message that must come next.
    ///
    /// # Errors
    /// [`NotAuthentic`], whatever is wrong; the same message is still the next one.
    pub fn open(&mut self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
        if sealed.len() > INNER_MAX + TAG {
            return Err(NotAuthentic);
        }
        let after = self.next.checked_add(1).ok_or(NotAuthentic)?;
        let inner = self.key.open(nonce(self.next), &[self.direction], sealed).map_err(|_| NotAuthentic)?;
        self.next = after;
        Ok(inner)
    }

    /// Number of the message that must come next, for who keeps a session.
    pub fn next(&self) -> u64 {
        self.next
    }
}

macro_rules! debug {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).field("next", &self.next).finish_non_exhaustive()
            }
        }
    )*};
}

debug!(FrameSealer, FrameOpener);

/// 4 zero bytes ‖ counter.
fn nonce(counter: u64) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = counter.to_be_bytes();
    [0, 0, 0, 0, a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ec::secret;

    fn pair() -> (FrameSealer, FrameOpener) {
        let key = || FrameTerminal::new(secret(&[7; 32]));
        (key().sealing(0).unwrap(), key().opening(0).unwrap())
    }

    /// `frame` of `vectors/ec-suite.json`.
    #[test]
    fn a_frame_seals_to_the_worked_bytes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/ec-suite.json");
        let vectors: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let frame = &vectors["frame"];
        let bytes = |name: &str| -> Vec<u8> {
            let text = frame[name].as_str().unwrap();
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        assert_eq!((&frame["counter"], &frame["direction"]), (&0.into(), &0.into()));
        let key: [u8; 32] = bytes("key").try_into().unwrap();
        let sealed = FrameTerminal::new(secret(&key)).sealing(0).unwrap().seal(&bytes("inner")).unwrap();
        assert_eq!(sealed, bytes("df4a"));
        let opened = FrameTerminal::new(secret(&key)).opening(0).unwrap().open(&sealed).unwrap();
        assert_eq!(opened.as_slice(), bytes("inner"));
        let turned = FrameServer::new(secret(&key)).opening(0).unwrap().open(&sealed);
        assert_eq!(turned.err(), Some(NotAuthentic), "under the same key, the direction alone refuses it");
    }

    #[test]
    fn frames_open_once_in_order_and_unchanged() {
        let (mut sealer, mut opener) = pair();
        let sealed: Vec<_> = (0..3).map(|_| sealer.seal(b"the same").unwrap()).collect();
        assert_ne!(sealed[0], sealed[1]);
        assert_eq!(opener.open(&sealed[1]).err(), Some(NotAuthentic), "left out");
        assert_eq!(opener.open(&sealed[0]).unwrap().as_slice(), b"the same");
        assert_eq!(opener.open(&sealed[0]).err(), Some(NotAuthentic), "doubled");
        let mut changed = sealed[1].clone();
        changed[0] ^= 1;
        assert_eq!(opener.open(&changed).err(), Some(NotAuthentic));
        assert_eq!(opener.open(&[sealed[1].as_slice(), &sealed[2]].concat()).err(), Some(NotAuthentic));
        assert_eq!(opener.open(&sealed[1][..15]).err(), Some(NotAuthentic), "shorter than a tag");
        assert_eq!(opener.open(&sealed[1]).unwrap().as_slice(), b"the same");
        assert_eq!((sealer.next(), opener.next()), (3, 2));
    }

    #[test]
    fn payloads_and_counters_end_where_they_say() {
        let (mut sealer, mut opener) = pair();
        let longest = vec![1; INNER_MAX];
        assert_eq!(opener.open(&sealer.seal(&longest).unwrap()).unwrap().as_slice(), longest);
        assert_eq!(sealer.seal(&vec![1; INNER_MAX + 1]).err(), Some(Error::MessageTooLong));
        assert_eq!(opener.open(&vec![1; INNER_MAX + TAG + 1]).err(), Some(NotAuthentic));
        let mut last = FrameTerminal::new(secret(&[7; 32])).sealing(u64::MAX).unwrap();
        assert_eq!(last.seal(b"").err(), Some(Error::Seal), "no number is left to go on with");
        let mut last = FrameTerminal::new(secret(&[7; 32])).opening(u64::MAX).unwrap();
        assert_eq!(last.open(&[0; 16]).err(), Some(NotAuthentic));
    }
}
