//! A POSP, a signed-in terminal and a zone.

use crate::support::{
    line::connect,
    posp::{POSP, Posp, RawZone},
    raw::Raw,
    sign_in::Working,
    world::{Options, Server, World},
};

pub(crate) const PAN: &str = "4012345678909";
pub(crate) const SLOT: u8 = 1;

pub(crate) struct Setting {
    pub(crate) world: World,
    pub(crate) server: Server,
    pub(crate) terminal: Raw,
    pub(crate) working: Working,
    pub(crate) zone: RawZone,
    pub(crate) posp: Posp,
}

impl Setting {
    pub(crate) fn new() -> Setting {
        Setting::with("")
    }

    /// With more of a configuration.
    pub(crate) fn with(more: &str) -> Setting {
        let terminal = Raw::new("SN-1");
        let options = Options { more: format!("{POSP}{more}"), ..Options::default() };
        let (world, server) = World::with_options(&[&terminal], &options);
        let working = signed_in(&server, &terminal);
        let zone = RawZone::import(&server, "issuer-1");
        let posp = Posp::connect(&server);
        Setting { world, server, terminal, working, zone, posp }
    }
}

/// Loads a terminal and signs it in.
pub(crate) fn signed_in(server: &Server, terminal: &Raw) -> Working {
    let tmk = terminal.download(server.terminals, SLOT).unwrap();
    terminal.sign_in(&mut connect(server.terminals), SLOT, &tmk).unwrap()
}
