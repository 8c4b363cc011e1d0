//! Flow F: the suite plays a terminal that signs in, and its MACs.

use paycrypto::{
    blocks, digest,
    keys::{Mak, Pik, Tdk, Tmk},
};

use super::{Exchange, OWNER, PAD, exchange::imported, refused};
use crate::{
    Hsm, HsmError, KeyBlock, Refusal,
    commands::{
        ConfirmSignIn, Held, MAX_FRAME, MAX_ITEMS, MAX_MAC_DATA, MacAnswer, MacItem, MacOutcome,
        MakeWorkingKeys, PikLength, ReleasedKey, TerminalMacs,
    },
};

const PLACE: &str = "SN-1001/03";
const SIGN_IN: &[u8] = b"sign-in";
const RND1: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

pub(super) async fn run(hsm: &impl Hsm, exchange: &Exchange) {
    let tmk = Tmk::generate().unwrap();
    let held = imported(hsm, exchange, Held::Tmk { slot: 3 }, tmk.key()).await.block;
    let terminal = Terminal { tmk, held };
    terminal.it_gets_its_working_keys(hsm).await;
    terminal.a_sign_in_is_confirmed_by_its_mac_key(hsm).await;
    terminal.macs_are_made_and_checked(hsm).await;
    terminal.no_mac_is_made_of_a_confirmation(hsm).await;
    terminal.what_is_out_of_range_is_refused(hsm).await;
}

struct Terminal {
    tmk: Tmk,
    held: KeyBlock,
}

impl Terminal {
    fn sign_in(&self) -> MakeWorkingKeys {
        MakeWorkingKeys {
            tmk: self.held.clone(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            slot: 3,
            transcript: SIGN_IN.to_vec(),
            pik: PikLength::Triple,
            tdk: false,
            avoid: vec![],
        }
    }

    /// A MAK in clear and its block.
    async fn mak(&self, hsm: &impl Hsm) -> (Mak, Vec<ReleasedKey>) {
        let keys = hsm.call(self.sign_in()).await.unwrap();
        let [_, mak] = keys.as_slice() else { panic!("{} keys", keys.len()) };
        (blocks::unwrap(&self.tmk, &mak.under_tk, PLACE, &context(&keys[..1])).unwrap(), keys)
    }

    async fn it_gets_its_working_keys(&self, hsm: &impl Hsm) {
        for (pik_length, bytes) in [(PikLength::Double, 16), (PikLength::Triple, 24)] {
            let keys = hsm.call(MakeWorkingKeys { pik: pik_length, tdk: true, ..self.sign_in() }).await;
            let keys = keys.unwrap();
            let [pik, mak, tdk] = keys.as_slice() else { panic!("{} keys", keys.len()) };
            let pik_clear: Pik = blocks::unwrap(&self.tmk, &pik.under_tk, PLACE, &context(&[])).unwrap();
            assert_eq!((pik_clear.kcv(), pik_clear.expose().len()), (pik.kcv, bytes));
            let mak_clear: Mak =
                blocks::unwrap(&self.tmk, &mak.under_tk, PLACE, &context(&keys[..1])).unwrap();
            assert_eq!(mak_clear.kcv(), mak.kcv);
            let tdk_clear: Tdk =
                blocks::unwrap(&self.tmk, &tdk.under_tk, PLACE, &context(&keys[..2])).unwrap();
            assert_eq!(tdk_clear.kcv(), tdk.kcv);
            let alone = blocks::unwrap::<Mak, _>(&self.tmk, &mak.under_tk, PLACE, &context(&[]));
            assert!(alone.is_err(), "bound to the block before it");
            assert!(pik.kcv != mak.kcv && mak.kcv != tdk.kcv && pik.kcv != tdk.kcv);
        }
        let (_, first) = self.mak(hsm).await;
        let (_, second) = self.mak(hsm).await;
        assert_ne!(first[0].kcv, second[0].kcv, "each sign-in has keys of its own");
    }

    fn confirm(keys: &[ReleasedKey], mac: [u8; 8]) -> ConfirmSignIn {
        ConfirmSignIn {
            mak: keys[1].block.clone(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            slot: 3,
            rnd1: RND1,
            kcvs: keys.iter().map(|key| key.kcv).collect(),
            mac,
        }
    }

    async fn a_sign_in_is_confirmed_by_its_mac_key(&self, hsm: &impl Hsm) {
        let (mak, keys) = self.mak(hsm).await;
        let said = [b"OK".as_slice(), &RND1, &keys[0].kcv, &keys[1].kcv].concat();
        let good = Self::confirm(&keys, mak.mac(&said).unwrap());
        let done = hsm.call(good.clone()).await.unwrap();
        assert_eq!(done, mak.mac(&[b"DONE".as_slice(), &RND1].concat()).unwrap());

        // Any number is a Rnd1 here: only flow A's has a top bit.
        let rnd1 = [0x81; 8];
        let said = [b"OK".as_slice(), &rnd1, &keys[0].kcv, &keys[1].kcv].concat();
        let with_top_bit = ConfirmSignIn { rnd1, ..Self::confirm(&keys, mak.mac(&said).unwrap()) };
        assert_eq!(
            hsm.call(with_top_bit).await.unwrap(),
            mak.mac(&[b"DONE".as_slice(), &rnd1].concat()).unwrap()
        );

        let (_, others) = self.mak(hsm).await;
        for bad in [
            ConfirmSignIn { mac: [0; 8], ..good.clone() },
            ConfirmSignIn { mac: done, ..good.clone() },
            ConfirmSignIn { rnd1: [2; 8], ..good.clone() },
            ConfirmSignIn { kcvs: good.kcvs.iter().rev().copied().collect(), ..good.clone() },
            ConfirmSignIn { kcvs: [good.kcvs.as_slice(), &[[0; 3]]].concat(), ..good.clone() },
            ConfirmSignIn { mak: others[1].block.clone(), ..good.clone() },
        ] {
            refused(hsm.call(bad).await, |r| *r == Refusal::NotProven);
        }
        for bad in [
            ConfirmSignIn { kcvs: vec![[0; 3]], ..good.clone() },
            ConfirmSignIn { kcvs: vec![[0; 3]; 4], ..good.clone() },
        ] {
            refused(hsm.call(bad).await, |r| matches!(r, Refusal::Malformed { .. }));
        }
        let as_mak = ConfirmSignIn { mak: keys[0].block.clone(), ..good.clone() };
        refused(hsm.call(as_mak).await, |r| matches!(r, Refusal::WrongUse { .. }));
        let other_slot = ConfirmSignIn { slot: 4, ..good };
        refused(hsm.call(other_slot).await, |r| matches!(r, Refusal::WrongPlace { .. }));
    }

    async fn macs_are_made_and_checked(&self, hsm: &impl Hsm) {
        let (mak, keys) = self.mak(hsm).await;
        let item = |data: &[u8], mac| item(&keys[1].block, data, mac);
        let (data, long) = (b"0200 a purchase".as_slice(), vec![7; MAX_MAC_DATA]);
        let right = mak.mac(data).unwrap().to_vec();
        let mut wrong = right.clone();
        wrong[7] ^= 1;
        let short = right[..7].to_vec();
        let foreign = MacItem { pin_pad: "SN-2002".into(), ..item(data, None) };
        let outcomes = macs(
            hsm,
            vec![
                item(data, None),
                foreign,
                item(data, Some(right.clone())),
                item(data, Some(wrong)),
                item(data, Some(short)),
                item(&long, None),
                item(&[], None),
                item(&[long.as_slice(), &[7]].concat(), None),
            ],
        )
        .await
        .unwrap();
        let [made, foreign, checked, failed, cut, longest, empty, past] = outcomes.as_slice() else {
            panic!("{} outcomes", outcomes.len())
        };
        assert_eq!(*made, Ok(MacAnswer::Made(right.clone())));
        assert!(matches!(foreign, Err(Refusal::WrongPlace { .. })), "one bad item spoils no other");
        assert_eq!((checked, failed), (&Ok(MacAnswer::Right), &Ok(MacAnswer::Wrong)));
        assert_eq!(*cut, Ok(MacAnswer::Wrong), "the first bytes of a MAC are none");
        assert_eq!(*longest, Ok(MacAnswer::Made(mak.mac(&long).unwrap().to_vec())));
        for bad in [empty, past] {
            assert!(matches!(bad, Err(Refusal::Malformed { .. })), "{bad:?}");
        }
        // A PIN key makes no MAC.
        let misused = macs(hsm, vec![self::item(&keys[0].block, data, None)]).await.unwrap();
        assert!(matches!(misused.as_slice(), [Err(Refusal::WrongUse { .. })]));

        let many = |count| vec![item(data, None); count];
        let outcomes = macs(hsm, many(MAX_ITEMS)).await.unwrap();
        let made = Ok(MacAnswer::Made(right.clone()));
        assert!(outcomes.len() == MAX_ITEMS && outcomes.iter().all(|o| *o == made));
        for count in [0, MAX_ITEMS + 1] {
            refused(macs(hsm, many(count)).await, |r| matches!(r, Refusal::Malformed { .. }));
        }
    }

    async fn no_mac_is_made_of_a_confirmation(&self, hsm: &impl Hsm) {
        let (mak, keys) = self.mak(hsm).await;
        let confirm = [b"OK".as_slice(), &RND1, &keys[0].kcv, &keys[1].kcv].concat();
        let done = [b"DONE".as_slice(), &RND1].concat();
        for data in [confirm, done] {
            let right = mak.mac(&data).unwrap().to_vec();
            let items = vec![item(&keys[1].block, &data, None), item(&keys[1].block, &data, Some(right))];
            let outcomes = macs(hsm, items).await.unwrap();
            assert!(matches!(outcomes[0], Err(Refusal::Malformed { .. })));
            assert_eq!(outcomes[1], Ok(MacAnswer::Right));
        }
    }

    async fn what_is_out_of_range_is_refused(&self, hsm: &impl Hsm) {
        for bad in [
            MakeWorkingKeys { transcript: vec![], ..self.sign_in() },
            MakeWorkingKeys { transcript: vec![0; MAX_FRAME + 1], ..self.sign_in() },
            MakeWorkingKeys { slot: 100, ..self.sign_in() },
            MakeWorkingKeys { pin_pad: "a serial".into(), ..self.sign_in() },
        ] {
            refused(hsm.call(bad).await, |r| matches!(r, Refusal::Malformed { .. }));
        }
        let other_slot = MakeWorkingKeys { slot: 4, ..self.sign_in() };
        refused(hsm.call(other_slot).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        let foreign = MakeWorkingKeys { owner: "ACQ-2".into(), ..self.sign_in() };
        refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
        let (_, keys) = self.mak(hsm).await;
        let misused = MakeWorkingKeys { tmk: keys[0].block.clone(), ..self.sign_in() };
        refused(hsm.call(misused).await, |r| matches!(r, Refusal::WrongUse { .. }));
    }
}

async fn macs(hsm: &impl Hsm, items: Vec<MacItem>) -> Result<Vec<MacOutcome>, HsmError> {
    hsm.call(TerminalMacs { owner: OWNER.into(), items }).await
}

fn item(mak: &KeyBlock, data: &[u8], mac: Option<Vec<u8>>) -> MacItem {
    MacItem { pin_pad: PAD.into(), slot: 3, mak: mak.clone(), data: data.to_vec().into(), mac }
}

/// Optional block `11`: over SIGN_IN and the blocks before.
fn context(before: &[ReleasedKey]) -> [u8; 16] {
    let mut said = SIGN_IN.to_vec();
    before.iter().for_each(|key| said.extend_from_slice(key.under_tk.as_bytes()));
    digest::sha256(&said)[..16].try_into().unwrap()
}
