//! Local loading: who stands between KLD and terminal, who speaks for a terminal, and who fills whose slot.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

use flows::{device_certificate::DevicePad, local_load::Reason};
use pki::Role;
use station::kld::{Kld, LoadFailure, LoadFault, Run};

use super::{
    block::Block,
    peer::{self, SLOT_A, SLOT_B, SLOT_C, SLOT_E, held},
    victim::{Carrier, Victim},
};
use crate::{
    independent_02::{Got, Quirk, Terminal},
    listening::{Listening, believing},
    support::{
        kms_ec::{self, Ec, STATION, by_both, ceremony, package},
        line::End,
        world::{Options, World, results},
    },
    world_02::{EC, load, open_run, ready},
};

/// The product's terminal, with its device certificate.
fn true_one(sn: &str) -> Listening {
    let mut terminal = believing(sn, None, EC.root.clone());
    let request = terminal.pad_mut().device_request().unwrap();
    let request = pki::csr::parse_and_verify(&request).unwrap();
    terminal.pad_mut().install_device_certificate(EC.device(sn, &request.spki).der(), &[]).unwrap();
    Listening::start(terminal)
}

/// A terminal that is none comes to the KLD; what it is told, and that it got nothing.
fn refused(kld: &mut Kld, run: &mut Run, false_one: Terminal, quirk: Quirk) -> (LoadFailure, Terminal) {
    let (address, running) = false_one.start(quirk);
    let failure = load(kld, run, address).unwrap_err();
    let (false_one, got): (Terminal, Got) = running.join().unwrap();
    assert!(got.kcvs.is_empty() && got.identity.is_none(), "{failure}");
    (failure, false_one)
}

fn is_certificate(failure: &LoadFailure) -> bool {
    matches!(*failure.fault, LoadFault::Flow(Reason::CertificateRefused { .. }))
}

fn is_not_proven(failure: &LoadFailure) -> bool {
    matches!(*failure.fault, LoadFault::Flow(Reason::DeviceNotProven))
}

/// Attack 10: a terminal that is none, in the name of one that the run lists: without a certificate of the acquirer's
/// root, without its key, or in the other suite. It gets nothing and stops nothing, before the true one and after it.
#[test]
fn false_terminal() {
    let (world, _) = ready();
    let mut kld = world.kld();
    let mut run = open_run(&kld, "SN-1\nSN-2", &["tmk:0"]);
    let certified = Terminal::new("SN-1", None);
    let of_nobody = || {
        let terminal = Terminal::new("SN-1", None);
        let subject = pki::Name::device("PIN pad", None, "SN-1").unwrap();
        let key = crate::support::ec::EcKey::new();
        let root = crate::support::estate::root_valid();
        let root_name = crate::estate::name("EC root");
        let root = pki::issue::root(&root_name, &key, root, 0).unwrap();
        let issuer = pki::issue::Issuer::new(&root, &key).unwrap();
        let (spki, valid) = (terminal.key.spki_der(), crate::estate::valid());
        let certificate = pki::issue::leaf(&issuer, Role::Device, &subject, &spki, valid).unwrap();
        Terminal { certificate, ..terminal }
    };
    let recorded = || Terminal { certificate: certified.certificate.clone(), ..Terminal::new("SN-1", None) };
    let all = |kld: &mut Kld, run: &mut Run| {
        let (failure, _) = refused(kld, run, of_nobody(), Quirk::None);
        assert!(is_certificate(&failure), "a root of the same name: {failure}");
        let (failure, _) = refused(kld, run, recorded(), Quirk::None);
        assert!(is_not_proven(&failure), "a certificate without its key: {failure}");
        let (failure, _) = refused(kld, run, recorded(), Quirk::OtherSignature);
        assert!(is_not_proven(&failure), "an old signature: {failure}");
        let (failure, _) = refused(kld, run, recorded(), Quirk::Suite01);
        assert_eq!(failure.fault.code(), "0002", "the other suite: {failure}");
        let (failure, _) = refused(kld, run, Terminal::new("SN-9", None), Quirk::None);
        let unlisted = matches!(*failure.fault, LoadFault::Flow(Reason::NotInRun { .. }));
        assert!(unlisted, "certified, and not listed: {failure}");
        assert!(run.status().stopped.is_none());
    };
    all(&mut kld, &mut run);
    assert_eq!((run.status().loaded, run.status().failed.len()), (0, 0));
    let terminal = true_one("SN-1");
    let loaded = load(&mut kld, &mut run, terminal.address).unwrap();
    assert_eq!(terminal.take().status().slots[0].kcv, loaded.keys[0].1.to_string());
    all(&mut kld, &mut run);
    assert_eq!((run.status().loaded, run.status().failed.len()), (1, 0));
    // Two keys that are both certified for one PIN pad: the acquirer's own CA has certified a false one.
    let (failure, _) = refused(&mut kld, &mut run, certified, Quirk::None);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::AlreadyServed { .. })), "{failure}");
    assert!(run.status().stopped.is_some());
}

fn receive(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut frame = vec![0; 2];
    stream.read_exact(&mut frame).ok()?;
    frame.resize(2 + usize::from(u16::from_be_bytes([frame[0], frame[1]])), 0);
    stream.read_exact(&mut frame[2..]).ok()?;
    Some(frame)
}

/// Somebody on the cable, who makes of each message what he likes: its direction (true to the terminal), its number, and
/// the message.
fn between(
    behind: SocketAddr,
    meddle: impl Fn(bool, usize, Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let middle = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = middle.local_addr().unwrap();
    let running = thread::spawn(move || {
        let near = middle.accept().unwrap().0;
        let far = TcpStream::connect(behind).unwrap();
        thread::scope(|scope| {
            for (down, from, to) in [(true, &near, &far), (false, &far, &near)] {
                let meddle = &meddle;
                scope.spawn(move || {
                    for number in 0.. {
                        let (mut from, mut to) = (from, to);
                        let Some(said) = receive(&mut from) else { break };
                        if to.write_all(&meddle(down, number, said)).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        });
    });
    (address, running)
}

/// Attack 10: somebody between KLD and terminal, who changes each message at its head, in its middle and at its end, puts
/// his own ephemeral key or certificate in, or plays one terminal's messages to another.
#[test]
fn kld_in_the_middle() {
    let (world, _) = ready();
    let mut kld = world.kld();
    let serials: Vec<_> = (0..20).map(|number| format!("SN-{number:02}")).collect();
    let mut run = open_run(&kld, &serials.join("\n"), &["tmk:0"]);
    let mut serials = serials.into_iter();
    let messages = [(true, 0), (false, 0), (true, 1), (false, 1), (true, 2)];
    for (down, number) in messages {
        for third in 0..3 {
            let terminal = true_one(&serials.next().unwrap());
            let (address, running) = between(terminal.address, move |to, round, mut said| {
                if (to, round) == (down, number) {
                    let at = [6, said.len() / 2, said.len() - 1][third];
                    said[at] ^= 1;
                }
                said
            });
            let loaded = load(&mut kld, &mut run, address);
            running.join().unwrap();
            let status = terminal.take().status();
            // Only KEY_CONFIRM and DONE come after the key: it is at the terminal, and not done.
            let has_key = (down, number) == (false, 1) || (down, number) == (true, 2);
            assert_eq!(loaded.is_ok(), (down, number) == (true, 2), "{down} {number} {third}: {loaded:?}");
            assert_eq!(status.slots.len(), usize::from(has_key), "{down} {number} {third}");
            assert!(status.slots.iter().all(|slot| !slot.done), "{down} {number} {third}");
        }
    }
    let (loaded, failed) = (run.status().loaded, run.status().failed.len());
    assert_eq!((loaded, run.status().stopped.is_some()), (3, false));

    // His own ephemeral key in KLD_CONNECT: the terminal signs it, and the KLD does not find its own.
    let terminal = true_one(&serials.next().unwrap());
    let own = crate::support::ec::Side::new();
    let (address, running) = between(terminal.address, move |to, round, said| {
        if (to, round) != (true, 0) {
            return said;
        }
        let mut said = said;
        let at = said.windows(3).rposition(|window| window == [0xDF, 0x13, 65]).unwrap();
        said[at + 3..at + 68].copy_from_slice(&own.point);
        said
    });
    let failure = load(&mut kld, &mut run, address).unwrap_err();
    running.join().unwrap();
    assert!(is_not_proven(&failure), "{failure}");
    assert!(terminal.take().status().slots.is_empty());

    // One terminal's KLD_KEY to another: what a KLD said on two cables.
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (first, second) = (true_one(&serials.next().unwrap()), true_one(&serials.next().unwrap()));
    let keep = std::sync::Arc::clone(&heard);
    let (address, running) = between(first.address, move |to, round, said| {
        if (to, round) == (true, 1) {
            keep.lock().unwrap().clone_from(&said);
        }
        said
    });
    load(&mut kld, &mut run, address).unwrap();
    running.join().unwrap();
    first.take();
    let (address, running) =
        between(
            second.address,
            move |to, round, said| {
                if (to, round) == (true, 1) { heard.lock().unwrap().clone() } else { said }
            },
        );
    load(&mut kld, &mut run, address).unwrap_err();
    running.join().unwrap();
    assert!(second.take().status().slots.is_empty());
    assert_eq!((run.status().loaded, run.status().failed.len()), (loaded + 1, failed + 1));
    assert!(run.status().stopped.is_none());
}

/// Attack 10: another terminal's genuine device certificate, and its key, with this serial: at the KLD, at the KMS, and
/// in a PIN pad.
#[test]
fn borrowed_certificate() {
    let (world, _) = ready();
    let mut kld = world.kld();
    let mut run = open_run(&kld, "SN-1\nSN-2 PP-2", &["tmk:0"]);
    for (sn, pin_pad) in [("SN-1", None), ("SN-2", Some("PP-2"))] {
        // Certified for another serial, and for the terminal where it must be the PIN pad.
        for owner in ["SN-9", if pin_pad.is_some() { "SN-2" } else { "PP-2" }] {
            let lender = Terminal::new(owner, None);
            let borrower = Terminal { sn: sn.into(), pin_pad: pin_pad.map(Into::into), ..lender };
            let (failure, _) = refused(&mut kld, &mut run, borrower, Quirk::None);
            assert!(is_certificate(&failure), "{owner}'s for {sn}: {failure}");
            assert_eq!(failure.fault.code(), "000D");
        }
    }
    // A genuine PIN pad that is another terminal's than the run has registered.
    let (failure, _) = refused(&mut kld, &mut run, Terminal::new("SN-1", Some("PP-2")), Quirk::None);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::NotInRun { .. })), "{failure}");
    assert_eq!((run.status().loaded, run.status().failed.len()), (0, 0));

    let world = World::new();
    let server = world.start(&Options { suite_02: true, ..Options::default() });
    kms_ec::install(&server);
    let nonce = ceremony(&server, STATION);
    let code = |terminal: &Ec| {
        let answer = server.upload(&by_both(&package(&nonce, &[terminal.entry(&nonce)])));
        results(&answer)[0]["code"].as_str().unwrap().to_owned()
    };
    let lender = Ec::new("SN-1");
    assert_eq!(code(&lender), "stored");
    let Ec { device, certificate, .. } = lender;
    let borrower = Ec { device, certificate, ..Ec::new("SN-2") };
    assert_eq!(code(&borrower), "000D", "another's certificate");
    let as_pin_pad = Ec { pin_pad: Some("PP-3".into()), sn: "SN-1".into(), ..borrower };
    assert_eq!(code(&as_pin_pad), "000D", "the terminal's where it must be the PIN pad's");
    // The same key, certified once more for the borrower: a key is one PIN pad's in the whole estate.
    let certificate = kms_ec::KMS_EC.certify(Role::Device, "SN-3", &as_pin_pad.device);
    let renamed = Ec { certificate, pin_pad: None, sn: "SN-3".into(), ..as_pin_pad };
    assert_eq!(code(&renamed), "device-key-taken");
    assert_eq!(world.count("terminals"), 1);

    // A PIN pad takes no certificate of a key that it has not.
    let mut pos = peer::terminal();
    let foreign = Ec::new(peer::SN).certificate;
    assert!(pos.pad_mut().install_device_certificate(foreign.der(), &[]).is_err());
}

/// Attack 10: each loader tries the slot of each other.
#[test]
fn slot_thief() {
    let carriers = [Carrier::ATmk, Carrier::BTmk, Carrier::CTmk, Carrier::ETmk];
    let mut victim = Victim::new();
    for carrier in carriers {
        assert_eq!(victim.deliver(carrier, &Block::wrap), Ok(()), "{carrier:?} fills its own");
    }
    let own = [SLOT_A, SLOT_B, SLOT_C, SLOT_E];
    for (thief, carrier) in carriers.into_iter().enumerate() {
        for (owner, index) in own.into_iter().enumerate().filter(|(owner, _)| *owner != thief) {
            let before = held(&victim.terminal);
            victim.slots[thief] = index;
            let end = victim.deliver(carrier, &Block::wrap);
            // Not permitted, or refused by the PIN pad before anything was said.
            let refused = [Err(End::Code(0x0008)), Err(End::Closed)];
            assert!(refused.contains(&end), "{carrier:?} in the slot of {:?}: {end:?}", carriers[owner]);
            assert_eq!(held(&victim.terminal), before);
            assert_eq!(victim.terminal.status().refusals.records.last().unwrap().check, "owner");
        }
        victim.slots[thief] = own[thief];
        assert_eq!(victim.deliver(carrier, &Block::wrap), Ok(()), "{carrier:?} goes on in its own");
    }
}
