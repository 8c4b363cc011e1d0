//! What sealing costs against the bare cipher. Prints ratios; run it with `--release`.

#![allow(clippy::print_stdout, reason = "an example that prints its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use paycrypto::keys::{Dwk, SessionKey};
use paycrypto::mac::{self, Padding};
use paycrypto::seal::{self, Direction};

/// One TMS_DATA of the largest piece.
const PAYLOAD: usize = 32_768;
const ROUNDS: usize = 40;

fn main() -> Result<(), paycrypto::Error> {
    let (session, dwk) = (SessionKey::generate()?, Dwk::generate()?);
    let inner = vec![0x5A; PAYLOAD];
    let pass = best(|| session.key().encrypt_cbc(&[0; 8], black_box(&inner)).is_ok());
    let two = best(|| {
        let ciphertext = session.key().encrypt_cbc(&[0; 8], black_box(&inner)).unwrap_or_default();
        mac::iso9797_alg1(dwk.key(), Padding::Two, &ciphertext).is_ok()
    });
    let sealing = best(|| seal::seal(&session, &dwk, Direction::FromTms, 0, black_box(&inner)).is_ok());
    let sealed = seal::seal(&session, &dwk, Direction::FromTms, 0, &inner)?;
    let opening = best(|| seal::open(&session, &dwk, Direction::FromTms, 0, black_box(&sealed)).is_ok());
    println!("bare TDES-CBC: {:.1} MB/s", 32.768e-3 / pass.as_secs_f64());
    println!("CBC, then CBC-MAC: {:.2} of a bare pass", ratio(two, pass));
    println!("seal: {:.2} of a bare pass", ratio(sealing, pass));
    println!("open: {:.2} of a bare pass", ratio(opening, pass));
    Ok(())
}

/// The best of several runs: the others were disturbed.
fn best(mut work: impl FnMut() -> bool) -> Duration {
    let runs = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        assert!(black_box(work()));
        start.elapsed()
    });
    runs.min().unwrap_or_default()
}

fn ratio(of: Duration, to: Duration) -> f64 {
    of.as_secs_f64() / to.as_secs_f64()
}
