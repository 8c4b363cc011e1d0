//! The bare operations of suite 02, by aws-lc-rs alone, one thread for each processor.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree},
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};

use crate::{measure::Rate, report::processors};

/// Bytes that a bare AES-GCM seals: a factor.
const SEALED: usize = 16;

/// One bare operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// An ephemeral key made, and Z.
    KeyAndEcdh,
    /// Z with a key that is there.
    Ecdh,
    /// A signature of 64 bytes.
    Sign,
    /// HKDF: one extraction, one key.
    Hkdf,
    /// AES-256-GCM under a new key.
    Gcm,
    /// An ephemeral key made, Z, and a signature: what no RKS of suite 02 can save.
    KeyEcdhAndSign,
}

/// What the operations work with.
struct Bench {
    own: PrivateKey,
    peer: Vec<u8>,
    signer: EcdsaKeyPair,
}

/// So many of these a second.
pub(super) fn bare(operation: Operation, time: Duration) -> Result<Rate> {
    let started = Instant::now();
    let done: Result<u64> = thread::scope(|scope| {
        let all: Vec<_> = (0..processors())
            .map(|_| {
                scope.spawn(|| {
                    let (bench, mut done) = (Bench::new()?, 0_u64);
                    while started.elapsed() < time {
                        bench.once(operation)?;
                        done += 1;
                    }
                    Ok(done)
                })
            })
            .collect();
        all.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?).sum()
    });
    Ok(Rate { done: done?, time: started.elapsed() })
}

impl Bench {
    fn new() -> Result<Bench> {
        let peer = PrivateKey::generate(&ECDH_P256).map_err(failed)?;
        Ok(Bench {
            own: PrivateKey::generate(&ECDH_P256).map_err(failed)?,
            peer: peer.compute_public_key().map_err(failed)?.as_ref().to_vec(),
            signer: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?,
        })
    }

    fn once(&self, operation: Operation) -> Result<()> {
        match operation {
            Operation::KeyAndEcdh => self.fresh_agreement(),
            Operation::Ecdh => self.agreement(&self.own),
            Operation::Sign => self.sign(),
            Operation::Hkdf => {
                let prk = sign_hmac(&[1; 64], &[2; 64]);
                black_box(sign_hmac(prk.as_ref(), &[3; 64]));
                Ok(())
            }
            Operation::Gcm => {
                let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[4; 32]).map_err(failed)?);
                let mut sealed = vec![5; SEALED];
                let nonce = Nonce::assume_unique_for_key([0; 12]);
                key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).map_err(failed)?;
                black_box(sealed);
                Ok(())
            }
            Operation::KeyEcdhAndSign => {
                self.fresh_agreement()?;
                self.sign()
            }
        }
    }

    fn fresh_agreement(&self) -> Result<()> {
        let ephemeral = PrivateKey::generate(&ECDH_P256).map_err(failed)?;
        black_box(ephemeral.compute_public_key().map_err(failed)?);
        self.agreement(&ephemeral)
    }

    fn agreement(&self, own: &PrivateKey) -> Result<()> {
        let peer = UnparsedPublicKey::new(&ECDH_P256, &self.peer);
        agree(own, peer, anyhow!("no Z"), |z| {
            black_box(z.to_vec());
            Ok(())
        })
    }

    fn sign(&self) -> Result<()> {
        black_box(self.signer.sign(&SystemRandom::new(), &[6; 256]).map_err(failed)?);
        Ok(())
    }
}

fn sign_hmac(key: &[u8], data: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
}

fn failed(_: impl Sized) -> anyhow::Error {
    anyhow!("aws-lc-rs refused a benchmark's operation")
}
