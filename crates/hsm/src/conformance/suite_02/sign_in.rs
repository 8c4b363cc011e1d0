//! Flow F of suite 02: the suite plays a terminal that signs in, its MACs and its PINs.

use paycrypto::{
    AesKey,
    ec::{
        blocks,
        keys::{Mak, Pik, Tdk, Tmk},
    },
};

use super::{
    super::{ExchangeAes, OWNER, PAD, refused},
    exchange::imported,
    peer::context,
};
use crate::{
    Hsm, KeyBlock, Refusal,
    commands::{
        ConfirmSignInEc, Held, MAX_FRAME, MacAnswer, MacItem, MacOutcome, MakeWorkingKeysEc, ReleasedKeyEc,
        TerminalMacs,
    },
};

const PLACE: &str = "SN-1001/03";
const SIGN_IN: &[u8] = b"sign-in";
const NONCE: [u8; 32] = [0x81; 32];

pub(super) async fn run(hsm: &impl Hsm, exchange: &ExchangeAes) {
    let terminal = Terminal::prepare(hsm, exchange).await;
    terminal.it_gets_its_working_keys(hsm).await;
    terminal.a_sign_in_is_confirmed_by_its_mac_key(hsm).await;
    terminal.macs_are_made_and_checked(hsm).await;
    terminal.no_mac_is_made_of_a_confirmation(hsm).await;
    terminal.what_is_out_of_range_is_refused(hsm).await;
}

/// A terminal with a TMK of suite 02.
pub(super) struct Terminal {
    tmk: Tmk,
    held: KeyBlock,
}

impl Terminal {
    pub(super) async fn prepare(hsm: &impl Hsm, exchange: &ExchangeAes) -> Self {
        let tmk = Tmk::generate().unwrap();
        let held = imported(hsm, exchange, Held::Tmk { slot: 3 }, tmk.expose()).await.block;
        Self { tmk, held }
    }

    fn sign_in(&self) -> MakeWorkingKeysEc {
        MakeWorkingKeysEc {
            tmk: self.held.clone(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            slot: 3,
            transcript: SIGN_IN.to_vec(),
            tdk: false,
            avoid: vec![],
        }
    }

    /// A PIK in clear and its block.
    pub(super) async fn pik(&self, hsm: &impl Hsm) -> (Pik, KeyBlock) {
        let keys = hsm.call(self.sign_in()).await.unwrap();
        (blocks::unwrap(&self.tmk, &keys[0].wrapped, PLACE, &after(&[])).unwrap(), keys[0].block.clone())
    }

    /// A MAK in clear, and the blocks of PIK and MAK.
    async fn mak(&self, hsm: &impl Hsm) -> (Mak, Vec<ReleasedKeyEc>) {
        let keys = hsm.call(self.sign_in()).await.unwrap();
        let [_, mak] = keys.as_slice() else { panic!("{} keys", keys.len()) };
        (blocks::unwrap(&self.tmk, &mak.wrapped, PLACE, &after(&keys[..1])).unwrap(), keys)
    }

    async fn it_gets_its_working_keys(&self, hsm: &impl Hsm) {
        let keys = hsm.call(MakeWorkingKeysEc { tdk: true, ..self.sign_in() }).await.unwrap();
        let [pik, mak, tdk] = keys.as_slice() else { panic!("{} keys", keys.len()) };
        let pik_clear: Pik = blocks::unwrap(&self.tmk, &pik.wrapped, PLACE, &after(&[])).unwrap();
        let mak_clear: Mak = blocks::unwrap(&self.tmk, &mak.wrapped, PLACE, &after(&keys[..1])).unwrap();
        let tdk_clear: Tdk = blocks::unwrap(&self.tmk, &tdk.wrapped, PLACE, &after(&keys[..2])).unwrap();
        let clear = [(pik_clear.kcv(), pik.kcv), (mak_clear.kcv(), mak.kcv), (tdk_clear.kcv(), tdk.kcv)];
        assert!(clear.iter().all(|(found, told)| found == told));
        assert_eq!(AesKey::from_bytes(pik_clear.expose()).unwrap().kcv(), pik.kcv, "CMAC over zeros");
        let alone = blocks::unwrap::<Mak, _>(&self.tmk, &mak.wrapped, PLACE, &after(&[]));
        assert!(alone.is_err(), "bound to the block before it");
        assert!(pik.kcv != mak.kcv && mak.kcv != tdk.kcv && pik.kcv != tdk.kcv);
        let (_, other) = self.mak(hsm).await;
        assert_ne!(other[0].kcv, pik.kcv, "each sign-in has keys of its own");
    }

    async fn a_sign_in_is_confirmed_by_its_mac_key(&self, hsm: &impl Hsm) {
        let (mak, keys) = self.mak(hsm).await;
        let said = [b"OK".as_slice(), &NONCE, &keys[0].kcv, &keys[1].kcv].concat();
        let good = confirm(&keys, mak.mac(&said));
        let done = hsm.call(good.clone()).await.unwrap();
        assert_eq!(done, mak.mac(&[b"DONE".as_slice(), &NONCE].concat()));

        let (_, others) = self.mak(hsm).await;
        for bad in [
            ConfirmSignInEc { mac: [0; 16], ..good.clone() },
            ConfirmSignInEc { mac: done, ..good.clone() },
            ConfirmSignInEc { nonce: [2; 32], ..good.clone() },
            ConfirmSignInEc { kcvs: good.kcvs.iter().rev().copied().collect(), ..good.clone() },
            ConfirmSignInEc { kcvs: [good.kcvs.as_slice(), &[[0; 5]]].concat(), ..good.clone() },
            ConfirmSignInEc { mak: others[1].block.clone(), ..good.clone() },
        ] {
            refused(hsm.call(bad).await, |r| *r == Refusal::NotProven);
        }
        for count in [0, 1, 4] {
            let bad = ConfirmSignInEc { kcvs: vec![[0; 5]; count], ..good.clone() };
            refused(hsm.call(bad).await, malformed);
        }
        let as_mak = ConfirmSignInEc { mak: keys[0].block.clone(), ..good.clone() };
        refused(hsm.call(as_mak).await, |r| matches!(r, Refusal::WrongUse { .. }));
        let other_slot = ConfirmSignInEc { slot: 4, ..good };
        refused(hsm.call(other_slot).await, |r| matches!(r, Refusal::WrongPlace { .. }));
    }

    async fn macs_are_made_and_checked(&self, hsm: &impl Hsm) {
        let (mak, keys) = self.mak(hsm).await;
        let data = b"0200 a purchase".as_slice();
        let right = mak.mac(data).to_vec();
        let mut wrong = right.clone();
        wrong[15] ^= 1;
        let block = &keys[1].block;
        let items = vec![
            item(block, data, None),
            item(block, data, Some(right.clone())),
            item(block, data, Some(wrong)),
            item(block, data, Some(right[..8].to_vec())),
            item(&keys[0].block, data, None),
        ];
        let outcomes = macs(hsm, items).await;
        assert_eq!(
            outcomes[..4],
            [MacAnswer::Made(right), MacAnswer::Right, MacAnswer::Wrong, MacAnswer::Wrong].map(Ok)
        );
        assert!(matches!(outcomes[4], Err(Refusal::WrongUse { .. })), "a PIN key makes no MAC");
    }

    async fn no_mac_is_made_of_a_confirmation(&self, hsm: &impl Hsm) {
        let (mak, keys) = self.mak(hsm).await;
        let confirm = [b"OK".as_slice(), &NONCE, &keys[0].kcv, &keys[1].kcv].concat();
        let done = [b"DONE".as_slice(), &NONCE].concat();
        for data in [confirm, done] {
            let block = &keys[1].block;
            let right = mak.mac(&data).to_vec();
            let outcomes = macs(hsm, vec![item(block, &data, None), item(block, &data, Some(right))]).await;
            assert!(matches!(outcomes[0], Err(Refusal::Malformed { .. })));
            assert_eq!(outcomes[1], Ok(MacAnswer::Right));
        }
        // What suite 01 confirms with is a message like any other here.
        let shorter = macs(hsm, vec![item(&keys[1].block, b"DONE12345678", None)]).await;
        assert!(shorter[0].is_ok());
    }

    async fn what_is_out_of_range_is_refused(&self, hsm: &impl Hsm) {
        for bad in [
            MakeWorkingKeysEc { transcript: vec![], ..self.sign_in() },
            MakeWorkingKeysEc { transcript: vec![0; MAX_FRAME + 1], ..self.sign_in() },
            MakeWorkingKeysEc { slot: 100, ..self.sign_in() },
            MakeWorkingKeysEc { pin_pad: "a serial".into(), ..self.sign_in() },
        ] {
            refused(hsm.call(bad).await, malformed);
        }
        let other_slot = MakeWorkingKeysEc { slot: 4, ..self.sign_in() };
        refused(hsm.call(other_slot).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        let foreign = MakeWorkingKeysEc { owner: "ACQ-2".into(), ..self.sign_in() };
        refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
        let (_, keys) = self.mak(hsm).await;
        let misused = MakeWorkingKeysEc { tmk: keys[0].block.clone(), ..self.sign_in() };
        refused(hsm.call(misused).await, |r| matches!(r, Refusal::WrongUse { .. }));
    }
}

fn confirm(keys: &[ReleasedKeyEc], mac: [u8; 16]) -> ConfirmSignInEc {
    ConfirmSignInEc {
        mak: keys[1].block.clone(),
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        slot: 3,
        nonce: NONCE,
        kcvs: keys.iter().map(|key| key.kcv).collect(),
        mac,
    }
}

async fn macs(hsm: &impl Hsm, items: Vec<MacItem>) -> Vec<MacOutcome> {
    hsm.call(TerminalMacs { owner: OWNER.into(), items }).await.unwrap()
}

fn item(mak: &KeyBlock, data: &[u8], mac: Option<Vec<u8>>) -> MacItem {
    MacItem { pin_pad: PAD.into(), slot: 3, mak: mak.clone(), data: data.to_vec().into(), mac }
}

/// Optional block `11`: over SIGN_IN and the blocks before.
fn after(before: &[ReleasedKeyEc]) -> [u8; 16] {
    let blocks = before.iter().flat_map(|key| key.wrapped.bytes());
    context(&SIGN_IN.iter().copied().chain(blocks).collect::<Vec<u8>>())
}

fn malformed(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Malformed { .. })
}
