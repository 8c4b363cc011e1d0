//! Over a serial line of 9 600 Bd.

use std::os::unix::net::UnixStream;
use std::time::Instant;

use super::*;
use crate::Link;
use crate::serial::Serial;
use crate::testing::line::Pseudo;

const BAUD: u32 = 9_600;

#[test]
fn an_update_over_a_pseudo_terminal_at_9600_baud_is_cut_and_goes_on() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    // Noise does not compress, and nothing here would: 6 kB are 6 s and more.
    let content: Vec<u8> = (0..6_000_u32).map(|n| u8::try_from(n * n % 253).unwrap()).collect();
    tms.offer(entry(&manifest("app", "1.0.0", PackageKind::Application, &content)), &content);
    // One line for all sessions, as a cable is.
    let (near, far) = UnixStream::pair().unwrap();
    tms.serve(far);
    let (master, _held) = Pseudo::open(BAUD);
    let address = master.address(BAUD);
    master.pump(near, BAUD);
    let mut connect = || Ok(Link::new(Serial::open(&address)?));
    let began = Instant::now();
    // Four frames of the handshake, inventory and plan, the first piece.
    let options = UpdateOptions { cut_after: Some(8), ..UpdateOptions::default() };
    let cut = update(&mut terminal, &mut areas, &mut connect, options).unwrap_err();
    assert!(matches!(cut, TmsError::Cut { frames: 8 }), "{cut}");
    let updated = update(&mut terminal, &mut areas, &mut connect, UpdateOptions::default()).unwrap();
    assert_eq!(updated.installed.len(), 1);
    assert_eq!(crate::area::tests::content(areas.running(), &name("app")), content);
    let heard = tms.heard();
    // Five seconds of the line at a time.
    assert!(heard.gets.iter().all(|(get, _)| get.wanted == 4_800), "{:?}", heard.gets);
    assert_eq!(
        heard.gets.iter().map(|(get, of)| (get.offset, *of)).collect::<Vec<_>>(),
        [(0, 1), (4_800, 2)]
    );
    // The pump kept the rate: 6 000 bytes of ten bits each need 6.25 s.
    assert!(began.elapsed().as_secs_f64() > 6.25);
}
