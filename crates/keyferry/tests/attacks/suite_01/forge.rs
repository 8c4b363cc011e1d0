//! The product's terminal, with the other side of every flow in the tester's hands: he holds the right keys and the right
//! certificates, says everything right, and puts what he likes in the place of one key block.

use std::sync::LazyLock;

use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use paycrypto::{TdesKey, mac::x9_9, rsa::PrivateKey};
use pki::{
    Certificate, Role,
    issue::{self, Issuer},
};
use sha2::{Digest, Sha256};
use terminal::{Link, NewTerminal, Terminal, TrustedRoot, collect, rks_load, sign_in, tms};
use wire::Frame;

pub(crate) use crate::play::{against, slot, visited};
use crate::support::{
    estate::{ESTATE, name, valid},
    line::End,
    raw::{Raw, encrypt},
    rks::hex,
    sign_in as f,
    tlv::{self, Message, field, frame},
    tms as e,
};

pub(crate) const SN: &str = "SN-1001";
/// The one slot of each flow: no flow fills another's.
pub(crate) const SLOT_A: u8 = 1;
pub(crate) const SLOT_B: u8 = 3;
pub(crate) const SLOT_C: u8 = 5;
pub(crate) const SLOT_E: u8 = 7;

const KLD_CONNECT: u8 = 0x21;
const KLD_ACCEPT: u8 = 0x22;
const KLD_KEY: u8 = 0x23;

/// The tester's own key; the estate's root certifies it for whatever role he needs.
pub(crate) static PEER: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(2048).unwrap());

pub(crate) fn certificate(role: Role) -> Certificate {
    let issuer = Issuer::new(&ESTATE.root, ESTATE.root_key()).unwrap();
    issue::leaf(&issuer, role, &name("Tester"), PEER.spki_der(), valid()).unwrap()
}

pub(crate) fn random_key<const N: usize>() -> Vec<u8> {
    TdesKey::generate24().unwrap().expose()[..N].to_vec()
}

/// A terminal that believes the estate's root for every role, and has nothing yet.
pub(crate) fn terminal() -> Terminal {
    Terminal::in_memory(new_terminal()).unwrap()
}

/// What it is made from.
pub(crate) fn new_terminal() -> NewTerminal {
    NewTerminal {
        roots: vec![TrustedRoot { certificate: ESTATE.root.clone(), roles: Role::SUITE_01.to_vec() }],
        vendor: Some(e::VENDOR.parse().unwrap()),
        model: Some(e::MODEL.parse().unwrap()),
        ..NewTerminal::named(SN.parse().unwrap())
    }
}

/// COLLECT with this certificate.
pub(crate) fn collect_frame(certificate: &Certificate) -> Frame {
    let fields = [field(tlv::SUITE, &[1]), field(tlv::CERTIFICATE, certificate.der())].concat();
    Frame::from_payload(&[&[1, tlv::COLLECT][..], &fields].concat()).unwrap()
}

/// Collects the terminal for the tester's key: its TK.
pub(crate) fn collected(terminal: &mut Terminal) -> Raw {
    let answer = collect::answer(terminal, &collect_frame(&certificate(Role::KmsWork))).unwrap();
    let collected = Message::read(answer.frame.bytes());
    let clear = PEER.oaep_decrypt(collected.get(tlv::CTK_PU)).unwrap();
    let sn = terminal.device().sn().to_string();
    Raw { sn, pin_pad: None, tek: clear[..24].to_vec(), auk: clear[24..48].to_vec() }
}

/// Optional block `11` after these bytes.
pub(crate) fn context(said: &[u8]) -> String {
    hex(&Sha256::digest(said)[..16])
}

/// A key block before it is wrapped.
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) header: Header,
    pub(crate) key: Vec<u8>,
    pub(crate) under: Vec<u8>,
}

impl Block {
    /// The block that the specification's table has: usage and mode, place, context.
    pub(crate) fn new(
        [usage, mode]: [&str; 2],
        place: &str,
        context: String,
        key: &[u8],
        under: &[u8],
    ) -> Block {
        let header = Header::new(
            Version::B,
            Usage::parse(usage).unwrap(),
            Algorithm::TDES,
            Mode::parse(mode).unwrap(),
            Exportability::NOT_EXPORTABLE,
        );
        let header = header.with_optional("10", place).unwrap().with_optional("11", context).unwrap();
        Block { header, key: key.to_vec(), under: under.to_vec() }
    }

    pub(crate) fn wrap(&self) -> String {
        Kbpk::new(self.header.version, &self.under).unwrap().wrap_legacy(&self.header, &self.key).unwrap()
    }
}

/// What a tester puts in the place of the right block.
pub(crate) type Forge<'a> = &'a dyn Fn(&Block) -> String;

/// The key blocks of suite 01 that a terminal takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Carrier {
    ATmk,
    BTmk,
    CToken,
    CTmk,
    EDwk,
    ESession,
    ETmk,
    FPik,
    FMak,
}

pub(crate) const CARRIERS: [Carrier; 9] = [
    Carrier::ATmk,
    Carrier::BTmk,
    Carrier::CToken,
    Carrier::CTmk,
    Carrier::EDwk,
    Carrier::ESession,
    Carrier::ETmk,
    Carrier::FPik,
    Carrier::FMak,
];

/// A terminal with a key of each kind, all of which the tester knows.
pub(crate) struct Victim {
    pub(crate) terminal: Terminal,
    pub(crate) tk: Raw,
    pub(crate) tmk: Vec<u8>,
    pub(crate) dmk: Vec<u8>,
    /// The same in every session: what makes an old block worthless is not that its key is another.
    pub(crate) dwk: Vec<u8>,
    pub(crate) dik2: Vec<u8>,
    pub(crate) factor: Vec<u8>,
    /// The slots that flows A, B, C and E fill, in this order.
    pub(crate) slots: [u8; 4],
}

impl Victim {
    pub(crate) fn new() -> Victim {
        let mut terminal = terminal();
        let tk = collected(&mut terminal);
        let mut victim = Victim { tk, ..Victim::holding(terminal) };
        let (dmk, dik2, factor) = (victim.dmk.clone(), victim.dik2.clone(), victim.factor.clone());
        victim.inject(["11", "N"], 0, &dmk, None, &Block::wrap).unwrap();
        victim.inject(["12", "N"], 0, &dik2, Some(&factor), &Block::wrap).unwrap();
        victim.deliver(Carrier::ATmk, &Block::wrap).unwrap();
        victim
    }

    /// Round a terminal that has none of these keys yet.
    pub(crate) fn holding(terminal: Terminal) -> Victim {
        Victim {
            terminal,
            tk: Raw::new(SN),
            tmk: random_key::<24>(),
            dmk: random_key::<24>(),
            dwk: random_key::<24>(),
            dik2: random_key::<24>(),
            factor: b"KLD-7/20261120/B042".to_vec(),
            slots: [SLOT_A, SLOT_B, SLOT_C, SLOT_E],
        }
    }

    /// What the terminal says to this block in this place of this flow; everything else is right.
    pub(crate) fn deliver(&mut self, carrier: Carrier, forge: Forge<'_>) -> Result<(), End> {
        match carrier {
            Carrier::ATmk => self.flow_a(forge),
            Carrier::BTmk => self.inject(["K1", "B"], self.slots[1], &random_key::<24>(), None, forge),
            Carrier::CToken | Carrier::CTmk => self.flow_c(carrier, forge),
            Carrier::EDwk | Carrier::ESession | Carrier::ETmk => self.flow_e(carrier, forge),
            Carrier::FPik | Carrier::FMak => self.flow_f(carrier, forge),
        }
    }

    fn flow_a(&mut self, forge: Forge<'_>) -> Result<(), End> {
        let index = self.slots[0];
        let (terminal, tk, tmk) = (&mut self.terminal, &self.tk, &self.tmk);
        let download = |stream| terminal::download(terminal, stream, slot(index));
        let (loaded, end) = against(download, |line| {
            let hello = line.expect(tlv::HELLO)?;
            let rnd1 = hello.get(tlv::RND1).try_into().unwrap();
            let mut rnd2 = crate::support::raw::rnd1();
            rnd2[0] |= 0x80;
            let fields = [field(tlv::CRND1, &encrypt(&tk.auk, rnd1)), field(tlv::RND2, &rnd2)];
            let challenge = frame(tlv::CHALLENGE, &fields.concat());
            line.send(&challenge);
            let reply = line.expect(tlv::REPLY)?;
            assert_eq!(reply.get(tlv::CRND2), encrypt(&tk.auk, rnd2));
            let said = [&hello.frame[..], &challenge, &reply.frame].concat();
            let block = Block::new(["K1", "B"], &place(index), context(&said), tmk, &tk.tek);
            line.send(&frame(tlv::KEY, &field(tlv::KEY_BLOCK, forge(&block).as_bytes())));
            line.expect(tlv::CONFIRM)?;
            line.send(&frame(tlv::DONE, &[]));
            Ok(())
        });
        assert_eq!(loaded.is_ok(), end.is_ok(), "{:?}", loaded.err());
        end
    }

    /// Flow B from the KLD's side.
    pub(crate) fn inject(
        &mut self,
        usage: [&str; 2],
        index: u8,
        key: &[u8],
        factor: Option<&[u8]>,
        forge: Forge<'_>,
    ) -> Result<(), End> {
        let certificate = certificate(Role::Downloader);
        visited(&mut self.terminal, |line| {
            let fields = [field(tlv::SUITE, &[1]), field(tlv::CERTIFICATE, certificate.der())].concat();
            let hello = frame(KLD_CONNECT, &fields);
            line.send(&hello);
            let accept = line.expect(KLD_ACCEPT)?;
            let opened = PEER.oaep_decrypt(accept.get(0xDF10)).unwrap();
            let (rnd1, rnd2) = opened.split_at(24);
            let said = [hello, accept.frame].concat();
            let block = Block::new(usage, &place(index), context(&said), key, rnd1);
            let mut signed = field(tlv::KEY_BLOCK, forge(&block).as_bytes());
            signed.extend(field(tlv::RND2, rnd2));
            factor.iter().for_each(|factor| signed.extend(field(0xDF23, factor)));
            line.send(&frame(KLD_KEY, &field(0xDF11, &PEER.type1_sign(&signed).unwrap())));
            line.expect(tlv::CONFIRM)?;
            line.send(&frame(tlv::DONE, &[]));
            Ok(())
        })
    }

    fn flow_c(&mut self, carrier: Carrier, forge: Forge<'_>) -> Result<(), End> {
        let index = self.slots[2];
        let (terminal, dik2, factor) = (&mut self.terminal, &self.dik2, &self.factor);
        let load = |stream| rks_load(terminal, Link::new(stream), &[slot(index)]).map(drop);
        let make = |wanted, block: Block| if carrier == wanted { forge(&block) } else { block.wrap() };
        let (loaded, end) = against(load, |line| {
            let auth = line.expect(tlv::RKS_AUTH)?;
            let cert = frame(tlv::RKS_CERT, &field(tlv::CERTIFICATE, certificate(Role::RksWork).der()));
            line.send(&cert);
            let sent = line.expect(tlv::RKS_FACTOR)?;
            assert_eq!(PEER.oaep_decrypt(sent.get(tlv::DF20)).unwrap()[..], factor[..]);
            let mut said = [&auth.frame[..], &cert, &sent.frame].concat();
            let (at, tk1) = (random_key::<24>(), random_key::<24>());
            let token = Block::new(["10", "N"], &place(0), context(&said), &[&at[..], &tk1].concat(), dik2);
            let token = frame(tlv::RKS_TOKEN, &field(tlv::DF21, make(Carrier::CToken, token).as_bytes()));
            line.send(&token);
            let proof = line.expect(tlv::RKS_PROOF)?;
            let opened = PEER.oaep_decrypt(proof.get(tlv::DF22)).unwrap();
            assert_eq!(opened[..24], at);
            let tk: Vec<u8> = tk1.iter().zip(&opened[24..48]).map(|(one, two)| one ^ two).collect();
            said.extend([token, proof.frame].concat());
            let tmk = Block::new(["K1", "B"], &place(index), context(&said), &random_key::<24>(), &tk);
            let entry = field(tlv::KEY_BLOCK, make(Carrier::CTmk, tmk).as_bytes());
            line.send(&frame(tlv::RKS_KEYS, &field(tlv::KEY_ENTRY, &entry)));
            line.expect(tlv::CONFIRM)?;
            line.send(&frame(tlv::DONE, &[]));
            Ok(())
        });
        assert_eq!(loaded.is_ok(), end.is_ok(), "{:?}", loaded.err());
        end
    }

    fn flow_e(&mut self, carrier: Carrier, forge: Forge<'_>) -> Result<(), End> {
        let index = self.slots[3];
        let (terminal, dmk, dwk) = (&mut self.terminal, &self.dmk, &self.dwk);
        let load = |stream| tms::load_key(terminal, Link::new(stream), slot(index), None).map(drop);
        let make = |wanted, block: Block| if carrier == wanted { forge(&block) } else { block.wrap() };
        let (loaded, end) = against(load, |line| {
            let hello = line.expect(e::HELLO)?;
            let tac_1 = x9_9(&TdesKey::from_bytes(dwk).unwrap(), hello.get(e::T_DATA));
            let block = Block::new(["K1", "B"], &place(0), context(&hello.frame), dwk, dmk);
            let dwk_1 = make(Carrier::EDwk, block);
            let challenge = challenge(&tac_1, &S_DATA, &dwk_1);
            line.send(&challenge);
            let proof = line.expect(e::PROOF)?;
            assert_eq!(proof.get(e::RESULT), [0]);
            let mut said = [&hello.frame[..], &challenge, &proof.frame].concat();
            let session = Block::new(["D0", "B"], &place(0), context(&said), &random_key::<24>(), dwk);
            let session = make(Carrier::ESession, session);
            said.extend(session.as_bytes());
            let tmk = Block::new(["K1", "B"], &place(index), context(&said), &random_key::<24>(), dwk);
            let tmk = make(Carrier::ETmk, tmk);
            line.send(&tms_key(&session, &tmk));
            line.expect(tlv::CONFIRM)?;
            line.send(&frame(tlv::DONE, &[]));
            Ok(())
        });
        assert_eq!(loaded.is_ok(), end.is_ok(), "{:?}", loaded.err());
        end
    }

    fn flow_f(&mut self, carrier: Carrier, forge: Forge<'_>) -> Result<(), End> {
        let (pik, mak) = (random_key::<24>(), random_key::<16>());
        let make = |wanted, block: Block| if carrier == wanted { forge(&block) } else { block.wrap() };
        self.sign_in(|tmk, said| {
            let place = place(SLOT_A);
            let pik = make(Carrier::FPik, Block::new(["P0", "E"], &place, context(said), &pik, tmk));
            let after = [said, pik.as_bytes()].concat();
            let mak = make(Carrier::FMak, Block::new(["M3", "C"], &place, context(&after), &mak, tmk));
            vec![pik, mak]
        })
    }

    /// A sign-in in which these blocks come, made from TMK and the bytes of SIGN_IN.
    pub(crate) fn sign_in(&mut self, blocks: impl FnOnce(&[u8], &[u8]) -> Vec<String>) -> Result<(), End> {
        let (terminal, tmk) = (&mut self.terminal, &self.tmk);
        let newest = sign_in::Tmk::Newest;
        let act = |stream| sign_in::sign_in_over(terminal, Link::new(stream), slot(SLOT_A), newest).map(drop);
        let (_, end) = against(act, |line| {
            let asked = line.expect(f::SIGN_IN)?;
            let blocks = blocks(tmk, &asked.frame);
            let entry = |block: &String| field(tlv::KEY_ENTRY, &field(tlv::KEY_BLOCK, block.as_bytes()));
            let entries: Vec<_> = blocks.iter().map(entry).collect();
            line.send(&frame(f::WORKING_KEYS, &entries.concat()));
            line.expect(f::SIGN_IN_CONFIRM).map(drop)
        });
        end
    }
}

/// S_DATA of a TMS whose random number and clock stand still.
pub(crate) const S_DATA: [u8; 10] = [0xCA, 0xFE, 0xF0, 0x0D, 0x26, 0x11, 0x20, 0x12, 0x34, 0x57];

fn identification(stage: u8) -> Vec<u8> {
    [
        field(e::VENDOR_ID, e::VENDOR.as_bytes()),
        field(e::MODEL_ID, e::MODEL.as_bytes()),
        field(tlv::SN, SN.as_bytes()),
        field(e::TMS_VERSION, b"01.00"),
        field(e::STAGE, &[stage]),
        field(e::SRC, b"00"),
    ]
    .concat()
}

/// TMS_CHALLENGE of these values.
pub(crate) fn challenge(tac_1: &[u8], s_data: &[u8], dwk_1: &str) -> Vec<u8> {
    let fields = [
        identification(2),
        field(e::DWK_MODE, &[1]),
        field(e::TAC_1, tac_1),
        field(e::S_DATA, s_data),
        field(e::DWK_1, dwk_1.as_bytes()),
    ];
    frame(e::CHALLENGE, &fields.concat())
}

/// TMS_KEY of transaction 0001.
pub(crate) fn tms_key(session: &str, tmk: &str) -> Vec<u8> {
    let fields = [
        identification(4),
        field(e::TRANSACTION, b"0001"),
        field(tlv::KEY_BLOCK, session.as_bytes()),
        field(tlv::KEY_ENTRY, &field(tlv::KEY_BLOCK, tmk.as_bytes())),
    ];
    frame(e::TMS_KEY, &fields.concat())
}

pub(crate) fn place(index: u8) -> String {
    format!("{SN}/{index:02}")
}
