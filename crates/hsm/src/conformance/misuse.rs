//! Each key pair does its own work and no other's.

use paycrypto::tk::CheckedTk;

use super::{CONTEXT, Exchange, OWNER, PAD, encrypt, refused};
use crate::{
    Hsm, Refusal,
    commands::{
        CheckCollected, ExportHeld, Held, Load, LoadTerminal, MakeDownloaderKey, MakeRksKey, MakeTlsKey,
        MakeWorkKey, SealRksToken, SignTls, TlsScheme, WorkKey,
    },
};

pub(super) async fn run(hsm: &impl Hsm, exchange: &Exchange) {
    let (bits, subject, owner) = (2048, || "misuse".to_owned(), || OWNER.to_owned());
    let kms = hsm.call(MakeWorkKey { bits, subject: subject(), owner: owner() }).await.unwrap();
    let kld = hsm.call(MakeDownloaderKey { bits, subject: subject(), owner: owner() }).await.unwrap();
    let rks = hsm.call(MakeRksKey { bits, subject: subject(), owner: owner() }).await.unwrap();
    let tls = hsm.call(MakeTlsKey { bits, subject: subject(), owner: owner() }).await.unwrap();
    let clear = CheckedTk::generate().unwrap().to_clear();
    for (at, pair) in [&kms, &kld, &rks, &tls].into_iter().enumerate() {
        let wrong = |r: &Refusal| matches!(r, Refusal::WrongUse { .. });
        if at != 0 {
            let ctk_pu = encrypt(pair, &clear);
            let open = CheckCollected { work_key: pair.private.clone(), ctk_pu, owner: owner() };
            refused(hsm.call(open).await, wrong);
        }
        if at != 1 {
            refused(hsm.call(load(pair)).await, wrong);
        }
        if at != 2 {
            refused(hsm.call(token(pair)).await, wrong);
        }
        if at != 3 {
            let (key, scheme, message) = (pair.private.clone(), TlsScheme::Pkcs1Sha256, b"m".to_vec());
            refused(hsm.call(SignTls { key, owner: owner(), scheme, message }).await, wrong);
        }
        // No pair leaves under an exchange key.
        let export = ExportHeld {
            key: pair.private.clone(),
            what: Held::Dmk,
            pin_pad: PAD.into(),
            under: exchange.block.clone(),
            owner: owner(),
        };
        refused(hsm.call(export).await, wrong);
    }
}

fn load(pair: &WorkKey) -> LoadTerminal {
    LoadTerminal {
        work_key: pair.private.clone(),
        c_rnd1_rnd2: encrypt(pair, &[0x31; 32]),
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        context: CONTEXT,
        load: Load::Dmk { held: None },
        escrow_under: None,
    }
}

fn token(pair: &WorkKey) -> SealRksToken {
    SealRksToken {
        work_key: pair.private.clone(),
        df20: encrypt(pair, b"factor"),
        dik1: None,
        dsn: PAD.into(),
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        factor_digest: None,
        context: CONTEXT,
    }
}
