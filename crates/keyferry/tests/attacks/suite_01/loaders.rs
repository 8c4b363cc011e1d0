//! Local loading: who stands between KLD and terminal, and who fills whose slot.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use flows::local_load::Reason;
use station::kld::LoadFault;

use super::forge::{Block, Carrier, SLOT_A, SLOT_B, SLOT_C, SLOT_E, Victim};
use crate::{
    independent::{self, Quirk},
    listening::{Listening, new_terminal},
    support::line::End,
    world::{World, load, open_run},
};

/// Attack 10: a terminal that is none. A serial that the run does not list, and one that was served, get nothing. One that
/// it lists cannot be told from a false one in this suite: the true terminal's arrival stops the run, and the report
/// says that the key is nobody's.
#[test]
fn false_terminal() {
    let world = World::ready();
    let mut kld = world.kld();
    let mut run = open_run(&kld, "SN-1\nSN-2", &["tmk:0"]);
    let (address, unlisted) = independent::start("SN-9", None, Quirk::None);
    let failure = load(&mut kld, &mut run, address).unwrap_err();
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::NotInRun { .. })), "{failure}");
    assert_eq!(unlisted.join().unwrap().kcvs.len(), 0);

    let (address, false_one) = independent::start("SN-1", None, Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    assert_eq!(false_one.join().unwrap().kcvs.len(), 1, "it cannot be told from the true one");
    assert!(run.status().stopped.is_none());

    let true_one = Listening::start(new_terminal("SN-1", None));
    let failure = load(&mut kld, &mut run, true_one.address).unwrap_err();
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::AlreadyServed { .. })), "{failure}");
    assert!(true_one.take().status().slots.is_empty());
    let status = run.status();
    assert!(status.stopped.is_some(), "the run stops");
    assert_eq!((status.loaded, status.failed.len()), (0, 1), "and the key counts as none");
    // The same from the other side: nothing more is loaded in this run, for anybody.
    let (address, _waiting) = independent::start("SN-2", None, Quirk::None);
    let failure = load(&mut kld, &mut run, address).unwrap_err();
    assert!(matches!(*failure.fault, LoadFault::Kld(_)), "{failure}");
    let _ = TcpStream::connect(address);
}

fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut frame = vec![0; 2];
    stream.read_exact(&mut frame).ok()?;
    frame.resize(2 + usize::from(u16::from_be_bytes([frame[0], frame[1]])), 0);
    stream.read_exact(&mut frame[2..]).ok()?;
    Some(frame)
}

/// Attack 10: somebody between KLD and terminal, who passes on, changes each message, or speaks for the terminal himself.
#[test]
fn kld_in_the_middle() {
    // Whatever is changed on the way: the terminal takes no key.
    for (down, number) in [(true, 0), (false, 0), (true, 1), (false, 1)] {
        let world = World::ready();
        let mut kld = world.kld();
        let mut run = open_run(&kld, "SN-1", &["tmk:0"]);
        let true_one = Listening::start(new_terminal("SN-1", None));
        let middle = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, behind) = (middle.local_addr().unwrap(), true_one.address);
        let between = thread::spawn(move || {
            let mut near = middle.accept().unwrap().0;
            let mut far = TcpStream::connect(behind).unwrap();
            for round in 0.. {
                let Some(mut said) = receive(&mut near) else { break };
                if down && round == number {
                    *said.last_mut().unwrap() ^= 1;
                }
                if far.write_all(&said).is_err() {
                    break;
                }
                let Some(mut answer) = receive(&mut far) else { break };
                if !down && round == number {
                    *answer.last_mut().unwrap() ^= 1;
                }
                if near.write_all(&answer).is_err() {
                    break;
                }
            }
        });
        let failure = load(&mut kld, &mut run, address).unwrap_err();
        between.join().unwrap();
        let held = true_one.take().status();
        let confirmed = (down, number) == (false, 1);
        assert_eq!(held.slots.len(), usize::from(confirmed), "{failure}");
        // Only KEY_CONFIRM comes after the key: it is at the terminal, without DONE, and at the KLD it counts as failed.
        assert!(held.slots.iter().all(|slot| !slot.done));
        assert_eq!(run.status().loaded, 0);
    }

    // Random numbers of his own in the terminal's name: he has a key, which the true terminal's arrival gives away.
    let world = World::ready();
    let mut kld = world.kld();
    let mut run = open_run(&kld, "SN-1", &["tmk:0"]);
    let (address, middle) = independent::start("SN-1", None, Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    assert_eq!(middle.join().unwrap().kcvs.len(), 1);
    let true_one = Listening::start(new_terminal("SN-1", None));
    load(&mut kld, &mut run, true_one.address).unwrap_err();
    true_one.take();
    assert!(run.status().stopped.is_some());
    let report = kld.close_run(&crate::estate::BOTH.1).unwrap();
    let package = pki::cms::open(&std::fs::read(report.path).unwrap()).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&package.content).unwrap();
    assert!(report["compromised"].to_string().contains("SN-1"), "{report}");
    assert!(report["stopped"].is_string());
}

/// Attack 10: each of the four loaders tries the slot of each other.
#[test]
fn slot_thief() {
    let carriers = [Carrier::ATmk, Carrier::BTmk, Carrier::CTmk, Carrier::ETmk];
    let mut victim = Victim::new();
    for carrier in carriers {
        assert_eq!(victim.deliver(carrier, &Block::wrap), Ok(()), "{carrier:?} fills its own");
    }
    let held = |victim: &Victim| {
        let slots = victim.terminal.status().slots;
        slots.into_iter().map(|held| (held.slot, held.kcv, held.previous_kcv)).collect::<Vec<_>>()
    };
    let own = [SLOT_A, SLOT_B, SLOT_C, SLOT_E];
    for (thief, carrier) in carriers.into_iter().enumerate() {
        for (owner, index) in own.into_iter().enumerate().filter(|(owner, _)| *owner != thief) {
            let before = held(&victim);
            victim.slots[thief] = index;
            let end = victim.deliver(carrier, &Block::wrap);
            // Not permitted, or refused by the PIN pad before anything was said.
            let refused = [Err(End::Code(0x0008)), Err(End::Closed)];
            assert!(refused.contains(&end), "{carrier:?} in the slot of {:?}: {end:?}", carriers[owner]);
            assert_eq!(held(&victim), before);
            assert_eq!(victim.terminal.status().refusals.records.last().unwrap().check, "owner");
        }
        victim.slots[thief] = own[thief];
    }
}
