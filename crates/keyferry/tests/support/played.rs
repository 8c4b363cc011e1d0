//! A terminal whose keys the test knows, because the test plays it.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use flows::{
    Tdes,
    collect::{
        Collected,
        messages::{Collect, CollectKey},
    },
    tmk_download::messages::{Done, KeyConfirm, Rnd1, TkChallenge, TkHello, TkKey, TkReply},
    transcript::Transcript,
};
use paycrypto::{blocks, keys::Tmk, rsa::PublicKey, tk::CheckedTk};
use pki::Certificate;
use wire::{Device, Frame, Kcv, Place, Serial, Slot, Suite};

/// A terminal in this process.
pub(crate) struct Played {
    sn: Serial,
    pub(crate) tk: CheckedTk,
}

impl Played {
    pub(crate) fn new(sn: &str) -> Played {
        Played { sn: Serial::parse(sn).unwrap(), tk: CheckedTk::generate().unwrap() }
    }

    /// Answers one station; gives the fingerprint to display.
    pub(crate) fn be_collected(&self, listener: &TcpListener) -> String {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let ask = <Collect>::read(&receive(&mut stream)).unwrap();
        let CollectKey::Certificate { leaf, .. } = ask.key else { panic!("a bare key") };
        let work = PublicKey::from_spki(Certificate::from_der(&leaf).unwrap().spki_der()).unwrap();
        let collected: Collected = Collected {
            device: Device::built_in(self.sn.clone()),
            vendor: None,
            model: None,
            ctk_pu: work.oaep_encrypt(&self.tk.to_clear()).unwrap(),
            maker: (),
            refusals: vec![],
        };
        send(&mut stream, &collected.write().unwrap());
        collected.fingerprint()
    }

    /// Downloads a TMK.
    pub(crate) fn download(&self, server: &str, slot: u8) -> Tmk {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let slot = Slot::new(slot).unwrap();
        let mut rnd1 = [0; 8];
        paycrypto::random::fill(&mut rnd1).unwrap();
        rnd1[0] &= 0x7F;
        let device = Device::built_in(self.sn.clone());
        let opening = Rnd1(rnd1);
        let hello = TkHello::<Tdes> { suite: Suite::TDES, device, slot, opening, refusals: vec![] };
        let hello = hello.write().unwrap();
        send(&mut stream, &hello);
        let challenge = receive(&mut stream);
        let proof = TkChallenge::read(&challenge).unwrap();
        assert_eq!(proof.crnd1, self.tk.auk().answer(rnd1), "the server holds AUK");
        let reply = TkReply { crnd2: self.tk.auk().answer(proof.rnd2) }.write().unwrap();
        send(&mut stream, &reply);
        let mut transcript = Transcript::new();
        [&hello, &challenge, &reply].into_iter().for_each(|frame| transcript.push(frame));
        let block = TkKey::read::<Tdes>(&receive(&mut stream)).unwrap().block;
        let place = Place::new(self.sn.clone(), slot).to_string();
        let context = transcript.context();
        let tmk = blocks::unwrap_tmk(self.tk.tek(), &block, &place, context.as_bytes()).unwrap();
        send(&mut stream, &KeyConfirm { kcvs: vec![Kcv::from(tmk.kcv())] }.write().unwrap());
        Done::read(&receive(&mut stream)).unwrap();
        tmk
    }
}

fn send(stream: &mut TcpStream, frame: &Frame) {
    stream.write_all(frame.bytes()).unwrap();
}

fn receive(stream: &mut TcpStream) -> Frame {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let mut payload = vec![0; usize::from(u16::from_be_bytes(head))];
    stream.read_exact(&mut payload).unwrap();
    Frame::from_payload(&payload).unwrap()
}
