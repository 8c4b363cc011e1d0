//! A terminal of flow E written from 2-wire.md sections 3, 4 and 7 alone: it shares no code with the product but TDES
//! and key blocks, which have their own outside vectors.

use keyblock::{Kbpk, Version};
use paycrypto::{
    TdesKey,
    mac::{Padding, iso9797_alg1, x9_9},
};
use sha2::{Digest, Sha256};

use super::{
    line::{End, Line},
    rks::{RawDevice, hex},
    tlv::{self, Message, field, frame},
};

pub(crate) const HELLO: u8 = 0x31;
pub(crate) const CHALLENGE: u8 = 0x32;
pub(crate) const PROOF: u8 = 0x33;
pub(crate) const TMS_KEY: u8 = 0x34;
pub(crate) const INVENTORY: u8 = 0x35;
pub(crate) const PLAN: u8 = 0x36;
pub(crate) const GET: u8 = 0x37;
pub(crate) const DATA: u8 = 0x38;
pub(crate) const REPORT: u8 = 0x39;
pub(crate) const SEALED: u8 = 0x3F;

pub(crate) const STATUS: u16 = 0xDF2D;
pub(crate) const VENDOR_ID: u16 = 0xDF30;
pub(crate) const MODEL_ID: u16 = 0xDF31;
pub(crate) const TMS_VERSION: u16 = 0xDF32;
pub(crate) const TRANSACTION: u16 = 0xDF33;
pub(crate) const T_DATA: u16 = 0xDF34;
pub(crate) const S_DATA: u16 = 0xDF35;
pub(crate) const TAC_1: u16 = 0xDF36;
pub(crate) const DWK_1: u16 = 0xDF37;
pub(crate) const SAC_1: u16 = 0xDF38;
pub(crate) const DWK_MODE: u16 = 0xDF39;
pub(crate) const STAGE: u16 = 0xDF3A;
pub(crate) const SRC: u16 = 0xDF3B;
pub(crate) const RESULT: u16 = 0xDF3C;
pub(crate) const OPERATOR_ID: u16 = 0xDF3D;
pub(crate) const OPERATOR_PROOF: u16 = 0xDF3E;
pub(crate) const OPERATOR_DEMANDED: u16 = 0xDF3F;
pub(crate) const PACKAGE_NAME: u16 = 0xDF41;
pub(crate) const PACKAGE_VERSION: u16 = 0xDF42;
pub(crate) const PACKAGE_KIND: u16 = 0xDF43;
pub(crate) const PACKAGE_SIZE: u16 = 0xDF44;
pub(crate) const PACKAGE_SHA256: u16 = 0xDF45;
pub(crate) const OFFSET: u16 = 0xDF46;
pub(crate) const WANTED: u16 = 0xDF47;
pub(crate) const BYTES: u16 = 0xDF48;
pub(crate) const SEALED_MESSAGE: u16 = 0xDF4A;
pub(crate) const ENTRY: u16 = 0xFF22;

/// The vendor of all tests, and its one model.
pub(crate) const VENDOR: &str = "VND";
pub(crate) const MODEL: &str = "M-1";

/// How a session ended for its terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A return code that is not 00, then the end of the stream.
    Src(String),
    /// A clear end.
    End(End),
    /// A sealed ERROR with its text, then the end of the stream.
    Sealed(u16, String),
}

impl From<End> for Stop {
    fn from(end: End) -> Stop {
        Stop::End(end)
    }
}

/// A terminal with its DMK.
#[derive(Debug, Clone)]
pub(crate) struct Pos {
    pub(crate) sn: String,
    pub(crate) pin_pad: Option<String>,
    pub(crate) vendor: String,
    pub(crate) model: String,
    pub(crate) dmk: Vec<u8>,
    pub(crate) suite: u8,
    pub(crate) version: String,
    pub(crate) when: [u8; 6],
    /// Operator and password.
    pub(crate) operator: Option<(String, String)>,
    /// Fields that TMS_HELLO has beside.
    pub(crate) more: Vec<u8>,
}

/// A session up to TMS_CHALLENGE, which proved the server.
pub(crate) struct Challenged {
    pub(crate) frames: Vec<u8>,
    pub(crate) challenge: Message,
    t_data: [u8; 10],
    dwk: Vec<u8>,
}

/// An open session.
pub(crate) struct Session {
    dwk: TdesKey,
    key: TdesKey,
    pub(crate) out: u32,
    pub(crate) inward: u32,
}

/// A TMK that came in a session, with its check value.
pub(crate) struct Loaded {
    pub(crate) key: Vec<u8>,
    pub(crate) kcv: [u8; 3],
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    paycrypto::random::fill(&mut bytes).unwrap();
    bytes
}

/// `10` and `11` of a block in this session, checked to the character.
fn open_block(under: &[u8], text: &[u8], head: &str, place: &str, said: &[u8]) -> Option<Vec<u8>> {
    let block = str::from_utf8(text).unwrap();
    let context = hex(&Sha256::digest(said)[..16]);
    let bound = format!("10{:02X}{place}1124{context}", 4 + place.len());
    assert_eq!(block[..5], format!("B{:04}", block.len()));
    assert_eq!(block[5..12], *head);
    assert_eq!(block[16..16 + bound.len()], bound);
    let opened = Kbpk::new(Version::B, under).unwrap().unwrap(block).ok()?;
    Some(opened.key.to_vec())
}

impl Pos {
    pub(crate) fn new(sn: &str) -> Pos {
        Pos {
            sn: sn.into(),
            pin_pad: None,
            vendor: VENDOR.into(),
            model: MODEL.into(),
            dmk: TdesKey::generate24().unwrap().expose().to_vec(),
            suite: 1,
            version: "01.00".into(),
            when: [0; 6],
            operator: None,
            more: Vec::new(),
        }
    }

    fn key_serial(&self) -> &str {
        self.pin_pad.as_deref().unwrap_or(&self.sn)
    }

    /// The same serials as a device of the remote key server's tests has: for the KLD's report.
    pub(crate) fn device(&self) -> RawDevice {
        let device = RawDevice::new(&self.sn);
        RawDevice { pin_pad: self.pin_pad.clone(), ..device }
    }

    /// TMS_HELLO.
    pub(crate) fn hello(&self, transaction: &str, slot: Option<u8>, t_data: [u8; 10]) -> Vec<u8> {
        let mut fields = [
            field(tlv::SUITE, &[self.suite]),
            field(VENDOR_ID, self.vendor.as_bytes()),
            field(MODEL_ID, self.model.as_bytes()),
            field(tlv::SN, self.sn.as_bytes()),
        ]
        .concat();
        if let Some(pin_pad) = &self.pin_pad {
            fields.extend(field(tlv::PIN_PAD, pin_pad.as_bytes()));
        }
        fields.extend(field(TMS_VERSION, self.version.as_bytes()));
        fields.extend(field(TRANSACTION, transaction.as_bytes()));
        fields.extend(field(STAGE, &[1]));
        fields.extend(field(T_DATA, &t_data));
        if let Some(slot) = slot {
            fields.extend(field(tlv::SLOT, &[slot]));
        }
        fields.extend_from_slice(&self.more);
        frame(HELLO, &fields)
    }

    pub(crate) fn t_data(&self) -> [u8; 10] {
        let mut t_data = [0; 10];
        t_data[..4].copy_from_slice(&random::<4>());
        t_data[0] &= 0x7F;
        t_data[4..].copy_from_slice(&self.when);
        t_data
    }

    /// TMS_HELLO and TMS_CHALLENGE, whose form is checked; not whether it opens.
    pub(crate) fn ask(
        &self,
        line: &mut Line,
        transaction: &str,
        slot: Option<u8>,
    ) -> Result<Challenged, Stop> {
        let t_data = self.t_data();
        let hello = self.hello(transaction, slot, t_data);
        line.send(&hello);
        let challenge = line.expect(CHALLENGE)?;
        self.assert_named(&challenge, 2);
        if challenge.get(SRC) != b"00" {
            return Err(src(line, &challenge));
        }
        assert_eq!((challenge.get(DWK_MODE), challenge.get(TAC_1).len()), (&[1][..], 4));
        assert_eq!(challenge.get(S_DATA)[0] & 0x80, 0x80);
        let place = format!("{}/00", self.key_serial());
        let dwk = open_block(&self.dmk, challenge.get(DWK_1), "K1TB00N", &place, &hello);
        let dwk = dwk.filter(|dwk| x9_9(&TdesKey::from_bytes(dwk).unwrap(), &t_data) == challenge.get(TAC_1));
        let frames = [hello, challenge.frame.clone()].concat();
        Ok(Challenged { frames, challenge, t_data, dwk: dwk.unwrap_or_default() })
    }

    fn assert_named(&self, message: &Message, stage: u8) {
        assert_eq!(message.get(VENDOR_ID), self.vendor.as_bytes());
        assert_eq!(message.get(MODEL_ID), self.model.as_bytes());
        assert_eq!(message.get(tlv::SN), self.sn.as_bytes());
        assert_eq!(message.get(STAGE), [stage]);
    }

    /// TMS_PROOF's frame with this SAC_1 and result.
    pub(crate) fn proof(&self, asked: &Challenged, sac_1: &[u8], result: u8) -> Vec<u8> {
        let mut fields = [
            field(VENDOR_ID, self.vendor.as_bytes()),
            field(MODEL_ID, self.model.as_bytes()),
            field(tlv::SN, self.sn.as_bytes()),
            field(TMS_VERSION, self.version.as_bytes()),
            field(STAGE, &[3]),
            field(SRC, if result == 0 { b"00" } else { b"06" }),
            field(RESULT, &[result]),
            field(SAC_1, sac_1),
        ]
        .concat();
        if let Some((id, password)) = &self.operator {
            let proof = proof_of(id, password, &asked.dwk, &asked.t_data, asked.challenge.get(S_DATA));
            fields.extend(field(OPERATOR_ID, id.as_bytes()));
            fields.extend(field(OPERATOR_PROOF, &proof));
        }
        frame(PROOF, &fields)
    }

    /// The right SAC_1; zeros where TMS_CHALLENGE did not open.
    pub(crate) fn sac_1(asked: &Challenged) -> [u8; 4] {
        match TdesKey::from_bytes(&asked.dwk) {
            Ok(dwk) => x9_9(&dwk, asked.challenge.get(S_DATA)),
            Err(_) => [0; 4],
        }
    }

    /// TMS_PROOF and TMS_KEY.
    pub(crate) fn prove(
        &self,
        line: &mut Line,
        asked: Challenged,
        sac_1: &[u8],
        result: u8,
    ) -> Result<(Session, Option<Loaded>), Stop> {
        let proof = self.proof(&asked, sac_1, result);
        line.send(&proof);
        let key = line.expect(TMS_KEY)?;
        self.assert_named(&key, 4);
        if key.get(SRC) != b"00" {
            return Err(src(line, &key));
        }
        let mut said = [asked.frames, proof].concat();
        let place = format!("{}/00", self.key_serial());
        let block = key.get(tlv::KEY_BLOCK);
        let session = open_block(&asked.dwk, block, "D0TB00N", &place, &said).unwrap();
        said.extend_from_slice(block);
        let tmk = key.fields.iter().find(|(tag, _)| *tag == tlv::KEY_ENTRY).map(|(_, entry)| {
            let entry = Message::read(&frame(TMS_KEY, entry));
            let text = entry.get(tlv::KEY_BLOCK).to_vec();
            let slot = str::from_utf8(&text).unwrap().split_once('/').unwrap().1[..2].to_owned();
            let place = format!("{}/{slot}", self.key_serial());
            let key = open_block(&asked.dwk, &text, "K1TB00N", &place, &said).unwrap();
            let kcv = super::raw::check_value(&key);
            Loaded { key, kcv }
        });
        let [dwk, key] = [&asked.dwk, &session].map(|key| TdesKey::from_bytes(key).unwrap());
        Ok((Session { dwk, key, out: 0, inward: 0 }, tmk))
    }

    /// A whole handshake for packages.
    pub(crate) fn open(&self, line: &mut Line) -> Result<Session, Stop> {
        let asked = self.ask(line, "0002", None)?;
        let sac_1 = Pos::sac_1(&asked);
        Ok(self.prove(line, asked, &sac_1, 0)?.0)
    }

    /// A whole handshake for a key.
    pub(crate) fn load(&self, line: &mut Line, slot: u8) -> Result<Loaded, Stop> {
        let asked = self.ask(line, "0001", Some(slot))?;
        let sac_1 = Pos::sac_1(&asked);
        Ok(self.prove(line, asked, &sac_1, 0)?.1.unwrap())
    }
}

fn src(line: &mut Line, message: &Message) -> Stop {
    let code = str::from_utf8(message.get(SRC)).unwrap().to_owned();
    assert!(line.receive().is_none(), "something came after SRC {code}");
    assert_eq!(message.fields.len(), 6, "identification, stage and SRC alone: {message:02X?}");
    Stop::Src(code)
}

impl Session {
    /// DF4A as section 7 has it.
    pub(crate) fn seal(&self, direction: u8, counter: u32, inner: &[u8]) -> Vec<u8> {
        let iv: [u8; 8] = random();
        let ciphertext = self.key.encrypt_cbc(&iv, &Padding::Two.pad(inner).unwrap()).unwrap();
        let tag = self.tag(direction, counter, &iv, &ciphertext);
        [&iv[..], &ciphertext, &tag].concat()
    }

    fn tag(&self, direction: u8, counter: u32, iv: &[u8], ciphertext: &[u8]) -> [u8; 8] {
        let length = u32::try_from(ciphertext.len()).unwrap().to_be_bytes();
        let over = [&[direction][..], &counter.to_be_bytes(), &length[1..], iv, ciphertext].concat();
        iso9797_alg1(&self.dwk, Padding::Two, &over).unwrap()
    }

    pub(crate) fn unseal(&mut self, sealed: &[u8]) -> Message {
        let (iv, rest) = sealed.split_at(8);
        let (ciphertext, tag) = rest.split_at(rest.len() - 8);
        assert_eq!(self.tag(1, self.inward, iv, ciphertext), tag, "message {}", self.inward);
        self.inward += 1;
        let mut inner = self.key.decrypt_cbc(iv.try_into().unwrap(), ciphertext).unwrap().to_vec();
        while inner.pop() == Some(0) {}
        Message::read(&tlv::frame_of(&inner))
    }

    /// SEALED with the next number.
    pub(crate) fn sealed(&mut self, kind: u8, fields: &[u8]) -> Vec<u8> {
        let sealed = self.seal(0, self.out, &[&[0x01, kind], fields].concat());
        self.out += 1;
        frame(SEALED, &field(SEALED_MESSAGE, &sealed))
    }

    /// The answer, which must be of this type.
    pub(crate) fn receive(&mut self, line: &mut Line, kind: u8) -> Result<Message, Stop> {
        let answer = line.expect(SEALED)?;
        let inner = self.unseal(answer.get(SEALED_MESSAGE));
        if inner.kind == tlv::ERROR {
            assert!(line.receive().is_none(), "something came after a sealed ERROR");
            let code = u16::from_be_bytes(inner.get(tlv::ERROR_CODE).try_into().unwrap());
            let text = inner.fields.iter().find(|(tag, _)| *tag == tlv::ERROR_TEXT);
            let text = text.map(|(_, text)| String::from_utf8(text.clone()).unwrap());
            return Err(Stop::Sealed(code, text.unwrap_or_default()));
        }
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

    /// TMS_INVENTORY; gives names and versions of the plan, and whether there is more.
    pub(crate) fn inventory(
        &mut self,
        line: &mut Line,
        installed: &[(&str, &str)],
    ) -> Result<(Vec<(String, String)>, bool), Stop> {
        let plan = self.ask(line, INVENTORY, &entries(installed), PLAN)?;
        let more = plan.fields.iter().any(|(tag, value)| *tag == tlv::MORE && value == &[1]);
        let text = |entry: &Message, tag| String::from_utf8(entry.get(tag).to_vec()).unwrap();
        let listed = plan.fields.iter().filter(|(tag, _)| *tag == ENTRY).map(|(_, entry)| {
            let entry = Message::read(&frame(PLAN, entry));
            assert!(!entry.get(0xDF49).is_empty() && !entry.get(tlv::CERTIFICATE).is_empty());
            assert_eq!((entry.get(PACKAGE_SIZE).len(), entry.get(PACKAGE_SHA256).len()), (8, 32));
            (text(&entry, PACKAGE_NAME), text(&entry, PACKAGE_VERSION))
        });
        Ok((listed.collect(), more))
    }

    /// TMS_GET; gives the bytes.
    pub(crate) fn get(
        &mut self,
        line: &mut Line,
        (name, version): (&str, &str),
        offset: u64,
        wanted: u32,
    ) -> Result<Vec<u8>, Stop> {
        let data = self.ask(line, GET, &get_fields((name, version), offset, wanted), DATA)?;
        assert_eq!(
            (data.get(PACKAGE_NAME), data.get(PACKAGE_VERSION)),
            (name.as_bytes(), version.as_bytes())
        );
        assert_eq!(data.get(OFFSET), offset.to_be_bytes());
        Ok(data.get(BYTES).to_vec())
    }

    /// TMS_REPORT; `more` are DF2D and FF23.
    pub(crate) fn report(
        &mut self,
        line: &mut Line,
        installed: &[(&str, &str)],
        result: u8,
        more: &[u8],
    ) -> Result<(), Stop> {
        let fields = [entries(installed), field(RESULT, &[result]), more.to_vec()].concat();
        self.ask(line, REPORT, &fields, tlv::DONE).map(drop)
    }
}

pub(crate) fn get_fields((name, version): (&str, &str), offset: u64, wanted: u32) -> Vec<u8> {
    [
        field(PACKAGE_NAME, name.as_bytes()),
        field(PACKAGE_VERSION, version.as_bytes()),
        field(OFFSET, &offset.to_be_bytes()),
        field(WANTED, &wanted.to_be_bytes()),
    ]
    .concat()
}

/// FF22 of an inventory or a report.
pub(crate) fn entries(installed: &[(&str, &str)]) -> Vec<u8> {
    let entry = |(name, version): &(&str, &str)| {
        let fields = [
            field(PACKAGE_NAME, name.as_bytes()),
            field(PACKAGE_VERSION, version.as_bytes()),
            field(PACKAGE_KIND, &[1]),
        ];
        field(ENTRY, &fields.concat())
    };
    installed.iter().flat_map(entry).collect()
}

/// HMAC-SHA-256(P ‖ DWK, T_DATA ‖ S_DATA); P alone is the product's, from a worked value.
fn proof_of(id: &str, password: &str, dwk: &[u8], t_data: &[u8], s_data: &[u8]) -> [u8; 32] {
    let verifier = paycrypto::operator::Verifier::derive(id, password.as_bytes());
    let mut block = [0; 64];
    block[..32].copy_from_slice(verifier.expose());
    block[32..32 + dwk.len()].copy_from_slice(dwk);
    let inner =
        Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(t_data).chain_update(s_data);
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5C)).chain_update(inner.finalize()).finalize().into()
}
