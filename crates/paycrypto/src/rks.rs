//! AT, TK1, TK2 and TK of flow C: what the RKS gives the device, and how the device proves that it could open it
//! (1-systems.md, system C, steps 6–8; 2-wire.md section 4).

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::hygiene::PoorKey;
use crate::keys::RksTk;
use crate::{Error, TdesKey, digest, random};

/// Bytes of AT, of TK1 and of TK2.
pub const PART: usize = 24;

/// Bytes of AT ‖ TK1 in clear.
pub const TOKEN: usize = 2 * PART;

/// Bytes of a proof in clear: AT ‖ TK2 ‖ SHA-256(TK).
pub const PROOF: usize = 2 * PART + digest::SHA256;

/// How many TK2 in a row may make a poor TK before the random source is called broken.
const MAX_TRIES: usize = 8;

/// AT ‖ TK1, one for each run of the flow. Both random; TK1 is a part of a key and has no parity.
pub struct AtTk1(Box<Parts>);

/// On the heap, so that moving a token leaves no copy behind.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Parts {
    at: [u8; PART],
    tk1: [u8; PART],
}

/// What a device makes of an [`AtTk1`]: the key that loads its keys, and the proof for the RKS, 80 bytes in clear.
#[derive(Debug)]
pub struct Proof {
    /// TK = TK1 ⊕ TK2.
    pub tk: RksTk,
    clear: Zeroizing<Vec<u8>>,
}

/// Why a proof proves nothing. The peer gets one code for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofDefect {
    /// Not 80 bytes.
    #[error("the proof has not {PROOF} bytes")]
    Length,
    /// Another AT than the one that was sent.
    #[error("AT is not the one that was sent")]
    At,
    /// The hash is not that of TK1 ⊕ TK2.
    #[error("the hash is not that of TK1 and TK2")]
    Hash,
    /// TK1 ⊕ TK2 must not be used.
    #[error("TK is refused: {0}")]
    PoorTk(PoorKey),
}

impl std::fmt::Debug for AtTk1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AtTk1")
    }
}

impl AtTk1 {
    /// Makes both parts.
    ///
    /// # Errors
    /// [`Error::RandomStuck`], [`Error::RandomUnavailable`].
    pub fn generate() -> Result<Self, Error> {
        let mut parts = Box::new(Parts { at: [0; PART], tk1: [0; PART] });
        random::fill(&mut parts.at)?;
        random::fill(&mut parts.tk1)?;
        Ok(Self(parts))
    }

    /// Takes the two parts. The caller wipes the originals.
    pub fn from_parts(at: &[u8; PART], tk1: &[u8; PART]) -> Self {
        let mut parts = Box::new(Parts { at: [0; PART], tk1: [0; PART] });
        parts.at.copy_from_slice(at); // filled in their place on the heap
        parts.tk1.copy_from_slice(tk1);
        Self(parts)
    }

    /// Reads AT ‖ TK1; nothing for anything but 48 bytes.
    pub fn from_clear(clear: &[u8]) -> Option<Self> {
        let (at, tk1) = clear.split_first_chunk::<PART>()?;
        Some(Self::from_parts(at, tk1.try_into().ok()?))
    }

    /// AT ‖ TK1 in clear.
    pub fn to_clear(&self) -> Zeroizing<Vec<u8>> {
        let mut clear = Zeroizing::new(Vec::with_capacity(TOKEN));
        clear.extend_from_slice(&self.0.at);
        clear.extend_from_slice(&self.0.tk1);
        clear
    }

    /// AT. The caller wipes every copy that it makes.
    pub fn at(&self) -> &[u8; PART] {
        &self.0.at
    }

    /// TK1. The caller wipes every copy that it makes.
    pub fn tk1(&self) -> &[u8; PART] {
        &self.0.tk1
    }

    /// The device's side: makes TK2 such that TK has no weak or equal parts, and the proof.
    ///
    /// # Errors
    /// [`Error::RandomStuck`], [`Error::RandomUnavailable`]; [`Error::RandomPoor`] when every TK2 made a poor TK.
    pub fn prove(&self) -> Result<Proof, Error> {
        for _ in 0..MAX_TRIES {
            let mut tk2 = Zeroizing::new([0; PART]);
            random::fill(&mut *tk2)?;
            match self.prove_with(&tk2) {
                Err(Error::Poor(_)) => {}
                made => return made,
            }
        }
        Err(Error::RandomPoor)
    }

    /// As [`AtTk1::prove`] with a TK2 that is given, for recorded runs.
    ///
    /// # Errors
    /// [`Error::Poor`] when TK has weak or equal parts.
    pub fn prove_with(&self, tk2: &[u8; PART]) -> Result<Proof, Error> {
        let tk = self.tk(tk2)?;
        let mut clear = Zeroizing::new(Vec::with_capacity(PROOF));
        clear.extend_from_slice(&self.0.at);
        clear.extend_from_slice(tk2);
        clear.extend_from_slice(&digest::sha256(tk.expose()));
        Ok(Proof { tk: RksTk::from_key(tk)?, clear })
    }

    /// The server's side: checks AT and the hash in constant time, then TK itself, and gives TK.
    ///
    /// # Errors
    /// The first [`ProofDefect`] found, in the order of the enum.
    pub fn check(&self, proof: &[u8]) -> Result<RksTk, ProofDefect> {
        let (at, rest) = proof.split_first_chunk::<PART>().ok_or(ProofDefect::Length)?;
        let (tk2, hash) = rest.split_first_chunk::<PART>().ok_or(ProofDefect::Length)?;
        if hash.len() != digest::SHA256 {
            return Err(ProofDefect::Length);
        }
        if !bool::from(at.ct_eq(&self.0.at)) {
            return Err(ProofDefect::At);
        }
        let tk = self.tk(tk2).map_err(|_| ProofDefect::Length)?;
        if !bool::from(digest::sha256(tk.expose()).as_slice().ct_eq(hash)) {
            return Err(ProofDefect::Hash);
        }
        RksTk::from_key(tk).map_err(|error| match error {
            Error::Poor(poor) => ProofDefect::PoorTk(poor),
            _ => ProofDefect::Length,
        })
    }

    /// TK1 ⊕ TK2, not judged.
    fn tk(&self, tk2: &[u8; PART]) -> Result<TdesKey, Error> {
        let mut tk = Zeroizing::new(self.0.tk1);
        for (to, from) in tk.iter_mut().zip(tk2) {
            *to ^= from;
        }
        TdesKey::from_bytes(&*tk)
    }
}

impl Proof {
    /// AT ‖ TK2 ‖ SHA-256(TK), for OAEP under the RKS's work key.
    pub fn clear(&self) -> &[u8] {
        &self.clear
    }

    /// TK alone; the proof is wiped.
    pub fn into_tk(self) -> RksTk {
        self.tk
    }
}
