//! The product's terminal in suite 02, with the other side of every flow in the tester's hands: he holds the right keys and
//! the right certificates, says everything right, and puts what he likes in the place of one key block.

use std::{collections::BTreeMap, thread, time::Duration};

use paycrypto::{AesKey, mac::cmac_aes};
use pki::Role;
use terminal::{Link, Terminal, rks_load, sign_in, tms};

use super::{
    block::{Block, Forge},
    peer::{
        KLD_ACCEPT, KLD_CONNECT, KLD_KEY, SLOT_A, SLOT_B, SLOT_C, SLOT_E, certificate, challenge, collected,
        opening, place, signed, terminal, tms_key,
    },
};
use crate::play::{against, slot, visited};
use crate::support::{
    ec::{self, CONFIRMATION, ENCRYPTED, Keys, NONCE, RECEIPT, SIGNATURE, Side, random},
    line::{End, Line},
    rks::context,
    sign_in as f,
    tlv::{self, field, frame},
    tms as e,
};

const FACTOR: u16 = 0xDF23;

/// The key blocks of suite 02 that a terminal takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Carrier {
    ATmk,
    BTmk,
    BDmk,
    BDik2,
    CTmk,
    ETmk,
    FPik,
    FMak,
}

pub(crate) const CARRIERS: [Carrier; 8] = [
    Carrier::ATmk,
    Carrier::BTmk,
    Carrier::BDmk,
    Carrier::BDik2,
    Carrier::CTmk,
    Carrier::ETmk,
    Carrier::FPik,
    Carrier::FMak,
];

/// A terminal with a key of each kind, all of which the tester knows.
pub(crate) struct Victim {
    pub(crate) terminal: Terminal,
    /// TEK and AUK.
    pub(crate) tk: [[u8; 32]; 2],
    /// Of slot B.
    pub(crate) tmk: [u8; 16],
    pub(crate) dmk: [u8; 32],
    pub(crate) dik2: [u8; 32],
    pub(crate) factor: Vec<u8>,
    /// The slots that flows A, B, C and E fill, in this order.
    pub(crate) slots: [u8; 4],
    /// Whether DONE is KEY_CONFIRM's own receipt.
    pub(crate) reflects_done: bool,
    /// The load counters that the terminal has stored.
    pub(crate) counters: BTreeMap<u8, u64>,
}

/// KEY_CONFIRM must be right, and is answered by the right DONE; or, reflected, by its own receipt.
fn finish<S: std::io::Read + std::io::Write>(
    line: &mut Line<S>,
    keys: &Keys,
    said: &[u8],
    told: &[(u8, [u8; 5])],
    reflected: bool,
) -> Result<(), End> {
    let confirm = line.expect(tlv::CONFIRM)?;
    assert_eq!(confirm.get(RECEIPT), keys.receipt("receipt t", said, told));
    if reflected {
        line.send(&frame(tlv::DONE, &field(RECEIPT, confirm.get(RECEIPT))));
        return Err(line.end());
    }
    let said = [said, &confirm.frame].concat();
    line.send(&frame(tlv::DONE, &field(RECEIPT, &keys.receipt("receipt s", &said, told))));
    Ok(())
}

impl Victim {
    pub(crate) fn new() -> Victim {
        let mut terminal = terminal();
        let tk = collected(&mut terminal);
        let mut victim = Victim { tk, ..Victim::holding(terminal) };
        victim.deliver(Carrier::BDmk, &Block::wrap).unwrap();
        victim.deliver(Carrier::BDik2, &Block::wrap).unwrap();
        victim.deliver(Carrier::BTmk, &Block::wrap).unwrap();
        victim
    }

    /// Round a terminal that has none of these keys yet.
    pub(crate) fn holding(terminal: Terminal) -> Victim {
        Victim {
            terminal,
            tk: [random(), random()],
            tmk: random(),
            dmk: random(),
            dik2: random(),
            factor: b"KLD-7/20261120/B042".to_vec(),
            slots: [SLOT_A, SLOT_B, SLOT_C, SLOT_E],
            reflects_done: false,
            counters: BTreeMap::new(),
        }
    }

    /// The load counter of the next TMK in this slot.
    pub(crate) fn next(&self, index: u8) -> u64 {
        self.counters.get(&index).copied().unwrap_or(0) + 1
    }

    fn count(&mut self, index: u8, end: Result<(), End>) -> Result<(), End> {
        // With a reflected DONE it has the key, and is not sure of it.
        if end.is_ok() || self.reflects_done {
            self.counters.insert(index, self.next(index));
        }
        end
    }

    /// What the terminal says to this block in this place of this flow; everything else is right.
    pub(crate) fn deliver(&mut self, carrier: Carrier, forge: Forge<'_>) -> Result<(), End> {
        let (dmk, dik2, tmk, factor) = (self.dmk, self.dik2, self.tmk, self.factor.clone());
        match carrier {
            Carrier::ATmk => self.flow_a(forge),
            Carrier::BTmk => {
                let index = self.slots[1];
                let end = self.inject(["K1", "B"], index, &tmk, None, forge);
                self.count(index, end)
            }
            Carrier::BDmk => self.inject(["11", "N"], 0, &dmk, None, forge),
            Carrier::BDik2 => self.inject(["12", "N"], 0, &dik2, Some(&factor), forge),
            Carrier::CTmk => self.flow_c(forge),
            Carrier::ETmk => self.flow_e(forge),
            Carrier::FPik | Carrier::FMak => self.flow_f(carrier, forge),
        }
    }

    fn flow_a(&mut self, forge: Forge<'_>) -> Result<(), End> {
        let index = self.slots[0];
        let (key, counter, reflected) = (random::<16>(), self.next(index), self.reflects_done);
        let (terminal, [tek, auk]) = (&mut self.terminal, &self.tk);
        let download = |stream| terminal::download(terminal, stream, slot(index)).map(drop);
        let (loaded, end) = against(download, |line| {
            let hello = line.expect(tlv::HELLO)?;
            let side = Side::new();
            let bare = [&hello.frame[..], &frame(tlv::CHALLENGE, &side.fields())].concat();
            let keys = Keys::answering(b'A', &[&auk[..], tek].concat(), &side, &hello, &bare);
            let mac = field(CONFIRMATION, &keys.mac("server", &bare));
            let challenge = frame(tlv::CHALLENGE, &[side.fields(), mac].concat());
            line.send(&challenge);
            let reply = line.expect(tlv::REPLY)?;
            let said = [hello.frame, challenge].concat();
            let mac = keys.mac("terminal", &[&said[..], &frame(tlv::REPLY, &[])].concat());
            assert_eq!(reply.get(CONFIRMATION), mac);
            let said = [said, reply.frame].concat();
            let tmk = Block::tmk(&place(index), context(&said), counter, &key, &keys.key("kbpk"));
            let brought = frame(tlv::KEY, &field(tlv::KEY_BLOCK, forge(&tmk).as_bytes()));
            line.send(&brought);
            finish(line, &keys, &[said, brought].concat(), &[(index, ec::kcv(&key))], reflected)
        });
        assert_eq!(loaded.is_ok(), end.is_ok(), "{:?}", loaded.err());
        self.count(index, end)
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
        let (counter, reflected) = (self.next(index), self.reflects_done);
        let (certificate, side) = (certificate(Role::Downloader), Side::new());
        visited(&mut self.terminal, |line| {
            let hello = frame(KLD_CONNECT, &[field(tlv::SUITE, &[2]), opening(&certificate, &side)].concat());
            line.send(&hello);
            let accept = line.expect(KLD_ACCEPT)?;
            let bare = [&hello[..], &ec::without(&accept, SIGNATURE)].concat();
            let keys = Keys::new(b'B', &[], &side, &accept, &bare);
            let said = [hello, accept.frame].concat();
            let (place, under) = (place(index), keys.key("kbpk"));
            let block = match usage {
                ["K1", _] => Block::tmk(&place, context(&said), counter, key, &under),
                _ => Block::new(usage, &place, context(&said), key, &under),
            };
            let mut after: Vec<u8> = factor.into_iter().flat_map(|factor| field(FACTOR, factor)).collect();
            after.extend(field(tlv::KEY_ENTRY, &field(tlv::KEY_BLOCK, forge(&block).as_bytes())));
            let load = signed(KLD_KEY, &[], &after, b'B', &said);
            line.send(&load);
            finish(line, &keys, &[said, load].concat(), &[(index, ec::kcv(key))], reflected)?;
            // The terminal says nothing to DONE.
            thread::sleep(Duration::from_millis(50));
            Ok(())
        })
    }

    fn flow_c(&mut self, forge: Forge<'_>) -> Result<(), End> {
        let index = self.slots[2];
        let (key, counter, reflected) = (random::<16>(), self.next(index), self.reflects_done);
        let (terminal, dik2, factor) = (&mut self.terminal, &self.dik2, &self.factor);
        let load = |stream| rks_load(terminal, Link::new(stream), &[slot(index)]).map(drop);
        let (loaded, end) = against(load, |line| {
            let auth = line.expect(tlv::RKS_AUTH)?;
            let (side, certificate) = (Side::new(), certificate(Role::RksSigning));
            let fields = opening(&certificate, &side);
            let bare = [&auth.frame[..], &frame(tlv::RKS_CERT, &fields)].concat();
            let cert = signed(tlv::RKS_CERT, &fields, &[], b'C', &auth.frame);
            line.send(&cert);
            let sent = line.expect(tlv::RKS_FACTOR)?;
            let under = Keys::answering(b'C', &[], &side, &auth, &bare).key("factor");
            assert_eq!(ec::unseal(&under, 0, &[], sent.get(ENCRYPTED)).as_ref(), Some(factor));
            let keys = Keys::answering(b'C', dik2, &side, &auth, &bare);
            let said = [auth.frame, cert, sent.frame].concat();
            let mac = keys.mac("server", &[&said[..], &frame(tlv::RKS_TOKEN, &[])].concat());
            let token = frame(tlv::RKS_TOKEN, &field(CONFIRMATION, &mac));
            line.send(&token);
            let proof = line.expect(tlv::RKS_PROOF)?;
            let said = [said, token].concat();
            let mac = keys.mac("terminal", &[&said[..], &frame(tlv::RKS_PROOF, &[])].concat());
            assert_eq!(proof.get(CONFIRMATION), mac);
            let said = [said, proof.frame].concat();
            let tmk = Block::tmk(&place(index), context(&said), counter, &key, &keys.key("kbpk"));
            let entry = field(tlv::KEY_ENTRY, &field(tlv::KEY_BLOCK, forge(&tmk).as_bytes()));
            let brought = frame(tlv::RKS_KEYS, &entry);
            line.send(&brought);
            finish(line, &keys, &[said, brought].concat(), &[(index, ec::kcv(&key))], reflected)
        });
        assert_eq!(loaded.is_ok(), end.is_ok(), "{:?}", loaded.err());
        self.count(index, end)
    }

    fn flow_e(&mut self, forge: Forge<'_>) -> Result<(), End> {
        let index = self.slots[3];
        let (key, counter, reflected) = (random::<16>(), self.next(index), self.reflects_done);
        let (terminal, dmk) = (&mut self.terminal, &self.dmk);
        let load = |stream| tms::load_key(terminal, Link::new(stream), slot(index), None).map(drop);
        let (loaded, end) = against(load, |line| {
            let hello = line.expect(e::HELLO)?;
            let side = Side::new();
            let bare = [&hello.frame[..], &challenge(&side, None)].concat();
            let keys = Keys::answering(b'E', dmk, &side, &hello, &bare);
            let challenge = challenge(&side, Some(keys.mac("server", &bare)));
            line.send(&challenge);
            let proof = line.expect(e::PROOF)?;
            assert_eq!(proof.get(e::RESULT), [0]);
            let said = [&hello.frame[..], &challenge, &proof.frame].concat();
            let tmk = Block::tmk(&place(index), context(&said), counter, &key, &keys.key("kbpk"));
            let tmk = forge(&tmk);
            let receipt = keys.mac("receipt s", &[&said[..], &tms_key(None, &tmk)].concat());
            let brought = tms_key(Some(receipt), &tmk);
            line.send(&brought);
            finish(line, &keys, &[said, brought].concat(), &[(index, ec::kcv(&key))], reflected)
        });
        assert_eq!(loaded.is_ok(), end.is_ok(), "{:?}", loaded.err());
        self.count(index, end)
    }

    fn flow_f(&mut self, carrier: Carrier, forge: Forge<'_>) -> Result<(), End> {
        let make = |wanted, block: Block| if carrier == wanted { forge(&block) } else { block.wrap() };
        let mak = random();
        self.sign_in(&mak, |tmk, said| {
            let place = place(SLOT_B);
            let pik = Block::new(["P0", "E"], &place, context(said), &random::<16>(), tmk);
            let pik = make(Carrier::FPik, pik);
            let after = [said, pik.as_bytes()].concat();
            let mak = make(Carrier::FMak, Block::new(["M6", "C"], &place, context(&after), &mak, tmk));
            vec![pik, mak]
        })
    }

    /// A sign-in in which these blocks come, made from TMK and the bytes of SIGN_IN; and DONE under this MAK.
    pub(crate) fn sign_in(
        &mut self,
        mak: &[u8; 16],
        blocks: impl FnOnce(&[u8], &[u8]) -> Vec<String>,
    ) -> Result<(), End> {
        let (terminal, tmk) = (&mut self.terminal, &self.tmk);
        let newest = sign_in::Tmk::Newest;
        let act = |stream| sign_in::sign_in_over(terminal, Link::new(stream), slot(SLOT_B), newest).map(drop);
        let (signed_in, end) = against(act, |line| {
            let asked = line.expect(f::SIGN_IN)?;
            let blocks = blocks(tmk, &asked.frame);
            let entry = |block: &String| field(tlv::KEY_ENTRY, &field(tlv::KEY_BLOCK, block.as_bytes()));
            let entries: Vec<_> = blocks.iter().map(entry).collect();
            line.send(&frame(f::WORKING_KEYS, &entries.concat()));
            line.expect(f::SIGN_IN_CONFIRM)?;
            let mak = AesKey::from_bytes(mak).unwrap();
            let mac = cmac_aes(&mak, &[b"DONE", asked.get(NONCE)].concat());
            line.send(&frame(tlv::DONE, &field(f::MESSAGE_MAC, &mac)));
            Ok(())
        });
        assert_eq!(signed_in.is_ok(), end.is_ok(), "{:?}", signed_in.err());
        end
    }
}
