//! Flow B: the suite plays the terminal of a KLD.

use keyblock::{Header, Kbpk, Version};
use paycrypto::{
    TdesKey,
    blocks::{self, BlockKey, BlockRefusal, Protects},
    keys::{Dik2, Dmk, Rnd1, Tmk},
    rsa::PublicKey,
};

use super::{CONTEXT, Exchange, OWNER, PAD, encrypt, exchange, refused};
use crate::{
    Hsm, KeyBlock, Refusal,
    commands::{
        Held, ImportLoaded, Imported, Load, LoadTerminal, Loaded, MakeDik1, MakeDownloaderKey, WorkKey,
    },
};

const RND2: [u8; 8] = [0x81, 2, 3, 4, 5, 6, 7, 8];

pub(super) async fn run(hsm: &impl Hsm, exchange: &Exchange) {
    let kld = Kld::prepare(hsm).await;
    kld.a_tmk_is_made_or_given_and_loaded(hsm, exchange).await;
    kld.a_dmk_is_loaded(hsm, exchange).await;
    kld.a_dik2_is_derived_and_loaded_with_its_factor(hsm, exchange).await;
    kld.what_a_terminal_sends_is_checked(hsm).await;
    kld.keys_are_refused_out_of_place(hsm).await;
}

/// A KLD's key pair, and the terminal's secrets of one connection.
struct Kld {
    work: WorkKey,
    rnd1: Rnd1,
}

/// What KLD_KEY signs.
struct Signed {
    block: String,
    factor: Option<Vec<u8>>,
}

impl Kld {
    async fn prepare(hsm: &impl Hsm) -> Self {
        let make = MakeDownloaderKey { bits: 2048, subject: "conformance KLD".into(), owner: OWNER.into() };
        let work = hsm.call(make.clone()).await.unwrap();
        assert!(work.private.as_str().starts_with('D'), "keys leave as version D blocks");
        let small = MakeDownloaderKey { bits: 1024, ..make };
        refused(hsm.call(small).await, |r| matches!(r, Refusal::Malformed { .. }));
        Self { work, rnd1: Rnd1::generate().unwrap() }
    }

    fn ask(&self, load: Load) -> LoadTerminal {
        LoadTerminal {
            work_key: self.work.private.clone(),
            c_rnd1_rnd2: encrypt(&self.work, &[self.rnd1.expose(), &RND2].concat()),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            context: CONTEXT,
            load,
            escrow_under: None,
        }
    }

    fn tmk(&self, held: Option<KeyBlock>) -> LoadTerminal {
        self.ask(Load::Tmk { slot: 3, held, avoid: vec![] })
    }

    /// Recovers and reads KLD_KEY as the terminal does: these fields to the last byte.
    fn read(&self, loaded: &Loaded) -> Signed {
        let key = PublicKey::from_spki(&self.work.public).unwrap();
        let signed = key.type1_recover(&loaded.c_ctmk_rnd2).unwrap();
        let fields = fields(&signed);
        assert_eq!(fields[0].0, [0xDF, 0x40]);
        assert_eq!(fields[1], ([0xDF, 0x06], RND2.to_vec()), "the terminal's own Rnd2");
        assert!(fields.len() == 2 || (fields.len() == 3 && fields[2].0 == [0xDF, 0x23]));
        Signed {
            block: String::from_utf8(fields[0].1.clone()).unwrap(),
            factor: fields.get(2).map(|field| field.1.clone()),
        }
    }

    fn open<K: BlockKey>(&self, block: &str, place: &str) -> Result<K, BlockRefusal>
    where
        Rnd1: Protects<K>,
    {
        blocks::unwrap(&self.rnd1, block, place, &CONTEXT)
    }

    async fn a_tmk_is_made_or_given_and_loaded(&self, hsm: &impl Hsm, exchange: &Exchange) {
        let reported = LoadTerminal { escrow_under: Some(exchange.block.clone()), ..self.tmk(None) };
        let loaded = hsm.call(reported).await.unwrap();
        let signed = self.read(&loaded);
        assert!(signed.factor.is_none(), "a factor only with a DIK2");
        let tmk: Tmk = self.open(&signed.block, "SN-1001/03").unwrap();
        assert_eq!(tmk.kcv(), loaded.kcv);
        assert!(tmk.key().quality().odd_parity);
        assert!(blocks::unwrap::<Tmk, _>(&self.rnd1, &signed.block, "SN-1001/03", &[0; 16]).is_err());

        // The report: the same key, with its place only, and the KMS takes it.
        let escrow = loaded.escrow.unwrap();
        assert_eq!(Header::parse(&escrow).unwrap().0.optional.len(), 1, "its place and nothing else");
        let import = ImportLoaded {
            under: exchange.block.clone(),
            block: escrow,
            pin_pad: PAD.into(),
            what: Held::Tmk { slot: 3 },
            owner: OWNER.into(),
        };
        let Imported::Key(reported) = hsm.call(import).await.unwrap() else { panic!("a factor") };
        assert_eq!(reported.kcv, loaded.kcv);

        // The same key again, for a terminal that was cut off.
        let again = hsm.call(self.tmk(Some(loaded.held.clone()))).await.unwrap();
        assert_eq!((again.kcv, &again.held, &again.escrow), (loaded.kcv, &loaded.held, &None));
        let again: Tmk = self.open(&self.read(&again).block, "SN-1001/03").unwrap();
        assert_eq!(again.expose(), tmk.expose());
        assert_ne!(hsm.call(self.tmk(None)).await.unwrap().kcv, loaded.kcv, "each new key is another");

        // One that the KMS made.
        let key = TdesKey::generate24().unwrap();
        let given = exchange::imported(hsm, exchange, Held::Tmk { slot: 3 }, &key).await;
        let loaded = hsm.call(self.tmk(Some(given.block))).await.unwrap();
        assert_eq!(loaded.kcv, key.kcv());
    }

    async fn a_dmk_is_loaded(&self, hsm: &impl Hsm, exchange: &Exchange) {
        let ask =
            LoadTerminal { escrow_under: Some(exchange.block.clone()), ..self.ask(Load::Dmk { held: None }) };
        let loaded = hsm.call(ask).await.unwrap();
        let signed = self.read(&loaded);
        let dmk: Dmk = self.open(&signed.block, "SN-1001/00").unwrap();
        assert_eq!(dmk.kcv(), loaded.kcv);
        assert_eq!(self.open::<Tmk>(&signed.block, "SN-1001/00").err(), Some(BlockRefusal::Usage));
        let kbpk = Kbpk::new(Version::B, exchange.key.expose()).unwrap();
        assert_eq!(kbpk.unwrap(&loaded.escrow.unwrap()).unwrap().key.as_slice(), dmk.expose());
        let again = hsm.call(self.ask(Load::Dmk { held: Some(loaded.held) })).await.unwrap();
        assert_eq!(again.kcv, dmk.kcv());
    }

    async fn a_dik2_is_derived_and_loaded_with_its_factor(&self, hsm: &impl Hsm, exchange: &Exchange) {
        let dik1 = hsm.call(MakeDik1 { owner: OWNER.into(), label: "batch".into() }).await.unwrap();
        let load = |factor: Option<&[u8]>, dsn: &str| LoadTerminal {
            escrow_under: Some(exchange.block.clone()),
            ..self.ask(Load::Dik2 {
                dik1: dik1.block.clone(),
                dsn: dsn.into(),
                factor: factor.map(<[u8]>::to_vec),
            })
        };
        let factor = b"KLD-7/20261120/B042".as_slice();
        let loaded = hsm.call(load(Some(factor), "SN-1001")).await.unwrap();
        let signed = self.read(&loaded);
        assert_eq!(signed.factor.as_deref(), Some(factor));
        let dik2: Dik2 = self.open(&signed.block, "SN-1001/00").unwrap();
        assert_eq!(dik2.kcv(), loaded.kcv);
        let kbpk = Kbpk::new(Version::B, exchange.key.expose()).unwrap();
        let reported = kbpk.unwrap(&loaded.escrow.unwrap()).unwrap();
        assert_eq!(reported.key.as_slice(), factor, "the report carries the factor, not DIK2");
        assert_eq!(reported.header.usage.as_str(), "13");

        let same = hsm.call(load(Some(factor), "SN-1001")).await.unwrap();
        assert_eq!(same.kcv, loaded.kcv, "derived, so the same again");
        assert_ne!(hsm.call(load(Some(factor), "SN-1002")).await.unwrap().kcv, loaded.kcv);
        assert_ne!(hsm.call(load(Some(b"another"), "SN-1001")).await.unwrap().kcv, loaded.kcv);
        let made = hsm.call(load(None, "SN-1001")).await.unwrap();
        assert_eq!(self.read(&made).factor.map(|factor| factor.len()), Some(16), "made here");

        for factor in [&[][..], &[1; 33]] {
            let outcome = hsm.call(load(Some(factor), "SN-1001")).await;
            refused(outcome, |r| matches!(r, Refusal::Malformed { .. }));
        }
        let outcome = hsm.call(load(None, "a serial")).await;
        refused(outcome, |r| matches!(r, Refusal::Malformed { .. }));
    }

    async fn what_a_terminal_sends_is_checked(&self, hsm: &impl Hsm) {
        let good = self.rnd1.expose();
        for (case, clear) in [
            ("weak Rnd1", [&[0x01; 8], &[0x1F; 8], &[0xFE; 8], &RND2[..]].concat()),
            ("equal parts", [&good[..16], &good[..8], &RND2].concat()),
            ("no Rnd2", good.to_vec()),
            ("short", [good, &RND2[..7]].concat()),
            ("long", [good, &RND2, &[0]].concat()),
            ("nothing", vec![]),
        ] {
            let ask = LoadTerminal { c_rnd1_rnd2: encrypt(&self.work, &clear), ..self.tmk(None) };
            let outcome = hsm.call(ask).await;
            let named = matches!(outcome, Err(crate::HsmError::Refused(Refusal::FromTerminal { .. })));
            assert!(named, "{case}");
        }
        for c_rnd1_rnd2 in [vec![], vec![0; 256], vec![0xFF; 256], vec![1; 257]] {
            let ask = LoadTerminal { c_rnd1_rnd2, ..self.tmk(None) };
            refused(hsm.call(ask).await, |r| matches!(r, Refusal::FromTerminal { .. }));
        }
    }

    async fn keys_are_refused_out_of_place(&self, hsm: &impl Hsm) {
        let held = hsm.call(self.tmk(None)).await.unwrap().held;
        let other_slot = self.ask(Load::Tmk { slot: 4, held: Some(held.clone()), avoid: vec![] });
        refused(hsm.call(other_slot).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        let other_pad = LoadTerminal { pin_pad: "SN-2002".into(), ..self.tmk(Some(held.clone())) };
        refused(hsm.call(other_pad).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        let as_dmk = self.ask(Load::Dmk { held: Some(held.clone()) });
        refused(hsm.call(as_dmk).await, |r| matches!(r, Refusal::WrongUse { .. }));
        let as_exchange = LoadTerminal { escrow_under: Some(held), ..self.tmk(None) };
        refused(hsm.call(as_exchange).await, |r| matches!(r, Refusal::WrongUse { .. }));
        let foreign = LoadTerminal { owner: "ACQ-2".into(), ..self.tmk(None) };
        refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
        let past = self.ask(Load::Tmk { slot: 100, held: None, avoid: vec![] });
        refused(hsm.call(past).await, |r| matches!(r, Refusal::Malformed { .. }));
    }
}

/// Fields to the last byte: tag, minimal length, value.
fn fields(mut bytes: &[u8]) -> Vec<([u8; 2], Vec<u8>)> {
    let mut fields = Vec::new();
    while let Some((tag, rest)) = bytes.split_first_chunk::<2>() {
        let (length, rest) = match rest {
            [length @ 0..=0x7F, rest @ ..] => (usize::from(*length), rest),
            [0x81, length @ 0x80..=0xFF, rest @ ..] => (usize::from(*length), rest),
            _ => panic!("length"),
        };
        let (value, rest) = rest.split_at(length);
        fields.push((*tag, value.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    fields
}
