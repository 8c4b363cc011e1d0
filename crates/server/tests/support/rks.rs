//! A device and a KLD's report written from 2-wire.md sections 3 and 4 alone: they share no code with the product but
//! TDES, RSA and key blocks, which have their own outside vectors.

use std::{
    io::{Read, Write},
    path::Path,
};

use hsm::{
    Client, Hsm,
    commands::{ExportDik1, MakeDik1, MakeRksKey},
};
use hsm_soft::{
    Offline,
    components::{Ceremony, Component, Target, combine, enter},
};
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use paycrypto::{TdesKey, rsa::PublicKey};
use pki::{
    Certificate, Role,
    issue::{self, Issuer},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{DeviceStore, Dik1Scope, Event, NewCertificate, NewDik1, NewRksWorkKey, SqliteStore, Store};
use zeroize::Zeroizing;

use super::{
    estate::{ACQUIRER, ESTATE, Key, PASSPHRASE, name, valid},
    line::{End, Line},
    raw::check_value,
    tlv::{self, Message, field, frame},
};

/// The label of the one DIK1.
pub(crate) const DIK1: &str = "all-devices";
/// The KLD's name, which its exchange key has too.
pub(crate) const KLD: &str = "KLD-7";

/// The keys of the remote key server, made once.
pub(crate) struct RksKeys {
    pub(crate) exchange_block: String,
    pub(crate) exchange: Vec<u8>,
    pub(crate) dik1_block: String,
    /// DIK1 as the KLD has it.
    pub(crate) dik1: Vec<u8>,
    pub(crate) certificate: Certificate,
    pub(crate) intermediate: Certificate,
    private_block: String,
}

/// An exchange key that two people typed: its block in the HSM, and the key as the KLD has it.
pub(crate) fn exchange_key(hsm_folder: &Path) -> (String, Vec<u8>) {
    let hsm = Offline::open(hsm_folder, PASSPHRASE).unwrap();
    let ceremony = Ceremony {
        name: KLD.into(),
        owner: ACQUIRER.into(),
        session: "2026-11".into(),
        of: 2,
        target: Target::Exchange,
    };
    let typed = [(); 2].map(|()| TdesKey::generate24().unwrap());
    let parts: Vec<_> = (1..)
        .zip(["Ada Lovelace", "Grace Hopper"])
        .zip(&typed)
        .map(|((part, person), key)| {
            let clear = Zeroizing::new(key.expose().to_vec());
            let component = Component { part, person: person.into(), clear, check_value: key.kcv() };
            enter(&hsm, &ceremony, &component).unwrap()
        })
        .collect();
    let sum = typed[0].expose().iter().zip(typed[1].expose()).map(|(a, b)| a ^ b);
    let key: Vec<u8> = sum.map(|byte| if byte.count_ones() % 2 == 0 { byte ^ 1 } else { byte }).collect();
    let held = combine(&hsm, &ceremony, &parts, check_value(&key)).unwrap();
    (held.block.into(), key)
}

impl RksKeys {
    pub(crate) fn make(
        socket: &Path,
        root: &Issuer<'_>,
        (exchange_block, exchange): (String, Vec<u8>),
    ) -> RksKeys {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (made, dik1_block, exported) = runtime.block_on(async {
            let client = Client::connect(socket).await.unwrap();
            let owner = || ACQUIRER.to_owned();
            let make = MakeRksKey { bits: 2048, subject: "RKS work".into(), owner: owner() };
            let made = client.call(make).await.unwrap();
            let dik1 = client.call(MakeDik1 { owner: owner(), label: DIK1.into() }).await.unwrap().block;
            let under = hsm::KeyBlock::from_text(exchange_block.clone());
            let export = ExportDik1 { dik1: dik1.clone(), under, owner: owner() };
            (made, dik1, client.call(export).await.unwrap())
        });
        let intermediate_key = Key::new();
        let intermediate = issue::intermediate(
            root,
            &name("Test intermediate"),
            pki::Signer::spki_der(&intermediate_key),
            valid(),
            0,
        )
        .unwrap();
        let issuer = Issuer::new(&intermediate, &intermediate_key).unwrap();
        let certificate =
            issue::leaf(&issuer, Role::RksWork, &name("RKS work"), &made.public, valid()).unwrap();
        let opened = Kbpk::new(Version::B, &exchange).unwrap().unwrap(&exported).unwrap();
        RksKeys {
            dik1: opened.key.to_vec(),
            dik1_block: dik1_block.into(),
            exchange_block,
            exchange,
            certificate,
            intermediate,
            private_block: made.private.into(),
        }
    }

    /// Puts them into a store.
    pub(crate) async fn install(&self, store: &SqliteStore, event: impl Fn(&'static str) -> Event) {
        let kept = NewCertificate {
            role: "rks-work".into(),
            sha256: self.certificate.sha256_hex(),
            der: self.certificate.der().to_vec(),
        };
        store.put_certificate(kept, event("certificate.kept")).await.unwrap();
        let key = NewRksWorkKey {
            certificate_sha256: self.certificate.sha256_hex(),
            private_block: self.private_block.clone(),
            spki: self.certificate.spki_der().to_vec(),
            intermediates: self.intermediate.der().to_vec(),
            suite: wire::Suite::TDES,
        };
        store.put_rks_work_key(key, event("rks.work-key-installed")).await.unwrap();
        let dik1 = NewDik1 {
            label: DIK1.into(),
            acquirer: ACQUIRER.into(),
            scope: Dik1Scope::Acquirer,
            block: self.dik1_block.clone(),
            kcv: check_value(&self.dik1).into(),
        };
        store.put_dik1(dik1, event("rks.dik1-made")).await.unwrap();
    }
}

/// DIK2 as 1-systems.md C derives it.
pub(crate) fn derive(dik1: &[u8], dsn: &str, factor: &[u8]) -> Vec<u8> {
    let data1 = Sha256::digest(dsn);
    let key1 = TdesKey::from_bytes(dik1).unwrap().encrypt_ecb(&data1[..24]).unwrap();
    let data2 = Sha256::digest(factor);
    TdesKey::from_bytes(&key1).unwrap().decrypt_ecb(&data2[..24]).unwrap().to_vec()
}

/// A device with its DIK2.
#[derive(Clone)]
pub(crate) struct RawDevice {
    pub(crate) sn: String,
    pub(crate) pin_pad: Option<String>,
    pub(crate) factor: Vec<u8>,
    pub(crate) dik2: Vec<u8>,
}

/// A key that a device received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) slot: u8,
    pub(crate) usage: String,
    pub(crate) key: Vec<u8>,
    pub(crate) kcv: [u8; 3],
    /// The block that it came in.
    pub(crate) block: String,
}

/// What one run brought.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) keys: Vec<Received>,
    pub(crate) more: bool,
}

/// A run up to RKS_TOKEN.
pub(crate) struct Asked {
    pub(crate) work: PublicKey,
    pub(crate) token: Message,
    /// All frames before RKS_TOKEN.
    pub(crate) before_token: Vec<u8>,
}

/// A run up to RKS_PROOF's content.
pub(crate) struct Opened {
    pub(crate) asked: Asked,
    pub(crate) at: Vec<u8>,
    pub(crate) tk1: Vec<u8>,
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    paycrypto::random::fill(&mut bytes).unwrap();
    bytes
}

/// Optional block `11`.
pub(crate) fn context(said: &[u8]) -> String {
    Sha256::digest(said)[..16].iter().map(|byte| format!("{byte:02X}")).collect()
}

impl RawDevice {
    /// A device that the KLD has injected, not reported yet.
    pub(crate) fn new(sn: &str) -> RawDevice {
        let factor = random::<16>().to_vec();
        let dik2 = derive(&ESTATE.rks.dik1, sn, &factor);
        RawDevice { sn: sn.into(), pin_pad: None, factor, dik2 }
    }

    pub(crate) fn with_pin_pad(sn: &str, pin_pad: &str) -> RawDevice {
        RawDevice { pin_pad: Some(pin_pad.into()), ..RawDevice::new(sn) }
    }

    pub(crate) fn key_serial(&self) -> &str {
        self.pin_pad.as_deref().unwrap_or(&self.sn)
    }

    pub(crate) fn place(&self, index: u8) -> String {
        format!("{}/{index:02}", self.key_serial())
    }

    pub(crate) fn auth(&self, suite: u8, slot: u8, more: &[u8]) -> Vec<u8> {
        let mut fields = [field(tlv::SUITE, &[suite]), field(tlv::SN, self.sn.as_bytes())].concat();
        if let Some(pin_pad) = &self.pin_pad {
            fields.extend(field(tlv::PIN_PAD, pin_pad.as_bytes()));
        }
        fields.extend(field(tlv::SLOT, &[slot]));
        fields.extend(more);
        frame(tlv::RKS_AUTH, &fields)
    }

    /// RKS_AUTH to RKS_TOKEN; the certificate is checked.
    pub(crate) fn ask<S: Read + Write>(&self, line: &mut Line<S>, slot: u8) -> Result<Asked, End> {
        let factor = self.factor.clone();
        self.ask_with(line, self.auth(1, slot, &[]), move |work| work.oaep_encrypt(&factor).unwrap())
    }

    /// The same with any RKS_AUTH and DF20.
    pub(crate) fn ask_with<S: Read + Write>(
        &self,
        line: &mut Line<S>,
        auth: Vec<u8>,
        df20: impl FnOnce(&PublicKey) -> Vec<u8>,
    ) -> Result<Asked, End> {
        line.send(&auth);
        let cert = line.expect(tlv::RKS_CERT)?;
        assert_eq!(cert.get(tlv::CERTIFICATE), ESTATE.rks.certificate.der());
        assert_eq!(cert.get(tlv::INTERMEDIATES), ESTATE.rks.intermediate.der());
        let leaf = Certificate::from_der(cert.get(tlv::CERTIFICATE)).unwrap();
        let work = PublicKey::from_spki(leaf.spki_der()).unwrap();
        let factor = frame(tlv::RKS_FACTOR, &field(tlv::DF20, &df20(&work)));
        line.send(&factor);
        let token = line.expect(tlv::RKS_TOKEN)?;
        let before_token = [auth, cert.frame.clone(), factor].concat();
        // Every character of the header is as section 4 has it, for strangers too.
        let block = str::from_utf8(token.get(tlv::DF21)).unwrap();
        let place = self.place(0);
        let bound = format!("10{:02X}{place}1124{}", 4 + place.len(), context(&before_token));
        assert_eq!(token.shape().1.len(), 1);
        assert_eq!(block[..5], format!("B{:04}", block.len()));
        assert_eq!(block[5..12], *"10TN00N");
        assert_eq!(block[16..16 + bound.len()], bound);
        Ok(Asked { work, token, before_token })
    }

    /// Opens RKS_TOKEN; nothing when it does not open.
    pub(crate) fn open(&self, asked: Asked) -> Option<Opened> {
        let block = str::from_utf8(asked.token.get(tlv::DF21)).unwrap().to_owned();
        let opened = Kbpk::new(Version::B, &self.dik2).unwrap().unwrap(&block).ok()?;
        assert_eq!(opened.key.len(), 48);
        Some(Opened { at: opened.key[..24].to_vec(), tk1: opened.key[24..].to_vec(), asked })
    }

    /// Sends RKS_PROOF over this clear text, and gives the transcript with it.
    pub(crate) fn prove<S: Read + Write>(line: &mut Line<S>, asked: &Asked, clear: &[u8]) -> Vec<u8> {
        let df22 = asked.work.oaep_encrypt(clear).unwrap();
        let proof = frame(tlv::RKS_PROOF, &field(tlv::DF22, &df22));
        line.try_send(&proof);
        [&asked.before_token[..], &asked.token.frame, &proof].concat()
    }

    /// Everything up to RKS_KEYS, which it opens.
    pub(crate) fn fetch<S: Read + Write>(&self, line: &mut Line<S>, slot: u8) -> Result<Loaded, End> {
        let auth = self.auth(1, slot, &[]);
        self.fetch_with(line, auth)
    }

    pub(crate) fn fetch_with<S: Read + Write>(
        &self,
        line: &mut Line<S>,
        auth: Vec<u8>,
    ) -> Result<Loaded, End> {
        let factor = self.factor.clone();
        let asked = self.ask_with(line, auth, move |work| work.oaep_encrypt(&factor).unwrap())?;
        let opened = self.open(asked).expect("the server has derived the same DIK2");
        let tk2: [u8; 24] = random();
        let tk: Vec<u8> = opened.tk1.iter().zip(tk2).map(|(a, b)| a ^ b).collect();
        let said = Self::prove(line, &opened.asked, &proof_of(&opened.at, &tk2, &tk));
        let keys = line.expect(tlv::RKS_KEYS)?;
        Ok(self.open_keys(&keys, &tk, said))
    }

    fn open_keys(&self, keys: &Message, tk: &[u8], mut said: Vec<u8>) -> Loaded {
        let mut received = Vec::new();
        for (tag, value) in &keys.fields {
            if *tag != tlv::KEY_ENTRY {
                assert_eq!((*tag, value.as_slice()), (tlv::MORE, &[1][..]));
                continue;
            }
            let entry = Message::read(&frame(tlv::RKS_KEYS, value));
            assert_eq!(entry.fields.len(), 1);
            let block = str::from_utf8(entry.get(tlv::KEY_BLOCK)).unwrap().to_owned();
            let opened = Kbpk::new(Version::B, tk).unwrap().unwrap(&block).unwrap();
            let place = opened.header.optional("10").unwrap();
            let slot: u8 = place.strip_prefix(&format!("{}/", self.key_serial())).unwrap().parse().unwrap();
            let bound = format!("10{:02X}{place}1124{}", 4 + place.len(), context(&said));
            assert_eq!(
                block[16..16 + bound.len()],
                bound,
                "place, then the context with the blocks before it"
            );
            let (usage, length) = match &block[5..12] {
                "K1TB00N" => ("K1", 24),
                "P0TE00N" => ("P0", 24),
                "M3TC00N" => ("M3", 16),
                other => panic!("header {other}"),
            };
            let key = opened.key.to_vec();
            assert_eq!(key.len(), length);
            assert!(key.iter().all(|byte| byte.count_ones() % 2 == 1), "odd parity");
            said.extend_from_slice(block.as_bytes());
            received.push(Received { slot, usage: usage.into(), kcv: check_value(&key), key, block });
        }
        let more = keys.fields.iter().any(|(tag, _)| *tag == tlv::MORE);
        Loaded { keys: received, more }
    }

    /// One whole run on an open connection.
    pub(crate) fn load_on<S: Read + Write>(&self, line: &mut Line<S>, slot: u8) -> Result<Loaded, End> {
        let loaded = self.fetch(line, slot)?;
        line.send(&confirm(&loaded.keys));
        assert_eq!(line.expect(tlv::DONE)?.frame, [0, 2, 1, 6]);
        Ok(loaded)
    }

    /// The entry of a KLD's report that injected DIK2.
    pub(crate) fn entry(&self) -> Value {
        let mut entry = json!({ "sn": self.sn, "ok": true, "keys": [{
            "kind": "dik2", "label": DIK1, "kcv": hex(&check_value(&self.dik2)),
            "factor": self.under_exchange("13", "N", 0, &self.factor),
        }] });
        if let Some(pin_pad) = &self.pin_pad {
            entry["pin_pad_sn"] = json!(pin_pad);
        }
        entry
    }

    /// A key of such an entry.
    pub(crate) fn key_entry(&self, kind: &str, slot: u8, key: &[u8]) -> Value {
        let (usage, mode) = if kind == "tmk" { ("K1", "B") } else { ("11", "N") };
        let block = self.under_exchange(usage, mode, slot, key);
        json!({ "kind": kind, "slot": slot, "kcv": hex(&check_value(key)), "block": block })
    }

    pub(crate) fn under_exchange(&self, usage: &str, mode: &str, index: u8, key: &[u8]) -> String {
        let header = Header::new(
            Version::B,
            Usage::parse(usage).unwrap(),
            Algorithm::TDES,
            Mode::parse(mode).unwrap(),
            Exportability::NOT_EXPORTABLE,
        );
        let header = header.with_optional("10", self.place(index)).unwrap();
        Kbpk::new(Version::B, &ESTATE.rks.exchange).unwrap().wrap(&header, key).unwrap()
    }
}

/// AT ‖ TK2 ‖ SHA-256(TK).
pub(crate) fn proof_of(at: &[u8], tk2: &[u8], tk: &[u8]) -> Vec<u8> {
    [at, tk2, &Sha256::digest(tk)].concat()
}

/// KEY_CONFIRM for these keys, in order.
pub(crate) fn confirm(keys: &[Received]) -> Vec<u8> {
    let entries: Vec<_> = keys.iter().map(|key| field(tlv::KEY_ENTRY, &field(tlv::KCV, &key.kcv))).collect();
    frame(tlv::CONFIRM, &entries.concat())
}

/// A report of a run.
pub(crate) fn report(run: &str, terminals: &[Value]) -> Value {
    json!({ "version": 1, "kld": KLD, "run": run, "opened_at": "2026-11-20T11:00:00Z",
            "closed_at": "2026-11-20T12:00:00Z", "terminals": terminals, "compromised": [] })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
