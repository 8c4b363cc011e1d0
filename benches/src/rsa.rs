//! Opening collected transport keys in the HSM, beside the bare RSA private operation on all processors.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{
        KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
        PrivateDecryptingKey,
    },
};
use hsm::{Client, Hsm, commands::CheckCollected};
use paycrypto::{rsa::PublicKey, tk};

use crate::{
    estate::{ACQUIRER, Estate},
    measure::{Rate, Work, repeat},
    terminals::Terminal,
};

/// RSA-2048 OAEP decryptions by aws-lc-rs alone, one thread for each processor.
pub(crate) fn bare(time: Duration) -> Result<Rate> {
    let failed = |_| anyhow!("aws-lc-rs refused a benchmark's key");
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(failed)?;
    let pkcs8: Pkcs8V1Der<'_> = key.as_der().map_err(failed)?;
    let public = OaepPublicEncryptingKey::new(key.public_key()).map_err(failed)?;
    let mut ciphertext = vec![0; public.ciphertext_size()];
    public.encrypt(&OAEP_SHA256_MGF1SHA256, &[7; tk::CLEAR], &mut ciphertext, None).map_err(failed)?;

    let threads = thread::available_parallelism().map_or(1, Into::into);
    let started = Instant::now();
    let done: Result<u64> = thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let key = PrivateDecryptingKey::from_pkcs8(pkcs8.as_ref())
                        .map_err(|_| anyhow!("aws-lc-rs refused its own key"))?;
                    let key = OaepPrivateDecryptingKey::new(key).map_err(failed)?;
                    let mut plaintext = vec![0; key.min_output_size()];
                    let mut done = 0_u64;
                    while started.elapsed() < time {
                        key.decrypt(&OAEP_SHA256_MGF1SHA256, &ciphertext, &mut plaintext, None)
                            .map_err(failed)?;
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

/// `CheckCollected` over the HSM's socket.
pub(crate) async fn through_hsm(estate: &Estate, concurrency: usize, time: Duration) -> Result<Rate> {
    let public = PublicKey::from_spki(estate.work.spki_der())?;
    let ciphertext = Terminal::new("SN-RSA")?.ciphertext(&public)?;
    let command = CheckCollected {
        work_key: estate.work_block.clone(),
        ctk_pu: ciphertext,
        owner: ACQUIRER.to_owned(),
    };
    let worker = |_| Check { hsm: estate.hsm.clone(), command: command.clone() };
    repeat((0..concurrency).map(worker).collect(), time).await
}

struct Check {
    hsm: Client,
    command: CheckCollected,
}

impl Work for Check {
    async fn once(&mut self) -> Result<()> {
        Ok(self.hsm.call(self.command.clone()).await?)
    }
}
