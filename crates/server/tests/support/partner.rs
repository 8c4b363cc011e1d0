//! A vendor's MTMS written from 2-wire.md section 6 and RFC 8785 alone: the keys that were agreed with it, its batches, and
//! what it checks of a receipt. It shares no code with the product but TDES, AES and key blocks, which have their own outside
//! vectors.

use std::{fmt::Write as _, sync::LazyLock};

use base64ct::{Base64, Encoding};
use hsm::commands::ZoneAlgorithm;
use hsm_soft::{
    Offline,
    components::{Ceremony, Component, Target, combine, enter},
};
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use paycrypto::{
    AesKey, TdesKey,
    mac::{cmac_aes, cmac_tdes},
};
use pki::Role;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    ec,
    estate::{ACQUIRER, ESTATE, PASSPHRASE, Person, valid},
    https::{self, Answer, CMS},
    kms_ec::{Ec, by_both},
    package::{COLLECTED_AT, signed},
    raw::{Raw, check_value},
    world::{Server, World},
};

/// The vendor of most tests, another one, and a buyer for tests of an MTMS.
pub(crate) const VENDOR: &str = "VENDOR";
pub(crate) const OTHER: &str = "OTHER-VENDOR";
pub(crate) const BANK: &str = "BANK";
/// The model that orders are for: the one that the terminals of the tests say.
pub(crate) const MODEL: &str = "SIM-1";

/// PK and MAK that two people typed at both ends.
pub(crate) struct Agreed {
    name: &'static str,
    suite: u8,
    pk: Vec<u8>,
    mak: Vec<u8>,
    pk_block: String,
    mak_block: String,
}

pub(crate) static VENDOR_01: LazyLock<Agreed> = LazyLock::new(|| Agreed::make(VENDOR, 1));
pub(crate) static VENDOR_02: LazyLock<Agreed> = LazyLock::new(|| Agreed::make(VENDOR, 2));
pub(crate) static OTHER_01: LazyLock<Agreed> = LazyLock::new(|| Agreed::make(OTHER, 1));
pub(crate) static OTHER_02: LazyLock<Agreed> = LazyLock::new(|| Agreed::make(OTHER, 2));
pub(crate) static BANK_01: LazyLock<Agreed> = LazyLock::new(|| Agreed::make(BANK, 1));

impl Agreed {
    fn make(name: &'static str, suite: u8) -> Agreed {
        let algorithm = if suite == 1 { ZoneAlgorithm::Tdes } else { ZoneAlgorithm::Aes };
        let (pk_block, pk) = typed(&Target::BatchProtect { partner: name.into(), algorithm });
        let (mak_block, mak) = typed(&Target::BatchMac { partner: name.into(), algorithm });
        Agreed { name, suite, pk, mak, pk_block, mak_block }
    }

    /// What its two files are called, and what is in them.
    fn files(&self) -> [(String, String); 2] {
        let aes = if self.suite == 1 { "" } else { "-aes" };
        let file = |what: &str, kind: &str, block: &str| {
            let combined = json!({ "name": "key", "for": format!("{kind}{aes}"), "partner": self.name,
                                   "kcv": "00", "block": block });
            (format!("{}-{what}{aes}.json", self.name), combined.to_string())
        };
        [file("pk", "protect", &self.pk_block), file("mak", "batch-mac", &self.mak_block)]
    }

    /// A key block under PK.
    fn block(&self, usage: [&str; 2], pin_pad: &str, key: &[u8]) -> String {
        let (version, algorithm, usage, mode) = match self.suite {
            1 => (Version::B, Algorithm::TDES, usage[0], "B"),
            _ => (Version::D, Algorithm::AES, usage[1], "N"),
        };
        let header = Header::new(
            version,
            Usage::parse(usage).unwrap(),
            algorithm,
            Mode::parse(mode).unwrap(),
            Exportability::NOT_EXPORTABLE,
        );
        let header = header.with_optional("10", format!("{pin_pad}/00")).unwrap();
        Kbpk::new(version, &self.pk).unwrap().wrap(&header, key).unwrap()
    }

    pub(crate) fn tek(&self, pin_pad: &str, key: &[u8]) -> String {
        self.block(["K1", "14"], pin_pad, key)
    }

    pub(crate) fn auk(&self, pin_pad: &str, key: &[u8]) -> String {
        self.block(["D0", "15"], pin_pad, key)
    }

    fn mac(&self, text: &[u8]) -> String {
        let mac = match self.suite {
            1 => cmac_tdes(&TdesKey::from_bytes(&self.mak).unwrap(), text).to_vec(),
            _ => cmac_aes(&AesKey::from_bytes(&self.mak).unwrap(), text).to_vec(),
        };
        mac.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02X}").unwrap();
            hex
        })
    }

    /// The document with its MAC.
    pub(crate) fn maced(&self, mut document: Value) -> Value {
        document.as_object_mut().unwrap().remove("mac");
        let mac = self.mac(canonical(&document).as_bytes());
        document["mac"] = json!(mac);
        document
    }

    /// A terminal of suite 01 as its batch brings it.
    pub(crate) fn entry(&self, terminal: &Raw) -> Value {
        let pin_pad = terminal.pin_pad.as_ref().unwrap_or(&terminal.sn);
        let mut entry = bare_entry(&terminal.sn, terminal.pin_pad.as_ref());
        entry["tek"] = json!(self.tek(pin_pad, &terminal.tek));
        entry["auk"] = json!(self.auk(pin_pad, &terminal.auk));
        entry
    }

    /// A terminal of suite 02.
    pub(crate) fn entry_ec(&self, terminal: &Ec) -> Value {
        let mut entry = bare_entry(&terminal.sn, terminal.pin_pad.as_ref());
        entry["tek"] = json!(self.tek(terminal.serial(), &terminal.tek));
        entry["auk"] = json!(self.auk(terminal.serial(), &terminal.auk));
        entry["generation"] = json!(terminal.generation.to_string());
        entry["device"] = json!(Base64::encode_string(terminal.certificate.der()));
        entry
    }

    /// A batch for this order, without its MAC.
    pub(crate) fn bare(&self, order: &str, entries: &[Value]) -> Value {
        let mut batch =
            json!({ "version": 1, "order": order, "collected_at": COLLECTED_AT, "terminals": entries });
        if self.suite != 1 {
            batch["suite"] = json!(self.suite);
        }
        batch
    }

    /// A good batch as the vendor's card signs it.
    pub(crate) fn batch(&self, order: &str, entries: &[Value]) -> Vec<u8> {
        signed(&MTMS_CARD, &self.maced(self.bare(order, entries)))
    }

    /// The receipt of an answer, 200 or 409, its MAC checked.
    pub(crate) fn receipt(&self, answer: &Answer) -> Value {
        let receipt = answer.json["receipt"].clone();
        let mut covered = receipt.clone();
        covered.as_object_mut().unwrap().remove("mac").unwrap();
        let text = [b"KF receipt", canonical(&covered).as_bytes()].concat();
        assert_eq!(receipt["mac"], json!(self.mac(&text)), "{answer:?}");
        receipt
    }
}

/// The vendor's card.
pub(crate) static MTMS_CARD: LazyLock<Person> =
    LazyLock::new(|| ESTATE.card(Role::Mtms, "Vendor MTMS", valid()));

fn bare_entry(sn: &str, pin_pad: Option<&String>) -> Value {
    let mut entry =
        json!({ "sn": sn, "vendor": "KF", "model": MODEL, "work_certificate_sha256": "5a".repeat(32) });
    if let Some(pin_pad) = pin_pad {
        entry["pin_pad_sn"] = json!(pin_pad);
    }
    entry
}

/// A key that two people typed as components: its block in the HSM, and the key as the vendor has it.
fn typed(target: &Target) -> (String, Vec<u8>) {
    let hsm = Offline::open(&ESTATE.hsm_folder(), PASSPHRASE).unwrap();
    let (owner, session) = (ACQUIRER.into(), "2026-11".into());
    let ceremony = Ceremony { name: "key".into(), owner, session, of: 2, target: target.clone() };
    let people = ["Ada Lovelace", "Grace Hopper"];
    if target.algorithm() == ZoneAlgorithm::Tdes {
        let typed = [(); 2].map(|()| TdesKey::generate24().unwrap().expose().to_vec());
        let parts: Vec<_> = (1..)
            .zip(people)
            .zip(&typed)
            .map(|((part, person), key)| {
                let (clear, check_value) = (Zeroizing::new(key.clone()), check_value(key));
                enter(&hsm, &ceremony, &Component { part, person: person.into(), clear, check_value })
                    .unwrap()
            })
            .collect();
        let sum = typed[0].iter().zip(&typed[1]).map(|(a, b)| a ^ b);
        let key: Vec<u8> = sum.map(|byte| if byte.count_ones() % 2 == 0 { byte ^ 1 } else { byte }).collect();
        return (combine(&hsm, &ceremony, &parts, check_value(&key)).unwrap().block.into(), key);
    }
    let typed = [(); 2].map(|()| ec::random::<32>());
    let parts: Vec<_> = (1..)
        .zip(people)
        .zip(&typed)
        .map(|((part, person), key)| {
            let (clear, check_value) = (Zeroizing::new(key.to_vec()), ec::kcv(key));
            enter(&hsm, &ceremony, &Component { part, person: person.into(), clear, check_value }).unwrap()
        })
        .collect();
    let key: Vec<u8> = typed[0].iter().zip(&typed[1]).map(|(a, b)| a ^ b).collect();
    (combine(&hsm, &ceremony, &parts, ec::kcv(&key)).unwrap().block.into(), key)
}

/// RFC 8785 of what the documents here hold: ASCII texts, small whole numbers, booleans, lists and objects.
pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut names: Vec<_> = members.keys().collect();
            names.sort();
            let members: Vec<_> =
                names.iter().map(|name| format!("\"{name}\":{}", canonical(&members[*name]))).collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(values) => {
            format!("[{}]", values.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        Value::String(text) => {
            assert!(text.bytes().all(|b| b.is_ascii() && b >= 0x20 && b != b'"' && b != b'\\'), "{text:?}");
            format!("\"{text}\"")
        }
        other => other.to_string(),
    }
}

/// SHA-256 of a batch's content, as its receipt names it.
pub(crate) fn content_digest(batch: &Value) -> String {
    Sha256::digest(batch.to_string()).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Writes the files of these partners and gives their part of the configuration.
pub(crate) fn sections(world: &World, partners: &[&Agreed]) -> String {
    partners.iter().fold(String::new(), |mut text, partner| {
        let [(pk, pk_file), (mak, mak_file)] = partner.files();
        world.write(&pk, &pk_file);
        world.write(&mak, &mak_file);
        let name = partner.name;
        write!(text, "[[partners]]\nname = \"{name}\"\npk = \"{pk}\"\nmak = \"{mak}\"\n").unwrap();
        text
    })
}

/// An order of this vendor's for the acquirer of the tests.
pub(crate) fn order(name: &str, vendor: &str, serials: Option<&[&str]>) -> Value {
    let mut order = json!({ "version": 1, "kind": "order", "order": name, "vendor": vendor, "buyer": ACQUIRER,
                            "model": MODEL });
    if let Some(serials) = serials {
        order["serials"] = json!(serials);
    }
    order
}

pub(crate) fn close(name: &str) -> Value {
    json!({ "version": 1, "kind": "close", "order": name })
}

pub(crate) fn post_order(server: &Server, cms: &[u8]) -> Answer {
    https::post(server.https, "/v1/orders", CMS, cms)
}

pub(crate) fn post_batch(server: &Server, cms: &[u8]) -> Answer {
    https::post(server.https, "/v1/batches", CMS, cms)
}

/// An order or its end, signed by both, that must be taken.
pub(crate) fn take_order(server: &Server, document: &Value) {
    let answer = post_order(server, &by_both(document));
    assert_eq!(answer.status, 200, "{answer:?}");
}
