//! A terminal of flow E in suite 02, written from 3-hardened.md alone.

use serde_json::{Value, json};

use super::{
    ec::{
        self, CONFIRMATION, EcKeyReceived, Keys, RECEIPT, Side, assert_ascending, hmac_of, random, seal,
        unseal, without,
    },
    line::Line,
    rks::hex,
    rks_ec::under_exchange,
    shop::Shop,
    tlv::{self, Message, field, frame},
    tms::{
        BYTES, CHALLENGE, DATA, DWK_MODE, ENTRY, GET, HELLO, INVENTORY, MODEL, MODEL_ID, OPERATOR_ID,
        OPERATOR_PROOF, PACKAGE_NAME, PACKAGE_VERSION, PLAN, PROOF, REPORT, RESULT, S_DATA, SEALED,
        SEALED_MESSAGE, SRC, STAGE, Stop, T_DATA, TMS_KEY, TMS_VERSION, TRANSACTION, VENDOR, VENDOR_ID,
        entries, get_fields,
    },
    world::Options,
};

/// A terminal with its DMK.
#[derive(Clone)]
pub(crate) struct EcPos {
    pub(crate) sn: String,
    pub(crate) pin_pad: Option<String>,
    pub(crate) dmk: Vec<u8>,
    /// Operator and password.
    pub(crate) operator: Option<(String, String)>,
}

/// A session up to TMS_CHALLENGE.
pub(crate) struct Challenged {
    pub(crate) keys: Keys,
    pub(crate) challenge: Message,
    /// TMS_HELLO and TMS_CHALLENGE.
    pub(crate) said: Vec<u8>,
    t_data: [u8; 10],
    /// Whether TMS_CHALLENGE shows that the server has this DMK.
    pub(crate) proven: bool,
}

/// An open session.
pub(crate) struct EcSession {
    pub(crate) keys: Keys,
    /// TMS_HELLO to TMS_KEY.
    pub(crate) said: Vec<u8>,
    pub(crate) out: u64,
    pub(crate) inward: u64,
}

impl EcPos {
    pub(crate) fn new(sn: &str) -> EcPos {
        EcPos { sn: sn.into(), pin_pad: None, dmk: random::<32>().to_vec(), operator: None }
    }

    pub(crate) fn serial(&self) -> &str {
        self.pin_pad.as_deref().unwrap_or(&self.sn)
    }

    /// The entry of a KLD's report that injected DMK.
    pub(crate) fn entry(&self) -> Value {
        let block = under_exchange(("11", "N"), (self.serial(), 0), &self.dmk);
        let mut entry = json!({ "sn": self.sn, "ok": true,
            "keys": [{ "kind": "dmk", "kcv": hex(&ec::kcv(&self.dmk)), "block": block }] });
        if let Some(pin_pad) = &self.pin_pad {
            entry["pin_pad_sn"] = json!(pin_pad);
        }
        entry
    }

    /// TMS_HELLO.
    pub(crate) fn hello(
        &self,
        transaction: &str,
        slot: Option<u8>,
        side: &Side,
        t_data: &[u8; 10],
    ) -> Vec<u8> {
        let mut fields = [field(tlv::SUITE, &[2]), field(tlv::SN, self.sn.as_bytes())].concat();
        if let Some(pin_pad) = &self.pin_pad {
            fields.extend(field(tlv::PIN_PAD, pin_pad.as_bytes()));
        }
        fields.extend(slot.map(|slot| field(tlv::SLOT, &[slot])).unwrap_or_default());
        fields.extend(side.fields());
        fields.extend(field(VENDOR_ID, VENDOR.as_bytes()));
        fields.extend(field(MODEL_ID, MODEL.as_bytes()));
        fields.extend(field(TMS_VERSION, b"01.00"));
        fields.extend(field(TRANSACTION, transaction.as_bytes()));
        fields.extend(field(T_DATA, t_data));
        fields.extend(field(STAGE, &[1]));
        frame(HELLO, &fields)
    }

    /// TMS_HELLO and TMS_CHALLENGE.
    pub(crate) fn ask(
        &self,
        line: &mut Line,
        transaction: &str,
        slot: Option<u8>,
    ) -> Result<Challenged, Stop> {
        let (side, mut t_data) = (Side::new(), [0; 10]);
        t_data[..4].copy_from_slice(&random::<4>());
        t_data[0] &= 0x7F;
        let hello = self.hello(transaction, slot, &side, &t_data);
        line.send(&hello);
        let challenge = line.expect(CHALLENGE)?;
        assert_ascending(&challenge);
        if challenge.get(SRC) != b"00" {
            return Err(src(line, &challenge));
        }
        assert_eq!(challenge.get(DWK_MODE), [2]);
        assert_eq!(challenge.get(S_DATA)[0] & 0x80, 0x80);
        let bare = [&hello[..], &without(&challenge, CONFIRMATION)].concat();
        let keys = Keys::new(b'E', &self.dmk, &side, &challenge, &bare);
        let proven = keys.mac("server", &bare) == challenge.get(CONFIRMATION);
        let said = [hello, challenge.frame.clone()].concat();
        Ok(Challenged { keys, challenge, said, t_data, proven })
    }

    /// TMS_PROOF with the right confirmation, but for `change`.
    pub(crate) fn proof(&self, asked: &Challenged, change: u8) -> Vec<u8> {
        self.proof_with(asked, change, 0)
    }

    /// TMS_PROOF that says that TMS_CHALLENGE proved nothing.
    pub(crate) fn failed(&self, asked: &Challenged) -> Vec<u8> {
        self.proof_with(asked, 0, 1)
    }

    fn proof_with(&self, asked: &Challenged, change: u8, result: u8) -> Vec<u8> {
        let with = |mac: Option<[u8; 32]>| {
            let mut fields = field(tlv::SN, self.sn.as_bytes());
            fields.extend(mac.map(|mac| field(CONFIRMATION, &mac)).unwrap_or_default());
            fields.extend(field(VENDOR_ID, VENDOR.as_bytes()));
            fields.extend(field(MODEL_ID, MODEL.as_bytes()));
            fields.extend(field(TMS_VERSION, b"01.00"));
            fields.extend(field(STAGE, &[3]));
            fields.extend(field(SRC, if result == 0 { b"00" } else { b"06" }));
            fields.extend(field(RESULT, &[result]));
            if let Some((id, password)) = &self.operator {
                let verifier = paycrypto::operator::Verifier::derive(id, password.as_bytes());
                let key = [&verifier.expose()[..], &asked.keys.key("operator")].concat();
                let proof = hmac_of(&key, &[&asked.t_data[..], asked.challenge.get(S_DATA)].concat());
                fields.extend(field(OPERATOR_ID, id.as_bytes()));
                fields.extend(field(OPERATOR_PROOF, &proof));
            }
            frame(PROOF, &fields)
        };
        let mut mac = asked.keys.mac("terminal", &[&asked.said[..], &with(None)].concat());
        mac[31] ^= change;
        with(Some(mac))
    }

    /// TMS_PROOF and TMS_KEY, whose receipt is checked; the TMK of a key download with it.
    pub(crate) fn prove(
        &self,
        line: &mut Line,
        asked: Challenged,
        proof: &[u8],
    ) -> Result<(EcSession, Option<EcKeyReceived>), Stop> {
        line.send(proof);
        let key = line.expect(TMS_KEY)?;
        assert_ascending(&key);
        if key.get(SRC) != b"00" {
            return Err(src(line, &key));
        }
        let said = [&asked.said[..], proof].concat();
        let bare = [&said[..], &without(&key, RECEIPT)].concat();
        assert_eq!(asked.keys.mac("receipt s", &bare), key.get(RECEIPT), "the TMS heard this proof");
        assert!(key.fields.iter().all(|(tag, _)| *tag != tlv::KEY_BLOCK), "no session key travels");
        let entry = key.fields.iter().find(|(tag, _)| *tag == tlv::KEY_ENTRY);
        let tmk = entry.map(|(_, entry)| {
            let entry = Message::read(&frame(TMS_KEY, entry));
            let block = str::from_utf8(entry.get(tlv::KEY_BLOCK)).unwrap();
            ec::open_block(&asked.keys.key("kbpk"), block, self.serial(), &said)
        });
        let said = [said, key.frame].concat();
        Ok((EcSession { keys: asked.keys, said, out: 0, inward: 0 }, tmk))
    }

    /// A whole handshake for packages.
    pub(crate) fn open(&self, line: &mut Line) -> Result<EcSession, Stop> {
        let asked = self.ask(line, "0002", None)?;
        let proof = self.proof(&asked, 0);
        Ok(self.prove(line, asked, &proof)?.0)
    }

    /// A whole handshake for a key.
    pub(crate) fn load(&self, line: &mut Line, slot: u8) -> Result<(EcSession, EcKeyReceived), Stop> {
        let asked = self.ask(line, "0001", Some(slot))?;
        let proof = self.proof(&asked, 0);
        let (session, tmk) = self.prove(line, asked, &proof)?;
        Ok((session, tmk.unwrap()))
    }
}

/// A shop of both suites with these terminals.
pub(crate) fn shop(terminals: &[&EcPos], tms: &str) -> Shop {
    let more = format!("[tms]\n{tms}\n");
    let shop = Shop::with_options(&[], &Options { suite_02: true, more, ..Options::default() });
    report(&shop, "run-02", terminals);
    shop
}

/// Has the KLD report these terminals' DMKs.
pub(crate) fn report(shop: &Shop, run: &str, terminals: &[&EcPos]) {
    let entries: Vec<_> = terminals.iter().map(|terminal| terminal.entry()).collect();
    super::rks_ec::take(&shop.server, &super::rks_ec::report(run, &entries));
}

fn src(line: &mut Line, message: &Message) -> Stop {
    let code = str::from_utf8(message.get(SRC)).unwrap().to_owned();
    assert!(line.receive().is_none(), "something came after SRC {code}");
    assert_eq!(message.fields.len(), 6, "identification, stage and SRC alone: {message:02X?}");
    Stop::Src(code)
}

impl EcSession {
    /// The right KEY_CONFIRM of a key download.
    pub(crate) fn confirm(&self, tmk: &EcKeyReceived) -> Vec<u8> {
        ec::confirm(&self.keys.receipt("receipt t", &self.said, &[(tmk.slot, tmk.kcv)]))
    }

    /// What DONE must hold after it.
    pub(crate) fn done(&self, confirm: &[u8], tmk: &EcKeyReceived) -> [u8; 32] {
        self.keys.receipt("receipt s", &[&self.said[..], confirm].concat(), &[(tmk.slot, tmk.kcv)])
    }

    /// DF4A of the terminal's message of this number.
    pub(crate) fn seal(&self, number: u64, inner: &[u8]) -> Vec<u8> {
        seal(&self.keys.key("frame t"), number, &[0], inner)
    }

    /// SEALED with the next number.
    pub(crate) fn sealed(&mut self, kind: u8, fields: &[u8]) -> Vec<u8> {
        let sealed = self.seal(self.out, &[&[0x01, kind], fields].concat());
        self.out += 1;
        frame(SEALED, &field(SEALED_MESSAGE, &sealed))
    }

    /// The answer, which must be of this type.
    pub(crate) fn receive(&mut self, line: &mut Line, kind: u8) -> Result<Message, Stop> {
        let answer = line.expect(SEALED)?;
        let inner = unseal(&self.keys.key("frame s"), self.inward, &[1], answer.get(SEALED_MESSAGE));
        self.inward += 1;
        let inner = Message::read(&tlv::frame_of(&inner.expect("the answer opens")));
        if inner.kind == tlv::ERROR {
            assert!(line.receive().is_none(), "something came after a sealed ERROR");
            let code = u16::from_be_bytes(inner.get(tlv::ERROR_CODE).try_into().unwrap());
            return Err(Stop::Sealed(code, String::new()));
        }
        assert_ascending(&inner);
        assert_eq!(inner.kind, kind, "{inner:02X?}");
        Ok(inner)
    }

    pub(crate) fn ask(
        &mut self,
        line: &mut Line,
        kind: u8,
        fields: &[u8],
        answer: u8,
    ) -> Result<Message, Stop> {
        let sealed = self.sealed(kind, fields);
        line.send(&sealed);
        self.receive(line, answer)
    }

    /// TMS_INVENTORY; gives names and versions of the plan.
    pub(crate) fn inventory(
        &mut self,
        line: &mut Line,
        installed: &[(&str, &str)],
    ) -> Result<Vec<(String, String)>, Stop> {
        let plan = self.ask(line, INVENTORY, &entries(installed), PLAN)?;
        let text = |entry: &Message, tag| String::from_utf8(entry.get(tag).to_vec()).unwrap();
        let listed = plan.fields.iter().filter(|(tag, _)| *tag == ENTRY).map(|(_, entry)| {
            let entry = Message::read(&frame(PLAN, entry));
            assert_ascending(&entry);
            (text(&entry, PACKAGE_NAME), text(&entry, PACKAGE_VERSION))
        });
        Ok(listed.collect())
    }

    /// TMS_GET; gives the bytes.
    pub(crate) fn get(
        &mut self,
        line: &mut Line,
        package: (&str, &str),
        offset: u64,
        wanted: u32,
    ) -> Result<Vec<u8>, Stop> {
        let data = self.ask(line, GET, &get_fields(package, offset, wanted), DATA)?;
        Ok(data.get(BYTES).to_vec())
    }

    /// TMS_REPORT.
    pub(crate) fn report(
        &mut self,
        line: &mut Line,
        installed: &[(&str, &str)],
        result: u8,
    ) -> Result<(), Stop> {
        let fields = [field(RESULT, &[result]), entries(installed)].concat();
        self.ask(line, REPORT, &fields, tlv::DONE).map(drop)
    }
}
