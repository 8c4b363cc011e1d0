//! The terminal itself in suite 02: its sensors, its power, its clock, and COLLECT without a certificate.

use pki::{
    Role, Signer,
    issue::{self, Issuer, Validity},
};
use terminal::{
    FixedClock, LifeCycle, NewTerminal, Settings, Terminal, TrustedRoot, board::SharedBoard, collect,
};
use wire::Frame;

use super::{
    block::Block,
    peer::{PEER, SLOT_A, certificate, certified, collect_frame, collected, new_terminal, place, terminal},
    victim::{Carrier, Victim},
};
use crate::{
    play::{against, slot},
    suite_01::{DISTURBED, Power},
    support::{
        ec::{self, CONFIRMATION, EcKey, Keys, NONCE, RECEIPT, Side, random},
        estate::{name, now, root_valid, valid},
        line::End,
        rks::context,
        tlv::{self, field, frame},
    },
};

/// Attack 15: each sensor out of range before, during and after; the power cut at every step of making and loading.
#[test]
fn unsafe_terminal() {
    let certificate = certificate(Role::KmsWork);
    for (tampered, disturb) in DISTURBED {
        // Before: no TK is made.
        let mut pos = terminal();
        let board = SharedBoard::default();
        pos.set_board(board.clone());
        board.change(disturb);
        let refusal = collect::answer(&mut pos, &collect_frame(&certificate, &random())).unwrap_err();
        assert_eq!(refusal.fault.code.number(), 0x0008);
        assert!(pos.status().collected.is_none());

        // During a download, before each of the server's messages.
        for at in 0..3 {
            let mut victim = Victim::new();
            assert_eq!(victim.deliver(Carrier::ATmk, &Block::wrap), Ok(()));
            let board = SharedBoard::default();
            victim.terminal.set_board(board.clone());
            let old = held(&victim.terminal)[0].clone();
            let (loaded, end) = disturbed(&mut victim, at, || board.change(disturb));
            assert!(loaded.is_err(), "{at}");
            assert!(matches!(end, Err(End::Code(0x0008) | End::Closed)), "{at}: {end:?}");
            let status = victim.terminal.status();
            if tampered {
                assert!(status.slots.is_empty() && status.dmk.is_none() && status.dik2.is_none());
                assert_ne!(status.life_cycle, LifeCycle::Deployed);
                continue;
            }
            // What it had it has, and uses when all is well again: the old key goes after DONE alone.
            assert!(held(&victim.terminal).contains(&old), "{at}");
            assert!(victim.deliver(Carrier::FPik, &Block::wrap).is_err(), "nothing is released meanwhile");
            board.change(|readings| *readings = terminal::board::Readings::NOMINAL);
            assert_eq!(victim.deliver(Carrier::ATmk, &Block::wrap), Ok(()));
        }
    }
    power_cuts_while_tk_is_made();
    power_cuts_while_a_key_comes();
}

/// Check values of what slot A holds: the newest first.
fn held(terminal: &Terminal) -> Vec<String> {
    let slots = terminal.status().slots;
    let held = slots.into_iter().filter(|held| held.slot == SLOT_A);
    held.flat_map(|held| [Some(held.kcv), held.previous_kcv]).flatten().collect()
}

/// A download of flow A in which something happens before a message of the server's.
fn disturbed(victim: &mut Victim, at: usize, happen: impl Fn()) -> (Result<(), String>, Result<(), End>) {
    let counter = victim.next(SLOT_A);
    // Whether the terminal has stored it or not, the next one is higher.
    victim.counters.insert(SLOT_A, counter);
    let (terminal, [tek, auk]) = (&mut victim.terminal, &victim.tk);
    let download = |stream| {
        terminal::download(terminal, stream, slot(SLOT_A)).map(drop).map_err(|error| error.to_string())
    };
    against(download, |line| {
        let maybe = |number| {
            if number == at {
                happen();
            }
        };
        let hello = line.expect(tlv::HELLO)?;
        let side = Side::new();
        let bare = [&hello.frame[..], &frame(tlv::CHALLENGE, &side.fields())].concat();
        let keys = Keys::answering(b'A', &[&auk[..], tek].concat(), &side, &hello, &bare);
        let mac = field(CONFIRMATION, &keys.mac("server", &bare));
        let challenge = frame(tlv::CHALLENGE, &[side.fields(), mac].concat());
        maybe(0);
        line.send(&challenge);
        let reply = line.expect(tlv::REPLY)?;
        let said = [&hello.frame[..], &challenge, &reply.frame].concat();
        let key = random::<16>();
        let tmk = Block::tmk(&place(SLOT_A), context(&said), counter, &key, &keys.key("kbpk"));
        let brought = frame(tlv::KEY, &field(tlv::KEY_BLOCK, tmk.wrap().as_bytes()));
        maybe(1);
        line.send(&brought);
        let confirm = line.expect(tlv::CONFIRM)?;
        let said = [said, brought, confirm.frame].concat();
        let receipt = keys.receipt("receipt s", &said, &[(SLOT_A, ec::kcv(&key))]);
        maybe(2);
        line.send(&frame(tlv::DONE, &field(RECEIPT, &receipt)));
        Err(line.end())
    })
}

/// A terminal in this storage, with its device certificate.
fn kept(power: &Power) -> Terminal {
    let mut pos = Terminal::new_in(power.clone(), new_terminal()).unwrap();
    super::peer::certify(&mut pos);
    pos
}

/// The power fails after so many writes: one TK, whichever of them it was, and what was said is what was stored.
fn power_cuts_while_tk_is_made() {
    let asked = collect_frame(&certificate(Role::KmsWork), &random());
    for writes in 0..6 {
        let power = Power::good();
        let mut pos = kept(&power);
        power.cut_after(writes);
        let made = collect::answer(&mut pos, &asked);
        drop(pos);
        power.cut_after(usize::MAX);
        let mut pos = Terminal::open_from(power).unwrap();
        let shown = pos.status().collected.map(|collected| collected.fingerprint);
        let again = collect::answer(&mut pos, &asked).unwrap();
        if let Ok(made) = &made {
            assert_eq!(shown.as_ref(), Some(&made.fingerprint), "what was said was stored before");
            assert_eq!(made.frame.bytes(), again.frame.bytes(), "the same bytes");
        }
        assert!(shown.is_none_or(|shown| shown == again.fingerprint), "{writes}: one TK, not two");
    }
}

/// The same while a TMK comes beside an old one: the old key or the new one, never neither; TK and load counter are whole.
fn power_cuts_while_a_key_comes() {
    let mut seen = std::collections::BTreeSet::new();
    for writes in 0..8 {
        let power = Power::good();
        let mut pos = kept(&power);
        let tk = collected(&mut pos);
        let mut victim = Victim { tk, ..Victim::holding(pos) };
        assert_eq!(victim.deliver(Carrier::ATmk, &Block::wrap), Ok(()));
        let old = held(&victim.terminal)[0].clone();
        power.cut_after(writes);
        let (_, end) = disturbed(&mut victim, usize::MAX, || {});
        let Victim { terminal, counters, .. } = victim;
        drop(terminal);
        power.cut_after(usize::MAX);
        let pos = Terminal::open_from(power).unwrap();
        let now = held(&pos);
        seen.insert(now[0] == old);
        let done = pos.status().slots.iter().any(|held| held.slot == SLOT_A && held.done);
        assert!(now.contains(&old) || done, "{writes}: {end:?}");
        let mut victim = Victim { tk, counters, ..Victim::holding(pos) };
        assert_eq!(victim.deliver(Carrier::ATmk, &Block::wrap), Ok(()), "{writes}: TK is whole");
    }
    assert_eq!(seen.len(), 2, "some cuts were before the key, some after it");
}

/// Attack 21: a clock that is ten years off, either way. Nothing gets in that would not get in now, and what needs no date
/// goes on.
#[test]
fn clock() {
    const TEN_YEARS: i64 = 3653 * 86_400;
    let root_key = EcKey::new();
    let root = issue::root(&name("Root with a past"), &root_key, root_valid(), 1).unwrap();
    let issuer = Issuer::new(&root, &root_key).unwrap();
    let issue =
        |validity| issue::leaf(&issuer, Role::KmsWork, &name("Tester"), PEER.spki_der(), validity).unwrap();
    let ended = issue(Validity { not_before: now() - 9 * 86_400, not_after: now() - 86_400 });
    let (good, other) = (issue(valid()), issue(valid()));
    for offset in [-TEN_YEARS, TEN_YEARS] {
        let mut new: NewTerminal = new_terminal();
        new.roots.push(TrustedRoot { certificate: root.clone(), roles: Role::ALL.to_vec() });
        let mut pos = certified(new);
        let known = pos.status().last_known_time;
        let asked = |pos: &mut Terminal, certificate| {
            let answer = collect::answer(pos, &collect_frame(certificate, &random()));
            answer.map(drop).map_err(|refusal| refusal.fault.code.number())
        };
        pos.set_clock(FixedClock(now() + offset));
        assert_eq!(asked(&mut pos, &ended), Err(0x000D), "what ended is not believed again");
        let taken = asked(&mut pos, &good);
        assert_eq!(taken.is_ok(), offset < 0, "the time never goes back; past its end nothing is believed");
        assert!(pos.status().last_known_time >= known);
        pos.set_clock(FixedClock(now()));
        // A terminal whose clock was ahead once when it checked a certificate stays so: it fails closed, and for good.
        let code = if offset < 0 { 0x0008 } else { 0x000D };
        assert_eq!(asked(&mut pos, &other), Err(code), "latched before, or the time that was known");

        // Keys that need no certificate: both ways of being wrong change nothing.
        let mut victim = Victim::new();
        let load = |victim: &mut Victim| {
            [Carrier::ATmk, Carrier::ETmk, Carrier::FPik].map(|carrier| victim.deliver(carrier, &Block::wrap))
        };
        let right = load(&mut victim);
        victim.terminal.set_clock(FixedClock(now() + offset));
        assert_eq!(load(&mut victim), right);
        assert!(right.iter().all(Result::is_ok));
        let forged = victim.deliver(Carrier::ATmk, &|block| block.wrap().replace("K1AB", "K1AN"));
        assert_eq!(forged, Err(End::Code(0x0007)));
        // Those that need one come while it is good, and no longer.
        let certified = victim.deliver(Carrier::CTmk, &Block::wrap);
        assert_eq!(certified, if offset < 0 { Ok(()) } else { Err(End::Code(0x0005)) });
    }
}

/// Attack 16: a public key without a certificate, whether the settings allow one in suite 01 or not.
#[test]
fn bare_key() {
    let bare = field(0xDF12, PEER.spki_der());
    let certified = field(tlv::CERTIFICATE, certificate(Role::KmsWork).der());
    for allow_bare_key in [false, true] {
        let settings = Settings { allow_bare_key, ..Settings::default() };
        let mut pos = super::peer::certified(NewTerminal { settings, ..new_terminal() });
        let both = [&certified[..], &bare].concat();
        for (key, code) in [(&bare, 0x000D), (&both, 0x0002), (&Vec::new(), 0x0002)] {
            let fields = [&field(tlv::SUITE, &[2])[..], key, &field(NONCE, &random::<32>())].concat();
            let asked = Frame::from_payload(&[&[1, tlv::COLLECT][..], &fields].concat()).unwrap();
            let refusal = collect::answer(&mut pos, &asked).unwrap_err();
            assert_eq!(refusal.fault.code.number(), code, "allowed in suite 01: {allow_bare_key}");
            assert!(pos.status().collected.is_none());
        }
        collect::answer(&mut pos, &collect_frame(&certificate(Role::KmsWork), &random())).unwrap();
    }
}
