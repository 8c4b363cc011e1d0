//! Terminals of a few lines each, good and bad, on sockets of their own.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use flows::collect::{Collected, terminal::Ask};
use keyferry_station::Target;
use wire::{Device, Frame, FrameDecoder, ModelId, Serial, VendorId};

/// Bytes of Ctk_Pu under a key of 2 048 bits.
pub(crate) const CTK_PU: usize = 256;

/// A terminal that does this with every connection.
pub(crate) fn terminal(act: impl Fn(TcpStream) + Send + 'static) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string().parse().unwrap();
    thread::spawn(move || listener.incoming().for_each(|stream| act(stream.unwrap())));
    target
}

/// The target with the serial that is expected there.
pub(crate) fn expecting(sn: &str, target: &Target) -> Target {
    format!("{sn}@{}", target.address()).parse().unwrap()
}

/// A terminal that answers COLLECT as it should.
pub(crate) fn honest(sn: &str) -> Target {
    answering(collected(sn, None))
}

/// A terminal that answers COLLECT with this.
pub(crate) fn answering(answer: Collected) -> Target {
    terminal(move |mut stream| {
        let ask = <Ask>::read(&receive(&mut stream)).unwrap();
        let _ = stream.write_all(ask.answer(&answer).unwrap().bytes());
    })
}

/// A terminal that reads COLLECT and then sends these bytes and closes.
pub(crate) fn sending(bytes: Vec<u8>) -> Target {
    terminal(move |mut stream| {
        receive(&mut stream);
        let _ = stream.write_all(&bytes);
    })
}

/// A terminal that reads COLLECT and says nothing.
pub(crate) fn hanging() -> Target {
    terminal(|mut stream| {
        receive(&mut stream);
        // Until the station gives up.
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// An honest terminal that counts how many of its kind are busy at once.
pub(crate) fn counting(sn: &str, busy: &Arc<AtomicUsize>, most: &Arc<AtomicUsize>) -> Target {
    let (answer, busy, most) = (collected(sn, None), Arc::clone(busy), Arc::clone(most));
    terminal(move |mut stream| {
        let ask = <Ask>::read(&receive(&mut stream)).unwrap();
        most.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(30));
        busy.fetch_sub(1, Ordering::SeqCst);
        stream.write_all(ask.answer(&answer).unwrap().bytes()).unwrap();
    })
}

pub(crate) fn serial(text: &str) -> Serial {
    Serial::parse(text).unwrap()
}

/// What an honest terminal answers; Ctk_Pu is its own.
pub(crate) fn collected(sn: &str, pin_pad: Option<&str>) -> Collected {
    Collected {
        device: Device::new(serial(sn), pin_pad.map(serial)).unwrap(),
        vendor: Some(VendorId::parse("KF").unwrap()),
        model: Some(ModelId::parse("SIM-1").unwrap()),
        ctk_pu: sn.bytes().cycle().take(CTK_PU).collect(),
        maker: (),
        refusals: Vec::new(),
    }
}

/// The next frame from a station.
pub(crate) fn receive(stream: &mut TcpStream) -> Frame {
    let mut decoder = FrameDecoder::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(frame) = decoder.next().unwrap() {
            return frame;
        }
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the station closed before its frame was complete");
        decoder.push(&buffer[..read]).unwrap();
    }
}
