//! Flow C of suite 02 written from 3-hardened.md alone: a device with its DIK2, and the keys of the remote key server.

use std::{
    io::{Read, Write},
    sync::LazyLock,
};

use hsm::{
    Client, Hsm,
    commands::{EcKeyKind, ExportDik1, MakeDik1Ec, MakeEcKey},
};
use hsm_soft::{
    Offline,
    components::{Ceremony, Component, Target, combine, enter},
};
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use pki::{
    Certificate, Name, Role,
    issue::{self, Issuer},
};
use serde_json::{Value, json};
use store::{DeviceStore, Dik1Scope, Event, NewCertificate, NewDik1, NewRksWorkKey, SqliteStore, Store};
use wire::{Kcv, Suite};
use zeroize::Zeroizing;

use super::{
    ec::{self, CONFIRMATION, ENCRYPTED, EcKey, EcKeyReceived, Keys, RECEIPT, SIGNATURE, Side, random},
    estate::{ACQUIRER, ESTATE, PASSPHRASE, name, root_valid, valid},
    https::{self, CMS},
    line::{End, Line},
    package::signed,
    rks::{KLD, hex},
    tlv::{self, Message, field, frame},
    world::{Options, Server, World, results},
};

/// The label of suite 02's one DIK1.
pub(crate) const DIK1: &str = "all-devices-02";
/// The name of the exchange key for it.
pub(crate) const EXCHANGE: &str = "KLD-7-aes";

/// The keys of the remote key server in suite 02, made once.
pub(crate) struct RksEc {
    pub(crate) root: Certificate,
    root_key: EcKey,
    pub(crate) certificate: Certificate,
    private_block: String,
    dik1_block: String,
    /// DIK1 as the KLD has it.
    pub(crate) dik1: Vec<u8>,
    pub(crate) exchange_block: String,
    pub(crate) exchange: Vec<u8>,
}

pub(crate) static RKS_EC: LazyLock<RksEc> = LazyLock::new(RksEc::make);

/// An AES exchange key that two people typed.
fn exchange_key() -> (String, Vec<u8>) {
    let hsm = Offline::open(&ESTATE.hsm_folder(), PASSPHRASE).unwrap();
    let ceremony = Ceremony {
        name: EXCHANGE.into(),
        owner: ACQUIRER.into(),
        session: "2026-11".into(),
        of: 2,
        target: Target::ExchangeAes,
    };
    let typed = [(); 2].map(|()| random::<32>());
    let parts: Vec<_> = (1..)
        .zip(["Ada Lovelace", "Grace Hopper"])
        .zip(&typed)
        .map(|((part, person), key)| {
            let (clear, check_value) = (Zeroizing::new(key.to_vec()), ec::kcv(key));
            enter(&hsm, &ceremony, &Component { part, person: person.into(), clear, check_value }).unwrap()
        })
        .collect();
    let key: Vec<u8> = typed[0].iter().zip(&typed[1]).map(|(a, b)| a ^ b).collect();
    (combine(&hsm, &ceremony, &parts, ec::kcv(&key)).unwrap().block.into(), key)
}

impl RksEc {
    fn make() -> RksEc {
        let (exchange_block, exchange) = exchange_key();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (made, dik1, exported) = runtime.block_on(async {
            let client = Client::connect(ESTATE.socket()).await.unwrap();
            let owner = || ACQUIRER.to_owned();
            let kind = EcKeyKind::RksSigning;
            let made = MakeEcKey { kind, subject: "RKS signing".into(), owner: owner() };
            let made = client.call(made).await.unwrap();
            let dik1 = client.call(MakeDik1Ec { owner: owner(), label: DIK1.into() }).await.unwrap();
            let under = hsm::KeyBlock::from_text(exchange_block.clone());
            let export = ExportDik1 { dik1: dik1.block.clone(), under, owner: owner() };
            (made, dik1, client.call(export).await.unwrap())
        });
        let root_key = EcKey::new();
        let root = issue::root(&name("Test root of suite 02"), &root_key, root_valid(), 1).unwrap();
        let issuer = Issuer::new(&root, &root_key).unwrap();
        let certificate =
            issue::leaf(&issuer, Role::RksSigning, &name("RKS signing"), &made.public, valid()).unwrap();
        let opened = Kbpk::new(Version::D, &exchange).unwrap().unwrap(&exported).unwrap();
        assert_eq!(ec::kcv(&opened.key), dik1.kcv);
        RksEc {
            root,
            root_key,
            certificate,
            private_block: made.private.into(),
            dik1: opened.key.to_vec(),
            dik1_block: dik1.block.into(),
            exchange_block,
            exchange,
        }
    }

    /// A certificate of the root of suite 02.
    pub(crate) fn issue(&self, role: Role, subject: &Name, spki: &[u8]) -> Certificate {
        let issuer = Issuer::new(&self.root, &self.root_key).unwrap();
        issue::leaf(&issuer, role, subject, spki, valid()).unwrap()
    }

    /// Puts them into a store.
    pub(crate) async fn install(&self, store: &SqliteStore) {
        let event = |kind: &'static str| Event::new(0, kind, "test", ACQUIRER, json!({}));
        let kept = NewCertificate {
            role: "rks-signing".into(),
            sha256: self.certificate.sha256_hex(),
            der: self.certificate.der().to_vec(),
        };
        store.put_certificate(kept, event("certificate.kept")).await.unwrap();
        let key = NewRksWorkKey {
            certificate_sha256: self.certificate.sha256_hex(),
            private_block: self.private_block.clone(),
            spki: self.certificate.spki_der().to_vec(),
            intermediates: Vec::new(),
            suite: Suite::EC_AES,
        };
        store.put_rks_work_key(key, event("rks.work-key-installed")).await.unwrap();
        let dik1 = NewDik1 {
            label: DIK1.into(),
            acquirer: ACQUIRER.into(),
            scope: Dik1Scope::Acquirer,
            block: self.dik1_block.clone(),
            kcv: Kcv::Aes(ec::kcv(&self.dik1)),
        };
        store.put_dik1(dik1, event("rks.dik1-made")).await.unwrap();
    }
}

/// DIK2 as 3-hardened.md derives it.
pub(crate) fn derive(dik1: &[u8], dsn: &str, factor: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| [u8::try_from(bytes.len()).unwrap()];
    let info = [b"KF2 dik2", &length(dsn.as_bytes())[..], dsn.as_bytes(), &length(factor), factor];
    ec::expand(dik1, &info.concat()).to_vec()
}

/// A device with its DIK2.
#[derive(Clone)]
pub(crate) struct EcDevice {
    pub(crate) sn: String,
    pub(crate) pin_pad: Option<String>,
    pub(crate) factor: Vec<u8>,
    pub(crate) dik2: Vec<u8>,
}

/// A run up to RKS_TOKEN.
pub(crate) struct Asked {
    pub(crate) keys: Keys,
    pub(crate) cert: Message,
    pub(crate) token: Message,
    /// RKS_AUTH to RKS_TOKEN.
    pub(crate) said: Vec<u8>,
    /// Whether RKS_TOKEN shows that the server knows this DIK2.
    pub(crate) proven: bool,
}

/// What one run brought.
pub(crate) struct Loaded {
    pub(crate) received: Vec<EcKeyReceived>,
    pub(crate) more: bool,
    pub(crate) keys: Keys,
    /// RKS_AUTH to RKS_KEYS.
    pub(crate) said: Vec<u8>,
}

impl EcDevice {
    /// A device that the KLD has injected, not reported yet.
    pub(crate) fn new(sn: &str) -> EcDevice {
        let factor = random::<16>().to_vec();
        EcDevice { sn: sn.into(), pin_pad: None, dik2: derive(&RKS_EC.dik1, sn, &factor), factor }
    }

    pub(crate) fn with_pin_pad(sn: &str, pin_pad: &str) -> EcDevice {
        EcDevice { pin_pad: Some(pin_pad.into()), ..EcDevice::new(sn) }
    }

    pub(crate) fn serial(&self) -> &str {
        self.pin_pad.as_deref().unwrap_or(&self.sn)
    }

    /// RKS_AUTH.
    pub(crate) fn auth(&self, slot: u8, side: &Side) -> Vec<u8> {
        let mut fields = [field(tlv::SUITE, &[2]), field(tlv::SN, self.sn.as_bytes())].concat();
        if let Some(pin_pad) = &self.pin_pad {
            fields.extend(field(tlv::PIN_PAD, pin_pad.as_bytes()));
        }
        fields.extend(field(tlv::SLOT, &[slot]));
        fields.extend(side.fields());
        frame(tlv::RKS_AUTH, &fields)
    }

    /// RKS_AUTH to RKS_TOKEN. RKS_CERT is checked: it is signed for everybody.
    pub(crate) fn ask<S: Read + Write>(&self, line: &mut Line<S>, slot: u8) -> Result<Asked, End> {
        let factor = self.factor.clone();
        self.ask_with(line, slot, |key| ec::seal(key, 0, &[], &factor))
    }

    /// The same with any DF19, made with K(factor).
    pub(crate) fn ask_with<S: Read + Write>(
        &self,
        line: &mut Line<S>,
        slot: u8,
        df19: impl FnOnce(&[u8; 32]) -> Vec<u8>,
    ) -> Result<Asked, End> {
        let side = Side::new();
        let auth = self.auth(slot, &side);
        line.send(&auth);
        let cert = line.expect(tlv::RKS_CERT)?;
        ec::assert_ascending(&cert);
        assert_eq!(cert.get(tlv::CERTIFICATE), RKS_EC.certificate.der());
        let signed = [&auth[..], &ec::without(&cert, SIGNATURE)].concat();
        assert!(ec::is_signed(RKS_EC.certificate.spki_der(), b'C', &signed, cert.get(SIGNATURE)));
        let factor = Keys::new(b'C', &[], &side, &cert, &signed).key("factor");
        let factor = frame(tlv::RKS_FACTOR, &field(ENCRYPTED, &df19(&factor)));
        line.send(&factor);
        let token = line.expect(tlv::RKS_TOKEN)?;
        let keys = Keys::new(b'C', &self.dik2, &side, &cert, &signed);
        let before = [auth, cert.frame.clone(), factor].concat();
        assert_eq!(token.shape(), (tlv::RKS_TOKEN, vec![(CONFIRMATION, 32)]));
        let bare = ec::without(&token, CONFIRMATION);
        let proven = keys.mac("server", &[&before[..], &bare].concat()) == token.get(CONFIRMATION);
        let said = [before, token.frame.clone()].concat();
        Ok(Asked { keys, cert, token, said, proven })
    }

    /// The right RKS_PROOF's confirmation.
    pub(crate) fn mac_t(asked: &Asked) -> [u8; 32] {
        asked.keys.mac("terminal", &[&asked.said[..], &frame(tlv::RKS_PROOF, &[])].concat())
    }

    /// Sends RKS_PROOF with this confirmation.
    pub(crate) fn prove<S: Read + Write>(line: &mut Line<S>, asked: &mut Asked, mac_t: &[u8; 32]) {
        let proof = frame(tlv::RKS_PROOF, &field(CONFIRMATION, mac_t));
        line.try_send(&proof);
        asked.said.extend(proof);
    }

    /// Everything up to RKS_KEYS, which it opens.
    pub(crate) fn fetch<S: Read + Write>(&self, line: &mut Line<S>, slot: u8) -> Result<Loaded, End> {
        let mut asked = self.ask(line, slot)?;
        assert!(asked.proven, "the server has derived the same DIK2");
        let mac_t = Self::mac_t(&asked);
        Self::prove(line, &mut asked, &mac_t);
        self.receive(line, asked)
    }

    /// RKS_KEYS after a proof.
    pub(crate) fn receive<S: Read + Write>(&self, line: &mut Line<S>, asked: Asked) -> Result<Loaded, End> {
        let message = line.expect(tlv::RKS_KEYS)?;
        ec::assert_ascending(&message);
        let kbpk = asked.keys.key("kbpk");
        let (mut said, mut received) = (asked.said.clone(), Vec::new());
        for (_, entry) in message.fields.iter().filter(|(tag, _)| *tag == tlv::KEY_ENTRY) {
            let entry = Message::read(&frame(tlv::RKS_KEYS, entry));
            let block = str::from_utf8(entry.get(tlv::KEY_BLOCK)).unwrap().to_owned();
            received.push(ec::open_block(&kbpk, &block, self.serial(), &said));
            said.extend_from_slice(block.as_bytes());
        }
        let more = message.fields.iter().any(|(tag, value)| *tag == tlv::MORE && value == &[1]);
        let said = [asked.said, message.frame].concat();
        Ok(Loaded { received, more, keys: asked.keys, said })
    }

    /// One whole run on an open connection; DONE's receipt is checked.
    pub(crate) fn load_on<S: Read + Write>(&self, line: &mut Line<S>, slot: u8) -> Result<Loaded, End> {
        let loaded = self.fetch(line, slot)?;
        let confirm = loaded.confirm();
        line.send(&confirm);
        let done = line.expect(tlv::DONE)?;
        assert_eq!(done.get(RECEIPT), loaded.done(&confirm), "DONE is authenticated");
        Ok(loaded)
    }

    /// The entry of a KLD's report that injected DIK2.
    pub(crate) fn entry(&self) -> Value {
        let mut entry = json!({ "sn": self.sn, "ok": true, "keys": [{
            "kind": "dik2", "label": DIK1, "kcv": hex(&ec::kcv(&self.dik2)),
            "factor": under_exchange(("13", "N"), (self.serial(), 0), &self.factor),
        }] });
        if let Some(pin_pad) = &self.pin_pad {
            entry["pin_pad_sn"] = json!(pin_pad);
        }
        entry
    }
}

/// A key under the exchange key of suite 02.
pub(crate) fn under_exchange((usage, mode): (&str, &str), (serial, index): (&str, u8), key: &[u8]) -> String {
    let header = Header::new(
        Version::D,
        Usage::parse(usage).unwrap(),
        Algorithm::AES,
        Mode::parse(mode).unwrap(),
        Exportability::NOT_EXPORTABLE,
    );
    let header = header.with_optional("10", format!("{serial}/{index:02}")).unwrap();
    Kbpk::new(Version::D, &RKS_EC.exchange).unwrap().wrap(&header, key).unwrap()
}

/// A report of a run whose keys are of suite 02.
pub(crate) fn report(run: &str, terminals: &[Value]) -> Value {
    json!({ "version": 1, "kld": KLD, "run": run, "exchange_key": EXCHANGE,
            "opened_at": "2026-11-20T11:00:00Z", "closed_at": "2026-11-20T12:00:00Z",
            "terminals": terminals, "compromised": [] })
}

impl Loaded {
    fn told(&self) -> Vec<(u8, [u8; 5])> {
        self.received.iter().map(|key| (key.slot, key.kcv)).collect()
    }

    /// The right KEY_CONFIRM.
    pub(crate) fn confirm(&self) -> Vec<u8> {
        ec::confirm(&self.keys.receipt("receipt t", &self.said, &self.told()))
    }

    /// What DONE must hold after this KEY_CONFIRM.
    pub(crate) fn done(&self, confirm: &[u8]) -> [u8; 32] {
        self.keys.receipt("receipt s", &[&self.said[..], confirm].concat(), &self.told())
    }
}

/// What suite 02 needs beside: its keys in the server's store.
pub(crate) fn install(server: &Server) {
    server.block_on(RKS_EC.install(&server.store));
}

/// A server of both suites on which these devices were reported.
pub(crate) fn with(devices: &[&EcDevice], options: &Options) -> (World, Server) {
    let world = World::new();
    let server = world.start(&Options { suite_02: true, ..options.clone() });
    install(&server);
    let entries: Vec<_> = devices.iter().map(|device| device.entry()).collect();
    take(&server, &report("run-02", &entries));
    (world, server)
}

/// Uploads a report whose terminals must all be taken.
pub(crate) fn take(server: &Server, report: &Value) {
    let answer = https::post(server.https, "/v1/kld-reports", CMS, &signed(&ESTATE.operator, report));
    for result in results(&answer) {
        assert_eq!((&result["ok"], &result["code"]), (&json!(true), &json!("taken")), "{result}");
    }
}
