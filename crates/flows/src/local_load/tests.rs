//! Both roles in memory, step by step. The cryptography is a toy (`fake`): the real one is tested where it lives.

mod attacks;
mod codes;
mod ec_aes;
mod ec_aes_fields;
mod fake;
mod fields;
mod order;
mod vectors;

use std::vec;

use fake::{KLD_KEY, Kld, Pad, device, kcv, start, until_accept};
use wire::Suite;

use super::{kld::Confirm, terminal::Connect};
use crate::testing::der;

#[test]
fn terminal_gets_the_key_that_the_kld_holds() {
    let (mut pad, kld) = (Pad::new(), Kld::new());
    let (connect, loader) = start().begin().unwrap();
    let asked = Connect::read(&connect).unwrap();
    assert_eq!(asked.suite(), Suite::TDES);
    assert_eq!((&asked.chain().leaf, &asked.chain().intermediates), (&der(70), &vec![der(5), der(6)]));

    let (accept, terminal) = asked.accept(&mut pad, &device(), &KLD_KEY).unwrap();
    let accepted = loader.on_frame(&accept).unwrap();
    assert_eq!(accepted.device(), &device());
    assert_eq!(accepted.context(), pad.context(&accept), "both sides hash the same frames");
    let (key, loader) = kld.deliver(accepted).unwrap();

    assert_eq!(pad.disk, None);
    let (confirm, terminal) = terminal.on_frame(&mut pad, &key).unwrap();
    assert_eq!(pad.disk, Some(("K1".into(), kld.key, None)), "the key is on disk before KEY_CONFIRM leaves");
    assert_eq!(terminal.kcv(), kcv(kld.key));

    let Confirm::Opened(confirmed) = loader.on_frame(&confirm).unwrap().compare() else {
        panic!("check value is right")
    };
    assert_eq!(confirmed.kcvs(), [kcv(kld.key)]);
    let finished = terminal.on_frame(&mut pad, &confirmed.done().unwrap()).unwrap();
    assert_eq!(finished.kcv(), kcv(kld.key));
    assert_eq!(pad.calls, ["accept", "load", "loaded"]);
}

#[test]
fn dik2_travels_with_its_factor_and_dmk_without_one() {
    for (usage, factor) in [("12", Some(b"KLD-7/20261120/B042".to_vec())), ("11", None)] {
        let mut pad = Pad::new();
        let kld = Kld { usage, factor: factor.clone(), key: 0x0F };
        let (terminal, accepted, _) = until_accept(&mut pad);
        let (key, loader) = kld.deliver(accepted).unwrap();
        let (confirm, _) = terminal.on_frame(&mut pad, &key).unwrap();
        assert_eq!(pad.disk, Some((usage.into(), 0x0F, factor)));
        assert!(matches!(loader.on_frame(&confirm).map(crate::Told::compare), Ok(Confirm::Opened(_))));
    }
}
