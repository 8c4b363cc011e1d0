//! Chapter F: signing in, and a PIN that only its issuer opens.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use anyhow::{Context as _, Result};
use base64ct::{Base64, Encoding as _};
use calc::Algorithm;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    ceremony::{Agreed, component, write_private},
    posp::{self, Identity, Posp},
    software::SLOT,
    story::Story,
    terminals::Terminal,
    tool::{good, keyferry, run},
};
use crate::commands::suite::SuiteName;

const ZONE: &str = "ISSUER";
/// Twelve digits: long enough to be looked for everywhere, and not to be found by chance.
const PIN_DIGITS: usize = 12;
/// A card number of a range for tests.
const PAN: &str = "4111111111111111";
const OTHER_PAN: &str = "4111111111111129";

/// How PINs travel in a suite.
struct Zone {
    /// What the zone master key is made for.
    master: &'static str,
    algorithm: Algorithm,
    /// Of key blocks.
    version: &'static str,
    letter: &'static str,
    /// PIN block formats: from the terminal, to the issuer.
    formats: [u8; 2],
}

impl Zone {
    fn of(suite: SuiteName) -> Self {
        match suite {
            SuiteName::Tdes => Self {
                master: "zone-master",
                algorithm: Algorithm::Tdes,
                version: "B",
                letter: "T",
                formats: [0, 3],
            },
            SuiteName::EcAes => Self {
                master: "zone-master-aes",
                algorithm: Algorithm::Aes,
                version: "D",
                letter: "A",
                formats: [4, 4],
            },
        }
    }
}

/// What the issuer has, and nobody else.
struct Issuer {
    zone_key: Zeroizing<Vec<u8>>,
}

impl Story<'_> {
    pub(super) fn pins(&mut self, folder: &Path, shops: &[Terminal]) -> Result<()> {
        self.report.chapter("A terminal signs in, and a PIN travels to its issuer");
        let [shop, ..] = shops else { return Ok(()) };
        let work = folder.join("posp");
        fs::create_dir_all(&work)?;
        let issuer = self.agree_with_issuer(&work)?;
        let mine = Identity::make(&self.estate, &work, &self.estate.path("ca"), posp::NAME)?;
        let stranger = Identity::make(&self.estate, &work, &folder.join("vendor/stranger"), "stranger")?;
        self.serve_posp()?;

        let mut sign_in = keyferry(["terminal", "sign-in", "--json", "--slot", &SLOT.to_string()])?;
        sign_in.args(["--server", &self.estate.terminal_port]);
        let signed_in = run(sign_in.arg(shop.folder()))?;
        let kcvs = signed_in.json.get("kcvs").and_then(Value::as_array).map_or(0, Vec::len);
        self.report.check(
            "signed-in",
            signed_in.ok && kcvs == 2,
            &format!("{} has a PIN key and a MAC key from the host {}", shop.sn, signed_in.error),
        );
        let pin = random_pin()?;
        let block = enter(shop, &work, &pin)?;
        self.translate(shop, &issuer, (&mine, &stranger), &block, &pin)?;
        self.mac(shop, &work, &mine)?;
        let found = everywhere(folder, pin.as_bytes())?;
        self.report.check(
            "pin-nowhere-else",
            found.is_none(),
            &format!("its digits are in no log, database or file of the estate{}", found.unwrap_or_default()),
        );
        Ok(())
    }

    /// Acquirer and issuer type a zone master key; under it comes the zone's PIN key.
    fn agree_with_issuer(&mut self, work: &Path) -> Result<Issuer> {
        let zone = Zone::of(self.estate.suite);
        let master = Agreed::new("ZMK-1", zone.master, zone.algorithm)?;
        let ours = master.type_in(&self.estate, &self.estate.path("hsm"), work, "zmk")?;
        let zone_key = component(zone.algorithm)?;
        let text = calc::HeaderText {
            version: zone.version,
            usage: "P0",
            algorithm: zone.letter,
            mode: "B",
            key_version: "00",
            exportability: "N",
            key_context: "0",
        };
        let sent = calc::wrap(&master.key(), &calc::header(&text, &[])?, &zone_key, None)?;
        let block = work.join("zone-key.block");
        fs::write(&block, sent.block.as_bytes())?;
        let mut import = keyferry(["host", "zone-key", "import", ZONE, "--config"])?;
        import.arg(self.estate.path("keyferry.toml")).arg("--under").arg(ours).arg("--block").arg(&block);
        good(import.arg("--passphrase-file").arg(self.estate.secret("hsm-passphrase")))?;
        self.report
            .tell("acquirer and issuer share a zone key; it came under a key of two people's components");
        Ok(Issuer { zone_key })
    }

    fn serve_posp(&mut self) -> Result<()> {
        let section = format!(
            "[posp]\nlisten = \"127.0.0.1:0\"\nclient_root = \"ca/root.pem\"\nclients = [\"{}\"]\n\n[log]",
            posp::NAME
        );
        self.estate.configure("[log]", &section)?;
        self.estate.stop_server()?;
        self.estate.start_server()
    }

    fn translate(
        &mut self,
        shop: &Terminal,
        issuer: &Issuer,
        (mine, stranger): (&Identity, &Identity),
        block: &str,
        pin: &str,
    ) -> Result<()> {
        let address = self.estate.posp.clone().context("the server does not serve POSPs")?;
        let [from, to] = Zone::of(self.estate.suite).formats;
        let request = |pan: &str| {
            json!({ "sn": shop.sn, "slot": SLOT, "pan": pan, "from": from, "to": to, "pin_block": block,
                    "zone": ZONE })
        };
        let foreign = Posp::new(&self.estate, &address, Some(stranger))?;
        let nobody = Posp::new(&self.estate, &address, None)?;
        let refused =
            [&foreign, &nobody].iter().all(|posp| posp.post("/v1/pin/translate", &request(PAN)).is_err());
        self.report.attack(
            "role-mix",
            "posp-needs-its-certificate",
            refused,
            "without a certificate, or with one of another CA, nobody gets as far as a request",
        );
        let posp = Posp::new(&self.estate, &address, Some(mine))?;
        let answer = posp.post("/v1/pin/translate", &request(PAN))?;
        let translated = answer.text("/pin_block").unwrap_or_default().to_owned();
        let opened = calc::read_hex(&translated, "PIN block")
            .and_then(|block| calc::decode_pin(u64::from(to), &block, Some(PAN), Some(&issuer.zone_key)));
        let opens = opened.as_ref().is_ok_and(|opened| opened.pin() == pin);
        self.report.check(
            "pin-opened-by-the-issuer-only",
            answer.status == 200 && opens && translated != block,
            &format!(
                "the HSM translated it from the terminal's key to the zone's, format {from} to {to}: the issuer \
                 opened it"
            ),
        );
        let other = posp.post("/v1/pin/translate", &request(OTHER_PAN))?;
        self.report.attack(
            "other-card",
            "pin-bound-to-its-card",
            other.status != 200,
            &format!("for another card number: {}", other.text("/error/text").unwrap_or("it was taken!")),
        );
        Ok(())
    }

    fn mac(&mut self, shop: &Terminal, work: &Path, mine: &Identity) -> Result<()> {
        let message = work.join("message");
        fs::write(&message, b"0200 a purchase of 12.50")?;
        let mut make = keyferry(["terminal", "mac", "--json", "--slot", &SLOT.to_string(), "--data"])?;
        let made = run(make.arg(&message).arg(shop.folder()))?.good()?;
        let mac = made.get("mac").and_then(Value::as_str).unwrap_or_default();
        let address = self.estate.posp.clone().context("the server does not serve POSPs")?;
        let posp = Posp::new(&self.estate, &address, Some(mine))?;
        let ask = |data: &[u8]| {
            let data = Base64::encode_string(data);
            posp.post("/v1/mac/verify", &json!({ "sn": shop.sn, "slot": SLOT, "data": data, "mac": mac }))
        };
        let right = ask(b"0200 a purchase of 12.50")?;
        let wrong = ask(b"0200 a purchase of 99.50")?;
        self.report.attack(
            "changed-message",
            "mac-tells-a-changed-message",
            right.json["ok"] == true && wrong.json["ok"] == false,
            "the host knows the terminal's message by its MAC, and a changed one too",
        );
        Ok(())
    }
}

/// Types the PIN at the PIN pad; gives the PIN block as it goes to the host.
fn enter(shop: &Terminal, work: &Path, pin: &str) -> Result<String> {
    let (pan_file, pin_file) = (work.join("pan"), work.join("pin"));
    write_private(&pan_file, PAN.as_bytes())?;
    write_private(&pin_file, pin.as_bytes())?;
    let mut enter = keyferry(["terminal", "pin", "--json", "--slot", &SLOT.to_string(), "--pan-file"])?;
    let said = run(enter.arg(&pan_file).arg("--pin-file").arg(&pin_file).arg(shop.folder()));
    fs::remove_file(&pin_file)?;
    let said = said?.good()?;
    Ok(said.get("pin_block").and_then(Value::as_str).unwrap_or_default().to_owned())
}

fn random_pin() -> Result<Zeroizing<String>> {
    let mut pin = Zeroizing::new(String::with_capacity(PIN_DIGITS));
    for byte in BufReader::new(fs::File::open("/dev/urandom")?).bytes() {
        let byte = byte?;
        // Of 256 values 250 give each digit as often as the others.
        if byte < 250 {
            pin.push(char::from(b'0' + byte % 10));
        }
        if pin.len() == PIN_DIGITS {
            break;
        }
    }
    Ok(pin)
}

/// The first file below `folder` that holds these bytes.
fn everywhere(folder: &Path, wanted: &[u8]) -> Result<Option<String>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let kind = fs::symlink_metadata(&path)?.file_type();
        let found = if kind.is_dir() {
            everywhere(&path, wanted)?
        } else if kind.is_file() {
            holds(&path, wanted)?.then(|| format!(", but in {}", path.display()))
        } else {
            None
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn holds(path: &Path, wanted: &[u8]) -> Result<bool> {
    let mut reader = BufReader::new(fs::File::open(path)?);
    let mut kept = Vec::new();
    loop {
        let part = reader.fill_buf()?;
        if part.is_empty() {
            return Ok(false);
        }
        let read = part.len();
        kept.extend_from_slice(part);
        reader.consume(read);
        if kept.windows(wanted.len()).any(|window| window == wanted) {
            return Ok(true);
        }
        kept.drain(..kept.len().saturating_sub(wanted.len()));
    }
}
