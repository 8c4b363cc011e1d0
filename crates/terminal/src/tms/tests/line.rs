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
    let mut connect = || {
        let (near, far) = UnixStream::pair()?;
        tms.serve(far);
        let (master, _) = Pseudo::open(BAUD);
        let line = Serial::open(&master.address(BAUD))?;
        master.pump(near, BAUD);
        Ok(Link::new(line))
    };
    let began = Instant::now();
    // Four frames of the handshake, inventory and plan, the first piece, and the question for the next.
    let options = UpdateOptions { cut_after: Some(9), ..UpdateOptions::default() };
    let cut = update(&mut terminal, &mut areas, &mut connect, options).unwrap_err();
    assert!(matches!(cut, TmsError::Cut { frames: 9 }), "{cut}");
    let updated = update(&mut terminal, &mut areas, &mut connect, UpdateOptions::default()).unwrap();
    assert_eq!(updated.installed.len(), 1);
    assert_eq!(crate::area::tests::content(areas.running(), &name("app")), content);
    let heard = tms.heard();
    // Five seconds of the line at a time.
    assert!(heard.gets.iter().all(|(get, _)| get.wanted == 4_800), "{:?}", heard.gets);
    let mut offsets: Vec<_> = heard.gets.iter().map(|(get, _)| get.offset).collect();
    // Whether the question that was cut arrived is the line's to decide.
    offsets.dedup();
    assert_eq!(offsets, [0, 4_800]);
    // The pump kept the rate: 6 000 bytes of ten bits each need 6.25 s.
    assert!(began.elapsed().as_secs_f64() > 6.25);
}
