//! Transport keys from an MTMS to a KMS, and the MACs of batches and receipts. The backend plays both sides.

use keyblock::{Algorithm, Exportability, Header, Kbpk, KeyContext, KeyVersion, Mode, Usage, Version};
use paycrypto::{AesKey, TdesKey, ec, mac, tk::CheckedTk};

use super::{BatchKeys, OWNER, PAD, encrypt, refused, suite_02};
use crate::{
    Hsm, HsmError, KeyBlock, Refusal,
    commands::{
        BatchText, CheckBatchMac, ImportTk, MAX_BATCH_TEXT, MacBatch, MakeWorkKey, OpenCollected,
        TkCheckValues, TkSource, TkValues, TranslateTk, TransportKeyBlocks, TravellingTk, WorkKey,
    },
};

/// The other side of the keys that people entered for batches.
pub const PARTNER: &str = "VENDOR-1";

const PLACE: &str = "SN-1001/00";

pub(super) async fn run(hsm: &impl Hsm, keys: &BatchKeys) {
    let tdes = Side::tdes(hsm, keys).await;
    let aes = Side::aes(hsm, keys).await;
    for side in [&tdes, &aes] {
        side.a_tk_travels_as_two_blocks(hsm).await;
        side.a_tk_comes_in_and_has_its_check_values(hsm).await;
        side.a_tk_has_one_digest(hsm).await;
        side.a_block_that_says_anything_else_is_refused(hsm).await;
        side.a_header_with_any_character_changed_is_refused(hsm).await;
        side.poor_and_equal_keys_are_refused(hsm).await;
        side.macs_are_cmacs_and_checked(hsm).await;
    }
    for (side, other) in [(&tdes, &aes), (&aes, &tdes)] {
        side.keys_out_of_place_are_refused(hsm, other).await;
    }
    a_collected_tk_travels_and_has_its_check_values(hsm, &tdes, &aes).await;
}

/// One suite: its keys, and a TK that the backend holds.
struct Side {
    version: Version,
    /// Of TEK, then of AUK.
    usages: [(&'static str, Mode); 2],
    algorithm: Algorithm,
    pk: KeyBlock,
    pk_clear: Vec<u8>,
    mak: KeyBlock,
    mak_clear: Vec<u8>,
    held: TransportKeyBlocks,
    clear: [Vec<u8>; 2],
    values: TkValues,
}

impl Side {
    async fn tdes(hsm: &impl Hsm, keys: &BatchKeys) -> Self {
        let tk = CheckedTk::generate().unwrap();
        let work = work_key(hsm).await;
        let open = OpenCollected {
            ctk_pu: encrypt(&work, &tk.to_clear()),
            work_key: work.private,
            pin_pad: PAD.into(),
            owner: OWNER.into(),
        };
        let (tek, auk) = (tk.tek().key(), tk.auk().key());
        Self {
            version: Version::B,
            usages: [("K1", Mode::BOTH), ("D0", Mode::BOTH)],
            algorithm: Algorithm::TDES,
            pk: keys.pk.block.clone(),
            pk_clear: keys.pk.key.expose().to_vec(),
            mak: keys.mak.block.clone(),
            mak_clear: keys.mak.key.expose().to_vec(),
            held: hsm.call(open).await.unwrap(),
            clear: [tek.expose().to_vec(), auk.expose().to_vec()],
            values: TkValues { tek: tek.kcv().to_vec(), auk: auk.kcv().to_vec() },
        }
    }

    async fn aes(hsm: &impl Hsm, keys: &BatchKeys) -> Self {
        let tk = ec::Tk::generate().unwrap();
        Self {
            version: Version::D,
            usages: [("14", Mode::NO_RESTRICTION), ("15", Mode::NO_RESTRICTION)],
            algorithm: Algorithm::AES,
            pk: keys.pk_aes.block.clone(),
            pk_clear: keys.pk_aes.key.expose().to_vec(),
            mak: keys.mak_aes.block.clone(),
            mak_clear: keys.mak_aes.key.expose().to_vec(),
            held: suite_02::collected(hsm, &tk).await,
            clear: [tk.tek().expose().to_vec(), tk.auk().expose().to_vec()],
            values: TkValues { tek: tk.tek().kcv().to_vec(), auk: tk.auk().kcv().to_vec() },
        }
    }

    fn translate(&self) -> TranslateTk {
        TranslateTk {
            tk: TkSource::Held(self.held.clone()),
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            pk: self.pk.clone(),
            partner: PARTNER.into(),
        }
    }

    fn import(&self, tk: TravellingTk) -> ImportTk {
        ImportTk {
            tek: tk.tek,
            auk: tk.auk,
            pin_pad: PAD.into(),
            owner: OWNER.into(),
            pk: self.pk.clone(),
            partner: PARTNER.into(),
        }
    }

    fn ask(held: &TransportKeyBlocks) -> TkCheckValues {
        TkCheckValues { tk: TkSource::Held(held.clone()), pin_pad: PAD.into(), owner: OWNER.into() }
    }

    fn mac(&self, what: BatchText, text: &[u8]) -> MacBatch {
        let (mak, partner, owner) = (self.mak.clone(), PARTNER.into(), OWNER.into());
        MacBatch { mak, partner, owner, what, text: text.to_vec() }
    }

    fn check(&self, what: BatchText, text: &[u8], mac: &[u8]) -> CheckBatchMac {
        let MacBatch { mak, partner, owner, what, text } = self.mac(what, text);
        CheckBatchMac { mak, partner, owner, what, text, mac: mac.to_vec() }
    }

    /// The header of TEK (0) or AUK (1).
    fn header(&self, which: usize) -> Header {
        let (usage, mode) = self.usages[which];
        let usage = Usage::parse(usage).unwrap();
        Header::new(self.version, usage, self.algorithm, mode, Exportability::NOT_EXPORTABLE)
            .with_optional("10", PLACE)
            .unwrap()
    }

    fn wrap(&self, header: &Header, key: &[u8]) -> String {
        Kbpk::new(self.version, &self.pk_clear).unwrap().wrap(header, key).unwrap()
    }

    fn wrapped(&self, tek: &[u8], auk: &[u8]) -> TravellingTk {
        TravellingTk { tek: self.wrap(&self.header(0), tek), auk: self.wrap(&self.header(1), auk) }
    }

    async fn a_tk_travels_as_two_blocks(&self, hsm: &impl Hsm) {
        let travelling = hsm.call(self.translate()).await.unwrap();
        for (which, block) in [&travelling.tek, &travelling.auk].into_iter().enumerate() {
            let opened = Kbpk::new(self.version, &self.pk_clear).unwrap().unwrap(block).unwrap();
            assert_eq!(opened.key.as_slice(), self.clear[which]);
            assert_eq!(opened.header, self.header(which), "10, and nothing else");
        }
        let again = hsm.call(self.translate()).await.unwrap();
        assert_ne!(again, travelling, "padding is random");
    }

    async fn a_tk_comes_in_and_has_its_check_values(&self, hsm: &impl Hsm) {
        let travelling = hsm.call(self.translate()).await.unwrap();
        for travelling in [travelling, self.wrapped(&self.clear[0], &self.clear[1])] {
            let held = hsm.call(self.import(travelling)).await.unwrap().blocks;
            assert!(held.tek.as_str().starts_with('D'), "under the LMK");
            let values = hsm.call(Self::ask(&held)).await.unwrap();
            assert_eq!(values, self.values);
            let length = if self.version == Version::B { 3 } else { 5 };
            assert_eq!((values.tek.len(), values.auk.len()), (length, length), "R16");
            // Halves of two imports of one key are one TK, of two keys they are not.
            let mixed = TransportKeyBlocks { tek: held.tek.clone(), auk: self.held.auk.clone() };
            assert_eq!(hsm.call(Self::ask(&mixed)).await.unwrap(), self.values);
            let elsewhere = TkCheckValues { pin_pad: "SN-2002".into(), ..Self::ask(&held) };
            refused(hsm.call(elsewhere).await, |r| matches!(r, Refusal::WrongPlace { .. }));
            let foreign = TkCheckValues { owner: "ACQ-2".into(), ..Self::ask(&held) };
            refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
            let swapped = TransportKeyBlocks { tek: held.auk.clone(), auk: held.tek.clone() };
            refused(hsm.call(Self::ask(&swapped)).await, |r| matches!(r, Refusal::WrongUse { .. }));
        }
    }

    async fn a_tk_has_one_digest(&self, hsm: &impl Hsm) {
        let [tek, auk] = &self.clear;
        let good = self.wrapped(tek, auk);
        let first = hsm.call(self.import(good.clone())).await.unwrap().digest;
        assert_eq!(
            hsm.call(self.import(self.wrapped(tek, auk))).await.unwrap().digest,
            first,
            "wrapped anew"
        );
        // For another PIN pad it is the same key all the same.
        let mut elsewhere = [self.header(0), self.header(1)];
        for header in &mut elsewhere {
            header.optional.clear();
        }
        let [tek_header, auk_header] = elsewhere.map(|h| h.with_optional("10", "SN-2002/00").unwrap());
        let moved = TravellingTk { tek: self.wrap(&tek_header, tek), auk: self.wrap(&auk_header, auk) };
        let moved = ImportTk { pin_pad: "SN-2002".into(), ..self.import(moved) };
        assert_eq!(hsm.call(moved).await.unwrap().digest, first);
        // Another key has another, and it is none that the key alone gives.
        let mut other = auk.clone();
        other[0] ^= 2;
        let other = hsm.call(self.import(self.wrapped(tek, &other))).await.unwrap();
        assert_ne!(other.digest, first);
        assert_ne!(first, paycrypto::digest::sha256(&[tek.as_slice(), auk].concat()));
        if self.version == Version::B {
            let mut parity = tek.clone();
            parity[5] ^= 1;
            assert_eq!(
                hsm.call(self.import(self.wrapped(&parity, auk))).await.unwrap().digest,
                first,
                "parity"
            );
        }
    }

    async fn a_block_that_says_anything_else_is_refused(&self, hsm: &impl Hsm) {
        let good = self.wrapped(&self.clear[0], &self.clear[1]);
        let bad = |header: Header| self.wrap(&header, &self.clear[0]);
        let tek = || self.header(0);
        let mut version = tek();
        version.key_version = KeyVersion::parse("01").unwrap();
        let mut exportable = tek();
        exportable.exportability = Exportability::EXPORTABLE;
        let mut context = tek();
        context.key_context = KeyContext::Exchange;
        let mut mode = tek();
        mode.mode = Mode::ENCRYPT;
        let mut algorithm = tek();
        algorithm.algorithm = Algorithm::HMAC;
        let mut bare = tek();
        bare.optional.clear();
        let other_pad = bare.clone().with_optional("10", "SN-2002/00").unwrap();
        let other_slot = bare.clone().with_optional("10", "SN-1001/01").unwrap();
        let in_a_flow = tek().with_optional("11", "00112233445566778899AABBCCDDEEFF").unwrap();
        let stranger =
            Kbpk::new(self.version, &self.mak_clear).unwrap().wrap(&tek(), &self.clear[0]).unwrap();
        for (case, block) in [
            ("AUK in TEK's place", good.auk.clone()),
            ("a key version", bad(version)),
            ("exportable", bad(exportable)),
            ("a key context", bad(context)),
            ("another mode", bad(mode)),
            ("another algorithm", bad(algorithm)),
            ("no place", bad(bare)),
            ("another PIN pad", bad(other_pad)),
            ("another slot", bad(other_slot)),
            ("a flow's block", bad(in_a_flow)),
            ("under MAK", stranger),
            ("under the LMK", self.held.tek.as_str().into()),
            ("half a key", self.wrap(&tek(), &self.clear[0][..16])),
            ("cut short", good.tek[..good.tek.len() - 8].into()),
            ("nothing", String::new()),
        ] {
            let outcome = hsm.call(self.import(TravellingTk { tek: block, ..good.clone() })).await;
            let named = matches!(outcome, Err(HsmError::Refused(Refusal::Import { .. })));
            assert!(named, "{case}: {outcome:?}");
        }
        let swapped = TravellingTk { tek: good.auk.clone(), auk: good.tek.clone() };
        refused(hsm.call(self.import(swapped)).await, |r| matches!(r, Refusal::Import { .. }));
        let twice = TravellingTk { auk: good.tek.clone(), ..good.clone() };
        refused(hsm.call(self.import(twice)).await, |r| matches!(r, Refusal::Import { .. }));
    }

    async fn a_header_with_any_character_changed_is_refused(&self, hsm: &impl Hsm) {
        let good = self.wrapped(&self.clear[0], &self.clear[1]);
        for which in 0..2 {
            let block = [&good.tek, &good.auk][which];
            // Every character of the header, and of the first and last of what is behind it.
            let header = Header::parse(block).unwrap().1;
            for at in (0..=header).chain([block.len() - 1]) {
                let mut text = block.clone().into_bytes();
                text[at] = if text[at] == b'0' { b'1' } else { b'0' };
                let mut changed = good.clone();
                *[&mut changed.tek, &mut changed.auk][which] = String::from_utf8(text).unwrap();
                let outcome = hsm.call(self.import(changed)).await;
                let named = matches!(outcome, Err(HsmError::Refused(Refusal::Import { .. })));
                assert!(named, "character {at}: {outcome:?}");
            }
        }
    }

    async fn poor_and_equal_keys_are_refused(&self, hsm: &impl Hsm) {
        let [tek, auk] = &self.clear;
        let poor = if self.version == Version::B {
            vec![vec![1; 24], [&tek[..8], &tek[..16]].concat(), [&tek[..16], &tek[..8]].concat()]
        } else {
            vec![vec![0; 32], tek[..16].repeat(2)]
        };
        let named = |r: &Refusal| matches!(r, Refusal::TransportKey { .. });
        for poor in &poor {
            refused(hsm.call(self.import(self.wrapped(poor, auk))).await, named);
            refused(hsm.call(self.import(self.wrapped(tek, poor))).await, named);
        }
        refused(hsm.call(self.import(self.wrapped(tek, tek))).await, named);
        // PK is no half of what it protects.
        refused(hsm.call(self.import(self.wrapped(&self.pk_clear, auk))).await, named);
        refused(hsm.call(self.import(self.wrapped(tek, &self.pk_clear))).await, named);
    }

    async fn macs_are_cmacs_and_checked(&self, hsm: &impl Hsm) {
        const TEXT: &[u8] = br#"{"order":"PO-1","terminals":[],"version":1}"#;
        let cmac = |text: &[u8]| match self.version {
            Version::B => mac::cmac_tdes(&TdesKey::from_bytes(&self.mak_clear).unwrap(), text).to_vec(),
            _ => mac::cmac_aes(&AesKey::from_bytes(&self.mak_clear).unwrap(), text).to_vec(),
        };
        let batch = hsm.call(self.mac(BatchText::Batch, TEXT)).await.unwrap();
        assert_eq!(batch, cmac(TEXT));
        let receipt = hsm.call(self.mac(BatchText::Receipt, TEXT)).await.unwrap();
        assert_eq!(receipt, cmac(&[b"KF receipt", TEXT].concat()));
        hsm.call(self.check(BatchText::Batch, TEXT, &batch)).await.unwrap();
        hsm.call(self.check(BatchText::Receipt, TEXT, &receipt)).await.unwrap();

        let wrong = |r: &Refusal| matches!(r, Refusal::BatchMac);
        refused(hsm.call(self.check(BatchText::Receipt, TEXT, &batch)).await, wrong);
        refused(hsm.call(self.check(BatchText::Batch, TEXT, &receipt)).await, wrong);
        for at in 0..batch.len() {
            let mut changed = batch.clone();
            changed[at] ^= 0x80;
            refused(hsm.call(self.check(BatchText::Batch, TEXT, &changed)).await, wrong);
        }
        for short in [&batch[..0], &batch[..4], &batch[..batch.len() - 1]] {
            refused(hsm.call(self.check(BatchText::Batch, TEXT, short)).await, wrong);
        }
        refused(hsm.call(self.check(BatchText::Batch, b"{}", &batch)).await, wrong);
        // A batch that begins as a receipt does would have a receipt's MAC; so would one with nothing before it.
        for text in [&b"KF receipt{}"[..], b"", b"[]", b" {}"] {
            for what in [BatchText::Batch, BatchText::Receipt] {
                let malformed = |r: &Refusal| matches!(r, Refusal::Malformed { .. });
                refused(hsm.call(self.mac(what, text)).await, malformed);
                refused(hsm.call(self.check(what, text, &batch)).await, malformed);
            }
        }
        let mut longest = vec![b' '; MAX_BATCH_TEXT];
        longest[0] = b'{';
        let made = hsm.call(self.mac(BatchText::Batch, &longest)).await.unwrap();
        assert_eq!(made, cmac(&longest));
        longest.push(b'}');
        let past = hsm.call(self.mac(BatchText::Batch, &longest)).await;
        refused(past, |r| matches!(r, Refusal::Malformed { .. }));
    }

    async fn keys_out_of_place_are_refused(&self, hsm: &impl Hsm, other: &Self) {
        let good = self.wrapped(&self.clear[0], &self.clear[1]);
        let wrong_use = |r: &Refusal| matches!(r, Refusal::WrongUse { .. });
        // Neither suite's key carries the other's (R7).
        refused(hsm.call(TranslateTk { pk: other.pk.clone(), ..self.translate() }).await, wrong_use);
        let import = self.import(good.clone());
        let crossed = ImportTk { pk: other.pk.clone(), ..import.clone() };
        refused(hsm.call(crossed).await, |r| matches!(r, Refusal::Import { .. }));
        // MAK is no PK, PK no MAK, and a TEK neither.
        for pk in [&self.mak, &self.held.tek] {
            let place = |r: &Refusal| matches!(r, Refusal::WrongUse { .. });
            refused(hsm.call(TranslateTk { pk: pk.clone(), ..self.translate() }).await, place);
            refused(hsm.call(ImportTk { pk: pk.clone(), ..import.clone() }).await, place);
        }
        let mac = self.mac(BatchText::Batch, b"{}");
        let check = self.check(BatchText::Batch, b"{}", &[0; 8]);
        refused(hsm.call(MacBatch { mak: self.pk.clone(), ..mac.clone() }).await, wrong_use);
        refused(hsm.call(CheckBatchMac { mak: self.pk.clone(), ..check.clone() }).await, wrong_use);
        // Another partner's, and another owner's.
        let place = |r: &Refusal| matches!(r, Refusal::WrongPlace { .. });
        let owner = |r: &Refusal| matches!(r, Refusal::WrongOwner { .. });
        let (partner, foreign) = (|| "VENDOR-2".to_owned(), || "ACQ-2".to_owned());
        refused(hsm.call(TranslateTk { partner: partner(), ..self.translate() }).await, place);
        refused(hsm.call(ImportTk { partner: partner(), ..import.clone() }).await, place);
        refused(hsm.call(MacBatch { partner: partner(), ..mac.clone() }).await, place);
        refused(hsm.call(CheckBatchMac { partner: partner(), ..check.clone() }).await, place);
        refused(hsm.call(TranslateTk { owner: foreign(), ..self.translate() }).await, owner);
        refused(hsm.call(ImportTk { owner: foreign(), ..import.clone() }).await, owner);
        refused(hsm.call(MacBatch { owner: foreign(), ..mac.clone() }).await, owner);
        refused(hsm.call(CheckBatchMac { owner: foreign(), ..check.clone() }).await, owner);
        // Another PIN pad's TK.
        let elsewhere = TranslateTk { pin_pad: "SN-2002".into(), ..self.translate() };
        refused(hsm.call(elsewhere).await, place);
        let elsewhere = ImportTk { pin_pad: "SN-2002".into(), ..import.clone() };
        refused(hsm.call(elsewhere).await, |r| matches!(r, Refusal::Import { .. }));
        for name in [String::new(), "a name".into(), "x".repeat(33)] {
            let malformed = |r: &Refusal| matches!(r, Refusal::Malformed { .. });
            refused(hsm.call(ImportTk { partner: name.clone(), ..import.clone() }).await, malformed);
            refused(hsm.call(TranslateTk { pin_pad: name, ..self.translate() }).await, malformed);
        }
    }
}

async fn work_key(hsm: &impl Hsm) -> WorkKey {
    let (subject, owner) = ("conformance".into(), OWNER.into());
    hsm.call(MakeWorkKey { bits: 2048, subject, owner }).await.unwrap()
}

async fn a_collected_tk_travels_and_has_its_check_values(hsm: &impl Hsm, tdes: &Side, aes: &Side) {
    let work = work_key(hsm).await;
    let tk = CheckedTk::generate().unwrap();
    let source = |ctk_pu| TkSource::Collected { work_key: work.private.clone(), ctk_pu };
    let ask = |tk| TkCheckValues { tk, pin_pad: PAD.into(), owner: OWNER.into() };
    let good = source(encrypt(&work, &tk.to_clear()));
    let travelling = hsm.call(TranslateTk { tk: good.clone(), ..tdes.translate() }).await.unwrap();
    let held = hsm.call(tdes.import(travelling)).await.unwrap().blocks;
    let values = TkValues { tek: tk.tek().kcv().to_vec(), auk: tk.auk().kcv().to_vec() };
    assert_eq!(hsm.call(Side::ask(&held)).await.unwrap(), values);
    assert_eq!(hsm.call(ask(good.clone())).await.unwrap(), values);
    // An AES key carries no TK of suite 01.
    let crossed = TranslateTk { tk: good, ..aes.translate() };
    refused(hsm.call(crossed).await, |r| matches!(r, Refusal::WrongUse { .. }));

    // What fails its checks neither travels nor has check values (R16).
    let mut hash = tk.to_clear();
    hash[79] ^= 1;
    let weak = [&[1; 24], tk.auk().key().expose()].concat();
    let weak = [weak.as_slice(), &paycrypto::digest::sha256(&weak)].concat();
    let ciphertext = encrypt(&work, &tk.to_clear());
    for bad in [encrypt(&work, &hash), encrypt(&work, &weak), ciphertext[1..].to_vec()] {
        let named = |r: &Refusal| matches!(r, Refusal::TransportKey { .. });
        refused(hsm.call(ask(source(bad.clone()))).await, named);
        refused(hsm.call(TranslateTk { tk: source(bad), ..tdes.translate() }).await, named);
    }
}
