//! The other system: its zone master key, its keys, and the file that it gives.

use std::io::{BufReader, Cursor};

use hsm::{Client, KeyBlock};
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use keyferry_server::{
    host::zone::By,
    import::{self, Counts, Estate, Report, Stopped},
};
use paycrypto::TdesKey;
use serde_json::{Value, json};

use crate::support::{
    estate::{ACQUIRER, ESTATE},
    posp::zone_master,
    raw::check_value,
    world::{Options, Server, World},
};

pub(crate) const BY: By<'_> = By { owner: ACQUIRER, actor: "Zoe Zone" };

pub(crate) struct Other {
    pub(crate) world: World,
    pub(crate) server: Server,
    pub(crate) under: KeyBlock,
    master: Vec<u8>,
}

/// A key of the other system.
pub(crate) struct Key {
    pub(crate) clear: Vec<u8>,
    pub(crate) block: String,
}

impl Key {
    pub(crate) fn kcv(&self) -> String {
        check_value(&self.clear).iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// As a line of the file has it.
    pub(crate) fn json(&self) -> Value {
        json!({ "block": self.block, "kcv": self.kcv() })
    }

    /// The same in a slot.
    pub(crate) fn tmk(&self, slot: u8) -> Value {
        json!({ "slot": slot, "block": self.block, "kcv": self.kcv() })
    }
}

impl Other {
    pub(crate) fn new() -> Other {
        let (world, server) = World::with_options(&[], &Options::default());
        let (under, master) = zone_master();
        Other { world, server, under, master }
    }

    pub(crate) fn key(&self) -> Key {
        self.wrap(TdesKey::generate24().unwrap().expose(), "K1")
    }

    /// A key of any kind, under the zone master key.
    pub(crate) fn wrap(&self, clear: &[u8], usage: &str) -> Key {
        wrap(&self.master, clear, usage)
    }

    /// A key under a key that this side does not have.
    pub(crate) fn key_of_a_stranger(&self) -> Key {
        let clear = TdesKey::generate24().unwrap();
        wrap(TdesKey::generate24().unwrap().expose(), clear.expose(), "K1")
    }

    /// A terminal with a TMK in slot 3 and a DMK, all check values told.
    pub(crate) fn terminal(&self, sn: &str) -> Value {
        json!({ "sn": sn, "tmks": [self.key().tmk(3)], "dmk": self.key().json() })
    }

    pub(crate) fn run(&self, file: &str) -> Report {
        self.try_run(file.as_bytes(), &mut |_| ()).unwrap()
    }

    pub(crate) fn try_run(&self, file: &[u8], progress: &mut dyn FnMut(&Counts)) -> Result<Report, Stopped> {
        let digest = import::digest(&mut Cursor::new(file)).unwrap();
        self.run_as(file, digest, &self.under, progress)
    }

    pub(crate) fn run_as(
        &self,
        file: &[u8],
        digest: [u8; 32],
        under: &KeyBlock,
        progress: &mut dyn FnMut(&Counts),
    ) -> Result<Report, Stopped> {
        let estate = Estate { source: "old-kms", digest, under };
        self.server.block_on(async {
            let hsm = Client::connect(ESTATE.socket()).await.unwrap();
            // Small reads: lines come in several pieces.
            let mut file = BufReader::with_capacity(61, file);
            import::run(&hsm, &*self.server.store, &mut file, estate, BY, progress).await
        })
    }
}

fn wrap(master: &[u8], clear: &[u8], usage: &str) -> Key {
    let header = Header::new(
        Version::B,
        Usage::parse(usage).unwrap(),
        Algorithm::TDES,
        Mode::parse("B").unwrap(),
        Exportability::NOT_EXPORTABLE,
    );
    let block = Kbpk::new(Version::B, master).unwrap().wrap(&header, clear).unwrap();
    Key { clear: clear.to_vec(), block }
}

/// A file of these lines.
pub(crate) fn lines(terminals: &[Value]) -> String {
    terminals.iter().map(|terminal| format!("{terminal}\n")).collect()
}

/// Line, serial and word of each refusal.
pub(crate) fn refused(report: &Report) -> Vec<(u64, Option<&str>, &str)> {
    report.refusals.iter().map(|refused| (refused.line, refused.sn.as_deref(), refused.reason)).collect()
}
