//! What the HSM gives out sealed for its own process alone, so that it need not remember it: AT and TK1 of flow C, DWK
//! and session key of flow E, and what suite 02's flows need from one step to the next.
//!
//! The plaintext begins with `issued (8, milliseconds since the start)`; the seal binds the kind, the PIN pad and the
//! owner. The key lives as long as the process: with it gone, nothing opens, and what was sealed is gone too.

use std::time::{Duration, Instant};

use hsm::Refusal;
use paycrypto::{AesKey, gcm::GcmKey};
use zeroize::Zeroizing;

use crate::HsmSoftError;

/// Bytes in front of the secret.
const ISSUED: usize = 8;

pub(crate) struct ProcessSeal {
    key: GcmKey,
    start: Instant,
}

/// What is sealed, for whom, and how long it lasts.
#[derive(Clone, Copy)]
pub(crate) struct Party<'a> {
    pub(crate) kind: Kind,
    pub(crate) pin_pad: &'a str,
    pub(crate) owner: &'a str,
}

/// No two kinds open as each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The token of flow C.
    RksTicket,
    /// The challenge of flow E.
    TmsTicket,
    /// The session of flow E.
    TmsSession,
    /// Suite 02, flow A: the answer to TK_HELLO.
    DownloadHello,
    /// Suite 02, flow E: the answer to TMS_HELLO.
    TmsHello,
    /// Suite 02, flow C: the answer to RKS_AUTH.
    RksBegun,
    /// Suite 02, flow C: the answer to RKS_FACTOR.
    RksFactor,
    /// Suite 02, flow B: the key of KLD_CONNECT.
    Loading,
    /// Suite 02: keys that were released and not acknowledged yet.
    Released,
    /// Suite 02: the session of flow E.
    TmsSessionEc,
}

impl Kind {
    fn label(self) -> &'static [u8] {
        match self {
            Self::RksTicket => b"KF ticket C",
            Self::TmsTicket => b"KF ticket E",
            Self::TmsSession => b"KF session E",
            Self::DownloadHello => b"KF2 hello A",
            Self::TmsHello => b"KF2 hello E",
            Self::RksBegun => b"KF2 begun C",
            Self::RksFactor => b"KF2 factor C",
            Self::Loading => b"KF2 begun B",
            Self::Released => b"KF2 released",
            Self::TmsSessionEc => b"KF2 session E",
        }
    }

    /// In milliseconds. A challenge not answered in the wire's longest message, and a little, is void.
    fn lifetime(self) -> u64 {
        match self {
            Self::TmsSession | Self::TmsSessionEc => 24 * 3_600_000,
            _ => 330_000,
        }
    }

    /// How long what is sealed opens.
    pub(crate) fn lasts(self) -> Duration {
        Duration::from_millis(self.lifetime())
    }
}

/// Why a seal does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SealDefect {
    /// Another process's, kind's or party's, or changed.
    Foreign,
    /// Too old.
    Expired,
}

impl ProcessSeal {
    pub(crate) fn new() -> Result<Self, HsmSoftError> {
        let key = AesKey::generate32().map_err(|e| HsmSoftError::Random(e.to_string()))?;
        let key = GcmKey::new(&key).map_err(|_| HsmSoftError::Internal("AES key"))?;
        Ok(Self { key, start: Instant::now() })
    }

    pub(crate) fn seal(&self, party: Party<'_>, secret: &[&[u8]]) -> Result<Vec<u8>, Refusal> {
        // Sized beforehand: a vector that grows leaves its old bytes behind.
        let len = secret.iter().map(|part| part.len()).sum::<usize>();
        let mut clear = Zeroizing::new(Vec::with_capacity(ISSUED + len));
        clear.extend_from_slice(&self.now().to_be_bytes());
        secret.iter().for_each(|part| clear.extend_from_slice(part));
        self.key.seal(&party.associated(), &clear).map_err(|e| Refusal::NotMade { why: e.to_string() })
    }

    pub(crate) fn open(&self, party: Party<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealDefect> {
        self.open_issued(party, sealed).map(|(clear, _)| clear)
    }

    /// As [`ProcessSeal::open`]; tells when it was sealed, too, to the millisecond before.
    pub(crate) fn open_issued(
        &self,
        party: Party<'_>,
        sealed: &[u8],
    ) -> Result<(Zeroizing<Vec<u8>>, Instant), SealDefect> {
        let mut clear = self.key.open(&party.associated(), sealed).map_err(|_| SealDefect::Foreign)?;
        let issued = clear.first_chunk::<ISSUED>().map(|issued| u64::from_be_bytes(*issued));
        let issued = issued.ok_or(SealDefect::Foreign)?;
        if self.now().saturating_sub(issued) > party.kind.lifetime() {
            return Err(SealDefect::Expired);
        }
        // The rest moves to the front of the buffer that it was decrypted in: no second copy.
        let len = clear.len() - ISSUED;
        clear.copy_within(ISSUED.., 0);
        clear.truncate(len);
        let issued = self.start.checked_add(Duration::from_millis(issued)).ok_or(SealDefect::Foreign)?;
        Ok((clear, issued))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Party<'_> {
    fn associated(&self) -> Vec<u8> {
        let mut associated = self.kind.label().to_vec();
        for part in [self.pin_pad, self.owner] {
            associated.extend((part.len() as u64).to_be_bytes());
            associated.extend_from_slice(part.as_bytes());
        }
        associated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTY: Party<'_> = Party { kind: Kind::TmsTicket, pin_pad: "SN-1", owner: "ACQ" };

    #[test]
    fn a_seal_opens_for_its_kind_party_and_process_only() {
        let seal = ProcessSeal::new().unwrap();
        let sealed = seal.seal(PARTY, &[b"one ", b"two"]).unwrap();
        assert_eq!(seal.open(PARTY, &sealed).unwrap().as_slice(), b"one two");
        let issued = seal.open_issued(PARTY, &sealed).unwrap().1;
        assert!((seal.start..=Instant::now()).contains(&issued));
        for other in [
            Party { kind: Kind::RksTicket, ..PARTY },
            Party { kind: Kind::TmsSession, ..PARTY },
            Party { kind: Kind::TmsHello, ..PARTY },
            Party { pin_pad: "SN-2", ..PARTY },
            Party { owner: "ACR", ..PARTY },
            Party { pin_pad: "SN-1ACQ", owner: "", ..PARTY },
        ] {
            assert_eq!(seal.open(other, &sealed), Err(SealDefect::Foreign));
        }
        assert_eq!(ProcessSeal::new().unwrap().open(PARTY, &sealed), Err(SealDefect::Foreign));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(PARTY, &changed), Err(SealDefect::Foreign), "byte {at}");
            assert_eq!(seal.open(PARTY, &sealed[..at]), Err(SealDefect::Foreign), "length {at}");
        }
    }

    #[test]
    fn a_seal_ends_with_its_lifetime() {
        let kinds = [Kind::RksTicket, Kind::TmsTicket, Kind::TmsSession, Kind::TmsHello, Kind::Released];
        for kind in kinds.into_iter().chain([Kind::TmsSessionEc]) {
            let mut seal = ProcessSeal::new().unwrap();
            let party = Party { kind, ..PARTY };
            let sealed = seal.seal(party, &[b"secret"]).unwrap();
            let age = |seal: &mut ProcessSeal, ms| {
                seal.start -= Duration::from_millis(ms);
            };
            age(&mut seal, kind.lifetime() / 2);
            assert!(seal.open(party, &sealed).is_ok());
            age(&mut seal, kind.lifetime() / 2 + 1);
            assert_eq!(seal.open(party, &sealed), Err(SealDefect::Expired), "{kind:?}");
        }
    }
}
