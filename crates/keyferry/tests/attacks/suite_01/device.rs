//! The terminal itself: its sensors, its power, its clock.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use pki::Role;
use terminal::{
    Error, FixedClock, LifeCycle, Terminal,
    board::{Readings, SharedBoard},
    collect,
    storage::{BatteryKey, Memory, Record, Storage},
};

use super::forge::{
    Block, Carrier, SLOT_A, Victim, against, certificate, collect_frame, collected, new_terminal, slot,
    terminal,
};
use crate::support::{
    estate::now,
    line::End,
    raw::encrypt,
    tlv::{self, field, frame},
};

/// Storage that outlives its terminal, as after a power cut, and takes only so many writes before it.
#[derive(Clone)]
pub(crate) struct Power(Arc<(Memory, AtomicUsize)>);

impl Power {
    pub(crate) fn good() -> Power {
        Power(Arc::new((Memory::new().unwrap(), AtomicUsize::new(usize::MAX))))
    }

    pub(crate) fn cut_after(&self, writes: usize) {
        self.0.1.store(writes, Ordering::Relaxed);
    }
}

impl Storage for Power {
    fn battery_key(&self) -> Result<BatteryKey, Error> {
        self.0.0.battery_key()
    }

    fn load(&self, record: Record) -> Result<Option<Vec<u8>>, Error> {
        self.0.0.load(record)
    }

    fn store(&self, record: Record, sealed: &[u8]) -> Result<(), Error> {
        let left = self.0.1.load(Ordering::Relaxed);
        let Some(left) = left.checked_sub(1) else {
            let source = std::io::ErrorKind::StorageFull.into();
            return Err(Error::Io { act: "write", path: record.name().into(), source });
        };
        self.0.1.store(left, Ordering::Relaxed);
        self.0.0.store(record, sealed)
    }
}

pub(crate) type Disturb = fn(&mut Readings);

/// Each sensor out of its range: whether that is tampering, and what it reads.
pub(crate) const DISTURBED: [(bool, Disturb); 6] = [
    (false, |readings| readings.millivolts = 2_500),
    (false, |readings| readings.millivolts = 3_900),
    (false, |readings| readings.celsius = 70),
    (true, |readings| readings.millivolts = 1_000),
    (true, |readings| readings.celsius = -60),
    (true, |readings| readings.lid_open = true),
];

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
        let refusal = collect::answer(&mut pos, &collect_frame(&certificate)).unwrap_err();
        assert_eq!(refusal.fault.code.number(), 0x0008);
        assert!(pos.status().collected.is_none());

        // During a download, before each of the server's messages.
        for at in 0..3 {
            let mut victim = Victim::new();
            let board = SharedBoard::default();
            victim.terminal.set_board(board.clone());
            let before = victim.terminal.status().slots;
            let (loaded, end) = disturbed(&mut victim, at, || board.change(disturb));
            assert!(loaded.is_err(), "{at}");
            assert!(matches!(end, Err(End::Code(0x0008) | End::Closed)), "{at}: {end:?}");
            let status = victim.terminal.status();
            if tampered {
                assert!(status.slots.is_empty() && status.dmk.is_none() && status.dik2.is_none());
                assert_ne!(status.life_cycle, LifeCycle::Deployed);
                continue;
            }
            // What it had it has, and uses when all is well again.
            let held = &status.slots[0];
            let kept = [Some(held.kcv.clone()), held.previous_kcv.clone()];
            assert!(kept.contains(&Some(before[0].kcv.clone())), "{at}");
            assert!(victim.deliver(Carrier::FPik, &Block::wrap).is_err(), "nothing is released meanwhile");
            board.change(|readings| *readings = Readings::NOMINAL);
            assert_eq!(victim.deliver(Carrier::ATmk, &Block::wrap), Ok(()));
        }
    }
    power_cuts();
}

/// A download of flow A in which something happens before a message of the server's.
fn disturbed(victim: &mut Victim, at: usize, happen: impl Fn()) -> (Result<(), String>, Result<(), End>) {
    let (terminal, tk) = (&mut victim.terminal, &victim.tk);
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
        let rnd2 = [0x80, 1, 2, 3, 4, 5, 6, 7];
        let crnd1 = encrypt(&tk.auk, hello.get(tlv::RND1).try_into().unwrap());
        let challenge = frame(tlv::CHALLENGE, &[field(tlv::CRND1, &crnd1), field(tlv::RND2, &rnd2)].concat());
        maybe(0);
        line.send(&challenge);
        let reply = line.expect(tlv::REPLY)?;
        let said = [&hello.frame[..], &challenge, &reply.frame].concat();
        let key = super::forge::random_key::<24>();
        let place = super::forge::place(SLOT_A);
        let block = Block::new(["K1", "B"], &place, super::forge::context(&said), &key, &tk.tek).wrap();
        maybe(1);
        line.send(&frame(tlv::KEY, &field(tlv::KEY_BLOCK, block.as_bytes())));
        line.expect(tlv::CONFIRM)?;
        maybe(2);
        line.send(&frame(tlv::DONE, &[]));
        Err(line.end())
    })
}

/// The power fails after so many writes: the terminal has what it had or the new key, never neither.
fn power_cuts() {
    // Making a TK.
    let certificate = certificate(Role::KmsWork);
    for writes in 0..6 {
        let power = Power::good();
        let mut pos = Terminal::new_in(power.clone(), new_terminal()).unwrap();
        power.cut_after(writes);
        let made = collect::answer(&mut pos, &collect_frame(&certificate));
        drop(pos);
        power.cut_after(usize::MAX);
        let mut pos = Terminal::open_from(power).unwrap();
        let shown = pos.status().collected.map(|collected| collected.fingerprint);
        if let Ok(made) = &made {
            assert_eq!(shown.as_ref(), Some(&made.fingerprint), "what was said was stored before");
        }
        let again = collect::answer(&mut pos, &collect_frame(&certificate)).unwrap();
        assert!(shown.is_none_or(|shown| shown == again.fingerprint), "{writes}: one TK, not two");
    }
    // Loading a TMK beside an old one.
    let mut seen = std::collections::BTreeSet::new();
    for writes in 0..8 {
        let power = Power::good();
        let mut pos = Terminal::new_in(power.clone(), new_terminal()).unwrap();
        let tk = collected(&mut pos);
        let mut victim = Victim { tk, ..Victim::holding(pos) };
        assert_eq!(victim.deliver(Carrier::ATmk, &Block::wrap), Ok(()));
        let old = victim.terminal.status().slots[0].kcv.clone();
        victim.tmk = super::forge::random_key::<24>();
        power.cut_after(writes);
        let (_, end) = disturbed(&mut victim, usize::MAX, || {});
        let Victim { terminal, tk, .. } = victim;
        drop(terminal);
        power.cut_after(usize::MAX);
        let pos = Terminal::open_from(power).unwrap();
        let held = pos.status().slots[0].clone();
        let has_old = [Some(&held.kcv), held.previous_kcv.as_ref()].contains(&Some(&old));
        seen.insert(held.kcv == old);
        assert!(has_old || held.done, "{writes}: {end:?}");
        let mut victim = Victim { tk, ..Victim::holding(pos) };
        assert_eq!(victim.deliver(Carrier::ATmk, &Block::wrap), Ok(()), "{writes}: TK is whole");
    }
    assert_eq!(seen.len(), 2, "some cuts were before the key, some after it");
}

/// Attack 21: a clock that is ten years off, either way. Nothing gets in that would not get in now, and what needs no date
/// goes on.
#[test]
fn clock() {
    const TEN_YEARS: i64 = 3653 * 86_400;
    let ended = {
        let issuer = pki::issue::Issuer::new(
            &crate::support::estate::ESTATE.root,
            crate::support::estate::ESTATE.root_key(),
        )
        .unwrap();
        let validity = pki::issue::Validity { not_before: now() - 9 * 86_400, not_after: now() - 86_400 };
        let name = crate::support::estate::name("Ended");
        let spki = super::forge::PEER.spki_der();
        pki::issue::leaf(&issuer, Role::KmsWork, &name, spki, validity).unwrap()
    };
    for offset in [-TEN_YEARS, TEN_YEARS] {
        let mut pos = terminal();
        let known = pos.status().last_known_time;
        pos.set_clock(FixedClock(now() + offset));
        let refusal = collect::answer(&mut pos, &collect_frame(&ended)).unwrap_err();
        assert_eq!(refusal.fault.code.number(), 0x000D, "what ended is not believed again");
        let good = collect::answer(&mut pos, &collect_frame(&certificate(Role::KmsWork)));
        assert_eq!(good.is_ok(), offset < 0, "the time never goes back; past its end nothing is believed");
        assert!(pos.status().last_known_time >= known);
        pos.set_clock(FixedClock(now()));
        // A terminal whose clock was ahead once when it checked a certificate stays so: it fails closed, and for good.
        let other = certificate(Role::KmsWork);
        let code = collect::answer(&mut pos, &collect_frame(&other)).unwrap_err().fault.code.number();
        assert_eq!(
            code,
            if offset < 0 { 0x0008 } else { 0x000D },
            "latched before, or the time that was known"
        );

        // Keys that need no certificate: both ways of being wrong change nothing.
        let mut victim = Victim::new();
        let load = |victim: &mut Victim| {
            [Carrier::ATmk, Carrier::EDwk, Carrier::FPik].map(|carrier| victim.deliver(carrier, &Block::wrap))
        };
        let right = load(&mut victim);
        victim.terminal.set_clock(FixedClock(now() + offset));
        assert_eq!(load(&mut victim), right);
        assert!(right.iter().all(Result::is_ok));
        let forged = victim.deliver(Carrier::ATmk, &|block| block.wrap().replace("K1TB", "K1TN"));
        assert_eq!(forged, Err(End::Code(0x0007)));
    }
}
