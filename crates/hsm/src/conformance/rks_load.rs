//! Flow C: the suite plays the device of a remote key server, from the injection of its DIK2.

use paycrypto::{
    blocks::{self, BlockKey, Protects},
    digest,
    keys::{Dik2, Mak, Pik, RksTk, Rnd1, Tmk},
    rks::AtTk1,
    rsa::PublicKey,
};

use super::{CONTEXT, OWNER, PAD, encrypt, refused};
use crate::{
    Hsm, KeyBlock, Refusal,
    commands::{
        Load, LoadTerminal, MAX_RKS_KEYS, MAX_TRANSCRIPT, MakeDik1, MakeDownloaderKey, MakeRksKey,
        ReleaseRksKeys, ReleasedKey, RksKeyKind, RksToken, RksWanted, SealRksToken, TokenDoubt, WorkKey,
    },
};

const FACTOR: &[u8] = b"KLD-7/20261120/B042";
const TRANSCRIPT: &[u8] = b"auth cert factor token proof";

pub(super) async fn run(hsm: &impl Hsm) {
    let rks = Rks::prepare(hsm).await;
    rks.a_device_gets_its_keys(hsm).await;
    rks.pending_keys_are_sent_again(hsm).await;
    rks.whoever_is_not_the_device_gets_a_token_that_nothing_opens(hsm).await;
    rks.a_wrong_proof_gets_nothing(hsm).await;
    rks.a_ticket_is_of_its_device(hsm).await;
    rks.keys_are_refused_out_of_place(hsm).await;
}

struct Rks {
    work: WorkKey,
    dik1: KeyBlock,
    /// What the device holds.
    dik2: Dik2,
}

/// A device that has opened its token.
struct Device {
    ticket: Vec<u8>,
    tk: RksTk,
    df22: Vec<u8>,
}

impl Rks {
    async fn prepare(hsm: &impl Hsm) -> Self {
        let make = MakeRksKey { bits: 2048, subject: "conformance RKS".into(), owner: OWNER.into() };
        let work = hsm.call(make).await.unwrap();
        let dik1 = hsm.call(MakeDik1 { owner: OWNER.into(), label: "batch".into() }).await.unwrap().block;
        let dik2 = inject(hsm, &dik1).await;
        Self { work, dik1, dik2 }
    }

    fn ask(&self) -> SealRksToken {
        SealRksToken {
            work_key: self.work.private.clone(),
            df20: encrypt(&self.work, FACTOR),
            dik1: Some(self.dik1.clone()),
            dsn: PAD.into(),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            factor_digest: Some(digest::sha256(FACTOR)),
            context: CONTEXT,
        }
    }

    fn open(&self, token: &RksToken) -> AtTk1 {
        assert_eq!(token.doubt, None);
        blocks::unwrap_token(&self.dik2, &token.df21, "SN-1001/00", &CONTEXT).unwrap()
    }

    /// A device that has proved itself.
    async fn device(&self, hsm: &impl Hsm) -> Device {
        let token = hsm.call(self.ask()).await.unwrap();
        let proof = self.open(&token).prove().unwrap();
        let df22 = encrypt(&self.work, proof.clear());
        Device { ticket: token.ticket, df22, tk: proof.into_tk() }
    }

    fn release(&self, device: &Device, wanted: Vec<RksWanted>) -> ReleaseRksKeys {
        ReleaseRksKeys {
            work_key: self.work.private.clone(),
            df22: device.df22.clone(),
            ticket: device.ticket.clone(),
            owner: OWNER.into(),
            pin_pad: PAD.into(),
            wanted,
            transcript: TRANSCRIPT.to_vec(),
        }
    }

    async fn a_device_gets_its_keys(&self, hsm: &impl Hsm) {
        let device = self.device(hsm).await;
        let all = vec![
            wanted(3, RksKeyKind::Tmk),
            wanted(3, RksKeyKind::Pik),
            wanted(3, RksKeyKind::Mak),
            wanted(4, RksKeyKind::Tmk),
        ];
        let keys = hsm.call(self.release(&device, all)).await.unwrap();
        let [tmk, pik, mak, other] = keys.as_slice() else { panic!("{} keys", keys.len()) };
        opens::<Tmk>(&device, tmk, "SN-1001/03", &[]);
        opens::<Pik>(&device, pik, "SN-1001/03", &[tmk]);
        opens::<Mak>(&device, mak, "SN-1001/03", &[tmk, pik]);
        opens::<Tmk>(&device, other, "SN-1001/04", &[tmk, pik, mak]);
        // Each block is bound to those before it: out of order or alone, none opens.
        let alone = blocks::unwrap::<Pik, _>(&device.tk, &pik.under_tk, "SN-1001/03", &context(&[]));
        assert!(alone.is_err());
        let elsewhere = blocks::unwrap::<Tmk, _>(&device.tk, &tmk.under_tk, "SN-1001/04", &context(&[]));
        assert!(elsewhere.is_err());
    }

    async fn pending_keys_are_sent_again(&self, hsm: &impl Hsm) {
        let first = self.device(hsm).await;
        let kinds = [RksKeyKind::Tmk, RksKeyKind::Pik, RksKeyKind::Mak];
        let all = || kinds.map(|kind| wanted(3, kind)).to_vec();
        let keys = hsm.call(self.release(&first, all())).await.unwrap();
        let pending: Vec<_> = kinds
            .into_iter()
            .zip(&keys)
            .map(|(kind, key)| RksWanted { pending: Some(key.block.clone()), ..wanted(3, kind) })
            .collect();
        let second = self.device(hsm).await;
        let again = hsm.call(self.release(&second, pending)).await.unwrap();
        for (again, key) in again.iter().zip(&keys) {
            assert_eq!((again.kcv, &again.block), (key.kcv, &key.block), "the same pending key again");
            assert_ne!(again.under_tk, key.under_tk);
        }
        opens::<Tmk>(&second, &again[0], "SN-1001/03", &[]);
        let fresh = hsm.call(self.release(&second, all())).await.unwrap();
        assert_ne!(fresh[0].kcv, keys[0].kcv, "each new key is another");
    }

    async fn whoever_is_not_the_device_gets_a_token_that_nothing_opens(&self, hsm: &impl Hsm) {
        let good = hsm.call(self.ask()).await.unwrap();
        let mut changed = encrypt(&self.work, FACTOR);
        changed[9] ^= 1;
        for (doubt, ask) in [
            (TokenDoubt::Stranger, SealRksToken { dik1: None, ..self.ask() }),
            (
                TokenDoubt::Stranger,
                SealRksToken { dik1: None, factor_digest: None, df20: vec![], ..self.ask() },
            ),
            (TokenDoubt::Unregistered, SealRksToken { factor_digest: None, ..self.ask() }),
            (
                TokenDoubt::WrongFactor,
                SealRksToken { df20: encrypt(&self.work, b"another factor"), ..self.ask() },
            ),
            (TokenDoubt::WrongFactor, SealRksToken { factor_digest: Some([0; 32]), ..self.ask() }),
            (TokenDoubt::Ciphertext, SealRksToken { df20: vec![0; 256], ..self.ask() }),
            (TokenDoubt::Ciphertext, SealRksToken { df20: changed, ..self.ask() }),
            (TokenDoubt::Ciphertext, SealRksToken { df20: encrypt(&self.work, &[]), ..self.ask() }),
            (TokenDoubt::Ciphertext, SealRksToken { df20: encrypt(&self.work, &[1; 33]), ..self.ask() }),
        ] {
            let token = hsm.call(ask).await.unwrap();
            assert_eq!(token.doubt, Some(doubt));
            assert_eq!(token.df21.len(), good.df21.len());
            assert_eq!(token.df21.get(..70), good.df21.get(..70), "the same header, place and context");
            assert_eq!(token.ticket.len(), good.ticket.len());
            assert!(blocks::unwrap_token(&self.dik2, &token.df21, "SN-1001/00", &CONTEXT).is_err());
            // Even a proof that would be right for a device's own token does not count here.
            let proof = self.open(&good).prove().unwrap();
            let device = Device {
                ticket: token.ticket,
                df22: encrypt(&self.work, proof.clear()),
                tk: proof.into_tk(),
            };
            let release = self.release(&device, vec![wanted(3, RksKeyKind::Tmk)]);
            refused(hsm.call(release).await, Refusal::is_not_proven);
        }
    }

    async fn a_wrong_proof_gets_nothing(&self, hsm: &impl Hsm) {
        let token = hsm.call(self.ask()).await.unwrap();
        let opened = self.open(&token);
        let clear = opened.prove().unwrap().clear().to_vec();
        let mut equal = [0; 24]; // TK2 = TK1 makes a TK of zeros
        equal.copy_from_slice(opened.tk1());
        let poor = [opened.at().as_slice(), &equal, &digest::sha256(&[0; 24])].concat();
        let parts = clear[24..32].repeat(3);
        let same: Vec<u8> = parts.iter().zip(opened.tk1()).map(|(a, b)| a ^ b).collect();
        let equal_parts = [opened.at().as_slice(), &same, &digest::sha256(&parts)].concat();
        let flipped = |at: usize| {
            let mut changed = clear.clone();
            changed[at] ^= 1;
            changed
        };
        for (case, clear) in [
            ("another AT", flipped(0)),
            ("another TK2", flipped(24)),
            ("another hash", flipped(79)),
            ("short", clear[..79].to_vec()),
            ("long", [clear.as_slice(), &[0]].concat()),
            ("nothing", vec![]),
            ("a TK of zeros", poor),
            ("a TK with equal parts", equal_parts),
        ] {
            let device = Device {
                ticket: token.ticket.clone(),
                df22: encrypt(&self.work, &clear),
                tk: RksTk::generate().unwrap(),
            };
            let outcome = hsm.call(self.release(&device, vec![wanted(3, RksKeyKind::Tmk)])).await;
            let named = matches!(outcome, Err(crate::HsmError::Refused(Refusal::DeviceNotProven { .. })));
            assert!(named, "{case}: {outcome:?}");
        }
        for df22 in [vec![], vec![0; 256], vec![1; 257]] {
            let device = Device { ticket: token.ticket.clone(), df22, tk: RksTk::generate().unwrap() };
            let release = self.release(&device, vec![wanted(3, RksKeyKind::Tmk)]);
            refused(hsm.call(release).await, |r| matches!(r, Refusal::DeviceNotProven { .. }));
        }
    }

    async fn a_ticket_is_of_its_device(&self, hsm: &impl Hsm) {
        let device = self.device(hsm).await;
        let tmk = || vec![wanted(3, RksKeyKind::Tmk)];
        let other_pad = ReleaseRksKeys { pin_pad: "SN-2002".into(), ..self.release(&device, tmk()) };
        refused(hsm.call(other_pad).await, Refusal::is_not_proven);
        let other_run = self.device(hsm).await;
        let mixed = ReleaseRksKeys { ticket: other_run.ticket, ..self.release(&device, tmk()) };
        refused(hsm.call(mixed).await, Refusal::is_not_proven);
        for ticket in [vec![], vec![0; 85]] {
            let forged = ReleaseRksKeys { ticket, ..self.release(&device, tmk()) };
            refused(hsm.call(forged).await, Refusal::is_not_proven);
        }
    }

    async fn keys_are_refused_out_of_place(&self, hsm: &impl Hsm) {
        let device = self.device(hsm).await;
        let made = hsm.call(self.release(&device, vec![wanted(3, RksKeyKind::Tmk)])).await.unwrap();
        let pending = |slot, kind| RksWanted { pending: Some(made[0].block.clone()), ..wanted(slot, kind) };
        let other_slot = self.release(&device, vec![pending(4, RksKeyKind::Tmk)]);
        refused(hsm.call(other_slot).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        let as_pik = self.release(&device, vec![pending(3, RksKeyKind::Pik)]);
        refused(hsm.call(as_pik).await, |r| matches!(r, Refusal::WrongUse { .. }));

        let many = (0..=u8::try_from(MAX_RKS_KEYS).unwrap()).map(|slot| wanted(slot, RksKeyKind::Tmk));
        for bad in [
            vec![],
            vec![wanted(100, RksKeyKind::Tmk)],
            vec![wanted(3, RksKeyKind::Tmk), wanted(3, RksKeyKind::Tmk)],
            many.collect(),
        ] {
            let outcome = hsm.call(self.release(&device, bad)).await;
            refused(outcome, |r| matches!(r, Refusal::Malformed { .. }));
        }
        for transcript in [vec![], vec![0; MAX_TRANSCRIPT + 1]] {
            let bad =
                ReleaseRksKeys { transcript, ..self.release(&device, vec![wanted(3, RksKeyKind::Tmk)]) };
            refused(hsm.call(bad).await, |r| matches!(r, Refusal::Malformed { .. }));
        }
        // As many as one answer carries, with the longest transcript: the protocol has room for it.
        let most = (0..u8::try_from(MAX_RKS_KEYS).unwrap()).map(|slot| wanted(slot, RksKeyKind::Tmk));
        let most =
            ReleaseRksKeys { transcript: vec![0; MAX_TRANSCRIPT], ..self.release(&device, most.collect()) };
        let keys = hsm.call(most.clone()).await.unwrap();
        let again = most.wanted.iter().zip(&keys).map(|(wanted, key)| RksWanted {
            pending: Some(key.block.clone()),
            avoid: vec![[0; 3]; 8],
            ..wanted.clone()
        });
        let again = ReleaseRksKeys { wanted: again.collect(), ..most.clone() };
        assert_eq!(hsm.call(again).await.unwrap().len(), MAX_RKS_KEYS);

        let bad_name = SealRksToken { dsn: "a serial".into(), ..self.ask() };
        refused(hsm.call(bad_name).await, |r| matches!(r, Refusal::Malformed { .. }));
        let foreign = SealRksToken { owner: "ACQ-2".into(), ..self.ask() };
        refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
        let misused = SealRksToken { dik1: Some(made[0].block.clone()), ..self.ask() };
        refused(hsm.call(misused).await, |r| {
            matches!(r, Refusal::WrongPlace { .. } | Refusal::WrongUse { .. })
        });
    }
}

/// A KLD injects the device's DIK2.
async fn inject(hsm: &impl Hsm, dik1: &KeyBlock) -> Dik2 {
    let make = MakeDownloaderKey { bits: 2048, subject: "conformance KLD".into(), owner: OWNER.into() };
    let kld = hsm.call(make).await.unwrap();
    let rnd1 = Rnd1::generate().unwrap();
    let load = LoadTerminal {
        work_key: kld.private,
        c_rnd1_rnd2: PublicKey::from_spki(&kld.public)
            .unwrap()
            .oaep_encrypt(&[rnd1.expose(), &[1; 8]].concat())
            .unwrap(),
        pin_pad: PAD.into(),
        owner: OWNER.into(),
        context: CONTEXT,
        load: Load::Dik2 { dik1: dik1.clone(), dsn: PAD.into(), factor: Some(FACTOR.to_vec()) },
        escrow_under: None,
    };
    let loaded = hsm.call(load).await.unwrap();
    let signed = PublicKey::from_spki(&kld.public).unwrap().type1_recover(&loaded.c_ctmk_rnd2).unwrap();
    // DF40, 81, length, block: its form is looked at in `local_load`.
    let length = usize::from(signed[3]);
    let block = std::str::from_utf8(&signed[4..4 + length]).unwrap();
    blocks::unwrap(&rnd1, block, "SN-1001/00", &CONTEXT).unwrap()
}

fn wanted(slot: u8, kind: RksKeyKind) -> RksWanted {
    RksWanted { slot, kind, pending: None, avoid: vec![] }
}

/// Optional block `11`: over the frames and the blocks before.
fn context(before: &[&ReleasedKey]) -> [u8; 16] {
    let mut said = TRANSCRIPT.to_vec();
    before.iter().for_each(|key| said.extend_from_slice(key.under_tk.as_bytes()));
    digest::sha256(&said)[..16].try_into().unwrap()
}

fn opens<K: BlockKey>(device: &Device, key: &ReleasedKey, place: &str, before: &[&ReleasedKey])
where
    RksTk: Protects<K>,
{
    let opened: K = blocks::unwrap(&device.tk, &key.under_tk, place, &context(before)).unwrap();
    assert_eq!(opened.key().kcv(), key.kcv);
    assert!(opened.key().quality().odd_parity);
}
