//! Flow A of suite 02 written from 3-hardened.md alone: device keys, collecting, packages by both cards, downloads. Of the
//! product's code it has only what AWS-LC gives to both, and HPKE, which has outside vectors.

use std::{
    io::{Read, Write},
    net::SocketAddr,
    sync::LazyLock,
};

use base64ct::{Base64, Encoding};
use hsm::{
    Client, Hsm,
    commands::{EcKeyKind, MakeEcKey},
};
use paycrypto::ec::{
    CollectInfo, PublicPoint, Tk,
    keys::{Auk, Tek},
};
use pki::{
    Certificate, Name, Role, Scheme, Signer,
    cms::{self, Signatory},
    issue::{self, Issuer},
};
use serde_json::{Value, json};
use store::{Event, NewCertificate, NewWorkKey, Store, WorkKeyState};
use wire::Suite;

use super::{
    ec::{self, CONFIRMATION, EcKey, EcKeyReceived, Keys, NONCE, RECEIPT, SIGNATURE, Side, random},
    estate::{ACQUIRER, DAY, ESTATE, Person, now, root_valid, valid},
    https::{self, Answer, CMS},
    line::{End, Line, connect},
    package::{COLLECTED_AT, signed},
    tlv::{self, Message, field, frame},
    world::Server,
};

/// Tags of 3-hardened.md that only collecting has.
pub(crate) const COUNTER: u16 = 0xDF18;
pub(crate) const DEVICE_CERTIFICATE: u16 = 0xDF1A;
/// The station of every test.
pub(crate) const STATION: &str = "station 7";

/// The KMS's keys of suite 02, and the root above them and above devices.
pub(crate) struct KmsEc {
    pub(crate) root: Certificate,
    root_key: EcKey,
    pub(crate) work: Certificate,
    private_block: String,
}

pub(crate) static KMS_EC: LazyLock<KmsEc> = LazyLock::new(KmsEc::make);

impl KmsEc {
    fn make() -> KmsEc {
        let command = MakeEcKey {
            kind: EcKeyKind::KmsAgreement,
            subject: "KMS work of suite 02".into(),
            owner: ACQUIRER.into(),
        };
        // Before the runtime: the estate is made with one of its own.
        let socket = ESTATE.socket();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let made =
            runtime.block_on(async { Client::connect(socket).await.unwrap().call(command).await.unwrap() });
        let root_key = EcKey::new();
        let root = issue::root(&super::estate::name("Root of suite 02"), &root_key, root_valid(), 1).unwrap();
        let issuer = Issuer::new(&root, &root_key).unwrap();
        let request = pki::csr::parse_and_verify(&made.request).unwrap();
        let work = issue::leaf(&issuer, Role::KmsWork, &request.subject, &made.public, valid()).unwrap();
        KmsEc { root, root_key, work, private_block: made.private.into() }
    }

    fn issuer(&self) -> Issuer<'_> {
        Issuer::new(&self.root, &self.root_key).unwrap()
    }

    pub(crate) fn crl(&self, number: u64, revoked: &[&Certificate]) -> String {
        let revoked: Vec<_> = revoked
            .iter()
            .map(|certificate| issue::Revoked {
                serial: certificate.serial().to_vec(),
                when: now() - 60,
                reason: pki::RevocationReason::KeyCompromise,
            })
            .collect();
        issue::build_crl(&self.issuer(), number, now() - 60, now() + DAY, &revoked).unwrap().pem()
    }

    /// A certificate of this role for a device key, naming this serial.
    pub(crate) fn certify(&self, role: Role, serial: &str, key: &EcKey) -> Certificate {
        self.certify_spki(role, serial, key.spki_der())
    }

    /// The same for a key that only its public half is known of.
    pub(crate) fn certify_spki(&self, role: Role, serial: &str, spki: &[u8]) -> Certificate {
        let subject = Name::device("PIN pad", Some("Maker"), serial).unwrap();
        issue::leaf(&self.issuer(), role, &subject, spki, valid()).unwrap()
    }
}

/// Puts the KMS's key of suite 02 into the server's store.
pub(crate) fn install(server: &Server) {
    server.block_on(async {
        let event = |kind: &'static str| Event::new(0, kind, "test", ACQUIRER, json!({}));
        let kept = NewCertificate {
            role: "kms-work".into(),
            sha256: KMS_EC.work.sha256_hex(),
            der: KMS_EC.work.der().to_vec(),
        };
        server.store.put_certificate(kept, event("certificate.kept")).await.unwrap();
        let key = NewWorkKey {
            certificate_sha256: KMS_EC.work.sha256_hex(),
            private_block: KMS_EC.private_block.clone(),
            spki: KMS_EC.work.spki_der().to_vec(),
            intermediates: vec![],
            state: WorkKeyState::Active,
            suite: Suite::EC_AES,
        };
        server.store.put_work_key(key, event("work-key.installed")).await.unwrap();
    });
}

/// A terminal with its device key, before and after it was collected.
pub(crate) struct Ec {
    pub(crate) sn: String,
    pub(crate) pin_pad: Option<String>,
    pub(crate) device: EcKey,
    pub(crate) certificate: Certificate,
    pub(crate) tek: [u8; 32],
    pub(crate) auk: [u8; 32],
    pub(crate) generation: u64,
}

impl Ec {
    pub(crate) fn new(sn: &str) -> Ec {
        Ec::made(sn, None)
    }

    pub(crate) fn with_pin_pad(sn: &str, pin_pad: &str) -> Ec {
        Ec::made(sn, Some(pin_pad))
    }

    fn made(sn: &str, pin_pad: Option<&str>) -> Ec {
        let device = EcKey::new();
        let certificate = KMS_EC.certify(Role::Device, pin_pad.unwrap_or(sn), &device);
        Ec {
            sn: sn.to_owned(),
            pin_pad: pin_pad.map(Into::into),
            device,
            certificate,
            tek: random(),
            auk: random(),
            generation: 1,
        }
    }

    /// The same device with another TK: what it makes when it is collected anew.
    pub(crate) fn next(self) -> Ec {
        Ec { tek: random(), auk: random(), generation: self.generation + 1, ..self }
    }

    /// The same serials, and nothing of what the KMS knows.
    pub(crate) fn impostor(&self) -> Ec {
        Ec::made(&self.sn, self.pin_pad.as_deref())
    }

    pub(crate) fn serial(&self) -> &str {
        self.pin_pad.as_ref().unwrap_or(&self.sn)
    }

    /// COLLECTED, the payload, for this COLLECT.
    pub(crate) fn collected(&self, collect: &[u8]) -> Vec<u8> {
        self.collected_with(collect, &[])
    }

    /// The same with these fields behind all others.
    pub(crate) fn collected_with(&self, collect: &[u8], more: &[u8]) -> Vec<u8> {
        let mut fields = field(tlv::SN, self.sn.as_bytes());
        if let Some(pin_pad) = &self.pin_pad {
            fields.extend(field(tlv::PIN_PAD, pin_pad.as_bytes()));
        }
        fields.extend(field(tlv::CTK_PU, &self.sealed(collect)));
        let rest = [
            field(COUNTER, &self.generation.to_be_bytes()),
            field(DEVICE_CERTIFICATE, self.certificate.der()),
            field(0xDF30, b"KF"),
            field(0xDF31, b"SIM-1"),
            more.to_vec(),
        ]
        .concat();
        // DF16 stands between DF09 and DF18; what is signed has it not.
        let bare = frame(tlv::COLLECTED, &[&fields[..], &rest].concat());
        let over = [b"KF2K", collect, &bare].concat();
        let signature = self.device.sign(Scheme::EcdsaP256Sha256, &over).unwrap();
        fields.extend(field(SIGNATURE, &signature));
        frame(tlv::COLLECTED, &[fields, rest].concat())[2..].to_vec()
    }

    fn sealed(&self, collect: &[u8]) -> Vec<u8> {
        let tk = Tk::from_keys(Tek::from_bytes(&self.tek), Auk::from_bytes(&self.auk)).unwrap();
        let point = PublicPoint::from_spki(KMS_EC.work.spki_der()).unwrap();
        let info = CollectInfo::new(collect, &self.sn, self.serial(), self.generation);
        tk.seal(&point, &info).unwrap()
    }

    /// Its entry in a package, collected under this ceremony.
    pub(crate) fn entry(&self, nonce: &[u8]) -> Value {
        self.entry_of(&self.collected(&collect(nonce)))
    }

    pub(crate) fn entry_of(&self, collected: &[u8]) -> Value {
        let mut entry = json!({
            "sn": self.sn,
            "vendor": "KF",
            "model": "SIM-1",
            "collected": Base64::encode_string(collected),
            "work_certificate_sha256": KMS_EC.work.sha256_hex(),
        });
        if let Some(pin_pad) = &self.pin_pad {
            entry["pin_pad_sn"] = json!(pin_pad);
        }
        entry
    }

    /// TK_HELLO.
    pub(crate) fn hello(&self, slot: u8, own: &Side) -> Vec<u8> {
        let mut fields = [field(tlv::SUITE, &[2]), field(tlv::SN, self.sn.as_bytes())].concat();
        if let Some(pin_pad) = &self.pin_pad {
            fields.extend(field(tlv::PIN_PAD, pin_pad.as_bytes()));
        }
        fields.extend(field(tlv::SLOT, &[slot]));
        fields.extend(own.fields());
        frame(tlv::HELLO, &fields)
    }

    /// TK_HELLO and what comes back; whether the server has proved itself is said, not asserted.
    pub(crate) fn ask<S: Read + Write>(&self, line: &mut Line<S>, slot: u8) -> Result<Asked, End> {
        self.ask_with(line, slot, &[])
    }

    /// The same with these fields behind all others in TK_HELLO.
    pub(crate) fn ask_with<S: Read + Write>(
        &self,
        line: &mut Line<S>,
        slot: u8,
        more: &[u8],
    ) -> Result<Asked, End> {
        let own = Side::new();
        let hello = frame(tlv::HELLO, &[&self.hello(slot, &own)[4..], more].concat());
        line.send(&hello);
        let challenge = line.expect(tlv::CHALLENGE)?;
        ec::assert_ascending(&challenge);
        let form = (tlv::CHALLENGE, vec![(ec::POINT, 65), (NONCE, 32), (CONFIRMATION, 32)]);
        assert_eq!(challenge.shape(), form);
        let bare = ec::without(&challenge, CONFIRMATION);
        let opening = [&hello[..], &bare].concat();
        let keys = Keys::new(b'A', &[self.auk, self.tek].concat(), &own, &challenge, &opening);
        let proven = keys.mac("server", &opening) == challenge.get(CONFIRMATION);
        Ok(Asked { keys, said: [hello, challenge.frame].concat(), proven })
    }

    /// Everything up to TK_KEY, which it opens.
    pub(crate) fn fetch<S: Read + Write>(&self, line: &mut Line<S>, slot: u8) -> Result<Fetched, End> {
        let asked = self.ask(line, slot)?;
        assert!(asked.proven, "the server holds TEK and AUK");
        let mac_t = asked.mac_t();
        self.receive(line, asked, &mac_t)
    }

    /// TK_REPLY with this confirmation, and TK_KEY.
    pub(crate) fn receive<S: Read + Write>(
        &self,
        line: &mut Line<S>,
        asked: Asked,
        mac_t: &[u8],
    ) -> Result<Fetched, End> {
        let reply = frame(tlv::REPLY, &field(CONFIRMATION, mac_t));
        line.try_send(&reply);
        let message: Message = line.expect(tlv::KEY)?;
        assert_eq!(message.shape().1.len(), 1);
        let said = [asked.said, reply].concat();
        let block = str::from_utf8(message.get(tlv::KEY_BLOCK)).unwrap();
        let tmk = ec::open_block(&asked.keys.key("kbpk"), block, self.serial(), &said);
        Ok(Fetched { tmk, keys: asked.keys, said: [said, message.frame].concat() })
    }

    /// The whole download on an open connection; DONE's receipt is checked.
    pub(crate) fn download_on<S: Read + Write>(
        &self,
        line: &mut Line<S>,
        slot: u8,
    ) -> Result<EcKeyReceived, End> {
        let fetched = self.fetch(line, slot)?;
        let confirm = ec::confirm(&fetched.receipt());
        line.send(&confirm);
        let done = line.expect(tlv::DONE)?;
        assert_eq!(done.get(RECEIPT), fetched.done(&confirm), "DONE is authenticated");
        assert_eq!(done.fields.len(), 1);
        Ok(fetched.tmk)
    }

    /// The whole download on a connection of its own.
    pub(crate) fn download(&self, address: SocketAddr, slot: u8) -> Result<EcKeyReceived, End> {
        self.download_on(&mut connect(address), slot)
    }
}

/// A download up to TK_CHALLENGE.
pub(crate) struct Asked {
    pub(crate) keys: Keys,
    /// All frames so far.
    pub(crate) said: Vec<u8>,
    /// Whether MAC_S is right.
    pub(crate) proven: bool,
}

impl Asked {
    /// The right TK_REPLY's confirmation.
    pub(crate) fn mac_t(&self) -> [u8; 32] {
        self.keys.mac("terminal", &[&self.said[..], &frame(tlv::REPLY, &[])].concat())
    }
}

/// A download up to TK_KEY.
pub(crate) struct Fetched {
    pub(crate) tmk: EcKeyReceived,
    keys: Keys,
    said: Vec<u8>,
}

impl Fetched {
    fn told(&self) -> [(u8, [u8; 5]); 1] {
        [(self.tmk.slot, self.tmk.kcv)]
    }

    /// The right receipt of KEY_CONFIRM.
    pub(crate) fn receipt(&self) -> [u8; 32] {
        self.keys.receipt("receipt t", &self.said, &self.told())
    }

    /// What DONE must hold after this KEY_CONFIRM.
    pub(crate) fn done(&self, confirm: &[u8]) -> [u8; 32] {
        self.keys.receipt("receipt s", &[&self.said[..], confirm].concat(), &self.told())
    }
}

/// COLLECT under a ceremony, with its length.
pub(crate) fn collect(nonce: &[u8]) -> Vec<u8> {
    let fields =
        [field(tlv::SUITE, &[2]), field(tlv::CERTIFICATE, KMS_EC.work.der()), field(NONCE, nonce)].concat();
    frame(tlv::COLLECT, &fields)
}

/// A package collected under this ceremony.
pub(crate) fn package(nonce: &[u8], terminals: &[Value]) -> Value {
    json!({ "version": 1, "station": STATION, "collected_at": COLLECTED_AT,
            "ceremony": Base64::encode_string(nonce), "terminals": terminals })
}

/// CMS by two people.
pub(crate) fn signed_by_both(one: &Person, other: &Person, content: &Value) -> Vec<u8> {
    let signatory = |person| {
        let person: &Person = person;
        Signatory { signer: person.key(), certificate: &person.certificate, chain: &[] }
    };
    cms::sign_by_both(content.to_string().as_bytes(), [signatory(one), signatory(other)], now()).unwrap()
}

/// The same by the operator and the administrator of the estate.
pub(crate) fn by_both(content: &Value) -> Vec<u8> {
    signed_by_both(&ESTATE.operator, &ESTATE.administrator, content)
}

/// What an operator asks a ceremony with.
pub(crate) fn asking(station: &str) -> Value {
    json!({ "version": 1, "station": station, "at": rfc3339(now()) })
}

/// A ceremony of this station; its nonce.
pub(crate) fn ceremony(server: &Server, station: &str) -> Vec<u8> {
    let answer = ask_ceremony(server, &signed(&ESTATE.operator, &asking(station)));
    assert_eq!(answer.status, 200, "{answer:?}");
    Base64::decode_vec(answer.json["ceremony"].as_str().unwrap()).unwrap()
}

pub(crate) fn ask_ceremony(server: &Server, cms: &[u8]) -> Answer {
    https::post(server.https, "/v1/ceremonies", CMS, cms)
}

/// Has these terminals collected.
pub(crate) fn collect_all(server: &Server, terminals: &[&Ec]) {
    let nonce = ceremony(server, STATION);
    let entries: Vec<_> = terminals.iter().map(|terminal| terminal.entry(&nonce)).collect();
    server.collect_raw(&by_both(&package(&nonce, &entries)));
}

/// A request to let a terminal use suite 01 until then.
pub(crate) fn allowance(sn: &str, until: i64) -> Value {
    json!({ "version": 1, "sn": sn, "suite": 1, "until": rfc3339(until), "reason": "firmware 2.1 fails" })
}

pub(crate) fn allow(server: &Server, cms: &[u8]) -> Answer {
    https::post(server.https, "/v1/suites", CMS, cms)
}

pub(crate) fn rfc3339(unix: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(unix).unwrap();
    at.format(&time::format_description::well_known::Rfc3339).unwrap()
}
