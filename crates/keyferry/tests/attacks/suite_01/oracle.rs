//! RSA ciphertexts that do not open, and what the server does with each: seen from outside, and at the HSM's socket.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use paycrypto::rsa::PublicKey;

use crate::support::{
    estate::ESTATE,
    https::{self, CMS},
    line::{End, connect},
    package::{entry_of, package, signed},
    raw::Raw,
    rks::{RawDevice, report},
    tlv::{self, field, frame},
    world::{Options, World, results},
};

/// A way to the HSM that counts what it is asked: the length of every request, in order.
fn counting(socket: &Path) -> Arc<Mutex<Vec<usize>>> {
    let listener = UnixListener::bind(socket).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&asked);
    thread::spawn(move || {
        while let Ok((mut near, _)) = listener.accept() {
            let mut far = UnixStream::connect(ESTATE.socket()).unwrap();
            let (mut back_from, mut back_to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
            let all = Arc::clone(&all);
            thread::spawn(move || {
                let mut length = [0; 4];
                while near.read_exact(&mut length).is_ok() {
                    let mut request = vec![0; u32::from_le_bytes(length) as usize];
                    near.read_exact(&mut request).unwrap();
                    all.lock().unwrap().push(request.len());
                    far.write_all(&[&length[..], &request].concat()).unwrap();
                }
            });
        }
    });
    asked
}

/// The `number`th ciphertext that does not open to what it should: some fail in RSA, some in OAEP, some behind it.
fn malformed(number: usize, work: &PublicKey) -> Vec<u8> {
    let mut bytes = vec![0; 256];
    paycrypto::random::fill(&mut bytes).unwrap();
    match number % 8 {
        0 => work.oaep_encrypt(&[7; 33]).unwrap(),
        1 => work.oaep_encrypt(&[]).unwrap(),
        2 => vec![0; 256],
        3 => vec![0xFF; 256],
        4 => {
            let mut good = work.oaep_encrypt(&[7; 16]).unwrap();
            good[255] ^= 1;
            good
        }
        // Below the modulus: what RSA opens, and OAEP does not.
        _ => {
            bytes[0] = 0;
            bytes
        }
    }
}

/// Attack 8: 10 000 malformed ciphertexts; one code, one length, the same calls of the HSM. (How long they take is
/// measured by a benchmark.)
#[test]
fn padding_oracle() {
    let world = World::new();
    let socket = world.folder().join("count.sock");
    let asked = counting(&socket);
    let server = world.start_with_hsm(&Options::default(), &socket);
    let known = RawDevice::new("SN-1");
    let cms = signed(&ESTATE.operator, &report("run-1", &[known.entry()]));
    assert_eq!(https::post(server.https, "/v1/kld-reports", CMS, &cms).status, 200);
    let stranger = RawDevice { sn: "SN-2".into(), ..known.clone() };
    let work = PublicKey::from_spki(ESTATE.rks.certificate.spki_der()).unwrap();
    let address = server.terminals;
    let run = |device: &RawDevice, df20: Vec<u8>, df22: &[u8]| {
        let mut line = connect(address);
        let asked = device.ask_with(&mut line, device.auth(1, 0, &[]), |_| df20).unwrap();
        line.send(&frame(tlv::RKS_PROOF, &field(tlv::DF22, df22)));
        let end = line.end();
        // All that was seen, but the certificate, by its shape.
        (asked.token.shape(), end, line.received().len())
    };

    // One by one, with the calls of the HSM: DF20 and DF22, for a known serial and an unknown one.
    let mut seen = Vec::new();
    for number in 0..64 {
        for device in [&known, &stranger] {
            asked.lock().unwrap().clear();
            let outcome = run(device, malformed(number, &work), &malformed(number + 1, &work));
            let calls = asked.lock().unwrap().clone();
            assert!(!calls.is_empty());
            seen.push((outcome, calls));
            asked.lock().unwrap().clear();
            let outcome = run(device, work.oaep_encrypt(&device.factor).unwrap(), &malformed(number, &work));
            seen.push((outcome, asked.lock().unwrap().clone()));
        }
    }
    let calls: Vec<_> = seen.iter().map(|(_, calls)| calls.len()).collect();
    assert!(calls.iter().all(|count| *count == calls[0]), "the HSM is asked as often: {calls:?}");
    assert!(seen.iter().all(|(outcome, _)| *outcome == seen[0].0), "{:?}", seen[0].0);
    assert_eq!(seen[0].0.1, End::Code(0x0006));

    // Many, over two sockets at a time.
    let next = AtomicUsize::new(0);
    let expected = &seen[0].0;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= FLOW_C {
                        return;
                    }
                    let device = if number.is_multiple_of(2) { &known } else { &stranger };
                    let df22 = malformed(number / 8, &work);
                    assert_eq!(run(device, malformed(number, &work), &df22), *expected);
                }
            });
        }
    });
    assert_eq!(world.count("tmks"), 0);

    // Under an operator's signature: each terminal of a package is answered by itself, and all alike. Only what the
    // sender has encrypted himself, and of another length, is told so.
    let work = PublicKey::from_spki(ESTATE.work.certificate.spki_der()).unwrap();
    let mut answers = std::collections::HashSet::new();
    for start in (0..UPLOADED).step_by(1000) {
        let entries: Vec<_> = (start..start + 1000)
            .map(|number| {
                entry_of(&Raw { sn: format!("SN-{number:05}"), ..raw() }, &malformed(number, &work))
            })
            .collect();
        let answer = server.upload(&signed(&ESTATE.operator, &package(&entries)));
        for (number, mut result) in results(&answer).into_iter().enumerate() {
            for own in ["sn", "fingerprint"] {
                result.as_object_mut().unwrap().remove(own);
            }
            assert_eq!((&result["ok"], &result["code"]), (&false.into(), &"transport-key-refused".into()));
            if number % 8 > 1 {
                answers.insert(result.to_string());
            }
        }
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
}

/// Ciphertexts sent in flow C, two in each of this many runs.
const FLOW_C: usize = 2_000;
/// Ciphertexts sent in collected packages.
const UPLOADED: usize = 6_000;

fn raw() -> Raw {
    Raw { sn: String::new(), pin_pad: None, tek: Vec::new(), auk: Vec::new() }
}
